"""`make leak-scan`: 8 kinds of canary in 5 encodings, in a run that succeeds, one that fails, and one that is killed.

Afterwards no canary may be in the database, the engine's records, logs, plans, evidence, backups, packages, the words of
processes, temporary folders, or on the terminal.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.adapters.pulumi import engine
from orchestrator.processes import sweep
from tests.journeys.conftest import Project
from tests.leak_scan import project as files
from tests.leak_scan.canaries import ENCODINGS, KINDS, Canary, made
from tests.leak_scan.scan import Hit, Processes, Scan
from tests.passphrase import passphrase

SOURCES = ("controller-files", "hosts")
"""Below the state folder: secret controller files themselves, and the file systems of hosts, to which plays write."""
READS = (
    ("history",),
    ("status", "staging"),
    ("show", "{run}"),
    ("logs", "{run}"),
    ("logs", "{run}", "--output"),
    ("logs", "{run}", "--files"),
)
LAST = b"A file on the controller"
"""The task after which the process is killed."""
MASKS = 4 * len(KINDS)  # a run masks each canary at least in so many encodings: else it was not written down at all


class Campaign:
    """The project, what its commands have printed, and what was found."""

    def __init__(self, project: Project, temporary: Path) -> None:
        self.project, self.temporary, self.canaries = project, temporary, made()
        self.printed: list[bytes] = []
        self.hits: set[tuple[str, Hit]] = set()
        self.files = self.size = 0

    def run(self, *words: str, code: int | None = None) -> None:
        """Run a command, and remember what it printed."""
        said = self.project.run(*words, code=code)
        self.printed += [said.out.encode(), said.err.encode()]

    def prepare(self) -> None:
        """Lay the project, and configure its stack."""
        files.lay(self.project, self.canaries)
        files.configure(self.project, engine.find(self.project.environ()).path, self.canaries["config"])

    def generate(self) -> None:
        """A promotion that generates a password in a secret controller file, and does not show it."""
        self.run("promote", "releases/0.9.0", "--to", "staging", code=0)
        token = next((self.project.state / "controller-files").rglob("token"))
        self.canaries["file"] = Canary("file", token.read_text().partition(" ")[0].strip())

    def succeed(self) -> None:
        """A plan and a promotion that end well."""
        self.run("plan", "releases/1.0.0", "--to", "staging", "--out", str(self.project.root / "plan.json"), code=0)
        self.run("plan", "releases/1.0.0", "--to", "staging", "--json", code=0)
        self.run("promote", "releases/1.0.0", "--to", "staging", code=0)

    def fail(self) -> None:
        """A promotion that fails, and is rolled back."""
        self.run("promote", "releases/1.1.0", "--to", "staging", "--json", code=4)

    def crash(self) -> Iterator[str]:
        """A promotion whose process is killed in its play; it is resumed after the first search."""
        process = self.project.start("promote", "releases/1.2.0", "--to", "staging")
        run = self.project.reaches(process, "staging", "deploy.1")
        self._printed(run)
        os.kill(process.pid, signal.SIGKILL)
        self.printed += [text.encode() for text in process.communicate()]
        self._ended(run)
        yield "crash"
        self.run("resume", run)
        yield "resumed"

    def _printed(self, run: str) -> None:
        """Wait until the play has written the canaries down."""
        events = self.project.state / "jobs" / f"{run}.deploy.1" / "events.jsonl"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and LAST not in (events.read_bytes() if events.is_file() else b""):
            time.sleep(0.05)

    def _ended(self, run: str) -> None:
        """Wait until the play has ended, which outlives its process: until then it has a file with secrets."""
        outcome = self.project.state / "jobs" / f"{run}.deploy.1" / "outcome.json"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not outcome.is_file():
            time.sleep(0.05)

    def search(self, moment: str, processes: Processes) -> None:
        """Search everything for canaries."""
        with self.project.opened() as app:
            last = app.store.runs("staging", limit=1)[0].id
        for words in READS:
            named = [word.format(run=last) for word in words]
            self.run(*named)
            self.run(*named, "--json")
        backup = self.project.root / f"{moment}.backup"
        self.run("backup", str(backup), "--logs", *passphrase(self.project.root.parent), code=0)
        scan = Scan(list(self.canaries.values()))
        found = [*scan.tree(self.project.state, *SOURCES), *scan.tree(self.temporary)]
        for path in (backup, *self.project.root.glob("plan.json"), *(self.project.root / "dist").glob("*")):
            found += scan.data(path.name, path.read_bytes())
        found += scan.data("terminal", b"\n".join(self.printed))
        found += scan.data("process arguments", b"\n".join(processes.words))
        self.hits |= {(moment, hit) for hit in found if not _by_hand(hit)}
        self.files, self.size = self.files + scan.files, self.size + scan.size
        masks = sum(log.read_bytes().count(b"[secret]") for log in self.project.state.glob("jobs/*deploy*/output.log"))
        assert masks >= MASKS, f"{moment}: only {masks} masks: the canaries were not written down"


def _by_hand(hit: Hit) -> bool:
    """Whether a hit is in the program of the stack, which has its values in clear by hand, and which a backup restores."""
    return hit.where.rpartition(":")[2].rpartition("/")[2] == "values.json"


def main() -> int:
    """Run the campaign; 0 when no canary was found."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="leak-scan-") as folder:
        temporary = Path(folder) / "tmp"
        temporary.mkdir()
        project = Project(Path(folder) / "project", env={"TMPDIR": str(temporary)})
        project.root.mkdir()
        campaign = Campaign(project, temporary)
        try:
            campaign.prepare()
            with Processes() as processes:
                campaign.generate()
                campaign.succeed()
                campaign.search("success", processes)
                campaign.fail()
                campaign.search("failure", processes)
                for moment in campaign.crash():
                    campaign.search(moment, processes)
        finally:
            for job in (project.state / "jobs").glob("*"):
                sweep(f"ORCHESTRATOR_JOB={job}")
            project.clean()
    for moment, hit in sorted(campaign.hits):
        print(f"{moment}: {hit.kind} as {hit.encoding} in {hit.where}")
    print(
        f"{len(KINDS)} kinds x {len(ENCODINGS)} encodings x success, failure, crash, resumed: "
        f"{campaign.files} files, {campaign.size / 1e6:.0f} MB, {len(campaign.hits)} hits; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if campaign.hits else 0


if __name__ == "__main__":
    sys.exit(main())
