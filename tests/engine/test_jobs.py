"""Child processes that outlive us, and are found again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.domain.secret import Secret
from orchestrator.domain.view import View
from orchestrator.engine import masked_files, supervisor
from orchestrator.engine.jobs import LocalJobs
from orchestrator.ports import Job
from orchestrator.processes import tagged
from orchestrator.secret_values import SecretValues

ROOT = Path(__file__).resolve().parents[2]
COUNTING = """
import json, os, sys, time
folder = os.environ["ORCHESTRATOR_JOB"]
with open("ran", "a") as ran:
    ran.write("x")
for number in range(int(sys.argv[1])):
    with open(f"{folder}/events.pipe", "a") as events:
        events.write(json.dumps({"number": number}) + "\\n")
    time.sleep(float(sys.argv[2]))
print("done")
sys.exit(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
"""


@pytest.fixture
def jobs(tmp_path: Path) -> LocalJobs:
    return LocalJobs(tmp_path / "jobs")


def job(tmp_path: Path, *words: str, key: str = "one", timeout: float | None = None, code: str = COUNTING) -> Job:
    env = {"PATH": os.environ["PATH"], "SEEN": "1"}
    view = View(write=(str(tmp_path),))
    return Job(key=key, argv=(sys.executable, "-c", code, *words), env=env, cwd=tmp_path, timeout=timeout, view=view)


def ran(tmp_path: Path) -> int:
    return len((tmp_path / "ran").read_text())


def test_events_and_outcome(jobs: LocalJobs, tmp_path: Path) -> None:
    """A job's events come in order as they happen, and its outcome has the exit code."""
    seen: list[tuple[int, int]] = []
    outcome = jobs.run(job(tmp_path, "3", "0.02", "7"), lambda line, event: seen.append((line, event["number"])))
    assert (outcome.how, outcome.code) == ("exited", 7)
    assert seen == [(0, 0), (1, 1), (2, 2)]
    assert (outcome.folder / "output.log").read_text() == "done\n"


def test_output_without_end_is_cut_in_its_middle(jobs: LocalJobs, tmp_path: Path) -> None:
    """Of 200 MB that a job prints its file keeps the beginning and the end, says what is left out, and never grows far beyond."""
    code = textwrap.dedent("""
        import os, sys, time
        print("the beginning", flush=True)
        for number in range(200):
            os.write(1, (b"%06d " % number + b"x" * 93) * 10_000)
            time.sleep(0.005)
        print("the end", flush=True)
    """)
    sizes: list[int] = []
    looking = threading.Event()

    def look() -> None:
        while not looking.wait(0.01):
            with contextlib.suppress(FileNotFoundError):
                sizes.append((tmp_path / "jobs" / "one" / "output.log").stat().st_size)

    watcher = threading.Thread(target=look)
    watcher.start()
    outcome = jobs.run(job(tmp_path, code=code))
    looking.set()
    watcher.join()
    text = (outcome.folder / "output.log").read_bytes()
    told = json.loads((outcome.folder / "outcome.json").read_text())["cut"]
    assert outcome.code == 0
    assert len(text) <= supervisor.LARGEST
    assert text.startswith(b"the beginning\n000000 xxx")
    assert text.endswith(b"x000199 " + b"x" * 93 + b"the end\n")
    assert f"[… {told} bytes were left out here …]".encode() in text
    assert told > 200_000_000 - supervisor.LARGEST - 1_000_000
    assert max(sizes) < 3 * supervisor.LARGEST


def test_a_job_runs_once(jobs: LocalJobs, tmp_path: Path) -> None:
    """Asked for again under the same key, a job that has ended is not run again, and tells the same events."""
    first, second = [], []
    jobs.run(job(tmp_path, "2", "0"), lambda _line, event: first.append(event))
    again = LocalJobs(tmp_path / "jobs").run(job(tmp_path, "2", "0"), lambda _line, event: second.append(event))
    assert again.code == 0
    assert first == second != []
    assert ran(tmp_path) == 1


def test_its_environment_is_what_it_was_given(jobs: LocalJobs, tmp_path: Path) -> None:
    """A job inherits no environment variable."""
    os.environ["A_SECRET_OF_OURS"] = "x"
    try:
        code = "import os, sys; sys.exit('A_SECRET_OF_OURS' in os.environ or os.environ['SEEN'] != '1')"
        assert jobs.run(job(tmp_path, code=code)).code == 0
    finally:
        del os.environ["A_SECRET_OF_OURS"]


def test_a_job_has_no_input_and_no_terminal(jobs: LocalJobs, tmp_path: Path) -> None:
    """Standard input ends at once, and no terminal can be opened: what asks for input gets none, and does not wait."""
    code = """
import os, sys
try:
    os.open("/dev/tty", os.O_RDWR)
    print("a terminal")
except OSError:
    print("no terminal")
print(repr(sys.stdin.read()), os.isatty(0))
"""
    outcome = jobs.run(job(tmp_path, code=code, timeout=20), lambda _line, _event: None)
    assert (outcome.how, outcome.code) == ("exited", 0)
    assert (outcome.folder / "output.log").read_text() == "no terminal\n'' False\n"


def test_no_job_learns_where_the_project_key_is(jobs: LocalJobs, tmp_path: Path) -> None:
    """A job never receives the name of the file with the project key, whoever has asked for it."""
    asked = job(tmp_path, code="import os; open('seen', 'w').write(repr(sorted(os.environ)))")
    jobs.run(replace(asked, env={**asked.env, "ORCHESTRATOR_PROJECT_KEY_FILE": "/keys/project.key"}))
    assert "SEEN" in (tmp_path / "seen").read_text()
    assert "PROJECT_KEY" not in (tmp_path / "seen").read_text()


def test_files_are_private(jobs: LocalJobs, tmp_path: Path) -> None:
    """What a job is given can be read by its owner only."""
    wanted = job(tmp_path, "0", "0")
    wanted = Job(**{**wanted.__dict__, "files": {"deep/secret": b"x"}})
    folder = jobs.run(wanted).folder
    assert (folder / "deep/secret").stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


def test_a_time_limit_stops_the_whole_tree(jobs: LocalJobs, tmp_path: Path) -> None:
    """A job that takes too long is stopped with everything that it has started, also what left its process group."""
    code = """
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        time.sleep(60)
    """
    outcome = jobs.run(job(tmp_path, timeout=0.5, code=textwrap.dedent(code)))
    assert outcome.how == "timeout"
    assert tagged(f"ORCHESTRATOR_JOB={outcome.folder}") == []


FOLLOW = """
import os, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from orchestrator.engine.jobs import LocalJobs
from orchestrator.domain.view import View
from orchestrator.ports import Job
jobs = LocalJobs(Path({folder!r}) / "jobs")
env = {{"PATH": os.environ["PATH"]}}
words = (sys.executable, "-c", {code!r}, "20", "0.1")
jobs.run(Job(key="one", argv=words, env=env, cwd=Path({folder!r}), view=View(write=({folder!r},))))
"""


def _begun(tmp_path: Path) -> "subprocess.Popen[bytes]":
    """Another process that runs the job; returns once the job has begun."""
    code = FOLLOW.format(root=str(ROOT), folder=str(tmp_path), code=COUNTING)
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 20
    while not (tmp_path / "ran").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def test_killed_with_its_job_going_on(tmp_path: Path) -> None:
    """After `kill -9` of whoever runs it, a job goes on, and the next one attaches to it and sees every event."""
    process = _begun(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    seen: list[int] = []
    outcome = LocalJobs(tmp_path / "jobs").run(
        job(tmp_path, "20", "0.1"), lambda _line, event: seen.append(event["number"])
    )
    assert (outcome.how, outcome.code) == ("exited", 0)
    assert seen == list(range(20))
    assert ran(tmp_path) == 1


def test_two_at_once(tmp_path: Path) -> None:
    """A second process that wants the same job follows the first one's."""
    process = _begun(tmp_path)
    outcome = LocalJobs(tmp_path / "jobs").run(job(tmp_path, "20", "0.1"))
    assert outcome.code == 0
    assert process.wait(20) == 0
    assert ran(tmp_path) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(("code", "how"), [(3, "lost"), (0, "exited")])
def test_a_failure_on_a_full_disk_is_not_the_jobs_own(jobs: LocalJobs, tmp_path: Path, code: int, how: str) -> None:
    """A job that failed while its output could not be written for lack of space is lost; one that succeeded is not."""
    folder = jobs.folder("one")
    folder.mkdir(parents=True)
    (folder / "output.log").symlink_to("/dev/full")
    made = job(tmp_path, code=f"print('no space'); raise SystemExit({code})")
    outcome = jobs.run(replace(made, view=None))  # an isolator cannot mount the device
    assert (outcome.how, outcome.code) == (how, code)


def test_a_dead_supervisor_is_settled(tmp_path: Path) -> None:
    """A job whose supervisor was killed is ended with all that it had started, called lost, and never run again."""
    process = _begun(tmp_path)
    folder = tmp_path / "jobs" / "one"
    for pid in tagged(f"ORCHESTRATOR_JOB={folder}"):
        with contextlib.suppress(OSError):  # the job ends with its supervisor, while we go through them
            if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)
    process.wait(20)
    outcome = LocalJobs(tmp_path / "jobs").run(job(tmp_path, "20", "0.1"))
    assert (outcome.how, outcome.code) == ("lost", None)
    assert tagged(f"ORCHESTRATOR_JOB={folder}") == []
    assert ran(tmp_path) == 1


def test_stopping(tmp_path: Path) -> None:
    """A job that is stopped leaves no process, says so, and is not started again."""
    process = _begun(tmp_path)
    jobs = LocalJobs(tmp_path / "jobs")
    jobs.stop("one")
    process.wait(20)
    assert tagged(f"ORCHESTRATOR_JOB={jobs.folder('one')}") == []
    assert jobs.run(job(tmp_path, "20", "0.1")).how == "stopped"
    assert ran(tmp_path) == 1
    jobs.stop("one")
    jobs.stop("never-begun")
    assert not jobs.folder("never-begun").exists()


def test_a_torn_line_is_no_event(jobs: LocalJobs, tmp_path: Path) -> None:
    """A line that a crash cut off is passed over, and those after it keep their numbers."""
    code = """
        import os
        with open(os.environ["ORCHESTRATOR_JOB"] + "/events.pipe", "w") as events:
            events.write('{"number": 0}\\n{"numb\\n[1]\\n{"number": 3}\\n{"number": ')
    """
    seen: list[tuple[int, int]] = []
    jobs.run(job(tmp_path, code=textwrap.dedent(code)), lambda line, event: seen.append((line, event["number"])))
    assert seen == [(0, 0), (3, 3)]


def test_a_program_that_is_not_there(jobs: LocalJobs, tmp_path: Path) -> None:
    """A command that cannot be started is an outcome like any other."""
    wanted = Job(key="one", argv=("/nowhere/at-all",), env={}, cwd=tmp_path, view=View(read=(str(tmp_path),)))
    outcome = jobs.run(wanted)
    assert outcome.code != 0
    assert json.loads((outcome.folder / "outcome.json").read_text())["how"] == outcome.how


LEAKING = """
import json, os, sys
from orchestrator.processes import events_of
folder, value = os.environ["ORCHESTRATOR_JOB"], open("value").read()
print("it is", value, flush=True)
os.write(1, value[:9].encode()); os.write(2, value[9:].encode())
with open(events_of(folder), "a") as events:
    events.write(json.dumps({"text": value, "size": 5}) + "\\n")
    events.write(json.dumps({"text": "plain"}) + "\\n")
    events.write("torn " + value)
open(folder + "/result.json", "w").write(json.dumps({"error": value, "code": 0}))
open(folder + "/stderr.log", "w").write(value.encode().hex())
"""


def leaking(tmp_path: Path, value: str) -> Job:
    (tmp_path / "value").write_text(value)
    described = job(tmp_path, code=LEAKING)
    return replace(described, env={**described.env, "PYTHONPATH": str(ROOT)})


def test_what_a_job_writes_is_masked(tmp_path: Path) -> None:
    """No file of a job has a secret of the run: neither its output, nor its events, nor its answer."""
    value, secrets = 'a "secret"\nof two lines', SecretValues()
    secrets.learn("here", [Secret("password", value.encode())])
    seen: list[dict[str, object]] = []
    jobs = LocalJobs(tmp_path / "jobs", secrets=secrets)
    outcome = jobs.run(leaking(tmp_path, value), lambda _line, event: seen.append(event))
    assert outcome.code == 0
    assert seen == [{"text": "[secret]", "size": 5}, {"text": "plain"}]
    assert (outcome.folder / "output.log").read_text() == "it is [secret]\n[secret]"
    assert (outcome.folder / "events.jsonl").read_text().endswith('{"text": "plain"}\ntorn [secret]\n[secret]')
    assert json.loads((outcome.folder / "result.json").read_text()) == {"error": "[secret]", "code": 0}
    assert (outcome.folder / "stderr.log").read_text() == "[secret]"
    found = [file.read_bytes() for file in outcome.folder.rglob("*") if file.is_file()]
    assert not [text for text in found if b"two lines" in text or value.encode().hex().encode() in text]
    assert not (outcome.folder / "events.pipe").exists()


def test_a_secret_that_a_job_made_is_masked_afterwards(tmp_path: Path) -> None:
    """A value that is known only after its job is masked in the files of the job from then on."""
    value, secrets = "made-by-the-job", SecretValues()
    jobs = LocalJobs(tmp_path / "jobs", secrets=secrets)
    outcome = jobs.run(leaking(tmp_path, value))
    assert value in (outcome.folder / "output.log").read_text()
    secrets.learn("outputs", [Secret("password", value.encode())])
    jobs.mask("one")
    assert not [file for file in outcome.folder.iterdir() if file.is_file() and value.encode() in file.read_bytes()]
    assert json.loads((outcome.folder / "result.json").read_text())["code"] == 0


WRITING = """
import os, sys
folder, other = os.environ["ORCHESTRATOR_JOB"], sys.argv[0]
for name in ("copy/deep/new.txt", "copy/kept/token", "tmp/left.json"):
    os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
    with open(f"{folder}/{name}", "w") as file:
        file.write('"it is not-for-the-disk"')
os.chmod(f"{folder}/copy/deep/new.txt", 0o750)
os.link(f"{folder}/copy/deep/new.txt", f"{folder}/copy/second")
os.symlink("OTHER", f"{folder}/copy/link")
os.symlink(os.path.dirname("OTHER"), f"{folder}/copy/linked")
os.mkfifo(f"{folder}/copy/pipe")
"""


def test_files_that_a_job_writes_are_masked_when_it_has_ended(tmp_path: Path) -> None:
    """The supervisor masks them, so that they are masked if the orchestrator was killed; declared files and what lies outside stay."""
    secrets = SecretValues()
    secrets.learn("here", [Secret("password", b"not-for-the-disk")])
    (tmp_path / "other").write_text("other: not-for-the-disk")
    described = job(tmp_path, code=WRITING.replace("OTHER", str(tmp_path / "other")))
    described = replace(described, writes=("copy", "tmp", "missing"), unmasked=("copy/kept/",))
    folder = tmp_path / "jobs" / described.key
    (folder / "copy").mkdir(parents=True)
    (folder / "copy/sealed").write_text("as it was: not-for-the-disk")
    time.sleep(0.05)
    jobs = LocalJobs(tmp_path / "jobs", secrets=secrets)
    jobs._prepare(folder, described)
    line = supervisor.Given(secrets.redactor).line()
    env = {**described.env, supervisor.MARK: str(folder)}
    subprocess.run([*supervisor.COMMAND, str(folder)], input=line, env=env, check=True)
    new = folder / "copy/deep/new.txt"
    assert (new.read_text(), new.stat().st_mode & 0o777) == ('"it is [secret]"', 0o750)
    assert (folder / "copy/second").read_text() == '"it is [secret]"'
    assert (folder / "tmp/left.json").read_text() == '"it is [secret]"'
    for path, text in {
        folder / "copy/kept/token": '"it is not-for-the-disk"',
        folder / "copy/sealed": "as it was: not-for-the-disk",
        tmp_path / "other": "other: not-for-the-disk",
    }.items():
        assert path.read_text() == text
    assert (folder / "outcome.json").exists()


def test_what_a_job_leaves_in_place_of_its_files(tmp_path: Path) -> None:
    """A link, a pipe or a folder in place of a file of the job is neither read nor written, and holds nobody up."""
    secrets = SecretValues()
    secrets.learn("here", [Secret("password", b"not-for-the-job")])
    (tmp_path / "other").write_text("it is not-for-the-job")
    code = f"""
import os
folder = os.environ["ORCHESTRATOR_JOB"]
os.symlink({str(tmp_path / "other")!r}, folder + "/result.json")
os.mkfifo(folder + "/stderr.log")
os.mkdir(folder + "/engine-events.json")
"""
    jobs = LocalJobs(tmp_path / "jobs", secrets=secrets)
    outcome = jobs.run(job(tmp_path, code=code))
    jobs.mask("one")
    assert outcome.code == 0
    assert (tmp_path / "other").read_text() == "it is not-for-the-job"
    assert not (outcome.folder / "result.json").is_symlink()


def test_large_files_are_masked_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is larger than what is held in memory is masked like any other."""
    secrets = SecretValues()
    secrets.learn("here", [Secret("password", b"in-a-large-file")])
    folder = tmp_path / "one"
    (folder / "files").mkdir(parents=True)
    monkeypatch.setattr(masked_files, "WHOLE", 1000)
    filler = b"plain text\n" * 20_000
    (folder / "files" / "log").write_bytes(filler * 2 + b"it is in-a-large-file\n" + filler)
    (folder / "events.jsonl").write_bytes(b'{"text": "in-a-large-file"}\n' * 1000)
    LocalJobs(tmp_path, secrets=secrets).mask("one")
    assert (folder / "files" / "log").read_bytes() == filler * 2 + b"it is [secret]\n" + filler
    assert (folder / "events.jsonl").read_bytes() == b'{"text":"[secret]"}\n' * 1000


def test_secrets_are_in_no_process(tmp_path: Path) -> None:
    """The supervisor gets the secrets over a pipe: neither its words nor its environment have them."""
    secrets = SecretValues()
    secrets.learn("here", [Secret("password", b"not-in-a-process")])
    code = """
import os
parent = os.getppid()
for name in ("cmdline", "environ"):
    for process in (parent, os.getpid()):
        data = open(f"/proc/{process}/{name}", "rb").read()
        print(name, b"not-in-a-" + b"process" in data)
"""
    wanted = replace(job(tmp_path, code=code), view=None)  # its parent is the supervisor
    outcome = LocalJobs(tmp_path / "jobs", secrets=secrets).run(wanted)
    assert (outcome.folder / "output.log").read_text().split() == ["cmdline", "False"] * 2 + ["environ", "False"] * 2


def test_a_process_that_its_job_leaves_does_not_hold_it(tmp_path: Path) -> None:
    """A job ends with its own process, also when another one has its output open, and that one ends with it."""
    code = "import subprocess; subprocess.Popen(['sleep', '20']); print('done')"
    before = time.monotonic()
    outcome = LocalJobs(tmp_path / "jobs").run(job(tmp_path, code=code))
    assert time.monotonic() - before < 10
    assert (outcome.folder / "output.log").read_text() == "done\n"
    assert tagged(f"{supervisor.MARK}={outcome.folder}") == []


@pytest.mark.usefixtures("isolation")
def test_an_isolated_job_cannot_write_past_the_filter(tmp_path: Path) -> None:
    """The files with the output and the events of an isolated job are written by its supervisor only."""
    code = """
import os
folder = os.environ["ORCHESTRATOR_JOB"]
for name in ("output.log", "events.jsonl"):
    try:
        open(folder + "/" + name, "a")
    except OSError:
        print("kept", name)
"""
    outcome = LocalJobs(tmp_path / "jobs").run(job(tmp_path, code=code))
    assert (outcome.folder / "output.log").read_text() == "kept output.log\nkept events.jsonl\n"


@pytest.mark.parametrize("told", [b"", b'{"known": "[[[\\"key\\", \\"c2Vj'])
def test_a_job_whose_secrets_are_not_known_is_not_started(tmp_path: Path, told: bytes) -> None:
    """A supervisor that was not given all secrets, since its parent died, leaves the job to the next one."""
    folder = tmp_path / "jobs" / "one"
    folder.mkdir(parents=True)
    described = job(tmp_path, "1", "0")
    (folder / "job.json").write_text(json.dumps({"argv": described.argv, "cwd": str(tmp_path), "timeout": None}))
    done = subprocess.run([*supervisor.COMMAND, str(folder)], env=described.env, input=told, check=False)
    assert done.returncode == supervisor.LATE
    assert not (tmp_path / "ran").exists()
    assert LocalJobs(tmp_path / "jobs").run(described).code == 0
