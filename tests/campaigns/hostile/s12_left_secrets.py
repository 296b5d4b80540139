"""Secret files of a job whose orchestrator, supervisor or own process is killed, at each point and with each kind of file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from itertools import product
from pathlib import Path
from random import Random

from orchestrator.domain.view import View
from orchestrator.engine import supervisor
from orchestrator.engine.jobs import LocalJobs
from orchestrator.isolation.find import available
from orchestrator.isolation.isolator import NONE, Isolator
from orchestrator.ports import Job
from orchestrator.processes import tagged
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced

LINE = "S12"
ABOUT = "a secret file of a job stays behind when something is killed"
ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 15.0

ORCHESTRATOR = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from orchestrator.domain.view import View
from orchestrator.engine.jobs import LocalJobs
from orchestrator.isolation.isolator import Isolator
from orchestrator.ports import Job
folder, kind, path, code, name = sys.argv[2:]
jobs = LocalJobs(Path(folder) / "jobs", isolator=lambda: Isolator(kind, path))
env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
words = (sys.executable, "-I", "-S", "-c", code, folder, name)
secrets = {name: sys.stdin.buffer.read()}
jobs.run(Job(key="one", argv=words, env=env, cwd=Path(folder), secrets=secrets, view=View(write=(folder,))))
"""
BEGIN = """
import os, sys, time
folder, name = sys.argv[1:]
place = os.environ["ORCHESTRATOR_JOB"] + "/secrets/" + name
"""
KINDS = {
    "is only read": "data = open(place, 'rb').read()",
    "is held open": "held = open(place, 'rb'); held.read()",
    "is mapped": "import mmap; f = open(place, 'rb'); held = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)",
    "is read by another process": "import subprocess; subprocess.run(['cat', place], stdout=subprocess.DEVNULL)",
    "is linked": "os.link(place, place + '.linked')",
    "is renamed": "os.rename(place, place + '.moved')",
    "is copied beside it": "open(place + '.copied', 'wb').write(open(place, 'rb').read())",
    "is closed to its owner": "os.chmod(place, 0)",
}  # fmt: skip
"""What the job does with its secret file."""

KILLED = (
    "nothing",
    "the orchestrator",
    "the supervisor",
    "the orchestrator and the supervisor",
    "the job",
    "everything",
)


def cases(seed: int) -> Iterator[Case]:
    """Each use of the file with each that is killed; the isolator follows from the seed, and the size of the file too."""
    random = Random(seed)
    for kind, killed in product(KINDS, KILLED):
        size, isolated = random.choice((1, 4096, 200_000)), random.random() < 0.5
        yield Case(f"a file that {kind}, where {killed} is killed", partial(_attempt, kind, killed, size, isolated))
    for killed in KILLED[:4]:
        yield Case(f"a file that is never read, where {killed} is killed", partial(_attempt, "", killed, 10, False))


def _attempt(kind: str, killed: str, size: int, isolated: bool, yard: Yard) -> Outcome:
    isolator = available(os.environ["PATH"]) if isolated else NONE
    secret = f"secret {yard.canary}".encode() * size
    code = f"{BEGIN}\n{KINDS.get(kind, '')}\nopen(folder + '/begun', 'w')\ntime.sleep({0.0 if killed == 'nothing' else 60.0})\n"
    words = [
        sys.executable,
        "-c",
        ORCHESTRATOR,
        str(ROOT),
        str(yard.inside),
        isolator.kind,
        isolator.path,
        code,
        "vault",
    ]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(secret)
        process.stdin.close()
        if not _until((yard.inside / "begun").exists):
            return Outcome(accepted="the job does not start")
        _kill(killed, process, yard.inside / "jobs/one")
        _recovered(yard.inside, isolator)
        process.kill()
    left = [str(path) for path in yard.inside.rglob("*") if path.is_file() and yard.canary.encode() in _bytes(path)]
    return Outcome(accepted=", ".join(left)) if left else HELD


def _bytes(path: Path) -> bytes:
    path.chmod(0o600)
    return path.read_bytes()


def _kill(killed: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Kill what is *killed*; where nothing is, the job ends."""
    if "orchestrator" in killed or killed == "everything":
        process.kill()
        process.wait()
    started = folder / "started"
    if ("supervisor" in killed or killed == "everything") and started.exists():
        os.kill(int(started.read_text()), signal.SIGKILL)
    if killed in {"the job", "everything"}:
        for number in tagged(f"{supervisor.MARK}={folder}"):
            if not started.exists() or number != int(started.read_text()):
                _send(number)


def _send(number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)


def _recovered(folder: Path, isolator: Isolator) -> None:
    """What the next command does: it waits for the job, or settles it. A job that goes on is stopped."""
    jobs = LocalJobs(folder / "jobs", isolator=lambda: isolator)
    if not _until((folder / "jobs/one/outcome.json").exists, 0.5):
        jobs.stop("one")
    jobs.run(Job(key="one", argv=("true",), env={}, cwd=folder, view=View()))


def _until(done: Callable[[], bool], patience: float = PATIENCE) -> bool:
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _kept() -> AbstractContextManager[object]:
    return replaced(supervisor, "remove_secrets", lambda _folder: None)


DEFENCES: Mapping[str, Defence] = {"a recovery removes secret files": _kept}
