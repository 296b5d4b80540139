"""Requests, queries and commands as gates: what counts as an answer, and what does not."""

import base64
import contextlib
import json
import socket
import time
from pathlib import Path

import pytest

from orchestrator.adapters.gates.live_gates import LiveGates
from orchestrator.adapters.memory.packages import MemoryPackages
from orchestrator.adapters.views import Views
from orchestrator.domain.context import Context
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.gate import Gate, origin
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.plan import PlannedGate
from orchestrator.domain.step import Outcome
from orchestrator.engine.jobs import LocalJobs
from orchestrator.isolation.isolator import Kind
from tests.contracts.test_gates import ask, prometheus
from tests.flow.test_promotion import release
from tests.isolators import working
from tests.sealed import sealed
from tests.web import Server, certified, serving


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
    assert "responds with 404 and not 200" in ask(gates, http(f"{server.url}/gone")).message


def test_each_host_is_asked_and_the_same_url_once(gates: LiveGates, server: Server) -> None:
    """A URL with a host's variable is asked for each host, one without is asked once; a bad host is named."""
    server.answers |= {"/a": (200, ""), "/": (200, "")}
    result = ask(gates, http(f"{server.url}/{{{{ inventory_hostname }}}}"))
    assert {host.host: host.outcome for host in result.hosts} == {"a": Outcome.SUCCEEDED, "b": Outcome.FAILED}
    assert "b: responds with 404" in result.message
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
        ((200, '{"status":"success","data":{"resultType":"matrix","result":[]}}'), "returns a matrix"),
        ((200, "<html>"), "not in the form of Prometheus"),
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


@pytest.mark.parametrize("kind", ["bubblewrap", "namespaces", "none"])
def test_a_command_knows_the_run_and_no_more(tmp_path: Path, kind: Kind) -> None:
    """A command gets the run's variables, not the rest of the environment, and runs in a copy of the package's content."""
    content, project, isolator = tmp_path / "package" / "content", tmp_path / "project", working(kind)
    content.mkdir(parents=True)
    project.mkdir()
    (content / "script.sh").write_text("env; pwd; echo changed >script.sh; touch more\n")
    environ = {"HOME": "/nowhere", "SECRET": "x"}
    jobs = LocalJobs(tmp_path / "jobs", isolator=lambda: isolator)
    views = Views(project, tmp_path / "jobs", environ, lambda: isolator)
    gates = LiveGates(jobs, project, environ, views=views)
    gate = PlannedGate(gate=Gate(name="gate", command=("sh", "script.sh")))
    package, context = sealed(content, release("1.0.0"), 2), Context(run="run", environment="staging")
    inventory = Inventory(hosts={"a": {}, "b": {}})
    assert gates.ask(gate, ("a", "b"), package, inventory, context, "run.gate", lambda _entry: None).good
    lines = (tmp_path / "jobs/run.gate/output.log").read_text().splitlines()
    env = dict(line.split("=", 1) for line in lines if "=" in line)
    assert (env["ORCHESTRATOR_VERSION"], json.loads(env["ORCHESTRATOR_HOSTS"])) == ("1.0.0", ["a", "b"])
    assert "SECRET" not in env
    copy = tmp_path / "jobs" / "run.gate" / "content"
    assert Path(lines[-1]) == (project if isolator.isolates else copy)
    assert not copy.exists()
    assert list(project.iterdir()) == []
    assert [path.name for path in content.iterdir()] == ["script.sh"]
    assert "env;" in (content / "script.sh").read_text()


def test_a_refused_access_is_named_in_the_failure(gates: LiveGates, tmp_path: Path) -> None:
    """A command that needs a file which isolation does not show fails with the line that makes it visible."""
    if not gates._views.isolates:
        pytest.skip("processes are not isolated here")
    secret = tmp_path / "elsewhere"
    secret.write_text("x")
    result = ask(gates, Gate(name="gate", command=("cat", str(secret))))
    assert result.outcome is Outcome.FAILED
    assert f"add isolation: {{read: [{secret}]}} to the environment.yaml of staging (I110)" in result.message


