"""A host that answers what no host would answer is unknown; the other hosts, plans, promotions and rollbacks go on."""

from pathlib import Path
from random import Random

import pytest

from orchestrator.domain.fencing import HIGHEST, STEP, is_ahead
from orchestrator.domain.journal import Run
from orchestrator.domain.promotion import State
from orchestrator.domain.step import HostResult, Outcome, StepResult
from orchestrator.inspect import tokens
from tests.flow.test_observe import PLACE, do, notices, truths
from tests.flow.test_promotion import Stage

NINES = "9" * 15
ANSWERS = {
    "no digest": '@linked {"digest": "sha256:nonsense"}\n@fence 1',
    "a digest with more behind it": '@linked {"digest": "sha256:' + "a" * 64 + '\\n"}\n@fence 1',
    "a digest that is a list": '@linked {"digest": [1]}\n@fence 1',
    "a fence of 16 digits": "@fence " + "9" * 16,
    "a fence of 26 digits": "@fence " + "9" * 26,
    "a fence of 5000 digits": "@fence " + "9" * 5000,
    "a fence that is a superscript": "@fence ²",
    "a fence in other digits": "@fence ١٢",
    "a negative fence": "@fence -1",
    "a fence of nothing": "@fence ",
    "too much": "@fence 1\n" + "x" * 200_000,
}
QUIET = {
    "nothing": "",
    "JSON without end": "@linked " + "[" * 100_000,
    "a state that is a number": "@release 5\n@linked 7\n@fence 1",
    "no number that JSON has": '@linked {"digest": NaN}\n@fence 1',
    "a ledger of rubbish": "@fence 1\n" + "@ledger {}\n@ledger null\n@ledger [[]]\n" * 100,
}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def failure(stage: Stage, run: Run) -> dict[str, object]:
    data = stage.failure(run)
    assert isinstance(data["failure"], dict)
    return data["failure"]


@pytest.mark.parametrize("what", ANSWERS)
def test_an_invalid_answer_makes_its_host_unknown_and_nothing_else(stage: Stage, what: str) -> None:
    """An answer that is not valid makes its host unknown, with the reason; promotions and rollbacks run all the same."""
    stage.walk("1.0.0")
    stage.world.answers["p2"] = ANSWERS[what]
    seen = do(stage, "observe")
    assert (seen.state, failure(stage, seen)["code"]) == (State.FAILED, "R161")
    assert [truth for truth, _ in truths(stage).values()] == ["seen", "unknown", "seen"]
    assert str(failure(stage, seen)["message"]).count("\n") == 0
    assert "p2: " in str(failure(stage, seen)["message"])
    assert stage.walk("1.1.0").state is State.SUCCEEDED
    stage.world.faults.add(("verify", "p3", "1.2.0"))
    assert stage.walk("1.2.0").state is State.ROLLED_BACK


@pytest.mark.parametrize("what", QUIET)
def test_an_answer_that_says_nothing_is_no_error(stage: Stage, what: str) -> None:
    """An answer without anything that can be read names no release, and stops nothing."""
    stage.walk("1.0.0")
    stage.world.answers["p2"] = QUIET[what]
    assert do(stage, "observe").state in {State.SUCCEEDED, State.FAILED}
    assert stage.walk("1.1.0").state is State.SUCCEEDED


@pytest.mark.parametrize("report", ["sha256:1", 5, [], {"digest": {"a": 1}}, {"digest": "x" * 100}, None])
def test_an_invalid_report_of_a_play_leaves_its_host_unknown(stage: Stage, report: object) -> None:
    """A host that reports no release after a play but something else is unknown, and the run ends as it would."""
    stage.world.reports["p2"] = report
    assert stage.walk("1.0.0").state is State.SUCCEEDED
    assert [truth for truth, _ in truths(stage).values()] == ["seen", "unknown", "seen"]


def test_a_host_raises_the_fencing_token_by_a_thousand_at_most(stage: Stage) -> None:
    """A token up to 1000 ahead is taken over; one more needs the confirmation of an operator, and raises nothing before."""
    stage.walk("1.0.0")
    ours = stage.store.newest_fence(PLACE)
    stage.world.fences[PLACE, "p2"] = ours + 1 + STEP
    assert do(stage, "observe").state is State.SUCCEEDED
    raised = stage.store.newest_fence(PLACE)
    assert raised == ours + 1 + STEP + 1
    stage.world.fences[PLACE, "p2"] = raised + 1 + STEP + 1
    seen = do(stage, "observe")
    assert failure(stage, seen)["code"] == "R161"
    assert f"orchestrator observe {PLACE} --accept-token {raised + STEP + 2}" in str(failure(stage, seen)["message"])
    assert stage.store.newest_fence(PLACE) == raised + 1
    assert any(f"the fencing token {raised + STEP + 2}" in text for text in notices(stage, seen))


