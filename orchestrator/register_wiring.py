"""The parts of a project that are about users, rights, the calendar and the audit stream."""

import getpass
import os
import socket
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.domain.access.actions import Action
from orchestrator.domain.journal import Kind, Run

if TYPE_CHECKING:
    from orchestrator.adapters.audit_head import HeadFile
    from orchestrator.adapters.project_key import FileKeys
    from orchestrator.app.acting import Acting
    from orchestrator.app.admission import Promotion
    from orchestrator.app.entrance import RunEntrance
    from orchestrator.app.scheduler import Duty, Scheduler
    from orchestrator.domain.calendar.rules import CalendarRule
    from orchestrator.domain.calendar.state import EnvironmentCalendar
    from orchestrator.domain.environment import Environment, Project
    from orchestrator.domain.release import Package
    from orchestrator.register_ports import Register
    from orchestrator.setting import Setting

RIGHTS: dict[Kind, Action] = {
    "promotion": Action.PROMOTE,
    "rehearsal": Action.REHEARSE,
    "rollback": Action.ROLL_BACK,
    "provision": Action.CHANGE_INFRASTRUCTURE,
    "resolve": Action.CHANGE_INFRASTRUCTURE,
    "destroy": Action.DESTROY,
    "reap": Action.DESTROY,
    "observe": Action.OBSERVE,
    "accept": Action.ACCEPT,
    "waves": Action.PROMOTE,
}
"""The right that each kind of run needs in its environment."""


class RegisterParts:
    """What `App` has of the register. Each part is made when it is first used."""

    environ: Mapping[str, str]
    project: "Project"
    state: Path

    if TYPE_CHECKING:  # App has these

        @property
        def store_url(self) -> str:
            """Where the database is."""

        @property
        def keys(self) -> FileKeys:
            """The project key."""

        @property
        def setting(self) -> Setting:
            """What every run is given."""

        def _known_environments(self) -> Mapping[str, Environment]:
            """The environments of the project by name."""

    @cached_property
    def audit_head(self) -> "HeadFile":
        """The file with the newest place of the audit stream."""
        from orchestrator.adapters.audit_head import HeadFile

        return HeadFile(self.state)

    @cached_property
    def register(self) -> "Register":
        """Management records and the audit stream."""
        from orchestrator.adapters.clock import SystemClock
        from orchestrator.adapters.database.masking import mask_databases
        from orchestrator.adapters.database.register import DatabaseRegister

        mask_databases()
        return DatabaseRegister(self.store_url, SystemClock(), self.project.name, self.keys, self.audit_head)

    @cached_property
    def acting(self) -> "Acting":
        """The actor of this process at the register. Raises A108."""
        from orchestrator.adapters.clock import SystemClock
        from orchestrator.app.acting import Acting
        from orchestrator.app.actor import current_actor

        clock = SystemClock()
        actor = current_actor(self.register, self.environ, getpass.getuser(), clock)
        return Acting(self.register, actor, clock, tuple(self._known_environments()))

    def scheduler(self) -> "Scheduler":
        """What does the duties of this project that are due, as the system."""
        from orchestrator.adapters.clock import SystemClock
        from orchestrator.app.acting import Acting
        from orchestrator.app.scheduler import Scheduler
        from orchestrator.domain.access.principals import SYSTEM_ACTOR

        acting = Acting(self.register, SYSTEM_ACTOR, SystemClock(), tuple(self._known_environments()))
        return Scheduler(acting, f"{socket.gethostname()} {os.getpid()}", self.duties())

    def duties(self) -> "tuple[Duty, ...]":
        """What is done when it is due."""
        return ()

    def permit(self, action: "Action", environment: str | None = None, reason: str = "") -> None:
        """Return if the actor may do *action*, and record it in the audit stream before it is done. Raises A101."""
        from orchestrator.app.acting import require

        require(self.acting, action, environment, reason)

    def permit_run(self, kind: Kind, environments: tuple[str, ...]) -> None:
        """Return if the actor may start a run of this *kind* in each of *environments*. Raises A101."""
        for environment in environments:
            self.permit(RIGHTS[kind], environment)

    def permit_control(self, run: Run, reason: str = "") -> None:
        """Return if the actor may pause, cancel, abort or retry *run*. Raises A101."""
        self.permit(Action.CONTROL_RUN, None if run.kind == "waves" else run.environment, reason)

    def permit_lock(self, environment: str, reason: str = "") -> None:
        """Return if the actor may lock and unlock *environment*. Raises A101."""
        self.permit(Action.LOCK, environment, reason)

    @property
    def person(self) -> str:
        """Who is acting: the owner of ORCHESTRATOR_TOKEN, otherwise the user of this machine. Raises A108."""
        return str(self.acting.actor)

    def declared_rules(self) -> "tuple[CalendarRule, ...]":
        """The windows, freezes and holidays that the files of the environments declare."""
        found = self._known_environments()
        return tuple(
            entry.to_rule(name, index)
            for name, environment in found.items()
            for index, entry in enumerate(environment.windows)
        )

    @cached_property
    def entrance(self) -> "RunEntrance":
        """What every run is asked before it takes its environment."""
        from orchestrator.adapters.clock import SystemClock
        from orchestrator.app.entrance import RunEntrance

        return RunEntrance(self.register, SystemClock(), self.declared_rules)

    def promotion(
        self,
        package: "Package",
        environment: str,
        *,
        again: bool = False,
        overrun: bool = False,
        rehearsal: bool = False,
    ) -> "Promotion":
        """What a promotion of *package* into *environment* is checked with. Raises R103."""
        from orchestrator.app.admission import Promotion
        from orchestrator.planning.durations import estimated
        from orchestrator.planning.path_facts import path_facts

        return Promotion(
            environment,
            package.ref,
            path=path_facts(self.setting, package.ref, environment, again=again),
            estimate=lambda: estimated(self.setting, package, environment),
            declared=self.declared_rules(),
            overrun=overrun,
            rehearsal=rehearsal,
        )

    def check_promotion(self, promotion: "Promotion") -> None:
        """Return if the actor may request *promotion* now. Raises A101 and the errors of its conditions."""
        from orchestrator.app.admission import check_promotion

        check_promotion(self.acting, promotion)

    def calendar_states(self) -> "dict[str, EnvironmentCalendar]":
        """Whether each environment is open to promotions now, and when that changes."""
        from orchestrator.app.calendar import states

        return states(self.acting, self.declared_rules())

    def calendar_state(self, environment: str) -> "EnvironmentCalendar":
        """Whether *environment* is open to promotions now, and when that changes."""
        return self.calendar_states()[environment]
