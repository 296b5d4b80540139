"""The store at scale: `python -m tests.campaigns.scale --environments 500 --runs 100000`.

Fills a store with environments, runs and journals in the format of the store's own models, and measures what each
document costs in a warm process, in processor time. The ratio is to the same with fewer runs (`--beside 1000`). The
processor and wall times of whole commands are printed beside, without a limit: most of these is the start of Python.
"""

import argparse
import gc
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from orchestrator.adapters.database import tables
from orchestrator.adapters.database.engine import open_database
from orchestrator.adapters.database.read_tables import feed
from orchestrator.adapters.database.rebuild import rebuild
from orchestrator.app.audit import list_entries
from orchestrator.app.calendar import recorded_overrides
from orchestrator.app.run_requests import list_requests
from orchestrator.domain.audit.export import AuditFilter
from orchestrator.domain.inventory import Inventory
from orchestrator.domain.journal import Entry, Kind, QueuedRequest, Record, Run, Verified
from orchestrator.domain.listing import ReleaseFilter, RunFilter
from orchestrator.domain.model import digest_of
from orchestrator.domain.plan import HostState
from orchestrator.domain.promotion import State
from orchestrator.domain.release import PackageRef
from orchestrator.domain.step import HostResult, Outcome, StepResult, TestResult
from orchestrator.domain.story import RunView
from orchestrator.management.measures.queries import MeasureFilter, show_measures
from orchestrator.wiring import App, open_app
from tests.campaigns.scale_management import Lists, amounts, fill_management
from tests.campaigns.scale_register import fill_register
from tests.postgres import serving

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = AuditFilter(start=datetime(1970, 1, 1, tzinfo=UTC), end=datetime(9999, 12, 31, tzinfo=UTC))
HEAD = "apiVersion: orchestrator/v1\nkind: {kind}\nname: {name}\n"
ROLLED_BACK, OPEN = 0.07, 4  # the share of runs that were rolled back, and the runs that have not ended
GOAL, LIST_MS, RUN_MS = 3.0, 200.0, 50.0
LEAST = 1.0  # milliseconds: less is noise, and counts as this much in a ratio
CHUNK = 500  # runs that are written at once
TASKS, TESTS = 3, 5
MOVES = ("planning", "building", "provisioning", "deploying", "verifying", "promoting", "watching", "closing")


class Size(NamedTuple):
    """How much a store is filled with."""

    environments: int
    runs: int
    hosts: int = 2
    requests: int = 200  # change requests; the other objects of release management are in proportion


def at(second: int) -> str:
    """A time that is so many seconds after the beginning of 2026."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(1767225600 + second))


def names(size: Size) -> list[str]:
    """The environments, in pairs."""
    return [f"e{number // 2:03}-{'production' if number % 2 else 'staging'}" for number in range(size.environments)]


def run_of(number: int, size: Size) -> Run:
    """The run of that number: each release goes to the staging of a pair, and then to its production."""
    chance, pair, side = random.Random(number // 2), (number // 2) % (size.environments // 2), number % 2
    release = number // 2
    ref = PackageRef(name=f"shop{pair % 20}", version=f"1.{release}.0", digest=digest_of(release))
    environment, root = names(size)[2 * pair + side], f"{release:08x}"
    rolled = side == 1 and chance.random() < 2 * ROLLED_BACK
    is_open = number >= size.runs - OPEN
    ending = State.ROLLED_BACK if rolled else State.SUCCEEDED
    return Run(
        id=f"{root}-{environment}",
        root=root,
        kind="promotion",
        environment=environment,
        release=ref,
        plan=digest_of([release, "plan"]),
        by="ann",
        requested_at=at(60 * number),
        state=State.DEPLOYING if is_open else ending,
        ended_at=None if is_open else at(60 * number + 50),
        message="" if is_open else f"{ref} is verified in {environment}",
    )


def hosts_of(run: Run, size: Size) -> list[str]:
    """The hosts of the run's environment."""
    return [f"{run.environment}-{number}" for number in range(size.hosts)]


