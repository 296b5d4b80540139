"""A server under load: `python -m tests.campaigns.load --environments 500 --runs 100000`. `make load` runs it.

It fills a store, starts a real `orchestrator serve` on it, and sends requests for every page and list at a steady rate,
first alone, then while a promotion runs and listeners read its events. The server has real-time priority if this user may
set it, so that other work of the machine does not count; the processor time of the generator is printed beside it. Latency
is measured from the time at which a request was due. The exit status is 1 when a limit is missed.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from orchestrator.adapters.database.driver import driver, journal_mode
from orchestrator.app import access, people, tokens
from orchestrator.domain.access.principals import Binding, User
from orchestrator.ports.lists import Lists
from orchestrator.wiring import open_app
from tests.campaigns.load_client import Answer, Connections, Listener, measured_time, request_all
from tests.campaigns.scale import HEAD, Size, fill, filled, lay, names, run_of
from tests.server.test_process import answer, free_port

ROOT = Path(__file__).resolve().parents[2]
TOKENS = 10
"""Clients are limited to 20 requests a second each."""
ALONE_MS, BUSY_MS, CPU_MS = 200.0, 500.0, 15.0
EVENT_S = 1.0
FLAT = 1.05
"""How much the memory of the server may grow from the second tenth of the time to the last one, and 8 MB."""
SLACK_MB = 8.0
PRIORITY = ("chrt", "--rr", "20")
PROBE_S = 5.0
START_S = 120.0
SETTLE = 600
"""How often listeners are asked, every 0.1 s, whether they have the last event after the last promotion."""
SEED = 1

PAGES = (
    "/", "/matrix", "/runs", "/runs?environment={environment}", "/runs/{run}", "/runs/{run}/log", "/environments",
    "/environments/{environment}", "/requests", "/requests/{root}", "/calendar", "/calendar?view=week",
    "/calendar?view=timeline", "/change-requests", "/bookings", "/planned-releases", "/implementation-plans", "/reviews",
    "/actions", "/measures?environment={environment}", "/audit", "/me", "/search?q=1.{release}.0",
)  # fmt: skip
LISTS = (
    "/environments", "/environments/{environment}", "/matrix", "/runs", "/runs?environment={environment}", "/runs/{run}",
    "/runs/{run}/log", "/runs/{run}/outputs", "/requests", "/requests?everything=true", "/requests/{root}", "/calendar",
    "/change-requests", "/change-ranking", "/bookings", "/booking-quotas", "/contention?environment={environment}",
    "/free-slots?environment={environment}", "/trains", "/train-lines", "/users", "/search?q={environment}",
    "/measures?environment={environment}", "/me", "/can-i?action=promote",
)  # fmt: skip
PATHS = (*PAGES, *(f"/api/v1{path}" for path in LISTS))
FORMS = {path: re.compile(re.sub(r"\\\{\w+\\\}", "[^/?]+", re.escape(path))) for path in PATHS}


def paths(size: Size) -> Iterator[str]:
    """Every path in turn, each time for other objects."""
    chance = random.Random(SEED)
    while True:
        for path in PATHS:
            number = chance.randrange(size.runs // 2)
            run = run_of(2 * number + 1, size)
            environment = chance.choice(names(size))
            yield path.format(run=run.id, root=run.root, environment=environment, release=number)


@dataclass
class Server:
    """The *process* of the server at *port*, in which clients have *tokens*."""

    process: "subprocess.Popen[bytes]"
    port: int
    tokens: list[str]
    has_priority: bool
    memory: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The processor time of the server so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def megabytes(self) -> float:
        """The memory of the server now."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmRSS:"))) / 1024

    async def watch_memory(self) -> None:
        """Note its memory now and then, until it is cancelled."""
        while True:
            self.memory.append(self.megabytes)
            await asyncio.sleep(PROBE_S)


def lay_users(folder: Path, url: str) -> list[str]:
    """The tokens of users who may read everything. The project gets the environments of the promotion too."""
    kept = folder / "tokens.json"
    if kept.is_file():
        return list(json.loads(kept.read_text()))
    for name, after in (("staging", ""), ("production", "after: staging\n")):
        place = folder / "environments" / name
        place.mkdir(parents=True)
        (place / "environment.yaml").write_text(HEAD.format(kind="Environment", name=name) + f"program: null\n{after}")
    app = open_app(folder, environ={**os.environ, "ORCHESTRATOR_STORE": url})
    made = []
    for number in range(TOKENS):
        name = f"reader{number}"
        people.add_user(app.acting, User(name=name))
        made.append(tokens.create_token(app.acting, name, lifetime=timedelta(days=1)).text)
    access.grant(app.acting, Binding(role="administrator", to="user:reader0"))
    with replaced_environment(ORCHESTRATOR_TOKEN=made[0]):
        reader = open_app(folder, environ={**os.environ, "ORCHESTRATOR_STORE": url})
        for number in range(TOKENS):
            for role in ("viewer", "auditor"):
                access.grant(reader.acting, Binding(role=role, to=f"user:reader{number}"))
        reader.close()
    app.close()
    kept.write_text(json.dumps(made))
    return made


