"""What a job leaves: processes that are to outlive it, and folders that are to stop those who read or remove them."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from itertools import product
from pathlib import Path
from random import Random

from orchestrator import trees
from orchestrator.adapters.ansible.controller_files import collect
from orchestrator.adapters.ansible.kept_files import KeptFiles, Writer
from orchestrator.domain.context import Context
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import Package, Release
from orchestrator.domain.secret import Secret
from orchestrator.domain.view import View
from orchestrator.engine import jobs as jobs_module
from orchestrator.engine.jobs import LocalJobs
from orchestrator.isolation.find import available
from orchestrator.isolation.isolator import NONE, Isolator
from orchestrator.ports import Job
from orchestrator.secret_values import SecretValues
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced
from tests.sealed import sealed

LINE = "S13"
ABOUT = "processes that a job detaches do not outlive it, and nothing that it leaves stops those who read or remove it"
DEEP = 1100  # levels of folders: more than functions can call themselves
PATIENCE = 10.0  # seconds until the job has started its daemon

RELEASE = Release.from_json(
    {
        "apiVersion": "orchestrator/v1", "kind": "Release", "name": "app", "version": "1.0.0", "environments": ["staging"],
        "steps": [{"name": "deploy", "playbook": "site.yml"}], "verify": [{"name": "smoke", "tests": "tests"}],
    }
)  # fmt: skip
CONTEXT = Context(run="r1", environment="staging", controller_files=("keys",), secret_files=("keys",))
WRITER = Writer.of("r1.deploy", CONTEXT, "sha256:1")

BEGIN = """
import ctypes, os, signal, subprocess, sys, time
beat = sys.argv[1]
BEAT = "import os, time\\nwhile True:\\n    open(%r, 'a').write('x')\\n    time.sleep(0.02)" % beat
WORDS = [sys.executable, "-I", "-S", "-c", BEAT]
def closed():
    for number in range(256):
        try:
            os.close(number)
        except OSError:
            pass
def lives(env=None):
    os.execve(WORDS[0], WORDS, dict(os.environ) if env is None else env)
"""
WAIT = """
while not (os.path.exists(beat) and os.path.getsize(beat)):
    time.sleep(0.005)
"""
WAYS = {
    "a child": "if os.fork() == 0: lives()",
    "a child of its own session": "if os.fork() == 0: os.setsid(); lives()",
    "a child of its own group": "if os.fork() == 0: os.setpgid(0, 0); lives()",
    "two forks": "if os.fork() == 0:\n    if os.fork() == 0: lives()\n    os._exit(0)",
    "two forks and a session": "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: lives()\n    os._exit(0)",
    "without its variables": "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: lives({})\n    os._exit(0)",
    "without open files": "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: closed(); lives({})\n    os._exit(0)",
    "with another mark": "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: lives({'ORCHESTRATOR_JOB': '/elsewhere'})\n    os._exit(0)",
    "that ignores signals": (
        "if os.fork() == 0:\n    [signal.signal(n, signal.SIG_IGN) for n in range(1, 32) if n not in (9, 19)]\n"
        "    os.setsid()\n    if os.fork() == 0: lives({})\n    os._exit(0)"
    ),
    "nohup in a shell": "subprocess.Popen(['sh', '-c', 'nohup \"$@\" >/dev/null 2>&1 &', 'sh', *WORDS])",
    "setsid in a shell": "subprocess.Popen(['sh', '-c', 'env -i setsid \"$@\" >/dev/null 2>&1 &', 'sh', *WORDS])",
    "a thread of its own": "import threading; threading.Thread(target=lambda: subprocess.Popen(WORDS, start_new_session=True)).start()",
    "that forks all the time": (
        "if os.fork() == 0:\n    os.setsid(); closed()\n    while True:\n        if os.fork(): os._exit(0)\n"
        "        open(beat, 'a').write('x'); time.sleep(0.01)"
    ),
    "that wants to outlive its parent": "if os.fork() == 0: ctypes.CDLL(None).prctl(1, 0, 0, 0, 0); os.setsid(); lives({})",
    "that adopts its own": "if os.fork() == 0:\n    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); os.setsid()\n    if os.fork() == 0: lives({})\n    os.wait()",
    "with a namespace of its own": "if os.fork() == 0: ctypes.CDLL(None).unshare(0x10000000); os.setsid(); lives({})",
    "under another name": "if os.fork() == 0: os.setsid(); os.execve(WORDS[0], ['sshd: user', *WORDS[1:]], {})",
}  # fmt: skip
"""Code that starts a process which adds to the file *beat* until it is ended."""

ENDS = {
    "succeeds": "",
    "fails": "os._exit(3)",
    "is killed": "os.kill(os.getpid(), 9)",
    "takes too long": "time.sleep(60)",
}


LEAVE = """
import os, socket, stat, sys
word, tops = sys.argv[1], [os.environ["ORCHESTRATOR_JOB"] + "/" + top for top in ("content",)]
def deep(name, at="."):
    at = os.open(at, os.O_RDONLY)
    for _ in range(LEVELS):
        os.mkdir(name, dir_fd=at); below = os.open(name, os.O_RDONLY, dir_fd=at); os.close(at); at = below
    os.write(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at), word.encode())
