"""Traces and structured logs: off unless they are requested, and correct in forked processes."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator import structured_logs, tracing
from orchestrator.__main__ import start_traces
from orchestrator.adapters.memory.durable import MemoryDurable
from orchestrator.adapters.otlp_traces import OtlpTraces, exporter_class
from orchestrator.app.execute import run_workflow
from orchestrator.app.requests import Promote, parse_request
from orchestrator.domain.moments import parse_moment
from orchestrator.domain.release import PackageRef
from orchestrator.flow.halt import SoleOwner
from orchestrator.management.worker_calls import answer_call
from orchestrator.ports.lists import each_request
from orchestrator.structured_logs import FIELDS, JsonLines, log_about, log_event
from tests.cli.memory_project import MemoryProject, project
from tests.cli.request_project import RequestProject, office
from tests.otlp_receiver import Receiver, receiving
from tests.server.site import ORIGIN, Site
from tests.server.test_changes import planned, shown

__all__ = ["office", "project"]  # the fixtures
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{PARENT}-01"
OTHER = f"00-{'b' * 32}-{PARENT}-01"
CODE = (
    "import sys; from orchestrator.__main__ import main; main(['--version']); print('opentelemetry.sdk' in sys.modules)"
)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that this process sends its traces to."""
    with receiving() as made:
        for name, value in made.environ.items():
            monkeypatch.setenv(name, value)
        start_traces()
        assert tracing.is_on()
        yield made
        tracing.use_traces(None)


