"""What the checker is told of a simulation."""

from collections.abc import Iterable

from orchestrator.domain.journal import Record, Run
from orchestrator.ports.lists import queue_of
from tests.campaigns.simulated import Simulation
from tests.checker.invariants import Done, Seen, Told, violations


def judged(simulation: Simulation, root: str) -> list[str]:
    """What does not hold in *simulation*, now that *root* is over."""
    kept = simulation.kept
    environment, run = "production", kept.store.run(f"{root}-production")
    world = kept.world
    hosts = world.up.get(environment, [])
    verified = kept.store.verified(environment)
    lease = kept.store.lease(environment)
    found = violations(
        Seen(
            running={host: world.running.get((environment, host)) for host in hosts},
            told={
                state.host: Told(state.truth, state.digest, state.is_standby, state.switch_uncertain)
                for state in kept.store.hosts(environment)
            },
            approved={simulation.old.digest, simulation.new.digest},
            ended={run.id: run.state.value if run.ended else f"goes on, {run.state.value}"},
            ledgers=[
                Done(effect.host, effect.run, effect.step, effect.fence, effect.complete) for effect in kept.effects
            ],
            order=kept.trace,
            before={host: kept.before.get(host, simulation.old.digest) for host in hosts},
            verified=_stands(run, verified[0].release.digest if verified else None),
            leases=[lease.holder] if lease else [],
            waiting=[wait.run for wait in queue_of(kept.store, environment)],
            batches=batches_of(run.id, kept.store.records(run.id)),
            routed={router: to for (where, router), to in world.routed.items() if where == environment},
            live=kept.live,
            given={host: world.given[environment, host] for host in hosts if (environment, host) in world.given},
            gives=tuple(hosts),
        )
    )
    return [*found, *_plans_left(simulation, run)]


def _plans_left(simulation: Simulation, run: Run) -> Iterable[str]:
    """Implementation plans of *run* that have not ended, or that a rollback should have undone and did not."""
    plans = {step: plan for (owner, step), plan in simulation.kept.world.plans.items() if owner == run.id}
    for step, (key, template, _) in plans.items():
        if template in simulation.kept.world.waiting and key not in simulation.kept.world.aborted_plans:
            yield f"I6: {run.id} has ended, and {key} of {step} has not"
        undone = any(other.startswith("undo.implementation.") for other in plans)
        if run.state.value == "rolled back" and step.startswith("implement.") and not undone:
            yield f"I2: {run.id} is rolled back, and nothing undid {key} of {step}"


def _stands(run: Run, verified: str | None) -> str | None:
    """The digest that every host must run now: the one verified last, when the run ended as it should."""
    return verified if run.state.value in {"succeeded", "rolled back"} else None


def batches_of(run: str, records: Iterable[Record]) -> dict[tuple[str, str], list[set[str]]]:
    """The hosts of the batches of each step of *run*, by its journal."""
    found: dict[tuple[str, str], dict[int, set[str]]] = {}
    counts: dict[tuple[str, str], int] = {}
    for record in records:
        if record.kind == "step.started" and record.data.get("verb") == "deploy":
            name, _, number = record.step.partition("~")[0].rpartition(".")
            found.setdefault((run, name), {})[int(number)] = set(record.data["hosts"])
            counts[run, name] = int(record.data["batches"])
    return {key: [batches.get(number, set()) for number in range(1, counts[key] + 1)] for key, batches in found.items()}
