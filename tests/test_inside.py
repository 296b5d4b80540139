"""Commands in the process of the tests."""

import os
import subprocess
import sys
from pathlib import Path

from tests.journeys.at_server import IN_THE_FOLDER

ROOT = Path(__file__).parents[1]
PROGRAM = """
from pathlib import Path

from tests.journeys.at_server import IN_THE_FOLDER
from tests.journeys.at_server import IN_THE_FOLDER
from tests.inside import say

said = say(Path(), {}, "history", "--json")
print(said.out, said.err, said.code)
"""


def test_a_campaign_reads_a_project_as_the_command_does(tmp_path: Path) -> None:
    """A process that pytest did not start opens the project of a command that only reads."""
    (tmp_path / "orchestrator.yaml").write_text("apiVersion: orchestrator/v1\nkind: Project\nname: shop\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"runs": []' in done.stdout
    assert done.stdout.split()[-1] == "0"


def test_journeys_that_stay_in_the_folder_exist() -> None:
    """Every journey that is told in the folder also with `SERVER=1` exists, and has a reason."""
    text = "".join(path.read_text() for path in (ROOT / "tests" / "journeys").glob("test_*.py"))
    assert {name: reason for name, reason in IN_THE_FOLDER.items() if f"def {name}(" not in text or not reason} == {}
