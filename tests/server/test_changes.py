"""What pages and the API change: with the rights of the command line, and once for each idempotency key."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.app.requests import Promote
from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.domain.journal import Entry, QueuedRequest, Run
from orchestrator.inspect.leftovers import KIND, MADE
from orchestrator.web.api import (
    definitions,
    hook_rules,
    hooks,
    management_orders,
    notifications,
    orders,
    people,
    trains,
    use_cases,
)
from orchestrator.web.route_table import ROUTES
from tests.cli.request_project import PLACE, RequestProject, office
from tests.server.release_scene import FORMS, NAMES, PEOPLE_FORMS, lay_all, lay_people
from tests.server.site import HTML, ORIGIN, Browser, Site

__all__ = ["office"]  # the fixture

RIGHTS: dict[str, list[str]] = yaml.safe_load((Path(__file__).parents[1] / "app" / "rights.yaml").read_text())
READERS = ("viewer", "auditor", "approver")
"""The roles that tell routes apart which change nothing."""
SENT = ("notification_rules.list_notifications",)
OPTIONAL = {
    "GET /runs/{run}/dossier": ("audit.list_entries", "audit.show_entry"),
    "GET /notifications": SENT,
    "GET /notification-rules/{rule}": SENT,
}
"""The use cases that a page calls only for those who have the right, and says so to others."""
EVIL = "<img src=x onerror=alert(1)>"


FREEZES = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
UID:year-end@example.com
SUMMARY:Year end
DTSTART;VALUE=DATE:20301224
DTEND;VALUE=DATE:20301227
END:VEVENT
END:VCALENDAR
"""
"""A calendar file with one event."""
REQUESTS = """apiVersion: orchestrator/v1
kind: ChangeRequests
requests:
  - reference: SHOP-1
    title: Sell gift cards
"""
"""A file with one change request."""


@pytest.fixture
def site(office: RequestProject) -> Site:
    """A server of a project whose promotions into production need one approval."""
    return Site(office, office.app())


def planned(office: RequestProject, version: str = "1.0.0") -> str:
    """The digest of a plan that was made for production."""
    office.packages.put(office.release(version))
    return str(office.by("ann", "plan", version, "--to", PLACE)["digest"])


def shown(request: dict[str, Any]) -> dict[str, str]:
    """What a vote names of a request."""
    return {"plan": request["request"]["plan"], "rendered": request["request"]["rendered"]}


def test_a_plan_is_requested_once_for_each_key(office: RequestProject, site: Site) -> None:
    """A repeated request with one key has one effect and one response; the key of another request is refused."""
    ann, order = site.signed_in("ann"), {"plan": planned(office)}
    first = ann.post("/api/v1/requests", order, **{"idempotency-key": "k1"})
    assert (first.status_code, first.json()["state"]) == (201, "waiting"), first.text
    again = ann.post("/api/v1/requests", order, **{"idempotency-key": "k1"})
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    other = ann.post("/api/v1/requests", {**order, "queue": "night"}, **{"idempotency-key": "k1"})
    assert (other.status_code, other.json()["code"]) == (422, "N126")
    assert ann.post("/api/v1/requests", order, **{"idempotency-key": "a b"}).json()["code"] == "N110"
    assert len(office.by("vic", "approvals")["requests"]) == 1
    unknown = ann.post("/api/v1/requests", {"plan": "sha256:00", "more": 1})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "N110")
    renamed = ann.post("/api/v1/requests", {"plan": "sha256:00", "again": "the load balancer"})
    assert (renamed.status_code, "the field 'again' is now 'allow_rolled_back'" in renamed.text) == (422, True)
    assert ann.post("/api/v1/requests", {"plan": "sha256:00"}, **{"idempotency-key": "k2"}).json()["code"] == "R121"