def test_a_promotion_is_refused_before_a_host_would_refuse_it(stage: Stage) -> None:
    """A host whose token is too far ahead stops a promotion before any change; the error names it, both tokens and a command."""
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    stage.world.fences[PLACE, "p2"] = 123_456
    effects = list(stage.world.ledger)
    run = stage.promote("1.1.0", PLACE)
    why = failure(stage, run)
    assert (run.state, why["code"]) == (State.FAILED, "D183")
    ours = stage.store.newest_fence(PLACE)
    assert f"p2: it reports the fencing token 123456, more than 1000 ahead of {ours}" in str(why["message"])
    assert "orchestrator observe production --accept-token 123456" in str(why["message"])
    assert stage.world.ledger == effects
    assert do(stage, "observe", {"token": 123_456}).state is State.SUCCEEDED
    assert stage.store.newest_fence(PLACE) > 123_456
    assert stage.promote("1.2.0", "staging").state is State.SUCCEEDED
    assert stage.promote("1.2.0", PLACE).state is State.SUCCEEDED


def test_a_new_host_that_would_refuse_stops_its_promotion_before_any_play(stage: Stage) -> None:
    """A host that the run itself makes, and whose token is too far ahead, is reported as one that a plan finds (D183), with
    the command that accepts the token; no play has run, and the infrastructure is restored.
    """
    stage.walk("1.0.0")
    stage.promote("1.1.0", "staging")
    stage.world.stacks[PLACE] = [*stage.world.stacks[PLACE], "p4"]
    stage.world.fences[PLACE, "p4"] = 123_456
    effects = list(stage.world.ledger)
    run = stage.promote("1.1.0", PLACE)
    why = failure(stage, run)
    assert (run.state, why["code"]) == (State.ROLLED_BACK, "D183")
    assert "p4: it reports the fencing token 123456, more than 1000 ahead of" in str(why["message"])
    assert "orchestrator observe production --accept-token 123456" in str(why["message"])
    assert [line for line in stage.world.ledger[len(effects) :] if "deploy" in line] == []
    assert stage.store.newest_fence(PLACE) < 100


def test_no_confirmation_uses_the_tokens_up(stage: Stage) -> None:
    """A token of 15 nines is never taken over, also with a confirmation: the next one would be longer than hosts read."""
    stage.walk("1.0.0")
    stage.world.fences[PLACE, "p2"] = int(NINES)
    seen = do(stage, "observe", {"token": HIGHEST})
    assert failure(stage, seen)["code"] == "R161"
    assert "--accept-token" not in str(failure(stage, seen)["message"])
    assert "remove `fence` and `ledger.jsonl`" in str(failure(stage, seen)["message"])
    assert stage.store.newest_fence(PLACE) < 100


def test_a_rollback_goes_on_without_a_host_that_refuses(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that reports a newer token while the run goes back is left as it is, the others are restored, and the run says so."""
    good = stage.walk("1.0.0")
    assert good.release is not None
    stage.promote("1.1.0", "staging")
    stage.world.faults.add(("verify", "p3", "1.1.0"))
    real = stage.world.fails

    def turns(verb: str, what: str, version: str) -> bool:
        if (what, version) == ("p3", "1.1.0"):
            stage.world.fences[PLACE, "p2"] = int(NINES)
        return real(verb, what, version)

    monkeypatch.setattr(stage.world, "fails", turns)
    run = stage.promote("1.1.0", PLACE)
    assert run.state is State.NEEDS_INTERVENTION
    assert run.release is not None
    assert stage.world.releases(PLACE)[0] == good.release.digest
    assert stage.world.releases(PLACE)[2] == good.release.digest
    ended = [record.data for record in stage.store.records(run.id) if record.kind == "step.finished"]
    assert [item["data"]["refused"] for item in ended if item["data"].get("code") == "D140"] == [["p2"]]
    assert truths(stage)["p2"][1] == run.release.digest


def test_tokens_are_compared_as_numbers() -> None:
    """Tokens around 2^31, 2^63 and 15 digits are taken over, or not, by their value and nothing else."""
    random = Random(1)
    for ours in (0, 1, 2**31 - 2, 2**31, 10**14, HIGHEST - 1, HIGHEST):
        for token in (ours, ours + 1, ours + STEP, ours + STEP + 1, random.randrange(10**15)):
            ahead = is_ahead(token, ours)
            assert ahead is (token > ours + STEP or token > max(ours, HIGHEST))
    seen = StepResult(
        outcome=Outcome.SUCCEEDED, hosts=(HostResult(host="a", outcome=Outcome.SUCCEEDED, touched=False),)
    )
    assert tokens.too_far(seen) == {}
