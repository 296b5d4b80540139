"""Queries: what is true now, from the journal."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.app.admission import why
from orchestrator.app.authorize import UseCases, use_case
from orchestrator.app.calendar import states
from orchestrator.app.control import DETACHED
from orchestrator.app.environment_reports import drift_marks
from orchestrator.app.journal import current_run, has_process, is_paused, open_runs
from orchestrator.app.parts import Parts
from orchestrator.app.release_matrix import find_releases, release_page, release_rows
from orchestrator.app.requests import parse_request
from orchestrator.app.run_reader import RunReader
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.admission.documents import NextPromotion, next_promotion
from orchestrator.domain.calendar.state import EnvironmentCalendar
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.facts import EnvironmentFacts, QueueFacts, RunFacts
from orchestrator.domain.journal import Lease, Record, Run
from orchestrator.domain.listing import ALL_RELEASES, PAGE_SIZE, Page, ReleaseFilter, RunFilter
from orchestrator.domain.log_lines import LogFilter, OutputPart, read_lines
from orchestrator.domain.plan import HostState
from orchestrator.domain.release import PackageRef
from orchestrator.domain.story import RunView
from orchestrator.domain.text import clean_text
from orchestrator.inspect.facts import queue_facts, run_facts
from orchestrator.inspect.kept_facts import KeptFacts
from orchestrator.inspect.release_history import last_verified
from orchestrator.planning.candidates import candidate
from orchestrator.ports.lists import each_request, each_run, queue_of, queues_of, runs_of_request
from orchestrator.written_files import written_files

RECORDS_AT_ONCE = 500


@dataclass(frozen=True)
class Printed:
    """What one *job* of the step *step* has printed, in *file*; by *digest* when it is shared."""

    job: str
    step: str
    file: Path
    digest: str | None


class Queries(UseCases):
    """The use cases that read."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._parts, self._kept = parts, KeptFacts()
        self._copies: dict[str, tuple[EnvironmentFacts, EnvironmentFacts]] = {}

    @use_case(Action.VIEW)
    def facts(self, actor: Actor, environment: str) -> EnvironmentFacts:
        """What is true of *environment* now, from the journal and the calendar. Raises R103."""
        found = self._kept.read(self._parts.services, (environment,), self._works_on)
        return self._with_calendar(actor, found, (environment,))[0]

    @use_case(Action.VIEW)
    def facts_of_all(self, actor: Actor, environments: tuple[str, ...]) -> list[EnvironmentFacts]:
        """What is true of each of *environments* now, read in a few queries for all of them."""
        found = self._kept.read(self._parts.services, environments, self._works_on)
        automatic = [name for name in environments if self._parts.services.environment(name)[0].promote == "automatic"]
        return self._with_calendar(actor, found, environments if len(environments) == 1 else tuple(automatic))

    def _with_calendar(
        self, actor: Actor, found: list[EnvironmentFacts], detailed: tuple[str, ...]
    ) -> list[EnvironmentFacts]:
        """*found* with the calendar; those of *detailed* also with the release that they get next."""
        names = tuple(facts.name for facts in found)
        calendars = states(self._parts.acting_as(actor), self._parts.declared_rules(), names)
        return [
            self._shown(facts, calendars.get(facts.name), self._next(actor, facts.name))
            if facts.name in detailed
            else self._shown(facts, calendars.get(facts.name), None)
            for facts in found
        ]

    def _shown(
        self, facts: EnvironmentFacts, calendar: EnvironmentCalendar | None, following: NextPromotion | None
    ) -> EnvironmentFacts:
        """*facts* with the calendar and the release that follows: the copy that was made last, if that is equal."""
        known = self._copies.get(facts.name)
        if (
            known is None
            or known[0] is not facts
            or (known[1].calendar, known[1].next_promotion) != (calendar, following)
        ):
            copy = facts.model_copy(update={"calendar": calendar, "next_promotion": following})
            known = self._copies[facts.name] = (facts, copy)
        return known[1]

    def _next(self, actor: Actor, environment: str) -> NextPromotion | None:
        """The release that *environment* gets next, with its conditions; None if its package is not kept here."""
        release = candidate(self._parts.services, environment)
        if release is None:
            return None
        with suppress(OrchestratorError):
            package = self._parts.packages.fetch(release.digest)
            acting = self._parts.acting_as(actor)
            return next_promotion(release, why(acting, self._parts.promotion(package, environment)))
        return None

    @use_case(Action.VIEW)
    def releases(
        self, actor: Actor, chosen: ReleaseFilter = ALL_RELEASES, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> Page[PackageRef]:
        """A page of the releases that are kept or were ever verified here; see `release_page`."""
        return release_page(self._parts, chosen, cursor=cursor, limit=limit)

    @use_case(Action.VIEW)
    def find_releases(self, actor: Actor, words: tuple[str, ...], limit: int) -> list[PackageRef]:
        """The newest *limit* releases whose name, version or digest contain all of *words*, in lower case."""
        return find_releases(self._parts, words, limit)

    @use_case(Action.VIEW)
    def release_rows(
        self, actor: Actor, refs: list[PackageRef], facts: list[EnvironmentFacts]
    ) -> list[dict[str, object]]:
        """What each of the releases *refs* is in the environments of *facts*, as JSON data."""
        marks = drift_marks(self._parts.acting_as(actor), facts)
        return release_rows(self._parts, refs, facts, self._kept, marks)

    @use_case(Action.VIEW)
    def last_verified(self, actor: Actor, environment: str) -> PackageRef | None:
        """The release that was verified last in *environment*; None if none was."""
        mark = last_verified(self._parts.services, environment)
        return mark.release if mark is not None else None

    @use_case(Action.VIEW)
    def unfinished_runs(self, actor: Actor) -> list[Run]:
        """Every run that has not ended."""
        return list(each_run(self._parts.store, RunFilter(is_open=True)))

    @use_case(Action.VIEW)
    def run_page(
        self, actor: Actor, chosen: RunFilter, cursor: str | None, limit: int, *, oldest_first: bool = False
    ) -> Page[RunFacts]:
        """A page of the runs that *chosen* accepts, each with its current activity: newest first, or *oldest_first*."""
        page = self._parts.store.list_runs(chosen, oldest_first=oldest_first, cursor=cursor, limit=limit)
        names = tuple({run.environment for run in page.items})
        queues = queues_of(self._parts.store, names) if names else {}
        found = (
            run_facts(self._parts.store, run, queues.get(run.environment, []), self._works_on) for run in page.items
        )
        return Page[RunFacts](items=tuple(found), cursor=page.cursor)

    @use_case(Action.VIEW)
    def recent_runs(self, actor: Actor, limit: int, before: str | None = None) -> list[Run]:
        """The newest runs, newest first, at most *limit*; of those that were requested *before* a moment, if given."""
        if before is not None:
            return list(self._parts.store.list_runs(RunFilter(before=before), limit=limit).items)
        return self._parts.store.runs(limit=limit)

    @use_case(Action.VIEW)
    def newest_run(self, actor: Actor, environment: str) -> Run | None:
        """The newest run of *environment*, or of a list of waves; None without runs."""
        return next(iter(self._parts.store.runs(environment, limit=1)), None)

    @use_case(Action.VIEW)
    def runs_of(self, actor: Actor, root: str) -> list[Run]:
        """Every run of *root*, oldest first."""
        return runs_of_request(self._parts.store, root)

    @use_case(Action.VIEW)
    def reader(self, actor: Actor) -> RunReader:
        """What reads runs while they continue."""
        return RunReader(self._parts)

    @use_case(Action.VIEW)
    def has_worker(self, actor: Actor, root: str) -> bool:
        """Whether a process works, or may work, on *root*. See :meth:`has_process`."""
        return self._parts.engine.working(root)

    @use_case(Action.VIEW)
    def hosts(self, actor: Actor, environment: str) -> list[HostState]:
        """What is known of each host of *environment*."""
        return self._parts.store.hosts(environment)

    @use_case(Action.VIEW)
    def story(self, actor: Actor, name: str) -> RunView:
        """The run *name* from its request on. Raises R101."""
        run = self._parts.store.run(name)
        return RunView.of(run, self._parts.store.records(run.id))

    @use_case(Action.VIEW)
    def queue_facts(self, actor: Actor, environments: tuple[str, ...]) -> dict[str, QueueFacts]:
        """The queue of each of *environments*."""
        return queue_facts(self._parts.store, environments, self._works_on)

    @use_case(Action.VIEW)
    def leases(self, actor: Actor, environments: tuple[str, ...]) -> dict[str, Lease]:
        """The lease of each of *environments* that a run or a lock holds."""
        return self._parts.store.leases_of(environments)

    @use_case(Action.VIEW)
    def find_run(self, actor: Actor, wanted: str) -> Run:
        """The run with the id *wanted*, or the only one whose id starts with it. Raises R101 and R102."""
        return self._parts.store.run(wanted)

    @use_case(Action.VIEW)
    def run_facts(self, actor: Actor, run: Run) -> RunFacts:
        """*run*, and its current activity."""
        return run_facts(self._parts.store, run, queue_of(self._parts.store, run.environment), self._works_on)

    @use_case(Action.VIEW)
    def coming(self, actor: Actor) -> dict[str, list[dict[str, object]]]:
        """The promotions in waves that will reach each environment with a wave that has not started, as JSON data."""
        found: dict[str, list[dict[str, object]]] = {}
        for work in each_request(self._parts.store):
            request = parse_request(work.request)
            run = current_run(self._parts.store, work.root) if request.waves is not None else None
            progress = RunView.of(run, self._parts.store.records(run.id)).wave_progress if run is not None else None
            for wave in progress.story if progress is not None else ():
                for station in wave.environments:
                    if station.state == "waiting" and request.release is not None:
                        release = request.release.to_json()
                        about = {"run": work.root, "wave": wave.number, "release": release, "by": request.by}
                        found.setdefault(station.environment, []).append(about)
        return found

    @use_case(Action.VIEW)
    def printed(self, actor: Actor, run: str) -> Iterator[Printed]:
        """What each job of *run* has printed: from its folder if it ran here, otherwise from the shared logs.

        What is fetched is kept here. Raises S-codes when it cannot be.
        """
        for job, data in self._jobs(run).items():
            digest = data.get("digest")
            yield Printed(
                job, job.removeprefix(f"{run}."), self._output_file(job, data), str(digest) if digest else None
            )

    def _jobs(self, run: str) -> dict[str, dict[str, object]]:
        """Each job of *run* that has printed something, with what the journal has of it if it is shared."""
        records = {
            str(record.data["job"]): record.data for record in self._parts.store.records(run) if record.kind == "log"
        }
        here = (self._parts.state / "jobs").glob(f"{run}.*/output.log")
        local = {path.parent.name for path in here if path.stat().st_size}
        return {**records, **{job: {} for job in sorted(local - set(records))}}

    def _output_file(self, job: str, data: dict[str, object]) -> Path:
        """The file with what *job* has printed. What is fetched is kept here."""
        kept, file = self._parts.state / "logs", self._parts.state / "jobs" / job / "output.log"
        if not file.is_file():
            file = kept / str(data["digest"]).removeprefix("sha256:")
        if not file.is_file():
            kept.mkdir(exist_ok=True, mode=0o700)
            self._parts.artifacts.get(str(data["digest"]), file)
        return file

    @use_case(Action.VIEW)
    def outputs(self, actor: Actor, run: str) -> list[str]:
        """The jobs of *run* that have printed something. Raises R101."""
        return list(self._jobs(self._parts.store.run(run).id))

    @use_case(Action.VIEW)
    def output_part(self, actor: Actor, run: str, job: str, first: int, limit: int) -> OutputPart:
        """At most *limit* lines of what *job* has printed, from the line *first* on. Raises R101, R142 and S-codes."""
        name = self._parts.store.run(run).id
        jobs = self._jobs(name)
        if job not in jobs:
            raise OrchestratorError("R142", f"no job {clean_text(job, 100)} of {name} has printed anything")
        with self._output_file(job, jobs[job]).open("rb") as source:
            lines, more = read_lines(source, first, limit)
        following = first + len(lines) if more else None
        return OutputPart(job=job, step=job.removeprefix(f"{name}."), first=first, lines=lines, following=following)

    @use_case(Action.VIEW)
    def log_page(self, actor: Actor, run: str, chosen: LogFilter, after: int, limit: int) -> Page[Record]:
        """At most *limit* records of *run* after the number *after* that *chosen* accepts. Raises R101."""
        name, found, last = self._parts.store.run(run).id, list[Record](), after
        while len(found) <= limit:
            records = self._parts.store.records(name, last, RECORDS_AT_ONCE)
            found += [record for record in records if chosen.accepts(record)]
            if len(records) < RECORDS_AT_ONCE:
                break
            last = records[-1].seq
        cursor = str(found[limit - 1].seq) if len(found) > limit else None
        return Page[Record](items=tuple(found[:limit]), cursor=cursor)

    @use_case(Action.VIEW)
    def records(self, actor: Actor, run: str, after: int) -> list[Record]:
        """The first records of *run* after the number *after*, oldest first; none at the end. Raises R101."""
        return self._parts.store.records(self._parts.store.run(run).id, after, RECORDS_AT_ONCE)

    @use_case(Action.VIEW)
    def find_runs(self, actor: Actor, text: str, limit: int) -> list[Run]:
        """The run with the id *text* or this prefix, and the newest runs of this request, release or environment."""
        store, found = self._parts.store, dict[str, Run]()
        with suppress(OrchestratorError):
            run = store.run(text)
            found[run.id] = run
        for chosen in (RunFilter(request_id=text), RunFilter(name=text), RunFilter(environment=text)):
            found |= {run.id: run for run in store.list_runs(chosen, limit=limit).items}
        return list(found.values())[:limit]

    @use_case(Action.VIEW)
    def written(self, actor: Actor, run: str) -> Iterator[tuple[str, Path, list[dict[str, object]]]]:
        """What the playbooks of *run* wrote on this machine: each job, the folder of its files, and their list."""
        for listing in sorted((self._parts.state / "jobs").glob(f"{run}.*/files.json")):
            files = written_files(listing.parent)
            if files:
                yield listing.parent.name, listing.parent / "files", files

    @use_case(Action.VIEW)
    def interrupted(self, actor: Actor, run: Run) -> bool:
        """Whether *run* has not ended, no process works on it, and it is neither paused nor left to a worker."""
        return self.run_facts(actor, run).interrupted

    @use_case(Action.VIEW)
    def detached(self, actor: Actor, run: Run) -> bool:
        """Whether *run* was detached from the process that requested it."""
        return self._parts.store.has_entry(run.id, DETACHED)

    @use_case(Action.VIEW)
    def current_run(self, actor: Actor, root: str) -> Run:
        """The run of *root* that continues, or its last one; of a rollout in waves that of all of it. Raises R101."""
        return current_run(self._parts.store, root)

    @use_case(Action.VIEW)
    def open_runs(self, actor: Actor, root: str) -> list[Run]:
        """The runs of *root* that have not ended, oldest first."""
        return open_runs(self._parts.store, root)

    @use_case(Action.VIEW)
    def is_paused(self, actor: Actor, root: str) -> bool:
        """Whether no run of *root* continues because a user has paused it."""
        return is_paused(self._parts.store, root)

    @use_case(Action.VIEW)
    def has_process(self, actor: Actor, root: str) -> bool:
        """Whether a process works on *root*; one that was just started for it counts."""
        return has_process(self._parts, root)

    def _works_on(self, root: str) -> bool:
        return has_process(self._parts, root)
