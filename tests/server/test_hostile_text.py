"""Text that would act in a browser, in every text field, on every page: it stays text."""

from typing import Any

import pytest

from orchestrator.app import access, people
from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.domain.access.principals import Binding, User
from orchestrator.web import limits
from orchestrator.web.api import trains
from orchestrator.web.pages.rendering import templates
from orchestrator.web.route_table import ROUTES
from tests.cli.request_project import RequestProject, office
from tests.server.hostile_text import (
    MARK,
    PAYLOADS,
    lay_records,
    page_queries,
    read_page,
    send_bodies,
    send_forms,
)
from tests.server.release_scene import DEAD, FORMS, NAMES, lay_all, lay_people
from tests.server.site import Browser, Site
from tests.server.test_changes import management_body, planned

__all__ = ["office"]  # the fixture

API = "/api/v1"
TIMES = {"start": "2031-01-07T08:00:00Z", "end": "2031-01-07T09:00:00Z"}
BODIES: dict[str, dict[str, Any]] = {
    "/promotions": {"release": "shop-1.2.0", "environment": "staging", "allow_rolled_back": "x"},
    "/rollbacks": {"environment": "staging", "version": "1.0.0"},
    "/environments/staging/lock": {"reason": "x"},
    "/environments/staging/unlock": {"reason": "x"},
    "/line-stops": {"environment": "staging", "reason": "x"},
    "/line-stops/resume": {"environment": "staging", "reason": "x"},
    "/change-requests": {"title": "x", "reason": "x", "packages": ["shop"], "environments": ["staging"], "links": ["https://a.example/1"]},
    "/change-requests/R-1/edit": {"title": "x", "reason": "x", "packages": ["shop"], "links": ["https://a.example/1"]},
    "/change-requests/R-1/rank": {"rank": 4, "reason": "x"},
    "/bookings": {"environment": "staging", "purpose": "x", "holder": "user:ann", **TIMES},
    "/bookings/B-1/cancel": {"reason": "x"},
    "/booking-quotas": {"team": "red", "environment": "staging", "hours": 20},
    "/users/bob/edit": {"display_name": "x", "email": "x@example.org", "team": "x", "local": "x", "zone": "UTC"},
    "/train-lines": {"line": {**trains.LINE, "name": "daily", "rule": "FREQ=DAILY", "description": "x", "zone": "UTC"}},
    "/trains": {"line": "weekly"},
    "/hooks": {"name": "x", "form": "github", "account": "ci", "release": "shop", "ref": "x"},
    "/hooks/main/edit": {"ref": "x"},
    "/notification-rules": {"name": "x", "channel": "webhook", "address": "https://93.184.216.34/x", "link": "https://a.example"},
    "/notification-rules/ops/edit": {"environment": "x", "events": ["x"]},
    "/notification-rules/ops/test": {"reason": "x"},
    f"/notifications/{DEAD}/retry": {"reason": "x"},
    "/trains/T-1/hold": {"reason": "x"},
    "/trains/T-1/cancel": {"reason": "x"},
}  # fmt: skip
"""A body that is valid for each route of the API with texts of its own."""
FIELDS = {"comment", "reason", "title", "instructions", "text", "evidence", "went_well"}
"""Fields of forms of which at least one accepts every text."""
VALID = {
    **FORMS,
    "/bookings": {"environment": "staging", "start": "2031-02-07T08:00", "hours": "1"},
    "/implementation-plans/IP-1/tasks": {"name": "pageNUMBER", "owner": "ann"},
}
"""Valid values for forms."""


