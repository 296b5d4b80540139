"""Every play of a step's playbook as the plan lists it: how often it runs, on which hosts, what batches do to it."""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from orchestrator.domain.inventory import Inventory
from orchestrator.domain.model import Model
from orchestrator.domain.once_tags import NO_TAGS, OnceTags
from orchestrator.domain.text import counted

CONTROLLER = "localhost"
Kind = Literal[
    "run_once", "end_play", "end_batch", "end_host", "clear_host_errors", "serial", "fatal", "add_host", "group_by",
    "play_hosts", "facts", "background", "repeats", "prompt",
]  # fmt: skip


class Trait(Model):
    """One thing in a play that batches change, or that only the run decides. *what* names the task or keyword."""

    kind: Kind
    what: str
    where: str
    tags: tuple[str, ...] = ()


class PlaySource(Model):
    """One play as it is written. *local*: it runs on the controller. *unseen* is what only the run will show."""

    name: str
    where: str
    hosts: str
    local: bool = False
    tags: tuple[str, ...] = ()
    traits: tuple[Trait, ...] = ()
    unseen: tuple[str, ...] = ()


class PlannedPlay(Model):
    """One play in the plan.

    *times* is how often it runs, and *on* its hosts (both null until the hosts are known). *effects* are the effects
    of batches on it. *repeats* are the tasks that repeat their work when a step is repeated, and *unseen* are the
    parts that are only known at run time.
    """

    name: str
    where: str
    hosts: str
    times: int | None = None
    on: tuple[str, ...] | None = None
    effects: tuple[str, ...] = Field(default=(), exclude_if=lambda texts: not texts)
    repeats: tuple[str, ...] = Field(default=(), exclude_if=lambda texts: not texts)
    unseen: tuple[str, ...] = Field(default=(), exclude_if=lambda texts: not texts)


Batches = tuple[tuple[str, ...], ...]


def planned_plays(
    sources: tuple[PlaySource, ...], batches: Batches | None, inventory: Inventory | None, once: OnceTags = NO_TAGS
) -> tuple[PlannedPlay, ...]:
    """Every play of *sources* with what *batches* of hosts do to it; None while the hosts are not known."""
    added, found = False, []
    for source in sources:
        meant = None if batches is None or inventory is None else _batches_of(source, batches, inventory, once)
        unseen = [*source.unseen, *(f"{trait.kind} {_at(trait)}" for trait in source.traits if trait.kind in _LEAVING)]
        if "{{" in source.hosts or not source.hosts:
            meant = None
            unseen += [f"hosts {source.hosts}"] if source.hosts else []
        elif added and meant is not None and not any(meant):
            meant = None
            unseen.append(f"hosts {source.hosts}, which a play before it adds")
        added = added or any(trait.kind in {"add_host", "group_by"} for trait in source.traits)
        effects = _effects(source, meant, len(batches) if batches is not None else 0, once)
        found.append(_planned(source, meant, effects, unseen))
    return tuple(found)


def _planned(source: PlaySource, meant: Batches | None, effects: Iterable[str], unseen: Iterable[str]) -> PlannedPlay:
    """The play on the hosts *meant*, batch by batch; None while they are not known."""
    return PlannedPlay(
        name=source.name,
        where=source.where,
        hosts=source.hosts,
        times=None if meant is None else sum(1 for hosts in meant if hosts),
        on=None if meant is None else tuple(dict.fromkeys(host for hosts in meant for host in hosts)),
        effects=tuple(dict.fromkeys(effects)),
        repeats=tuple(_at(trait) for trait in source.traits if trait.kind == "repeats"),
        unseen=tuple(dict.fromkeys(unseen)),
    )


_LEAVING = {"end_host", "end_play", "end_batch", "clear_host_errors"}


def _batches_of(source: PlaySource, batches: Batches, inventory: Inventory, once: OnceTags) -> Batches:
    """The play's hosts, batch by batch."""
    count = len(batches)
    if source.local and not any(name in inventory.hosts for name in source.hosts.split(",")):
        meant: list[tuple[str, ...]] = [(CONTROLLER,)] * count
    else:
        hosts = set(inventory.matching(source.hosts))
        meant = [tuple(host for host in batch if host in hosts) for batch in batches]
    skips = [set(once.skipped(number, count)) for number in range(1, count + 1)]
    return tuple(() if skip & set(source.tags) else hosts for hosts, skip in zip(meant, skips, strict=True))


def _effects(source: PlaySource, meant: Batches | None, count: int, once: OnceTags) -> Iterator[str]:
    """What batches do to the play, and what else a reader of the plan should know, in a sentence each."""
    if meant is not None and not any(meant):
        yield "does not run: none of its hosts are among those of the step"
        return
    for trait in source.traits:
        if trait.kind == "background":
            yield f"{_at(trait)} runs in the background; the playbook does not wait for its result"
        elif trait.kind == "prompt":
            yield f"the prompt {_at(trait)} takes its default"
    times = count if meant is None else sum(1 for hosts in meant if hosts)
    if times < 2:
        return
    if source.local:
        yield f"runs on the controller once per batch: {counted(times, 'time')}"
    for trait in source.traits:
        if trait.kind == "run_once":
            kept = not set(trait.tags) & set(once.tags)
            yield f"{_at(trait)} runs once {f'per batch: {times} times' if kept else 'in all'}"
        elif trait.kind in _IN_BATCHES:
            yield _IN_BATCHES[trait.kind].format(_at(trait))


_IN_BATCHES = {
    "end_play": "{} ends the play for its batch only",
    "serial": "{} divides each batch",
    "fatal": "{} stops its batch only; the next batch runs if the step tolerates the failures",
    "add_host": "hosts that {} adds exist in the same batch only",
    "group_by": "groups that {} makes have the hosts of one batch only",
    "play_hosts": "{} has the hosts of one batch only",
    "facts": "{} is known only for hosts of the same batch",
}


def _at(trait: Trait) -> str:
    return f"{trait.what} ({trait.where})"
