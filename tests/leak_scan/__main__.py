"""`make leak-scan`: 8 kinds of canary in 5 encodings, in runs that succeed, fail, and are killed in each kind of job.

Afterwards no canary may be in the database, the engine's records, logs, plans, evidence, backups, packages, the words of
processes, temporary folders, or on the terminal.
"""

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from orchestrator.adapters.pulumi import engine
from orchestrator.processes import kill_tree
from tests.journeys.conftest import Project
from tests.leak_scan import project as files
from tests.leak_scan.canaries import ENCODINGS, KINDS, Canary, made
from tests.leak_scan.scan import Hit, Processes, Scan
from tests.passphrase import passphrase

SOURCES = ("controller-files", "hosts")
"""Below the state folder: secret controller files themselves, and the file systems of hosts, to which plays write."""
READS = (
    ("history",),
    ("matrix",),
    ("status", "staging", "--hosts"),
    ("show", "{run}"),
    ("watch", "{run}"),
    ("logs", "{run}"),
    ("logs", "{run}", "--output"),
    ("logs", "{run}", "--files"),
    ("package", "show", "0.9.0"),
    ("package", "diff", "0.9.0", "1.1.0"),
    ("environment", "show", "staging"),
    ("environment", "outputs", "staging"),
    ("environment", "inventory", "staging"),
    ("doctor",),
)
"""Commands that only read. Their answers are printed as text and as JSON."""
REPORTING = ("doctor", "watch")
"""Those of them whose exit status is the state of the machine or of a run. The others end with 0."""
CRASHES = {"provision": "1.4.0", "deploy.1": "1.2.0", "verify.smoke.environment": "1.3.0"}
"""The steps in which the process is killed, and the releases that are promoted then."""
WROTE = {"deploy.1": "written-by-the-play", "verify.smoke.environment": "begun"}
"""The file that a job has written when the process is killed; for others, time passes."""
MASKS = 4 * len(KINDS)  # a run masks each canary at least in so many encodings: else it was not written down at all


UNFILTERED = (
    sys.executable,
    "-c",
    """
import sys
from orchestrator.__main__ import run
from orchestrator.secret_values import SecretValues

SecretValues.learn = lambda *_: None
run()
""",
)
"""The command line with a filter that knows no secret."""
PLACES = {
    "the journal": "*/state.db",
    "records of the engine": "*/engine.db",
    "events of jobs": "*/jobs/*/events.jsonl",
    "output of jobs": "*/jobs/*/output.log",
    "files that a play wrote": "*/jobs/*/files/*",
    "plans": "*/plans/*",
    "a plan document": "plan.json",
    "backups": "*.backup:*",
    "the terminal": "terminal",
    "JSON": "JSON",
}
"""Where an unfiltered run leaves canaries: patterns of the places of hits."""
DATABASES = frozenset({"the journal", "records of the engine"})
"""The places that are files only with SQLite."""


