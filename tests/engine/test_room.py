"""Room for what is written: how it is looked at, and what says that there is none."""

import errno
import sqlite3
from pathlib import Path

import pytest

from orchestrator import room


def test_what_is_lacking_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with room lacks nothing; where there is too little, it is said how much there is and how much is needed."""
    assert room.lacking(tmp_path) == ""
    monkeypatch.setattr(room, "NEEDED", 2**60)
    assert room.lacking(tmp_path).startswith(f"{tmp_path} has ")
    assert room.lacking(tmp_path).endswith(f"at least {2**40} MiB are needed")


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "jobs/1/job.json"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (sqlite3.OperationalError("database or disk is full"), True),
        (sqlite3.OperationalError("database is locked"), False),
        (None, False),
    ],
)
def test_what_says_that_there_is_none(error: BaseException | None, full: bool) -> None:
    """A full disk, a used-up quota and a database without space are told from every other error."""
    assert room.full(error) is full
