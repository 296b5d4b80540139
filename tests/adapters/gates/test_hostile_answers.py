"""What a server of metrics may answer: numbers, or a reason; never an error of ours."""

import pytest

from orchestrator.adapters.gates.live_gates import _error, _values
from orchestrator.adapters.gates.web import Answer

TEXTS = {
    "nothing": "",
    "levels without end": "[" * 100_000,
    "objects without end": '{"status":' * 50_000,
    "a list": "[1]",
    "a text": '"success"',
    "no data": '{"status": "success"}',
    "data that is a list": '{"status": "success", "data": []}',
    "results that are numbers": '{"status": "success", "data": {"resultType": "vector", "result": [1, 2]}}',
    "values that are no numbers": '{"status": "success", "data": {"resultType": "scalar", "result": [0, {}]}}',
    "a type that is a list": '{"status": "success", "data": {"resultType": [], "result": []}}',
    "an error that is a number": '{"status": "error", "error": 5}',
    "an error without end": '{"status": "error", "error": "' + "x" * 500_000 + '"}',
    "a number without end": '{"status": ' + "9" * 10_000 + "}",
}


@pytest.mark.parametrize("what", TEXTS)
@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_of_a_server_is_read_within_bounds(what: str, status: int) -> None:
    """Whatever a server answers, there are no values, and the reason is one short text."""
    answer = Answer(status, TEXTS[what])
    assert list(_values(answer)) == []
    assert len(_error(answer)) < 1000
