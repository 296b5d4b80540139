"""Close: how a run ends. Whatever happened, the lease goes back, and what is true now is written down."""

from orchestrator.domain.errors import Exit, OrchestratorError, lookup
from orchestrator.domain.journal import Entry
from orchestrator.domain.promotion import Event
from orchestrator.domain.step import Outcome, StepResult
from orchestrator.flow import ephemeral, host_states, observe, probe, switch
from orchestrator.flow.course import Course
from orchestrator.flow.halt import Halt
from orchestrator.planning.sides import RETIRE
from orchestrator.ports import Emit


def finish(course: Course) -> None:
    """The release is in place and verified. What fails from here on never undoes it."""
    course.move(Event.CLOSE)
    kept = switch.retire(course)
    probe.end(course)
    _tidy(course)
    if kept is not None:
        raise Halt(RETIRE, kept)
    ephemeral.dispose(course)
    course.move(Event.FINISH)
    if course.effects.made is not None:
        _end(course, f"{course.settled_plan().release} was good in {course.run.environment}, which is gone", Exit.OK)
        return
    but = ", ".join(f"{host} ({how})" for host, how in course.left_out.items())
    where = f"{course.run.environment}, but not verified on {but}" if but else course.run.environment
    _end(course, f"{course.settled_plan().release} runs in {where}", Exit.OK)


def finish_environment(course: Course) -> None:
    """The environment is as its program says, or gone."""
    course.move(Event.FINISH)
    done = {
        "destroy": "destroyed",
        "resolve": "settled",
        "observe": "observed",
        "accept": "as was said",
        "reap": "gone",
    }.get(course.run.kind, "up to date")
    _end(course, f"{course.run.environment} is {done}", Exit.OK)


def finish_rollback(course: Course) -> None:
    """The last verified release is back, and its tests passed."""
    probe.end(course)
    _tidy(course)
    course.move(Event.FINISH)
    back = course.back.ref if course.back else None
    asked_for = course.run.kind == "rollback"
    _end(course, f"{back} is back in {course.run.environment}", Exit.OK if asked_for else Exit.ROLLED_BACK)


def finish_taken_away(course: Course) -> None:
    """What was made for a promotion that failed is gone: nothing of it is left."""
    probe.end(course)
    _tidy(course)
    course.move(Event.FINISH)
    text = f"{course.run.release} failed, and what was made for it in {course.run.environment} is gone"
    _end(course, text, Exit.ROLLED_BACK)


def refuse(course: Course, halted: Halt) -> None:
    """Nothing was changed: say why not."""
    probe.end(course)
    course.move(Event.REFUSE)
    _end(course, halted.result.message, _exit(halted), halted)


def ask_for_a_person(course: Course, halted: Halt) -> None:
    """It cannot go on by itself: keep nobody out, and say what is true and what would help."""
    observe.after_doubt(course, halted.result)
    probe.end(course)
    course.move(Event.GIVE_UP)
    _end(course, halted.result.message, Exit.NEEDS_PERSON, halted)


def _exit(halted: Halt) -> Exit:
    """How the command ends: as the error's code says, else *failed, nothing changed*."""
    try:
        return lookup(halted.code).exit if halted.code else Exit.FAILED
    except KeyError:
        return Exit.FAILED


def _tidy(course: Course) -> None:
    def work(_job: str, _emit: Emit) -> StepResult:
        try:
            course.setting.deployer.close()
        except OSError as error:
            raise OrchestratorError("R140", f"cleaning up after the run failed: {error}") from error
        return StepResult(outcome=Outcome.SUCCEEDED)

    course.must("close", "clean up", work, verb="close")


def _end(course: Course, message: str, code: Exit, halted: Halt | None = None) -> None:
    """Write the run's last record, give the lease and the place in the queue back, and tell whoever wants to know."""
    failure = course.failure or halted
    data = {
        "state": course.state.value,
        "message": message,
        "exit": int(code),
        "failure": _failure(failure) if failure else None,
    }
    host_states.record_end(course)
    course.note(Entry(kind="ended", data=data, key="ended"))
    course.setting.store.dequeue(course.run.environment, course.run.id)
    course.setting.store.release(course.run.environment, course.run.id)
    course.setting.notifier.tell(course.ended(), message)


def _failure(halted: Halt) -> dict[str, object]:
    return {"step": halted.step, "message": halted.result.message, "code": halted.code}
