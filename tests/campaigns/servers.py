"""Promotions and approvals at two servers that are killed: `python -m tests.campaigns.servers --promotions 200`.

Two servers and two workers are real processes on a real Postgres. Clients promote, request plans and vote through the
API, read pages, and follow the events of all runs. Servers die by `kill -9` at random, and at chosen places: after an
idempotency key is kept, after the effect of a request, after its reply is kept, in the middle of a stream. Workers and
the processes of runs are killed, too. Afterwards nothing may be lost, done twice, or missing in a stream.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.adapters.database.kept_replies import DatabaseKeptReplies
from orchestrator.app import access, people, tokens
from orchestrator.app.opening import ServerOptions
from orchestrator.cli.execution import run_worker
from orchestrator.cli.planned import plan_text
from orchestrator.domain.access.principals import SYSTEM_ACTOR, Actor, Binding, Method, User
from orchestrator.domain.environment import Environment
from orchestrator.domain.worker import WorkerConfig
from orchestrator.processes import kill_tree, tagged
from orchestrator.web.events import Broadcast
from orchestrator.web.serving import run_server
from tests.campaigns.workers import CONCURRENCY, HEAD, MARK, ROOT, Simulated, Workers, _judged
from tests.postgres import Server, serving
from tests.server.event_stream import run_events
from tests.server.test_process import free_port

PLACES = ("key kept", "effect done", "reply kept", "event sent")
AT = "ORCHESTRATOR_CAMPAIGN_AT"
USERS = {"root": "administrator", "ann": "release-manager", "bob": "approver", "vic": "viewer"}
QUEUE = "campaign"
DIRECT, APPROVED = 8, 4
"""How many environments have no approvals, and how many require one."""
GIVES_UP_S, QUIET_S = 300.0, 90.0
STARTED = "-- started\n"
"""The first line of each process in its log."""


class Office(Simulated):
    """The simulated project, in which some environments require an approval."""

    @cached_property
    def environments(self) -> Any:
        """The environments, none after another."""
        found = {}
        for number, name in enumerate(self.world.stacks):
            rule = {"approvals": {"count": 1}} if number >= DIRECT else {}
            data = {**HEAD, "kind": "Environment", "name": name, "queue": {"supersede": False}, **rule}
            found[name] = (Environment.from_json(data), self.root / "environments" / name)
        return found


# -- the processes -----------------------------------------------------------------------------------------------------


def _die_at(place: str, times: int) -> None:
    """Die by `kill -9` when *place* was reached so many *times*."""
    left = [times]

    def reached() -> None:
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def after(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            found = real(*args, **kwargs)
            reached()
            return found

        setattr(owner, name, wrapped)

    def before(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            reached()
            return real(*args, **kwargs)

        setattr(owner, name, wrapped)

    if place == "key kept":
        after(DatabaseKeptReplies, "open")
    elif place == "effect done":
        before(DatabaseKeptReplies, "close_with")
    elif place == "reply kept":
        after(DatabaseKeptReplies, "close_with")
    else:
        after(Broadcast, "_after")


def _serve(folder: Path, port: int) -> int:
    place, _, times = os.environ.get(AT, "").partition(":")
    if place:
        _die_at(place, int(times))
    app = Office(folder, "server", int((folder / "count").read_text()))
    run_server((app,), ServerOptions("127.0.0.1", port, worker=False), plan_text)
    return 0


def _work(folder: Path, machine: str) -> int:
    app = Office(folder, machine, int((folder / "count").read_text()))
    run_worker(
        app,
        SYSTEM_ACTOR,
        WorkerConfig(QUEUE, CONCURRENCY),
        lambda news: print(round(time.time(), 2), news.what, news.root, news.process, news.why, flush=True),
    )
    return 0


class OfficeWorkers(Workers):
    """Workers of the office, and two servers beside them; one of these processes is killed at a time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ports = (free_port(), free_port())
        self.servers: dict[int, subprocess.Popen[bytes]] = {}

    def see_to_it(self) -> None:
        """Start what is not there. Each second server dies at a chosen place."""
        for number in range(self.count):
            if _ended(self.processes.get(f"m{number}")):
                self.processes[f"m{number}"] = self._start(f"m{number}", "--work", f"m{number}")
        for port in self.ports:
            if _ended(self.servers.get(port)):
                if port in self.servers and self.servers[port].poll() == -signal.SIGKILL:
                    self.killed["server"] += 1
                place = f"{self.rng.choice(PLACES)}:{self.rng.randint(2, 9)}" if self.rng.random() < 0.5 else ""
                self.servers[port] = self._start(f"s{port}", "--serve", str(port), **({AT: place} if place else {}))

    def kill_one(self) -> None:
        """`kill -9` of a server, of a worker, or of a process that does a root.

        What has not started yet is not killed: on a slow machine nothing would ever start.
        """
        port = self.rng.choice(self.ports)
        if self.rng.random() < 0.5 and _responds(port):
            self.servers[port].kill()
            return
        running = {process.pid for process in (*self.processes.values(), *self.servers.values())}
        workers = [self.processes[name].pid for name in sorted(self.processes) if self._took(name)]
        children = [process for process in tagged(f"{MARK}={self.folder}") if process not in running]
        if not (children or workers):
            return
        chosen = self.rng.choice(children if children and (not workers or self.rng.random() < 0.7) else workers)
        self.killed["worker" if chosen in workers else "run"] += 1
        with contextlib.suppress(ProcessLookupError):
            os.kill(chosen, signal.SIGKILL)

    def stop(self) -> list[str]:
        """End everything; what is left afterwards."""
        for process in self.servers.values():
            process.terminate()
        for process in self.servers.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return super().stop()

    def _took(self, name: str) -> bool:
        """Whether a worker has taken anything since its start, which an earlier process of this name may have."""
        log = (self.folder / f"{name}.log").read_text()
        return " took " in log.rpartition(STARTED)[2]

    def _start(self, name: str, *words: str, **more: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.campaigns.servers", "--folder", str(self.folder), *words]
        with (self.folder / f"{name}.log").open("ab") as log:
            log.write(STARTED.encode())
            log.flush()
            return subprocess.Popen(command, cwd=ROOT, env={**self.environ, **more}, stdout=log, stderr=log)


def _responds(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    return False


def _ended(process: "subprocess.Popen[bytes] | None") -> bool:
    return process is None or process.poll() is not None


# -- the clients -------------------------------------------------------------------------------------------------------


@dataclass
class Client:
    """A user at the servers: what one of them does not respond to is sent to the other."""

    ports: tuple[int, int]
    token: str
    counts: Counter[str]

    def once(self, port: int, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, str]:
        """One request to the server at *port*. Raises `OSError` and `http.client.HTTPException`."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        headers |= {"Idempotency-Key": key} if key else {"Accept": "text/html"} if path == "/" else {}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def send(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        """The response, however often a server dies meanwhile."""
        end, turn = time.monotonic() + GIVES_UP_S, 0
        while True:
            turn += 1
            try:
                status, text = self.once(self.ports[turn % 2], method, path, body, key)
                if status != 429:
                    return status, json.loads(text) if text.startswith("{") else text
            except (OSError, http.client.HTTPException):
                self.counts["repeated requests"] += 1
            if time.monotonic() > end:
                raise AssertionError(f"no server responds to {method} {path}")
            time.sleep(0.2)

    def change(self, path: str, body: Any, key: str, done: Callable[[], bool]) -> None:
        """Make a change once. If a server died during it (N127), *done* decides whether it has to be repeated."""
        attempt = 0
        while True:
            status, data = self.send("POST", path, body, f"{key}.{attempt}")
            if status < 300:
                return
            if data["code"] != "N127":
                raise AssertionError(f"POST {path} {body}: {data}")
            self.counts["requests without a reply"] += 1
            if done():
                return
            attempt += 1


class Follower:
    """Follows the events of all runs at whichever server responds, from the first one on."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.last, self.events, self.failed = "0.0", list[tuple[str, int]](), 0
        self.stopping = threading.Event()

    def work(self) -> None:
        """Follow until stopped."""
        turn = 0
        while not self.stopping.is_set():
            turn += 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._follow(self._client.ports[turn % 2])
            self._client.counts["streams"] += 1
            time.sleep(0.1)

    def _follow(self, port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        with contextlib.closing(connection):
            headers = {"Authorization": f"Bearer {self._client.token}", "Last-Event-ID": self.last}
            connection.request("GET", "/api/v1/events", headers=headers)
            for given, event in run_events(connection.getresponse(), self.stopping):
                self.events.append(event)
                self.last = given


@dataclass
class Clients:
    """What the users do: a thread for each environment, and what went wrong in them."""

    app: Office
    ports: tuple[int, int]
    promotions: int
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    requested: list[tuple[str, str]] = field(default_factory=list)
    """The versions that were promoted, each with its environment."""

    def __post_init__(self) -> None:
        self._tokens: dict[str, str] = {}
        for name, role in USERS.items():
            acting = self.app.acting_as(Actor(name="root", method=Method.TOKEN)) if self._tokens else self.app.acting
            people.add_user(acting, User(name=name))
            self._tokens[name] = tokens.create_token(acting, name, lifetime=timedelta(days=1)).text
            access.grant(acting, Binding(role=role, to=f"user:{name}"))

    def client(self, name: str) -> Client:
        """The client of a user."""
        return Client(self.ports, self._tokens[name], self.counts)

    def start(self) -> list[threading.Thread]:
        """The threads of all environments."""
        return [self._thread(self._environment, number) for number in range(DIRECT + APPROVED)]

    def _thread(self, work: Callable[[int], None], number: int) -> threading.Thread:
        def guarded() -> None:
            try:
                work(number)
            except Exception as error:  # noqa: BLE001 - it is reported with the campaign
                self.wrong.append(f"e{number}: {error!r}")

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread

    def _environment(self, number: int) -> None:
        for index in range(number, self.promotions, DIRECT + APPROVED):
            package, environment = self.app.released[index], f"e{number}"
            self.requested.append((package.ref.version, environment))
            if number < DIRECT:
                body = {"release": f"shop-{package.ref.version}", "environment": environment, "queue": QUEUE}
                self.client("ann").change("/api/v1/promotions", body, f"p{index}", lambda at=index: self._runs(at) > 0)  # type: ignore[misc]
            else:
                self._approved(index, environment)
                self._until(lambda at=index: self._runs(at, ended=True) > 0, f"{environment} {index} has not ended")  # type: ignore[misc]

    def _approved(self, index: int, environment: str) -> None:
        """Request the promotion by a plan, and approve it."""
        package, ann, bob = self.app.released[index], self.client("ann"), self.client("bob")
        plan = self.app.plans.make(Actor(name="ann", method=Method.TOKEN), package, environment)
        order = {"plan": plan.digest, "queue": QUEUE}
        ann.change("/api/v1/requests", order, f"r{index}", lambda: self._request(plan.digest) is not None)
        request = self._request(plan.digest)
        assert request is not None, "the request is lost"
        vote = {"decision": "approve", "plan": request["plan"], "rendered": request["rendered"]}
        path = f"/api/v1/requests/{request['id']}"
        bob.change(f"{path}/votes", vote, f"v{index}", lambda: bool(ann.send("GET", path)[1]["votes"]))
        votes = ann.send("GET", path)[1]["votes"]
        if len(votes) != 1:
            self.wrong.append(f"{request['id']} has {len(votes)} votes")

    def _request(self, plan: str) -> dict[str, Any] | None:
        found = self.client("ann").send("GET", "/api/v1/requests?all=true&limit=200")[1]["requests"]
        data = [each.get("request", each) for each in found]
        return next((each for each in data if each["plan"] == plan), None)

    def _runs(self, index: int, *, ended: bool = False) -> int:
        """How many runs there are of a release in its environment."""
        place = f"e{index % (DIRECT + APPROVED)}"
        status, data = self.client("vic").send("GET", f"/api/v1/runs?environment={place}&limit=200")
        assert status == 200, data
        version = self.app.released[index].ref.version
        runs = [each.get("run", each) for each in data["runs"]]
        return sum(each["release"]["version"] == version and (not ended or bool(each["ended_at"])) for each in runs)

    def _until(self, done: Callable[[], bool], text: str) -> None:
        end = time.monotonic() + 10 * GIVES_UP_S
        while not done():
            if time.monotonic() > end:
                raise AssertionError(text)
            time.sleep(0.5)


# -- the campaign ------------------------------------------------------------------------------------------------------


def campaign(server: Server, promotions: int, every: float, rng: random.Random) -> int:
    """Make so many *promotions* while a process is killed *every* so many seconds; how much was wrong."""
    folder = Path(tempfile.mkdtemp(prefix="orc-servers-"))
    try:
        return _run(server, folder, promotions, every, rng)
    finally:
        kill_tree(f"{MARK}={folder}")
        shutil.rmtree(folder, ignore_errors=True)


def _run(server: Server, folder: Path, promotions: int, every: float, rng: random.Random) -> int:
    (folder / "ledgers").mkdir()
    (folder / "orchestrator.yaml").write_text("apiVersion: orchestrator/v1\nkind: Project\nname: campaign\n")
    (folder / "count").write_text(str(promotions))
    os.environ["ORCHESTRATOR_STORE"] = server.fresh()
    environ = {**os.environ, MARK: str(folder), "PYTHONPATH": str(ROOT)}
    app = Office(folder, "driver", promotions)
    assert app.packages
    began = time.monotonic()
    workers = OfficeWorkers(folder, 2, environ, rng, Counter())
    clients = Clients(app, workers.ports, promotions)
    follower = Follower(clients.client("vic"))
    following = threading.Thread(target=follower.work, daemon=True)
    try:
        workers.see_to_it()
        following.start()
        _trouble(app, workers, clients, every)
        wrong = _recovered(app, workers, clients, follower)
    finally:
        follower.stopping.set()
        following.join(30)
        leftovers = workers.stop()
    runs = app.store.runs()
    lost, twice, other = _judged(app, [run.root for run in runs], leftovers)
    made = Counter((run.release.version, run.environment) for run in runs if run.release is not None)
    lost += [f"lost: {each}" for each in clients.requested if not made[each]]
    twice += [f"twice: {each} {made[each]} times" for each in clients.requested if made[each] > 1]
    wrong += clients.wrong + other
    kills = ", ".join(f"{number} of a {what}" for what, number in sorted(workers.killed.items())) or "none"
    counts = ", ".join(f"{number} {what}" for what, number in sorted(clients.counts.items()))
    print(f"{promotions} promotions in {time.monotonic() - began:.0f} s; kills: {kills}; {counts}")
    print(f"  {len(lost)} lost, {len(twice)} twice, {len(wrong)} otherwise wrong; {len(follower.events)} events")
    for line in (lost + twice + wrong)[:10]:
        print(f"  {line}")
    if lost or twice or wrong:
        for log in sorted(folder.glob("*.log")):
            print(f"  {log.name}: {log.read_text()[-800:]}")
    app.close()
    return len(lost) + len(twice) + len(wrong)


def _trouble(app: Office, workers: OfficeWorkers, clients: Clients, every: float) -> None:
    """Let the clients work while processes are killed, until all runs have ended."""
    threads = clients.start()
    kill_at, changed_at, seen = time.monotonic() + every, time.monotonic(), (-1, -1)
    while any(thread.is_alive() for thread in threads) or any(not run.ended for run in app.store.runs()):
        workers.see_to_it()
        now = time.monotonic()
        ended = sum(run.ended for run in app.store.runs())
        if (ended, len(clients.requested)) != seen:
            seen, changed_at = (ended, len(clients.requested)), now
        if now > changed_at + 3 * QUIET_S:
            clients.wrong.append("nothing has ended for a long time")
            return
        if now > kill_at and now < changed_at + QUIET_S:  # without progress nothing more is killed
            workers.kill_one()
            kill_at = now + workers.rng.uniform(0.5, 1.5) * every
        time.sleep(0.2)


def _recovered(app: Office, workers: OfficeWorkers, clients: Clients, follower: Follower) -> list[str]:
    """What has not recovered: a page of a server, or the stream."""
    client, wrong = clients.client("vic"), list[str]()
    written, cursor = list[tuple[str, int]](), "0.0"
    while page := app.store.feed(cursor=cursor, limit=500):
        cursor = page[-1].cursor
        written += [(entry.run, entry.seq) for entry in page]
    end = time.monotonic() + GIVES_UP_S
    served = set[int]()
    while time.monotonic() < end and (len(follower.events) < len(written) or served != set(workers.ports)):
        workers.see_to_it()
        for port in workers.ports:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, text = client.once(port, "GET", "/")
                served |= {port} if status == 200 and "e0" in text else set()
        time.sleep(0.3)
    wrong += [f"the server at {port} does not show its pages" for port in workers.ports if port not in served]
    if follower.events != written:
        repeated = [each for each, number in Counter(follower.events).items() if number > 1]
        missing = [each for each in written if each not in set(follower.events)]
        wrong.append(f"the stream has {len(repeated)} entries twice, and lacks {len(missing)} of {len(written)}")
    return wrong


def main() -> int:
    """Run the campaign; the exit status is 1 when anything was lost or done twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--promotions", type=int, default=200)
    parser.add_argument("--kill-every", type=float, default=3.0, help="seconds between two kills")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--work", default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        return _serve(chosen.folder, chosen.serve)
    if chosen.work:
        return _work(chosen.folder, chosen.work)
    with serving() as server:
        bad = campaign(server, chosen.promotions, chosen.kill_every, random.Random(chosen.seed))
    print(f"seed {chosen.seed}: {bad} lost, done twice, or otherwise wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