def test_a_request_is_approved_by_a_form(office: RequestProject, site: Site) -> None:
    """The page shows the plan as text; the requester may not approve; an approval is for the plan that was shown."""
    ann, bob = site.signed_in("ann"), site.signed_in("bob")
    asked = ann.post("/api/v1/requests", {"plan": planned(office)}).json()
    path = f"/requests/{asked['request']['id']}"
    page = bob.get(path)
    assert "Plan: promote shop 1.0.0 → production" in page.text
    assert ('value="approve"' in page.text, 'value="approve"' in ann.get(path).text) == (True, False)
    assert path in bob.get("/").text
    assert path in bob.get("/requests").text
    refused = ann.form(f"{path}/votes", decision="approve", **shown(asked))
    assert (refused.status_code, "A101" in refused.text) == (403, True)
    stale = bob.form(f"{path}/votes", decision="approve", plan=asked["request"]["plan"], rendered="sha256:00")
    assert "A205" in stale.text
    done = bob.form(f"{path}/votes", decision="approve", comment=EVIL, **shown(asked))
    assert (done.status_code, done.headers["location"]) == (303, path)
    after = bob.get(path).text
    assert (EVIL in after, "&lt;img" in after, "ready" in after) == (False, True, True)
    assert bob.form(f"{path}/votes/withdraw").status_code == 303
    assert office.by("vic", "approvals")["requests"][0]["state"] == "waiting"
    vote = {"decision": "reject", **shown(asked), "comment": "not today"}
    assert bob.post(f"/api/v1{path}/votes", vote, **{"idempotency-key": "v"}).json()["state"] == "rejected"


def test_the_risk_of_a_request_is_raised_by_a_form(office: RequestProject, site: Site) -> None:
    """An approver raises the risk of a request with a reason, to a higher level only; others have no form."""
    ann, bob, vic = site.signed_in("ann"), site.signed_in("bob"), site.signed_in("vic")
    asked = ann.post("/api/v1/requests", {"plan": planned(office)}).json()["request"]
    path = f"/requests/{asked['id']}"
    page = bob.get(path).text
    assert (f"{path}/risk" in page, "cannot be lowered again" in page) == (True, True)
    assert f"{path}/risk" not in vic.get(path).text
    assert "A101" in vic.form(f"{path}/risk", level="high", reason="x").text
    for fields, word in (({"level": "high"}, "reason:"), ({"level": "none", "reason": "x"}, "level:")):
        assert word in bob.form(f"{path}/risk", **fields).text
    assert bob.form(f"{path}/risk", level="high", reason=EVIL).headers.get("location") == path
    risk = office.by("vic", "approvals")["requests"][0]["request"]["risk"]
    assert (risk["raised"]["level"], risk["raised"]["by"]) == ("high", "bob")
    page = bob.get(path).text
    assert (f"{path}/risk" in page, EVIL in page, "&lt;img" in page) == (False, False, True)
    assert "A206" in bob.form(f"{path}/risk", level="high", reason="x").text


def test_a_request_is_withdrawn(office: RequestProject, site: Site) -> None:
    """Its requester withdraws a request by a form or the API; a viewer may not."""
    ann, vic = site.signed_in("ann"), site.signed_in("vic")
    for number, path in enumerate(("/requests/{}/withdraw", "/api/v1/requests/{}/withdraw")):
        asked = ann.post("/api/v1/requests", {"plan": planned(office, f"1.{number}.0")}).json()
        place = path.format(asked["request"]["id"])
        api = place.startswith("/api/")
        assert (vic.post(place, {}) if api else vic.form(place)).status_code == 403
        assert (ann.post(place, {"reason": "x"}) if api else ann.form(place, reason="x")).status_code == [303, 200][api]
    assert office.by("vic", "approvals")["requests"] == []


