"""The parts of a project that react to what happens: hooks, what inspections find, and runs that are reviewed."""

import base64
from functools import cached_property
from typing import TYPE_CHECKING, cast

from orchestrator.domain.parity import KINDS

if TYPE_CHECKING:
    from datetime import datetime

    from orchestrator.app.acting import Acting
    from orchestrator.app.front_end import ApplicationParts
    from orchestrator.app.request_duties import Shows
    from orchestrator.app.scheduler import Duty
    from orchestrator.domain.access.principals import Actor
    from orchestrator.domain.drift import Drift
    from orchestrator.domain.journal import Run
    from orchestrator.domain.parity import Parity
    from orchestrator.domain.release import PackageRef
    from orchestrator.management.application import ManagedApplication
    from orchestrator.management.hooks.model import HookEvent
    from orchestrator.management.hooks.ports import HookSources
    from orchestrator.management.hooks.receiving import HookReceiver
    from orchestrator.management.reviews.model import ReviewFacts
    from orchestrator.management.reviews.ports import ReviewedRun

    Base = ApplicationParts
else:
    Base = object


class HookParts(Base):
    """What `App` has of hooks, and what follows from findings. Each part is made when it is first used."""

    @cached_property
    def hook_sources(self) -> "HookSources":
        """The project, as hooks need it."""
        return ProjectHookSources(self)

    @property
    def findings(self) -> "ProjectFindings":
        """Keeps what inspections find, as found for the system."""
        from orchestrator.domain.access.principals import SYSTEM_ACTOR

        return ProjectFindings(self, str(SYSTEM_ACTOR))

    @cached_property
    def hook_receiver(self) -> "HookReceiver":
        """What receives requests to hooks."""
        from orchestrator.domain.access.principals import SYSTEM_ACTOR
        from orchestrator.management.hooks.receiving import HookReceiver

        return HookReceiver(self.acting_as(SYSTEM_ACTOR), self.hook_sources)

    def hook_duty(self, shows: "Shows") -> "Duty":
        """What follows from deliveries. New plans are shown to approvers by *shows*."""
        from orchestrator.management.hooks.duties import FollowDeliveries
        from orchestrator.management.hooks.executions import ApplicationHooks

        return FollowDeliveries(self.acting, ApplicationHooks(cast("ManagedApplication", self), shows))


class ProjectFindings:
    """The `Findings` of a project, for the actor *by* or the run *run* of this actor."""

    def __init__(self, app: "ApplicationParts", by: str, run: str = "") -> None:
        self._app, self._by, self._run = app, by, run

    def of(self, by: str, run: str) -> "ProjectFindings":
        """The same for the plan of a run."""
        return ProjectFindings(self._app, by, run)

    def found_drift(self, found: "Drift") -> None:
        """Keep the drift; open and close change requests by it unless a run is changing the environment."""
        from orchestrator.app.environment_reports import keep_drift
        from orchestrator.domain.environment_reports import drift_report
        from orchestrator.inspect.drift import is_changing
        from orchestrator.management.change_requests.drifts import drift_reference, follow_drift
        from orchestrator.management.change_requests.queries import drift_request

        acting = self._acting
        if not is_changing(self._app.store, found.environment):
            follow_drift(acting, found, cast("ManagedApplication", self._app).change_sources)
        opened = drift_request(acting, drift_reference(found)) if found.findings else None
        request = opened.id if opened is not None else ""
        keep_drift(acting, drift_report(found, self._now, self._by, run=self._run, request=request))

    def found_parity(self, found: "Parity", kinds: "tuple[str, ...]" = KINDS) -> None:
        """Keep how two environments differ, for each of them."""
        from orchestrator.app.environment_reports import keep_parity
        from orchestrator.domain.environment_reports import parity_reports

        for report in parity_reports(found, self._now, self._by, run=self._run, kinds=kinds):
            keep_parity(self._acting, report)

    @property
    def _acting(self) -> "Acting":
        from orchestrator.domain.access.principals import SYSTEM_ACTOR

        return self._app.acting_as(SYSTEM_ACTOR)

    @property
    def _now(self) -> "datetime":
        from orchestrator.domain.moments import parse_moment

        return parse_moment(self._app.services.clock.now())


class ProjectHookSources:
    """The `HookSources` of a project: its key, its files and its repository."""

    def __init__(self, app: "ApplicationParts") -> None:
        self._app = app

    def seal(self, hook: str, secret: str) -> str:
        """The secret, encrypted."""
        return base64.b64encode(self._app.keys.encrypt(secret.encode(), _about(hook))).decode()

    def open_secret(self, hook: str, sealed: str) -> str:
        """The secret. It is masked in output from now on."""
        from orchestrator.domain.secret import Secret

        secret = self._app.keys.decrypt(base64.b64decode(sealed), _about(hook)).decode()
        self._app.secrets.learn("hooks", [Secret(f"hook {hook}", secret.encode())])
        return secret

    def release_names(self) -> frozenset[str]:
        """The names of the releases in the project, and of the kept packages."""
        folders = (self._app.root / self._app.project.releases).glob("*/release.yaml")
        return frozenset({file.parent.name for file in folders} | {ref.name for ref in self._app.packages.refs()})

    def entry_environments(self) -> tuple[str, ...]:
        """The environments that come after no other one."""
        return tuple(name for name, (item, _) in self._app.environments.items() if item.after is None)

    def checkout_fault(self) -> str:
        """Why no commit can be fetched."""
        from orchestrator.adapters.archive.checkout import checkout_fault

        return checkout_fault(self._app.home, self._app.environ)

    def build_fault(self) -> str:
        """Why a hook that builds commits cannot be added."""
        return self.checkout_fault() if self._app.receives_definitions else ""

    def build(self, actor: "Actor", release: str, event: "HookEvent") -> "PackageRef":
        """The package of *release* in the commit of *event*."""
        from orchestrator.adapters.archive.checkout import commit_checkout

        app = cast("ManagedApplication", self._app)
        with commit_checkout(self._app.home, event.ref, event.commit, self._app.environ) as root:
            return app.releases.build_checkout(actor, release, root).ref


class ProjectReviewSources:
    """The `ReviewSources` of a project: its journal."""

    def __init__(self, app: "ApplicationParts") -> None:
        self._app = app

    def reviewed_runs(self, since: "datetime", emergencies: frozenset[str]) -> "tuple[ReviewedRun, ...]":
        """The runs that ended after *since*, and that are reviewed."""
        from orchestrator.management.reviews.facts import reviewed_runs

        return reviewed_runs(self._app.services, since, emergencies)

    def run_facts(self, run: str) -> "ReviewFacts":
        """What the journal has of one run. Raises R101."""
        from orchestrator.management.reviews.facts import facts_of_run

        return facts_of_run(self._app.services, run)

    def runs_of(self, environment: str, name: str, digest: str, since: "datetime") -> "tuple[Run, ...]":
        """The promotions and rollbacks of a package in *environment* that were requested after *since*."""
        from orchestrator.management.reviews.facts import runs_of_package

        return runs_of_package(self._app.services, environment, name, digest, since)

    def run(self, run: str) -> "Run":
        """One run. Raises R101."""
        return self._app.store.run(run)


def _about(hook: str) -> str:
    """What an encrypted secret belongs to."""
    return f"hook/{hook}"
