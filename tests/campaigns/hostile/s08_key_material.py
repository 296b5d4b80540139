"""S8: private keys, tokens and files of passwords beside the playbooks, in every form and place that a project has."""

import base64
import io
import json
import random
import string
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Literal

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from orchestrator.adapters.archive import gather, key_scan
from orchestrator.adapters.archive.packages import SealedPackages
from orchestrator.domain import key_material
from orchestrator.domain.errors import OrchestratorErrors
from orchestrator.domain.release import Release
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced

LINE, ABOUT = "S8", "key material beside the playbooks"

PEM, DER = form.Encoding.PEM, form.Encoding.DER
PKCS8, OLD, SSH = form.PrivateFormat.PKCS8, form.PrivateFormat.TraditionalOpenSSL, form.PrivateFormat.OpenSSH
OPEN, LOCKED = form.NoEncryption(), form.BestAvailableEncryption(b"secret")
BASE64 = string.ascii_letters + string.digits + "+/"
RELEASE = {
    "apiVersion": "orchestrator/v1",
    "kind": "Release",
    "name": "shop",
    "version": "1.0.0",
    "environments": ["staging"],
    "steps": [{"name": "deploy", "playbook": "site.yml"}],
    "verify": [{"name": "smoke", "tests": "tests"}],
}
Files = dict[str, bytes]


