"""The scan for canaries finds them wherever one is planted."""

import base64
import gzip
import io
import json
import sqlite3
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.leak_scan.canaries import ENCODINGS, KINDS, Canary, made
from tests.leak_scan.scan import Processes, Scan

CANARY = Canary("output", 'canary-4711/"+é of the test')


def planted(form: str) -> bytes:
    value = CANARY.value
    return {
        "raw": value.encode(),
        "base64": base64.b64encode(b"?" + value.encode() + b"?"),
        "url": quote(value, safe="").encode(),
        "json": json.dumps({"a": value}).encode(),
        "hex": value.encode().hex().encode(),
    }[form]


@pytest.mark.parametrize("form", ENCODINGS)
def test_a_planted_canary_is_found(form: str, tmp_path: Path) -> None:
    """A canary in any encoding is found in a file, a database, an archive in an archive, and a compressed file."""
    text = planted(form)
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep", b"before " + text)
    with tarfile.open(fileobj=outer, mode="w") as tar:
        member = tarfile.TarInfo("inner.zip")
        member.size = len(inner.getvalue())
        tar.addfile(member, io.BytesIO(inner.getvalue()))
    (tmp_path / "plain").write_bytes(text)
    (tmp_path / "outer.tar").write_bytes(outer.getvalue())
    (tmp_path / "text.gz").write_bytes(gzip.compress(text))
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute("CREATE TABLE t (a)")
        db.execute("INSERT INTO t VALUES (?)", [text.decode()])
    db.close()
    found = list(Scan([CANARY]).tree(tmp_path))
    assert {Path(hit.where.partition(":")[0]).name for hit in found if hit.encoding == form} == {
        "plain", "outer.tar", "text.gz", "state.db",
    }  # fmt: skip


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    """A masked text has no canary; folders that are left out are not looked at, names of files are."""
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "file").write_text(CANARY.value)
    (tmp_path / "masked").write_text("[secret]")
    assert list(Scan([CANARY]).tree(tmp_path, "sources")) == []
    plain = Canary("variable", "canary-in-a-name")
    (tmp_path / plain.value).touch()
    assert {hit.encoding for hit in Scan([plain]).tree(tmp_path, "sources")} == {"raw", "url", "json"}


def test_there_is_a_canary_of_each_kind() -> None:
    """Each kind has a value of its own, but for the file that a play generates."""
    found = made()
    assert set(found) == set(KINDS) - {"file"}
    assert len({canary.value for canary in found.values()}) == len(found)


def test_words_of_processes_are_seen() -> None:
    """The words of processes that run meanwhile are remembered."""
    import subprocess
    import sys

    with Processes() as processes:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.5)", "canary-word"], check=True)
    assert list(Scan([Canary("variable", "canary-word")]).data("words", b"\n".join(processes.words)))
