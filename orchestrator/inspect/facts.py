"""The facts of an environment, from the journal alone: nothing is inspected, and nothing is changed."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.facts import (
    Activity,
    EnvironmentFacts,
    Problem,
    QueueFacts,
    Remedy,
    RunFacts,
    changing,
    destroyed,
    had_effect,
    is_settled,
    remedies,
    unsettled,
)
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Lease, QueueEntry, Run
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.plan import SILENT, HostState
from orchestrator.domain.promotion import State
from orchestrator.domain.run_reason import ending_reason
from orchestrator.domain.step_payloads import SETTLING_STEPS
from orchestrator.domain.story import RunView
from orchestrator.domain.text import few
from orchestrator.inspect.facts_reader import FactsReader, FactsStore, OpenWork
from orchestrator.inspect.leftovers import GONE
from orchestrator.ports import Store
from orchestrator.ports.lists import each_run, queue_of, queues_of
from orchestrator.services import Services

Working = Callable[[str], bool]
"""Whether a process works on the runs of a root."""

OUTLINES = tuple(f"{step}:finished" for step in SETTLING_STEPS[::-1])
"""The entries that record all hosts of an environment; of one run, the newest first."""
ABOUT_HOSTS = (GONE, *OUTLINES)
AT_ONCE = 100
"""The runs whose entries are read at once where the newest one has none: many may have failed before their hosts."""
MOST_FAILED = 50
"""The newest runs that are read whether they have failed or not. Of those before them failed ones are omitted."""
NOT_FAILED = tuple(state for state in State if state is not State.FAILED)
PAGE = 5
"""The newest runs that are read first: the newest one has mostly left nothing open."""


def facts_of_all(
    services: Services, names: tuple[str, ...], working: Working, open_work: OpenWork | None = None
) -> list[EnvironmentFacts]:
    """What is known of each of the environments *names* now, read in a few queries for all of them.

    *open_work* is not read again, if it was just read.
    """
    reader = FactsReader(services.store, names, ABOUT_HOSTS, open_work)
    return [facts_of(services, name, working, reader) for name in names]


def facts_of(services: Services, name: str, working: Working, reader: FactsStore | None = None) -> EnvironmentFacts:
    """What is known of the environment *name* now, from the store or from *reader*. Raises R103."""
    environment, _ = services.environment(name)
    store = reader or services.store
    runs = recent(store, name)
    waiting, lease = queue_of(store, name), store.lease(name)

    found: dict[str, RunFacts] = {}

    def shown(run: Run) -> RunFacts:
        return found.get(run.id) or found.setdefault(run.id, run_facts(store, run, waiting, working))

    still_open = each_run(store, RunFilter(environment=name, is_open=True))
    open_runs = tuple(shown(run) for run in still_open)
    holder = next((run for run in open_runs if lease is not None and run.id == lease.holder), None)
    gone = destroyed(runs)
    hosts = () if gone is not None else _hosts(store, name, runs, holder)
    summary = next(iter(store.list_environments((name,)).items), None) if gone is None else None
    return EnvironmentFacts(
        name=name,
        after=environment.after,
        recorded=bool(runs) or bool(hosts),
        problems=tuple(_problems(store, name, runs, open_runs, hosts)),
        release=summary.release if summary else None,
        verified_at=summary.verified_at if summary else None,
        destroyed=gone,
        lease=lease,
        holder=holder,
        waiting=tuple(waiting),
        open_runs=open_runs,
        last_run=shown(runs[0]) if runs else None,
        last_effect=next((shown(run) for run in runs if had_effect(run)), None),
        hosts=hosts,
    )


def queue_facts(store: Store, names: tuple[str, ...], working: Working) -> dict[str, QueueFacts]:
    """The queues of the environments *names*: all are read at once, and then the runs that have a lease."""
    leases, queues = store.leases_of(names), queues_of(store, names)
    found = {}
    for name in names:
        lease, waiting = leases.get(name), queues[name]
        run = _holder(store, lease)
        holder = run_facts(store, run, waiting, working) if run is not None and not run.ended else None
        found[name] = QueueFacts(lease=lease, holder=holder, waiting=tuple(waiting))
    return found


def _holder(store: Store, lease: Lease | None) -> Run | None:
    """The run that has the *lease*; None for a lock, and for a run that is not recorded."""
    if lease is not None and not lease.locked:
        with contextlib.suppress(OrchestratorError):
            return store.run(lease.holder)
    return None


def recent(store: FactsStore, environment: str) -> list[Run]:
    """The newest runs of *environment*, newest first: all that a current fact may depend on.

    They reach back to the last run that left nothing open; the rest of a long history is not read. A failed run
    changed nothing. So of a long series of failed runs only the newest are read.
    """
    for limit in (PAGE, MOST_FAILED):
        runs = store.runs(environment, limit=limit)
        if len(runs) < limit or any(is_settled(run) for run in runs):
            return runs
    known = {run.id for run in runs}
    for run in each_run(store, RunFilter(environment=environment, states=NOT_FAILED)):
        if run.id not in known:
            runs.append(run)
        if is_settled(run):
            break
    return runs


def activity(store: FactsStore, run: Run, waiting: Iterable[QueueEntry], working: Working) -> Activity:
    """What *run* currently does."""
    if run.ended:
        return "ended"
    if working(run.root):
        return "waiting" if any(wait.run == run.id for wait in waiting) else "working"
    if run.control == "pause":
        return "paused"
    with contextlib.suppress(OrchestratorError):
        work = store.work(run.root)
        if work.queue and work.epoch == 0:
            return "queued"
    return "interrupted"


def run_facts(store: FactsStore, run: Run, waiting: Iterable[QueueEntry], working: Working) -> RunFacts:
    """*run* with what it currently does."""
    what = activity(store, run, waiting, working)
    return RunFacts.model_construct(**vars(run), activity=what, interrupted=what == "interrupted")  # it is valid


def _hosts(store: FactsStore, name: str, runs: list[Run], holder: RunFacts | None) -> tuple[HostState, ...]:
    """All hosts of the environment: those of its last inventory, and those of which something is recorded."""
    known = {state.host: state for state in store.hosts(name)}
    for host in recorded_hosts(store, runs):
        known.setdefault(host, HostState(host=host, truth="empty"))
    found = [known[host] for host in sorted(known)]
    if holder is None:
        return tuple(found)
    touched = set(changing(RunView.of(holder, store.records(holder.id)))) if had_effect(holder) else set()
    truth = "changing" if holder.activity in {"working", "waiting"} else "unknown"
    return tuple(
        state.model_copy(update={"truth": truth}) if state.host in touched or state.truth == "changing" else state
        for state in found
    )


def recorded_hosts(store: FactsStore, runs: Sequence[Run]) -> tuple[str, ...]:
    """All hosts of the environment as the newest of its *runs* recorded them; none after its stack was destroyed."""
    for some in (runs[:1], *(runs[start : start + AT_ONCE] for start in range(1, len(runs), AT_ONCE))):
        entries = {(each.run, each.key): each for each in store.entries_of(tuple(run.id for run in some), ABOUT_HOSTS)}
        for run in some:
            if (run.kind == "destroy" and had_effect(run)) or (run.id, GONE) in entries:
                return ()
            for key in OUTLINES:
                record = entries.get((run.id, key))
                if record is not None and "outline" in (record.data.get("data") or {}):
                    return tuple(Inventory.from_json(record.data["data"]["outline"]).hosts)
    return ()


def _problems(
    store: FactsStore, name: str, runs: list[Run], open_runs: tuple[RunFacts, ...], hosts: tuple[HostState, ...]
) -> Iterator[Problem]:
    yield from (_intervention(store, name, run) for run in unsettled(runs))
    yield from (_interrupted(name, run) for run in open_runs if run.activity == "interrupted")
    if (wrong := [state for state in hosts if state.differs]) and not open_runs:
        yield _service(name, wrong)
    unknown = [state for state in hosts if state.truth == "unknown"]
    if unknown and not any(run.activity == "working" for run in open_runs):
        yield _unknown(name, unknown)
    if not runs and not hosts:
        yield _unrecorded(name)


def _intervention(store: FactsStore, name: str, run: Run) -> Problem:
    story = RunView.of(run, store.records(run.id))
    text = f"{titled(run)} needs manual intervention"
    reason, found = ending_reason(story), remedies(story)
    return Problem(kind="intervention", environment=name, run=run.id, text=text, reason=reason, remedies=found)


def _interrupted(name: str, run: RunFacts) -> Problem:
    found = [Remedy(command=f"orchestrator resume {run.id}", effect="continue it")]
    if run.kind in {"promotion", "rehearsal", "waves"}:
        found.append(Remedy(command=f"orchestrator cancel {run.id}", effect="roll back what it changed"))
    reason = f"no process works on it; it was {run.state.value}"
    text = f"{titled(run)} is interrupted"
    return Problem(kind="interrupted", environment=name, run=run.id, text=text, reason=reason, remedies=tuple(found))


def _service(name: str, hosts: list[HostState]) -> Problem:
    """Services that were not those of the release on their hosts when these were observed last."""
    first = hosts[0]
    silent = [state.host for state in hosts if state.serves == SILENT]
    text = f"the service on {few(silent)} does not respond" if silent else ""
    other = [f"{state.host} (serves {state.serves})" for state in hosts if state.serves != SILENT]
    texts = [*([text] if text else []), *([f"another version runs on {few(other)}"] if other else [])]
    known = first.release if first.release and first.release.name != "unknown" else None
    release = f"{known.name}-{known.version}" if known else "RELEASE"
    found = (
        Remedy(command=f"orchestrator observe {name}", effect="query the services again"),
        Remedy(command=f"orchestrator promote {release} --to {name} --redeploy", effect="deploy the release again"),
    )
    return Problem(kind="service", environment=name, run=None, text="; ".join(texts), reason="", remedies=found)


def _unknown(name: str, hosts: list[HostState]) -> Problem:
    override = f"orchestrator environment override {name} {hosts[0].host} --release VERSION -m WHY"
    found = (
        Remedy(command=f"orchestrator observe {name}", effect="inspect the hosts"),
        Remedy(command=override, effect="record what it runs"),
    )
    text = f"the release on {few([state.host for state in hosts])} is unknown"
    return Problem(kind="unknown", environment=name, run=hosts[0].run, text=text, reason="", remedies=found)


def _unrecorded(name: str) -> Problem:
    found = (
        Remedy(command=f"orchestrator promote RELEASE --to {name}", effect="deploy the first release"),
        Remedy(command=f"orchestrator observe {name}", effect="query the hosts, if it has run releases before"),
    )
    text = "no records of this environment"
    return Problem(kind="unrecorded", environment=name, run=None, text=text, reason="", remedies=found)


def titled(run: Run) -> str:
    """The kind of *run*, its id and its release, for the start of a sentence."""
    return f"{run.kind} {run.id}" + (f" of {run.release}" if run.release else "")
