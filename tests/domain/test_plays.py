"""Every play of a step, as the plan lists it: how often it runs, on which hosts, and what batches do to it."""

from typing import Any

import pytest

from orchestrator.domain.inventory import Group, Inventory
from orchestrator.domain.once_tags import OnceTags
from orchestrator.domain.plays import Kind, PlannedPlay, PlaySource, Trait, planned_plays

HOSTS = ("web1", "web2", "web3", "db1")
FOUR = Inventory(
    hosts={host: {} for host in HOSTS}, groups={"web": Group(hosts=HOSTS[:3]), "db": Group(hosts=("db1",))}
)
ONE, TWO = (HOSTS,), (("web1",), ("web2", "web3", "db1"))


def play(hosts: str = "web", *traits: tuple[Kind, str], **more: Any) -> PlaySource:
    found = tuple(Trait(kind=kind, what=what, where="site.yml:9") for kind, what in traits)
    return PlaySource(name="p", where="site.yml:1", hosts=hosts, traits=found, **more)


def planned(*plays: PlaySource, batches: Any = TWO, once: OnceTags | None = None) -> tuple[PlannedPlay, ...]:
    return planned_plays(plays, batches, FOUR, once or OnceTags())


@pytest.mark.parametrize(
    ("hosts", "local", "batches", "times", "on"),
    [
        ("all", False, ONE, 1, HOSTS),
        ("all", False, TWO, 2, HOSTS),
        ("web", False, TWO, 2, HOSTS[:3]),
        ("db", False, TWO, 1, ("db1",)),
        ("web[0]", False, TWO, 1, ("web1",)),
        ("web:nowhere", False, TWO, 2, HOSTS[:3]),
        ("nowhere", False, TWO, 0, ()),
        ("localhost", True, ONE, 1, ("localhost",)),
        ("localhost", True, TWO, 2, ("localhost",)),
        ("{{ group }}", False, TWO, None, None),
        ("web", False, None, None, None),
    ],
)
def test_how_often_a_play_runs_and_where(hosts: str, local: bool, batches: Any, times: Any, on: Any) -> None:
    """Once for each batch that has hosts of it; a play on the controller in each batch; unknown is said as such."""
    (found,) = planned(play(hosts, local=local), batches=batches)
    assert (found.times, found.on) == (times, on)


@pytest.mark.parametrize(
    ("trait", "sentence"),
    [
        (("run_once", "migrate"), "migrate (site.yml:9) runs once per batch: 2 times"),
        (("end_play", "meta: end_play"), "meta: end_play (site.yml:9) ends the play for its batch only"),
        (("serial", "serial: 1"), "serial: 1 (site.yml:9) divides each batch"),
        (("group_by", "os"), "groups that os (site.yml:9) makes have the hosts of one batch only"),
        (("add_host", "new"), "hosts that new (site.yml:9) adds exist in the same batch only"),
        (("play_hosts", "ansible_play_hosts"), "ansible_play_hosts (site.yml:9) has the hosts of one batch only"),
        (("facts", "ansible_eth0 of other hosts"), "ansible_eth0 of other hosts (site.yml:9) is known only for hosts of the same batch"),
    ],
)  # fmt: skip
def test_what_batches_do_to_a_play(trait: tuple[Kind, str], sentence: str) -> None:
    """Each thing that batches change is said in one sentence, and none of them where there is one batch."""
    assert planned(play("web", trait))[0].effects == (sentence,)
    assert planned(play("web", trait), batches=ONE)[0].effects == ()
    assert planned(play("web[0]", trait))[0].effects == ()  # it runs in one batch only


def test_a_play_on_the_controller_says_how_often() -> None:
    """A first play on localhost runs once per batch, and the plan says so."""
    assert planned(play("localhost", local=True))[0].effects == ("runs on the controller once per batch: 2 times",)


def test_a_play_outside_the_step_is_not_skipped_silently() -> None:
    """A play without a host of the step does not run, and the plan says so."""
    batches = (("web1",), ("web2",))
    (found,) = planned(play("db", ("run_once", "x")), batches=batches)
    assert (found.times, found.effects) == (0, ("does not run: none of its hosts are among those of the step",))


def test_hosts_that_a_play_adds_are_known_only_when_it_runs() -> None:
    """A later play on hosts that `add_host` or `group_by` adds is no play without hosts."""
    found = planned(play("localhost", ("add_host", "new"), local=True), play("fresh"))[1]
    assert (found.times, found.unseen) == (None, ("hosts fresh, which a play before it adds",))


def test_what_only_the_run_shows_and_what_is_repeated() -> None:
    """Guards, background tasks, prompts with a default and commands without a condition are named with their place."""
    traits: tuple[tuple[Kind, str], ...] = (
        ("end_host", "meta: end_host"),
        ("background", "build"),
        ("prompt", "colour"),
        ("repeats", "load"),
    )
    (found,) = planned(play("web", *traits, unseen=("role {{ r }} (site.yml:3)",)), batches=ONE)
    assert found.unseen == ("role {{ r }} (site.yml:3)", "end_host meta: end_host (site.yml:9)")
    assert found.repeats == ("load (site.yml:9)",)
    assert found.effects == (
        "build (site.yml:9) runs in the background; the playbook does not wait for its result",
        "the prompt colour (site.yml:9) takes its default",
    )


def test_a_tag_that_runs_once() -> None:
    """A play with a tag of `once` runs in the first or the last batch, and a `run_once` task in it once in all."""
    once = OnceTags(first=("migrate",), last=("announce",))
    tagged = Trait(kind="run_once", what="m", where="site.yml:9", tags=("migrate",))
    first, last, task = planned(
        play("localhost", local=True, tags=("migrate",)),
        play("all", tags=("announce",)),
        PlaySource(name="p", where="site.yml:1", hosts="web", traits=(tagged,)),
        once=once,
    )
    assert (first.times, first.effects) == (1, ())
    assert (last.times, last.on) == (1, ("web2", "web3", "db1"))
    assert task.effects == ("m (site.yml:9) runs once in all",)
    assert [once.skipped(number, 3) for number in (1, 2, 3)] == [("announce",), ("migrate", "announce"), ("migrate",)]
    assert once.skipped(1, 1) == ()
