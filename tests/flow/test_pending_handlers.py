"""Handlers that were notified and did not run: which attempt is given them, and which is not."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.world import World
from orchestrator.domain.context import Context
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import PendingHandler, PlaySpec
from orchestrator.domain.promotion import State
from orchestrator.domain.release import Package
from orchestrator.domain.step import StepResult
from orchestrator.flow import promotion
from orchestrator.ports import Emit
from orchestrator.services import Services
from tests.flow.test_promotion import Stage, release
from tests.flow.test_rollback_targets import back

RESTART = PendingHandler(host="s1", play=0, handler="Restart it")


class Notifying(MemoryDeployer):
    """Plays that notify a handler, which runs at their end unless they fail before."""

    def __init__(self, world: World, given: list[tuple[PendingHandler, ...]]) -> None:
        super().__init__(world)
        self._given = given

    def deploy(
        self, play: PlaySpec, package: Package, inventory: Inventory, context: Context, job: str, emit: Emit
    ) -> StepResult:
        """Run the play; a failed one leaves its handler."""
        self._given.append(play.pending)
        result = super().deploy(play, package, inventory, context, job, emit)
        left = {"handlers": [RESTART.to_json()]} if not result.good and "s1" in play.limit else {}
        return result.model_copy(update={"data": {**result.data, **left}})


@dataclass
class Notified(Stage):
    """Staging with two hosts, in one batch, without automatic rollback."""

    given: list[tuple[PendingHandler, ...]] = field(default_factory=list)

    def services(self) -> Services:
        """The project with such plays."""
        return replace(super().services(), deployer=Notifying(self.world, self.given))

    def try_it(self, version: str, why: str = "") -> tuple[State, list[tuple[PendingHandler, ...]]]:
        """Promote, and say what its plays were given; *why* it may go there again."""
        self.given.clear()
        package = self.packages.put(release(version, steps=[{"name": "deploy", "playbook": "deploy.yml"}]))
        run = promotion(self.ctx(package, "staging", override_reason=why))
        return run.state, list(self.given)


@pytest.fixture
def stage(tmp_path: Path) -> Notified:
    made = Notified(tmp_path, automatic=False)
    made.world.stacks["staging"] = ["s1", "s2"]
    assert made.try_it("1.0.0") == (State.SUCCEEDED, [()])
    made.world.faults.add(("deploy", "s2", "1.1.0"))
    assert made.try_it("1.1.0") == (State.NEEDS_INTERVENTION, [()])
    return made


def test_the_next_attempt_gets_the_handlers_until_one_succeeds(stage: Notified) -> None:
    """Each attempt with the same package gets what the last one left, and nothing after they have run."""
    assert stage.try_it("1.1.0") == (State.NEEDS_INTERVENTION, [(RESTART,)])
    stage.world.faults.clear()
    assert stage.try_it("1.1.0") == (State.SUCCEEDED, [(RESTART,)])
    assert stage.try_it("1.1.0") == (State.SUCCEEDED, [()])


def test_another_release_does_not_get_them(stage: Notified) -> None:
    """A handler of one package is not run by the plays of another, and not by the same one after it."""
    assert stage.try_it("1.2.0") == (State.SUCCEEDED, [()])
    stage.world.faults.clear()
    assert stage.try_it("1.1.0") == (State.SUCCEEDED, [()])


def test_after_a_rollback_nothing_is_pending(stage: Notified) -> None:
    """A rollback has brought another state to the host: a further attempt begins without handlers."""
    assert back(stage).state is State.ROLLED_BACK
    stage.world.faults.clear()
    assert stage.try_it("1.1.0", "the disk was full") == (State.SUCCEEDED, [()])
