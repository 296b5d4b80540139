"""Private keys, tokens and files of passwords are recognised by their form; what is public or encrypted is not."""

import base64
import json
import random
import string
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.key_material import RULES, key_material

EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(65537, 1024)
OPEN, LOCKED = form.NoEncryption(), form.BestAvailableEncryption(b"secret")
PEM, DER = form.Encoding.PEM, form.Encoding.DER
PKCS8, OLD, SSH = form.PrivateFormat.PKCS8, form.PrivateFormat.TraditionalOpenSSL, form.PrivateFormat.OpenSSH


def certificate() -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, EC.public_key(), 1, now, now + timedelta(days=1))
    return made.sign(EC, hashes.SHA256())


def letters(count: int, alphabet: str = string.ascii_letters + string.digits, seed: int = 7) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=count))


def what(data: bytes | str, name: str = "files/app.conf", *, executable: bool = False) -> list[tuple[str, int | None]]:
    data = data.encode() if isinstance(data, str) else data
    return [(finding.what, finding.line) for finding in key_material(name, data, executable=executable)]


KEYS = [
    EC.private_bytes(PEM, PKCS8, OPEN), EC.private_bytes(PEM, OLD, OPEN), EC.private_bytes(PEM, SSH, OPEN),
    EC.private_bytes(PEM, PKCS8, LOCKED),
    ED.private_bytes(PEM, PKCS8, OPEN), ED.private_bytes(PEM, SSH, OPEN),
    RSA.private_bytes(PEM, PKCS8, OPEN), RSA.private_bytes(PEM, OLD, OPEN), RSA.private_bytes(PEM, OLD, LOCKED),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_a_private_key_in_pem_is_found_however_it_is_written(key: bytes) -> None:
    """Also indented, in JSON, with the line ends of Windows, in a program's string, in UTF-16, and among other bytes."""
    text = key.decode()
    lines = text.splitlines()
    pem = "a private key (PEM)"
    assert what(key) == [(pem, 1)]
    assert what("---\nkey: |\n" + "".join(f"    {line}\n" for line in lines)) == [(pem, 3)]
    assert what('{\n "private_key": ' + json.dumps(text) + "}") == [(pem, 2)]
    assert what("KEY = (\n" + "".join(f'    "{line}\\n"\n' for line in lines) + ")\n") == [(pem, 2)]
    assert what(text.replace("\n", "\r\n")) == [(pem, 1)]
    assert what(text.encode("utf-16")) == [(pem, 1)]
    assert what(b"\0\1\2" * 9000 + key + b"\0\1") == [(pem, None)]
    assert [found for found, _ in what(f"tls.key: {base64.b64encode(key).decode()}")] == [
        "a private key (PEM, in base64)"
    ]


DERS: dict[str, bytes] = {
    "a private key (PKCS#8)": EC.private_bytes(DER, PKCS8, OPEN),
    "a private key (PKCS#8, encrypted)": RSA.private_bytes(DER, PKCS8, LOCKED),
    "a private key (PKCS#1)": RSA.private_bytes(DER, OLD, OPEN),
    "a private key (SEC 1)": EC.private_bytes(DER, OLD, OPEN),
    "a private key (PKCS#12)": pkcs12.serialize_key_and_certificates(b"me", EC, certificate(), None, LOCKED),
}


@pytest.mark.parametrize("kind", DERS)
def test_a_private_key_in_der_is_found(kind: str) -> None:
    """Whatever the file is called; a file that is cut off or has more behind it is something else."""
    assert what(DERS[kind], "files/app.dat") == [(kind, None)]
    assert what(DERS[kind][:-1]) == [] or kind == "a private key (PKCS#12)"


def java(*tags: int, version: int = 2, magic: int = 0xFEEDFEED) -> bytes:
    """A key store of Java with one entry for each tag."""
    data = struct.pack(">III", magic, version, len(tags))
    for tag in tags:
        data += struct.pack(">IH3sQ", tag, 3, b"own", 0)
        data += struct.pack(">H5sI", 5, b"X.509", 4) + b"cert" if tag == 2 else struct.pack(">I", 3) + b"key"
    return data


def test_a_key_store_of_java_counts_if_it_has_a_key() -> None:
    """A trust store has certificates only."""
    assert what(java(2, 2, 1), "files/store.jks") == [("a private key (key store of Java)", None)]
    assert what(java(3, magic=0xCECECECE)) == [("a private key (key store of Java)", None)]
    assert what(java(2, 2)) == what(java()) == what(java(9)) == what(java(2, 2)[:40]) == []


PUBLIC: list[bytes] = [
    certificate().public_bytes(PEM),
    certificate().public_bytes(DER),
    EC.public_key().public_bytes(PEM, form.PublicFormat.SubjectPublicKeyInfo),
    EC.public_key().public_bytes(DER, form.PublicFormat.SubjectPublicKeyInfo),
    ED.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH),
    pkcs12.serialize_java_truststore([pkcs12.PKCS12Certificate(certificate(), b"ca")], LOCKED),
    b"$ANSIBLE_VAULT;1.1;AES256\n" + base64.b16encode(KEYS[0]) + b"\n" + KEYS[0],
    b"key: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  36326134396562\n",
    b"-----BEGIN PRIVATE KEY-----\n{{ tls_key }}\n-----END PRIVATE KEY-----\n",
    b"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC...\n-----END PRIVATE KEY-----\n",
    b'if "-----BEGIN RSA PRIVATE KEY-----" in text:\n    raise UnsupportedAlgorithmWithManyLetters(text)\n',
    b"key: ENC[AES256_GCM,data:kq0d,iv:1,tag:2,type:str]\n",
    b"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n",
    b"[Interface]\nPrivateKey = {{ wireguard_key }}\n",
    b"aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
    b"aws_access_key_id = AKIAIOSFODNN7EXAMPLE\n",
    b"token: ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
    b"ghp_1234567890abcdefghijklmnopqrstuvwxyz\n",
    b"AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==\n",
]


