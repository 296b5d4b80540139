"""The second pass of a rollback: what runs on hosts again after the infrastructure was restored."""

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import PlaySpec, SecondPass, play_of
from orchestrator.domain.release import Manifest


def restrict(inventory: Inventory, pattern: str, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """The hosts that *pattern* means, as far as they are among *hosts*; none when it means none here."""
    try:
        return tuple(host for host in inventory.select(pattern) if host in set(hosts))
    except OrchestratorError:
        return ()


def second_pass(target: Manifest, inventory: Inventory, hosts: tuple[str, ...]) -> SecondPass:
    """The second pass with the release of *target*, where the first one restores *hosts*."""
    steps = [step for step in target.release.playbook_steps if step.undo is None]
    return SecondPass(restore=tuple(play_of(step, restrict(inventory, step.hosts, hosts)) for step in steps))


def on_hosts(planned: SecondPass, inventory: Inventory, hosts: tuple[str, ...]) -> tuple[PlaySpec, ...]:
    """The steps of *planned* that are for one of *hosts*, which need them."""
    plays = [play.model_copy(update={"limit": restrict(inventory, play.hosts, hosts)}) for play in planned.restore]
    return tuple(play for play in plays if play.limit)