def entries_of(run: Run, size: Size) -> Iterator[Entry]:
    """What the journal of a promotion has."""
    hosts, ref = hosts_of(run, size), run.release
    assert ref is not None
    yield Entry(kind="requested", data={"root": run.root, "kind": run.kind, "by": run.by, "targets": [run.environment]})
    for number, (before, after) in enumerate(zip(("requested", *MOVES), MOVES, strict=False)):
        yield Entry(kind="state", data={"from": before, "event": "move", "to": after}, key=f"state:{number}")
    for step, verb in (("plan", "plan"), ("hosts", "provision"), ("site.1", "deploy"), ("verify.shop.1", "verify")):
        data = {"label": step, "verb": verb, "hosts": hosts, "digest": ref.digest}
        yield Entry(kind="step.started", step=step, data=data, key=f"{step}:started")
        if verb == "deploy" and not run.ended:
            return
        yield from _details(step, verb, hosts)
        results = tuple(HostResult(host=host, outcome=Outcome.SUCCEEDED, touched=verb == "deploy") for host in hosts)
        found = tuple(TestResult(name=f"test_{n}", outcome=Outcome.SUCCEEDED) for n in range(TESTS))
        outline = {"outline": Inventory(hosts={host: {} for host in hosts}).to_json()} if step == "hosts" else {}
        result = StepResult(
            data=outline, outcome=Outcome.SUCCEEDED, hosts=results, tests=found if verb == "verify" else (), seconds=2.5
        )
        yield Entry(kind="step.finished", step=step, data=result.to_json(), key=f"{step}:finished")
    for host in hosts:
        state = HostState(host=host, truth="seen", release=ref, since=run.ended_at, run=run.id)
        yield Entry(kind="host", host=host, data=state.to_json(), key=f"host:{host}")
    if run.state is State.SUCCEEDED:
        yield Entry(kind="verified", data=mark_of(run).to_json(), key=f"verified:{ref.digest}")
    yield Entry(kind="ended", data={"state": run.state.value, "message": run.message, "exit": 0}, key="ended")


def _details(step: str, verb: str, hosts: list[str]) -> Iterator[Entry]:
    if verb == "deploy":
        for host in hosts:
            for number in range(TASKS):
                data = {"task": f"task {number}", "action": "file", "outcome": "succeeded", "seconds": 0.2}
                yield Entry(kind="task", step=step, host=host, data=data, key=f"{step}:{host}:{number}")
    if verb == "verify":
        for number in range(TESTS):
            test = TestResult(name=f"tests/test_shop.py::test_{number}", outcome=Outcome.SUCCEEDED, duration=0.1)
            yield Entry(kind="test", step=step, data=test.to_json(), key=f"{step}:{number}")


def mark_of(run: Run) -> Verified:
    """That the release of *run* was verified."""
    assert run.release is not None
    return Verified(environment=run.environment, release=run.release, run=run.id, at=str(run.ended_at))


def fill(url: str, size: Size) -> int:
    """Fill the store at *url*. Returns the number of entries."""
    engine, entries, index = open_database(url), 0, 1
    states: dict[tuple[str, str], HostState] = {}
    with engine.begin() as db:
        for start in range(0, size.runs, CHUNK):
            numbers = range(start, min(start + CHUNK, size.runs))
            entries += _fill_runs(db, numbers, size, states)
            promotions = [(number, run_of(number, size)) for number in numbers if number % 2]
            index = fill_register(db, promotions, index)
        rows = [
            {"environment": environment, "host": host, "data": state.model_dump_json()}
            for (environment, host), state in states.items()
        ]
        db.execute(tables.hosts.insert(), rows)
        rebuild(db)
        fill_management(db, names(size), amounts(size.requests))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(sa.text("ANALYZE"))
    engine.dispose()
    return entries


