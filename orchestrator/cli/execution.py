"""Following runs to their end: those that this process does, and those that another one does."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast

from orchestrator.app.application import Application
from orchestrator.app.requests import RunRequest
from orchestrator.app.run_reader import RunReader
from orchestrator.app.scheduler import Scheduler
from orchestrator.cli import output
from orchestrator.cli.planned import plan_text
from orchestrator.cli.recovery import recover, report_resumed
from orchestrator.cli.view import Lines, Live, open_view
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Actor
from orchestrator.domain.error_codes import RIGHT_MISSING, STORE_NEWER
from orchestrator.domain.errors import Exit, OrchestratorError
from orchestrator.domain.journal import STORE_FAILURES, Run, run_id
from orchestrator.domain.story import RunView
from orchestrator.domain.worker import WorkerConfig, WorkerEvent
from orchestrator.domain.worker_calls import WorkerCall

if TYPE_CHECKING:
    from orchestrator.management.application import ManagedApplication

POLL = 0.08


class Follower:
    """Reads the journal of every run of one root as it grows, and shows it in a view; with *only*, of that run alone.

    Along the path one run follows another. In waves the journal of the request's own run has the parallel ones.
    The right of *actor* to view them is checked once, with the first reading.
    """

    def __init__(self, app: Application, actor: Actor, request: RunRequest, view: Lines, only: str = "") -> None:
        self._app, self._actor, self._view = app, actor, view
        self._beside = view.beside = request.waves is not None and not only
        path = [only] if only else [run_id(request.root, target) for target in request.targets]
        self._coming = [request.root] if self._beside else path
        self.stories: list[RunView] = []

    @cached_property
    def reader(self) -> RunReader:
        """What reads the runs."""
        return self._app.queries.reader(self._actor)

    def poll(self) -> None:
        """Take what is new."""
        while True:
            going = [story for story in reversed(self.stories) if not story.run.ended]  # the request's own comes last
            more = [self._read(story) for story in going]
            if not self._next() and not any(more):
                break
        self._view.draw(self.stories)

    def _read(self, story: RunView) -> bool:
        """Take the records of one run. True if it has started runs, which are shown before its other records."""
        for record in self.reader.records(story.run.id, story.last):
            story.take(record)
            self._view.take(story, record)
            if record.kind == "wave" and self._beside and record.data.get("runs"):
                self._coming += record.data["runs"].values()
                return True
        return False

    def _next(self) -> bool:
        """Find the next run of the request, which is in the journal once it has started."""
        if self.stories and not self._beside and not self.stories[-1].run.ended:
            return False
        for wanted in self._coming if self._beside else self._coming[:1]:
            with contextlib.suppress(OrchestratorError):
                run = self.reader.run(wanted)
                if run.id == wanted:
                    self._coming.remove(wanted)
                    story = RunView(run.model_copy(update={"ended_at": None}))
                    self.stories.append(story)
                    self._view.begin(story)
                    return True
        return False


def run_and_follow(app: Application, request: RunRequest, wait: Callable[[], dict[str, Any]]) -> list[RunView]:
    """Follow *request*, which this process executes, to its end.

    The first interrupt cancels it, the second leaves it to a process in the background. SIGTERM parks it before its
    next effect, and another process resumes it. None of them interrupts an operation of an engine.
    """
    done, blockers = _BackgroundWait(wait), app.resumption.blockers(request)
    with open_view() as view:
        follower = Follower(app, SYSTEM_ACTOR, request, view)  # the right was checked when it was requested
        with _Signals(app, request, view, follower) as signals:
            while done.running and not app.parked:
                with _patient():
                    follower.poll()
                    signals.apply_control()
                report_resumed(blockers.resume())
                done.join(view.every)
        with _patient():
            follower.poll()
    if app.parked and done.running:
        _parked(app, request, follower, view)
    done.check()
    return follower.stories


def execute(app: Application, actor: Actor, request: RunRequest) -> list[RunView]:
    """Execute the request *request* and follow it to its end. At a server a worker executes it."""
    if app.executes_here:
        return run_and_follow(app, request, app.execution.begin(actor, request))
    return follow_to_end(app, request)


@contextlib.contextmanager
def _patient() -> Iterator[None]:
    """Poll again later when the store does not answer: the run waits for it as well, or parks."""
    try:
        yield
    except OrchestratorError as error:
        if error.code not in STORE_FAILURES or error.code == STORE_NEWER:  # that one stays
            raise


def run_worker(app: Application, actor: Actor, rules: WorkerConfig, on_event: Callable[[WorkerEvent], None]) -> None:
    """Work as a worker under these *rules*, started by *actor*, and print its events, until it is stopped."""
    from orchestrator.management.worker_calls import answer_call

    app.warm()
    scheduler = app.scheduler(plan_text)
    duties = partial(do_duties, app, scheduler)

    def answer(call: WorkerCall) -> None:
        answer_call(cast("ManagedApplication", app), call)

    try:
        app.maintenance.serve(
            actor,
            rules,
            on_event,
            partial(execute_root, app),
            lambda: reap_overdue(app, rules.queue),
            duties,
            answer,
        )
    finally:
        scheduler.release_lease()
        app.close()


def do_duties(app: Application, scheduler: Scheduler) -> Iterator[str]:
    """Do what is due, and yield it in words. No connection stays open: processes are forked from this one."""
    try:
        app.refresh_definition()
        for report in scheduler.run():
            yield f"{report.duty}: {report.text}" + (" (failed)" if report.failed else "")
    finally:
        app.register.close()


def reap_overdue(app: Application, queue: str) -> None:
    """Have taken away what promotions made for themselves and is past its time: by the workers of *queue*.

    A run whose process died is resumed in the background, unless it is for workers, who do that anyway.
    """
    recover(app)
    app.resumption.reap_overdue(queue)


def execute_root(app: Application, root: str) -> int:
    """Execute *root* without following it. Returns 0 once it is done, however it ended.

    SIGTERM parks it before its next step, and releases its claim.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: app.stop_softly())
    request = app.submissions.recorded(SYSTEM_ACTOR, root)
    done = _BackgroundWait(app.execution.begin(SYSTEM_ACTOR, request))
    blockers = app.resumption.blockers(request)
    while done.running and not app.parked:
        report_resumed(blockers.resume())
        done.join(POLL)
    if done.running:
        output.note(f"{root}: {app.stop_reason or 'stopped before its next step'}")
        app.release_claim()
        return int(Exit.INTERRUPTED)
    done.check()
    return int(Exit.OK)


