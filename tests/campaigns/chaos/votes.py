"""Row 41: votes, a withdrawal, another plan, an expiry and a start at the same moment, each by a thread with a connection of its own."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.adapters.database.engine import sqlite_url
from orchestrator.adapters.database.register import DatabaseRegister
from orchestrator.adapters.memory.keys import MemoryKeys
from orchestrator.adapters.memory.store import ManualClock
from orchestrator.app.run_requests import withdraw_request
from orchestrator.app.starts import start_request
from orchestrator.app.votes import Shown, cast_vote
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.approval.votes import Decision
from orchestrator.domain.audit.chain import AuditEntry
from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.register import REQUESTS
from tests.campaigns.chaos.parts import postgres
from tests.campaigns.chaos.table import Scene as ChaosScene
from tests.campaigns.chaos.table import row
from tests.campaigns.waiting_promotion import BEGIN, Log, NoHeads, Scene, lay

ROUNDS = 20
TOLD = {"A101", "A107", "A204", "A205", "A206"}
"""The codes by which a loser is told that another was first."""


@row(41, "votes, a withdrawal, another plan and a start at the same moment")
def votes_at_once(scene: ChaosScene) -> str:
    """Up to four actors act on one request at once, on SQLite and on Postgres: one outcome, and the losers are told."""
    ends: Counter[str] = Counter()
    for url in (sqlite_url(Path(scene.folder) / "votes.db"), postgres(scene).fresh()):
        for number in range(ROUNDS):
            ends[_round(scene, url, f"p{number}")] += 1
    return ", ".join(f"{state} {count} times" for state, count in sorted(ends.items()))


def _round(chaos: ChaosScene, url: str, project: str) -> str:
    """One request, with everything at the same moment. Returns its state afterwards."""
    late = chaos.rng.random() < 0.3
    first = _opened(url, project)
    lay(first.register, 1)
    first.do("request")
    request = first.current()
    assert request is not None
    shown = Shown(request.plan, request.rendered)
    if chaos.rng.random() < 0.5:
        cast_vote(first.acting("bob"), request.id, Decision.APPROVE, shown, first.rules)
    works: dict[str, Callable[[Scene], Any]] = {
        "bob": lambda s: cast_vote(s.acting("bob"), request.id, Decision.APPROVE, shown, s.rules),
        "cid": lambda s: cast_vote(s.acting("cid"), request.id, Decision.REJECT, shown, s.rules),
        "withdraw": lambda s: withdraw_request(s.acting("ann"), request.id),
        "edit": _replan,
        "start": lambda s: start_request(s.acting("system"), request.id, s.rules),
    }
    others = chaos.rng.sample(["cid", "withdraw", "edit"], chaos.rng.randrange(3))
    works = {name: works[name] for name in ("bob", "start", *others)}
    codes = _at_once(chaos, url, project, works, late=late)
    assert set(codes) <= TOLD, codes
    found = first.register.reading(lambda records: records.get(REQUESTS, request.id))
    entries = first.register.reading(lambda records: records.audit())
    assert found is not None
    assert MemoryKeys().broken(entries) is None
    _judge(found, entries)
    first.register.close()
    return found.state.value


def _replan(scene: Scene) -> None:
    """The requester requests it again with another plan."""
    scene.log = replace(scene.log, plan=2, asked=5)
    scene._request()


def _opened(url: str, project: str, *, late: bool = False) -> Scene:
    """A connection to the register; *late* is after the votes have expired."""
    clock = ManualClock(BEGIN + timedelta(hours=9 if late else 0))
    return Scene(DatabaseRegister(url, clock, project, MemoryKeys(), NoHeads()), clock, Log(count=1))


def _at_once(
    chaos: ChaosScene, url: str, project: str, works: dict[str, Callable[[Scene], Any]], *, late: bool
) -> list[str]:
    """Do all *works* behind one barrier, each with a connection of its own; the codes of what was refused."""
    barrier, codes, wrong = threading.Barrier(len(works)), list[str](), list[BaseException]()

    def act(name: str, work: Callable[[Scene], Any]) -> None:
        scene = _opened(url, project, late=late and name == "start")
        try:
            barrier.wait(30)
            work(scene)
        except OrchestratorError as error:
            codes.append(error.code)
        except BaseException as error:  # noqa: BLE001 - it is raised below
            wrong.append(error)
        finally:
            scene.register.close()

    names = chaos.rng.sample(sorted(works), len(works))
    threads = [threading.Thread(target=act, args=(name, works[name])) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if wrong:
        raise wrong[0]
    return codes


def _judge(request: RunRequest, entries: tuple[AuditEntry, ...]) -> None:
    """The stream is the order: replayed by hand it leads to the state, and a start had a vote for its plan."""
    approved, rejected, plan, state = set[str](), False, "", RequestState.WAITING
    for entry in entries:
        detail = entry.detail
        if entry.object.startswith("vote:"):
            approved |= {detail["plan"]} if detail["decision"] == "approve" else set()
            rejected |= detail["decision"] == "reject" and detail["plan"] == plan
        event = detail.get("event") if entry.object == f"run:{request.id}" else None
        if event in {"request", "replan"}:
            assert state in {RequestState.WAITING, RequestState.READY}, state
            plan, rejected, state = detail["plan"], rejected and detail["plan"] == plan, RequestState.WAITING
        elif event == "start":
            assert (state, detail["plan"], plan in approved, rejected) == (RequestState.READY, plan, True, False)
            state = RequestState.STARTED
        elif event is not None:
            ended = {"approve": "ready", "lapse": "waiting", "reject": "rejected", "withdraw": "withdrawn"}
            assert state in {RequestState.WAITING, RequestState.READY}, (state, event)
            state = RequestState(ended[event])
    assert (request.state, request.plan) == (state, plan)
