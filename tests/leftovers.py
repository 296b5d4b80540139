"""The processes that a failed test leaves: it had no time to end them, and they would slow down every later test."""

import subprocess
from collections.abc import Generator
from typing import Any

import pytest


class Leftovers:
    """Ends the processes that a test has started itself, and not a fixture, when it fails."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        del item
        started: list[subprocess.Popen[Any]] = []
        start = subprocess.Popen.__init__

        def recorded(process: "subprocess.Popen[Any]", *args: Any, **options: Any) -> None:
            start(process, *args, **options)
            started.append(process)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(subprocess.Popen, "__init__", recorded)
            try:
                return (yield)
            except BaseException:
                for process in started:
                    process.kill()  # without effect on one that has ended
                raise