def test_promotions_and_rollbacks_are_queued(office: RequestProject, site: Site) -> None:
    """A server queues runs for workers and executes none; an environment with approvals needs a plan (A201)."""
    ann = site.signed_in("ann")
    for version in ("1.0.0", "1.1.0"):
        office.go("staging", version)
    office.packages.put(office.release("1.2.0"))
    page = ann.get("/promote?release=shop-1.2.0&environment=staging")
    assert "Promote 1.2.0 into staging" in page.text
    done = ann.form("/promote", release="shop-1.2.0", environment="staging")
    run = done.headers["location"].removeprefix("/runs/")
    queued = ann.get(f"/api/v1/runs/{run}").json()
    assert (queued["run"]["kind"], queued["activity"], queued["run"]["by"]) == ("promotion", "queued", "ann")
    assert office.store.work(queued["run"]["root"]).queue == "default"
    governed = ann.post("/api/v1/promotions", {"release": "shop-1.0.0", "environment": PLACE})
    assert (governed.status_code, governed.json()["code"]) == (403, "A201")
    assert "requires approvals" in ann.get(f"/promote?release=shop-1.1.0&environment={PLACE}").text
    path = ann.post("/api/v1/promotions", {"release": "releases/shop", "environment": "staging"})
    assert (path.status_code, path.json()["code"]) == (404, "R106")
    assert "back to shop 1.0.0" in ann.get("/environments/staging/rollback").text
    back = ann.post("/api/v1/rollbacks", {"environment": "staging"})
    assert (back.status_code, back.json()["kind"]) == (202, "Asked"), back.text
    assert office.store.run(back.json()["run"]).kind == "rollback"
    assert ann.form(f"/runs/{run}/control", verb="pause", reason="wait").status_code == 303
    assert office.store.run(run).control == "pause"
    assert offered(ann, run) == ["continue", "cancel", "abort"]
    assert ann.post(f"/api/v1/runs/{run}/control", {"verb": "continue"}).status_code == 202
    assert office.store.run(run).control == ""
    assert offered(ann, run) == ["pause", "cancel", "abort"]
    assert offered(site.signed_in("vic"), run) == []


@pytest.mark.parametrize("way", ["page", "api", "command"])
def test_a_run_whose_process_has_ended_is_left_to_workers(office: RequestProject, site: Site, way: str) -> None:
    """A run that a command executed, and whose process was killed, is continued by a worker once a user requests that at the server."""
    run = interrupted_run(office)
    ann = site.signed_in("ann")
    assert ann.get(f"/api/v1/runs/{run.id}").json()["interrupted"]
    assert offered(ann, run.id) == ["continue", "cancel", "abort"]
    if way == "page":
        assert ann.form(f"/runs/{run.id}/control", verb="continue").status_code == 303
    elif way == "api":
        assert ann.post(f"/api/v1/runs/{run.id}/control", {"verb": "continue"}).status_code == 202
    else:
        order = {"arguments": {"run": run.id}}
        assert ann.post("/api/v1/use-cases/control.transfer", order).status_code == 200
    assert office.store.work(run.root).queue == "default"


def test_a_reaped_run_whose_process_has_ended_is_left_to_workers(office: RequestProject, site: Site) -> None:
    """A run that a command executed, and whose process was killed, is ended by a worker once a user requests at the server that what it made is destroyed."""
    run = interrupted_run(office)
    made = Entry(kind=KIND, data={"stack": "demo-staging", "until": "2026-01-01T00:00:00Z"}, key=MADE)
    office.store.append(run.id, [made])
    office.by("root", "access", "grant", "platform-engineer", "user:olga")
    order = {"arguments": {"environment": run.environment, "made_by": run.id, "queue": "default"}}
    asked = site.signed_in("olga").post("/api/v1/use-cases/recovery.reap", order)
    assert asked.status_code == 200, asked.text
    assert office.store.run(run.id).control == "cancel"
    assert office.store.work(run.root).queue == "default"


def interrupted_run(office: RequestProject) -> Run:
    """A promotion into staging that a command executed, and whose process was killed."""
    run = Run(id="0000a1-staging", root="0000a1", kind="promotion", environment="staging", by="ann")
    ref = office.packages.put(office.release("1.0.0")).ref
    asked = Promote(root=run.root, package=ref, targets=(run.environment,), by=run.by)
    office.store.submit(QueuedRequest(root=run.root, request=asked.to_json()), run)
    office.store.claim(run.root, "dead", "here", 0.0)
    office.store.acquire(run.environment, run.id, "ann", run.kind, worker="dead")
    office.store.release_claim(run.root, "dead", done=False)
    return run


def offered(browser: Browser, run: str) -> list[str]:
    """What the page of *run* offers to request of it."""
    return re.findall(r'name="verb" value="(\w+)"', browser.get(f"/runs/{run}", accept="text/html").text)