def _letters(chance: random.Random, count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(chance.choices(alphabet, k=count))


# -- secrets -----------------------------------------------------------------------------------------------------------


def _keys() -> dict[str, bytes]:
    """Private keys, by their algorithm and form."""
    curve, edwards, old = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate(), None
    old = rsa.generate_private_key(65537, 2048)
    return {
        "EC, PKCS#8": curve.private_bytes(PEM, PKCS8, OPEN),
        "EC, SEC 1": curve.private_bytes(PEM, OLD, OPEN),
        "EC, OpenSSH": curve.private_bytes(PEM, SSH, OPEN),
        "EC, encrypted": curve.private_bytes(PEM, PKCS8, LOCKED),
        "Ed25519, PKCS#8": edwards.private_bytes(PEM, PKCS8, OPEN),
        "Ed25519, OpenSSH": edwards.private_bytes(PEM, SSH, OPEN),
        "RSA, PKCS#8": old.private_bytes(PEM, PKCS8, OPEN),
        "RSA, PKCS#1": old.private_bytes(PEM, OLD, OPEN),
        "RSA, encrypted": old.private_bytes(PEM, OLD, LOCKED),
        "EC, DER": curve.private_bytes(DER, PKCS8, OPEN),
        "RSA, DER, PKCS#1": old.private_bytes(DER, OLD, OPEN),
        "RSA, DER, encrypted": old.private_bytes(DER, PKCS8, LOCKED),
    }


def _tokens(chance: random.Random) -> dict[str, str]:
    """Tokens and keys of services, by whose they are."""
    text, low = partial(_letters, chance), string.digits + "abcdef"
    password = base64.b64encode(f"me:{text(12)}".encode()).decode()
    return {
        "AWS": f"aws_secret_access_key = {text(40, BASE64)}",
        "AWS in JSON": json.dumps({"SecretAccessKey": text(40, BASE64)}),
        "AWS in a table": f"AKIA{text(16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')},{text(40, BASE64)}",
        "Azure": f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={text(86, BASE64)}==",
        "Azure, a client": f"client_secret: '{text(3)}8Q~{text(34)}'",
        "Google Cloud": json.dumps({"refresh_token": f"1//0{text(60)}"}),
        "Google Cloud, a client": f"GOCSPX-{text(28)}",
        "GitHub": f"ghp_{text(36)}",
        "GitHub, fine-grained": f"github_pat_{text(22)}_{text(59)}",
        "GitLab": f"glpat-{text(20)}",
        "GitLab, a runner": f"glrt-{text(20)}",
        "Slack": f"xoxb-918273645512-9182736455123-{text(24)}",
        "Slack, a webhook": f"https://hooks.slack.com/services/T{text(9)}/B{text(9)}/{text(24)}",
        "Pulumi": f"pul-{text(40, low)}",
        "npm": f"npm_{text(36)}",
        "PyPI": f"pypi-AgEIcHlwaS5vcmc{text(80)}",
        "Docker Hub": f"dckr_pat_{text(27)}",
        "a registry": json.dumps({"auths": {"r.example": {"auth": password}}}),
        "Vault": f"hvs.{text(95)}",
        "Terraform": f"{text(14)}.atlasv1.{text(67)}",
        "DigitalOcean": f"dop_v1_{text(64, low)}",
        "Stripe": f"sk_live_{text(24)}",
        "Kubernetes": f"apiVersion: v1\nkind: Config\nusers:\n- user:\n    token: {text(60)}",
        "WireGuard": f"[Interface]\nPrivateKey = {text(43, BASE64)}=",
        "age": f"AGE-SECRET-KEY-1{text(58, 'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L')}",
        "PuTTY": f"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n{text(60, BASE64)}",
    }


def _named(chance: random.Random) -> dict[str, str]:
    """Files that hold a password by their name."""
    word = _letters(chance, 14)
    return {
        ".env": f"DEBUG=1\nDB_PASSWORD={word}\n",
        ".env.production": f"export SECRET_KEY='{word}'\n",
        "app.env": f"DATABASE_URL=postgres://me:{word}@db/x\n",
        ".envrc": f"export API_TOKEN={word}\n",
        ".netrc": f"machine example.org login me password {word}\n",
        "_netrc": f"machine example.org\nlogin me\npassword {word}\n",
        ".pgpass": f"db:5432:*:me:{word}\n",
        ".my.cnf": f"[client]\npassword={word}\n",
        ".git-credentials": f"https://me:{word}@example.org\n",
        ".npmrc": f"//npm.example.org/:_authToken={word}\n",
        ".pypirc": f"[pypi]\npassword = {word}\n",
        ".s3cfg": f"secret_key = {word}\n",
        ".vault-token": f"s.{word}\n",
        ".vault_pass": f"{word}\n",
        ".vault_password": f"{word}\r\n",
        "vault_pass.txt": word,
        "vault-password-prod": f"\n{word}\n",
        "ansible-vault-pass.prod.txt": f"{word}\n",
        "project.key": "\1\2\3\4\5\6\7\10" * 4,
    }


# -- how and where they are written ------------------------------------------------------------------------------------

FORMS: dict[str, Callable[[bytes], bytes]] = {
    "alone": lambda text: text,
    "behind a comment": lambda text: b"# ours\n" + text,
    "indented in YAML": lambda text: b"key: |\n" + b"".join(b"  " + line + b"\n" for line in text.splitlines()),
    "in JSON": lambda text: json.dumps({"private_key": text.decode()}).encode(),
    "with the line ends of Windows": lambda text: text.replace(b"\n", b"\r\n"),
    "in UTF-16": lambda text: text.decode().encode("utf-16"),
    "among other bytes": lambda text: b"\0\1\2" * 5000 + text + b"\0",
    "in a program": lambda text: b"KEY = (\n" + b"".join(b'  "%s\\n"\n' % line for line in text.splitlines()) + b")\n",
    "in base64": lambda text: b"tls.key: " + base64.b64encode(text) + b"\n",
}
PLACES = {
    "the root": "own.dat",
    "a role": "roles/web/files/own.dat",
    "variables": "group_vars/all/own.yml",
    "a template": "templates/own.j2",
    "a suite": "tests/own.py",
    "a hidden folder": ".hidden/own",
}


Mode = Literal["w:", "w:gz", "w:bz2", "w:xz"]


def _tar(name: str, data: bytes, mode: Mode) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _zip(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return out.getvalue()


def _deb(name: str, data: bytes) -> bytes:
    inner = _tar(name, data, "w:xz")
    head = f"{'data.tar.xz':<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(inner):<10}`\n".encode()
    return b"!<arch>\n" + head + inner + b"\n" * (len(inner) % 2)


ARCHIVES: dict[str, Callable[[str, bytes], bytes]] = {
    "a tar archive": partial(_tar, mode="w:"),
    "a tar archive (gzip)": partial(_tar, mode="w:gz"),
    "a tar archive (bzip2)": partial(_tar, mode="w:bz2"),
    "a tar archive (xz)": partial(_tar, mode="w:xz"),
    "a zip archive": _zip,
    "a zip archive that is a program": lambda name, data: b"#!/usr/bin/env python3\n" + _zip(name, data),
    "a package of Debian": _deb,
    "a zip archive in a tar archive": lambda name, data: _tar("in.jar", _zip(name, data), "w:gz"),
    "a tar archive in a zip archive": lambda name, data: _zip("in.tgz", _tar(name, data, "w:gz")),
}


# -- the cases ---------------------------------------------------------------------------------------------------------


def cases(seed: int) -> Iterator[Case]:
    """Every kind of secret in every form, place and archive."""
    chance = random.Random(seed)
    keys, tokens, named = _keys(), _tokens(chance), _named(chance)
    found: list[Case] = []
    for kind, key in keys.items():
        for how, write in FORMS.items() if "DER" not in kind else [("alone", FORMS["alone"])]:
            found.append(_case(f"a private key ({kind}) {how}", {"files/own.dat": write(key)}))
    for kind, token in tokens.items():
        found += [
            _case(f"a token of {kind} in a line", {"files/own.txt": f"first\n{token}\n".encode()}),
            _case(f"a token of {kind} without a line end", {"files/own.txt": token.encode()}),
            _case(f"a token of {kind} in UTF-16", {"files/own.txt": f"{token}\n".encode("utf-16")}),
        ]
    for name, text in named.items():
        found += [
            _case(f"{name} at the root", {name: text.encode()}),
            _case(f"{name} in a role", {f"roles/web/files/{name}": text.encode()}),
            _case(f"{name} in an archive", {"files/all.tar.gz": _tar(f"etc/{name}", text.encode(), "w:gz")}),
        ]
    for where, place in PLACES.items():
        for kind in ("EC, PKCS#8", "Ed25519, OpenSSH", "RSA, DER, PKCS#1"):
            found.append(_case(f"a private key ({kind}) in {where}", {place: keys[kind]}))
    for kind, pack in ARCHIVES.items():
        for what, data in (("a private key", keys["EC, SEC 1"]), ("a token", tokens["GitHub"].encode())):
            found += [
                _case(f"{what} in {kind}", {"files/own.bin": pack("etc/own.dat", data)}),
                _case(f"{what} in {kind}, as an artifact", {"dist/own.bin": pack("etc/own.dat", data)}, "dist/own.bin"),
            ]
    found.append(
        _case(
            "a private key that the release allows in another file",
            {"files/own.dat": keys["EC, SEC 1"]},
            allowed="files/other.dat",
        )
    )
    found.append(
        _case(
            "a private key beside a folder with the same beginning",
            {"filesets/own.dat": keys["EC, SEC 1"]},
            allowed="files",
        )
    )
    chance.shuffle(found)
    yield from found


def _case(structure: str, files: Files, artifact: str = "", allowed: str = "") -> Case:
    return Case(structure, partial(_built, files, artifact, allowed))


def _built(files: Files, artifact: str, allowed: str, yard: Yard) -> Outcome:
    """Build a release of a project with *files*."""
    plain = {"orchestrator.yaml": b"", "release.yaml": b"", "site.yml": b"[]\n", "tests/test_x.py": b""}
    for name, data in {**plain, **files}.items():
        path = yard.inside / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    about: dict[str, object] = dict(RELEASE)
    if artifact:
        about["artifacts"] = [{"path": artifact, "unpack": False}]
    if allowed:
        about["package"] = {"key_material": [{"path": allowed, "reason": "for tests"}]}
    project, target = yard.inside / "project", yard.inside / "own.release"
    packages = SealedPackages(yard.inside / "kept", yard.inside / "cache")
    try:
        package = packages.build(project, project / "release.yaml", Release.from_json(about), target)
    except OrchestratorErrors as problem:
        codes = {error.code for error in problem.errors}
    except Exception as error:  # the one error that there is
        codes = {getattr(error, "code", "")}
        if codes == {""}:
            raise
    else:
        packed = {file.path.rpartition("/")[2] for file in package.manifest.files}
        names = [name for name in files if name.rpartition("/")[2] in packed]
        return Outcome(accepted=f"packed: {', '.join(names)}") if names else HELD
    return HELD if codes == {"P220"} and not target.exists() else Outcome(accepted=f"{codes}")


# -- the defences ------------------------------------------------------------------------------------------------------


def _without_rule(name: str) -> Defence:
    """The rule with that name removed."""

    def remove() -> AbstractContextManager[None]:
        left = tuple(rule for rule in key_material.RULES if rule.what != name)
        return replaced(key_material, "RULES", left)

    return remove


DEFENCES: dict[str, Defence] = {
    "scan": lambda: replaced(gather, "_check_keys", lambda _gathered: None),
    "archives": lambda: replaced(key_scan, "_is_archive", lambda _head, _file: False),
    "named files": lambda: replaced(key_material, "in_named_file", lambda *_args: None),
    "key stores": lambda: replaced(key_material, "key_store", lambda _data: None),
    **{f"rule of {rule.what}": _without_rule(rule.what) for rule in key_material.RULES},
}
