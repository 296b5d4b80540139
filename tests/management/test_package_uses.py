"""Packages that something refers to while they are removed, on every adapter of the register, and tasks that name packages."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from orchestrator.adapters.memory.packages import MemoryPackages
from orchestrator.app.package_uses import refuse_used, remove_unused
from orchestrator.app.run_requests import request_promotion
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.release import PackageRef
from orchestrator.management.implementation_plans import decisions as plans
from orchestrator.management.implementation_plans import task_decisions as tasks
from orchestrator.management.package_uses import RegisterPackageUses
from orchestrator.management.planned_releases.decisions import Scope, add_to_scope, plan_release
from orchestrator.management.trains import decisions as trains
from orchestrator.management.trains import line_decisions
from tests.app.desk import Desk
from tests.app.test_rights import RULES, TEXT, request
from tests.contracts.test_register import Open, opened
from tests.flow.test_promotion import release
from tests.management.calls import planned_draft
from tests.management.sources import ImplementationFacts, ReleaseFacts
from tests.management.trains import TrainFacts, draft

__all__ = ["opened"]  # the fixture
SOON = 0.5  # seconds in which the other change would end, if it did not wait
LONG = 30.0


@dataclass
class Shelf(TrainFacts):
    """The packages that are kept; *look* is called whenever a use looks for its package among them."""

    packages: MemoryPackages = field(default_factory=MemoryPackages)
    look: Callable[[], object] = lambda: None

    def built(self) -> tuple[PackageRef, ...]:
        found = tuple(self.packages.refs())
        self.look()
        return found


class Scene:
    """A package, and two processes: one uses it, and one removes it."""

    def __init__(self, opened: Open) -> None:
        self.desk, self.other = Desk(opened()), opened()
        self.shelf = Shelf()
        self.package = self.shelf.packages.put(release("1.0.0")).ref
        self.errors = list[str]()
        line_decisions.add_line(self.desk.acting("release-manager"), draft())
        trains.create_train(self.desk.acting("release-manager"), "weekly")
        plan_release(self.desk.acting("release-manager"), planned_draft("production"), ReleaseFacts())

    def board(self) -> object:
        """A train has it."""
        return trains.board_train(self.desk.acting("release-manager"), "T-1", self.package.digest, self.shelf)

    def plan(self) -> object:
        """A planned release has it."""
        sources = ReleaseFacts()
        sources.built = self.shelf.built  # type: ignore[method-assign]
        return add_to_scope(self.desk.acting("release-manager"), "REL-1", Scope((), (self.package.digest,)), sources)

    def ask(self) -> object:
        """A run request has it."""
        wanted = request("production").model_copy(update={"package": self.package.digest})

        def require() -> None:
            if self.package not in self.shelf.built():
                raise OrchestratorError("P301", "not kept")

        return request_promotion(
            self.desk.acting("release-manager"), wanted, TEXT, RULES, supersede=False, require_package=require
        )

    def remove(self, look: Callable[[], object] = lambda: None) -> None:
        """The package is removed; *look* is called after the check."""

        def work(ref: PackageRef) -> None:
            look()
            self.shelf.packages.remove(ref)

        remove_unused(self.other, "ann", RegisterPackageUses(), (self.package,), work)

    def try_to(self, work: Callable[[], object]) -> None:
        """Do *work*, and remember its error."""
        try:
            work()
        except OrchestratorError as error:
            self.errors.append(error.code)

    def meet(self, first: Callable[[Callable[[], object]], object], second: Callable[[], object]) -> None:
        """*second* starts while *first* is between its check and its change, and gets time to overtake it."""
        thread = threading.Thread(target=self.try_to, args=(second,))

        def look() -> None:
            if not thread.ident:
                thread.start()
                thread.join(SOON)

        self.try_to(lambda: first(look))
        thread.join(LONG)
        assert not thread.is_alive()


USES = {"train": Scene.board, "release": Scene.plan, "request": Scene.ask}
REFUSED = {"train": "G603", "release": "G207", "request": "P301"}


@pytest.mark.parametrize("use", USES)
def test_a_use_that_comes_while_a_package_is_removed_does_not_have_it(opened: Open, use: str) -> None:
    """On every adapter: what refers to a package between the check of its uses and its removal is refused."""
    scene = Scene(opened)
    scene.meet(scene.remove, lambda: USES[use](scene))
    assert (scene.shelf.packages.refs(), scene.errors) == ([], [REFUSED[use]])


@pytest.mark.parametrize("use", USES)
def test_a_package_that_is_used_while_it_is_to_be_removed_stays(opened: Open, use: str) -> None:
    """On every adapter: a package that something looked up before it was recorded is not removed in between."""
    scene = Scene(opened)

    def used(look: Callable[[], object]) -> None:
        scene.shelf.look = look
        USES[use](scene)

    scene.meet(used, scene.remove)
    assert (scene.shelf.packages.refs(), scene.errors) == ([scene.package], ["P123"])


def test_a_package_that_an_open_task_promotes_is_kept() -> None:
    """A task that names the package keeps it, by version or digest, until the command of the hint has ended the task."""
    desk, package = Desk(), MemoryPackages().put(release("1.0.0")).ref
    names = {"by-name": f"{package.name}-{package.version}", "by-digest": package.digest, "other": "other-1.0.0"}
    work = [
        {"name": name, "kind": "automated", "promotion": {"package": text, "to": "production"}}
        for name, text in names.items()
    ]
    manager = desk.acting("release-manager")
    first = {"name": "first", "owner": "operator"}
    plans.start_plan(
        manager,
        "launch",
        ImplementationFacts((first, *({**each, "after": ["first"]} for each in work))),
        plans.PlanStart(),
    )
    for name in ("by-name", "by-digest"):
        with pytest.raises(OrchestratorError, match=f"in the task IP-1:{name}") as error:
            desk.register.reading(lambda records: refuse_used(records, RegisterPackageUses(), package))
        assert f"orchestrator implementation skip IP-1 {name} -m" in (error.value.hint or "")
        tasks.skip_task(manager, "IP-1", name, "replaced")
    desk.register.reading(lambda records: refuse_used(records, RegisterPackageUses(), package))