def test_environments_are_locked_and_the_line_is_stopped(office: RequestProject, site: Site) -> None:
    """A lock and a line stop have a reason, are shown, and are ended by the roles that may."""
    ann, olga = site.signed_in("ann"), site.signed_in("olga")
    assert "N110" in olga.form("/environments/staging/lock", reason=" ").text
    assert olga.form("/environments/staging/lock", reason="load test").status_code == 303
    assert "load test" in olga.get("/environments/staging").text
    assert olga.post("/api/v1/environments/staging/lock", {"reason": "x"}).json()["code"] == "S101"
    assert olga.post("/api/v1/environments/staging/unlock", {}).json()["lock"]["reason"] == "load test"
    assert olga.form("/calendar/stop", environment="*", reason="leak").status_code == 303
    assert "leak" in olga.get("/calendar").text
    assert "A101" in olga.form("/calendar/resume", environment="*").text
    assert ann.post("/api/v1/line-stops/resume", {"environment": "*"}).status_code == 200
    assert ann.post("/api/v1/line-stops", {"environment": "staging", "reason": "leak"}).status_code == 201
    assert ann.form("/calendar/resume", environment="staging").status_code == 303


def test_a_change_with_a_session_needs_the_token_of_its_forms(office: RequestProject, site: Site) -> None:
    """The API takes a session for a change only with the token of forms; a token of the API needs none."""
    ann = site.signed_in("ann")
    order = {"environment": "staging", "reason": "leak"}
    for headers in ({"origin": ORIGIN}, {"origin": "http://evil.test", "x-form-token": ann.form_token}):
        refused = ann.request("POST", "/api/v1/line-stops", json=order, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "N122")
    bearer = {"authorization": f"Bearer {office.tokens['ann']}"}
    assert site.browser().request("POST", "/api/v1/line-stops", json=order, headers=bearer).status_code == 201


def management_body(route: str) -> dict[str, Any]:
    """A body or form of release management that is valid for *route*; empty if it is not one of it."""
    api = "api" in route
    times = {"end": "2031-01-07T09:00:00Z"} if api else {"hours": "1"}
    bodies: dict[str, dict[str, Any]] = {
        "/train-lines": {"line": {**trains.LINE, "name": "daily", "rule": "FREQ=DAILY"}},
        "/train-lines/weekly/edit": {"line": {"zone": "Europe/Berlin"}},
        "/trains": {"line": "weekly"},
        "/trains/T-1/edit": {"departs_at": "2031-01-07T08:00:00Z", "reason": "x"},
        "/board": {"package": "shop-1.3.0"},
        "/leave": {"package": "shop", "reason": "x"},
        "/users/bob/edit": {"team": "red"},
        "/change-requests": {"title": "Sell gift cards"},
        "/api/v1/hooks": {"name": "new", "form": "github", "account": "ci", "release": "shop"},
        "/api/v1/hooks/main/edit": {"ref": "main"},
        "/api/v1/notification-rules": PEOPLE_FORMS["/notification-rules"],
        "/api/v1/notification-rules/ops/edit": {"digest": "daily"},
        "/extend": {"until": "2031-01-07T10:00:00Z"},
        "/hand-over": {"holder": "user:ann"},
        "/edit": {"value": 4 if api else "4"},
        "/bookings": {"environment": "staging", "start": "2031-01-07T08:00:00Z", "purpose": "x", **times},
        "/booking-quotas": {"team": "red", "environment": "staging", "hours": 20},
    }
    return next((fields for end, fields in bodies.items() if route.endswith(end)), {})


BODIES: dict[str, dict[str, Any]] = {
    "/parity": {"with": "production"},
    "/audit/export": {"start": "2026-01-01T00:00", "end": "2026-01-02T00:00"},
    "/use": {"message": "x"},
    "/calendar/import": {"text": FREEZES, "name": "freezes.ics", "zone": "UTC", "confirm": "yes"},
    "/change-requests/import": {"text": REQUESTS, "name": "requests.yaml", "confirm": "yes"},
    "/risk": {"level": "high", "reason": "x"},
    "/promote/override": {"release": "shop-1.0.0", "environment": "staging", "entry": "windows", "reason": "x"},
    "/calendar/entries": {
        "kind": "hard-freeze",
        "title": "x",
        "start": "2031-01-07T08:00",
        "end": "2031-01-07T09:00",
        "zone": "UTC",
        "environments": "staging",
    },
}
"""The bodies of routes, by how these end."""


