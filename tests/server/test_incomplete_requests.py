"""Open promotions of which this machine lacks something: the lists show them and all others."""

import shutil
from datetime import UTC, datetime, timedelta

from orchestrator.domain.approval.request_state import RequestState
from tests.cli.request_project import PLACE, RULE, RequestProject, office
from tests.server.site import Site

__all__ = ["office"]  # the fixture

LISTS = ("/", "/requests", "/requests?everything=true", "/api/v1/requests", "/api/v1/requests?everything=true")


def open_for_a_day() -> str:
    """The rule of an environment that is open now, and closes within a day."""
    start, end = ((datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M") for days in (-1, 1))
    return f"windows: [{{title: today, start: '{start}', end: '{end}', zone: UTC}}]\n"


def texts(site: Site) -> list[str]:
    """The responses to the lists of requests, as a viewer gets them."""
    vic = site.signed_in("vic")
    found = [vic.get(path) for path in LISTS]
    assert [each.status_code for each in found] == [200] * len(LISTS), [each.text[-500:] for each in found]
    return [each.text for each in found]


def test_a_package_that_is_not_kept_here_leaves_the_lists_readable(office: RequestProject) -> None:
    """A request whose package this machine does not keep is listed, and has a warning that its duration is not known."""
    office.rule(RULE + open_for_a_day())
    request = office.ask("1.0.0")["request"]
    site = Site(office, office.app())
    known = texts(site)
    office.packages.remove(next(ref for ref in office.packages.refs() if ref.digest == request["package"]))
    shown = texts(site)
    assert all(request["id"] in text for text in shown[1:])
    assert ["of unknown duration" in text for text in known] == [False] * len(LISTS)
    assert "of unknown duration" in shown[3]


def test_an_environment_that_was_removed_leaves_the_lists_readable(office: RequestProject) -> None:
    """A request for an environment without a file is listed, is refused for that reason, and holds no other one up."""
    office.rule(RULE, "staging")
    gone = office.ask("1.0.0")["request"]["id"]
    stays = office.by("ann", "promote", "1.0.0", "--to", "staging")["request"]["id"]
    for each in (gone, stays):
        office.by("bob", "approve", each)
    shutil.rmtree(office.folder / "environments" / PLACE)
    shown = texts(Site(office, office.app()))
    assert all(gone in text and stays in text for text in shown[1:])
    assert f"no longer has the environment {PLACE}" in shown[3]
    done = office.duties()
    assert not [text for text in done if "FAILED" in text], done
    states = {each["request"]["id"]: each["state"] for each in office.by("vic", "approvals")["requests"]}
    assert (states[gone], states[stays]) == (RequestState.READY, RequestState.STARTED)
