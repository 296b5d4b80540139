"""A folder for a server of a test, which is gone with the server also when the test itself is killed."""

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GUARD = """
import os, shutil, sys
sys.stdin.read()  # until whoever started us is gone, however
try:
    os.kill(int(open(sys.argv[1] + "/" + sys.argv[2]).readline()), int(sys.argv[3]))
except (OSError, ValueError):
    pass
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


@contextmanager
def guarded(prefix: str, numbered: str, ending: signal.Signals) -> Iterator[Path]:
    """A new folder whose name begins with *prefix*.

    A process of its own waits until the context is over, or we are dead; then it sends *ending* to the process whose
    number stands in the file *numbered* there, when there is one, and removes the folder.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    words = [sys.executable, "-c", GUARD, str(folder), numbered, str(int(ending))]
    guard = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield folder
    finally:
        guard.communicate()
        shutil.rmtree(folder, ignore_errors=True)
