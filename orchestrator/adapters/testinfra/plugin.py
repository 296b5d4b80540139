"""Our pytest plugin: reports each result immediately, and keeps one connection open to each host.

It runs inside the user's own pytest. Results go as JSON lines to the events of the job in `ORCHESTRATOR_JOB`. With
`ORCHESTRATOR_AGENT=1` testinfra's SSH commands go through one long-lived shell per host in place of a new SSH process
for each, with the same results; whatever that shell cannot do goes the ordinary way. The last line is the end of
pytest's session. Without it, pytest has not completed, whatever its exit status is.
"""

import json
import os
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.adapters.testinfra import isolation
from orchestrator.adapters.testinfra.cause import cause, plain
from orchestrator.processes import events_of

if TYPE_CHECKING:
    from orchestrator.adapters.testinfra.connections import Connections

LIMIT = 4000
CONNECTIONS: pytest.StashKey["Connections"] = pytest.StashKey()
FIXTURES = ("_testinfra_host", "host", "testinfra_backend", "_testinfra_backend", "TestinfraBackend")


class Reporter:
    """Writes one line for each test that has ended, and one for each thing that could not be collected."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tests: dict[str, dict[str, Any]] = {}
        self._reruns: dict[str, int] = {}
        self._reported = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called for set-up, call and tear-down of each test; with xdist, on the controller only."""
        if os.environ.get("PYTEST_XDIST_WORKER"):
            return
        known = self._tests.setdefault(report.nodeid, {"duration": 0.0, "outcome": None})
        known["duration"] += report.duration
        if report.outcome == "rerun":  # type: ignore[comparison-overlap]  # pytest-rerunfailures' word
            self._reruns[report.nodeid] = self._reruns.get(report.nodeid, 0) + 1
            known["outcome"] = None
        elif report.failed:
            known["outcome"] = "failed" if report.when == "call" else "errored"
            known["message"], known["where"] = _failure(report)
            unreachable = dict(report.user_properties).get("orchestrator_unreachable")
            if unreachable:
                known |= {"outcome": "unknown", "message": f"cannot be reached: {unreachable}", "where": ""}
        elif report.skipped and known["outcome"] is None:
            known["outcome"] = "skipped"
            known["expected"] = hasattr(report, "wasxfail")
        elif report.when == "call" and known["outcome"] is None:
            known["outcome"] = "succeeded"
        if dict(report.user_properties).get("orchestrator_nobody"):
            known |= {"nobody": True, "message": "it is for other hosts"}
        if report.when == "teardown":
            self._write_result(report, self._tests.pop(report.nodeid))

    def _write_result(self, report: pytest.TestReport, known: dict[str, Any]) -> None:
        name, host = _name_and_host(report)
        self._result(report.nodeid, name, host, known)

    def _result(self, node: str, name: str, host: str, known: dict[str, Any]) -> None:
        self._reported += 1
        self.write(
            {
                "kind": "test",
                "name": name,
                "host": host,
                "outcome": known["outcome"] or "errored",
                "expected": known.get("expected", False),
                "nobody": known.get("nobody", False),
                "duration": round(known["duration"], 4),
                "message": known.get("message", ""),
                "where": known.get("where", ""),
                "reruns": self._reruns.get(node, 0),
            }
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be collected is an error of the suite and not a test that failed."""
        if report.failed and not os.environ.get("PYTEST_XDIST_WORKER"):
            text = str(report.longrepr)
            self.write({"kind": "collect", "name": report.nodeid, "message": text[-LIMIT:]})

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """When tests are only counted: report which hosts they are for."""
        if os.environ.get("ORCHESTRATOR_COLLECT"):
            hosts = {_host_of(host) for item in session.items for host in _hosts(item)} - {""}
            self.write({"kind": "collected", "hosts": sorted(hosts)})

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Write the last line, after every other plugin. Tests without a recorded end are reported as such."""
        yield
        if os.environ.get("PYTEST_XDIST_WORKER"):
            return
        for node, known in self._tests.items():
            if known["outcome"] != "failed":
                known["outcome"] = "errored"
            known.setdefault("message", "did not complete")
            self._result(node, node, "", known)
        self._tests.clear()
        counts = {"told": self._reported, "collected": session.testscollected}
        self.write({"kind": "end", "status": int(session.exitstatus), **counts})

    def write(self, event: dict[str, Any]) -> None:
        """Write one line."""
        with self._path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(event) + "\n")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Let suites import modules of the content, as `python -m pytest` does, but after the modules of Python itself."""
    if not os.environ.get("PYTEST_XDIST_WORKER"):  # a worker gets the path of its controller
        sys.path.append(os.getcwd())  # noqa: PTH109


def _failure(report: pytest.TestReport) -> tuple[str, str]:
    """The cause of the failure in the first line, pytest's account of it below, and its file and line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(report.longrepr if crash is None else crash.message)
    why = cause(text)
    message = why if text.strip() == why else f"{why}\n{plain(text)}"
    if crash is None:
        return message[:LIMIT], ""
    return message[:LIMIT], _place(report.longrepr)


