"""Requests, queries and commands as gates: what counts as an answer, and what does not."""

import json
import socket
import time
from pathlib import Path

import pytest

from orchestrator.adapters.gates.asker import LiveGates
from orchestrator.domain.gate import Gate
from orchestrator.domain.step import Outcome
from orchestrator.engine.jobs import LocalJobs
from tests.contracts.test_gates import ask, prometheus
from tests.web import Server


@pytest.fixture
def gates(tmp_path: Path) -> LiveGates:
    return LiveGates(LocalJobs(tmp_path / "jobs"), tmp_path, {"HOME": "/nowhere", "SECRET": "x"})


def http(url: str, **more: object) -> Gate:
    return Gate.from_json({"name": "gate", "http": {"url": url, "timeout": "500ms", **more}})


def query(url: str, **more: object) -> Gate:
    return Gate.from_json({"name": "gate", "prometheus": {"server": url, "query": "up", "timeout": "500ms", **more}})


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_service_that_refuses_has_failed(gates: LiveGates) -> None:
    """A machine that is there and refuses the connection has answered: the gate has failed, and is not unknown."""
    result = ask(gates, http(f"http://127.0.0.1:{closed_port()}/"))
    assert (result.outcome, result.message.rpartition(": ")[2]) == (Outcome.FAILED, "the connection was refused")


def test_a_service_that_says_nothing_has_failed(gates: LiveGates) -> None:
    """A service that takes the connection and does not answer in time has failed, and soon."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        began = time.monotonic()
        result = ask(gates, http(f"http://127.0.0.1:{mute.getsockname()[1]}/"))
    assert (result.outcome, "no answer within 0.5 s" in result.message) == (Outcome.FAILED, True)
    assert time.monotonic() - began < 5


def test_a_name_that_nobody_knows(gates: LiveGates) -> None:
    """A name that is not known says nothing of the service."""
    result = ask(gates, http("http://nobody.invalid/"))
    assert result.outcome is Outcome.UNKNOWN


def test_what_the_answer_must_have(gates: LiveGates, server: Server) -> None:
    """Status and text are compared, and what is wrong is said; the version of the release may stand in the text."""
    server.answers |= {"/version": (200, "this is 1.0.0"), "/gone": (404, "")}
    assert ask(gates, http(f"{server.url}/version", contains="{{ release_version }}")).good
    assert ask(gates, http(f"{server.url}/gone", status=404)).good
    assert "without '2.0'" in ask(gates, http(f"{server.url}/version", contains="2.0")).message
    assert "answers 404 and not 200" in ask(gates, http(f"{server.url}/gone")).message


def test_each_host_is_asked_and_the_same_url_once(gates: LiveGates, server: Server) -> None:
    """A URL with a host's variable is asked for each host, one without is asked once; a bad host is named."""
    server.answers |= {"/a": (200, ""), "/": (200, "")}
    result = ask(gates, http(f"{server.url}/{{{{ inventory_hostname }}}}"))
    assert {host.host: host.outcome for host in result.hosts} == {"a": Outcome.SUCCEEDED, "b": Outcome.FAILED}
    assert "b: answers 404" in result.message
    server.asked.clear()
    assert ask(gates, http(f"{server.url}/")).good
    assert server.asked == ["/"]


