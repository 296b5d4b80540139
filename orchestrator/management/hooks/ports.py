"""What hooks need of the project: the secrets, the releases, the repository, and the application."""

from dataclasses import dataclass
from typing import Protocol

from orchestrator.domain.access.principals import Actor
from orchestrator.domain.release import PackageRef
from orchestrator.management.hooks.model import Delivery, Hook, HookEvent


class HookSources(Protocol):
    """The project of a hook."""

    def seal(self, hook: str, secret: str) -> str:
        """*secret* of *hook*, encrypted with the project key. Raises S150 and S151."""

    def open_secret(self, hook: str, sealed: str) -> str:
        """What was sealed for *hook*. Raises D170, D171, S150 and S151."""

    def release_names(self) -> frozenset[str]:
        """The names of the releases that the project describes or keeps."""

    def entry_environments(self) -> tuple[str, ...]:
        """The environments that come after no other one, in the order of the path."""

    def checkout_fault(self) -> str:
        """Why no commit can be fetched into the project's folder; empty if one can."""

    def build_fault(self) -> str:
        """Why a hook that builds commits cannot be added; empty if one can.

        Without a checkout no worker of a project whose definition is pushed can build one. Other projects may get their
        checkout later.
        """

    def build(self, actor: Actor, release: str, event: HookEvent) -> PackageRef:
        """Build *release* as it is in the commit of *event*, and keep the package. Raises A101, P- and F-codes."""


@dataclass(frozen=True)
class Promoted:
    """The package that a delivery promotes, and its *run_request*; empty if nothing is to be done, with a *note*."""

    package: PackageRef
    run_request: str = ""
    note: str = ""


class HookExecutions(Protocol):
    """The application, as what follows from deliveries needs it."""

    def request_build(self, hook: Hook, delivery: Delivery) -> str:
        """Have a worker build what *delivery* reports, once. Returns why that has failed; empty if it has not."""

    def promote(self, hook: Hook, delivery: Delivery) -> Promoted:
        """Request the promotion of *delivery*, once. Raises why it is refused."""
