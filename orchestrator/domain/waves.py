"""Waves: a release goes to several environments, some side by side, the next ones only once those are good.

This module has the content of the file and the rules. It does not know how waves are executed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrator.domain.model import Model, Name
from orchestrator.domain.promotion import State
from orchestrator.domain.quantities import Duration
from orchestrator.domain.text import counted

BACK = "_back"  # ends the name of the run that rolls an environment back: no environment has such a name
BAD = frozenset({State.FAILED, State.ROLLED_BACK})
"""How a run ends whose environment has failed, and is as it was before."""


class Waves(Model):
    """A list of waves in `orchestrator.yaml`: `promote RELEASE --to name`.

    *environments* are the waves, each with the environments that run side by side. *soak* is the time between the end
    of one wave and the next. *on_failure* is what happens to promoted environments when a later wave is held. Up to
    *max_failures* environments may fail before later waves are held.
    """

    name: Name
    environments: Annotated[
        tuple[Annotated[tuple[Name, ...], Field(min_length=1)], ...],
        Field(min_length=1),
    ]
    soak: Duration = "0s"
    on_failure: Literal["stop", "rollback"] = "stop"
    max_failures: int = Field(default=0, ge=0)

    @property
    def names(self) -> tuple[str, ...]:
        """Every environment, in the order of the waves."""
        return tuple(name for wave in self.environments for name in wave)

    def before(self, environment: str) -> frozenset[str]:
        """The environments of earlier waves than that of *environment*."""
        found: set[str] = set()
        for wave in self.environments:
            if environment in wave:
                break
            found.update(wave)
        return frozenset(found)

    def __str__(self) -> str:
        return " then ".join("[" + ", ".join(wave) + "]" for wave in self.environments)


def why_held(waves: Waves, ended: Mapping[str, State]) -> str:
    """Why no further wave may start after the runs that *ended*, by environment; empty: the next one may."""
    stuck = [name for name, state in ended.items() if state not in BAD | {State.SUCCEEDED}]
    failed = [name for name, state in ended.items() if state in BAD]
    if stuck:
        return f"{', '.join(stuck)} needs intervention"
    if len(failed) <= waves.max_failures:
        return ""
    allowed = f", and {waves.max_failures} may" if waves.max_failures else ""
    return f"{', '.join(failed)} failed{allowed}"


def ending(ended: Mapping[str, State], returned: Mapping[str, bool] | None, why: str) -> State:
    """The end of a promotion in waves whose runs have *ended*; *why* it was held, empty if it was not.

    *returned* has for each environment that was to roll back whether it did; None if none was to.
    """
    if not why:
        return State.SUCCEEDED
    states = set(ended.values())
    if State.NEEDS_INTERVENTION in states or (returned is not None and not all(returned.values())):
        return State.NEEDS_INTERVENTION
    if State.SUCCEEDED in states and returned is None:
        return State.HELD
    return State.ROLLED_BACK if State.ROLLED_BACK in states or returned else State.FAILED


def outcome(waves: Waves, ended: Mapping[str, State], returned: Mapping[str, bool] | None, why: str) -> str:
    """How a promotion in waves ended, in a sentence."""
    bad = [name for name, state in ended.items() if state in BAD]
    if not why:
        but = f"; {', '.join(bad)} failed, which max_failures allows" if bad else ""
        return f"{waves.name}: {counted(len(ended) - len(bad), 'environment')} promoted{but}"
    stays = [name for name, state in ended.items() if state is State.SUCCEEDED and not (returned or {}).get(name)]
    back = [name for name, good in (returned or {}).items() if good]
    parts = [f"held: {why}"]
    parts += [f"rolled back: {', '.join(back)}"] if back else []
    parts += [f"keeps the release: {', '.join(stays)}"] if stays else []
    return f"{waves.name}: {'; '.join(parts)}"


class WaveEnvironment(Model):
    """One environment of a promotion in waves. *run* is its promotion, *back* the run that rolled it back.

    *state* is `waiting`, `running`, `already deployed`, `not started`, or the end of its run. It is `rolling back`
    and `rolled back` during and after its rollback, and `not rolled back` if that was not possible. *why* is the
    reason.
    """

    environment: str
    state: str
    run: str | None = None
    back: str | None = None
    why: str = ""


class WaveStatus(Model):
    """One wave of a promotion: the result of each environment, and *until* when it soaks, or has soaked (ISO 8601)."""

    number: int
    environments: tuple[WaveEnvironment, ...]
    until: str | None = None


Changes = dict[str, dict[str, Any]]
"""The fields of a :class:`WaveEnvironment` that change, by environment."""


def _begun(data: Mapping[str, Any]) -> Changes:
    return {name: {"state": "running", "run": run} for name, run in data["runs"].items()}


def _ended(data: Mapping[str, Any]) -> Changes:
    return {name: {"state": state} for name, state in data["ended"].items()}


def _held(data: Mapping[str, Any]) -> Changes:
    return {name: {"state": "not started", "why": data["why"]} for name in data["environments"]}


def _rolling_back(data: Mapping[str, Any]) -> Changes:
    return {name: {"state": "rolling back", "back": run} for name, run in data["runs"].items()}


def _rolled_back(data: Mapping[str, Any]) -> Changes:
    return {name: {"state": "rolled back" if good else "not rolled back"} for name, good in data["returned"].items()}


def _stays(data: Mapping[str, Any]) -> Changes:
    return {data["environment"]: {"why": data["why"], **({} if data["fine"] else {"state": "not rolled back"})}}


_CHANGES: dict[str, Callable[[Mapping[str, Any]], Changes]] = {
    "begun": _begun,
    "ended": _ended,
    "held": _held,
    "returning": _rolling_back,
    "returned": _rolled_back,
    "stays": _stays,
}
"""What each event of a record of the kind `wave` changes."""


@dataclass
class Progress:
    """The progress of a promotion in waves, folded from the data of the records of its own run."""

    waves: Waves
    stations: dict[str, WaveEnvironment] = field(default_factory=dict)
    until: dict[int, str] = field(default_factory=dict)
    soaking: int = 0

    @classmethod
    def begun(cls, planned: Mapping[str, Any]) -> "Progress":
        """A promotion in waves of which only what was *planned* is known."""
        waves, deployed = Waves.from_json(planned["rollout"]), planned["already_deployed"]
        states = {name: "already deployed" if name in deployed else "waiting" for name in waves.names}
        return cls(waves, {name: WaveEnvironment(environment=name, state=state) for name, state in states.items()})

    def take(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        """Add one record of the kind `wave`. Returns the runs that start with it."""
        event = data["event"]
        self.soaking = 0
        if event == "soaking":
            self.until[data["number"]], self.soaking = data["until"], data["number"]
        for name, change in _CHANGES[event](data).items() if event in _CHANGES else ():
            self.stations[name] = self.stations[name].model_copy(update=change)
        return tuple(data["runs"].values()) if event in {"begun", "returning"} else ()

    @property
    def story(self) -> tuple[WaveStatus, ...]:
        """Wave by wave."""
        return tuple(
            WaveStatus(
                number=number, environments=tuple(self.stations[name] for name in wave), until=self.until.get(number)
            )
            for number, wave in enumerate(self.waves.environments, start=1)
        )

    @property
    def left(self) -> tuple[str, ...]:
        """The environments that have not started."""
        return tuple(name for name, station in self.stations.items() if station.state == "waiting")
