"""The server of a project: sign-in, rights, documents, pages and events."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest

from orchestrator.app.opening import ServerOptions
from orchestrator.app.people import disable_user
from orchestrator.app.tokens import create_token
from orchestrator.cli.planned import plan_text
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.listing import FeedEntry
from orchestrator.web import events
from orchestrator.web.events import Broadcast, event_of
from orchestrator.web.limits import ADDRESS, Buckets, Limits, Rate
from orchestrator.web.requests import own_path
from orchestrator.web.serving import bound_socket, is_loopback, run_server
from tests.cli.memory_project import MemoryProject, project  # noqa: F401 - a fixture
from tests.server.site import HTML, ORIGIN, PASSWORD, Browser, Site

PATHS = (
    "/api/v1/me", "/api/v1/environments", "/api/v1/environments/staging", "/api/v1/matrix", "/api/v1/runs",
    "/api/v1/calendar", "/api/v1/requests", "/api/v1/can-i?action=promote", "/", "/matrix", "/runs",
)  # fmt: skip
EVIL = "<script>alert(1)</script>"


def heard_events(data: bytes) -> list[tuple[str, int]]:
    """The events in one piece of a stream, as the cursor and the number of the entry; none in what precedes them."""
    blocks = [block.splitlines() for block in data.decode().split("\n\n") if block.startswith("id: ")]
    return [(lines[0][4:], json.loads(lines[2][6:])["seq"]) for lines in blocks]


@pytest.fixture
def site(project: MemoryProject) -> Site:  # noqa: F811
    """A server whose project has one verified release in staging."""
    project.go("staging", "1.0.0")
    return Site(project)


def test_what_the_routes_return_and_who_may_read(site: Site) -> None:
    """A viewer reads every page and document; a user without a role is refused with A101; without a session nobody reads."""
    viewer, other, nobody = site.user("ann", "viewer"), site.user("eve"), site.browser()
    for path in PATHS:
        assert (path, viewer.get(path).status_code) == (path, 200)
        assert (path, nobody.get(path).status_code) == (path, 401)
        refused = other.get(path)
        own = path.startswith(("/api/v1/me", "/api/v1/can-i"))
        assert (path, refused.status_code) == (path, 200 if own else 403)
        assert own or refused.json()["code"] == "A101"


def test_every_response_is_protected(site: Site) -> None:
    """Pages, documents, files and errors have the headers that protect their reader, and an id."""
    for path in ("/sign-in", "/api/v1/me", "/assets/app.css", "/assets/htmx.min.js", "/no-page", "/healthz", "/readyz"):
        headers = site.browser().get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], len(headers["x-request-id"])) == ("nosniff", 16)


def test_a_form_of_another_site_is_refused(site: Site) -> None:
    """A form without the origin of the server, or without the token of its session, changes nothing."""
    ann = site.user("ann", "viewer")
    for headers in ({"origin": "http://evil.test"}, {}, {"sec-fetch-site": "cross-site", "origin": ORIGIN}):
        refused = ann.request("POST", "/sign-out", data={"form_token": "x"}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "N122")
    assert ann.send("/sign-out", form_token="x").status_code == 403
    assert ann.get("/api/v1/me").status_code == 200
    token = ann.get("/").text.split('name="form_token" value="')[1].split('"')[0]
    assert ann.send("/sign-out", form_token=token).headers["location"] == "/sign-in"
    assert ann.get("/api/v1/me").status_code == 401


def test_a_sign_in_makes_a_new_session_and_leads_to_this_server(site: Site) -> None:
    """A value that a browser had before a sign-in is not taken over, and the next page is one of this server."""
    site.user("ann", "viewer")
    thief = site.browser()
    thief.cookies.set("orchestrator", "A" * 43, domain="127.0.0.1")
    done = thief.send("/sign-in", name="ann", password=PASSWORD, next="//evil.test/")
    assert (done.status_code, done.headers["location"]) == (303, "/")
    cookie = done.headers["set-cookie"]
    assert ("A" * 43 in cookie, "HttpOnly" in cookie, "samesite=lax" in cookie.lower()) == (False, True, True)
    wrong = site.browser().send("/sign-in", name=EVIL, password="wrong")
    assert (wrong.status_code, EVIL in wrong.text, "N121" in wrong.text) == (401, False, True)


@pytest.mark.parametrize(
    "text", ["https://evil.test", "//evil.test", "/\\evil.test", "javascript:alert(1)", "", "/a\nb", "//["]
)
def test_a_next_page_elsewhere_is_not_used(text: str) -> None:
    """Addresses of other servers lead to the first page."""
    assert own_path(text) == "/"


def test_addresses_that_are_none_are_refused(site: Site) -> None:
    """A next page and an origin that no address has are refused as those of other servers are."""
    there = site.browser()
    page = there.get("/sign-in?next=//[", **HTML)
    assert (page.status_code, 'name="next" value="/"' in page.text) == (200, True)
    refused = there.request("POST", "/sign-in", data={"name": "ann"}, headers={"origin": "http://["})
    assert (refused.status_code, refused.json()["code"]) == (403, "N122")


def test_a_sign_out_removes_the_cookie_behind_tls(site: Site) -> None:
    """A browser takes no cookie whose name starts with `__Host-` without `Secure`, also not one that removes it."""
    ann = site.user("ann", "viewer")
    value, token = ann.cookies["orchestrator"], ann.form_token
    cookie = {"cookie": f"__Host-orchestrator={value}", "origin": ORIGIN.replace("http:", "https:")}
    data = {"form_token": token}
    done = site.browser().request("POST", f"{cookie['origin']}/sign-out", data=data, headers=cookie)
    assert done.status_code == 303
    removed = done.headers["set-cookie"]
    assert ("__Host-orchestrator=" in removed, "Max-Age=0" in removed, "Secure" in removed) == (True, True, True)


def test_a_token_authenticates_the_api(site: Site) -> None:
    """A token acts with its owner's rights, a wrong one is refused although there is a session, and it needs no form."""
    ann = site.user("ann", "viewer")
    text = create_token(site.root, "ann", lifetime=timedelta(days=1)).text
    got = site.browser().get("/api/v1/me", authorization=f"Bearer {text}")
    assert (got.status_code, got.json()["actor"]["method"]) == (200, "token")
    wrong = ann.get("/api/v1/me", authorization=f"Bearer {text[:-1]}{'B' if text[-1] == 'A' else 'A'}")
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["content-type"]) == (
        401,
        "A108",
        "application/problem+json",
    )
    disable_user(site.root, "ann")
    assert ann.get("/api/v1/me").status_code == 401


