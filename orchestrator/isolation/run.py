"""Running a command in a view to its end."""

import subprocess
from collections.abc import Sequence
from typing import Any

from orchestrator.domain.view import View
from orchestrator.isolation.isolator import Isolator
from orchestrator.isolation.mounts import mounts
from orchestrator.isolation.start import start_in_view


def run_in_view(
    isolator: Isolator,
    view: View,
    argv: Sequence[str],
    *,
    cwd: str,
    timeout: float | None = None,
    **options: Any,
) -> "subprocess.CompletedProcess[bytes]":
    """Run *argv* in *view* to its end, without input; its exit code and what it printed.

    Raises `subprocess.TimeoutExpired` after *timeout* seconds: with an isolator nothing of it runs then.
    """
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    made = mounts(view) if isolator.isolates else []
    with start_in_view(isolator, made, argv, cwd=cwd, stdin=subprocess.DEVNULL, **streams) as process:
        try:
            out, errors = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(list(argv), isolator.code(process.returncode), out, errors)
