"""Comparisons in processes of their own: the state folder of their hosts is set in the environment."""

import contextlib
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.unchanged.compare import Comparison, Difference
from tests.unchanged.project import Project

BIN = Path(sys.executable).parent
PACKAGES = Path(sysconfig.get_paths()["purelib"])
LEAVE = 150  # seconds that an interrupted comparison has to remove its hosts and its folder
_RUNNING = set["subprocess.Popen[str]"]()


def in_a_process(project: Project, python: Path | None = None) -> Comparison:
    """Compare *project*; the product runs with the interpreter *python*, by default with ours."""
    words = [sys.executable, "-m", "tests.unchanged", "--one", project.name]
    words += ["--product", str(python)] if python is not None else []
    code, out, said = _ended(words)
    if code == 0 and out.strip():
        return Comparison.from_json(out.strip().splitlines()[-1])
    last = (said.strip().splitlines() or ["no message"])[-1]
    return Comparison(project.name, differences=[Difference("the comparison", "", last)], printed=said)


@contextlib.contextmanager
def interrupting(pool: ThreadPoolExecutor) -> Iterator[None]:
    """What ends the block early ends the comparisons of *pool* too: nothing else interrupts its threads."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in tuple(_RUNNING):
            process.send_signal(signal.SIGINT)
        raise


def _ended(words: list[str]) -> tuple[int, str, str]:
    """Run *words*: the exit status, and what both streams said.

    What interrupts the wait interrupts the process: `subprocess.run` would kill it, and leave its hosts and its folder.
    """
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _RUNNING.add(process)
        try:
            out, said = process.communicate()
        except BaseException:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=LEAVE)
            process.kill()  # without effect on one that has ended
            raise
        finally:
            _RUNNING.discard(process)
    return process.returncode, out, said
