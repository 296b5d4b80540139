"""Every list of the ports is read in pages, or cannot grow."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Protocol

import orchestrator
import orchestrator.management
import orchestrator.ports
from orchestrator import register_ports

COLLECTION = re.compile(r"\b(list|tuple|dict|set|frozenset|Iterable|Iterator|Mapping|Sequence|Page)\b")
GIVEN = "at most one row for each of the names that the caller gives"
FILES = "files of the project or of the package store: their folder is read whole"
SINCE = "the caller gives the time from which on rows count; the list of the store behind it is read in pages"
PARTS = "the parts of one job, stack, package or token"
SOURCES = Path(orchestrator.__file__).parent
CANNOT_GROW = {
    "Artifacts.names": FILES,
    "BookingSources.declared_rules": FILES,
    "BookingSources.depends_on": FILES,
    "BookingSources.uses": SINCE,
    "ChangeSources.declared_rules": FILES,
    "ChangeSources.known_packages": FILES,
    "Deployer.missing_keys": PARTS,
    "Deployer.missing_passwords": PARTS,
    "Deployer.plays": PARTS,
    "Deployer.unused_settings": PARTS,
    "HookSources.entry_environments": FILES,
    "HookSources.release_names": FILES,
    "ImplementationSources.template_names": FILES,
    "JobTokens.verified": PARTS,
    "Jobs.active": "the jobs that run now",
    "Keys.authenticate": PARTS,
    "LeaseLists.leases_of": GIVEN,
    "Logs.keep": PARTS,
    "MeasureSources.commit_times": GIVEN,
    "MeasureSources.ended_runs": SINCE,
    "MeasureSources.failures": GIVEN,
    "MeasureSources.previous": FILES,
    "Packages.refs": FILES,
    "Packages.strange_names": FILES,
    "Parallel.together": PARTS,
    "Provisioner.drifted": PARTS,
    "Provisioner.existing_resources": PARTS,
    "Provisioner.unused_settings": PARTS,
    "Records.all": "see `test_records_that_accumulate_are_read_in_pages`",
    "DefinitionArchives.digests": "those of the definitions that are kept: the others are pruned",
    "Records.count": "one number for each part: the states of a kind",
    "Records.positions": GIVEN,
    "Records.written_since": SINCE,
    "ReleaseLists.find_releases": "the newest, at most a limit that each caller gives; the list is `list_releases`",
    "ReleaseLists.release_places": "at most one row for each pair of a release and an environment that the caller gives",
    "ReleaseSources.built": FILES,
    "TrainSources.built": FILES,
    "TrainSources.undone_with": PARTS,
    "Requests.renew": "what one worker does at the same time",
    "ReviewSources.reviewed_runs": SINCE,
    "ReviewSources.runs_of": SINCE,
    "RunJournal.hosts": "the hosts of one environment, which a run reads as a whole",
    "RunJournal.runs": "the newest, at most a limit that each caller gives; the list is `list_runs`",
    "RunJournal.verified": "the newest, at most a limit that each caller gives; the list is `list_verified`",
    "RunLists.ephemeral_environments": "the environments of one project, by an index of the entries that made a stack",
    "RunLists.entries_of": "at most one row for each pair of a run and a key that the caller gives",
    "RunLists.hosts_of_release": "the hosts of one environment",
    "RunLists.runs_named": GIVEN,
    "ServerConnection.events": "a stream, read as it is consumed",
    "IdentityProviders.redeem": PARTS,
    "IdentityProviders.verified": PARTS,
    "SignIns.sessions_of": "the sessions of one user, which end",
    "SignIns.sessions_from": "the sessions that come from one session of a provider, which end",
}
"""The lists without a cursor and a limit, and why they stay short."""


def port_modules() -> Iterator[ModuleType]:
    """The modules with ports of which a list is read."""
    yield register_ports
    for package in (orchestrator.ports, orchestrator.management):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if package is orchestrator.ports or found.name.endswith(".ports"):
                yield importlib.import_module(found.name)


def collections_of(port: type) -> Iterator[tuple[str, frozenset[str]]]:
    """The methods of *port* that return several values, with the names of their parameters."""
    for name, method in vars(port).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            signature = inspect.signature(method)
            if COLLECTION.search(str(signature.return_annotation)):
                yield f"{port.__name__}.{name}", frozenset(signature.parameters)


def unpaged(ports: list[type]) -> set[str]:
    """The methods of *ports* that return several values and take no limit, or no place to continue from."""
    found = (each for port in ports for each in collections_of(port))
    return {name for name, given in found if "limit" not in given or not given & {"cursor", "after"}}


def test_every_list_takes_a_cursor_and_a_limit() -> None:
    """Each method of a port that returns several values takes a cursor and a limit, or is named here with the reason."""
    ports = [
        each
        for module in port_modules()
        for each in vars(module).values()
        if inspect.isclass(each) and each.__module__ == module.__name__ and getattr(each, "_is_protocol", False)
    ]
    assert len(ports) > 40
    assert unpaged(ports) == set(CANNOT_GROW)


def test_a_list_without_a_limit_is_noticed() -> None:
    """A new method that returns a list and takes no limit is one that this check names."""

    class Added(Protocol):
        def all_runs(self) -> list[str]: ...

        def some_runs(self, *, cursor: str | None = None, limit: int = 50) -> list[str]: ...

    assert unpaged([Added]) == {"Added.all_runs"}


KEPT_SHORT = frozenset(
    {
        "USERS",
        "GROUPS",
        "SERVICE_ACCOUNTS",
        "ROLES",
        "BINDINGS",
        "ABSENCES",
        "CALENDAR_RULES",
        "QUOTAS",
        "TRAIN_LINES",
        "HOOKS",
        "NOTIFICATION_RULES",
        "PROJECT_DEFINITIONS",
        "DRIFT_REPORTS",
        "kind",
    }
)
"""Kinds that administrators edit one by one, which are read as a whole. *kind* is one of those of `ACCESS_KINDS`.

