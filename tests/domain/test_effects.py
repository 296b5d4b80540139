"""What a run may have changed: it decides between *failed*, where nothing was changed, and a rollback."""

import pytest

from orchestrator.domain.effects import NOTHING, Change, Effects, declared_change
from orchestrator.domain.plan import PlannedStep, PlaySpec
from orchestrator.domain.promotion import State
from orchestrator.domain.step import HostResult, Outcome, StepResult

GOOD, FAILED = StepResult(outcome=Outcome.SUCCEEDED), StepResult(outcome=Outcome.FAILED)
REFUSED = StepResult(outcome=Outcome.FAILED, data={"untouched": True})
STEP = PlannedStep(play=PlaySpec(step="deploy", playbook="site.yml", hosts="web"))


def on_host(outcome: Outcome, *, touched: bool) -> StepResult:
    return StepResult(outcome=outcome, hosts=(HostResult(host="w1", outcome=outcome, touched=touched),))


@pytest.mark.parametrize(
    ("change", "result", "changed"),
    [
        (Change("stack"), GOOD, True),
        (Change("stack"), FAILED, True),
        (Change("stack"), REFUSED, False),
        (Change("claim"), GOOD, False),
        (NOTHING, GOOD, False),
        (NOTHING, StepResult(outcome=Outcome.ERRORED), False),
        (Change("suite", ("w1",)), FAILED, True),
        (Change("suite", ("w1",)), REFUSED, False),
        (Change("hosts", ("w1",)), on_host(Outcome.FAILED, touched=True), True),
        (Change("hosts", ("w1",)), on_host(Outcome.FAILED, touched=False), False),
        (Change("hosts", ("w1",)), StepResult(outcome=Outcome.ERRORED), True),
        (Change("hosts", ("w1",)), StepResult(outcome=Outcome.ABORTED, data={"untouched": True}), False),
        (Change("hosts", ("w1",), always=True), on_host(Outcome.FAILED, touched=False), True),
        (Change("side", ("lb1",)), StepResult(outcome=Outcome.UNKNOWN), True),
    ],
)
def test_a_step_changes_what_it_declares_unless_its_result_says_otherwise(
    change: Change, result: StepResult, *, changed: bool
) -> None:
    """A declared change counts if the step succeeded, or if its result cannot exclude it."""
    effects = Effects()
    assert not effects.changed
    effects.record(change, result)
    assert effects.changed is changed
    assert effects.stack_changed is (changed and change.kind == "stack")


def test_a_later_step_without_effect_takes_no_earlier_effect_away() -> None:
    """An effect stays one, whatever the steps after it say."""
    effects = Effects()
    effects.record(Change("stack"), GOOD)
    effects.record(Change("hosts", ("w1",), STEP), on_host(Outcome.FAILED, touched=False))
    assert effects.changed
    assert effects.stack_changed


@pytest.mark.parametrize("state", list(State))
def test_a_run_that_verifies_or_restores_may_have_changed_something(state: State) -> None:
    """The states in which suites run over the new release, or the earlier one is restored, count as a change."""
    expected = {State.VERIFYING, State.HALTING, State.UNDOING, State.RESTORING, State.VERIFYING_ROLLBACK}
    assert Effects(states={State.PLANNING, state}).changed is (state in expected)


def test_batches_that_were_taken_back_are_not_undone_again() -> None:
    """After a rehearsal has taken its steps back, only those that start afterwards are undone."""
    effects = Effects()
    effects.record(Change("hosts", ("w1",), STEP), GOOD)
    effects.take_back()
    assert effects.started == []
    assert effects.changed
    effects.record(Change("hosts", ("w2",), STEP), GOOD)
    assert [started.hosts for started in effects.started] == [("w2",)]


@pytest.mark.parametrize(
    ("results", "switching"),
    [
        ([(False, GOOD)], True),
        ([(False, GOOD), (True, GOOD)], False),
        ([(False, on_host(Outcome.FAILED, touched=False))], False),
        ([(False, on_host(Outcome.FAILED, touched=True))], True),
        ([(False, GOOD), (True, on_host(Outcome.FAILED, touched=False))], True),
        ([(False, GOOD), (True, on_host(Outcome.FAILED, touched=True))], True),
    ],
)
def test_a_switch_counts_until_it_was_taken_back(results: list[tuple[bool, StepResult]], *, switching: bool) -> None:
    """A switch that may have had an effect has to be taken back, until a switch back has succeeded."""
    effects = Effects()
    for back, result in results:
        effects.record(Change("side", ("w1",), is_rollback=back), result)
    assert effects.switching is switching


def test_a_claimed_stack_was_made_if_the_update_may_have_changed_it() -> None:
    """A stack for one run is recorded before it is made, and there is nothing to destroy if the update was refused."""
    for result, made in ((REFUSED, None), (FAILED, {"stack": "pr-1"}), (GOOD, {"stack": "pr-1"})):
        effects = Effects()
        effects.record(Change("claim"), StepResult(outcome=Outcome.SUCCEEDED, data={"stack": "pr-1"}))
        effects.record(Change("stack"), result)
        assert effects.claimed == {"stack": "pr-1"}
        assert effects.ephemeral_stack == made


@pytest.mark.parametrize(
    "change",
    [
        NOTHING,
        Change("claim"),
        Change("stack"),
        Change("hosts", ("w1", "w2"), STEP),
        Change("hosts", ("w1",), always=True),
        Change("suite", ("w1",)),
        Change("side", ("lb1",), is_rollback=True),
    ],
)
def test_a_declaration_is_read_from_the_start_of_its_step(change: Change) -> None:
    """What a step declared is what is read from the entry of its start, whatever its name and verb."""
    about = {"verb": "v", "hosts": list(change.hosts), "may_change": change.to_record()}
    assert declared_change("any", about, {"deploy": STEP}) == change


@pytest.mark.parametrize(
    ("name", "about", "change"),
    [
        ("deploy.2", {"verb": "deploy", "hosts": ["w1"]}, Change("hosts", ("w1",), STEP)),
        ("rehearse.again.deploy.2", {"verb": "deploy", "hosts": ["w1"]}, Change("hosts", ("w1",), STEP)),
        ("switch", {"verb": "switch", "hosts": ["lb1"]}, Change("side", ("lb1",))),
        ("rehearse.switch.back", {"verb": "rehearse", "hosts": ["lb1"]}, Change("side", ("lb1",), is_rollback=True)),
        ("provision", {"verb": "provision"}, Change("stack")),
        ("rehearse.stack.back", {"verb": "rehearse"}, Change("stack")),
        ("undo.1.deploy", {"verb": "undo", "hosts": ["w1"]}, Change("hosts", ("w1",))),
        ("restore.look", {"verb": "restore"}, NOTHING),
        ("verify.smoke.environment", {"verb": "verify", "hosts": ["w1"]}, NOTHING),
    ],
)
def test_a_step_of_an_earlier_version_changes_what_its_verb_changes(
    name: str, about: dict[str, object], change: Change
) -> None:
    """The start of a step that an earlier version recorded without a declaration is read by its verb and its name."""
    assert declared_change(name, about, {"deploy": STEP}) == change
