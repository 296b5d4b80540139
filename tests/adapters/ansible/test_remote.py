"""The host's side of the collection, and the shell script that shares its files, without any connection."""

import contextlib
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import web

PACKAGE = Path(__file__).resolve().parents[3] / "orchestrator"
REMOTE = PACKAGE / "ansible/ansible_collections/orchestrator/release/plugins/module_utils/remote.py"
SCRIPT = PACKAGE / "adapters/ansible/ledger.sh"
CHILD = """
import importlib.util, io, json, os, sys
spec = importlib.util.spec_from_file_location("remote", sys.argv[1])
remote = importlib.util.module_from_spec(spec)
spec.loader.exec_module(remote)
left = int(os.environ.get("CRASH", "0"))
rename = os.rename
def crashing(*words):
    global left
    left -= 1
    if left == 0 and os.environ.get("WHEN") == "before": os._exit(9)
    rename(*words)
    if left == 0: os._exit(9)
os.rename = crashing
print(json.dumps(remote.run(sys.stdin.buffer)))
"""


class Host:
    """One host: a root, a home, and what is asked of it."""

    def __init__(self, folder: Path) -> None:
        self.root, self.home = folder / "root", folder / "home"
        self.root.mkdir(parents=True)
        self.home.mkdir()
        self.count = self.root / "restarts"

    def request(self, version: str = "1.0.0", **more: Any) -> bytes:
        data = _artifact(version)
        about = {
            "verbs": ["deploy"],
            "reads_only": False,
            "check": False,
            "root": str(self.root),
            "release": {"name": "shop", "version": version, "digest": f"sha256:{version}"},
            "run": "r1",
            "fence": 1,
            "step": "deploy.1",
            "attempt": 1,
            "host": "web1",
            "below": "p.e.web1",
            "part": "p1",
            "artifact": {"name": "a.tar", "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)},
            "shared": [],
            "config": [{"dest": "shop.ini", "content": version, "mode": "0644"}],
            "restart": f"echo x >> {self.count}",
            "service": None,
            "probe": None,
            "on_failure": "revert",
            "keep": 5,
            "sent": True,
            **more,
        }
        return json.dumps(about).encode() + b"\n" + data

    def start(self, request: bytes, **env: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(REMOTE)],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(request)
        process.stdin.close()
        process.stdin = None
        return process

    def ask(self, request: bytes, **env: str) -> dict[str, Any]:
        """The host's answer; nothing when it died."""
        out, _ = self.start(request, **env).communicate(timeout=60)
        return json.loads(out) if out else {}

    def shell(
        self, verb: str, fence: int = 1, run: str = "r1", *, shell: str = "dash", root: bool = True
    ) -> tuple[int, str]:
        words = [verb, str(self.root) if root else "", "p.e.web1", str(fence), run, "deploy.1", "web1", "1", "sha256:x"]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        done = subprocess.run(
            [shell, str(SCRIPT), *words], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert not done.stderr
        return done.returncode, done.stdout

    def file(self, name: str) -> Path:
        return self.root / ".orchestrator" / name

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file("ledger.jsonl").read_text().splitlines()]

    def restarts(self) -> int:
        return self.count.read_text().count("x") if self.count.exists() else 0


def _artifact(version: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        about = tarfile.TarInfo("version")
        about.size = len(version)
        archive.addfile(about, io.BytesIO(version.encode()))
    return out.getvalue()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


@pytest.fixture(params=["dash", "bash"])
def sh(request: pytest.FixtureRequest, host: Host) -> Callable[..., tuple[int, str]]:
    """The script under a shell, on the host."""
    with contextlib.suppress(FileNotFoundError):
        subprocess.run([request.param, "-c", ":"], check=True)
        return lambda *words, **more: host.shell(*words, shell=request.param, **more)
    pytest.skip(f"there is no {request.param}")


def test_an_older_fence_is_refused(host: Host) -> None:
    """A request with an older fence changes nothing and says why."""
    host.ask(host.request(fence=5))
    before = sorted(path for path in host.root.rglob("*"))
    answer = host.ask(host.request("2.0.0", fence=4, run="r0"))
    assert answer["failed"]
    assert "fence 4 is older than 5" in answer["msg"]
    assert sorted(path for path in host.root.rglob("*")) == before


def test_a_part_that_is_done_is_not_done_again(host: Host) -> None:
    """A second attempt at a step that its ledger calls done changes nothing, and still asks the probe."""
    assert host.ask(host.request())["changed"]
    again = host.ask(host.request(attempt=2))
    assert (again["changed"], again["did"]) == (False, ["already done, by the ledger of the host"])
    dead = {"url": "http://127.0.0.1:9/", "timeout": 0}
    assert host.ask(host.request(attempt=3, probe=dead))["failed"]
    assert host.restarts() == 1


def test_whoever_takes_over_finds_what_is_done(host: Host) -> None:
    """On another machine a step is begun as if for the first time, with a higher fence: what is done is not done again."""
    host.ask(host.request())
    restart: dict[str, Any] = {"verbs": ["restart"], "part": "p2"}
    assert host.ask(host.request(**restart))["changed"]
    assert not host.ask(host.request(**restart, fence=2))["changed"]
    assert host.ask(host.request(**restart, fence=2))["changed"]


def test_a_playbook_may_do_the_same_twice(host: Host) -> None:
    """Two equal tasks of one attempt are both done, and a second attempt does neither, but a third task once."""
    host.ask(host.request())
    restart: dict[str, Any] = {"verbs": ["restart"], "part": "p2"}
    assert [host.ask(host.request(**restart))["changed"] for _ in range(2)] == [True, True]
    again = [host.ask(host.request(**restart, attempt=2))["changed"] for _ in range(3)]
    assert again == [False, False, True]
    assert host.restarts() == 4


def test_what_counts_as_the_same(host: Host) -> None:
    """Another run, step, host or part is other work, and so is everything without a run."""
    host.ask(host.request())
    restart: dict[str, Any] = {"verbs": ["restart"], "part": "p2", "attempt": 2}
    host.ask(host.request(**{**restart, "attempt": 1}))
    for other in ({"run": "r2"}, {"step": "restore.deploy"}, {"host": "web2"}, {"part": "p3"}, {"run": ""}):
        assert host.ask(host.request(**{**restart, **other}))["changed"]


def test_without_a_run_there_is_no_ledger(host: Host) -> None:
    """By hand, without a run, modules work as ever and write no ledger."""
    assert host.ask(host.request(run="", fence=0))["changed"]
    assert not host.file("ledger.jsonl").exists()
    assert not host.ask(host.request(run="", fence=0))["changed"]


@pytest.mark.parametrize("rubbish", [b"", b"\x00\xff\x00", b"-3\n", b"12abc", b"99999999999999999999", b"7\n8x"])
def test_a_spoiled_fence_is_known_from_the_ledger(
    host: Host, sh: Callable[..., tuple[int, str]], rubbish: bytes
) -> None:
    """Where the fence's file is rubbish, the ledger's lines tell the newest fence, to Python and to the shell."""
    host.ask(host.request(fence=8))
    host.file("fence").write_bytes(rubbish)
    assert host.ask(host.request(fence=7, run="r0"))["failed"]
    assert sh("claim", 7, "r0")[0] == 75
    assert sh("claim", 8)[0] == 0
    assert host.file("fence").read_text() == "8\n"


@pytest.mark.parametrize("rubbish", [b"\x00\xff{", b'{"run": "r1", "ste', b"[1]\n\n{}\n", b'{"fence": "x"}'])
def test_a_spoiled_ledger_stops_nothing(host: Host, sh: Callable[..., tuple[int, str]], rubbish: bytes) -> None:
    """Lines that cannot be read are left out, and what is written after them can be read."""
    host.ask(host.request(fence=8))
    with host.file("ledger.jsonl").open("ab") as file:
        file.write(rubbish)
    assert sh("claim", 8)[0] == 0
    assert sh("record", 8)[0] == 0
    assert "done" in sh("look", 0)[1].splitlines()[-1]
    with host.file("ledger.jsonl").open("ab") as file:
        file.write(rubbish)
    assert not host.ask(host.request(fence=9, attempt=2))["changed"]
    assert host.lines()[-1]["fence"] == 9


def test_the_fence_of_old_states_counts(host: Host, sh: Callable[..., tuple[int, str]]) -> None:
    """A fence that an earlier version kept in state.json is honoured, by Python and by the shell."""
    host.file("").mkdir()
    host.file("state.json").write_text(json.dumps({"fence": 6}, indent=1))
    assert sh("claim", 5)[0] == 75
    assert host.ask(host.request(fence=5))["failed"]
    assert host.ask(host.request(fence=6))["changed"]
    assert "fence" not in json.loads(host.file("state.json").read_text())


def test_shell_and_python_read_each_other(host: Host, sh: Callable[..., tuple[int, str]]) -> None:
    """A fence that the one has seen the other refuses to go below, and both write one ledger."""
    assert sh("claim", 3) == (0, "")
    assert host.ask(host.request(fence=2, run="r0"))["failed"]
    assert host.ask(host.request(fence=4))["changed"]
    code, said = sh("claim", 3)
    assert code == 75
    assert said.startswith("refused: fence 3 is older than 4")
    assert sh("record", 3)[0] == 75
    assert sh("record", 4) == (0, "")
    assert [(line["part"], line["outcome"]) for line in host.lines()] == [
        ("", "began"), ("p1", "began"), ("p1", "done"), ("", "done"),
    ]  # fmt: skip
    assert list(host.lines()[0]) == list(host.lines()[1])
    assert sh("look", 0)[1].splitlines()[0] == "@fence 4"
    assert len(sh("look", 0)[1].splitlines()) == 5
    assert [json.loads(line.partition(" ")[2])["outcome"] for line in sh("ask", 0)[1].splitlines()[1:]] == [
        "began",
        "done",
    ]


@pytest.mark.parametrize("token", [9, 10, 9_999_999, 2**31 - 1, 2**31, 2**31 + 1, 10**14, 10**15 - 2])
def test_tokens_are_compared_as_numbers_of_one_width(
    host: Host, sh: Callable[..., tuple[int, str]], token: int
) -> None:
    """Shell and Python compare tokens by their value, on both sides of 2^31 and up to 15 digits."""
    assert sh("claim", token)[0] == 0
    assert sh("look", 0)[1].splitlines()[0] == f"@fence {token}"
    assert sh("claim", token - 1)[0] == 75
    assert host.ask(host.request(fence=token - 1))["failed"]
    assert host.ask(host.request(fence=token + 1))["changed"]
    assert sh("claim", token)[0] == 75
    assert sh("claim", token + 1)[0] == 0


def test_a_token_of_sixteen_digits_is_refused(host: Host, sh: Callable[..., tuple[int, str]]) -> None:
    """A host refuses a token that it could not read again, and ignores one that stands in its ledger."""
    code, said = sh("claim", 10**15)
    assert (code, said.startswith("refused: fence")) == (75, True)
    assert host.ask(host.request(fence=10**15))["msg"].startswith("refused: fence")
    assert sh("claim", 5)[0] == 0
    host.file("fence").write_text("9" * 16)
    assert sh("look", 0)[1].splitlines()[0] == "@fence 5"


@pytest.mark.parametrize(
    "state", ["[]", "5", '{"current": [1]}', '{"current": "x", "previous": 7}', "[" * 100_000, "\0"]
)
def test_a_state_of_another_shape_is_none(host: Host, state: str) -> None:
    """A state file that is no state is read as none, and the release is put there."""
    host.file("").mkdir()
    host.file("state.json").write_text(state)
    answer = host.ask(host.request())
    assert answer["changed"]
    assert answer["orchestrator_release"]["version"] == "1.0.0"


def test_a_host_without_a_root_remembers_at_home(host: Host, sh: Callable[..., tuple[int, str]]) -> None:
    """Without a release root, and where it cannot be written, the ledger is below the home, and both fences count."""
    assert sh("claim", 5, root=False)[0] == 0
    assert (host.home / ".orchestrator-release/p.e.web1/fence").read_text() == "5\n"
    assert not host.file("").exists()
    assert sh("claim", 4)[0] == 75
    assert host.ask(host.request(fence=4))["failed"]


def test_a_ledger_that_cannot_be_written_stops_before_anything(host: Host, sh: Callable[..., tuple[int, str]]) -> None:
    """Where neither place can be written, the claim is refused with a reason."""
    (host.home / ".orchestrator-release").write_text("a file")
    code, said = sh("claim", 5, root=False)
    assert code == 74
    assert "cannot be written" in said


def test_the_ledger_is_bounded(host: Host, sh: Callable[..., tuple[int, str]]) -> None:
    """The ledger keeps its last 500 lines, whoever writes."""
    host.ask(host.request())
    line = host.file("ledger.jsonl").read_text().splitlines()[0] + "\n"
    host.file("ledger.jsonl").write_text(line * 700)
    sh("claim", 1)
    assert (len(host.lines()), host.lines()[-1]["part"]) == (500, "")
    host.file("ledger.jsonl").write_text(line * 700)
    host.ask(host.request(attempt=2, part="p2"))
    assert (len(host.lines()), host.lines()[-1]["outcome"]) == (500, "done")


@pytest.mark.parametrize("older", ["python", "shell"])
def test_who_waits_for_the_lock_is_refused_by_what_came_meanwhile(host: Host, older: str) -> None:
    """An older fence that waits while a newer one works loses, and the newer one's work stands."""
    slow = host.start(host.request("2.0.0", fence=9, run="r9", restart=f"touch {host.root}/busy; sleep 1"))
    try:
        _until((host.root / "busy").exists)
        began = time.monotonic()
        if older == "python":
            assert "fence 8 is older" in host.ask(host.request(fence=8))["msg"]
        else:
            assert host.shell("claim", 8)[0] == 75
        assert time.monotonic() - began > 0.3
        assert json.loads(slow.communicate(timeout=30)[0])["changed"]
    finally:
        slow.kill()
        slow.wait()
    assert str((host.root / "current").readlink()).startswith("releases/shop-2.0.0")


def test_a_question_waits_for_what_is_in_flight(host: Host) -> None:
    """`ask` tells what a module that was still at work has done, and `look` does not wait for it."""
    slow = host.start(host.request(restart=f"touch {host.root}/busy; sleep 1"))
    try:
        _until((host.root / "busy").exists)
        began = time.monotonic()
        assert '"outcome": "done"' not in host.shell("look")[1]
        assert host.shell("ask")[0] == 0
        assert '"outcome": "done"' in host.shell("look")[1]
        assert time.monotonic() - began > 0.3
    finally:
        slow.kill()
        slow.wait()


def test_many_at_once_leave_the_newest_fence(host: Host) -> None:
    """Of many claims at one moment, by shell and by Python, the highest fence stands, and no line is torn."""
    script, started = [str(SCRIPT), "claim", str(host.root), "p.e.web1"], []
    host.ask(host.request(fence=1))
    env = {"PATH": os.environ["PATH"], "HOME": str(host.home)}
    for fence in (3, 9, 2, 8, 5, 7, 4, 6):
        words = ["sh", *script, str(fence), f"r{fence}", "deploy.1", "web1", "1", "x"]
        started.append(subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL))
        started.append(host.start(host.request(fence=fence, run=f"r{fence}", restart=None)))
    for process in started:
        process.communicate(timeout=60)
    assert host.file("fence").read_text() == "9\n"
    fences = [line["fence"] for line in host.lines()]
    assert fences == sorted(fences)
    assert {line["outcome"] for line in host.lines()} <= {"began", "done"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_rename_is_made_good(tmp_path: Path, when: str) -> None:
    """Killed before or after any rename, `current` leads to a whole release, and a second attempt ends as if nothing had been."""
    number = 0
    while True:
        number += 1
        host = Host(tmp_path / f"{number}")
        host.ask(host.request(part="p0", run="r0"))
        crashed = host.ask(host.request("2.0.0", fence=2), CRASH=str(number), WHEN=when)
        if crashed:
            break
        assert (host.root / "current" / "version").read_text() in {"1.0.0", "2.0.0"}
        assert (host.root / "current" / "shop.ini").exists()
        done = host.lines()[-1]["outcome"] == "done" and host.lines()[-1]["run"] == "r1"
        restarts = host.restarts()
        answer = host.ask(host.request("2.0.0", fence=2, attempt=2))
        assert not answer.get("failed"), answer
        assert (host.root / "current" / "version").read_text() == "2.0.0"
        assert host.restarts() >= 2, f"rename {number}: the service still runs what was there before"
        assert host.restarts() == restarts if done else True
        assert host.lines()[-1]["outcome"] == "done"
        assert not [
            path for path in host.root.rglob(".*") if path.name.startswith((".new-", ".incoming-", ".current-"))
        ]
        assert host.ask(host.request("2.0.0", fence=1, run="r0"))["failed"]
    assert number > 8


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


ASKING = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("remote", sys.argv[1])
remote = importlib.util.module_from_spec(spec)
spec.loader.exec_module(remote)
print(json.dumps(remote.Host.look(None, json.loads(sys.argv[2]))))
"""


def _asked(url: str, **more: Any) -> str | None:
    """Why the service at *url* does not answer as wanted; None: it does."""
    words = [sys.executable, "-c", ASKING, str(REMOTE), json.dumps({"url": url, **more})]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    why: str | None = json.loads(done.stdout)
    return why


def test_what_a_service_says_is_told(server: web.Server) -> None:
    """A service is asked wherever it leads, and what it answers instead of what is wanted is told."""
    server.answers |= {"/": (200, "1.0.0"), "/old": (302, f"{server.url}/"), "/down": (503, "starting")}
    assert _asked(f"{server.url}/", contains="1.0.0") is None
    assert _asked(f"{server.url}/old", contains="1.0.0") is None
    assert _asked(f"{server.url}/", contains="2.0.0") == "answers without '2.0.0': 1.0.0"
    assert _asked(f"{server.url}/down") == "answers 503: starting"
    assert _asked(f"{server.url}/down", status=503) is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://no.such.host.invalid/", "ftp:x"])
def test_nobody_there_is_said_as_such(url: str) -> None:
    """Where nothing answers, or nothing can, that is what is said."""
    assert str(_asked(url)).startswith("does not answer: ")


def test_what_is_no_http_is_said_as_such() -> None:
    """A service that speaks something else is named as that, and is no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            link, _ = listening.accept()
            with link:
                link.sendall(b"220 mail.example ESMTP\r\n")
                link.recv(4096)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        why = str(_asked(f"http://127.0.0.1:{listening.getsockname()[1]}/"))
        thread.join(20)
    assert why.startswith("does not answer: this is no HTTP: BadStatusLine")