@pytest.mark.parametrize(
    ("command", "timeout"), [(("no-such-program",), "1m"), (("sleep", "60"), "300ms"), (("sh", "-c", "kill $$"), "1m")]
)
def test_commands_that_say_nothing(gates: LiveGates, tmp_path: Path, command: tuple[str, ...], timeout: str) -> None:
    """A command that cannot be started, does not end in time or is killed leaves the gate unknown."""
    gate = Gate(name="gate", command=command, timeout=timeout)
    result = ask(gates, gate)
    assert (result.outcome, result.data["code"]) == (Outcome.UNKNOWN, "V141")


def test_a_command_is_run_once(gates: LiveGates, tmp_path: Path) -> None:
    """The same step asked again, by whoever took over, runs no command a second time."""
    gate = Gate(name="gate", command=("echo", "ran"))
    assert ask(gates, gate).good
    assert ask(gates, gate).good
    assert (tmp_path / "jobs/run.gate/output.log").read_text() == "ran\n"


TOKEN = "s3cret-token"


def let_in(*servers: Server) -> dict[str, tuple[str, ...]]:
    """The credentials of an environment that lets releases show its secrets to these servers."""
    return dict.fromkeys(("TOKEN", "BROKEN"), tuple(server.url for server in servers))


PROMETHEUS = "/api/v1/query"


@pytest.fixture
def knowing(tmp_path: Path) -> LiveGates:
    """Gates of somebody whose environment has a token, with the line break that files end with, and one that is none."""
    return LiveGates(LocalJobs(tmp_path / "jobs"), tmp_path, {"TOKEN": f"{TOKEN}\n", "BROKEN": "a\nb", "OTHER": "x"})


@pytest.mark.parametrize(
    ("words", "header"),
    [
        ({"token_from": "TOKEN"}, f"Bearer {TOKEN}"),
        ({"user": "ann", "password_from": "TOKEN"}, "Basic " + base64.b64encode(f"ann:{TOKEN}".encode()).decode()),
        ({}, ""),
    ],
)
def test_who_asks_shows_a_secret(knowing: LiveGates, server: Server, words: dict[str, str], header: str) -> None:
    """A token or a password is taken from the orchestrator's environment, shown to the server, and told nowhere, also when the server repeats it."""
    server.answers[PROMETHEUS] = prometheus("0")
    good = ask(knowing, query(server.url, below=1, **words), credentials=let_in(server))
    assert (good.outcome, server.shown) == (Outcome.SUCCEEDED, [header])
    said = "x" * 290 + f" {header} {TOKEN}"
    server.answers[PROMETHEUS] = (401, json.dumps({"status": "error", "error": said}))
    bad = ask(knowing, query(server.url, below=1, **words), credentials=let_in(server))
    assert bad.outcome is Outcome.UNKNOWN
    told = json.dumps(bad.to_json())
    for secret in (TOKEN[:5], header.rpartition(" ")[2]) if header else ():
        assert secret not in told
    server.answers[PROMETHEUS] = (401, "Unauthorized")
    assert (
        "responds with 401: access denied"
        in ask(knowing, query(server.url, below=1, **words), credentials=let_in(server)).message
    )


def test_a_secret_is_shown_to_nobody_else(knowing: LiveGates, server: Server) -> None:
    """Where the server leads to another one, that one is not shown the secret."""
    with serving() as other:
        other.answers["/"] = prometheus("0")
        server.answers[PROMETHEUS] = (302, f"{other.url}/")
        assert ask(knowing, query(server.url, below=1, token_from="TOKEN"), credentials=let_in(server)).good
        assert (server.shown, other.shown) == ([f"Bearer {TOKEN}"], [""])


def test_which_variable_is_missing(knowing: LiveGates, server: Server) -> None:
    """A variable that a gate may use and that is not set is named with the gate, and without it nothing is missing."""
    context = Context(run="run", environment="staging", credentials={**let_in(server), "UNSET": (server.url,)})

    def missing(name: str | None, *, own: bool) -> str:
        gate = PlannedGate(gate=query(server.url, below=1, **({"token_from": name} if name else {})), own=own)
        found = knowing.missing_credential(gate, context)
        return f"{found.place}: {found.why}" if found is not None else ""

    expected = f"the gate {query(server.url, below=1).name} shows it to {server.url}"
    assert missing("UNSET", own=False) == missing("UNSET", own=True) == f"UNSET: {expected}"
    assert [missing("ELSE", own=False), missing("OTHER", own=True), missing(None, own=False)] == ["", "", ""]


