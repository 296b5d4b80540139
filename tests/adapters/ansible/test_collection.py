"""The collection: what its verbs do on a host, that they do it once, and what they refuse."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.ansible.conftest import COLLECTIONS, Stage
from tests.adapters.ansible.test_remote import Host

BY_HAND: dict[str, Any] = {"run": "", "fence": 0}  # no ledger: every request counts


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


def _with(request: bytes, data: bytes, **about: Any) -> bytes:
    """*request* with other *data* for its artifact."""
    head = json.loads(request.partition(b"\n")[0])
    head["artifact"] |= {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), **about}
    return json.dumps(head).encode() + b"\n" + data


def _tree(root: Path) -> dict[str, str]:
    """Every file and link below *root* with what it holds, but for the lock and the fence."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(root))] = f"-> {path.readlink()}"
        elif path.is_file() and path.name != "lock":
            found[str(path.relative_to(root))] = path.read_text()
    return found


@pytest.mark.parametrize("verb", ["deploy", "install", "configure", "switch", "prune", "facts", "probe"])
def test_a_verb_that_has_nothing_to_do_changes_nothing(host: Host, verb: str) -> None:
    """A second request for the same changes nothing, and check mode says so beforehand."""
    for version in ("0.1.0", "0.2.0", "1.0.0"):
        host.ask(host.request(version, **BY_HAND))
    about: dict[str, Any] = {"verbs": [verb], "reads_only": verb == "facts", **BY_HAND}
    before = _tree(host.root)
    for check in (True, False):
        answer = host.ask(host.request(check=check, **about))
        assert (answer.get("failed"), answer["changed"], answer["did"]) == (None, False, [])
        assert answer["orchestrator_release"]["version"] == "1.0.0"
    assert _tree(host.root) == before


@pytest.mark.parametrize(
    ("verbs", "did"),
    [
        (["install"], ["install shop-2.0.0-2.0.0"]),
        (["configure"], ["configure shop.ini"]),
        (["switch"], ["switch to shop-2.0.0-2.0.0"]),
        (["prune"], ["prune shop-0.1.0-0.1.0"]),
        (["revert"], ["switch to shop-0.2.0-0.2.0"]),
        (["restart"], ["restart"]),
        (
            ["deploy"],
            ["install shop-2.0.0-2.0.0", "configure shop.ini", "switch to shop-2.0.0-2.0.0", "restart",
             "prune shop-0.1.0-0.1.0"],
        ),
    ],
)  # fmt: skip
def test_check_mode_tells_what_would_be_done(host: Host, verbs: list[str], did: list[str]) -> None:
    """Check mode tells the changes that the verb makes afterwards, with the difference of files, and makes none."""
    for version in ("0.1.0", "0.2.0", "1.0.0"):
        host.ask(host.request(version, **BY_HAND))
    about: dict[str, Any] = {"verbs": verbs, "keep": 2 if verbs == ["prune"] else 3, **BY_HAND}
    version = "1.0.0" if verbs in (["prune"], ["revert"], ["restart"]) else "2.0.0"
    if verbs in (["configure"], ["switch"]):
        host.ask(host.request(version, **{**about, "verbs": ["install"]}))
    before = _tree(host.root)
    told = host.ask(host.request(version, check=True, **about))
    assert _tree(host.root) == before
    assert (told["changed"], told["did"]) == (True, did)
    if "configure" in str(did):
        assert [(diff["before"], diff["after"]) for diff in told["diff"]] == [("", "2.0.0")]
    done = host.ask(host.request(version, **about))
    assert (done["changed"], [what for what in done["did"] if what in did]) == (True, did)
    assert _tree(host.root) != before


def test_going_back_is_done_once(host: Host) -> None:
    """A host goes back from the release that is undone, and from no other one, however often it is told to."""
    for version in ("0.1.0", "1.0.0", "2.0.0"):
        host.ask(host.request(version, **BY_HAND))
    for changed in (True, False, False):
        answer = host.ask(host.request("2.0.0", verbs=["revert"], **BY_HAND))
        assert (answer["changed"], answer["orchestrator_release"]["version"]) == (changed, "1.0.0")
        assert (host.root / "current" / "version").read_text() == "1.0.0"
    (host.root / "current").unlink()
    (host.root / "current").symlink_to("releases/shop-2.0.0-2.0.0")  # as a crash in the middle leaves it
    assert host.ask(host.request("2.0.0", verbs=["revert"], **BY_HAND))["changed"]
    assert (host.root / "current" / "version").read_text() == "1.0.0"


