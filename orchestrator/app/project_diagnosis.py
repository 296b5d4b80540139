"""What `doctor` checks of a project that can be opened: its stacks, its store, its artifacts and its runs."""

import contextlib
import re
import shutil
from collections import Counter
from pathlib import Path

from orchestrator.app.folder_diagnosis import ROOMY
from orchestrator.app.front_end import ApplicationParts
from orchestrator.app.machine import Machine
from orchestrator.app.queries import Queries
from orchestrator.domain.diagnosis import Check, Level, ShowTime
from orchestrator.domain.errors import OrchestratorError, lookup
from orchestrator.domain.text import counted
from orchestrator.ports.lists import each_request

RUN_JOB = re.compile(r"[0-9a-f]{6}-")  # the jobs of runs, not those of plans and inspections


class ProjectDiagnosis:
    """The checks of one project on this *machine*. No record is shown, so that no right is needed but for the facts."""

    def __init__(self, parts: ApplicationParts, machine: Machine) -> None:
        self._parts, self._machine = parts, machine

    def stacks(self) -> Check:
        """What Pulumi must be given for each environment's stack."""
        if missing := [str(self._parts.withheld.place(item)) for item in self._parts.withheld.missing()]:
            says = f"the restored state lacks {' and '.join(missing)}"
            return Check(name="stack secrets", level="problem", says=says, remedy="orchestrator explain S193")
        for name, (environment, folder) in self._parts.environments.items():
            if environment.program is not None:
                definition = self._parts.provisioner.definition(environment, folder)
                found = self._machine.pulumi.missing_credential(definition)
                if found is not None:
                    says, remedy = found
                    return Check(name="stack secrets", level="problem", says=f"{name}: {says}", remedy=remedy)
        return Check(name="stack secrets", level="ok", says="passphrases and logins exist")

    def runtimes(self) -> Check:
        """What runs each environment's program: its language host, and the virtual environment that it names."""
        names = list[str]()
        with contextlib.suppress(OrchestratorError):  # the engine has a check of its own
            found = self._machine.pulumi.find()
            for name, (environment, folder) in self._parts.environments.items():
                if environment.program is None:
                    continue
                runtime, problem = self._machine.pulumi.runtime_of(found, environment, folder, self._parts.root)
                if problem is not None:
                    says, remedy = f"{name}: {problem.message}", str(problem.hint)
                    return Check(name="Pulumi programs", level="problem", says=says, remedy=remedy)
                names.append(runtime)
        runtimes = ", ".join(dict.fromkeys(names))
        says = f"{runtimes}: their language hosts are installed" if names else "none was checked"
        return Check(name="Pulumi programs", level="ok", says=says)

    def store(self) -> Check:
        """The journal: is it there, of which schema, and how is it kept?"""
        try:
            runs = len(self._parts.store.runs(limit=1000))
        finally:
            self._parts.close()
        says = f"{self._machine.databases.describe(self._parts.store_url)}, {counted(runs, 'run')}"
        return Check(name="store", level="ok", says=says)

    def databases(self) -> Check:
        """Each database file by SQLite's own check, and the space where they lie."""
        files = self._machine.databases.files(self._parts.store_url)
        if files is None:
            return Check(name="database files", level="ok", says="none: the database is Postgres")
        wrong = [f"{path.name}: {problem}" for path in files for problem in self._machine.databases.damage(path)[:1]]
        if wrong:
            remedy = "orchestrator restore BACKUP --yes, or put an undamaged copy of the file in its place"
            return Check(name="database files", level="problem", says=f"damaged: {'; '.join(wrong)}", remedy=remedy)
        free = min((shutil.disk_usage(path.parent).free for path in files), default=ROOMY)
        if free < ROOMY:
            says = f"only {free // 2**20} MiB are free beside them"
            return Check(name="database files", level="warning", says=says, remedy="make room before you promote")
        says = f"{', '.join(path.name for path in files) or 'none yet'}: whole"
        return Check(name="database files", level="ok", says=says)

    def artifacts(self) -> Check:
        """Whether the artifacts that several machines share can be written, read and listed."""
        try:
            self._parts.artifacts.check()
        except OrchestratorError as error:
            remedy = f"{lookup(error.code).remedy} (orchestrator explain {error.code})"
            return Check(name="artifacts", level="problem", says=error.message, remedy=remedy)
        if self._parts.shared is None:
            return Check(name="artifacts", level="ok", says="kept on this machine only")
        return Check(name="artifacts", level="ok", says=f"shared in {self._parts.artifacts.where}")

    def workers(self, show_time: ShowTime) -> Check:
        """Who works on what, and what waits for which workers. Times are written by *show_time*."""
        try:
            works = list(each_request(self._parts.store))
            claimed = {work.root for work in works if self._parts.engine.works_on(work)}
        finally:
            self._parts.close()
        waiting = Counter(work.queue for work in works if work.queue and work.root not in claimed)
        says = [f"{work.root} by {work.worker} until {show_time(work.until)}" for work in works if work.root in claimed]
        says += [f"{number} in the queue {queue}" for queue, number in sorted(waiting.items())]
        text = "; ".join(says) or "no worker is running, and no run waits for one"
        return Check(name="workers", level="ok", says=text)

    def situation(self) -> list[Check]:
        """The facts of each environment, as `status` shows them: what needs intervention, what has no records."""
        state = self._parts.state
        try:
            facts = Queries(self._parts).facts_of_all(self._parts.actor, tuple(self._parts.environments))
            used = any(item.recorded for item in facts) or not _traces(state)
        finally:
            self._parts.close()
        checks = []
        for item in facts:
            for problem in item.problems:
                if problem.kind == "unrecorded" and used:
                    continue
                level: Level = "problem" if problem.kind == "intervention" else "warning"
                says = f"{problem.text}: {problem.reason}" if problem.reason else problem.text
                remedy = "; or ".join(found.command for found in problem.remedies[:3])
                checks.append(Check(name=item.name, level=level, says=says, remedy=remedy))
        if not used:
            says = f"the journal has no runs, but {state} has files of earlier ones"
            remedy = "orchestrator restore BACKUP, or orchestrator observe ENVIRONMENT to inspect the hosts"
            checks.append(Check(name="journal", level="warning", says=says, remedy=remedy))
        return checks or [Check(name="environments", level="ok", says="none needs intervention, no run is interrupted")]


def _traces(state: Path) -> bool:
    """Whether runs were executed with this state folder, by the folders of their jobs."""
    jobs = state / "jobs"
    return jobs.is_dir() and any(RUN_JOB.match(folder.name) for folder in jobs.iterdir())
