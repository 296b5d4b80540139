"""Environments that were created for one promotion and not destroyed yet."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run, is_past
from orchestrator.domain.plan import StackPreview, StackSpec
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.ports import Store
from orchestrator.services import Services

KIND, MADE, GONE = "ephemeral", "ephemeral:made", "ephemeral:gone"
RECENT = 200  # runs of an environment that are searched for what is left
NOTHING = frozenset({"create", "output"})  # what a preview counts where nothing exists


@dataclass(frozen=True)
class Leftover:
    """An ephemeral stack of *run* that was not destroyed: its *stack*, and *until* when it may exist (ISO 8601)."""

    run: Run
    stack: str
    until: str

    def due(self, now: str) -> bool:
        """Whether its time is over at *now*."""
        return is_past(self.until, now)


def with_ephemeral_stack(services: Services, environment: str, ref: PackageRef | None) -> Services:
    """*services*, in which an environment that is made for each release has a stack for *ref* alone."""
    found, _ = services.environment(environment)
    if found.ephemeral is None or found.ephemeral.per != "release" or ref is None:
        return services
    version = ref.version[:40].replace("+", "-")
    own = f"{found.stack or found.name}-{version}-{ref.digest[7:15]}"
    return replace(services, stacks={**services.stacks, environment: own})


def refuse_foreign(services: Services, environment: str, spec: StackSpec, preview: StackPreview) -> None:
    """Refuse a stack that has something already: what no promotion has made, none destroys. Raises E141 and R209."""
    if not {op for op, count in preview.counts.items() if count} - NOTHING:
        return
    mine = next((left for left in leftovers(services, environment) if left.stack == spec.stack), None)
    if mine is None:
        raise OrchestratorError("E141", f"the stack {spec.stack} of {environment} has resources that no promotion made")
    message = f"what {mine.run.id} made in {environment} still exists, until {mine.until}"
    raise OrchestratorError("R209", message, hint=f"orchestrator environment reap {environment} destroys it at once")


def leftovers(services: Services, environment: str | None = None) -> list[Leftover]:
    """The ephemeral stacks that were not destroyed yet, in *environment* or in all, newest first.

    A stack belongs to the last run that created or updated it: one that an operator has updated or destroyed does not
    belong to a promotion any more.
    """
    open_ones = services.store.ephemeral_environments()
    names = [name for name in ([environment] if environment else services.environments) if name in open_ones]
    return [left for name in names for left in _left(services, name)]


def _left(services: Services, name: str) -> Iterator[Leftover]:
    settled = set[str]()  # stacks whose state a newer run has shown already
    environment, store = services.environments[name][0], services.store
    runs = store.runs(name, limit=RECENT)
    entries = {
        (entry.run, entry.key): entry.data for entry in store.entries_of(tuple(run.id for run in runs), (MADE, GONE))
    }
    for run in runs:
        if run.kind in {"provision", "destroy"} and run.state is not State.FAILED:
            settled.add(environment.stack or name)
        made = entries.get((run.id, MADE)) if run.kind == "promotion" else None
        if made is None or made["stack"] in settled:
            continue
        settled.add(str(made["stack"]))
        if (run.id, GONE) not in entries:
            yield Leftover(run, str(made["stack"]), str(made["until"]))


def made_stack(store: Store, run: str) -> dict[str, Any] | None:
    """The ephemeral stack of *run*, from its journal; None if it has none."""
    return next((record.data for record in store.records(run) if record.kind == KIND and "stack" in record.data), None)