def body_of(route: str, asked: dict[str, Any]) -> dict[str, Any]:
    """A body or form that is valid for *route*."""
    if route in FORMS | PEOPLE_FORMS:
        return dict((FORMS | PEOPLE_FORMS)[route])
    fields: dict[str, Any] = management_body(route) or {"reason": "x"}
    if "/votes" in route and not route.endswith("withdraw"):
        return {"decision": "approve", **shown(asked)}
    if route.endswith("control"):
        fields["verb"] = "pause"
    if route.endswith(("promotions", "promote", "promote/plan", "/rehearse")):
        fields = {"release": "shop-1.3.0", "environment": "staging"}
    if route.endswith("api/v1/requests"):
        fields = {"plan": asked["request"]["plan"]}
    if route.endswith(("rollback", "rollbacks")):
        fields = {"environment": "staging"} if "api" in route else {}
    fields = next((dict(given) for end, given in BODIES.items() if route.endswith(end)), fields)
    if "line-stops" in route or "/calendar/" in route:
        fields["environment"] = "staging"
    return fields


def test_every_route_asks_for_the_rights_of_its_use_cases(office: RequestProject, site: Site) -> None:
    """As each role, a route is refused with A101 exactly if one of its use cases is: the table of rights has no exception."""
    for version in ("1.0.0", "1.0.1"):
        office.go("staging", version)
    open_run = office.request("staging", "1.1.0")
    office.packages.put(office.release("1.3.0"))
    ann = site.signed_in("ann")
    asked = ann.post("/api/v1/requests", {"plan": planned(office, "1.2.0")}).json()
    assert ann.post("/api/v1/change-requests", {"title": "of ann"}).status_code == 201
    assert ann.post("/api/v1/bookings", body_of("/api/v1/bookings", asked)).status_code == 201
    lay_all(office)
    lay_people(office)
    values = {
        **NAMES,
        "/implementation-plans/{plan}": "/implementation-plans/IP-1",
        "{team}": "red",
        "{environment}": "staging",
        "{code}": "A101",
        "{change}": "R-1",
        "{booking}": "B-1",
        "{user}": "bob",
        "{group}": "ops",
        "{account}": "ci",
        "{prefix}": office.tokens["vic"].split("_")[1],
        "{line}": "weekly",
        "{train}": "T-1",
        "{plan}": asked["request"]["plan"],
        "{job}": "x",
        "{digest}": f"sha256:{'0' * 64}",
    }
    expected, found = {}, {}
    for role in BUILT_IN:
        browser = site.user(f"r-{role}", role)
        token = browser.form_token
        for route, cases in ROUTES.items():
            if not isinstance(cases, tuple) or "events" in route:
                continue
            method, path = route.split()
            if method == "GET" and role not in READERS:
                continue
            run = asked["request"]["id"] if "requests" in path else open_run.id
            if path == "/releases/{release}":
                path = "/releases/shop-1.0.0"
            for name, value in {**values, "{run}": run}.items():
                path = path.replace(name, value)
            path += {
                "GET /promote": "?release=shop-1.0.0&environment=staging",
                "GET /promote/override": "?release=shop-1.0.0&environment=staging",
                "GET /api/v1/can-i": "?action=view",
                "GET /search": "?q=shop",
                "GET /api/v1/search": "?q=shop",
                "GET /api/v1/free-slots": "?environment=staging",
            }.get(route, "")
            more: dict[str, Any] = {"headers": {"origin": ORIGIN, "x-form-token": token}}
            if method == "POST":
                fields = body_of(path, asked)
                more |= {"json": fields} if "/api/" in path else {"data": {"form_token": token, **fields}}
            if method == "PUT":
                more["headers"]["content-range"] = "bytes 0-0/2"
                more["content"] = b"x"
            answer = browser.request(method, path, **more)
            denied = answer.status_code == 403 and (method == "HEAD" or answer.json()["code"] == "A101")
            left = ("plans.find", "queries.story", *OPTIONAL.get(route, ()))
            changing = [case for case in cases if case not in left]
            expected[role, route] = not all(role in RIGHTS[case] for case in changing)
            found[role, route] = denied
            assert answer.status_code < 500, (route, answer.text)
    assert {key: value for key, value in found.items() if value != expected[key]} == {}


