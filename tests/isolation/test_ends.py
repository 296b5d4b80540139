"""The end of a job: no process and no secret of it is left, whatever happened."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.domain.redaction import Redactor
from orchestrator.domain.view import View
from orchestrator.engine.jobs import LocalJobs
from orchestrator.isolation.isolator import NONE, Isolator
from orchestrator.ports import Job
from orchestrator.processes import tagged

ROOT = Path(__file__).resolve().parents[2]
SECRET = "the vault password"
PATIENCE = 20.0

DAEMONS = """
import os, sys, time
beats = sys.argv[1]
for number in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for handle in range(256):
                try:
                    os.close(handle)
                except OSError:
                    pass
            words = [sys.executable, "-I", "-S", "-c", "import time\\nwhile True:\\n open(%r, 'a').write('x'); time.sleep(0.02)"]
            words[-1] = words[-1] % (beats + str(number))
            os.execve(sys.executable, words, {} if number else dict(os.environ))
        os._exit(0)
while not all(os.path.exists(beats + str(number)) for number in range(3)):
    time.sleep(0.01)
"""


def job(folder: Path, code: str, *words: str, timeout: float | None = None, **secrets: bytes) -> Job:
    env, view = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}, View(write=(str(folder),))
    argv = (sys.executable, "-I", "-c", textwrap.dedent(code), *words)
    return Job(key="one", argv=argv, env=env, cwd=folder, timeout=timeout, secrets=secrets, view=view)


def wait(until: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def beats(folder: Path) -> list[int]:
    return [path.stat().st_size for path in sorted(folder.glob("beats*"))]


def still(folder: Path) -> bool:
    """Whether no daemon of the job writes any more."""
    before = beats(folder)
    time.sleep(0.2)
    return beats(folder) == before


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "os.kill(os.getpid(), 9)", "os.abort()"])
def test_daemons_end_with_the_job(either: Isolator, tmp_path: Path, end: str) -> None:
    """Processes that left the session, have another parent and an empty environment end with the job, however it ends."""
    jobs = LocalJobs(tmp_path / "jobs", isolator=lambda: either)
    outcome = jobs.run(job(tmp_path, f"{DAEMONS}\n{end}", str(tmp_path / "beats")))
    assert outcome.how == "exited"
    assert outcome.code == {"": 0, "sys.exit(3)": 3, "os.kill(os.getpid(), 9)": -9, "os.abort()": -6}[end]
    assert len(beats(tmp_path)) == 3
    assert still(tmp_path)


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)"])
def test_daemons_of_an_isolated_job_end_where_processes_may_outlive_it(
    isolator: Isolator, tmp_path: Path, end: str
) -> None:
    """What an isolated Pulumi program leaves in its namespace ends with it: only hosts, which are outside, outlive it."""
    jobs = LocalJobs(tmp_path / "jobs", isolator=lambda: isolator)
    outcome = jobs.run(replace(job(tmp_path, f"{DAEMONS}\n{end}", str(tmp_path / "beats")), outlived=True))
    assert outcome.code == (-9 if end else 0)
    assert len(beats(tmp_path)) == 3
    assert still(tmp_path)


def test_daemons_end_with_a_job_that_takes_too_long(either: Isolator, tmp_path: Path) -> None:
    """After its time limit nothing of a job is left."""
    jobs = LocalJobs(tmp_path / "jobs", isolator=lambda: either)
    outcome = jobs.run(job(tmp_path, f"{DAEMONS}\ntime.sleep(60)", str(tmp_path / "beats"), timeout=3))
    assert outcome.how == "timeout"
    assert still(tmp_path)


ORCHESTRATOR = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from orchestrator.domain.view import View
from orchestrator.engine.jobs import LocalJobs
from orchestrator.isolation.isolator import Isolator
from orchestrator.ports import Job
folder, kind, path, code = sys.argv[2:]
jobs = LocalJobs(Path(folder) / "jobs", isolator=lambda: Isolator(kind, path))
words = (sys.executable, "-I", "-c", code, folder + "/beats")
env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
view = View(write=(folder,))
jobs.run(Job(key="one", argv=words, env=env, cwd=Path(folder), secrets={"vault": sys.stdin.buffer.read()}, view=view))
"""


