"""The API and its description agree: schemathesis calls every route as the description says, and against it."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.app import access, people, tokens
from orchestrator.domain.access.actions import BUILT_IN
from orchestrator.domain.access.principals import Binding, User
from orchestrator.web import limits
from tests.cli.request_project import RequestProject, office
from tests.server.listening import listening
from tests.server.release_scene import lay_all
from tests.server.site import Site
from tests.server.test_changes import planned
from tools.api_conformance import installed_program

__all__ = ["office"]  # the fixture

EXAMPLES = int(os.environ.get("EXAMPLES", "1"))
"""How many random requests each route gets, for each of valid and invalid data; `make api-conformance` sends more."""
SEED = os.environ.get("SEED", "1")
EVENTS, RECORD_EVENTS = "/api/v1/events", "/api/v1/record-events"
"""Streams, which have tests of their own."""
OF_EACH = 8
"""How many objects of each kind exist."""
KNOWN = 0.7
"""The share of requests that name objects that exist."""
CONFIGURATION = """
base-url = "{url}"
headers = {{ Authorization = "Bearer {token}" }}
continue-on-failure = true
request-timeout = 60
[cache]
enabled = false
[generation]
max-examples = {examples}
database = "none"
no-shrink = true
[phases.stateful]
enabled = false
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 409, 412, 413, 422, 304]
[dictionaries]
{dictionaries}
[parameters]
{parameters}
"""


def times(number: int) -> dict[str, str]:
    """The times of a booking."""
    return {"start": f"2031-01-0{number + 1}T08:00:00Z", "end": f"2031-01-0{number + 1}T09:00:00Z"}


def operations(site: Site) -> Iterator[str]:
    """Every route of the description, with its method."""
    for path, found in site.server.openapi()["paths"].items():
        yield from (f"{method} {path}" for method in found)


def scene(office: RequestProject, site: Site) -> dict[str, list[str]]:
    """Lay an object of each kind; the values for each parameter of a path."""
    for version in ("1.0.0", "1.0.1"):
        office.go("staging", version)
    run = office.request("staging", "1.1.0")
    ann = site.signed_in("ann")
    asked = ann.post("/api/v1/requests", {"plan": planned(office, "1.2.0")}).json()["request"]
    for number in range(OF_EACH):
        change = {"title": f"change {number}", "submit": number % 2 == 0}
        assert ann.post("/api/v1/change-requests", change).status_code == 201
        booking = {"environment": "staging", "purpose": "x", **times(number)}
        assert ann.post("/api/v1/bookings", booking).status_code == 201
    lay_all(office)
    for _ in range(OF_EACH - 1):
        assert ann.post("/api/v1/trains", {"line": "weekly"}).status_code == 201
    return {
        "run": [run.id, asked["id"]],
        "environment": ["staging", "production"],
        "change": [f"R-{number}" for number in range(1, OF_EACH + 1)],
        "booking": [f"B-{number}" for number in range(1, OF_EACH + 1)],
        "user": ["bob", "ann"],
        "line": ["weekly"],
        "train": [f"T-{number}" for number in range(1, OF_EACH + 1)],
        "plan": [asked["plan"]],
        "job": ["deploy", "x"],
        "case": ["bookings.list_bookings", "calendar.states", "people.add_user", "trains.list_lines"],
    }


def configuration(url: str, token: str, names: dict[str, list[str]]) -> str:
    """What schemathesis reads."""
    return CONFIGURATION.format(
        url=url,
        token=token,
        examples=EXAMPLES,
        dictionaries="\n".join(f"{name} = {{ values = {json.dumps(values)} }}" for name, values in names.items()),
        parameters="\n".join(f'"path.{name}" = {{ dictionary = "{name}", probability = {KNOWN} }}' for name in names),
    )


@pytest.fixture
def token(office: RequestProject) -> str:
    """The token of a user with every role."""
    app = office.app()
    with office.acting("root"):
        acting = office.app().acting
        people.add_user(acting, User(name="eve"))
        for role in BUILT_IN:
            access.grant(acting, Binding(role=role, to="user:eve"))
        made = tokens.create_token(acting, "eve", lifetime=timedelta(days=1)).text
    app.register.close()
    return made


def test_the_api_is_as_its_description_says(
    office: RequestProject, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request to any route ends with an internal error, or with a status, type, header or document that is not described."""
    monkeypatch.setattr(limits, "REQUESTS", limits.Rate(burst=10**6, each_s=10**5))
    for name in ("ADDRESS", "SIGN_IN"):
        monkeypatch.setattr(limits, name, limits.REQUESTS)
    site = Site(office, office.app())
    file, names = tmp_path / "schemathesis.toml", scene(office, site)
    with listening(site.server) as port:
        url = f"http://127.0.0.1:{port}"
        file.write_text(configuration(url, token, names))
        words = [str(installed_program()), "--config-file", str(file), "run", f"{url}/api/openapi.json"]
        more = [
            "--exclude-path",
            EVENTS,
            "--exclude-path",
            RECORD_EVENTS,
            "--seed",
            SEED,
            "--no-color",
            "--workers",
            "2",
        ]
        with (tmp_path / "report.txt").open("w") as report:
            done = subprocess.run([*words, *more], cwd=tmp_path, stdout=report, stderr=report, check=False)
    text = (tmp_path / "report.txt").read_text()
    assert done.returncode == 0, text[-20_000:]
    tested = re.search(r"Tested: +(\d+)", text)
    assert tested is not None, text
    assert int(tested[1]) == len(list(operations(site))) - len({EVENTS, RECORD_EVENTS})
