"""Prune: remove what old runs have left in the state folder, once nothing can need it any more.

Candidates are what the folder and the records of durable execution have, so a prune reads the runs of these only. Each
thing is first renamed so that nothing finds it, and then removed: a prune that is killed leaves each thing whole or
gone, and the next one removes the rest. The journal, evidence, sealed packages, kept definitions and controller files
are never touched. A rollback needs none of what is removed: it works on other machines, which never had it.
"""

import contextlib
import fcntl
import itertools
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.facts import is_settled, unsettled
from orchestrator.domain.journal import Run
from orchestrator.domain.listing import RunFilter
from orchestrator.domain.moments import moment_text
from orchestrator.domain.retention import Removable, is_old
from orchestrator.file_system import is_locked
from orchestrator.inspect.facts import recent
from orchestrator.ports.lists import each_host, each_request, each_run, runs_of_request
from orchestrator.services import Services
from orchestrator.trees import discard, entries

DOOMED = ".removing-"  # the prefix of names under which nothing is found
EXECUTED = "executed"  # beside a plan that a run has executed: it is kept indefinitely, and not checked again
RUN_JOB = re.compile(r"([0-9a-f]{6}-[^.]+)\.")
HEX = re.compile(r"[0-9a-f]{64}")
PAGE = 200
PlanDigests = Callable[[], frozenset[str]]


@dataclass(frozen=True)
class Records:
    """The records of durable execution.

    *requests* names the requests whose records were complete by a time; *alone* is entered while one is removed, and
    gives false where a process has it; *forget* removes the records of requests. *failpoint* is called at each point.
    """

    requests: Callable[[str], set[str]]
    alone: Callable[[str], AbstractContextManager[bool]]
    forget: Callable[[str], None]
    failpoint: Callable[[str], None] = lambda _point: None


def removable(services: Services, records: Records, named: PlanDigests = frozenset, *, mark: bool = False) -> Removable:
    """What the project's rule releases at this time. Changes nothing, but marks executed plans with *mark*.

    *named* gives the digests of the plans that run requests and votes name, which are kept.
    """
    rule = services.project.retention
    cutoff = rule.cutoff(services.clock.now())
    needed = _needed(services, rule.keep_per_environment)
    state = services.state
    jobs, requests = _old(services, records, cutoff, needed.runs)
    plans = _plans(services, cutoff, needed.plans, named, mark=mark)
    packages = [path.name for path in _unpacked(state) if path.name not in needed.packages and _before(path, cutoff)]
    outputs = [f"logs/{path.name}" for path in _files(state / "logs") if _before(path, cutoff)]
    outputs += [f"background/{root}.log" for root in requests if (state / "background" / f"{root}.log").is_file()]
    places = [state / "jobs" / name for name in jobs] + [state / "plans" / name for name in plans]
    places += [state / "packages" / name for name in packages] + [state / name for name in outputs]
    return Removable(
        jobs=tuple(sorted(jobs)),
        plans=tuple(sorted(plans)),
        packages=tuple(sorted(packages)),
        requests=tuple(sorted(requests)),
        outputs=tuple(sorted(outputs)),
        bytes=sum(map(_size, places)),
    )


def prune(services: Services, records: Records, named: PlanDigests = frozenset) -> Removable:
    """Remove what :func:`removable` names. Raises S200 while another prune, or a backup, has the state folder."""
    state = services.state
    with _alone(state / "prune.lock"), _alone(state / "backup.lock"):
        for folder in ("jobs", "plans", "packages", "logs", "background"):
            for left in (state / folder).glob(f"{DOOMED}*"):
                discard(left)
        found = removable(services, records, named, mark=True)
        for name in found.jobs:
            _remove(state / "jobs" / name, records.failpoint)
        for file in _updates_of(state / "plans", found.plans):
            _remove(file, records.failpoint)
        for name in found.plans:
            _remove(state / "plans" / name, records.failpoint)
        _remove_unpacked(services, found.packages, records.failpoint)
        for name in found.outputs:
            _remove(state / name, records.failpoint)
        for root in found.requests:
            with records.alone(root) as free:
                if free:
                    records.failpoint(f"request {root}:before")
                    records.forget(root)
                    records.failpoint(f"request {root}:done")
        return found