@contextmanager
def replaced_environment(**values: str) -> Iterator[None]:
    """These variables, for as long as the block lasts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def import_path() -> str:
    """Where processes find the program and the tests, and what this process was given."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


@contextmanager
def serving(folder: Path, url: str) -> Iterator[Server]:
    """A server of the project, with real-time priority if that is permitted."""
    made, port = lay_users(folder, url), free_port()
    has_priority = subprocess.run([*PRIORITY, "true"], capture_output=True, check=False).returncode == 0
    words = [sys.executable, "-m", "orchestrator", "serve", "--port", str(port), "--no-worker"]
    environ = {**os.environ, "ORCHESTRATOR_STORE": url, "PYTHONPATH": import_path()}
    with subprocess.Popen(
        [*(PRIORITY if has_priority else ()), *words], cwd=folder, env=environ, stdout=subprocess.DEVNULL
    ) as process:
        try:
            yield Server(process, port, made, has_priority)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def promoting(folder: Path, url: str, pause: float) -> Iterator[None]:
    """Promotions in a process of their own, for as long as the block lasts."""
    words = [sys.executable, "-m", "tests.campaigns.load_promotions", str(folder), str(pause)]
    environ = {**os.environ, "ORCHESTRATOR_STORE": url, "PYTHONPATH": import_path()}
    log = folder / "promotions.log"
    with (
        log.open("wb") as written,
        subprocess.Popen(words, cwd=folder, env=environ, stdout=written, stderr=written) as process,
    ):
        try:
            yield
            assert process.poll() is None, f"the promotions have ended: {log.read_text()[-2000:]}"
        finally:
            process.terminate()
            process.wait(30)


def promotion_faults(log: str) -> list[str]:
    """What is wrong with the promotions of the *log*: one that fails at once has few of the events of a promotion."""
    states = Counter(line.partition(" ")[2] for line in log.splitlines())
    print(f"\npromotions: {dict(states)}")
    return [] if set(states) <= {"succeeded"} else [f"promotions: {dict(states)}"]


@dataclass
class Phase:
    """What came of one phase: the *answers*, the milliseconds of processor time a request, and that of the generator."""

    answers: list[Answer]
    cpu_ms: float
    generator_s: float

    def rows(self, limit: float) -> Iterator[tuple[str, int, float, float, bool]]:
        """For each path: how many responses, p50, p99, and whether the limit is kept by good responses only."""
        found: dict[str, list[Answer]] = {}
        for each in self.answers:
            found.setdefault(shape(each.path), []).append(each)
        for path, answers in sorted(found.items()):
            times = sorted(each.milliseconds for each in answers)
            p99 = times[min(len(times) - 1, int(0.99 * len(times)))]
            good = all(each.status == 200 for each in answers)
            yield path, len(times), statistics.median(times), p99, good and p99 <= limit


def shape(path: str) -> str:
    """The path of *PATHS* that *path* was made from."""
    return next(each for each, form in FORMS.items() if form.fullmatch(path))


async def ask(server: Server, size: Size, rate: float, seconds: float) -> Phase:
    """Send requests at *rate* for so many seconds."""
    before = server.seconds
    with measured_time() as spent:
        answers = await request_all(server.port, server.tokens, paths(size), rate, seconds)
    return Phase(answers, 1000 * (server.seconds - before) / max(1, len(answers)), spent[0])


async def ask_each(server: Server, size: Size, count: int) -> list[tuple[str, float]]:
    """The milliseconds of processor time of a request for each path, one after the other; the most expensive first."""
    given = paths(size)
    about: dict[str, list[str]] = {path: [] for path in PATHS}
    for _ in range(count):
        for path in PATHS:
            about[path].append(next(given))
    connections, costs = Connections(server.port), list[tuple[str, float]]()
    for path, chosen in about.items():
        before = server.seconds
        for number, each in enumerate(chosen):
            await connections.get(each, server.tokens[number % TOKENS])
        costs.append((path, 1000 * (server.seconds - before) / count))
    connections.close()
    return sorted(costs, key=lambda cost: -cost[1])