def test_pages_work_without_data_and_with_hostile_text(office: RequestProject, site: Site) -> None:
    """Empty lists name the next command, and text from records is shown as text."""
    ann = site.signed_in("root")
    for path, words in (
        ("/runs", "orchestrator promote"), ("/requests", "approvals:"), ("/matrix", "orchestrator build"),
        ("/environments/staging", "orchestrator promote RELEASE --to staging"), ("/calendar", "orchestrator calendar add"),
    ):  # fmt: skip
        assert words in ann.get(path).text, path
    olga = site.signed_in("olga")
    olga.form("/environments/staging/lock", reason=EVIL)
    olga.form("/calendar/stop", environment="*", reason=EVIL)
    for path in ("/", "/environments", "/environments/staging", "/calendar", "/audit"):
        text = ann.get(path, **HTML).text
        assert (path, EVIL in text) == (path, False)
    assert json.loads(ann.get("/api/openapi.json").content)["openapi"].startswith("3.1")


def test_no_request_ends_with_an_internal_error(office: RequestProject, site: Site) -> None:
    """Wrong bodies, parameters and names get a problem document with a code below 500, from every route of the API."""
    token = site.signed_in("root")
    headers = {"origin": ORIGIN, "x-form-token": token.form_token}
    bodies = (
        "",
        "[]",
        "null",
        '{"environment": 1}',
        '{"a": "\\ud800"}',
        "{" * 200,
        json.dumps({"environment": "x" * 500}),
    )
    names = ("%00", "..%2f..%2fetc", "x" * 300, "%F0%9F%92%A3")
    for route in ROUTES:
        method, path = route.split()
        if "/api/" not in path or path.endswith("events"):
            continue
        for name in names if "{" in path else ("",):
            place = re.sub(r"\{\w+\}", name, path)
            for body in bodies if method == "POST" else ("",):
                more = {"content-type": "application/json", "idempotency-key": f"{len(body)}"}
                answer = token.request(method, place, content=body, headers={**headers, **more})
                assert answer.status_code < 500, (route, name, body, answer.text)
                assert answer.status_code < 400 or method == "HEAD" or answer.json()["code"], (route, answer.text)
    for query in ("?cursor=%00", "?limit=-1", "?limit=x", "?state=nothing", "?environment=%F0%9F%92%A3&kind=zzz"):
        assert token.get(f"/api/v1/runs{query}").status_code < 500, query


def test_the_description_of_the_api_is_complete(site: Site) -> None:
    """Each operation has a text, its problems, a schema of its document, and for a change a body with a valid example."""
    document = site.browser().get("/api/openapi.json").json()
    found = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert found == {route for route in ROUTES if "/api/v1/" in route}
    schemas = document["components"]["schemas"]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["description"], path
            answers = operation["responses"]
            assert {"401", "403", "422", "429", "503"} <= answers.keys(), path
            assert method == "head" or answers["429"] == {"$ref": "#/components/responses/Problem"}, path
            bodies = [answer.get("content", {}) for status, answer in answers.items() if status[0] == "2"]
            assert method == "head" or all(found["schema"] for body in bodies for found in body.values()), path
            assert method == "head" or all(bodies), path
            if method == "post":
                body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
                assert schemas[body]["examples"], path
    assert "application/problem+json" in document["components"]["responses"]["Problem"]["content"]
    known = {
        **vars(orders),
        **vars(management_orders),
        **vars(use_cases),
        **vars(people),
        **vars(trains),
        **vars(hooks),
        **vars(definitions),
        **vars(hook_rules),
        **vars(notifications),
    }
    for example, order in ((e, known[name]) for name, schema in schemas.items() for e in schema.get("examples", ())):
        assert order.model_validate(example)