for top in tops:
    os.makedirs(top, exist_ok=True); os.chdir(top)
""".replace("LEVELS", str(DEEP))
LEAVINGS = {
    "folders in folders": "    deep('d')",
    "folders in folders that no path can name": "    deep('d' * 200)",
    "folders in folders that are closed": "    deep('d'); os.chmod('d/d', 0); os.chmod('d', 0)",
    "the longest names": "    open('n' * 255, 'w').write(word); open('n' * 250 + '.json', 'w').write(word)",
    "names that are no text": "    open(b'\\xff\\x1b[2J', 'w').write(word); open('\\u202e', 'w').write(word)",
    "a file of a terabyte": "    f = open('sparse', 'wb'); f.truncate(1 << 40); f.seek(1 << 30); f.write(word.encode())",
    "JSON of a terabyte": "    f = open('sparse.json', 'wb'); f.truncate(1 << 40); f.seek(1 << 30); f.write(word.encode())",
    "JSON that is nested": "    open('nested.json', 'w').write('[' * 200_000 + word)",
    "pipes": "    os.mkfifo('pipe'); os.mkdir('keys'); os.mkfifo('keys/pipe')",
    "sockets": "    socket.socket(socket.AF_UNIX).bind('socket')",
    "devices": (
        "    try: os.mknod('zero', stat.S_IFCHR | 0o600, os.makedev(1, 5)); os.mknod('tty', stat.S_IFCHR | 0o600, os.makedev(5, 0))\n"
        "    except OSError: pass"
    ),
    "links in a circle": "    os.symlink('.', 'here'); os.symlink('other', 'one'); os.symlink('one', 'other'); os.symlink('/', 'root')",
    "links to devices": "    os.mkdir('keys'); os.symlink('/dev/zero', 'keys/zero'); os.symlink('/dev/stdin', 'stdin')",
    "many names of one file": "    open('file', 'w').write(word); [os.link('file', str(n)) for n in range(200)]",
    "many files": "    [open(str(n), 'w').write(word) for n in range(300)]",
    "files that are closed": "    open('file', 'w').write(word); os.chmod('file', 0); os.chmod('.', 0o500)",
}  # fmt: skip
"""Code that leaves something in the folders of a job, with *word* in it where it is a file."""

READERS: dict[str, Callable[[LocalJobs, Path], object]] = {
    "kept as files of a play": lambda _jobs, folder: collect(_package(folder), folder, _kept(folder)),
    "kept as controller files": lambda _jobs, folder: _kept(folder).take(folder / "content", folder / "sealed", WRITER),
    "masked again": lambda jobs, folder: jobs.mask(folder.name),
}


def cases(seed: int) -> Iterator[Case]:
    """Each way to detach at each end of the job; the isolator follows from the seed."""
    random = Random(seed)
    for way, end in product(WAYS, ENDS):
        isolated = random.random() < 0.5
        yield Case(f"a process {way}, of a job that {end}", partial(_attempt, way, end, isolated))
    for what, reader in product(LEAVINGS, READERS):
        yield Case(f"{what} in the folders of a job, {reader}", partial(_leave, what, reader))


def _leave(what: str, reader: str, yard: Yard) -> Outcome:
    """What is left of a job that left *what*, after it was read and removed."""
    secrets, word = SecretValues(), f"{yard.canary}-of-the-job"
    secrets.learn("here", [Secret("password", word.encode())])
    jobs = LocalJobs(yard.inside / "jobs", isolator=lambda: NONE, secrets=secrets)
    argv = (sys.executable, "-I", "-S", "-c", LEAVE + LEAVINGS[what], word)
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    job = Job(key="one", argv=argv, env=env, cwd=yard.inside, timeout=PATIENCE, view=None, writes=("content",))
    folder = jobs.run(job).folder
    with suppress(OrchestratorError):  # more than can be kept: it says so
        READERS[reader](jobs, folder)
    (folder / "job.json").unlink()
    held = [
        each.name[-200:]
        for each in trees.entries(folder, opens=True)
        if each.is_file and word.encode() in _end_of(each)
    ]
    trees.remove(folder)
    return Outcome(accepted=f"the secret is in {', '.join(held)}"[:300]) if held else HELD


def _end_of(each: trees.Entry) -> bytes:
    """A part of a file that has the word, if the file has it: it is behind the first hole of a file of a terabyte."""
    with os.fdopen(each.open(), "rb") as file:
        file.seek(1 << 30 if each.status.st_size > 1 << 30 else 0)
        return file.read(1 << 20)


def _package(folder: Path) -> Package:
    content = folder / "sealed/content"
    content.mkdir(parents=True)
    (content / "site.yml").write_text("[]")
    return sealed(content, RELEASE)


def _kept(folder: Path) -> KeptFiles:
    return KeptFiles(folder / "state", CONTEXT)


def _attempt(way: str, end: str, isolated: bool, yard: Yard) -> Outcome:
    isolator = available(os.environ["PATH"]) if isolated else NONE
    if not (isolator.isolates or sys.platform.startswith("linux")):
        return HELD  # elsewhere nothing is promised
    beat = yard.inside / "beat"
    code = f"{BEGIN}\n{WAYS[way]}\n{WAIT}\n{ENDS[end]}\n"
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    argv = (sys.executable, "-I", "-S", "-c", code, str(beat))
    view = View(write=(str(yard.inside),))
    limit = 2.0 if end == "takes too long" else PATIENCE
    job = Job(key="one", argv=argv, env=env, cwd=yard.inside, timeout=limit, view=view)
    _jobs(yard.inside / "jobs", isolator).run(job)
    size = beat.stat().st_size if beat.exists() else 0
    time.sleep(0.15)
    later = beat.stat().st_size if beat.exists() else 0
    return Outcome(accepted=f"it wrote {later - size} bytes after the end") if later != size or not size else HELD


def _jobs(folder: Path, isolator: Isolator) -> LocalJobs:
    return LocalJobs(folder, isolator=lambda: isolator)


def _left_alone() -> AbstractContextManager[object]:
    """Jobs may leave processes behind, and nothing isolates them: as loopback hosts were once made."""
    described = jobs_module.LocalJobs._isolation

    def isolation(self: LocalJobs, folder: Path, job: Job) -> dict[str, object]:
        return {**described(self, folder, job), "isolator": NONE.to_json(), "mounts": [], "outlived": True}

    return replaced(jobs_module.LocalJobs, "_isolation", isolation)


DEFENCES: Mapping[str, Defence] = {
    "what a job leaves is ended": _left_alone,
    "folders are removed level by level": lambda: replaced(trees, "_removed", shutil.rmtree),
}
