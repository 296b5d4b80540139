"""Who passes a booking, and since when other promotions waited: from the register."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from orchestrator.app.acting import View
from orchestrator.app.request_facts import renamed_requests, request_of_run
from orchestrator.domain.approval.request_state import RequestState
from orchestrator.domain.approval.requests import RunRequest
from orchestrator.domain.register import OPEN, REQUESTS, VOTES
from orchestrator.management.bookings.model import EnvironmentBooking
from orchestrator.management.bookings.ports import Use
from orchestrator.management.planned_releases.store import PLANNED_RELEASES
from orchestrator.management.trains.store import TRAINS

READY = frozenset({RequestState.READY, RequestState.HELD})
"""Requests that wait for the environment, and not for votes."""


def passing_of(view: View, bookings: Iterable[EnvironmentBooking]) -> dict[str, frozenset[str]]:
    """The users and packages that each of *bookings* lets pass, besides the user who holds it, by its id."""
    teams: dict[str, set[str]] = {}
    for user in view.access.users:
        teams.setdefault(user.team or "", set()).add(user.name)
    return {each.id: frozenset(_passing(view, each, teams)) for each in bookings}


def _passing(view: View, booking: EnvironmentBooking, teams: Mapping[str, set[str]]) -> Iterator[str]:
    kind, _, name = booking.holder.partition(":")
    if kind == "team":
        yield from teams.get(name, ())
    if kind == "release" and (release := view.records.get(PLANNED_RELEASES, name)) is not None:
        yield from (package.digest for package in release.packages if package.digest)
    if kind == "train" and (train := view.records.get(TRAINS, name)) is not None:
        yield from (member.digest for member in train.members)


def with_requests(view: View, uses: Mapping[str, Iterable[Use]]) -> dict[str, tuple[Use, ...]]:
    """*uses* of each environment, each waiting since its run request was ready, and the requests that still wait."""
    renamed = renamed_requests(view.records)
    found = {name: [_since_ready(view, use, renamed) for use in runs] for name, runs in uses.items()}
    now = view.now.earliest
    for request in view.records.all(REQUESTS, OPEN):
        for name in request.first if request.state in READY else ():
            if name in found:
                found[name].append(_use(request, name, min(_ready_at(view, request), now), now))
    return {name: tuple(runs) for name, runs in found.items()}


def _since_ready(view: View, use: Use, renamed: Mapping[str, RunRequest]) -> Use:
    """*use*, waiting since its request was ready."""
    request = request_of_run(view.records, use.run, use.root, renamed)
    return use if request is None else replace(use, requested=min(use.requested, _ready_at(view, request)))


def _use(request: RunRequest, environment: str, since: datetime, now: datetime) -> Use:
    return Use(environment, request.requester, since, now, now, package=request.package)


def _ready_at(view: View, request: RunRequest) -> datetime:
    """When *request* had its votes and its earliest start had come."""
    times = [cast.vote.at for cast in view.records.all(VOTES, request.id) if cast.vote.withdrawn_at is None]
    if request.start is not None:
        times.append(request.start)
    return max([request.requested_at, *times])