def test_no_file_is_read_through_a_redirection(gates: LiveGates, server: Server, tmp_path: Path) -> None:
    """A server that leads to a file of this machine gets nothing read."""
    (tmp_path / "secret").write_text("secret")
    server.answers["/"] = (302, f"file://{tmp_path}/secret")
    assert ask(gates, http(f"{server.url}/", contains="secret")).outcome is not Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("value", "bounds", "outcome"),
    [
        ("0.02", {"below": 0.01}, Outcome.FAILED),
        ("0.001", {"below": 0.01}, Outcome.SUCCEEDED),
        ("5", {"above": 4, "below": 6}, Outcome.SUCCEEDED),
        ("+Inf", {"below": 6}, Outcome.FAILED),
        ("NaN", {"below": 6}, Outcome.UNKNOWN),
        ("", {"below": 6}, Outcome.UNKNOWN),
    ],
)
def test_values_and_thresholds(
    gates: LiveGates,
    server: Server,
    value: str,
    bounds: dict[str, float],
    outcome: Outcome,
) -> None:
    """A value on the right side passes, one on the wrong side fails, and no value, or none that is a number, is unknown."""
    server.answers["/api/v1/query"] = prometheus(value)
    assert ask(gates, query(server.url, **bounds)).outcome is outcome


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((400, '{"status":"error","errorType":"bad_data","error":"parse error"}'), "parse error"),
        ((200, '{"status":"success","data":{"resultType":"matrix","result":[]}}'), "gives a matrix"),
        ((200, "<html>"), "not as Prometheus does"),
        ((200, '{"status":"success","data":{"resultType":"vector","result":[{}]}}'), "no value"),
    ],
)
def test_what_is_no_answer(gates: LiveGates, server: Server, answer: tuple[int, str], why: str) -> None:
    """A server that refuses the query, or is no Prometheus, leaves the gate unknown and says why."""
    server.answers["/api/v1/query"] = answer
    result = ask(gates, query(server.url, below=1))
    assert (result.outcome, why in result.message) == (Outcome.UNKNOWN, True)


def test_prometheus_that_is_not_there(gates: LiveGates) -> None:
    """A Prometheus that refuses the connection says nothing of the release: unknown."""
    assert ask(gates, query(f"http://127.0.0.1:{closed_port()}", below=1)).outcome is Outcome.UNKNOWN


def test_a_query_names_the_hosts(gates: LiveGates, server: Server) -> None:
    """In a query the hosts that are looked at can stand as a regular expression."""
    server.answers["/api/v1/query"] = prometheus("0")
    gate = Gate.from_json(
        {"name": "gate", "prometheus": {"server": server.url, "query": 'up{instance=~"{{ hosts }}"}', "below": 1}}
    )
    assert ask(gates, gate).good
    assert "%22a%7Cb%22" in server.asked[0]


def test_a_command_knows_the_run_and_no_more(gates: LiveGates, tmp_path: Path) -> None:
    """A command gets the run's variables, not the rest of the user's environment, and runs in the package's folder."""
    gate = Gate(name="gate", command=("sh", "-c", "env >env; pwd >where"))
    assert ask(gates, gate, root=tmp_path).good
    env = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines() if "=" in line)
    assert (env["ORCHESTRATOR_VERSION"], json.loads(env["ORCHESTRATOR_HOSTS"])) == ("1.0.0", ["a", "b"])
    assert "SECRET" not in env
    assert (tmp_path / "where").read_text().strip() == str(tmp_path)


@pytest.mark.parametrize(
    ("command", "timeout"), [(("no-such-program",), "1m"), (("sleep", "60"), "300ms"), (("sh", "-c", "kill $$"), "1m")]
)
def test_commands_that_say_nothing(gates: LiveGates, tmp_path: Path, command: tuple[str, ...], timeout: str) -> None:
    """A command that cannot be started, does not end in time or is killed leaves the gate unknown."""
    gate = Gate(name="gate", command=command, timeout=timeout)
    result = ask(gates, gate, root=tmp_path)
    assert (result.outcome, result.data["code"]) == (Outcome.UNKNOWN, "V141")


def test_a_command_is_run_once(gates: LiveGates, tmp_path: Path) -> None:
    """The same step asked again, by whoever took over, runs no command a second time."""
    gate = Gate(name="gate", command=("sh", "-c", "echo ran >>ran"))
    assert ask(gates, gate, root=tmp_path).good
    assert ask(gates, gate, root=tmp_path).good
    assert (tmp_path / "ran").read_text() == "ran\n"
