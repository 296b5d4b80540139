"""Secrets that code of a package, or an engine, writes down wherever it can: each kind in each encoding and each ending."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache, partial
from itertools import product
from pathlib import Path
from random import Random
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from orchestrator.adapters.ansible import known_secrets, vaulted
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.database import masking
from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.adapters.pulumi import config_secrets, state
from orchestrator.adapters.pulumi.events import SECRET
from orchestrator.cli import output
from orchestrator.domain import encoded_text, redaction, secret
from orchestrator.domain.journal import Entry, Run
from orchestrator.domain.redaction import Redactor
from orchestrator.domain.secret import Secret
from orchestrator.domain.snapshot import Snapshot
from orchestrator.engine.jobs import LocalJobs
from orchestrator.file_system import write_whole
from orchestrator.ports import Job
from orchestrator.secret_values import SecretValues, process_secrets, use
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced
from tests.leak_scan.canaries import ENCODINGS, KINDS, SPECIAL, Canary
from tests.leak_scan.scan import Scan

LINE = "S7"
ABOUT = "a secret in each encoding in the output, events and answers of a job that succeeds, fails or is killed"
ROOT = Path(__file__).resolve().parents[3]
PHRASE, SALT = "the phrase of a stack", b"8 bytes!"
ENDINGS = {"succeeds": "", "fails": "raise SystemExit(text)", "is killed": "os.kill(os.getppid(), 9); time.sleep(30)"}
"""How a job ends; its supervisor is killed with the last one, so that nobody masks what it leaves before it is settled."""
CODE = """
import json, os, sys, time
from orchestrator.processes import events_of
folder, text, pieces = os.environ["ORCHESTRATOR_JOB"], open("text").read(), json.load(open("pieces"))
at = 0
for size in pieces:
    os.write(1, text[at:at + size].encode()); at += size; time.sleep(0.002)
print(text[at:], flush=True)
print(text, file=sys.stderr, flush=True)
with open(events_of(folder), "a") as events:
    events.write(json.dumps({"kind": "task", "task": text, text: [text, {"deep": text}]}) + "\\n")
    events.write(json.dumps({"text": text.splitlines()}) + "\\n")