Project definitions that no run needs are pruned, and each environment has one report of drift."""
PARTS_THAT_END = {
    "PENDING": "a notification that was sent is in another part",
    "OPEN": "what has ended is in another part",
    "'pending'": "a message that was sent is in another part",
    "state.value": "the states of change requests that are open",
    "request.id": "the votes for one request",
    "run.root": "the votes for one request",
    "name": "the tokens of one owner",
    "owner": "the tokens of one owner",
    "account.name": "the tokens of one owner",
    "user or ''": "the links to sign in of one user",
    "user.name": "the accounts of one user",
    "user": "the accounts, or the calendar address, of one user",
    "acting.actor.name": "the calendar address of one user",
    "environment": "the newest report of each release in one environment",
}


def whole_kinds(path: Path) -> list[str]:
    """The calls in *path* that read all records of a kind that accumulates, or of a part of it that does."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "all"):
            continue
        if "records" in ast.unparse(node.func.value):
            kind, *part = map(ast.unparse, node.args)
            if kind not in KEPT_SHORT and (not part or part[0] not in PARTS_THAT_END):
                found.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
    return found


def test_records_that_accumulate_are_read_in_pages() -> None:
    """No module reads all records of a kind at once, unless the kind or the part of it stays short."""
    assert [line for path in sorted(SOURCES.rglob("*.py")) for line in whole_kinds(path)] == []


def test_a_read_of_all_records_is_noticed(tmp_path: Path) -> None:
    """A module that reads all run requests, or the ended ones, is one that this check refuses."""
    (tmp_path / "it.py").write_text(
        "view.records.all(REQUESTS)\nrecords.all(REQUESTS, ENDED)\nrecords.all(REQUESTS, OPEN)\nrecords.all(USERS)\n"
    )
    assert len(whole_kinds(tmp_path / "it.py")) == 2