async def ask_busy(
    server: Server, size: Size, given: argparse.Namespace, listeners: list[Listener], end: Callable[[], list[str]]
) -> tuple[Phase, list[str]]:
    """The same while *listeners* read events, until *end* has ended the promotions. Also the events that were written."""
    chance = random.Random(SEED)
    running = [asyncio.create_task(each.run(random.Random(chance.random()))) for each in listeners]
    running.append(asyncio.create_task(server.watch_memory()))
    phase = await ask(server, size, given.rate, given.seconds)
    written = await asyncio.to_thread(end)
    for _ in range(SETTLE):
        if all(each.cursor == written[-1] for each in listeners if written):
            break
        await asyncio.sleep(0.1)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    return phase, written


def event_faults(listeners: list[Listener], written: list[str]) -> list[str]:
    """What listeners lost, got twice or out of order, of the events that were *written* while they listened."""
    faults = []
    place = {cursor: number for number, cursor in enumerate(written)}
    for number, each in enumerate(listeners):
        if each.refused:
            faults.append(f"listener {number} was refused {each.refused} times")
        unknown = [cursor for cursor in each.ids if cursor not in place]
        lost = len(written) - len(set(each.ids) & place.keys())
        twice = len(each.ids) - len(set(each.ids))
        order = [place[cursor] for cursor in each.ids if cursor in place]
        if unknown or lost or twice or order != sorted(order):
            faults.append(
                f"listener {number}: {lost} lost, {twice} twice, {len(unknown)} unknown, {each.connects} connections"
            )
    return faults


def written_after(store: Lists, cursor: str) -> list[str]:
    """The cursors of all entries after *cursor*."""
    found, last = list[str](), cursor
    while page := store.feed(cursor=last, limit=500):
        found += [entry.cursor for entry in page]
        last = found[-1]
    return found


def first_entry(store: Lists, before: str) -> str:
    """The cursor of an entry after *before*, once there is one: on a busy machine the promotions start late."""
    deadline = time.monotonic() + START_S
    while (found := store.feed_end() or before) == before:
        assert time.monotonic() < deadline, "no promotion has started"
        time.sleep(0.1)
    return found


