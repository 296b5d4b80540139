"""Promotions that need approvals, requested at a server: the plan is made by a worker, and the request is that of the folder."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from orchestrator.cli.planned import plan_text
from orchestrator.domain.moments import parse_moment
from orchestrator.management.worker_calls import answer_call
from orchestrator.ports.lists import each_request
from tests.cli.request_project import RequestProject, office
from tests.server.remote_site import Said, said, serving

__all__ = ["office"]  # the fixture
IDS = re.compile(r"\b[0-9a-f]{6}\b|\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b")


def do_work(office: RequestProject, stop: threading.Event) -> None:
    """What a worker of *office* does: calls, what is due, and what was started."""
    app = office.app()
    scheduler = app.scheduler(plan_text)
    while not stop.wait(0.05):
        list(scheduler.run())
        call = app.worker_calls.take("worker", parse_moment(app.services.clock.now()) + timedelta(seconds=1))
        if call is not None:
            answer_call(app, call)
        for work in each_request(office.store):
            office.execute(f"{work.root}-production")
    scheduler.release_lease()
    app.close()


@contextmanager
def working(office: RequestProject) -> Iterator[None]:
    """A worker of *office*, in a thread."""
    stop = threading.Event()
    thread = threading.Thread(target=do_work, args=(office, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def plain(done: Said) -> Said:
    """Without times and ids."""
    found = done.plain()
    return Said(found.code, IDS.sub("ID", found.out), IDS.sub("ID", found.err))


def test_a_promotion_is_requested_approved_and_followed(office: RequestProject) -> None:
    """`promote` records the same request at a server as in the folder; with --wait it is followed from the approval to its end."""
    office.packages.put(office.release("1.0.0"))
    words = ("promote", "1.0.0", "--to", "production")
    here = said(office, "ann", *words)
    request = office.by("vic", "approvals")["requests"][0]["request"]["id"]
    office.by("ann", "withdraw", request)
    with serving(office) as url, working(office):
        while not office.app().scheduler_runs():
            pass
        there = said(office, "ann", "--server", url, *words)
        assert plain(there).out == plain(here).out, there.err
        assert (here.code, there.code) == (0, 0)
        request = office.by("vic", "approvals")["requests"][0]["request"]["id"]
        assert said(office, "bob", "--server", url, "approve", request, "--yes").code == 0
        deadline = time.monotonic() + 60
        while office.by("vic", "approvals", request)["state"] == "ready" and time.monotonic() < deadline:
            time.sleep(0.1)  # until the scheduler has started it
        followed = said(office, "ann", "--server", url, "watch", request.partition("-")[0])
        assert office.by("vic", "approvals", request)["state"] in {"started", "finished"}, followed