def _place(failure: Any) -> str:
    """The file and line of a *failure*: the last ones in the content; where there are none, those of the exception."""
    root = os.environ.get("ORCHESTRATOR_CONTENT", "").rstrip("/") + "/"
    entries = getattr(getattr(failure, "reprtraceback", None), "reprentries", None) or ()
    places = [entry.reprfileloc for entry in entries if getattr(entry, "reprfileloc", None) is not None]
    found = [f"{os.path.abspath(place.path)}:{place.lineno}" for place in places]  # noqa: PTH100 - links stay
    crash = f"{failure.reprcrash.path}:{failure.reprcrash.lineno}"
    own = [place for place in (*found, crash) if place.startswith(root)]
    return (own or [crash])[-1].removeprefix(root)


def _name_and_host(report: pytest.TestReport) -> tuple[str, str]:
    """The test's name without the host that testinfra puts into it, and that host."""
    properties = dict(report.user_properties)
    host = str(properties.get("orchestrator_host", ""))
    name = report.nodeid
    marker = str(properties.get("orchestrator_param", ""))
    if marker:
        name = name.replace(f"[{marker}-", "[").replace(f"-{marker}]", "]").replace(f"[{marker}]", "")
    return name, host


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Note which host a test is for, also when its set-up fails."""
    callspec = getattr(item, "callspec", None)
    for fixture in FIXTURES:
        if callspec is not None and fixture in callspec.params:
            param = callspec.params[fixture]
            item.user_properties.append(("orchestrator_host", _host_of(param)))
            item.user_properties.append(("orchestrator_nobody", _is_nobody(param)))
            item.user_properties.append(("orchestrator_param", callspec._idlist[0] if callspec._idlist else ""))  # noqa: SLF001
            break
    yield


def _is_nobody(param: Any) -> bool:
    """Whether this is what pytest passes for the one (skipped) test that it makes of an empty list of hosts."""
    return type(param).__name__ == "NotSetType"


def _host_of(param: Any) -> str:
    if _is_nobody(param):
        return ""
    backend = getattr(param, "backend", None)
    if backend is not None:
        return str(backend.get_hostname())
    return str(param).rpartition("://")[2].partition("?")[0].rpartition("@")[2]


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Refuse options with which pytest runs no test, and settings that lead out of the package."""
    content, collect = os.environ.get("ORCHESTRATOR_CONTENT"), bool(os.environ.get("ORCHESTRATOR_COLLECT"))
    job = Path(os.environ.get("ORCHESTRATOR_JOB") or content or ".")
    why = isolation.refused(config, Path(content), job, collect=collect) if content else ""
    return _refuse(why) if why else None


def _refuse(why: str) -> int:
    """Report that the suite is refused, and return the exit status for it."""
    job = os.environ.get("ORCHESTRATOR_JOB")
    if job:
        Reporter(Path(events_of(job))).write({"kind": "refused", "message": why})
    return int(pytest.ExitCode.USAGE_ERROR)


def pytest_configure(config: pytest.Config) -> None:
    """Start to report, and to keep connections."""
    job = os.environ.get("ORCHESTRATOR_JOB")
    if job:
        config.pluginmanager.register(Reporter(Path(events_of(job))), "orchestrator-reporter")
    if os.environ.get("ORCHESTRATOR_INVENTORY"):
        from orchestrator.adapters.testinfra import connections, known

        connections.shorten_results()

        listed, backends = (Path(os.environ[f"ORCHESTRATOR_{name}"]) for name in ("INVENTORY_LIST", "CONNECTIONS"))
        known.answer(os.environ["ORCHESTRATOR_INVENTORY"], listed, backends)
        persistent = os.environ.get("ORCHESTRATOR_AGENT") == "1"
        config.stash[CONNECTIONS] = connections.Connections(persistent=persistent)
        if persistent:
            connections.install_backend(config.stash[CONNECTIONS], known.alias)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """A test that fails on a host that cannot be reached has not failed: its result is unknown."""
    outcome = yield
    opened = item.config.stash.get(CONNECTIONS, None)
    report = outcome.get_result()
    if opened is not None and report.failed:
        from orchestrator.adapters.testinfra import known

        backends = [backend for backend in map(known.ssh_backend, _hosts(item)) if backend is not None]
        why = next(filter(None, opened.open_all(backends, again=not opened.persistent)), "")
        if why:
            report.user_properties.append(("orchestrator_unreachable", why))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that name, other than through the inventory, a host that this run is not about."""
    others = set(json.loads(os.environ.get("ORCHESTRATOR_OTHERS", "[]")))
    left = [item for item in items if others and any(_host_of(host) in others for host in _hosts(item))]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse tests from outside the package; open the connections that the tests need, while the first already run."""
    content = os.environ.get("ORCHESTRATOR_CONTENT")
    why = isolation.foreign(session, Path(content)) if content else ""
    if why:
        _refuse(why)
        raise pytest.UsageError(why)
    opened = session.config.stash.get(CONNECTIONS, None)
    if opened is not None and opened.persistent:
        from orchestrator.adapters.testinfra import known

        wanted = {id(host): host for item in session.items for host in _hosts(item)}
        backends = [backend for backend in map(known.ssh_backend, wanted.values()) if backend is not None]
        threading.Thread(target=opened.open_all, args=(backends,), daemon=True).start()


def _hosts(item: pytest.Item) -> list[Any]:
    """The hosts that a test is called with."""
    callspec = getattr(item, "callspec", None)
    return [callspec.params[name] for name in FIXTURES if callspec is not None and name in callspec.params]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close what was kept open."""
    opened = config.stash.get(CONNECTIONS, None)
    if opened is not None:
        opened.close()
