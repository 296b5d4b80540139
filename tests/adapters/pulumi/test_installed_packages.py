"""Pulumi's question for the installed packages is answered without pip, and as pip answers it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.adapters.pulumi.operations import SOURCES

QUESTION = ("-m", "pip", "list", "-v", "--format", "json")
PIP = "import json; print(json.dumps([dict(name='pip', version='was', location='asked')]))"


def listed(folder: Path, *words: str, **env: str) -> set[tuple[str, str, str]]:
    """The name, the version and the folder of each package that the command of *words* prints, run in *folder*."""
    argv = [sys.executable, *(words or QUESTION)]
    around = {"PATH": os.environ["PATH"], **env}
    done = subprocess.run(argv, cwd=folder, env=around, capture_output=True, text=True, check=True)
    return {(found["name"], found["version"], found["location"]) for found in json.loads(done.stdout)}


def lay_pip(folder: Path) -> None:
    """Put a module `pip` into *folder*, where a Python that starts there finds it first: it says that it was asked."""
    (folder / "pip").mkdir()
    (folder / "pip" / "__init__.py").touch()
    (folder / "pip" / "__main__.py").write_text(PIP)


def test_the_packages_are_those_that_pip_lists(tmp_path: Path) -> None:
    """The packages of the interpreter and of `PYTHONPATH`, and none of the program's own folder, have the names, versions and folders that pip prints."""
    for number, place in enumerate(("here", "more")):
        made = tmp_path / place / f"pulumi_thing{number}-1.{number}.dist-info"
        made.mkdir(parents=True)
        (made / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: Pulumi.Thing{number}\nVersion: 1.{number}\n\nText"
        )
    here, more = tmp_path / "here", str(tmp_path / "more")
    ours = listed(here, PYTHONPATH=f"{SOURCES}{os.pathsep}{more}")
    assert ours == listed(here, PYTHONPATH=more)
    assert ("Pulumi.Thing1", "1.1", more) in ours


@pytest.mark.parametrize("other", ["thing.egg-info", "thing.egg-link", "thing-1.0.dist-info", "archive.zip"])
def test_pip_lists_packages_of_other_forms(tmp_path: Path, other: str) -> None:
    """Where a package has another form than that of wheels, lacks its description, or may lie in an archive, pip is asked."""
    lay_pip(tmp_path)
    assert ("pip", "was", "asked") not in listed(tmp_path, PYTHONPATH=SOURCES)
    made = tmp_path / "more" / other
    if made.suffix == ".zip":
        made.parent.mkdir()
        made.write_bytes(b"")
    else:
        made.mkdir(parents=True)
    more = made if made.is_file() else made.parent
    assert listed(tmp_path, PYTHONPATH=f"{SOURCES}{os.pathsep}{more}") == {("pip", "was", "asked")}


def test_another_question_is_answered_by_pip(tmp_path: Path) -> None:
    """Only the very words of Pulumi's language host are answered without pip."""
    lay_pip(tmp_path)
    assert listed(tmp_path, *QUESTION, "--user", PYTHONPATH=SOURCES) == {("pip", "was", "asked")}