def test_a_release_changed_on_the_host_is_put_there_again(host: Host) -> None:
    """A file of an installed release that was edited there is never made current: the artifact is unpacked once more."""
    host.ask(host.request("1.0.0", **BY_HAND))
    host.ask(host.request("2.0.0", **BY_HAND))
    (host.root / "releases/shop-1.0.0-1.0.0/version").write_text("tampered")
    assert host.ask(host.request("1.0.0", **{**BY_HAND, "sent": False, "run": "r2"})) == {"need": True}
    answer = host.ask(host.request("1.0.0", **BY_HAND))
    assert answer["did"][:2] == ["found version changed", "install shop-1.0.0-1.0.0"]
    assert (host.root / "current/version").read_text() == "1.0.0"


@pytest.mark.parametrize("kind", ["edited", "removed", "made executable", "configuration"])
def test_a_switch_to_a_changed_release_is_refused(host: Host, kind: str) -> None:
    """Going back to a release whose files were changed on the host is refused, and the file is named."""
    host.ask(host.request("1.0.0", **BY_HAND))
    host.ask(host.request("2.0.0", **BY_HAND))
    there = host.root / "releases/shop-1.0.0-1.0.0"
    name = "shop.ini" if kind == "configuration" else "version"
    changes: dict[str, Callable[[], object]] = {
        "edited": lambda: (there / name).write_text("1.0.1"),
        "removed": (there / name).unlink,
        "made executable": lambda: (there / name).chmod(0o755),
        "configuration": lambda: (there / name).write_text("[other]"),
    }
    changes[kind]()
    answer = host.ask(host.request("2.0.0", verbs=["revert"], **BY_HAND))
    assert answer["failed"]
    assert f"{name} was changed" in answer["msg"]
    assert (host.root / "current/version").read_text() == "2.0.0"


def test_files_that_a_release_writes_are_its_own(host: Host) -> None:
    """What an application writes beside its own files does not make the release another one."""
    host.ask(host.request("1.0.0", **BY_HAND))
    (host.root / "current/cache.bin").write_bytes(b"x")
    answer = host.ask(host.request("1.0.0", **BY_HAND))
    assert answer["changed"] is False
    assert (host.root / "current/cache.bin").exists()


def test_a_link_moved_by_hand_is_told_and_put_right(host: Host) -> None:
    """Where `current` points is what runs, whatever the state file says; the next step moves it back."""
    host.ask(host.request("1.0.0", **BY_HAND))
    host.ask(host.request("2.0.0", **BY_HAND))
    (host.root / "current").unlink()
    (host.root / "current").symlink_to("releases/shop-1.0.0-1.0.0")
    told = host.ask(host.request("2.0.0", verbs=["facts"], reads_only=True, **BY_HAND))
    assert told["orchestrator_release"]["version"] == "1.0.0"
    answer = host.ask(host.request("2.0.0", **BY_HAND))
    assert "switch to shop-2.0.0-2.0.0" in answer["did"]
    assert answer["previous"]["version"] == "1.0.0"


def test_there_must_be_something_to_go_back_to(host: Host) -> None:
    """On a host without an earlier release, going back fails with a reason and changes nothing."""
    host.ask(host.request(**BY_HAND))
    answer = host.ask(host.request(verbs=["revert"], **BY_HAND))
    assert answer["failed"]
    assert "no previous release" in answer["msg"]
    assert (host.root / "current" / "version").read_text() == "1.0.0"