def _parked(app: Application, request: RunRequest, follower: Follower, view: Lines) -> NoReturn:
    """End the process, whose request is parked, and print the reason."""
    if app.taken_over:
        end_process(app, request, "another process has taken over; this one changes nothing more", view)
    if app.stop_reason:
        end_process(app, request, f"stopped: {app.stop_reason}", view)
    why = "stopped before its next step"
    with _patient():
        run = app.queries.current_run(app.actor, request.root)
        held = [run, *app.queries.open_runs(app.actor, request.root)] if request.waves is not None else [run]
        by = next((found.control_by for found in held if found.control == "pause"), "")
        plan = next((found.waits_for for found in held if found.waits_for), "")
        why = f"waits for the end of {plan}" if plan else f"paused by {by}" if by else why
    only_meant = [step.label for story in follower.stories for step in story.running]  # nothing runs here any more
    end_process(app, request, f"{why}{_not_begun(request, follower.stories, only_meant)}", view)


def _not_begun(request: RunRequest, stories: list[RunView], first: Sequence[str] = ()) -> str:
    """What of the plan, and of the path, is left after *first*; empty if nothing is, or if that is not known yet."""
    going = [story for story in stories if not story.run.ended] if request.waves is not None else stories[-1:]
    left = [*first, *(label for story in going if not story.going_back for label in story.remaining)]
    progress = stories[0].wave_progress if stories else None
    left += (
        (progress.left if progress else ()) if request.waves is not None else request.targets[max(1, len(stories)) :]
    )
    return f"; not started: {', '.join(left)}" if left else ""


def follow(app: Application, request: RunRequest, only: str = "") -> list[RunView]:
    """Follow a request that another process executes until it has ended or has no process; or *only* that run of it."""
    with open_view() as view:
        follower = Follower(app, app.actor, request, view, only)
        while True:
            working = follower.reader.has_worker(request.root)
            follower.poll()
            if not working or (only and all(story.run.ended for story in follower.stories)):
                return follower.stories
            follower.reader.wait()


def follow_to_end(app: Application, request: RunRequest) -> list[RunView]:
    """Follow a request that another process executes until it has ended, or is paused and has no process.

    The end of this process has no effect on it.
    """
    note_without_worker(app)
    try:
        with open_view() as view:
            follower = Follower(app, app.actor, request, view)
            while True:
                follower.poll()
                ended = _has_ended(app, request, follower.stories)
                if ended and not follower.reader.has_worker(request.root):  # until then it may hold its environment
                    follower.poll()
                    return follower.stories
                follower.reader.wait(ending=ended)
    except KeyboardInterrupt:
        output.note(f"the run continues: orchestrator watch {request.root}")
        raise


def note_without_worker(app: Application) -> None:
    """Report that no worker of a server is running."""
    if not app.executes_here and not app.scheduler_runs():
        output.note("no worker is running, which would start it: orchestrator worker")


def _has_ended(app: Application, request: RunRequest, stories: list[RunView]) -> bool:
    """Whether nothing more comes of *request*, unless a user resumes it."""
    if not stories or not all(story.run.ended for story in stories):
        return bool(stories) and app.queries.current_run(app.actor, request.root).control == "pause"
    if request.waves is not None:
        return True
    return len(stories) == len(request.targets) or exit_of(stories) is not Exit.OK