def test_errors_are_problem_documents(site: Site) -> None:
    """An unknown path, run or method and a wrong parameter are problems with a code, for a browser pages."""
    ann = site.user("ann", "viewer")
    for path, status, code in (
        ("/api/v1/nothing", 404, "N111"), ("/api/v1/runs/nothing", 404, "R101"), ("/api/v1/runs?limit=0", 422, "N110"),
        ("/api/v1/runs?cursor=x", 422, "N110"), ("/api/v1/environments/nowhere", 404, "R103"),
    ):  # fmt: skip
        problem = ann.get(path)
        assert (path, problem.status_code, problem.json()["code"]) == (path, status, code)
        assert problem.json()["request"] == problem.headers["x-request-id"]
    method = ann.request("DELETE", "/api/v1/runs")
    assert (method.status_code, method.headers["allow"]) == (405, "GET")
    page = ann.get(f"/runs/{EVIL}", **HTML)
    assert (page.status_code, EVIL in page.text) == (404, False)
    to_sign_in = site.browser().get("/matrix", **HTML)
    assert (to_sign_in.status_code, to_sign_in.headers["location"]) == (303, "/sign-in?next=/matrix")


def test_lists_have_cursors_and_documents_have_tags(site: Site, project: MemoryProject) -> None:  # noqa: F811
    """Pages of a list contain each run once, and a document that has not changed is not sent again."""
    project.go("staging", "1.1.0")
    ann, found, cursor = site.user("ann", "viewer"), [], ""
    for _ in range(4):
        page = ann.get(f"/api/v1/runs?limit=1{cursor}").json()
        found += [run["id"] for run in page["runs"]]
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert len(found) == len(set(found)) == 2
    first = ann.get("/api/v1/matrix")
    again = ann.get("/api/v1/matrix", if_none_match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    story = ann.get(f"/api/v1/runs/{found[0]}").json()
    assert (story["kind"], story["run"]["id"], story["activity"]) == ("Run", found[0], "ended")
    assert found[0] in ann.get(f"/runs/{found[0]}").text


def test_the_matrix_is_read_page_by_page(site: Site, project: MemoryProject) -> None:  # noqa: F811
    """Pages of the matrix contain each release once, as document and as page, and a search finds each."""
    for version in ("1.1.0", "1.2.0"):
        project.go("staging", version)
    project.packages.put(project.release("2.0.0"))
    ann, found, path = site.user("ann", "viewer"), list[str](), "/matrix?limit=1"
    while path:
        [row] = ann.get(f"/api/v1{path}").json()["releases"]
        found.append(row["release"]["version"])
        page = ann.get(path)
        assert (page.status_code, row["release"]["digest"][7:15] in page.text) == (200, True)
        link = page.text.partition('href="/matrix?cursor=')[2].partition('"')[0]
        path = f"/matrix?limit=1&cursor={link}" if link else ""
    assert (found[0], sorted(found[1:], reverse=True)) == ("2.0.0", found[1:])
    for version in found:
        [hit] = [hit for hit in ann.get(f"/api/v1/search?q={version}").json()["hits"] if hit["kind"] == "release"]
        shown = ann.get(hit["path"]).text
        assert [each for each in found if f"{each}</h1>" in shown] == [version]
    assert ann.get("/api/v1/matrix?cursor=none").json()["code"] == "N110"


def test_responses_are_sent_at_once() -> None:
    """A connection to the server does not hold back a small packet until the one before it is acknowledged (40 ms)."""

    async def delays() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            made = writer.get_extra_info("socket")
            found.set_result(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with bound_socket(ServerOptions(host="127.0.0.1", port=0)) as listening:
            server = await asyncio.start_server(accepted, sock=listening)
            _, writer = await asyncio.open_connection(*listening.getsockname()[:2])
            writer.close()
            result = await asyncio.wait_for(found, 20)
            server.close()
        return result

    assert asyncio.run(delays()) == 1


def test_events_continue_where_a_listener_was(site: Site, project: MemoryProject) -> None:  # noqa: F811
    """A listener that reconnects with the id of its last event gets every later entry of its environments once, in order."""
    store = project.store
    cursors = [entry.cursor for entry in store.feed(limit=500)]

    async def listened(start: str, count: int, more: bool) -> list[tuple[str, int]]:
        broadcast, found = Broadcast(SimpleNamespace(feed=store), 0.01), []
        reading = asyncio.create_task(broadcast.run())
        await asyncio.sleep(0.05)
        listener = broadcast.listen(start, lambda entry: entry.environment == "staging")
        if more:
            project.go("staging", "1.2.0")
        async for data in listener:
            found += heard_events(data)
            if len(found) >= count:
                break
        reading.cancel()
        return found

    middle = len(cursors) // 2
    rest = asyncio.run(listened(cursors[middle], len(cursors) - middle - 1, more=False))
    assert [cursor for cursor, _ in rest] == cursors[middle + 1 :]
    live = asyncio.run(listened(cursors[-1], 5, more=True))[:5]
    assert [cursor for cursor, _ in live] == [entry.cursor for entry in store.feed(cursor=cursors[-1], limit=5)]
    assert all(one[1] < two[1] for one, two in pairwise(live))


def test_a_listener_from_before_a_restore_begins_again(site: Site, project: MemoryProject) -> None:  # noqa: F811
    """An id after the end of the feed gets `restart` with the end, and then every entry; one of another server does not."""
    del site
    store = project.store
    end = store.feed_end()
    assert end is not None
    beyond = f"{int(end.partition('.')[0]) + 50}.0"

    async def listened(start: str, count: int, *, reading: bool) -> list[tuple[str, str]]:
        broadcast = Broadcast(SimpleNamespace(feed=store), 0.01)
        task = asyncio.create_task(broadcast.run()) if reading else None
        await asyncio.sleep(0.05)
        found: list[tuple[str, str]] = []
        changed = False
        async for data in broadcast.listen(start, lambda entry: entry.environment == "staging"):
            for block in data.decode().split("\n\n"):
                fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
                found += [(fields.get("event", ""), fields["id"])] if fields else []
            if not changed:
                project.go("staging", "1.3.0")
                changed = True
            if len(found) >= count:
                break
        if task is not None:
            task.cancel()
        return found[:count]

    async def within(start: str, count: int, *, reading: bool) -> list[tuple[str, str]]:
        async with asyncio.timeout(10):
            return await listened(start, count, reading=reading)

    told = asyncio.run(within(beyond, 5, reading=True))
    assert told[:2] == [("restart", end), ("", end)]
    assert [cursor for _, cursor in told[2:]] == [entry.cursor for entry in store.feed(cursor=end, limit=3)]
    newest = store.feed_end()
    assert newest is not None
    assert asyncio.run(within(newest, 1, reading=False)) == [("", newest)]


def test_a_backlog_is_written_in_few_pieces(site: Site, project: MemoryProject) -> None:  # noqa: F811
    """A listener that is far behind gets all that a page of the feed has for it in one piece, in order."""
    del site
    store, pieces = project.store, list[bytes]()
    cursors = [entry.cursor for entry in store.feed(limit=500)]
    assert len(cursors) > 20

    async def work() -> None:
        broadcast = Broadcast(SimpleNamespace(feed=store), 0.01)
        async for data in broadcast.listen(cursors[0], lambda entry: entry.cursor != cursors[5]):
            pieces.append(data)
            if data.startswith(b"id:"):
                break

    asyncio.run(work())
    assert len(pieces) == 2
    assert [cursor for cursor, _ in heard_events(pieces[1])] == [*cursors[1:5], *cursors[6:]]


def test_listeners_of_the_newest_events_do_not_read_the_feed(
    site: Site,
    project: MemoryProject,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Listeners that start where the server does, or at any kept event, get their events from memory; others read."""
    del site
    store, pages = project.store, list[str]()
    monkeypatch.setattr(events, "KEPT", 4)
    cursors = [entry.cursor for entry in store.feed(limit=500)]

    class Counting(Broadcast):
        def _page(self, cursor: str) -> list[FeedEntry]:
            pages.append(cursor)
            return super()._page(cursor)

    async def heard(broadcast: Broadcast, cursor: str, count: int) -> list[str]:
        found: list[str] = []
        async for data in broadcast.listen(cursor, lambda _: True):
            found += [cursor for cursor, _ in heard_events(data)]
            if len(found) == count:
                break
        return found

    async def work() -> None:
        broadcast = Counting(SimpleNamespace(feed=store), 0.01)
        broadcast._cursor = broadcast._start = cursors[-6]
        broadcast._add(event_of(entry) for entry in store.feed(cursor=cursors[-6], limit=3))
        broadcast._cursor = cursors[-3]
        assert await heard(broadcast, cursors[-6], 3) == cursors[-5:-2]
        assert await heard(broadcast, cursors[-4], 1) == [cursors[-3]]
        assert pages == []
        broadcast._add(event_of(entry) for entry in store.feed(cursor=cursors[-3], limit=2))
        broadcast._cursor = cursors[-1]
        assert await heard(broadcast, cursors[-5], 4) == cursors[-4:]
        assert pages == []
        assert await heard(broadcast, cursors[-6], 5) == cursors[-5:]
        assert pages == [cursors[-6]]

    asyncio.run(work())


def test_listeners_that_leave_disturb_nobody(site: Site, project: MemoryProject) -> None:  # noqa: F811
    """Listeners that leave at the moment of an event end quietly, and those that stay get each event once."""
    store = project.store
    start = store.feed_end() or "0.0"

    async def heard(listener: AsyncIterator[bytes], found: list[str]) -> None:
        async for data in listener:
            found += [cursor for cursor, _ in heard_events(data)]

    async def work() -> tuple[list[object], list[list[str]]]:
        broadcast = Broadcast(SimpleNamespace(feed=store), 0.01)
        reading = asyncio.create_task(broadcast.run())
        found: list[list[str]] = [[] for _ in range(60)]
        tasks = [asyncio.create_task(heard(broadcast.listen(start, lambda _: True), each)) for each in found]
        await asyncio.sleep(0.05)
        for number, leaving in enumerate(tasks[:20]):
            project.go("staging", f"1.{number + 10}.0")
            for _ in range(number % 7):
                await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.sleep(0.02)
        end = store.feed_end()
        for _ in range(1000):
            if all(each[-1:] == [end] for each in found[20:]):
                break
            await asyncio.sleep(0.01)
        for task in (*tasks[20:], reading):
            task.cancel()
        return list(await asyncio.gather(*tasks, return_exceptions=True)), found[20:]

    ends, found = asyncio.run(work())
    assert [end for end in ends if not isinstance(end, asyncio.CancelledError)] == []
    written = [entry.cursor for entry in store.feed(cursor=start, limit=100_000)]
    assert all(each == written for each in found)


def test_the_server_listens_on_this_machine_only(site: Site) -> None:
    """Without TLS an address that other machines can reach is refused before the server starts."""
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "example.test")] == [
        True
    ] * 3 + [False] * 2
    with pytest.raises(OrchestratorError, match="N103"):
        run_server((site.app,), ServerOptions("0.0.0.0", 8750), plan_text)


@pytest.mark.parametrize("host", ["evil.test", "evil.test:8750", "[::1", ""])
def test_a_name_of_another_site_is_refused(site: Site, host: str) -> None:
    """A request under a name that is not the server's is refused, also if the name leads to this machine."""
    refused = site.browser().get("/sign-in", host=host)
    assert (refused.status_code, refused.json()["code"]) == (422, "N110")


def test_the_first_link_is_for_one_administrator(site: Site) -> None:
    """The link of the first start has been used, and a browser with it gets a page with the code."""
    gone: Browser = site.browser()
    page = gone.get(f"/link/{'A' * 43}", **HTML)
    assert (page.status_code, "N124" in page.text) == (403, True)


def test_figures_for_prometheus(site: Site) -> None:
    """Figures of the project and of the process are for actors who may view it, in the text format."""
    site.browser().get("/no-page")
    text = site.user("ann", "viewer").get("/metrics").text
    assert 'orchestrator_queue_length{environment="staging"} 0' in text
    assert 'orchestrator_http_responses_total{method="GET",status="404"} 1' in text
    assert site.browser().get("/metrics").status_code == 401
    assert site.user("eve").get("/metrics").status_code == 403


def test_too_many_requests_are_refused() -> None:
    """A bucket allows its burst, then its steady rate; the number of buckets is bounded, and the oldest one goes."""
    now = [0.0]
    buckets = Buckets(Rate(burst=2, each_s=0.5), most=3, clock=lambda: now[0])
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 2]
    now[0] = 2.0
    assert [buckets.take("a"), buckets.take("a")] == [0, 2]
    assert [buckets.take(key) for key in "bcda"] == [0] * 4


def test_credentials_that_are_made_up_share_the_limit_of_their_address() -> None:
    """A client that invents another credential for each request is limited by its address; another address is not."""
    limits = Limits()

    def waits(number: int, address: str) -> int:
        headers = [(b"authorization", b"Bearer %d" % number)]
        return limits.wait_s(
            {"type": "http", "method": "GET", "path": "/api/v1/runs", "client": (address, 1), "headers": headers}
        )

    assert not any(waits(number, "192.0.2.1") for number in range(ADDRESS.burst))
    assert any(waits(ADDRESS.burst + number, "192.0.2.1") for number in range(ADDRESS.burst))
    assert waits(0, "192.0.2.2") == 0


def test_many_sign_ins_of_an_address_are_refused(site: Site) -> None:
    """After 30 attempts in a moment an address gets 429 with the time to wait, whatever the names are."""
    browser = site.browser()
    for _ in range(30):
        browser.send("/sign-in", name="nobody", password="x" * 12)
    refused = browser.request("POST", "/sign-in", data={}, headers={"origin": ORIGIN})
    assert (refused.status_code, refused.json()["code"], int(refused.headers["retry-after"]) > 0) == (429, "N128", True)


def test_a_large_body_is_refused(site: Site) -> None:
    """A body of more than a megabyte, and a form of more than 64 kB, are refused."""
    ann = site.user("ann", "operator")
    large = ann.post("/api/v1/line-stops", {"environment": "*", "reason": "x" * 2**21})
    assert large.status_code in {413, 422}
    assert ann.form("/calendar/stop", environment="*", reason="x" * 2**17).status_code == 422