@pytest.fixture
def json_logs() -> Iterator[None]:
    """This process logs JSON."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    structured_logs.log_as_json()
    yield
    root.handlers[:], root.level = before
    structured_logs._chosen[0] = structured_logs.TEXT


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_the_library_is_imported_for_traces_only(variables: dict[str, str], expected: bool, tmp_path: Path) -> None:
    """A process imports OpenTelemetry only if its variables name a receiver and do not switch traces off."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")} | variables
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, env={**environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == str(expected), done.stderr


def test_missing_packages_are_a_warning(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the packages a command works on without traces, and prints what installs them."""
    monkeypatch.setitem(sys.modules, "orchestrator.adapters.otlp_traces", None)
    start_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    assert not tracing.is_on()
    assert "orchestrator[telemetry]" in capsys.readouterr().err
    with tracing.record_span("nothing") as span:
        span.note({"a": 1})
        assert (tracing.current(), tracing.variables(), tracing.headers()) == ("", {}, {})


def test_a_forked_process_exports_its_own_spans(receiver: Receiver) -> None:
    """The spans of a process and of one that it forked arrive, in one trace and each once."""
    with tracing.record_span("above", parent=HEADER) as _:
        tracing.flush()
        child = os.fork()
        if child == 0:
            with tracing.record_span("below", run="r1"):
                pass
            tracing.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    tracing.flush()
    [above], [below] = receiver.named("above"), receiver.named("below")
    assert (above.trace, above.parent, below.trace, below.parent) == (TRACE, PARENT, TRACE, above.id)
    assert below.attributes == {"orchestrator.run": "r1"}


def test_a_failure_marks_its_span(receiver: Receiver) -> None:
    """A span in which an exception was raised has failed."""
    with pytest.raises(ValueError, match="broken"), tracing.record_span("failing"):
        raise ValueError("broken")
    tracing.flush()
    assert [each.failed for each in receiver.named("failing")] == [True]


def test_the_protocol_is_chosen_by_its_variable() -> None:
    """The exporter is that of OTLP over HTTP, over gRPC, or the console."""
    names = [
        exporter_class(environ).__module__.split(".")[-3:]
        for environ in ({}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {"OTEL_TRACES_EXPORTER": "console"})
    ]
    assert names[0][1:] == ["http", "trace_exporter"]
    assert names[1][1:] == ["grpc", "trace_exporter"]
    assert exporter_class({"OTEL_TRACES_EXPORTER": "console"}).__name__ == "ConsoleSpanExporter"
    assert OtlpTraces({}).current() == ""


def test_a_request_keeps_its_trace() -> None:
    """The trace of what requested a run is recorded with it, and a request without one has no such field."""
    ref = PackageRef(name="shop", version="1.0.0", digest=f"sha256:{'a' * 64}")
    request = Promote(package=ref, targets=("staging",), root="r1", by="ann", trace=HEADER)
    assert parse_request(request.to_json()).trace == HEADER
    assert "trace" not in Promote(package=ref, targets=("staging",), root="r1", by="ann").to_json()


def test_a_promotion_that_waited_for_an_approval_continues_the_trace(
    office: RequestProject, receiver: Receiver
) -> None:
    """The run of a request that waited for an approval is a span below the request, and has not the trace of the vote."""
    site = Site(office, office.app())
    ann, bob = site.signed_in("ann"), site.signed_in("bob")
    asked = ann.post("/api/v1/requests", {"plan": planned(office)}, traceparent=HEADER).json()
    path = f"/api/v1/requests/{asked['request']['id']}"
    vote = {"decision": "approve", **shown(asked)}
    assert bob.post(f"{path}/votes", vote, traceparent=OTHER).json()["state"] == "ready"
    assert any("started" in line for line in office.duties())
    [work] = each_request(office.store)
    run_workflow(office.app(), MemoryDurable({}, lambda *_: None), SoleOwner(), {**work.request, "wait": 1.0})
    tracing.flush()
    [requested] = [each for each in receiver.named("POST ") if each.trace == TRACE]
    [run] = receiver.named(f"promotion {work.root}")
    assert (run.trace, run.parent, requested.parent) == (TRACE, requested.id, PARENT)


def test_what_a_worker_does_for_a_page_continues_its_trace(office: RequestProject, receiver: Receiver) -> None:
    """A call that a worker executes for the server is a span below the request, and is marked if it fails."""
    app = office.app()
    app.register.take_scheduler("worker", parse_moment(app.clock.now()) + timedelta(seconds=30))
    ann = Site(office, app).signed_in("ann")
    form = {"origin": ORIGIN, "traceparent": HEADER}
    page = ann.request("POST", "/environments/staging/drift", data={"form_token": ann.form_token}, headers=form)
    assert page.status_code == 303, page.text
    call = app.worker_calls.take("worker", parse_moment(app.clock.now()))
    assert call is not None
    answered = answer_call(app, call)
    tracing.flush()
    [requested] = [each for each in receiver.named("POST ") if each.trace == TRACE]
    [done] = receiver.named(f"call {call.case}")
    assert (done.trace, done.parent, done.attributes["orchestrator.call"]) == (TRACE, requested.id, call.id)
    assert done.failed == bool(answered.errors)


def test_a_request_to_the_server_is_a_span(project: MemoryProject, receiver: Receiver) -> None:
    """A span has the pattern of the route, the status and the id of the request; probes and events have none."""
    site = Site(project)
    response = site.browser().get("/api/v1/runs/000001", traceparent=HEADER)
    site.browser().get("/healthz")
    tracing.flush()
    assert receiver.named("GET /healthz") == []
    [span] = [each for each in receiver.spans if each.trace == TRACE]
    assert (span.name, span.parent) == ("GET /api/v1/runs/{run}", PARENT)
    assert span.attributes["http.response.status_code"] == response.status_code == 401
    assert span.attributes["orchestrator.request"] == response.headers["x-request-id"]


def test_a_line_has_its_ids(json_logs: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A line of the log is a JSON object in one line with the ids of its context; libraries log warnings alone."""
    with log_about(run="r1", request="q1"):
        log_event("orchestrator.test", "two\nlines", seconds=0.5)
        logging.getLogger("library").info("not shown")
        logging.getLogger("library").warning("%s is shown", "it")
    log_event("orchestrator.test", "later")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["message"], line.get("run"), line["level"]) for line in lines] == [
        ("two\nlines", "r1", "info"),
        ("it is shown", "r1", "warning"),
        ("later", None, "info"),
    ]
    assert lines[0]["seconds"] == 0.5
    assert lines[0]["time"].endswith("Z")


def test_an_exception_is_a_field() -> None:
    """An exception is a field of the line, with its stack, and so in the same line."""
    try:
        int("broken")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", None, sys.exc_info())
    setattr(record, FIELDS, {"request": "q1"})
    line = json.loads(JsonLines().format(record))
    assert (line["request"], "ValueError: invalid literal" in line["exception"]) == ("q1", True)


def test_requests_are_logged_without_their_secrets(
    project: MemoryProject, json_logs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line of a request has the pattern of its route, and not the link that is in its path."""
    site = Site(project)
    capsys.readouterr()
    response = site.browser().get(f"/link/{'A' * 43}")
    printed = capsys.readouterr().err
    [line] = [json.loads(text) for text in printed.splitlines()]
    assert (line["message"], line["route"], line["method"]) == ("response", "/link/{text}", "GET")
    assert (line["status"], line["request"]) == (response.status_code, response.headers["x-request-id"])
    assert "A" * 43 not in printed