class Campaign:
    """The project, what its commands have printed, and what was found."""

    def __init__(self, project: Project, temporary: Path) -> None:
        self.project, self.temporary, self.canaries = project, temporary, made()
        self.is_filtered = project.program != UNFILTERED
        self.printed: list[bytes] = []
        self.documents: list[bytes] = []
        self.hits: set[tuple[str, Hit]] = set()
        self.files = self.size = 0

    def run(self, *words: str, code: int | None = None, kept: list[bytes] | None = None) -> None:
        """Run a command, and remember what it printed."""
        said = self.project.run(*words, code=code)
        (self.printed if kept is None else kept).extend((said.out.encode(), said.err.encode()))

    def prepare(self) -> None:
        """Lay the project, and configure its stack."""
        files.lay(self.project, self.canaries)
        files.configure(self.project, engine.find_engine(self.project.environ()).path, self.canaries["config"])

    def generate(self) -> None:
        """A promotion that generates a password in a secret controller file, and does not show it."""
        self.run("promote", "releases/0.9.0", "--to", "staging", code=0)
        token = next((self.project.state / "controller-files").rglob("token"))
        self.canaries["file"] = Canary("file", token.read_text().partition(" ")[0].strip())

    def plan(self) -> None:
        """A plan in a file, and as JSON."""
        self.run("plan", "releases/1.0.0", "--to", "staging", "--out", str(self.project.root / "plan.json"), code=0)
        self.run("plan", "releases/1.0.0", "--to", "staging", "--json", code=0, kept=self.documents)

    def succeed(self) -> None:
        """A promotion that ends well."""
        self.run("promote", "releases/1.0.0", "--to", "staging", code=0)
        self.run("drift", "staging")

    def fail(self) -> None:
        """A promotion that fails, and is rolled back."""
        self.run("promote", "releases/1.1.0", "--to", "staging", "--json", code=4, kept=self.documents)

    def crash(self, step: str) -> Iterator[str]:
        """A promotion whose process is killed in *step*; it is resumed after the first search."""
        if step == "provision":
            files.slow_down(self.project)
        process = self.project.start("promote", f"releases/{CRASHES[step]}", "--to", "staging")
        run = self.project.reaches(process, "staging", step)
        job = self.project.state / "jobs" / f"{run}.{step}"
        _wait((job / "started").is_file)
        if step in WROTE:
            _wait(lambda: any(job.rglob(WROTE[step])))
        else:
            time.sleep(4)
        os.kill(process.pid, signal.SIGKILL)
        assert not (job / "outcome.json").exists(), f"{step} had ended before the process was killed"
        self.printed += [text.encode() for text in process.communicate()]
        _wait((job / "outcome.json").is_file)  # the job outlives its process: until its end it has files in clear
        yield f"crash in {step}"
        self.run("resume", run, code=0)
        yield f"resumed after {step}"

    def blind_places(self) -> list[str]:
        """The places in which an unfiltered run has left a canary, and no canary was found.

        Two places are databases. In Postgres their content is found in the dump that backups contain.
        """
        found = [hit.where for _, hit in self.hits]
        elsewhere = DATABASES if "ORCHESTRATOR_STORE" in self.project.env else frozenset()
        return [
            name
            for name, pattern in PLACES.items()
            if name not in elsewhere and not any(fnmatch(where, pattern) for where in found)
        ]

    def search(self, moment: str, processes: Processes) -> None:
        """Search everything for canaries."""
        with self.project.opened() as app:
            last = app.store.runs("staging", limit=1)[0].id
        for words in READS:
            named = [word.format(run=last) for word in words]
            code = None if words[0] in REPORTING else 0
            self.run(*named, code=code)
            self.run(*named, "--json", code=code, kept=self.documents)
        backup = self.project.root / f"{moment}.backup"
        self.run("backup", str(backup), "--logs", *passphrase(self.project.root.parent), code=0)
        scan = Scan(list(self.canaries.values()))
        found = [*scan.tree(self.project.state, *SOURCES), *scan.tree(self.temporary)]
        for path in (backup, *self.project.root.glob("plan.json"), *(self.project.root / "dist").glob("*")):
            found += scan.data(path.name, path.read_bytes())
        found += scan.data("terminal", b"\n".join(self.printed))
        found += scan.data("JSON", b"\n".join(self.documents))
        found += scan.data("process arguments", b"\n".join(processes.words))
        self.hits |= {(moment, hit) for hit in found if not _by_hand(hit)}
        print(f"{moment}: {sum(at == moment for at, _ in self.hits)} hits in {scan.files} files", flush=True)
        self.files, self.size = self.files + scan.files, self.size + scan.size
        if self.is_filtered:
            masks = sum(
                log.read_bytes().count(b"[secret]") for log in self.project.state.glob("jobs/*deploy*/output.log")
            )
            assert masks >= MASKS, f"{moment}: only {masks} masks: the canaries were not written down"


def _wait(until: Callable[[], bool]) -> None:
    """Wait until it is true, for two minutes at most."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            if until():
                return
        time.sleep(0.05)
    raise AssertionError("what was waited for did not happen")


def _by_hand(hit: Hit) -> bool:
    """Whether a hit is where a value has to be in clear.

    That is the program of the stack, which has it by hand and which a backup restores, and the declared controller file
    itself in the copy of a play that has not been resumed.
    """
    place = PurePosixPath(hit.where.rpartition(":")[2])
    return place.name == "values.json" or place.parts[-3:] == ("content", "credentials", "token")


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
                campaign.plan()
                campaign.succeed()
                campaign.search("success", processes)
                campaign.fail()
                campaign.search("failure", processes)
                for step in CRASHES:
                    for moment in campaign.crash(step):
                        campaign.search(moment, processes)
        finally:
            for job in (project.state / "jobs").glob("*"):
                kill_tree(f"ORCHESTRATOR_JOB={job}")
            project.clean()
    for moment, hit in sorted(campaign.hits):
        print(f"{moment}: {hit.kind} as {hit.encoding} in {hit.where}")
    print(
        f"{len(KINDS)} kinds x {len(ENCODINGS)} encodings x success, failure, {len(CRASHES)} crashes, resumed: "
        f"{campaign.files} files, {campaign.size / 1e6:.0f} MB, {len(campaign.hits)} hits; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if campaign.hits else 0


if __name__ == "__main__":
    sys.exit(main())
