"""`status --watch`: the same lines again and again, until it is interrupted."""

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from orchestrator.cli import main


def test_a_watched_status_is_printed_again_until_it_is_interrupted(tmp_path: Path) -> None:
    """`status --watch` prints the status of every environment every 2 seconds, and Ctrl-C ends it."""
    assert main(["init", str(tmp_path / "hello")]) == 0
    words = [sys.executable, "-m", "orchestrator", "-C", str(tmp_path / "hello"), "status", "--watch"]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a test run in the background ignores it
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, preexec_fn=heard) as process:  # noqa: PLW1509
        assert process.stdout is not None
        times: list[float] = []
        for line in process.stdout:
            if line.startswith("staging: "):
                times.append(time.monotonic())
            if len(times) == 2:
                process.send_signal(signal.SIGINT)
                break
        assert process.wait(30) != 0
    assert times[1] - times[0] > 1.5
