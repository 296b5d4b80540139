"""The only place that joins the parts of a project: a front end gets its application here."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import orchestrator.config as files
from orchestrator.definition_wiring import DefinitionParts
from orchestrator.domain.errors import OrchestratorError
from orchestrator.engine_wiring import EngineParts
from orchestrator.management.application import ManagedApplication
from orchestrator.management_wiring import ManagementParts
from orchestrator.notification_wiring import NotificationParts
from orchestrator.register_wiring import RegisterParts
from orchestrator.task_wiring import TaskParts

if TYPE_CHECKING:
    from orchestrator.app.front_end import ApplicationParts, RunFeed
    from orchestrator.app.request_duties import Shows
    from orchestrator.app.scheduler import Duty
    from orchestrator.app.sign_in_links import SignInPlace
    from orchestrator.domain.listing import StoreFigures
    from orchestrator.management.projects.served import ServedProject
    from orchestrator.services import Services


class App(
    EngineParts, DefinitionParts, RegisterParts, ManagementParts, TaskParts, NotificationParts, ManagedApplication
):
    """A project with everything joined. Each part is made when it is first used."""

    @cached_property
    def services(self) -> "Services":
        """What every run of this project is given."""
        from orchestrator.adapters.null_notifier import NullNotifier
        from orchestrator.services import Services

        return Services(
            project=self.project,
            root=self.root,
            state=self.state,
            environments=self.environments,
            provisioner=self.provisioner,
            deployer=self.deployer,
            verifier=self.verifier,
            packages=self.packages,
            store=self.store,
            clock=self.clock,
            notifier=NullNotifier(),
            keys=self.keys,
            artifacts=self.artifacts,
            logs=self.logs,
            gates=self.gates,
            implementations=self.implementations,
            prober=self.prober,
            secrets=self.secrets,
            environ=self.environ,
            entrance=self.entrance,
            definition=self.definition,
            refusal=self.refusal,
            findings=self.findings,
        )

    def duties(self, shows: "Shows") -> "tuple[Duty, ...]":
        """What is done when it is due."""
        from orchestrator.app.automatic import AutomaticPromotions

        notified = self.notification_duties()
        return (*super().duties(shows), *self.management_duties(shows), AutomaticPromotions(self), *notified)

    def warm(self) -> None:
        """Import and read what every workflow needs, so that a forked process need not."""
        import dbos  # noqa: F401 - it takes half a second
        import sqlalchemy.dialects.sqlite  # noqa: F401 - it imports this when it is launched

        from orchestrator.flow import WORKFLOWS  # noqa: F401

        assert self.engine is not None
        assert self.services is not None

    @cached_property
    def sign_in_place(self) -> "SignInPlace":
        """Users sign in at this project, unless a server has another one for that."""
        from orchestrator.app.sign_in_links import SignInPlace

        return SignInPlace()

    def serve_with(self, home: ManagedApplication, projects: "tuple[ServedProject, ...]") -> None:
        """From now on, be one of the *projects* of a server, whose users sign in at *home*.

        The server masks the secrets of every project in all of them.
        """
        from dataclasses import replace

        from orchestrator.app.sign_in_links import SignInPlace
        from orchestrator.management.projects.served import ServerProjects

        assert isinstance(home, App)
        self.__dict__["project_sources"] = ServerProjects(projects, self.project.name, home.project.name)
        if home is not self:
            self.share_secrets(home.secrets)
            self.__dict__["authentication"] = replace(home.authentication, own=lambda: self.register)
            self.__dict__["single_sign_on"] = home.single_sign_on
            self.__dict__["sign_in_place"] = SignInPlace(home.project.name)

    @property
    def _parts(self) -> "ApplicationParts":
        return self

    @property
    def feed(self) -> "RunFeed":
        """The entries of all runs, in the order in which they become visible."""
        return self.store

    def store_figures(self) -> "StoreFigures":
        """What monitoring reads of the store."""
        return self.store.figures()

    def require_store(self) -> None:
        """Return if the journal can be read, and has the schema of this program. Raises S-codes."""
        self.store.require_schema()
        self.store.runs(limit=1)

    def release_claim(self) -> None:
        """Give the claim of this process back: another one can continue what it was doing."""
        self.engine.release()

    def stop_softly(self) -> None:
        """Park before the next effect; what is running is completed first."""
        self.engine.stop_signal.request_stop()

    @property
    def parked(self) -> bool:
        """Whether the workflow is parked, so that the process can end and the run can be resumed."""
        return self.engine.stop_signal.parked.is_set()

    @property
    def stop_reason(self) -> str:
        """Why this process stopped; empty if a user or the system requested it."""
        return self.engine.stop_signal.why

    @property
    def taken_over(self) -> bool:
        """Whether another process has taken over what this one was doing."""
        return self.engine.stop_signal.lost.is_set()

    def close(self) -> None:
        """Give everything back that was opened."""
        if "engine" in self.__dict__:
            self.engine.close()
        for name in ("store", "register", "sign_ins", "worker_calls", "definition_archives"):
            if name in self.__dict__:
                getattr(self, name).close()

    def forget(self) -> None:
        """Close what was opened, so that files can be moved, and the next reading opens the new ones."""
        self.close()
        for part in (
            "engine",
            "store",
            "register",
            "definition_archives",
            "rights",
            "services",
            "queries",
            "acting",
            "maintenance",
        ):
            self.__dict__.pop(part, None)


def open_app(start: Path, environ: Mapping[str, str] = os.environ, *, restoring: bool = False) -> App:
    """The project around *start*. Raises F-codes, and S135 when a restore of its state was interrupted.

    With *restoring* it is opened in that case, too.
    """
    app = App(files.find_project(start), environ)
    if not restoring and (app.state / "restoring" / "old").is_dir():
        raise OrchestratorError("S135", "a restore of this project's state was interrupted")
    if not restoring:
        app.find_definition()
    return app