def _fill_runs(db: sa.Connection, numbers: range, size: Size, states: dict[tuple[str, str], HostState]) -> int:
    runs, records, marks, works, order = [], [], [], [], []
    for number in numbers:
        run, seq = run_of(number, size), 0
        for seq, entry in enumerate(entries_of(run, size), 1):
            record = Record(**entry.model_dump(), run=run.id, seq=seq, at=at(60 * number + seq))
            key = entry.key or f"~{number}.{seq}"
            records.append({"run": run.id, "seq": seq, "key": key, "data": record.model_dump_json()})
            place = {"environment": run.environment, "run": run.id, "seq": seq}
            order.append({"at": record.at, "kind": record.kind, **place})
        row = {"id": run.id, "number": number + 1, "root": run.root, "environment": run.environment}
        runs.append({**row, "last_seq": seq, "data": run.model_dump_json()})
        if run.state is State.SUCCEEDED:
            mark = mark_of(run)
            about = {"environment": run.environment, "digest": mark.release.digest}
            marks.append({**about, "data": mark.model_dump_json()})
            for host in hosts_of(run, size):
                states[run.environment, host] = HostState(
                    host=host, truth="seen", release=run.release, since=run.ended_at, run=run.id
                )
        if number % 2 == 0:
            assert run.release is not None
            asked: dict[str, Any] = {"root": run.root, "kind": run.kind, "targets": [run.environment], "by": run.by}
            asked |= {"release": run.release.to_json(), "plan": run.plan, "parameters": {}}
            work = QueuedRequest(root=run.root, request=asked, done=run.ended)
            works.append(
                {
                    "root": run.root,
                    "number": number + 1,
                    "done": work.done,
                    "worker": "",
                    "data": work.model_dump_json(),
                }
            )
    for table, rows in (
        (tables.runs, runs),
        (tables.records, records),
        (tables.verified, marks),
        (tables.queued_requests, works),
        (feed, order),
    ):
        if rows:
            db.execute(table.insert().inline(), rows)
    return len(records)


def lay(folder: Path, size: Size) -> Path:
    """Write the files of a project with so many environments."""
    (folder / "orchestrator.yaml").write_text(HEAD.format(kind="Project", name="scale"))
    for number, name in enumerate(names(size)):
        place = folder / "environments" / name
        place.mkdir(parents=True)
        after = f"after: {names(size)[number - 1]}\n" if number % 2 else ""
        (place / "environment.yaml").write_text(HEAD.format(kind="Environment", name=name) + f"program: null\n{after}")
    return folder


class Document(NamedTuple):
    """Something that is printed: how it is made for a number drawn by chance, and its limit in milliseconds.

    *grows* if it sums up every run of a period, or looks at every release: its ratio has no goal.
    """

    name: str
    make: Callable[[App, random.Random], object]
    limit: float = LIST_MS
    grows: bool = False


