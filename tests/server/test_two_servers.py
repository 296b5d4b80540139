"""Two servers of one project on Postgres behind HAProxy: sessions, events over a failover, and restarts."""

import asyncio
import signal
import threading
import time
import urllib.parse
from collections.abc import Iterator
from functools import partial

import pytest
import uvicorn

from orchestrator.app.sign_in_links import create_link
from orchestrator.domain.access.principals import Actor, Method
from orchestrator.domain.journal import Entry, Run
from orchestrator.web.stopping import StoppableServer, Stopping
from tests.postgres import Server
from tests.server.pair import NAME, Listener, Pair, serving_pair, wait_for
from tests.server.test_process import answer

FORM = {"content_type": "application/x-www-form-urlencoded", "origin": f"https://{NAME}"}
BEHIND = {"host": NAME, "x_forwarded_proto": "https", "accept": "text/html"}
"""The headers that the proxy sends."""


@pytest.fixture(scope="module")
def pair(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two servers that run."""
    with serving_pair(tmp_path_factory.mktemp("pair"), postgres.fresh()) as made:
        made.user("vic", "viewer")
        for number in range(3):
            made.user(f"ann{number}", "release-manager")
        yield made


class Journal:
    """A run in staging that gets an entry again and again, as if a worker executed it."""

    def __init__(self, pair: Pair, root: str) -> None:
        self._store = pair.app.store
        self._run = Run(
            id=f"{root}-staging", root=root, kind="promotion", environment="staging", release=None, by="ann",
            requested_at="2026-11-30T08:00:00Z",
        )  # fmt: skip
        self._store.create(self._run)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> list[tuple[str, int]]:
        """Write no more. Returns all entries of the feed, in order."""
        self._stop.set()
        self._thread.join()
        found, cursor = list[tuple[str, int]](), "0.0"
        while page := self._store.feed(cursor=cursor, limit=500):
            cursor = page[-1].cursor
            found += [(entry.run, entry.seq) for entry in page]
        return found

    def _work(self) -> None:
        while not self._stop.is_set():
            self._store.append(self._run.id, [Entry(kind="notice", data={"level": "info", "text": "still here"})])
            time.sleep(0.05)


def test_a_session_is_valid_at_both_servers(pair: Pair) -> None:
    """A browser that has signed in at one server uses the other, and a sign-out at one ends the session at both."""
    one, two = pair.members
    link = create_link(pair.app.acting_as(Actor(name="root", method=Method.TOKEN)), "vic").text
    form = urllib.parse.urlencode({"password": "correct horse battery"})
    status, headers, _ = answer(one.port, "POST", f"/link/{link}", form, **{**BEHIND, **FORM})
    cookie = headers["set-cookie"].split(";")[0]
    assert (status, cookie.split("=")[0]) == (303, "__Host-orchestrator")
    for member in (two, one):
        status, _, page = answer(member.port, "GET", "/me", cookie=cookie, **BEHIND)
        assert (status, "vic" in page) == (200, True)
    token = page.split('name="form_token" value="')[1].split('"')[0]
    left = urllib.parse.urlencode({"form_token": token})
    assert answer(two.port, "POST", "/sign-out", left, cookie=cookie, **{**BEHIND, **FORM})[0] == 303
    assert answer(one.port, "GET", "/me", cookie=cookie, **BEHIND)[0] == 303


def test_events_continue_over_a_failover(pair: Pair) -> None:
    """A listener behind the proxy gets each event once and in order, while the server of its stream is killed, and then the other."""
    journal, listener = Journal(pair, "fa0001"), Listener(pair, pair.tokens["vic"])
    for member in pair.members:
        wait_for(lambda: listener.events, "no event has come")
        before = len(listener.events)
        member.stop(signal.SIGKILL)
        wait_for(lambda before=before: len(listener.events) > before + 20, "the stream does not continue")
        member.start()
        wait_for(lambda: pair.send(pair.tokens["vic"], "GET", "/api/v1/me")[0] == 200, "the proxy has no server")
    written = journal.stop()
    wait_for(lambda: len(listener.events) >= len(written), "events are missing")
    listener.stop()
    assert listener.events == written
    assert listener.connections > 1


def test_events_are_notified(pair: Pair) -> None:
    """An entry is announced by the database: a reader that would wait for ten seconds returns at once."""
    store, at = pair.app.store, list[float]()
    store.wait_for_entries(0.01)

    def wait() -> None:
        store.wait_for_entries(60)
        at.append(time.monotonic())

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    began = time.monotonic()
    journal = Journal(pair, "fa0002")
    waiting.join()
    journal.stop()
    assert at[0] - began < 30


class Traffic:
    """Requests through the proxy, one after the other, each on a connection of its own: reads, and changes with keys."""

    def __init__(self, pair: Pair, name: str) -> None:
        self._pair, self._name = pair, name
        self.failed, self.done = list[str](), list[str]()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        token, number = self._pair.tokens[self._name], 0
        while not self._stop.wait(0.1):
            number += 1
            title = f"{self._name} {number}"
            try:
                if number % 2:
                    status, data = self._pair.send(token, "GET", "/api/v1/me")
                else:
                    order = {"title": title, "value": 3}
                    status, data = self._pair.send(
                        token, "POST", "/api/v1/change-requests", order, Idempotency_Key=f"{self._name}-{number}"
                    )
                    self.done.append(title)
                if status not in {200, 201}:
                    self.failed.append(f"{title}: {status} {data}")
            except Exception as error:  # noqa: BLE001 - each is a failed request
                self.failed.append(f"{title}: {error!r}")


@pytest.mark.long
def test_a_rolling_restart_fails_no_request(pair: Pair) -> None:
    """Both servers are restarted one after the other under a steady stream of requests: none fails, and each change is made once."""
    traffic = [Traffic(pair, f"ann{number}") for number in range(3)]
    journal, listener = Journal(pair, "fa0003"), Listener(pair, pair.tokens["vic"])
    for member in pair.members:
        assert member.stop() == 0, member.log
        assert "graceful shutdown exceeded" not in member.log  # the streams have ended by themselves
        member.start()
        wait_for(partial(pair.is_up, member), "the proxy does not use it")
    for each in traffic:
        each.stop()
    written = journal.stop()
    wait_for(lambda: len(listener.events) >= len(written), "events are missing")
    listener.stop()
    assert [line for each in traffic for line in each.failed] == []
    assert listener.events == written
    found, more = list[str](), "&"
    while more:
        status, page = pair.send(pair.tokens["root"], "GET", f"/api/v1/change-requests?limit=200&state=draft{more}")
        assert status == 200, page
        found += [each["request"]["title"] for each in page["requests"]]
        more = f"&cursor={urllib.parse.quote(page['cursor'])}" if page["cursor"] else ""
    assert sorted(found) == sorted(title for each in traffic for title in each.done)


def test_a_server_that_stops_is_unready_first() -> None:
    """After SIGTERM a server with a drain time is unready and serves on; a second signal, and SIGINT, stop it at once."""

    async def signalled(drain_s: float, *signals: signal.Signals) -> tuple[bool, bool]:
        stopping = Stopping(_nothing)
        server = StoppableServer(uvicorn.Config(_nothing), stopping, drain_s)
        for each in signals:
            server.handle_exit(each, None)
        return stopping.started, server.should_exit

    for drain_s, signals, stops in (
        (0.0, [signal.SIGTERM], True),
        (60.0, [signal.SIGTERM], False),
        (60.0, [signal.SIGTERM, signal.SIGTERM], True),
        (60.0, [signal.SIGINT], True),
    ):
        assert asyncio.run(signalled(drain_s, *signals)) == (True, stops)


async def _nothing() -> None:
    """End no streams."""