def named_definitions(services: Services) -> frozenset[str]:
    """The project definitions that requests, runs that are not old, and plans in the state folder name."""
    store = services.store
    found = {str(work.request.get("definition", "")) for work in each_request(store)}
    for ids in _pages(_needed(services, services.project.retention.keep_per_environment).runs, PAGE):
        for run in store.runs_named(ids):
            with contextlib.suppress(OrchestratorError):
                found.add(str(store.work(run.root).request.get("definition", "")))
    for path in _folders(services.state / "plans"):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            found.add(str(json.loads((path / "plan.json").read_text(encoding="utf-8")).get("project_definition")))
    return frozenset(found)


# -- what may go -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Needed:
    """What is kept whatever its age: *runs* by id, *packages* and *plans* by digest in hexadecimal digits."""

    runs: frozenset[str]
    packages: frozenset[str]
    plans: str  # the text of all requests that are not done


def _needed(services: Services, newest: int) -> _Needed:
    """The newest runs of each environment, those that need intervention, and those that have not ended."""
    store = services.store
    runs: dict[str, Run] = {run.id: run for run in each_run(store, RunFilter(is_open=True))}
    verified: set[str] = set()
    digests: set[str] = set()
    for names in _pages(_environments(services), PAGE):
        for row in store.list_environments(names, limit=PAGE).items:
            verified |= {row.verified_by_run} if row.verified_by_run else set()
            digests |= {row.release.digest} if row.release else set()
        digests |= {row.state.digest for row in each_host(store, names) if row.state.digest is not None}
        for name in names:
            newest_runs = store.runs(name, limit=newest)
            runs |= {run.id: run for run in (*newest_runs, *_unfinished(recent(store, name)))}
    digests |= {run.release.digest for run in runs.values() if run.release is not None}
    waiting = json.dumps([work.request for work in each_request(store)])
    plain = frozenset(digest.removeprefix("sha256:") for digest in digests)
    return _Needed(frozenset({*runs, *verified}), plain, waiting)


def _unfinished(runs: list[Run]) -> list[Run]:
    """Which of *runs* (newest first) an operator may still act on, and the newest that left nothing open."""
    return [*unsettled(runs), *itertools.islice(filter(is_settled, runs), 1)]


