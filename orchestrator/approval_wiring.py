"""The parts of a project that are about run requests, votes and the scheduler's duties for them."""

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from orchestrator.app.acting import Acting
    from orchestrator.app.application import Application
    from orchestrator.app.request_duties import Context, Shows
    from orchestrator.app.request_facts import RequestRules
    from orchestrator.app.scheduler import Duty
    from orchestrator.domain.approval.requests import RunRequest
    from orchestrator.domain.calendar.rules import CalendarRule
    from orchestrator.domain.plan import Plan
    from orchestrator.register_ports import Register
    from orchestrator.services import Services


class ApprovalParts:
    """What `App` has of run requests."""

    if TYPE_CHECKING:  # App has these

        @property
        def acting(self) -> Acting:
            """The actor of this process at the register."""

        @property
        def register(self) -> Register:
            """Management records and the audit stream."""

        @property
        def services(self) -> Services:
            """What every run of this project is given."""

        def declared_rules(self) -> tuple[CalendarRule, ...]:
            """The windows, freezes and holidays that the files declare."""

    def request_rules(self) -> "RequestRules":
        """What the files of the project and the journal bring to decisions about requests. Raises F-codes."""
        from orchestrator.app.request_facts import project_rules

        return project_rules(self.services, self.declared_rules())

    def request_context(self, shows: "Shows") -> "Context":
        """What the duties about requests need. Plans are shown to approvers by *shows*."""
        from orchestrator.app.request_duties import Context

        return Context(self.register, self.services, self.request_rules, shows, self._plan_again)

    def _plan_again(self, request: "RunRequest", old: "Plan") -> "Plan":
        """A new plan for *request*, with what was agreed to in its *old* one, as its requester makes it."""
        package = self.services.packages.fetch(request.package)
        plans = cast("Application", self).plans
        return plans.make(request.requested_by, package, request.environment, named=old.acknowledgements)

    def request_duties(self, shows: "Shows") -> "tuple[Duty, ...]":
        """The ends of runs, moves that are due, starts, and reminders of votes, in this order."""
        from orchestrator.app.request_duties import MoveRequests, RemindApprovers, SettleRequests, StartRequests

        context = self.request_context(shows)
        return (
            SettleRequests(context),
            MoveRequests(context),
            StartRequests(context),
            RemindApprovers(self.acting),
        )

    def refuse_rolled_back(self, plan: "Plan", allow_rolled_back: str) -> None:
        """Raise R203 if the release of *plan* was rolled back there, and *allow_rolled_back* is empty."""
        from orchestrator.planning import guard

        if allow_rolled_back:
            return
        before = guard.rolled_back_by(self.services, plan.environment, plan.release.digest)
        if before is not None:
            raise guard.rolled_back_refusal(plan.environment, before, str(plan.release))

    def verifier_of(self, plan: "Plan") -> str:
        """The user whose run verified the release of *plan* in the environment before; empty if there is none."""
        if plan.after is None:
            return ""
        found = self.services.store.verified(plan.after, plan.release.digest, limit=1)
        return self.services.store.run(found[0].run).by if found else ""

    def submit_started(self, request: "RunRequest") -> "RunRequest | None":
        """Record the run of a *request* that the actor has started; None if it was recorded before."""
        from orchestrator.app.starts import submit_started

        return submit_started(self.services.store, self.acting, request)

    def settle_request(self, request: "RunRequest", shows: "Shows") -> "RunRequest | None":
        """*request* after the end of its run, however it was started; None while the run continues."""
        from orchestrator.app.request_duties import as_system, settle_request

        return settle_request(as_system(self.acting), self.request_context(shows), request)

    def scheduler_runs(self) -> bool:
        """Whether some worker does what is due."""
        from orchestrator.app.scheduler import is_running
        from orchestrator.domain.moments import Now

        return is_running(self.register.scheduler(), Now.at(self.services.clock.now()))