def _tar(*members: tuple[str, bytes, str]) -> bytes:
    """A tar archive of (name, kind, target); kind is tarfile's own."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, target in (("good", tarfile.REGTYPE, ""), *members):
            about = tarfile.TarInfo(name)
            about.type, about.linkname = kind, target
            archive.addfile(about, io.BytesIO(b""))
    return out.getvalue()


def _zip(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("good", *names):
            archive.writestr(name, "x")
    return out.getvalue()


HOSTILE = {
    "up": _tar(("../evil", tarfile.REGTYPE, "")),
    "up in the middle": _tar(("a/../../evil", tarfile.REGTYPE, "")),
    "absolute": _tar(("/tmp/evil", tarfile.REGTYPE, "")),
    "folder up": _tar(("../evil", tarfile.DIRTYPE, "")),
    "symbolic link": _tar(("evil", tarfile.SYMTYPE, "/etc")),
    "through a link": _tar(("evil", tarfile.SYMTYPE, ".."), ("evil/evil", tarfile.REGTYPE, "")),
    "hard link": _tar(("evil", tarfile.LNKTYPE, "../good")),
    "device": _tar(("evil", tarfile.CHRTYPE, "")),
    "pipe": _tar(("evil", tarfile.FIFOTYPE, "")),
    "twice": _tar(("good", tarfile.REGTYPE, "")),
    "zip up": _zip("../evil"),
    "zip absolute": _zip("/tmp/evil"),
    "zip backslash": _zip("..\\evil"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_artifact_is_refused(host: Host, kind: str) -> None:
    """An archive with links or names that lead elsewhere, or devices, is refused, and nothing on the host changes."""
    host.ask(host.request(**BY_HAND))
    before = _tree(host.root)
    around = sorted(host.root.parent.rglob("*evil*"))
    answer = host.ask(_with(host.request("2.0.0", **BY_HAND), HOSTILE[kind]))
    assert answer["failed"], answer
    assert _tree(host.root) == before
    assert sorted(host.root.parent.rglob("*evil*")) == around == []


@pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"size": 1 << 20}])
def test_another_artifact_than_announced_is_refused(host: Host, wrong: dict[str, Any]) -> None:
    """An artifact with another digest, or one that ends early, is refused on the host, and nothing there changes."""
    host.ask(host.request(**BY_HAND))
    before = _tree(host.root)
    data = _tar()
    answer = host.ask(_with(host.request("2.0.0", **BY_HAND), data, **wrong))
    assert answer["failed"]
    assert "artifact" in answer["msg"]
    assert _tree(host.root) == before


@pytest.fixture
def answering() -> Iterator[Callable[[Path], str]]:
    """A service on loopback that answers with the version that a file names, or with an error."""
    told: dict[str, Any] = {"file": None}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            version = told["file"].read_text()
            self.send_response(503 if version == "2.0.0" else 200)
            self.end_headers()
            self.wfile.write(version.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def url(file: Path) -> str:
        told["file"] = file
        return f"http://127.0.0.1:{server.server_port}/"

    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()


def test_a_release_that_does_not_answer_is_taken_back(host: Host, answering: Callable[[Path], str]) -> None:
    """When the probe fails, the release before is current again and restarted, unless it is to be left."""
    probe = {"url": answering(host.root / "current" / "version"), "timeout": 0.2}
    assert host.ask(host.request(probe=probe, **BY_HAND))["changed"]
    restarts = host.restarts()
    answer = host.ask(host.request("2.0.0", probe=probe, **BY_HAND))
    assert answer["failed"]
    assert "answers 503" in answer["msg"]
    assert answer["msg"].endswith("switched back to 1.0.0")
    assert answer["orchestrator_release"]["version"] == "1.0.0"
    assert host.restarts() == restarts + 2
    undone = host.ask(host.request("2.0.0", verbs=["revert"], **BY_HAND))
    assert undone["orchestrator_release"]["version"] == "1.0.0"
    left = host.ask(host.request("2.0.0", probe=probe, on_failure="leave", **BY_HAND))
    assert left["failed"]
    assert left["orchestrator_release"]["version"] == "2.0.0"


PLAYBOOK = """
- hosts: web1
  gather_facts: false
  tasks:
    - orchestrator.release.facts: {}
      register: empty
    - orchestrator.release.install: {}
      register: install
    - orchestrator.release.configure: {config: [{src: shop.ini.j2, dest: shop.ini, mode: "0640"}]}
      register: configure
    - orchestrator.release.switch: {}
      register: switch
    - orchestrator.release.restart: {restart: "echo x >> $RELEASE_ROOT/restarts"}
      register: restart
    - orchestrator.release.prune: {keep: 1}
      register: prune
    - orchestrator.release.facts: {}
      register: facts
    - orchestrator.release.deploy: {restart: [touch, deployed], unknown: 1}
      register: wrong
      ignore_errors: true
    - ansible.builtin.copy:
        content: "{{ [empty, install, configure, switch, restart, prune, facts, wrong] | to_json }}"
        dest: "{{ out }}"
        mode: "0600"
      delegate_to: localhost
      vars: {ansible_connection: local}
      check_mode: false