open(folder + "/result.json", "w").write(json.dumps({"error": text, "code": 1}))
open(folder + "/stderr.log", "w").write(text)
open(folder + "/engine-events.json", "w").write(json.dumps({"diagnostic": text}))
"""


def cases(seed: int) -> Iterator[Case]:
    """Each kind of secret in each encoding, in a job that succeeds, fails or is killed."""
    random = Random(seed)
    for kind, encoding, ending in product(KINDS, ENCODINGS, ENDINGS):
        value = "\n".join(random.randbytes(20).hex() for _ in range(3)) if kind == "lines" else _word(random)
        pieces = [random.randint(1, 9) for _ in range(random.randint(1, 12))]
        yield Case(
            f"{kind} as {encoding} in a job that {ending}",
            partial(_attempt, Canary(kind, value), encoding, ending, pieces),
        )


def _word(random: Random) -> str:
    return f"canary-{random.randbytes(8).hex()}{SPECIAL}"


def _attempt(canary: Canary, encoding: str, ending: str, pieces: list[int], yard: Yard) -> Outcome:
    text = f"it is {_written(canary.value, encoding)}, is it not"
    before, secrets = process_secrets(), SecretValues()
    secrets.learn("here", _SOURCES[canary.kind](yard.inside / "sources", canary.value))
    use(secrets)
    try:
        return _searched(canary, _left(secrets, text, ending, pieces, yard))
    finally:
        use(before)


def _left(secrets: SecretValues, text: str, ending: str, pieces: list[int], yard: Yard) -> Iterator[tuple[str, bytes]]:
    """What is left after a job has written *text* down, and its events were recorded and shown."""
    work, records = yard.inside / "work", yard.inside / "records"
    for folder in (work, records):
        folder.mkdir()
    (work / "text").write_text(text)
    (work / "pieces").write_text(json.dumps(pieces))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    job = Job("r1.deploy", (sys.executable, "-c", CODE + ENDINGS[ending]), env=env, cwd=work, view=None)
    seen: list[Mapping[str, object]] = []
    outcome = LocalJobs(records / "jobs", secrets=secrets).run(job, lambda _line, event: seen.append(event))
    assert (outcome.how, outcome.code == 0) == (
        ("lost", False) if ending == "is killed" else ("exited", not ENDINGS[ending])
    )
    shutil.copy(yard.shared.part("journal", _journal), records / "state.db")
    store = DatabaseStore(f"sqlite:///{records}/state.db", SystemClock())
    store.create(Run(id="r1", root="r1", kind="promotion", environment="staging", by=text))
    store.append("r1", [Entry(kind="notice", data={"text": text, "seen": seen, text: text})])
    store.close()
    found = secrets.document(Snapshot(unknown={"web1": text, text: text}))
    write_whole(records / "evidence.json", json.dumps(found.to_json()))
    yield from ((str(path.relative_to(records)), path.read_bytes()) for path in records.rglob("*") if path.is_file())
    yield "terminal", output.writable(text, sys.stdout).encode()
    yield "JSON", json.dumps(output._masked_data({"text": text, text: text})).encode()


def _searched(canary: Canary, left: Iterator[tuple[str, bytes]]) -> Outcome:
    """What of *canary* is left, in the forms of the scan, or in text whose escapes hide its beginning from that."""
    hits, begin = set(), canary.value.splitlines()[0].partition(SPECIAL)[0].encode()
    for name, data in left:
        hits |= {f"{hit.encoding} in {hit.where}" for hit in Scan([canary]).data(name, data)}
        hits |= {f"its beginning in {name}"} if begin in unquote_to_bytes(data) else set()
    return Outcome(accepted=", ".join(sorted(hits))[:200]) if hits else HELD


def _journal(folder: Path, _stack: ExitStack) -> Path:
    """An empty journal, behind the filter of databases."""
    masking.mask_databases()
    DatabaseStore(f"sqlite:///{folder}/state.db", SystemClock()).close()
    return folder / "state.db"


def _written(value: str, encoding: str) -> str:
    data = value.encode()
    return {
        "raw": value,
        "base64": base64.encodebytes(data).decode(),
        "url": "".join(f"%{byte:02x}" for byte in data),
        "json": json.dumps(json.dumps(value)),
        "hex": data.hex().upper(),
    }[encoding]


# -- where each kind is read: by the product, from what its owner has written --------------------------------------------


def _of_state(inner: Callable[[str], object], _folder: Path, value: str) -> list[Secret]:
    marked = {SECRET: "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(inner(value))}
    return state.marked_secrets({"resources": [{"urn": "stack", "outputs": {"token": marked}}]})


@cache
def _stack_key() -> bytes:
    return PBKDF2HMAC(SHA256(), 32, SALT, config_secrets.ROUNDS).derive(PHRASE.encode())


def _sealed(text: str) -> str:
    nonce = hashlib.sha256(text.encode()).digest()[:12]
    parts = (nonce, AESGCM(_stack_key()).encrypt(nonce, text.encode(), None))
    return "v1:" + ":".join(base64.b64encode(part).decode() for part in parts)


def _of_configuration(_folder: Path, value: str) -> list[Secret]:
    salt = f"v1:{base64.b64encode(SALT).decode()}:{_sealed('pulumi')}"
    text = f"encryptionsalt: {salt}\nconfig:\n  shop:key:\n    secure: {_sealed(value)}\n"
    return config_secrets.configured_secrets(text, {"PULUMI_CONFIG_PASSPHRASE": PHRASE}, str)


def _vaulted(text: str) -> str:
    """*text* as `ansible-vault` encrypts it."""
    salt, data = hashlib.sha256(text.encode()).digest(), text.encode()
    keys = hashlib.pbkdf2_hmac("sha256", PHRASE.encode(), salt, vaulted.ROUNDS, vaulted.KEYS)
    padding = 16 - len(data) % 16
    opener = Cipher(AES(keys[:32]), CTR(keys[64:])).encryptor()
    sealed = opener.update(data + bytes([padding]) * padding) + opener.finalize()
    code = hmac.new(keys[32:64], sealed, "sha256").hexdigest()
    lines = f"{salt.hex()}\n{code}\n{sealed.hex()}".encode().hex()
    return "\n".join(["$ANSIBLE_VAULT;1.1;AES256", *(lines[at : at + 80] for at in range(0, len(lines), 80))])


def _of_vault(whole: bool, folder: Path, value: str) -> list[Secret]:
    folder.mkdir()
    (folder / "password").write_text(PHRASE)
    sealed = _vaulted(f"db_password: {json.dumps(value)}\n" if whole else value)
    inline = "db_password: !vault |\n" + "".join(f"  {line}\n" for line in sealed.splitlines())
    (folder / "vault.yml").write_text(sealed + "\n" if whole else inline)
    passwords = vaulted.named_passwords(str(folder / "password"), None)
    return vaulted.VaultedValues().secrets([folder / "vault.yml"], passwords, {})


def _of_environment(_folder: Path, value: str) -> list[Secret]:
    return secret.secret_variables({"LICENCE": value, "HOME": "/"}, ["LICENCE"])


def _of_file(folder: Path, value: str) -> list[Secret]:
    folder.mkdir()
    (folder / "token").write_text(f"{value} salt=abcdefgh\n")
    return list(known_secrets._content(folder / "token"))


_SOURCES: dict[str, Callable[[Path, str], list[Secret]]] = {
    "output": partial(_of_state, lambda value: value),
    "nested": partial(_of_state, lambda value: {"user": "shop-of-the-canaries", "all": [{"password": value}]}),
    "lines": partial(_of_state, lambda value: value),
    "config": _of_configuration,
    "inventory": partial(_of_vault, True),
    "package": partial(_of_vault, False),
    "variable": _of_environment,
    "file": _of_file,
}


def _nothing(*_: object, **__: object) -> list[Secret]:
    return []


DEFENCES: dict[str, Defence] = {
    "the filter of a job's output and events": partial(
        replaced, Redactor, "to_payload", lambda _self: json.dumps([[], [], [], []])
    ),
    "the filter of what a killed job leaves": partial(replaced, LocalJobs, "mask", lambda _self, _key: None),
    "the filter of databases": partial(replaced, masking, "mask_parameters", lambda parameters: parameters),
    "the filter of documents": partial(replaced, SecretValues, "document", lambda _self, document: document),
    "the filter of the terminal": partial(replaced, output, "masked", lambda text: text),
    "the filter of JSON": partial(replaced, output, "_masked_data", lambda data: data),
    "the encodings": partial(replaced, encoded_text, "_encoded", lambda _value: iter(())),
    "the decoded view": partial(replaced, redaction, "needles", lambda _value: iter(())),
    "the secrets of the state": partial(replaced, state, "marked_secrets", _nothing),
    "the secrets of the configuration": partial(replaced, config_secrets, "configured_secrets", _nothing),
    "the secrets of vaults": partial(replaced, vaulted.VaultedValues, "secrets", _nothing),
    "the declared variables": partial(replaced, secret, "secret_variables", _nothing),
    "the secret controller files": partial(replaced, known_secrets, "_content", _nothing),
}