def memory_fault(memory: list[float]) -> str:
    """Why the memory of the server is not flat; empty if it is."""
    tenth = max(1, len(memory) // 10)
    early, late = statistics.median(memory[tenth : 2 * tenth] or memory), statistics.median(memory[-tenth:])
    text = f"{early:.0f} MB at first, {late:.0f} MB at the end"
    print(f"memory: {text}, at most {max(memory):.0f} MB")
    return "" if late <= early * FLAT + SLACK_MB else f"memory grows: {text}"


def report(title: str, phase: Phase, limit: float, cpu_ms: float | None) -> list[str]:
    """Print one phase. What missed its limit."""
    print(f"\n{title}: {len(phase.answers)} requests, {phase.cpu_ms:.1f} ms of processor time each, "
          f"generator {phase.generator_s:.1f} s of processor time\n")  # fmt: skip
    print("| path | requests | p50 ms | p99 ms | |\n| --- | --- | --- | --- | --- |")
    faults = []
    for path, count, p50, p99, held in phase.rows(limit):
        print(f"| {path} | {count} | {p50:.1f} | {p99:.1f} | {'met' if held else 'missed'} |")
        faults += [] if held else [f"{title}: {path}: p99 {p99:.0f} ms"]
    times = sorted(each.milliseconds for each in phase.answers)
    print(
        f"| all | {len(times)} | {statistics.median(times):.1f} | {times[int(0.99 * (len(times) - 1))]:.1f} | |",
        flush=True,
    )
    if cpu_ms is not None and phase.cpu_ms > cpu_ms:
        faults.append(f"{title}: {phase.cpu_ms:.1f} ms of processor time a request")
    return faults


def bad_answers(phase: Phase) -> list[str]:
    """The paths with a response other than 200, with the statuses."""
    found: dict[str, Counter[int]] = {}
    for each in phase.answers:
        if each.status != 200:
            found.setdefault(shape(each.path), Counter())[each.status] += 1
    return [f"{path}: {dict(counts)}" for path, counts in sorted(found.items())]


@contextmanager
def filled_in(folder: Path, size: Size) -> Iterator[tuple[Path, str, int]]:
    """A project in *folder* with a store of that size, which stays there, and is used again by the next measurement."""
    url, count = f"sqlite:///{folder}/scale.db", folder / "entries"
    if not count.is_file():
        folder.mkdir()
        lay(folder, size)
        count.write_text(str(fill(url, size)))
    yield folder, url, int(count.read_text())


def measure(given: argparse.Namespace) -> list[str]:
    """Fill a store, and load a server of it. What missed its limit."""
    size = Size(given.environments, given.runs)
    faults = []
    with ExitStack() as stack:
        place = filled_in(given.folder, size) if given.folder else filled(given.store, size)
        folder, url, entries = stack.enter_context(place)
        server = stack.enter_context(serving(folder, url))
        answer(server.port, "GET", "/healthz")
        priority = "real-time priority" if server.has_priority else "no priority: this user may not set it"
        engine = f" {driver().sqlite_version} ({journal_mode()})" if given.store == "sqlite" else ""
        about = f"{size.environments} environments, {size.runs} runs, {entries} entries"
        print(f"{given.store}{engine}: {about}; server with {priority}", flush=True)
        asyncio.run(ask(server, size, min(given.rate, 20.0), len(PATHS) / min(given.rate, 20.0)))  # each path once
        if given.each:
            costs = asyncio.run(ask_each(server, size, given.each))
            print("\n| path | processor ms |\n| --- | --- |")
            print("\n".join(f"| {path} | {cost:.1f} |" for path, cost in costs), flush=True)
        if given.alone:
            alone = asyncio.run(ask(server, size, given.rate, given.alone))
            faults += report("alone", alone, ALONE_MS, None) if not given.counts else bad_answers(alone)
        app = open_app(folder, environ={**os.environ, "ORCHESTRATOR_STORE": url})
        stack.callback(app.close)
        before = app.store.feed_end() or "0.0"
        promotions = stack.enter_context(ExitStack())
        promotions.enter_context(promoting(folder, url, given.pause))
        start = first_entry(app.store, before)
        listeners = [
            Listener(server.port, server.tokens[number % TOKENS], start, leaves=number % 3 == 0)
            for number in range(given.listeners)
        ]

        def end() -> list[str]:
            promotions.close()
            return written_after(app.store, start)

        busy, written = asyncio.run(ask_busy(server, size, given, listeners, end))
        faults += promotion_faults((folder / "promotions.log").read_text())
        return faults + _judge(given, server, busy, listeners, written)


def _judge(
    given: argparse.Namespace, server: Server, busy: Phase, listeners: list[Listener], written: list[str]
) -> list[str]:
    faults = bad_answers(busy)
    if not given.counts:
        faults += report("while a promotion runs", busy, BUSY_MS, CPU_MS)
    delays = sorted(delay for each in listeners for delay in each.delays)
    connects = sum(each.connects for each in listeners)
    print(
        f"\n{len(written)} events to {len(listeners)} listeners with {connects} connections: {len(delays)} deliveries"
    )
    if not written or not delays:
        return [*faults, "there were no events"]
    faults += event_faults(listeners, written)
    p99 = delays[int(0.99 * (len(delays) - 1))]
    print(f"delay of events: p50 {statistics.median(delays):.2f} s, p99 {p99:.2f} s")
    if not given.counts:
        faults += [f"events: p99 {p99:.2f} s"] if p99 > EVENT_S else []
        faults += [fault] if (fault := memory_fault(server.memory)) else []
    return faults


def main(words: list[str] | None = None) -> int:
    """Measure and print. The exit status is 1 when a limit is missed, or an event."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.load", description=__doc__)
    parser.add_argument("--environments", type=int, default=500)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--store", default="sqlite", choices=("sqlite", "postgres"))
    parser.add_argument("--folder", type=Path, help="where the project and its store (SQLite) stay for the next time")
    parser.add_argument("--rate", type=float, default=50.0, help="requests in each second")
    parser.add_argument("--alone", type=float, default=120.0, help="seconds without a promotion; 0: none")
    parser.add_argument("--seconds", type=float, default=600.0, help="seconds while a promotion runs")
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--pause", type=float, default=0.1, help="seconds before and after each step of a promotion")
    parser.add_argument("--each", type=int, default=20, help="requests for each path, one after the other; 0: none")
    parser.add_argument("--counts", action="store_true", help="check what is counted, and no times")
    given = parser.parse_args(words)
    faults = measure(given)
    for fault in faults:
        print(f"missed: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
