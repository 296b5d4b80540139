"""A release with every path relative to the project's folder, as its package has it."""

from collections.abc import Callable

from orchestrator.domain.gate import Gate, PrometheusGate
from orchestrator.domain.release import Release
from orchestrator.domain.release_steps import UNDO_WORDS, AnyStep, ImplementationStep

Find = Callable[[str], str]


def with_resolved_paths(release: Release, find: Find) -> Release:
    """*release* with the path that *find* gives for each of its paths."""
    artifacts = [
        item.model_copy(update={"path": find(item.path), "name": item.file_name}) for item in release.artifacts
    ]
    verify = [item.model_copy(update={"tests": find(item.tests)}) for item in release.verify]
    watch = release.watch
    if watch is not None:
        tests = watch.tests and find(watch.tests)
        watch = watch.model_copy(update={"tests": tests, "gates": _gates(watch.gates, find)})
    return release.model_copy(
        update={
            "artifacts": tuple(artifacts),
            "steps": tuple(_step(step, find) for step in release.steps),
            "verify": tuple(verify),
            "watch": watch,
            "include": tuple(find(path) for path in release.include),
        }
    )


def _step(step: AnyStep, find: Find) -> AnyStep:
    undo = step.undo if step.undo is None or step.undo in UNDO_WORDS else find(step.undo)
    if isinstance(step, ImplementationStep):
        return step.model_copy(update={"implementation": find(step.implementation), "undo": undo})
    rollout = step.rollout
    if rollout.canary is not None:
        canary = rollout.canary.model_copy(update={"gates": _gates(rollout.canary.gates, find)})
        rollout = rollout.model_copy(update={"canary": canary})
    sides = rollout.blue_green
    if sides is not None:
        played = {"switch": find(sides.switch), "retire": sides.retire and find(sides.retire)}
        sides = sides.model_copy(update={**played, "gates": _gates(sides.gates, find)})
        rollout = rollout.model_copy(update={"blue_green": sides})
    return step.model_copy(update={"playbook": find(step.playbook), "undo": undo, "rollout": rollout})


def _gates(gates: tuple[Gate, ...], find: Find) -> tuple[Gate, ...]:
    return tuple(
        gate.model_copy(update={"tests": gate.tests and find(gate.tests), "prometheus": _query(gate.prometheus, find)})
        for gate in gates
    )


def _query(query: PrometheusGate | None, find: Find) -> PrometheusGate | None:
    return query.model_copy(update={"ca": find(query.ca)}) if query is not None and query.ca is not None else query