@pytest.mark.parametrize(
    ("name", "own", "why"),
    [
        ("MISSING", True, "is not set"),
        ("BROKEN", False, "not plain text"),
        ("OTHER", False, "a release may not use OTHER"),
    ],
)
def test_a_secret_that_is_not_here(knowing: LiveGates, server: Server, name: str, own: bool, why: str) -> None:
    """A secret that is not set, is no text for a header, or that the environment does not let a release see, is refused when the plan is made (E160), and leaves the gate unknown."""
    gate = query(server.url, below=1, token_from=name)
    package = MemoryPackages().put(release("1.0.0"))
    context = Context(run="run", environment="staging", credentials=let_in(server))
    with pytest.raises(OrchestratorError) as caught:
        knowing.check(PlannedGate(gate=gate, own=own), package, context)
    assert caught.value.code == "E160"
    assert why in caught.value.message
    if not own:
        result = ask(knowing, gate, credentials=let_in(server))
        assert (result.outcome, result.data["code"]) == (Outcome.UNKNOWN, "E160")
    assert server.asked == []
    knowing.check(PlannedGate(gate=query(server.url, below=1, token_from="OTHER"), own=True), package, context)


@pytest.mark.parametrize("template", [False, True])
def test_a_secret_is_shown_to_servers_of_the_environment_only(
    knowing: LiveGates, server: Server, template: bool
) -> None:
    """A release that names another server, also by a variable, is refused, and nothing is sent there."""
    with serving() as other:
        url = "http://127.0.0.1:{{ port }}" if template else other.url
        gate = query(url, below=1, token_from="TOKEN")
        variables, credentials = {"port": str(other.port)}, let_in(server)
        result = ask(knowing, gate, vars=variables, credentials=credentials)
        assert (result.outcome, result.data["code"]) == (Outcome.UNKNOWN, "E160")
        assert other.asked == []
        package = MemoryPackages().put(release("1.0.0"))
        context = Context(run="run", environment="staging", vars=variables, credentials=credentials)
        with pytest.raises(OrchestratorError) if not template else contextlib.nullcontext():
            knowing.check(PlannedGate(gate=gate), package, context)
        knowing.check(PlannedGate(gate=gate, own=True), package, context)


@pytest.mark.parametrize(("one", "other", "same"), [
    ("https://p.example", "https://P.example:443/api", True), ("http://p.example", "http://p.example:80", True),
    ("https://p.example", "http://p.example", False), ("https://p.example", "https://p.example:8443", False),
    ("https://p.example", "https://p.example.evil", False), ("https://p.example", "https://p.example@evil/", False),
    ("https://p.example", "https://p.example:x", False), ("https://p.example", "https://p.example./", True),
])  # fmt: skip
def test_two_urls_have_one_server(one: str, other: str, same: bool) -> None:
    """The same scheme, host and port, however they are written."""
    assert (origin(one) == origin(other)) is same


def test_a_server_is_vouched_for(knowing: LiveGates, tmp_path: Path) -> None:
    """A server whose certificate nobody here knows is not asked, and is with the file that vouches for it; a file that is none is refused (E161)."""
    with serving(certified(tmp_path)) as server:
        server.answers[PROMETHEUS] = prometheus("0")
        unknown = ask(knowing, query(server.url, below=1), root=tmp_path)
        assert (unknown.outcome, server.asked) == (Outcome.UNKNOWN, [])
        assert ask(knowing, query(server.url, below=1, ca="ca.pem"), root=tmp_path).good
    (tmp_path / "empty.pem").write_text("")
    for name in ("none.pem", "empty.pem"):
        result = ask(knowing, query("https://127.0.0.1:1", below=1, ca=name), root=tmp_path)
        assert (result.outcome, result.data["code"]) == (Outcome.UNKNOWN, "E161")
        with pytest.raises(OrchestratorError) as caught:
            gate = PlannedGate(gate=query("https://127.0.0.1:1", below=1, ca=name), own=True)
            knowing.check(gate, MemoryPackages().put(release("1.0.0")), Context(run="run", environment="staging"))
        assert caught.value.code == "E161"