def begun(isolator: Isolator, folder: Path, code: str) -> "subprocess.Popen[bytes]":
    """An orchestrator of its own that runs the job with a secret file; it waits until the job has started daemons."""
    words = [sys.executable, "-c", ORCHESTRATOR, str(ROOT), str(folder), isolator.kind, isolator.path, code]
    process = subprocess.Popen(words, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(SECRET.encode())
    process.stdin.close()
    wait(lambda: len(beats(folder)) == 3 or process.poll() is not None, "the job does not start")
    return process


def on_disk(folder: Path) -> list[str]:
    """The files that hold the secret."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def supervisors(folder: Path) -> list[int]:
    found = []
    for process in tagged(f"ORCHESTRATOR_JOB={folder / 'jobs/one'}"):
        with contextlib.suppress(OSError):  # one may end while we go through them
            words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
            if b"supervisor" in b" ".join(words) and os.fsencode(folder / "jobs/one") in words:
                found.append(process)
    return found


def test_secrets_and_daemons_end_after_the_orchestrator_was_killed(either: Isolator, tmp_path: Path) -> None:
    """A job goes on after `kill -9` of the orchestrator, and when it ends its secret files and its processes are gone."""
    code = DAEMONS + "\nwhile not os.path.exists(sys.argv[1] + '-stop'):\n    time.sleep(0.01)"
    process = begun(either, tmp_path, code)
    place = tmp_path / "jobs/one/secrets"
    assert on_disk(tmp_path) == ([] if either.isolates else [str(place / "vault")])
    process.kill()
    process.wait()
    (tmp_path / "beats-stop").touch()
    wait((tmp_path / "jobs/one/outcome.json").exists, "the job does not end")
    assert json.loads((tmp_path / "jobs/one/outcome.json").read_text())["code"] == 0
    assert on_disk(tmp_path) == []
    assert still(tmp_path)
    wait(lambda: not tagged(f"ORCHESTRATOR_JOB={tmp_path / 'jobs/one'}"), "the supervisor does not end")


def test_an_isolated_job_ends_with_its_supervisor(isolator: Isolator, tmp_path: Path) -> None:
    """After `kill -9` of orchestrator and supervisor nothing of an isolated job runs on, and no file has the secret."""
    process = begun(isolator, tmp_path, DAEMONS + "\ntime.sleep(60)")
    process.kill()
    process.wait()
    for number in supervisors(tmp_path):
        os.kill(number, signal.SIGKILL)
    wait(lambda: not tagged(f"ORCHESTRATOR_JOB={tmp_path / 'jobs/one'}"), "processes are left")
    wait(lambda: still(tmp_path), "daemons are left")
    assert on_disk(tmp_path) == []
    outcome = LocalJobs(tmp_path / "jobs").run(job(tmp_path, ""))
    assert outcome.how == "lost"


def test_a_recovery_removes_secrets_of_a_job_that_is_not_isolated(tmp_path: Path) -> None:
    """Without isolation the command that recovers a job whose supervisor was killed removes its secret files."""
    code = "import sys, time\nfor number in range(3): open(f'{sys.argv[1]}{number}', 'w')\ntime.sleep(60)"
    process = begun(NONE, tmp_path, code)
    process.kill()
    process.wait()
    for number in supervisors(tmp_path):
        os.kill(number, signal.SIGKILL)
    assert len(on_disk(tmp_path)) == 1
    assert LocalJobs(tmp_path / "jobs").run(job(tmp_path, "")).how == "lost"
    assert on_disk(tmp_path) == []


def test_stopping_ends_processes_without_a_mark(either: Isolator, tmp_path: Path) -> None:
    """A job that is stopped leaves no process, also none that has cleared its environment."""
    process = begun(either, tmp_path, DAEMONS + "\ntime.sleep(60)")
    LocalJobs(tmp_path / "jobs").stop("one")
    process.wait(PATIENCE)
    assert still(tmp_path)
    assert on_disk(tmp_path) == []


SETTLING = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from orchestrator.engine.jobs import LocalJobs
from orchestrator.ports import Job
folder = Path(sys.argv[2])
jobs = LocalJobs(folder / "jobs")
print("ready", flush=True)
sys.stdin.read()
if sys.argv[3] == "stops":
    jobs.stop("one")
print(jobs.run(Job(key="one", argv=("true",), env={}, cwd=folder, view=None)).how)
"""


def test_processes_that_settle_a_job_at_once_agree(tmp_path: Path) -> None:
    """The process that waits for a job whose supervisor is killed, those that take over and those that stop it all find it
    ended, without an error, and nothing of its secrets or its named pipes is left.
    """
    code = """
        import os, sys, time
        job = os.environ["ORCHESTRATOR_JOB"]
        for number in range(3000):
            os.mkfifo(f"{job}/pipe{number}")
            os.symlink("/", f"{job}/secrets/link{number}")
        for number in range(3): open(f"{sys.argv[1]}{number}", "w")
        time.sleep(60)
    """
    process = begun(NONE, tmp_path, textwrap.dedent(code))
    others = [
        subprocess.Popen(
            [sys.executable, "-c", SETTLING, str(ROOT), str(tmp_path), what],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for what in ("recovers", "stops") * 3
    ]  # fmt: skip
    assert {other.stdout.readline() for other in others if other.stdout is not None} == {b"ready\n"}
    for number in supervisors(tmp_path):
        os.kill(number, signal.SIGKILL)
    for other in others:
        assert other.stdin is not None
        other.stdin.close()
        other.stdin = None
    ended = [other.communicate() for other in others]
    assert {error for _, error in ended} == {b""}
    assert {out for out, _ in ended} <= {b"lost\n", b"stopped\n"}
    assert process.wait(PATIENCE) == 0
    assert on_disk(tmp_path) == []
    assert not [path for path in (tmp_path / "jobs/one").iterdir() if path.is_fifo() or path.name == "secrets"]


def test_secret_files_go_whatever_the_job_put_beside_them(tmp_path: Path) -> None:
    """Folders of any depth and links in the folder of secret files keep none of them, and what a link leads to stays."""
    code = """
        import os, sys
        job = os.environ["ORCHESTRATOR_JOB"]
        os.symlink(sys.argv[1], job + "/secrets/link")
        os.chdir(job + "/secrets")
        for _ in range(1500):
            os.mkdir("a"); os.chdir("a")
    """
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").touch()
    jobs = LocalJobs(tmp_path / "jobs")
    assert jobs.run(job(tmp_path, code, str(tmp_path / "outside"), vault=b"x")).code == 0
    assert not (tmp_path / "jobs/one/secrets").exists()
    assert (tmp_path / "outside/file").exists()


def test_a_job_without_its_secrets_is_not_started(either: Isolator, tmp_path: Path) -> None:
    """A job whose secret files never came, since the process that had them died, is started by the next one, with them."""
    from orchestrator.engine import supervisor

    jobs = LocalJobs(tmp_path / "jobs", isolator=lambda: either)
    wanted = job(
        tmp_path, "import os; print(open(os.environ['ORCHESTRATOR_JOB'] + '/secrets/vault').read())", vault=b"x"
    )
    folder = jobs.folder("one")
    jobs._prepare(folder, wanted)
    words, env = [*supervisor.COMMAND, str(folder)], {**wanted.env, supervisor.MARK: str(folder)}
    whole, none = (supervisor.Given(Redactor(), files).line() for files in ({"vault": b"x"}, {}))
    for given in (b"", whole[:-1], whole[:9], none):
        done = subprocess.run(words, env=env, input=given, check=False)
        assert done.returncode == supervisor.LATE
        assert not (folder / "started").exists()
    assert jobs.run(wanted).code == 0
    assert (folder / "output.log").read_text() == "x\n"


def test_a_job_that_an_older_version_prepared(tmp_path: Path) -> None:
    """A job that was prepared and not started before an upgrade runs as it was described then."""
    jobs = LocalJobs(tmp_path / "jobs")
    folder = jobs.folder("one")
    folder.mkdir(parents=True)
    description = {"argv": [sys.executable, "-c", "print('as before')"], "cwd": str(tmp_path), "timeout": None}
    (folder / "job.json").write_text(json.dumps(description))
    assert jobs.run(job(tmp_path, "print('never')")).code == 0
    assert (folder / "output.log").read_text() == "as before\n"


FORGING = """
import json, os, sys
job, secret = os.environ["ORCHESTRATOR_JOB"], sys.argv[1]
with open(job + "/outcome.json", "w") as file:
    json.dump({"how": "exited", "code": 0, "seconds": 0}, file)
for name in ("result.json", "files", "files.json.new", "content", "home"):
    os.symlink(secret, job + "/" + name)
os.mkfifo(job + "/asked")
try:
    os.rename(job + "/events.pipe", job + "/moved")
    os.symlink(secret, job + "/events.pipe")
except OSError:
    pass
for name in ("job.json", "started", "output.log", "events.jsonl"):
    try:
        os.rename(job + "/" + name, job + "/moved")
    except OSError:
        print("kept", name)
sys.exit(7)
"""


FORGED = """
with open(os.environ["ORCHESTRATOR_JOB"] + "/outcome.json", "w") as file:
    json.dump({"how": "exited", "code": 0, "seconds": 0}, file)
"""


def test_a_job_cannot_answer_for_itself(either: Isolator, tmp_path: Path) -> None:
    """An outcome that a job writes does not count, and links that it leaves are gone before anything is read there."""
    secret = tmp_path / "events"
    secret.write_text('{"number": 1}\n')
    jobs, seen = LocalJobs(tmp_path / "jobs", isolator=lambda: either), list[object]()
    outcome = jobs.run(job(tmp_path, FORGING, str(secret)), lambda _line, event: seen.append(event))
    assert (outcome.how, outcome.code) == ("exited", 7)
    assert seen == []
    left = {
        path.name for path in outcome.folder.iterdir() if path.is_symlink() or not (path.is_file() or path.is_dir())
    }
    assert left == set()
    if either.isolates:
        kept = ("job.json", "started", "output.log", "events.jsonl")
        assert (outcome.folder / "output.log").read_text().splitlines() == [f"kept {name}" for name in kept]


def test_an_outcome_of_a_running_job_is_not_believed(either: Isolator, tmp_path: Path) -> None:
    """Who attaches to a job that has written an outcome itself waits for its end."""
    process = begun(either, tmp_path, f"{DAEMONS}\nimport json\n{FORGED}\ntime.sleep(1)\nsys.exit(7)")
    wait((tmp_path / "jobs/one/outcome.json").exists, "nothing is forged")
    outcome = LocalJobs(tmp_path / "jobs").run(job(tmp_path, ""))
    assert outcome.code == 7
    process.wait(PATIENCE)
