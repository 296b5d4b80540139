"""The entrance of an environment: the conditions of a run before it takes the lease, and before its first effect."""

from collections.abc import Callable

from orchestrator.app.acting import Acting, View, access_of
from orchestrator.app.admission import Promotion, admission, overrides_of
from orchestrator.app.bookings import Bookings, NullBookings
from orchestrator.app.request_facts import project_rules
from orchestrator.app.starts import admit_run
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Actor
from orchestrator.domain.admission.conditions import CALENDAR, Admission, ConditionKind
from orchestrator.domain.admission.refusal import not_admitted
from orchestrator.domain.calendar.rules import CalendarRule
from orchestrator.domain.journal import Run
from orchestrator.domain.moments import ClockReading, current_time, parse_moment
from orchestrator.planning.durations import estimated_by_ref
from orchestrator.planning.path_facts import path_facts
from orchestrator.ports import Clock
from orchestrator.register_ports import Records, Register
from orchestrator.services import Services

ELSEWHERE = frozenset(ConditionKind) - {*CALENDAR, ConditionKind.FIT, ConditionKind.PATH}
"""What is not checked at the entrance: the plan and the request of the run are checked where they are read."""


class RunEntrance:
    """Reads the register for every run. *declared* returns the calendar entries of the environments' files.

    A wall clock that has jumped since this object was made is not trusted: nothing opens earlier by it.
    """

    def __init__(
        self,
        register: Register,
        clock: Clock,
        declared: Callable[[], tuple[CalendarRule, ...]],
        bookings: Bookings | None = None,
    ) -> None:
        self._register, self._clock, self._declared = register, clock, declared
        self._bookings = bookings or NullBookings()
        self._first = self._reading()

    def admit(self, services: Services, run: Run, *, plan: str | None, overrun: bool) -> None:
        """Return if *run*, which executes *plan*, may currently take its environment.

        Raises `NotAdmitted` with A220, A301 or A302, and the errors of `starts.admit_run`. The first run that
        uses a booking is its check-in.
        """
        system = self._acting(SYSTEM_ACTOR)
        self._check(system, services, run, plan=plan, overrun=overrun)
        self._bookings.use(system, run)

    def _check(self, system: Acting, services: Services, run: Run, *, plan: str | None, overrun: bool) -> None:
        """Return if *run* may take its environment."""
        requested = admit_run(services.store, system, run, plan, project_rules(services, self._declared()))
        if run.release is None or requested:
            return
        release = run.release
        promotion = Promotion(
            run.environment,
            release,
            path=path_facts(services, release, run.environment),
            estimate=lambda: estimated_by_ref(services, release, run.environment),
            declared=self._declared(),
            overrun=overrun,
        )
        found = self._admission(promotion, run)
        planned = run.kind == "rehearsal" or promotion.path.verified_at is None  # its plan reports what the path lacks
        ignored = ELSEWHERE | ({ConditionKind.PATH} if planned else set())
        why_not = not_admitted(found, str(run.release), run.environment, ignored)
        if why_not is not None:
            raise why_not

    def closed(self, run: Run) -> str:
        """Why the calendar currently closes the environment of *run*; empty if it is open to it."""
        if run.release is None:
            return ""
        found = self._admission(Promotion(run.environment, run.release, declared=self._declared()), run)
        return "; ".join(condition.reason for condition in found.missing if condition.kind in CALENDAR)

    def passed(self, run: Run) -> tuple[str, ...]:
        """The overrides of the calendar that hold for the release of *run*, each with the user and the reason."""
        if run.release is None:
            return ()
        digest = run.release.digest

        def work(records: Records) -> tuple[str, ...]:
            now = current_time(self._reading(), self._first, records.newest_time())
            found = overrides_of(records, digest, run.environment)
            return tuple(f"passed by {o.by}: {o.reason} ({o.text})" for o in found if not o.is_over(now))

        return self._register.reading(work)

    def _admission(self, promotion: Promotion, run: Run) -> Admission:
        actor = Actor(name=run.by)
        acting = self._acting(actor)

        def work(records: Records) -> Admission:
            now = current_time(self._reading(), self._first, records.newest_time())
            return admission(View(acting, records, access_of(records), now), promotion, actor, own=True)

        return self._register.reading(work)

    def _acting(self, actor: Actor) -> Acting:
        return Acting(self._register, actor, self._clock, bookings=self._bookings)

    def _reading(self) -> ClockReading:
        return ClockReading(parse_moment(self._clock.now()), self._clock.monotonic())
