"""The onboarding of a project: a checklist that is read from what has happened."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from orchestrator.app.acting import Acting, View, read_register
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.facts import EnvironmentFacts
from orchestrator.domain.journal import Run
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.promotion import State
from orchestrator.domain.register import BINDINGS, NOTIFICATIONS
from orchestrator.domain.text import few
from orchestrator.management.projects.model import OnboardingItem

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication

PLANNED = 20
"""Runs of an environment that are read to find one with a plan."""
TEST = "orchestrator notifications test RULE"
REHEARSED = RunFilter(kinds=("rehearsal",), states=(State.SUCCEEDED,))


def onboarding(
    app: "ManagedApplication", actor: Actor, facts: Iterable[EnvironmentFacts]
) -> tuple[OnboardingItem, ...]:
    """The items in the order in which a new project does them, each with the fact that it rests on."""
    known, acting = tuple(facts), app.acting_as(actor)
    needs_approver = any(environment.approvals is not None for environment, _ in app.environments.values())
    return (
        _previews(app, actor, known),
        _tests(known),
        _rehearsal(app, actor, known),
        _roles(acting, ("administrator", "release-manager", *(["approver"] if needs_approver else []))),
        _notifications(acting),
    )


def _previews(app: "ManagedApplication", actor: Actor, facts: tuple[EnvironmentFacts, ...]) -> OnboardingItem:
    """Whether a run has planned each environment, which previews its stack."""
    planned = {each.name: _planned_at(app, actor, each) for each in facts}
    missing = [name for name, at in planned.items() if at is None]
    name, command = "environments preview", f"orchestrator promote RELEASE --to {missing[0] if missing else 'ENV'}"
    if not facts:
        return OnboardingItem(name=name, fact="the project has no environments", command="orchestrator init")
    if missing:
        return OnboardingItem(name=name, fact=f"no run has planned {few(missing)}", command=command)
    times = [parse_moment(at) for at in planned.values() if at]
    fact = f"a run has planned {few(list(planned))}"
    return OnboardingItem(name=name, is_done=True, fact=fact, at=max(times, default=None), command=command)


def _planned_at(app: "ManagedApplication", actor: Actor, facts: EnvironmentFacts) -> str | None:
    """The time of the newest run with a plan; None without one."""
    if facts.verified_at:
        return facts.verified_at
    runs = app.queries.run_page(actor, RunFilter(environment=facts.name), None, PLANNED).items if facts.recorded else ()
    return next((run.requested_at for run in runs if run.plan), None)


def _tests(facts: tuple[EnvironmentFacts, ...]) -> OnboardingItem:
    found = [(each.verified_at, each) for each in facts if each.verified_at and each.release]
    first = facts[0].name if facts else "ENV"
    command = f"orchestrator promote RELEASE --to {first}"
    if not found:
        return OnboardingItem(name="tests run", fact="no release was verified", command=command)
    at, newest = max(found, key=lambda pair: pair[0])
    fact = f"the tests of {newest.release} passed in {newest.name}"
    return OnboardingItem(name="tests run", is_done=True, fact=fact, at=parse_moment(at), command=command)


def _rehearsal(app: "ManagedApplication", actor: Actor, facts: tuple[EnvironmentFacts, ...]) -> OnboardingItem:
    runs: Iterable[Run] = app.queries.run_page(actor, REHEARSED, None, 1).items
    command = f"orchestrator rehearse RELEASE --in {facts[0].name if facts else 'ENV'}"
    for run in runs:
        fact = f"{run.id} rehearsed the rollback of {run.release} in {run.environment}"
        at = parse_moment(run.ended_at) if run.ended_at else None
        return OnboardingItem(name="rollback rehearsed", is_done=True, fact=fact, at=at, command=command)
    return OnboardingItem(name="rollback rehearsed", fact="no rehearsal has succeeded", command=command)


def _roles(acting: Acting, wanted: tuple[str, ...]) -> OnboardingItem:
    """Whether each role of *wanted* is bound to a user or group, and has not ended."""

    def work(view: View) -> dict[str, str]:
        bindings = [each for each in view.records.all(BINDINGS) if not each.is_over(view.now)]
        bound = (each for each in bindings if each.project in {"*", acting.project})
        return {each.role: each.to for each in bound}

    bound = read_register(acting, Action.VIEW, work)
    missing = [role for role in wanted if role not in bound]
    command = f"orchestrator access grant {missing[0] if missing else wanted[-1]} user:NAME"
    if missing:
        return OnboardingItem(name="users bound to roles", fact=f"no user is {few(missing)}", command=command)
    fact = ", ".join(f"{bound[role]} is {role}" for role in wanted)
    return OnboardingItem(name="users bound to roles", is_done=True, fact=fact, command=command)


def _notifications(acting: Acting) -> OnboardingItem:
    """Whether a notification was sent, and accepted by its receiver."""
    sent = read_register(
        acting,
        Action.VIEW,
        lambda view: view.records.page(NOTIFICATIONS, ["sent"], newest_first=True, cursor=None, limit=1).items,
    )
    for each in sent:
        fact = "a receiver has accepted one"
        return OnboardingItem(name="notifications delivered", is_done=True, fact=fact, at=each.ended_at, command=TEST)
    return OnboardingItem(name="notifications delivered", fact="none was sent", command=TEST)
