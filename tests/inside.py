"""Commands that only read, in the process of the tests: to start one and import everything once more costs a second."""

import contextlib
import gc
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.__main__ import open_real_machine, open_real_project
from orchestrator.app.opening import compose
from orchestrator.cli import main

compose(open_real_project, open_real_machine)  # campaigns run without pytest, and do not load `tests/conftest.py`

READING = (
    ("history",), ("logs",), ("matrix",), ("package", "diff"), ("package", "show"), ("queue",), ("show",), ("status",),
    ("environment", "inventory"), ("environment", "outputs"), ("environment", "show"),
)  # fmt: skip


@dataclass
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output as JSON."""
        return json.loads(self.out)


def reads(*words: str) -> bool:
    """Whether the command of *words* only reads, and ends."""
    return (words[:1] in READING or words[:2] in READING) and not {"--watch", "--follow"} & {*words}


def say(folder: Path, environ: Mapping[str, str], *words: str) -> Said:
    """Run the command of *words* in *folder*, with nothing but *environ* around it."""
    out, err = io.BytesIO(), io.BytesIO()
    streams = [io.TextIOWrapper(file, "utf-8", write_through=True) for file in (out, err)]
    with (
        pytest.MonkeyPatch.context() as around,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(streams[0]),
        contextlib.redirect_stderr(streams[1]),
    ):
        for name in os.environ.keys() - environ.keys():
            around.delenv(name)
        for name, value in environ.items():
            around.setenv(name, value)
        code = main(words)
    gc.collect()  # a command leaves its connections to the end of its process
    return Said(code, out.getvalue().decode(), err.getvalue().decode())
