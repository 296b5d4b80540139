"""`show` and `watch` with the id of a promotion that waits, in the folder of a project and at its server."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest

from tests.cli.request_project import RequestProject, office
from tests.server.remote_site import Said, said, serving
from tests.server.test_remote_requests import working

__all__ = ["office"]  # the fixture
PLACES = ("folder", "server")


@contextmanager
def place(office: RequestProject, where: str) -> Iterator[tuple[str, ...]]:
    """The options of commands that act in the folder of the project, or at a server of it."""
    with serving(office) if where == "server" else nullcontext("") as url:
        yield ("--server", url) if url else ()


@pytest.mark.parametrize("where", PLACES)
def test_a_promotion_that_waits_is_shown(office: RequestProject, where: str) -> None:
    """`show` of a promotion without a run shows its request and what it waits for, also by the first part of its id."""
    request = office.ask("1.0.0")["request"]["id"]
    with place(office, where) as at:
        for wanted in (request, request[:5]):
            shown = said(office, "vic", *at, "show", wanted)
            assert shown.code == 0, shown.err
            assert f"{request} waiting: shop 1.0.0 → production" in shown.out
            assert "waiting for 1 of 1 approval: can be given by bob, cid" in " ".join(shown.out.split())
        missing = said(office, "vic", *at, "show", "none")
        assert (missing.code != 0, "R101" in missing.err) == (True, True), missing


@pytest.mark.parametrize("where", PLACES)
def test_a_promotion_that_waits_is_watched_to_the_end_of_its_run(office: RequestProject, where: str) -> None:
    """`watch` prints what a promotion waits for until it starts, follows its run, and has the exit status of that."""
    request = office.ask("1.0.0")["request"]["id"]
    office.by("bob", "approve", request)
    watched, begun = list[Said](), threading.Event()

    def work() -> None:
        begun.wait(1.5)  # the watch has begun by then; if not, the story is the same from a later point
        with working(office):
            begun.wait()

    worker = threading.Thread(target=work)
    with place(office, where) as at:
        worker.start()
        try:
            watched.append(said(office, "vic", *at, "watch", request))
        finally:
            begun.set()
            worker.join(60)
    [done] = watched
    assert done.code == 0, done
    assert f"{request} waits: every condition of the start is met" in done.err
    assert "no worker is running, which would start it: orchestrator worker" in done.err
    assert office.by("vic", "approvals", request)["state"] == "finished"


@pytest.mark.parametrize("where", PLACES)
def test_the_watch_of_a_promotion_that_never_starts_ends(office: RequestProject, where: str) -> None:
    """`watch` of a promotion that was withdrawn says so and ends with the status of what is not allowed."""
    request = office.ask("1.0.0")["request"]["id"]
    office.by("ann", "withdraw", request, "-m", "too early")
    with place(office, where) as at:
        done = said(office, "vic", *at, "watch", request)
        assert (done.code, "withdrawn" in done.out, "too early" in done.out) == (3, True, True), done
