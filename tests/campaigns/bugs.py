"""Plant bugs in the engine, one at a time, and see that the campaigns find every one: `python -m tests.campaigns.bugs`."""

import argparse
import contextlib
import dataclasses
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.store import MemoryStore
from orchestrator.domain.effects import Effects
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry
from orchestrator.domain.plan import HostState, PlaySpec
from orchestrator.domain.promotion import Event
from orchestrator.domain.release import Manifest
from orchestrator.domain.started import StartedStep
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow import close, deploy, hold, host_states, promote, provision, rollback, switch, verify, watch
from orchestrator.flow.halt import OwnershipLost
from orchestrator.flow.run_context import RunContext
from orchestrator.planning import rollback_plan, sides
from tests.campaigns import simulated
from tests.campaigns.judge import judged
from tests.campaigns.simulated import SCENARIOS, Scenario, ending, prepared
from tests.campaigns.sweep import attempt

Bug = Callable[[Callable[..., Any]], Callable[..., Any]]


def _nothing(_old: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_args, **_more: None


def _unfenced(old: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, run, entries, _fence=0: old(self, run, entries, 0)


def _anybody(old: Callable[..., Any]) -> Callable[..., Any]:
    def acquire(self: Any, *args: Any, **more: Any) -> Any:
        try:
            return old(self, *args, **more)
        except OrchestratorError as error:
            if error.code != "S103":
                raise
            return old(self, *args, **{**more, "worker": ""})

    return acquire


def _same_fence(old: Callable[..., Any]) -> Callable[..., Any]:
    def acquire(self: Any, environment: str, holder: str, *args: Any, **more: Any) -> Any:
        held = self._leases.get(environment)
        return held if held is not None and held.holder == holder else old(self, environment, holder, *args, **more)

    return acquire


def _fence_of_nobody(old: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, host, play, package, context, *more: old(
        self, host, play, package, dataclasses.replace(context, fence=0), *more
    )


def _forgetful(old: Callable[..., Any]) -> Callable[..., Any]:
    def one(self: Any, *args: Any) -> Any:
        self._world.done.clear()
        return old(self, *args)

    return one


def _unchecked(_old: Callable[..., Any]) -> Callable[..., Any]:
    def check(self: Any) -> None:
        self._kept.until[threading.get_ident()] = self._kept.store.clock.monotonic() + 1e9

    return check


def _without(kind: str) -> Bug:
    """Entries of this kind are never written."""

    def bug(old: Callable[..., Any]) -> Callable[..., Any]:
        return lambda self, *entries: old(self, *(entry for entry in entries if entry.kind != kind))

    return bug


def _intent_afterwards(_old: Callable[..., Any]) -> Callable[..., Any]:
    def attempt_(self: RunContext, name: str, label: str, work: Any, about: Any) -> StepResult:
        recorded = self.durable.step(name, lambda: self._work(name, work, begun=False).to_json())
        self.note(Entry(kind="step.started", step=name, data={"label": label, **about}, key=f"{name}:started"))
        self.note(Entry(kind="step.finished", step=name, data=recorded, key=f"{name}:finished"))
        return StepResult.from_json(recorded)

    return attempt_


def _lost_is_done(old: Callable[..., Any]) -> Callable[..., Any]:
    def attempt_(self: RunContext, *args: Any) -> StepResult:
        result: StepResult = old(self, *args)
        lost = result.data.get("how") == "lost"
        return result.model_copy(update={"outcome": Outcome.SUCCEEDED, "data": {}}) if lost else result

    return attempt_


def _second_only(_old: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, _first: self


def _only_good(_old: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self: tuple(host.host for host in self.result.hosts if host.outcome.good)


def _last_batch_only(old: Callable[..., Any]) -> Callable[..., Any]:
    def restoring(target: Manifest, inventory: Inventory, hosts: tuple[str, ...]) -> tuple[PlaySpec, ...]:
        plays: tuple[PlaySpec, ...] = old(target, inventory, hosts[-1:])
        return plays

    return restoring


def _unproved(_old: Callable[..., Any]) -> Callable[..., Any]:
    def prove(ctx: RunContext) -> None:
        ctx.move(Event.VERIFY_ROLLBACK)
        assert ctx.restored_package is not None
        promote.record_verified(ctx, ctx.restored_package.ref)

    return prove


def _early(old: Callable[..., Any]) -> Callable[..., Any]:
    def roll_out(ctx: RunContext) -> None:
        promote.record_verified(ctx, ctx.pinned_package().ref)
        old(ctx)

    return roll_out


def _all_at_once(old: Callable[..., Any]) -> Callable[..., Any]:
    def batch(ctx: RunContext, *about: Any) -> StepResult:
        kept = ctx.services.deployer.deploy
        every = {"limit": ctx.hosts}
        object.__setattr__(
            ctx.services.deployer, "deploy", lambda play, *more: kept(play.model_copy(update=every), *more)
        )
        try:
            result: StepResult = old(ctx, *about)
            return result
        finally:
            object.__delattr__(ctx.services.deployer, "deploy")

    return batch


def _harmless(_old: Any) -> Any:
    return property(lambda _self: False)


def _unknown_is_good(_old: Any) -> Any:
    return property(lambda self: self in (Outcome.SUCCEEDED, Outcome.SKIPPED, Outcome.UNKNOWN))


def _wrong_release(_old: Callable[..., Any]) -> Callable[..., Any]:
    def state(host: Any, _ref: Any, known: Any, run: str) -> HostState:
        return HostState(host=host.host, truth="seen", release=next(iter(known.values())), run=run)

    return state


def _deaf(_old: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _self, **_more: None


def _looks_away(_old: Callable[..., Any]) -> Callable[..., Any]:
    def look_again(ctx: RunContext) -> None:
        if ctx.pinned_plan().watch is not None:
            ctx.move(Event.WATCH)
            promote.record_verified(ctx, ctx.pinned_package().ref)

    return look_again


def _inspects_once(old: Callable[..., Any]) -> Callable[..., Any]:
    def work(self: RunContext, *args: Any, **more: Any) -> StepResult:
        result: StepResult = old(self, *args, **more)
        reading = args[0].startswith(("plan", "require"))
        data = {name: value for name, value in result.data.items() if name != "how"}
        return result.model_copy(update={"data": data}) if reading else result

    return work


def _as_if_nothing_changed(old: Callable[..., Any]) -> Callable[..., Any]:
    def settle(ctx: RunContext, *args: Any) -> bool:
        old(ctx, *args)
        return False

    return settle


def _inspection_records(_old: Callable[..., Any]) -> Callable[..., Any]:
    def record(ctx: RunContext, result: StepResult, step: str) -> None:
        release, run = ctx.pinned_plan().release, ctx.run.id
        hosts = [host.host for host in result.hosts]
        ctx.record_hosts([HostState(host=host, truth="seen", release=release, run=run) for host in hosts], step)

    return record


def _held_at_any_time(_old: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, name, emit, *, begun: self.before_step(name, emit, begun) if not self.going_back else None


def _everything_is_good(_old: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _course, _suites, _package, _what, _hosts: None


BUGS: dict[str, list[tuple[Any, str, Bug]]] = {
    "a process that was replaced takes the lease": [(MemoryStore, "acquire", _anybody)],
    "the fence does not rise with a new process": [(MemoryStore, "acquire", _same_fence)],
    "the lease is not given back": [(simulated.Journal, "release", _nothing)],
    "what is done is never marked so": [(simulated.Journal, "release_claim", _nothing)],
    "hosts are not told the fence": [(MemoryDeployer, "_one", _fence_of_nobody)],
    "hosts forget what they have done": [(MemoryDeployer, "_one", _forgetful)],
    "nobody asks whether this process still may act, and the store takes an older fence": [
        (simulated.Acting, "check", _unchecked),
        (MemoryStore, "append", _unfenced),
        (MemoryStore, "acquire", _anybody),
    ],
    "an intent is never written": [(RunContext, "note", _without("step.started"))],
    "an intent is written after its effect": [(RunContext, "_attempt", _intent_afterwards)],
    "an outcome is never written": [(RunContext, "note", _without("step.finished"))],
    "the end is never written": [(RunContext, "note", _without("ended"))],
    "what is true of hosts is never written": [(RunContext, "note", _without("host"))],
    "a job that died is taken for done": [(RunContext, "_attempt", _lost_is_done)],
    "a second attempt forgets what the first one touched": [(StepResult, "after", _second_only)],
    "a wish to stop is not heard": [(RunContext, "_stopped", _deaf)],
    "only hosts that went well are rolled back": [(StartedStep, "touched", _only_good)],
    "only one host is put back": [(rollback_plan, "restoring", _last_batch_only)],
    "a rollback is not proved": [(rollback, "verify_restored", _unproved)],
    "a release is verified before it is deployed": [(deploy, "roll_out", _early)],
    "batches are not proved": [(deploy, "_prove_batch", _nothing)],
    "every batch is all hosts": [(deploy, "_deploy_batch", _all_at_once)],
    "an effect is not remembered": [(Effects, "changed", _harmless)],
    "what nobody could see is taken for good": [(Outcome, "good", _unknown_is_good)],
    "hosts are told to run what they ran before": [(host_states, "_after_change", _wrong_release)],
    "a failing watch is overlooked": [(watch, "watch_release", _looks_away)],
    "nothing is ever tested": [(verify, "verify_suites", _everything_is_good)],
    "a run that needs a person keeps the environment": [(close, "_end", _nothing)],
    "it is not switched back": [(switch, "switch_back", _nothing)],
    "a switch is never written down": [(RunContext, "note", _without("switched"))],
    "hosts are not told to be changing": [(host_states, "begin_change", _nothing)],
    "hosts that were not touched stay changing": [(host_states, "as_before", lambda _old: lambda *_args: [])],
    "hosts keep the variables of the stack that is gone": [(provision, "settle_restored", _as_if_nothing_changed)],
    "an inspection records a release": [(host_states, "record_inspection", _inspection_records)],
    "a job that died while it looked is not begun again": [(RunContext, "_attempt", _inspects_once)],
    "a run does not see that its environment closes": [(hold, "_closed", lambda _old: lambda _course: "")],
    "a run that has changed something is held": [(RunContext, "_held", _held_at_any_time)],
    "a run that is held keeps its environment": [(hold, "_release_lease", _nothing)],
    "the live side is deployed to": [(sides, "other", lambda _old: lambda side: side)],
}


def main() -> int:
    """Plant each; the exit status is 1 when one was not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="bugs whose name holds this")
    chosen = parser.parse_args()
    began, missed = time.monotonic(), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        for scenario in SCENARIOS:
            prepared(scenario, Path(folder))
        for name, places in BUGS.items():
            if chosen.only not in name:
                continue
            with contextlib.ExitStack() as planted:
                for owner, attribute, bug in places:
                    planted.enter_context(_planted(owner, attribute, bug))
                tried, found = hunt(Path(folder))
            print(f"{'found' if found else 'MISSED':7} {name}: after {tried} runs: {found or 'nothing'}")
            missed += [] if found else [name]
    print(f"{len(BUGS)} bugs, {len(missed)} missed, {time.monotonic() - began:.0f} s")
    print(f"{len(BUGS) - len(missed)} passed, {len(missed)} failed")
    return 1 if missed else 0


@contextlib.contextmanager
def _planted(owner: Any, attribute: str, bug: Bug) -> Iterator[None]:
    """The bug, for as long as the block lasts; in every module that knows the function by its own name too."""
    good = vars(owner).get(attribute) or getattr(owner, attribute)
    bad = bug(good)
    places = [owner, *(module for name, module in list(sys.modules.items()) if name.startswith("orchestrator.flow"))]
    known = [place for place in places if getattr(place, attribute, None) is good]
    tables = [simulated_table for simulated_table in _tables() if good in simulated_table[1]]
    for place in known:
        setattr(place, attribute, bad)
    for flow, table in tables:
        setattr(flow[0], flow[1], tuple(bad if verb is good else verb for verb in table))
    try:
        yield
    finally:
        for place in known:
            setattr(place, attribute, good)
        for flow, table in tables:
            setattr(flow[0], flow[1], table)


def _tables() -> list[tuple[tuple[Any, str], tuple[Any, ...]]]:
    from orchestrator import flow

    return [((flow, name), getattr(flow, name)) for name in ("FLOW", "ROLLBACK", "RETURN")]


def hunt(folder: Path) -> tuple[int, str]:
    """Crash and outlast until something is wrong: how many runs it took, and what."""
    tried = 0
    for run in _runs(folder):
        tried += 1
        with contextlib.suppress(OwnershipLost):
            if wrong := run():
                return tried, wrong[0]
    return tried, ""


def _runs(folder: Path) -> Iterator[Callable[[], list[str]]]:
    """Every scenario undisturbed, then with a process outlasted or crashed at every few points."""
    for scenario in SCENARIOS:
        yield partial(_guarded, partial(_found, scenario, folder, ()))
    for at in range(1, 200, 3):
        for scenario in SCENARIOS:
            if scenario.kind == "promotion" and not scenario.wishes:
                yield partial(_guarded, partial(_outlasted, scenario, folder, at))
            yield partial(_guarded, partial(_found, scenario, folder, (at,)))


def _found(scenario: Scenario, folder: Path, at: tuple[int, ...]) -> list[str]:
    """The violations of *scenario* that is crashed at the points *at*."""
    return attempt(scenario, folder, at)[0]


def _outlasted(scenario: Scenario, folder: Path, at: int) -> list[str]:
    simulation = prepared(scenario, folder)
    root = simulation.ask("promotion", simulation.new, "production")
    if not simulation.outlast(root, simulation.kept.points.count + at):
        return []
    wrong, end = judged(simulation, root), ending(simulation, root).value
    return [*wrong, *([f"it ended as {end}, and should have {scenario.ends}"] if end != scenario.ends else [])]


def _guarded(work: Callable[[], list[str]]) -> list[str]:
    """A run that breaks down under a bug has found it as well."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - whatever the bug breaks
        return [f"{type(error).__name__}: {error}"]


if __name__ == "__main__":
    sys.exit(main())
