"""Processes that a job starts to outlive it: each way to leave it, and each end of the job."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from itertools import product
from pathlib import Path
from random import Random

from orchestrator.domain.view import View
from orchestrator.engine import jobs as jobs_module
from orchestrator.engine.jobs import LocalJobs
from orchestrator.isolation.find import available
from orchestrator.isolation.isolator import NONE, Isolator
from orchestrator.ports import Job
from tests.campaigns.hostile.case import HELD, Case, Defence, Outcome, Yard, replaced

LINE = "S13"
ABOUT = "processes that a job detaches do not outlive it, however they detach and however it ends"
PATIENCE = 10.0  # seconds until the job has started its daemon

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


def cases(seed: int) -> Iterator[Case]:
    """Each way to detach at each end of the job; the isolator follows from the seed."""
    random = Random(seed)
    for way, end in product(WAYS, ENDS):
        isolated = random.random() < 0.5
        yield Case(f"a process {way}, of a job that {end}", partial(_attempt, way, end, isolated))


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


DEFENCES: Mapping[str, Defence] = {"what a job leaves is ended": _left_alone}
