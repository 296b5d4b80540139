"""How much the state folder grows: `python -m tests.campaigns.growth --promotions 1000 --first 100`.

One promotion a day, of each release to staging and then to production, in the memory world, on a journal in SQLite.
What real engines leave beside it (folders of jobs, printed output, records of durable execution, an unpacked package, a
plan that is not executed) is written with it. The rule of retention is applied every few days, as by a timer. The
campaign compares the state folder after the first promotions with that at the end.
"""

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.adapters.database.store import DatabaseStore
from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.adapters.memory.store import ManualClock
from orchestrator.domain.journal import QueuedRequest, Run
from orchestrator.domain.model import digest_of
from orchestrator.domain.retention import Retention
from orchestrator.flow import WORKFLOWS
from orchestrator.flow.prune import Records, prune
from orchestrator.flow.run_context import RunContext
from orchestrator.services import Services
from tests.flow.test_promotion import Stage, release

DAY = 86400.0
RATIO, EACH = 1.2, 100_000
"""The folder without journal and evidence may grow by this factor; journal and evidence by so many bytes a promotion."""
EVERY = 5  # promotions between two prunes
MEMORY = Path("/dev/shm")
"""Where sizes are measured if it is there: no write waits for a disk."""

JOBS = ("provision.1", "deploy.1", "verify.1")
OUTPUT = 20_000  # bytes that a job prints


class Size(NamedTuple):
    """The bytes of the state folder, by what they are: *evidence* is plans that were executed."""

    journal: int
    evidence: int
    sealed: int
    rest: int

    @property
    def kept(self) -> int:
        """What is kept for ever."""
        return self.journal + self.evidence


@dataclass
class Project:
    """A project whose runs are done in memory, and whose journal and state folder are real.

    The journal is in the store at *url*, by default in a file of the state folder.
    """

    folder: Path
    rule: Retention
    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime.now(UTC)))
    plans: set[str] = field(default_factory=set)
    newest: float = 0.0
    url: str = ""

    def __post_init__(self) -> None:
        self.stage = Stage(self.folder)
        self.store = DatabaseStore(self.url or f"sqlite:///{self.folder}/state.db", self.clock)
        made = self.stage.services()
        project = made.project.model_copy(update={"retention": self.rule})
        self.services: Services = replace(made, store=self.store, clock=self.clock, project=project)

    def promote(self, number: int) -> None:
        """The promotion of this number, with all that it leaves; a day passes."""
        environment = ("staging", "production")[number % 2]
        ref = self.stage.packages.put(release(f"1.{number // 2}.0")).ref
        root = f"{number:06x}"
        run = Run(id=f"{root}-{environment}", root=root, kind="promotion", environment=environment, release=ref, by="ann",
                  requested_at=self.clock.now())  # fmt: skip
        asked = {"root": root, "kind": run.kind, "release": ref.to_json(), "targets": [environment], "by": "ann"}
        self.store.submit(QueuedRequest(root=root, request=asked), run)
        answers: dict[str, Any] = {}
        WORKFLOWS[run.kind](RunContext(self.services, MemoryDurable(answers), run))
        self.store.release_claim(root, "", done=True)
        ended = self.store.run(run.id)
        assert ended.state.value == "succeeded", ended.message
        self.plans.add(str(ended.plan).removeprefix("sha256:"))
        self._leave(ended, ref.digest.removeprefix("sha256:"), answers)
        self._date()
        self.clock.sleep(DAY)

    def _leave(self, run: Run, package: str, answers: dict[str, Any]) -> None:
        """What engines leave, and a plan that nobody executes."""
        for job in JOBS:
            folder = self.folder / "jobs" / f"{run.id}.{job}"
            folder.mkdir(parents=True)
            (folder / "output.log").write_text("printed " * (OUTPUT // 8))
            (folder / "result.json").write_text(json.dumps({"rc": 0, "status": "successful"}))
        for path, text in (
            (self.folder / "records" / f"{run.root}.json", json.dumps(answers, default=str)),
            (self.folder / "background" / f"{run.root}.log", "printed " * 100),
            (self.folder / "logs" / f"{run.root}.log", "printed " * 100),
            (self.folder / "packages" / f"{package}.release", "sealed " * 1000),
            (self.folder / "packages" / package / "content" / "site.yml", "content " * 1000),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        other = digest_of([run.id, "not executed"]).removeprefix("sha256:")
        shutil.copytree(self.folder / "plans" / str(run.plan).removeprefix("sha256:"), self.folder / "plans" / other)

    def _date(self) -> None:
        """Date what is new in the folder by the clock of the campaign."""
        now = datetime.fromisoformat(self.clock.now()).timestamp()
        for path in [self.folder / "plans", *self.folder.glob("plans/*/*"), *self.folder.glob("packages/*"),
                     *self.folder.glob("logs/*")]:  # fmt: skip
            if path.stat().st_mtime > self.newest and path.stat().st_mtime < time.time() + 1:
                os.utime(path, (now, now))

    def prune(self) -> None:
        """Remove what the rule lets go."""
        prune(self.services, Records(self._roots, lambda _root: contextlib.nullcontext(True), self._forget))

    def _roots(self, _by: str) -> set[str]:
        return {path.stem for path in self.folder.glob("records/*.json")}

    def _forget(self, root: str) -> None:
        (self.folder / "records" / f"{root}.json").unlink()

    def size(self) -> Size:
        """The bytes of the state folder now."""
        found = dict.fromkeys(Size._fields, 0)
        for path in self.folder.rglob("*"):
            if path.is_file():
                found[self._part(path.relative_to(self.folder))] += path.stat().st_size
        return Size(**found)

    def _part(self, path: Path) -> str:
        if path.name.startswith("state.db"):
            return "journal"
        if path.suffix == ".release":
            return "sealed"
        return "evidence" if path.parts[0] == "plans" and path.parts[1] in self.plans else "rest"


def grown(project: Project, promotions: int, first: int) -> tuple[Size, Size]:
    """The sizes after the *first* promotions and after all *promotions*; prints each size in between."""
    early = late = None
    for number in range(1, promotions + 1):
        project.promote(number - 1)
        if number % EVERY == 0 or number in {first, promotions}:
            project.prune()
        if number % first == 0 or number == promotions:
            late = project.size()
            early = early or late
            parts = ", ".join(f"{name} {value / 1000:,.0f} kB" for name, value in late._asdict().items())
            print(f"after {number} promotions: {parts}", flush=True)
    assert early is not None
    assert late is not None
    return early, late


def main(words: list[str] | None = None) -> int:
    """Print the sizes; the exit status is 1 when something grew too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--promotions", type=int, default=1000)
    parser.add_argument("--first", type=int, default=100, help="after how many promotions the folder is measured first")
    parser.add_argument("--runs", default=Retention().runs, help="the rule `retention.runs`")
    parser.add_argument("--keep", type=int, default=Retention().keep_per_environment)
    chosen = parser.parse_args(words)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        rule = Retention(runs=chosen.runs, keep_per_environment=chosen.keep)
        early, late = grown(Project(Path(folder), rule), chosen.promotions, chosen.first)
    ratio = late.rest / early.rest
    each = (late.kept - early.kept) / (chosen.promotions - chosen.first)
    good = ratio <= RATIO and each <= EACH
    print(f"the rest grew to {ratio:.2f} times its size (at most {RATIO})")
    print(f"journal and evidence grew by {each / 1000:.1f} kB a promotion (at most {EACH / 1000:.0f})")
    print(f"{'passed' if good else 'failed'}, {time.monotonic() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