@pytest.mark.parametrize("data", PUBLIC, ids=range(len(PUBLIC)))
def test_what_is_public_encrypted_or_an_example_is_not_key_material(data: bytes) -> None:
    """Certificates, public keys, trust stores, vaulted files and values, templates, and the examples of documentation."""
    assert what(data) == []


b64 = string.ascii_letters + string.digits + "+/"
low = string.digits + "abcdef"
TOKENS: dict[str, Callable[[int], str]] = {
    "a private key (age)": lambda n: "AGE-SECRET-KEY-1" + letters(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", n),
    "a private key (WireGuard)": lambda n: f"PrivateKey = {letters(43, b64, n)}=",
    "a secret access key of AWS": lambda n: f"aws_secret_access_key={letters(40, b64, n)}",
    "an account key of Azure": lambda n: f"AccountName=a;AccountKey={letters(86, b64, n)}==;x",
    "a client secret of Azure": lambda n: f"'{letters(3, seed=n)}8Q~{letters(34, seed=n)}'",
    "a refresh token of Google Cloud": lambda n: f'{{"refresh_token": "1//0{letters(60, seed=n)}"}}',
    "a client secret of Google Cloud": lambda n: f"GOCSPX-{letters(28, seed=n)}",
    "a token of GitHub": lambda n: f"ghp_{letters(36, seed=n)}",
    "a token of GitLab": lambda n: f"glpat-{letters(20, seed=n)}",
    "a token of Slack": lambda n: f"xoxb-123456789012-1234567890123-{letters(24, seed=n)}".replace(
        "1234567890", "9182736455"
    ),
    "a webhook of Slack": lambda n: (
        f"https://hooks.slack.com/services/T{letters(9, seed=n)}/B{letters(9, seed=n)}/{letters(24, seed=n)}"
    ),
    "a token of Pulumi": lambda n: f"pul-{letters(40, low, n)}",
    "a token of npm": lambda n: f"//registry.npmjs.org/:token=npm_{letters(36, seed=n)}",
    "a token of PyPI": lambda n: f"pypi-AgEIcHlwaS5vcmc{letters(80, seed=n)}",
    "a token of Docker Hub": lambda n: f"dckr_pat_{letters(27, seed=n)}",
    "a token of Vault": lambda n: f"hvs.{letters(95, seed=n)}",
    "a token of Terraform": lambda n: f"{letters(14, seed=n)}.atlasv1.{letters(67, seed=n)}",
    "a token of DigitalOcean": lambda n: f"dop_v1_{letters(64, low, n)}",
    "a secret key of Stripe": lambda n: f"sk_live_{letters(24, seed=n)}",
    "a password of a container registry": lambda n: json.dumps(
        {"auths": {"r.io": {"auth": base64.b64encode(f"me:{letters(9, seed=n)}".encode()).decode()}}}
    ),
    "a token of a Kubernetes cluster": lambda n: f"kind: Config\nusers:\n- user:\n    token: {letters(60, seed=n)}",
    "a private key (PuTTY)": lambda n: (
        f"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n{letters(60, b64, n)}"
    ),
}


@pytest.mark.parametrize("kind", TOKENS)
@given(seed=st.integers(0, 100_000))
def test_a_token_is_found_by_its_form(kind: str, seed: int) -> None:
    """Whatever its letters are, and in a line of its own or among words."""
    token = TOKENS[kind](seed)
    assert kind in [found for found, _ in what(f"first: line\n{token}\n")]


def test_every_rule_has_an_example() -> None:
    """A rule without a test is not known to find anything."""
    assert {rule.what for rule in RULES} == {*TOKENS, "a private key (PEM)", "a private key (PEM, in base64)"}


NAMED = [
    (".env", "DEBUG=1\nexport DB_PASSWORD=hunter22\n", ("a password in a file of environment variables", 2)),
    ("app/.env.production", "SECRET_KEY='a b c'\n", ("a password in a file of environment variables", 1)),
    ("prod.env", "DATABASE_URL=postgres://me:hunter2@db/x\n", ("a password in a file of environment variables", 1)),
    (".netrc", "machine example.org\n  login me\n  password hunter2\n", ("a password of a server", 3)),
    (".pgpass", "# host\ndb:5432:*:me:hunter2\n", ("a password of PostgreSQL", 2)),
    (".my.cnf", "[client]\npassword=hunter2\n", ("a password of MySQL", 2)),
    (".git-credentials", "https://me:hunter2@example.org\n", ("a password of a Git server", 1)),
    (".npmrc", "//npm.example.org/:_authToken=abc123\n", ("a password of npm", 1)),
    (".pypirc", "[pypi]\npassword = hunter2\n", ("a password of a package index", 2)),
    (".s3cfg", "secret_key = hunter2\n", ("a secret key of S3", 1)),
    (".vault-token", "s.hunter2hunter2\n", ("a token of Vault", 1)),
    (".vault_pass", "hunter2\n", ("a password of Ansible Vault", 1)),
    (".vault_password", "hunter2\n", ("a password of Ansible Vault", 1)),
    ("vault_pass.txt", "hunter2", ("a password of Ansible Vault", 1)),
    ("inventories/vault-password-prod", "\nhunter2\n", ("a password of Ansible Vault", 2)),
    (".vault_password_file", "hunter2\n", ("a password of Ansible Vault", 1)),
    ("ansible-vault-pass.prod.txt", "hunter2\n", ("a password of Ansible Vault", 1)),
    ("project.key", "\1" * 32, ("a project key of the orchestrator", 1)),
]


@pytest.mark.parametrize(("name", "text", "expected"), NAMED, ids=[name for name, _, _ in NAMED])
def test_a_file_of_passwords_is_known_by_its_name(name: str, text: str, expected: tuple[str, int]) -> None:
    """The finding has the line of the password; the same text in another file is not one."""
    assert what(text, name) == [expected]
    assert what(text, "files/plain.txt") == []


HARMLESS = [
    (
        ".env",
        "TAG=1.2\nLOG_LEVEL=info\nPASSWORD=\nTOKEN=${TOKEN}\nSECRET={{ secret }}\nAPI_KEY=changeme\nPASSWORD_FILE=/run/x\n",
    ),
    (".env.example", "DB_PASSWORD=hunter2\n"),
    ("app.env.j2", "DB_PASSWORD=hunter2\n"),
    (".netrc", "machine example.org login me\n"),
    (".npmrc", "//npm.example.org/:_authToken=${NPM_TOKEN}\n"),
    (".pgpass", "# db:5432:*:me:hunter2\n"),
    (".vault_pass", "$ANSIBLE_VAULT;1.1;AES256\n3632\n"),
    (".vault_pass", "#!/bin/sh\nsecret-tool lookup vault prod\n"),
    ("vault_pass.yml", "vault_password: x\n"),
    ("vault_password.md", "line one\nline two\n"),
    ("vault.yml", "hunter2\n"),
    ("project.key", "-----BEGIN CERTIFICATE-----\n"),
]


@pytest.mark.parametrize(("name", "text"), HARMLESS, ids=range(len(HARMLESS)))
def test_such_a_file_without_a_password_is_not_key_material(name: str, text: str) -> None:
    """Templates, references, examples, comments, programs that print a password, and encrypted files are packed."""
    assert what(text, name) == []


def test_a_program_that_prints_a_password_is_code() -> None:
    """An executable file with the name of a vault password file is a client of a password manager."""
    assert what("\x7fELF", "vault-password-client", executable=True) == []


def test_each_kind_is_reported_once() -> None:
    """A file with a hundred tokens has one finding: the first line."""
    token = TOKENS["a token of GitHub"]
    assert what("x\n" + "".join(f"{token(seed)}\n" for seed in range(100))) == [("a token of GitHub", 2)]


@given(
    data=st.binary(max_size=400),
    head=st.sampled_from([b"", b"\x30\x82", b"\xfe\xed\xfe\xed", b"\xff\xfe", b"\x30\x80\x02\x01\x03"]),
)
def test_no_content_makes_the_search_fail(data: bytes, head: bytes) -> None:
    """Whatever the bytes of a file are, the search has a result."""
    assert isinstance(what(head + data), list)