def documents(size: Size) -> list[Document]:
    """What is measured."""

    def any_run(chance: random.Random) -> Run:
        return run_of(chance.randrange(size.runs), size)

    def environment(chance: random.Random) -> str:
        return chance.choice(names(size))

    def shown(app: App, chance: random.Random) -> object:
        run = app.store.run(any_run(chance).id[:-3])
        return RunView.of(run, app.store.records(run.id)).to_json()

    def some(app: App, chance: random.Random) -> object:
        run = any_run(chance)
        pair = tuple(name for name in names(size) if name.startswith(run.environment[:4]))[:8]
        page = app.store.list_releases(ReleaseFilter(name=run.release.name if run.release else None))
        return app.store.release_places(tuple(row.release.digest for row in page.items), pair)

    kinds: tuple[Kind, ...] = ("promotion",)
    return [
        Document("runs, 20 (history)", lambda app, _: app.store.list_runs(limit=20)),
        Document("runs of an environment, 20", lambda app, c: app.store.list_runs(RunFilter(environment=environment(c)), limit=20)),
        Document("runs of a release", lambda app, c: app.store.list_runs(RunFilter(digest=digest_of(c.randrange(size.runs // 2))))),
        Document("runs of a kind, a page in the middle", lambda app, c: app.store.list_runs(RunFilter(kinds=kinds), cursor=str(c.randrange(1, size.runs)))),
        Document("runs that were rolled back", lambda app, _: app.store.list_runs(RunFilter(states=(State.ROLLED_BACK,)))),
        Document("open runs (resume, restore)", lambda app, _: app.store.list_runs(RunFilter(is_open=True))),
        Document("the run of a request (watch, cancel, pause)", lambda app, c: app.queries.current_run(app.actor, any_run(c).root), RUN_MS),
        Document("one run by a prefix of its id (show)", shown, RUN_MS),
        Document("steps of a run", lambda app, c: app.store.list_steps(any_run(c).id), RUN_MS),
        Document("status of an environment", lambda app, c: app.queries.facts(app.actor, environment(c))),
        Document("status of all environments", lambda app, _: app.queries.facts_of_all(app.actor, tuple(names(size)))),
        Document("environments, 50", lambda app, _: app.store.list_environments()),
        Document("environments, all", lambda app, _: app.store.list_environments(limit=size.environments)),
        Document("releases, 50", lambda app, _: app.store.list_releases()),
        Document("matrix, 50 releases by 8 environments", some),
        Document("matrix, 50 releases by all environments (matrix)", matrix_page),
        Document("releases that are searched for", lambda app, c: app.queries.find_releases(app.actor, (f"1.{c.randrange(size.runs // 2)}.0",), 20), grows=True),
        Document("leases and queues (queue)", lambda app, _: app.queries.queue_facts(app.actor, tuple(names(size)))),
        Document("requests that are not done", lambda app, _: app.store.list_requests()),
        Document("measures of an environment, 90 days", lambda app, c: show_measures(app.acting, app.measure_sources, MeasureFilter(environments=(environment(c),))), grows=True),
        Document("run requests that wait (approvals)", lambda app, _: list_requests(app.acting, app.request_rules())),
        Document("run requests, 50 (approvals --all)", lambda app, _: list_requests(app.acting, app.request_rules(), everything=True)),
        Document("overrides, 200 (calendar list)", lambda app, _: recorded_overrides(app.acting)),
        Document("audit entries, 50 (audit list)", lambda app, _: list_entries(app.acting, EVERYTHING, 50)),
        Document("feed, 50", lambda app, c: app.store.feed(cursor=f"0.{c.randrange(1, size.runs * 20)}")),
        *(Document(name, make) for name, make in Lists(names(size), amounts(size.requests)).made().items()),
    ]  # fmt: skip


def matrix_page(app: App, _chance: random.Random) -> object:
    """The first page of the matrix, as the command and the page show it."""
    facts = app.queries.facts_of_all(app.actor, tuple(app.environments))
    return app.queries.release_rows(app.actor, list(app.queries.releases(app.actor).items), facts)


def forget_reads(app: App) -> None:
    """Forget what the process has read of the register, as it does after each change of any object."""
    register: Any = app.register
    register._kept.forget()


def measure(
    folder: Path, url: str, size: Size, repeats: int, only: str = ""
) -> dict[str, tuple[float, float, Document]]:
    """The p50 and p99 of each document whose name contains *only*, in milliseconds of processor time.

    Each time it is read from the store: what a process keeps until the next change is forgotten before.
    """
    app = open_app(folder, environ={"ORCHESTRATOR_STORE": url})
    chance, found = random.Random(1), {}
    chosen = [document for document in documents(size) if only in document.name]
    gc.collect()
    gc.freeze()  # as the server does when it has started
    for document in chosen:
        times: list[float] = []
        document.make(app, chance)
        while (len(times) < repeats and sum(times) < 3000.0) or len(times) < 3:
            forget_reads(app)
            started = time.process_time()
            document.make(app, chance)
            times.append(1000 * (time.process_time() - started))
        times.sort()
        found[document.name] = (statistics.median(times), times[int(0.99 * (len(times) - 1) + 0.5)], document)
    app.store.close()
    return found


def whole_commands(size: Size) -> dict[str, tuple[str, ...]]:
    """The commands that are measured as processes."""
    run = run_of(size.runs // 2, size)
    return {
        "--version": ("--version",),
        "history --json": ("history", "--json"),
        "show RUN --json": ("show", run.id, "--json"),
        "status ENV --json": ("status", run.environment, "--json"),
        "status --json": ("status", "--json"),
        "queue --json": ("queue", "--json"),
        "matrix -n 20 --json": ("matrix", "-n", "20", "--environment", run.environment, "--json"),
        "watch RUN (ended)": ("watch", run.id),
    }


def measure_commands(folder: Path, url: str, size: Size, repeats: int) -> dict[str, tuple[float, float]]:
    """The best processor and wall times of whole commands, in seconds. Raises RuntimeError if one fails."""
    environ = {**os.environ, "ORCHESTRATOR_STORE": url, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    found: dict[str, tuple[float, float]] = {}
    for name, words in whole_commands(size).items():
        times: list[tuple[float, float]] = []
        for _ in range(repeats):
            before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "orchestrator", *words],
                cwd=folder,
                env=environ,
                capture_output=True,
                check=False,
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if done.returncode:
                raise RuntimeError(f"{name} ended with {done.returncode}: {done.stdout.decode()}{done.stderr.decode()}")
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            times.append((spent, time.monotonic() - started))
        found[name] = min(times)
    return found


@contextmanager
def filled(kind: str, size: Size) -> Iterator[tuple[Path, str, int]]:
    """A project with a store of that kind and size: its folder, its URL, and the number of its entries."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scale-")))
        lay(folder, size)
        url = stack.enter_context(serving()).fresh() if kind == "postgres" else f"sqlite:///{folder}/scale.db"
        yield folder, url, fill(url, size)


def main(words: list[str] | None = None) -> int:
    """Fill, measure and print. The exit status is 1 when a limit or the goal of the ratio is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.scale", description=__doc__)
    parser.add_argument("--environments", type=int, default=500)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument(
        "--requests", type=int, default=20_000, help="change requests; bookings and others in proportion"
    )
    parser.add_argument("--beside", type=int, default=1000, help="runs of the store that ratios are to; 0: none")
    parser.add_argument("--only", default="", help="measure only documents whose name contains this")
    parser.add_argument("--stores", default="sqlite,postgres")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--commands", type=int, default=3, help="repetitions of each whole command; 0: none")
    chosen = parser.parse_args(words)
    missed = 0
    for kind in chosen.stores.split(","):
        base: dict[str, tuple[float, float, Document]] = {}
        if chosen.beside:
            small = Size(chosen.environments, chosen.beside, requests=chosen.requests)
            with filled(kind, small) as (folder, url, _):
                base = measure(folder, url, small, chosen.repeats, chosen.only)
        size = Size(chosen.environments, chosen.runs, requests=chosen.requests)
        started = time.process_time()
        with filled(kind, size) as (folder, url, entries):
            spent = time.process_time() - started
            print(
                f"\n{kind}: {size.environments} environments, {size.runs} runs, {entries} entries, "
                f"{', '.join(f'{number} {name}' for name, number in amounts(size.requests)._asdict().items())} "
                f"(filled in {spent:.0f} s)\n"
            )
            print(
                "| document | p50 ms | p99 ms | ratio | limit ms | |\n| --- | --- | --- | --- | --- | --- |", flush=True
            )
            for name, (p50, p99, document) in measure(folder, url, size, chosen.repeats, chosen.only).items():
                ratio = max(p50, LEAST) / max(base[name][0], LEAST) if name in base else 0.0
                limit, is_held = document.limit, p99 <= document.limit and (ratio <= GOAL or document.grows)
                missed += not is_held
                print(
                    f"| {name} | {p50:.2f} | {p99:.2f} | {ratio:.1f} | {limit:g} | {'met' if is_held else 'missed'} |",
                    flush=True,
                )
            if chosen.commands:
                print("\n| command | processor s | wall s |\n| --- | --- | --- |")
                for name, (spent, wall) in measure_commands(folder, url, size, chosen.commands).items():
                    print(f"| {name} | {spent:.2f} | {wall:.2f} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