"""


def test_the_modules_work_under_plain_ansible(stage: Stage) -> None:
    """Every module works under `ansible-playbook` by hand: first told by check mode, then done, then nothing to do."""
    folder = stage.folder.parent / "by-hand"
    (folder / "templates").mkdir(parents=True)
    (folder / "templates" / "shop.ini.j2").write_text("port={{ app_port }}\n")
    (folder / "play.yml").write_text(PLAYBOOK)
    data = _tar()
    (folder / "a.tar").write_bytes(data)
    artifact = {"path": str(folder / "a.tar"), "sha256": hashlib.sha256(data).hexdigest()}
    release = {"name": "shop", "version": "1.0.0", "digest": "sha256:" + "1" * 64, "artifacts": {"a.tar": artifact}}
    hosts = {"all": {"hosts": {"web1": stage.inventory.hosts["web1"]}, "vars": {"release": release}}}
    (folder / "hosts.json").write_text(json.dumps(hosts))

    def play(*words: str) -> list[dict[str, Any]]:
        program = str(Path(sys.executable).parent / "ansible-playbook")
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)}
        env["ANSIBLE_SSH_ARGS"] = "-o ControlMaster=no"  # a socket's path would be too long here
        argv = [program, "-i", "hosts.json", "play.yml", "-e", f"out={folder / 'out.json'}", *words]
        done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return list(json.loads((folder / "out.json").read_text()))

    root = Path(stage.hosts[0].root)
    told = play("--check", "--diff")
    assert [one["changed"] for one in told[:7]] == [False, True, True, True, True, False, False]
    assert told[2]["diff"][0]["after"] == f"port={stage.hosts[0].app_port}\n"
    assert not (root / "releases").exists() or not list((root / "releases").iterdir())
    first = play()
    assert [one["changed"] for one in first[:7]] == [False, True, True, True, True, False, False]
    assert first[0]["orchestrator_release"] == {}
    assert first[6]["orchestrator_release"]["version"] == "1.0.0"
    assert "unknown options: unknown" in first[7]["msg"]
    assert (root / "current" / "shop.ini").read_text() == f"port={stage.hosts[0].app_port}\n"
    again = play()
    assert [one["changed"] for one in again[:7]] == [False, False, False, False, True, False, False]
    assert (root / "restarts").read_text() == "x\nx\n"


ANSWERS = """
import json, sys
sys.path[:0] = [sys.argv[1]]
from ansible_collections.orchestrator.release.plugins.plugin_utils.onetrip import checked_answer
for text in json.load(sys.stdin):
    try:
        print(json.dumps(checked_answer(text)))
    except (ValueError, RecursionError) as error:
        print("refused:", str(error)[:80].replace(chr(10), " "))
"""
WHOLE = {"changed": True, "did": ["install x"], "diff": [{"before": "", "after": "x"}], "installed": ["x"], "previous": {},
         "orchestrator_release": {"digest": "sha256:x", "version": "1", "fence": 3, "run": None}}  # fmt: skip


def test_what_a_host_answers_to_a_module_is_checked() -> None:
    """A module takes the known parts of an answer, each of its kind; anything else, such as facts, is refused."""
    good = [WHOLE, {"need": True}, {**WHOLE, "failed": True, "msg": "no"}]
    wrong: list[dict[str, object]] = [
        {"ansible_facts": {"ansible_connection": "local"}}, {"invocation": {}}, {"_ansible_no_log": False}, {"changed": "yes"},
        {"did": "x"}, {"did": [1]}, {"msg": {}}, {"installed": {"a": 1}}, {"orchestrator_release": []},
        {"orchestrator_release": {"digest": {"a": 1}}}, {"previous": {"a": [1]}}, {"diff": {}}, {"diff": [{"before": 1}]},
        {"exception": "x"}, {"results": []}, {"warnings": []}, {"need": 1},
    ]  # fmt: skip
    bad = [
        "", "[]", "5", "null", "nonsense", "[" * 100_000, json.dumps(WHOLE)[:-1], '{"changed": NaN, "did": 1}',
        *(json.dumps({**WHOLE, **more}) for more in wrong),
    ]  # fmt: skip
    texts = [*map(json.dumps, good), *bad]
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS, str(COLLECTIONS)],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
    )
    answers = done.stdout.splitlines()
    assert [json.loads(text) for text in answers[: len(good)]] == good
    assert [text for text in answers[len(good) :] if not text.startswith("refused:")] == []
    assert len(answers) == len(texts)