@pytest.fixture
def site(office: RequestProject, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A server of a project with users, which refuses none of the many requests of a test."""
    monkeypatch.setattr(limits, "REQUESTS", limits.Rate(burst=100_000, each_s=1.0))
    monkeypatch.setattr(limits, "ADDRESS", limits.Rate(burst=100_000, each_s=1.0))
    return Site(office, office.app())


def signed_in(office: RequestProject, site: Site) -> Browser:
    """The browser of a user with every role."""
    with office.acting("root"):
        acting = office.app().acting
        people.add_user(acting, User(name="eve"))
        for role in BUILT_IN:
            access.grant(acting, Binding(role=role, to="user:eve"))
    return site.signed_in("eve")


PROMOTION = "?release=shop-1.2.0&environment=staging"


def addresses(office: RequestProject, run: str, asked: dict[str, Any]) -> list[str]:
    """Every page, with the objects of the scene."""
    given = {
        **{name.strip("{}"): value for name, value in NAMES.items()},
        "environment": "staging",
        "user": "bob",
        "code": "A101",
        "change": "R-1",
        "booking": "B-1",
        "job": f"{run}.deploy",
        "plan": asked["plan"],
        "text": "x" * 43,
    }
    found = []
    for route in ROUTES:
        method, path = route.split()
        if (
            method != "GET"
            or path.startswith(("/api/", "/assets", "/healthz", "/readyz", "/metrics"))
            or "{provider}" in path
            or path.endswith("/files/{digest}")  # a download
        ):
            continue
        names = {**given, "run": asked["id"] if path.startswith("/requests") else run}
        if path.startswith("/implementation-plans"):
            names["plan"] = "IP-1"
        if path.startswith("/releases/"):
            names["release"] = "shop-1.2.0"
        found.append(path.format(**names) + (PROMOTION if path.startswith("/promote") else ""))
    return [
        *found,
        "/calendar?view=timeline",
        "/calendar?view=week",
        "/environments/production",
        "/change-requests?state=draft",
    ]


def lay(office: RequestProject, site: Site) -> tuple[Browser, list[str]]:
    """Objects of each kind with hostile text in every field that accepts it; a reader of everything, and all pages."""
    for version in ("1.0.0", "1.0.1"):
        office.go("staging", version)
    office.packages.put(office.release("1.2.0"))
    ann = site.signed_in("ann")
    asked = ann.post(f"{API}/requests", {"plan": planned(office, "1.2.0"), "reason": PAYLOADS[0]}).json()["request"]
    assert ann.post(f"{API}/change-requests", {"title": "of ann"}).status_code == 201
    assert ann.post(f"{API}/bookings", management_body(f"{API}/bookings")).status_code == 201
    lay_all(office)
    lay_people(office)
    runs = [lay_records(office, payload) for payload in PAYLOADS]
    eve = signed_in(office, site)
    pages = [each for run in runs for each in addresses(office, run, asked)]
    return eve, list(dict.fromkeys(pages))


def test_text_of_users_stays_text_on_every_page(office: RequestProject, site: Site) -> None:
    """Payloads in every field of the API, of every form and of the journal add no element, attribute, address or script."""
    eve, pages = lay(office, site)
    accepted = send_bodies(eve, {f"{API}{path}": body for path, body in BODIES.items()})
    assert accepted >= len(PAYLOADS) * 8
    sent = send_forms(eve, pages, VALID)
    taken = {name for (_, name), took in sent.items() if took}
    assert taken >= FIELDS, sent
    shown = 0
    for page in pages:
        read = read_page(eve.get(page, accept="text/html").text)
        assert read.faults == [], page
        shown += MARK in read.shown
    assert shown >= 15


def test_text_of_addresses_stays_text(office: RequestProject, site: Site) -> None:
    """Payloads in every parameter and in every part of the address of every page add nothing to it."""
    eve = signed_in(office, site)
    queries = page_queries()
    assert sum(len(names) for names in queries.values()) >= 20
    for path, names in queries.items():
        for payload in PAYLOADS:
            for place in ({"part": payload}, *({name: payload} for name in names)):
                part = place.pop("part", "staging")
                if "{" not in path and not place:
                    continue
                address = "/".join(part if each.startswith("{") else each for each in path.split("/"))
                response = eve.request("GET", address, params=place, headers={"accept": "text/html"})
                assert response.status_code < 500, (address, place)
                if "text/html" in response.headers.get("content-type", ""):
                    assert read_page(response.text).faults == [], (address, place)


def test_the_check_finds_text_that_is_not_escaped(
    office: RequestProject, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the escaping of templates a payload in a page is found, and so is each one in the place that it leaves, so that the check is not blind."""
    monkeypatch.setattr(templates, "autoescape", False)
    templates.cache.clear() if templates.cache is not None else None
    olga = site.signed_in("olga")
    try:
        assert olga.form("/environments/staging/lock", reason=PAYLOADS[0]).status_code == 303
        assert read_page(olga.get("/environments/staging").text).faults
    finally:
        templates.cache.clear() if templates.cache is not None else None
    for text in (f'<input value="{PAYLOADS[1]}">', f'<a href="{PAYLOADS[2]}">x</a>', PAYLOADS[3]):
        assert read_page(text).faults
