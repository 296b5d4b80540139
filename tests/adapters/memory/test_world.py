"""What the fakes promise of fences and ledgers, as real hosts do."""

from orchestrator.adapters.memory.deployer import MemoryDeployer
from orchestrator.adapters.memory.packages import MemoryPackages
from orchestrator.adapters.memory.world import World
from orchestrator.domain.context import Context
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import PlaySpec
from orchestrator.domain.release import Release
from orchestrator.domain.step import StepResult, step_of

RELEASE = {
    "apiVersion": "orchestrator/v1",
    "kind": "Release",
    "name": "shop",
    "environments": ("test",),
    "steps": ({"name": "deploy", "playbook": "deploy.yml"},),
    "verify": ({"name": "smoke", "tests": "tests"},),
}


def deploy(world: World, run: str, fence: int, step: str = "deploy.1", version: str = "1.0.0") -> StepResult:
    package = MemoryPackages().put(Release.from_json({**RELEASE, "version": version}))
    play = PlaySpec(step="deploy", playbook="deploy.yml", hosts="all", limit=("a", "b"))
    context = Context(run=run, environment="test", fence=fence)
    return MemoryDeployer(world).deploy(play, package, Inventory(), context, f"{run}.{step}", lambda _entry: None)


def test_an_older_fence_is_refused() -> None:
    """A host in memory refuses an older fence, unharmed and with its reason, and tells the newest when asked."""
    world = World()
    deploy(world, "r2", 2)
    running = dict(world.running)
    result = deploy(world, "r1", 1, version="0.9.0")
    assert [(host.outcome.value, host.touched) for host in result.hosts] == [("failed", False)] * 2
    assert "fence 1 is older than 2" in result.message + result.hosts[0].message
    assert result.data == {"code": "D140", "refused": ["a", "b"]}
    assert world.running == running
    asked = MemoryDeployer(world).inspect(
        (), Inventory(hosts={"a": {}, "c": {}}), Context(run="r3", environment="test"), "r3.plan", lambda _entry: None
    )
    assert [host.fence for host in asked.hosts] == [2, 0]


def test_a_step_that_is_done_is_not_done_again() -> None:
    """A second attempt does only what the first has not, and tells both as touched."""
    world = World(faults={("deploy", "b", "1.0.0")})
    assert not deploy(world, "r1", 1).good
    world.faults.clear()
    again = deploy(world, "r1", 1, step="deploy.1~2")
    assert again.good
    assert again.touched() == ("a", "b")
    assert len(world.ledger) == 3
    assert deploy(world, "r1", 1, step="restore.deploy").good
    assert len(world.ledger) == 5


def test_the_step_of_a_job() -> None:
    """A job's key without its run and its attempt is its step."""
    assert step_of("ab.deploy.1~2", "ab") == ("deploy.1", 2)
    assert step_of("ab.undo.1.migrate", "ab") == ("undo.1.migrate", 1)
    assert step_of("plan-ff", "ab") == ("plan-ff", 1)
    assert step_of("ab.deploy.1~0", "ab") == ("deploy.1~0", 1)
