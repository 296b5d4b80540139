"""The configuration that a plan records: without digests from which a short secret could be guessed."""

from orchestrator.domain.configuration import Configuration
from orchestrator.domain.environment import Environment
from orchestrator.domain.plan import Plan
from orchestrator.domain.release import Package
from orchestrator.services import Services


def configuration_of(
    services: Services, package: Package, environment: Environment, approved: Plan | None
) -> Configuration | None:
    """The settings that Ansible runs with, with keyed digests of declared variables and of passwords.

    They are made with the key of the *approved* plan, so that a rotation of the project key changes no kept plan. A
    plan of an older version has plain digests, and is compared with plain ones. Raises D150, R241, S150 and S151.
    """
    files = tuple(str(services.root / path) for path in environment.inventory.files)
    found = services.deployer.configuration(package, files, environment.settings)
    if found is None or not found.has_digests:
        return found
    before = approved.configuration if approved is not None else None
    if before is not None and before.key is None and before.has_digests:
        return found
    key = before.key if before is not None and before.key is not None else services.keys.current()
    return found.keyed(key, lambda digest: services.keys.keyed(digest, key))
