"""What the page of a run shows of its story: a step that is under way, and a rehearsal."""

from dataclasses import dataclass

from orchestrator.domain.rehearsal import Rehearsal
from orchestrator.domain.story import RunView, StepStory
from orchestrator.domain.text import counted, first_line

MOST = 50
"""How many hosts and resources of a step that is under way are shown."""


@dataclass(frozen=True)
class UnderWay:
    """What a step does at the moment: each host with its task, each resource that changes, or the tests so far.

    *more* are those that are not shown.
    """

    hosts: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = ()
    more: int = 0


def going_on(step: StepStory) -> UnderWay:
    """What *step*, which has not ended, does at the moment."""
    if step.resources:
        changing = [each for each in step.resources.values() if each.get("status") != "done"]
        texts = tuple(f"{each['op']} {str(each['type']).rpartition(':')[2]} {each['name']}" for each in changing)
        return UnderWay(texts=texts[:MOST], more=max(0, len(texts) - MOST))
    if step.tests:
        bad = sum(not test.outcome.good for test in step.tests)
        return UnderWay(texts=(f"{counted(len(step.tests), 'test')} ended" + (f", {bad} not passed" if bad else ""),))
    named = [str(host) for host in step.about.get("hosts") or ()]
    hosts = list(dict.fromkeys([*named, *filter(None, step.tasks)]))
    tasks = {host: first_line(str(task.get("task", "")), 80) for host, task in step.tasks.items()}
    shown = tuple((host, tasks.get(host, "")) for host in hosts[:MOST])
    return UnderWay(hosts=shown, more=max(0, len(hosts) - MOST))


def rehearsal_of(story: RunView) -> Rehearsal | None:
    """The evidence of the rehearsal of a run; None without one."""
    return Rehearsal.from_json(story.rehearsed["document"]) if story.rehearsed else None