def exit_of(stories: list[RunView]) -> Exit:
    """The exit status of the command: that of the last run, or of the promotion in waves."""
    whole = next((story for story in stories if story.run.kind == "waves"), None)
    ending = (whole or stories[-1]).ending if stories else None
    return Exit(int(ending["exit"])) if ending else Exit.INTERRUPTED


def end_process(app: Application, request: RunRequest, why: str, view: Lines) -> NoReturn:
    """End this process now, release its claim, and leave the request as the journal has it."""
    view.stop()
    run = request.name if len(request.targets) == 1 else request.root
    app.release_claim()
    output.note(f"{why}; nothing is lost: orchestrator resume {run}")
    os._exit(Exit.INTERRUPTED)  # parked threads never return, and would keep the process


def detach(app: Application, request: RunRequest, view: Lines) -> NoReturn:
    """Leave the request to a process in the background, and end this one."""
    view.stop()
    app.control.detach(app.actor, app.queries.current_run(app.actor, request.root))
    process = app.run_in_background(request.root)
    app.release_claim()
    output.note(f"detached; the run continues in the background (process {process}): orchestrator watch {request.root}")
    os._exit(Exit.INTERRUPTED)


class _BackgroundWait:
    """The end of the request, awaited in a thread while the view is shown."""

    def __init__(self, wait: Callable[[], dict[str, Any]]) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(wait,), daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the request is executed."""
        return self._thread.is_alive()

    def join(self, seconds: float) -> None:
        """Wait until it has ended, for *seconds* at most."""
        self._thread.join(seconds)

    def check(self) -> None:
        """Raise what the execution raised."""
        if self._error is not None:
            raise self._error

    def _run(self, wait: Callable[[], dict[str, Any]]) -> None:
        try:
            wait()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the command ends
            self._error = error


class _Signals:
    """Ctrl-C: cancel first, then leave it to the background. SIGTERM: park.

    A context: it receives them while it is entered. It acts on them in :meth:`apply_control`, when no output and no
    prompt is incomplete. Only a third Ctrl-C takes effect at once.
    """

    def __init__(self, app: Application, request: RunRequest, view: Lines, follower: Follower) -> None:
        self._app, self._request, self._view, self._follower = app, request, view, follower
        self._interrupts, self._terminated = 0, False
        self._handled: set[int] = set()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number, handler in ((signal.SIGINT, self._interrupted), (signal.SIGTERM, self._ended)):
            self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def apply_control(self) -> None:
        """Do what was requested since the last call, and print what continues and what is left."""
        if self._interrupts and signal.SIGINT not in self._handled:
            self._app.control.request(
                self._app.actor, self._app.queries.current_run(self._app.actor, self._request.root), "cancel", "Ctrl-C"
            )
            self._handled.add(signal.SIGINT)  # only after the request was recorded: otherwise it is tried again
            self._say("cancelling", self._outcome_words(), "again: leave it to the background")
        if self._interrupts > 1:  # after that: both may have come since the last time
            detach(self._app, self._request, self._view)
        if self._terminated and signal.SIGTERM not in self._handled:
            self._handled.add(signal.SIGTERM)
            self._app.stop_softly()
            self._say("stopping before the next step", f"orchestrator resume {self._request.root} resumes it")

    def _interrupted(self, _number: int, _frame: object) -> None:
        self._interrupts += 1
        if self._interrupts > 2:
            detach(self._app, self._request, self._view)

    def _ended(self, _number: int, _frame: object) -> None:
        self._terminated = True

    def _outcome_words(self) -> str:
        stories = self._follower.stories
        waves = self._request.waves
        if waves is not None:
            stays = "stays" if waves.on_failure == "stop" else "is rolled back as well"
            return f"what is running is rolled back; what was promoted {stays}"
        if stories and stories[-1].going_back:
            return "a rollback that has started is completed"
        return "what was changed is rolled back"

    def _say(self, what: str, outcome: str, more: str = "") -> None:
        stories = self._follower.stories
        going = ", ".join(step.label for story in stories for step in story.running)
        text = f"{what}: {going} is completed" if going else what
        text += f"{_not_begun(self._request, stories)}; {outcome}" + (f" ({more})" if more else "")
        self._view.write(output.paint(text, fg="yellow", err=True))
        if isinstance(self._view, Live):
            self._view.note = output.paint(f"{what} …" + (f" ({more})" if more else ""), fg="yellow", err=True)


def request_and_run(app: Application, actor: Actor, wanted: str) -> tuple[RunRequest, Run]:
    """What was requested with the run, or the root, *wanted*, for *actor*. Raises R101 and R102."""
    try:
        run = app.queries.current_run(actor, wanted)
    except OrchestratorError as error:
        if error.code == RIGHT_MISSING:
            raise
        run = app.queries.find_run(actor, wanted)
    return app.submissions.recorded(actor, run.root), run