def _pages(names: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """*names*, so many at a time."""
    left = iter(names)
    while page := tuple(itertools.islice(left, size)):
        yield page


def _environments(services: Services) -> Iterator[str]:
    cursor: str | None = None
    while True:
        page = services.store.list_environments(cursor=cursor, limit=PAGE)
        yield from (row.environment for row in page.items)
        if (cursor := page.cursor) is None:
            return


def _old(services: Services, records: Records, cutoff: str, needed: frozenset[str]) -> tuple[list[str], list[str]]:
    """The folders of jobs of old runs, and the requests of which every run is old."""
    jobs: dict[str, list[str]] = {}
    for path in _folders(services.state / "jobs"):
        if (found := RUN_JOB.match(path.name)) and not is_locked(path / "lock"):
            jobs.setdefault(found[1], []).append(path.name)
    old: list[str] = []
    for ids in _pages(jobs, PAGE):
        gone = [run.id for run in services.store.runs_named(ids) if is_old(run, cutoff, needed)]
        old += [name for run in gone for name in jobs[run]]
    requests = [
        root
        for root in records.requests(cutoff)
        if _is_done(services, root)
        and all(is_old(run, cutoff, needed) for run in runs_of_request(services.store, root))
    ]
    return old, requests


def _is_done(services: Services, root: str) -> bool:
    """Whether the request *root* is known, and complete."""
    with contextlib.suppress(OrchestratorError):
        return services.store.work(root).done
    return False


def _plans(services: Services, cutoff: str, waiting: str, named: PlanDigests, *, mark: bool) -> list[str]:
    """The plans older than *cutoff* that no run has executed, and no request or vote names."""
    old = _old_plans(services.state / "plans", cutoff, waiting)
    found: list[str] = []
    kept = {digest.removeprefix("sha256:") for digest in named()} if old else set()
    for path in old:
        executed = bool(services.store.list_runs(RunFilter(plan=f"sha256:{path.name}"), limit=1).items)
        if not executed and path.name not in kept:
            found.append(path.name)
        elif mark and executed:
            (path / EXECUTED).touch(0o600)
    return found


def _old_plans(folder: Path, cutoff: str, waiting: str) -> list[Path]:
    """The plans older than *cutoff* that are not marked as executed and are not in *waiting*."""
    old: list[Path] = []
    for path in _folders(folder):
        if not HEX.fullmatch(path.name) or path.name in waiting or (path / EXECUTED).exists():
            continue
        file = path / "plan.json"
        if file.is_file() and _before(file, cutoff) and _environment_of(file):
            old.append(path)
    return old


def _updates_of(folder: Path, plans: tuple[str, ...]) -> list[Path]:
    """The files of Pulumi's own plans that belong to *plans* and to no other plan."""
    own = {name for plan in plans if (name := _update_of(folder / plan / "plan.json")) is not None}
    for path in _folders(folder) if own else ():
        if path.name not in plans and (file := path / "plan.json").is_file():
            text = file.read_text(encoding="utf-8")
            own = {name for name in own if name not in text}
    return sorted(path for name in own if (path := folder / f"update-{name}.json").is_file())


def _update_of(file: Path) -> str | None:
    """The digest, in hexadecimal digits, of the file with Pulumi's own plan of the plan in *file*."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        return str(json.loads(file.read_text(encoding="utf-8"))["stack"]["update_file"].removeprefix("sha256:"))
    return None


def _environment_of(file: Path) -> str | None:
    """The environment of a plan; None for what is not the plan of one environment: it is kept."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return str(data["environment"]) if data.get("kind") == "Plan" else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _unpacked(state: Path) -> list[Path]:
    """The unpacked packages whose sealed file exists, so that they can be unpacked again."""
    folder = state / "packages"
    return [path for path in _folders(folder) if HEX.fullmatch(path.name) and _sealed(path).is_file()]


def _sealed(home: Path) -> Path:
    return home.with_name(f"{home.name}.release")


# -- files -------------------------------------------------------------------------------------------------------------


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in _entries(folder) if path.is_dir() and not path.is_symlink())


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in _entries(folder) if path.is_file() and not path.is_symlink())


def _entries(folder: Path) -> Iterable[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []


def _before(path: Path, cutoff: str) -> bool:
    """Whether *path* was changed last before *cutoff*; one that is not there any more was not."""
    try:
        return moment_text(datetime.fromtimestamp(path.stat().st_mtime, UTC)) <= cutoff
    except FileNotFoundError:
        return False


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(found.status.st_size for found in entries(path))


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the lock of the file *lock*. Raises S200 if another process has it."""
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            what = "another prune" if lock.name == "prune.lock" else "a backup"
            raise OrchestratorError("S200", f"{what} is using {lock.parent}") from None
        yield


def _remove(path: Path, failpoint: Callable[[str], None]) -> None:
    """Remove *path* as a whole: it gets a name that nothing refers to before anything in it is touched."""
    doomed = path.with_name(f"{DOOMED}{secrets.token_hex(6)}")
    failpoint(f"{path.name}:before")
    with contextlib.suppress(FileNotFoundError):
        path.rename(doomed)
    failpoint(f"{path.name}:renamed")
    if doomed.is_dir():
        discard(doomed)
    else:
        doomed.unlink(missing_ok=True)
    failpoint(f"{path.name}:done")


def _remove_unpacked(services: Services, names: tuple[str, ...], failpoint: Callable[[str], None]) -> None:
    """Remove unpacked packages, one process at a time, as those who unpack them. One used meanwhile is kept."""
    folder = services.state / "packages"
    if not names:
        return
    cutoff = services.project.retention.cutoff(services.clock.now())
    with (folder / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in names:
            if _before(folder / name, cutoff):
                _remove(folder / name, failpoint)
