"""The release that an environment gets next: the newest one of the environment before that is not the current one."""

from orchestrator.domain.release import PackageRef
from orchestrator.services import Services


def candidate(services: Services, name: str) -> PackageRef | None:
    """The last release verified in the environment before *name*; None without one, or if *name* has it."""
    before = services.environment(name)[0].after
    if before is None:
        return None
    rows = {row.environment: row for row in services.store.list_environments((before, name)).items}
    found = rows[before].release if before in rows else None
    there = rows[name].release if name in rows else None
    return None if found is None or (there is not None and there.digest == found.digest) else found
