"""No use case goes round the check of its actor's right."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app.acting import Right
from orchestrator.app.authorize import UseCases
from orchestrator.app.clients import Clients
from orchestrator.app.control import Control
from orchestrator.app.definitions import Definitions
from orchestrator.app.environments import Environments
from orchestrator.app.execute import Execution
from orchestrator.app.inspections import Inspections
from orchestrator.app.maintenance import Maintenance
from orchestrator.app.plans import Plans
from orchestrator.app.queries import Queries
from orchestrator.app.recovery import Recovery
from orchestrator.app.releases import Releases
from orchestrator.app.requests import KINDS, AssumeHost, AssumeLiveSide, PromoteInWaves, Provision
from orchestrator.app.retention import Retention
from orchestrator.app.rights import ACTIONS
from orchestrator.app.submit import Submissions
from orchestrator.app.uploads import PackageUploads
from orchestrator.domain.access.actions import Action
from orchestrator.domain.access.principals import Actor
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.journal import Run

APP = Path(inspect.getfile(UseCases)).parent
GROUPS = (
    Clients, Control, Definitions, Environments, Execution, Inspections, Maintenance, PackageUploads, Plans, Queries, Recovery, Releases,
    Retention, Submissions,
)  # fmt: skip
ANN = Actor(name="ann")
RUN = Run(id="abc-staging", root="abc", kind="promotion", environment="staging")
GIVEN: dict[str, Any] = {"request": Provision(targets=("staging",)), "run": RUN}


class NoRights:
    """Nobody may do anything, and every question is noted."""

    def __init__(self) -> None:
        self.asked: list[Right] = []

    def require(
        self, actor: Actor, rights: tuple[Right, ...], reason: str, *, recorded: bool, use_case: str = ""
    ) -> None:
        """Refused."""
        del reason, recorded, use_case
        self.asked += rights
        raise OrchestratorError("A101", f"{actor} may not {rights[0].action.value}")


class Untouchable:
    """Parts of which none may be used; only the rights may be asked."""

    def __init__(self, rights: NoRights) -> None:
        self.rights = rights

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was used before the right was checked")


def use_cases() -> Iterator[tuple[type[UseCases], str]]:
    """Every use case: a public method of a group."""
    for group in GROUPS:
        for name, value in vars(group).items():
            if inspect.isfunction(value) and not name.startswith("_"):
                yield group, name


def made(group: type[UseCases], parts: Any) -> Any:
    """The group over *parts*."""
    return group(parts)


def test_every_group_is_known() -> None:
    """Each class of use cases in the application is among those that are checked here."""
    assert {group.__name__ for group in GROUPS} == {group.__name__ for group in UseCases.__subclasses__()}


def arguments(group: type[UseCases], name: str) -> list[Any]:
    """An argument for each parameter of a use case that has no default."""
    parameters = list(inspect.signature(getattr(group, name)).parameters.values())[2:]
    needed = [one.name for one in parameters if one.default is one.empty and one.kind is not one.KEYWORD_ONLY]
    return [GIVEN.get(one, one) for one in needed]


@pytest.mark.parametrize(("group", "name"), list(use_cases()), ids=lambda value: getattr(value, "__name__", value))
def test_a_use_case_asks_first(group: type[UseCases], name: str) -> None:
    """A use case asks whether its actor may do it before it reads or does anything, and is refused with A101."""
    rights = NoRights()
    with pytest.raises(OrchestratorError) as found:
        getattr(made(group, Untouchable(rights)), name)(ANN, *arguments(group, name))
    assert found.value.code == "A101"
    needs = getattr(group, name).needs
    if isinstance(needs, Action):
        assert [right.action for right in rights.asked] == [needs]
        named = "environment" in arguments(group, name)
        assert rights.asked[0].environment == ("environment" if named else None)
    else:
        assert rights.asked == list(needs(*arguments(group, name)))


@pytest.mark.parametrize("wish", ["pause", "cancel", "abort", ""])
def test_control_needs_its_right_in_the_environment_of_the_run(wish: Any) -> None:
    """The right to control a run is asked for its environment, and for a rollout in waves in the project."""
    for run, environment in ((RUN, "staging"), (RUN.model_copy(update={"kind": "waves"}), None)):
        rights = NoRights()
        with pytest.raises(OrchestratorError, match="may not run:control"):
            made(Control, Untouchable(rights)).request(ANN, run, wish)
        assert rights.asked == [Right(Action.CONTROL_RUN, environment, about="run:abc-staging")]


def test_a_request_needs_its_right_in_each_environment() -> None:
    """Each kind of request needs a right of its own; it is asked for every environment before anything is recorded."""
    assert set(ACTIONS) == {*KINDS.values(), AssumeHost, AssumeLiveSide, PromoteInWaves}
    rights = NoRights()
    with pytest.raises(OrchestratorError, match="may not environment:change"):
        made(Submissions, Untouchable(rights)).submit(ANN, Provision(targets=("staging", "production")))
    change = Action.CHANGE_INFRASTRUCTURE
    assert rights.asked == [Right(change, "staging"), Right(change, "production")]
