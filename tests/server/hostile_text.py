"""Text that would act in a browser, in every text field of a project, and what may never be found on a page of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from fastapi.routing import APIRoute

from orchestrator.domain.journal import Entry
from orchestrator.web.server import ROUTERS
from tests.cli.request_project import RequestProject
from tests.server.site import Browser

MARK = "q4711q"
PAYLOADS = (
    f"'\"--></textarea></title></option></style></script><svg/onload=alert({MARK})><img src=x onerror=alert({MARK})>",
    f'" autofocus onfocus=alert({MARK}) style=background:url(//{MARK}) x="',
    f"javascript:alert({MARK})//",
    f"{{{{7*7}}}}${{7*7}}<!--#exec cmd={MARK}--><a href=data:text/html,{MARK}>&lt;script&gt;{MARK}</a>",
)
"""They leave text, attributes, links and templates: each is at most 200 characters long."""
ADDRESSES = frozenset(
    {"href", "src", "action", "formaction", "hx-get", "hx-post", "poster", "data", "srcset", "xlink:href"}
)
VALUES = frozenset({"value", "title", "aria-label", "alt", "placeholder", "content"})
"""The attributes that may have text of users."""
NEVER = frozenset(
    {"iframe", "object", "embed", "base", "style", "applet", "frame", "math", "template", "foreignobject"}
)
SCRIPTS = re.compile(r"/assets/[a-z0-9.-]+\.js")
COLOURS = re.compile(r"\d+(?:\.\d+)?")


@dataclass
class Form:
    """A form of a page: its *action*, and the names of its fields with their values. *texts* are those for text."""

    action: str
    values: dict[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)


class PageReader(HTMLParser):
    """Reads a page as a browser does. *faults* are what text of a user may have brought in, *shown* is its text."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.shown = ""
        self._open = ""
        self._form: Form | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Check an element and its attributes."""
        given = {name: value or "" for name, value in attrs}
        self._open = tag
        if tag in NEVER or (tag == "script" and not SCRIPTS.fullmatch(given.get("src", ""))):
            self.faults.append(f"the element {tag} {given}")
        if MARK in tag:
            self.faults.append(f"the element {tag}")
        for name, value in given.items():
            self._check(tag, name, value)
        self._note(tag, given)

    def _check(self, tag: str, name: str, value: str) -> None:
        if (
            name.startswith("on")
            or name == "style"
            or MARK in name
            or not re.fullmatch(r"[a-z][a-z0-9:_-]*", name, re.IGNORECASE)
        ):
            self.faults.append(f"the attribute {name} of {tag}")
        if name in ADDRESSES and not re.match(r"(?:/(?!/)|#|\?|https://|http://|$)", value):
            self.faults.append(f"the address {name}={value[:60]!r} of {tag}")
        elif MARK in value and name not in VALUES | ADDRESSES and not self._is_data(name):
            self.faults.append(f"text in the attribute {name} of {tag}")

    @staticmethod
    def _is_data(name: str) -> bool:
        return name.startswith("data-") or name in {"datetime", "id", "for", "name", "list"}

    def _note(self, tag: str, given: dict[str, str]) -> None:
        if tag == "a":
            self.links.append(given.get("href", ""))
        if "formaction" in given:
            self.forms.append(Form(given["formaction"], dict(self._form.values) if self._form is not None else {}))
        if tag == "form":
            self._form = Form(given.get("action", "")) if given.get("method") == "post" else None
            self.forms += [self._form] if self._form is not None else []
        form, name = self._form, given.get("name", "")
        if form is not None and tag == "option" and self._select and "value" in given:
            form.values.setdefault(self._select, given["value"])
        if form is not None and tag == "button" and name:
            form.values.setdefault(name, given.get("value", ""))
        self._select = name if tag == "select" else self._select
        if form is None or not name or tag not in {"input", "textarea"}:
            return
        kind = given.get("type", "text")
        if kind == "radio":
            form.values.setdefault(name, given.get("value", ""))
        elif kind not in {"checkbox", "submit"}:
            form.values[name] = given.get("value", "")
        if tag == "textarea" or (tag == "input" and kind in {"text", "search", "url", "email"}):
            form.texts.append(name)

    def handle_endtag(self, tag: str) -> None:
        """The text that follows is of another element."""
        self._open = ""
        if tag == "form":
            self._form = None
        if tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        """Check text: that of scripts and styles is code."""
        if self._open in {"script", "style"} and data.strip():
            self.faults.append(f"text in {self._open}")
        if self._open == "option" and self._select and self._form is not None:
            self._form.values.setdefault(self._select, data.strip())
        self.shown += data

    def handle_comment(self, data: str) -> None:
        """Pages have no comments."""
        self.faults.append(f"the comment {data[:40]!r}")


def read_page(text: str) -> PageReader:
    """What a page consists of."""
    reader = PageReader()
    reader.feed(text)
    reader.close()
    return reader


def page_queries() -> dict[str, list[str]]:
    """The names of the query parameters of each page."""
    return {
        route.path: [each.alias for each in route.dependant.query_params]
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        and "GET" in (route.methods or ())
        and not route.path.startswith(("/api", "/assets"))
    }


def replaced_texts(data: Any, text: str) -> Iterator[Any]:
    """*data* again and again, each time with *text* in the place of another text in it."""
    if isinstance(data, str):
        yield text
    elif isinstance(data, dict):
        for name, value in data.items():
            for changed in replaced_texts(value, text):
                yield {**data, name: changed}
    elif isinstance(data, list):
        for place, value in enumerate(data):
            for changed in replaced_texts(value, text):
                yield [*data[:place], changed, *data[place + 1 :]]


def send_bodies(browser: Browser, bodies: dict[str, dict[str, Any]]) -> int:
    """Send each body to its route of the API, with a payload in each text of it. How many were accepted."""
    token, accepted = browser.form_token, 0
    for path, body in bodies.items():
        for payload in PAYLOADS:
            for changed in replaced_texts(body, payload):
                headers = {"origin": "http://127.0.0.1:8750", "x-form-token": token}
                done = browser.request("POST", path, json=changed, headers=headers)
                assert done.status_code < 500, (path, changed, done.text)
                accepted += done.status_code < 300
    return accepted


def send_forms(browser: Browser, pages: list[str], valid: dict[str, dict[str, str]]) -> dict[tuple[str, str], bool]:
    """Send each form of the *pages* with a payload in each field for text. Whether a field accepted one.

    *valid* has more values for each action, in which NUMBER is another number each time.
    """
    token, count = browser.form_token, 0
    found: dict[tuple[str, str], bool] = {}
    for page in pages:
        for form in read_page(browser.get(page, accept="text/html").text).forms:
            for name in form.texts:
                place = (form.action, name)
                for payload in PAYLOADS if not found.get(place) else ():
                    count += 1
                    named = {
                        key: value.replace("NUMBER", str(count)) for key, value in valid.get(form.action, {}).items()
                    }
                    fields = {**form.values, **named, name: payload, "form_token": token}
                    done = browser.send(form.action, **fields)
                    assert done.status_code < 500, (place, done.text)
                    assert done.status_code != 429, place
                    assert read_page(done.text).faults == [], (place, done.text)
                    found[place] = found.get(place, False) or done.status_code == 303
    return found


def lay_records(office: RequestProject, payload: str) -> str:
    """A run whose journal has *payload* in every text of steps, hosts, tests, resources and messages. Its id."""
    run = office.request("staging", "1.9.0")
    result = {
        "outcome": "failed",
        "message": payload,
        "hosts": [{"host": payload, "outcome": "failed", "touched": True, "message": payload, "task": payload}],
        "tests": [{"name": payload, "host": payload, "outcome": "failed", "message": payload, "where": payload}],
        "log": payload,
        "data": {"code": "V101"},
    }
    office.store.append(
        run.id,
        [
            Entry(kind="state", data={"to": "deploying"}),
            Entry(kind="step.started", step="deploy.1", data={"label": payload, "verb": "deploy", "hosts": [payload]}),
            Entry(
                kind="task", step="deploy.1", host=payload, data={"task": payload, "outcome": "failed", "text": payload}
            ),
            Entry(kind="test", step="deploy.1", host=payload, data={**result["tests"][0]}),  # type: ignore[index]
            Entry(kind="resource", step="deploy.1", data={"urn": payload, "status": payload, "type": payload}),
            Entry(
                kind="notice", step="deploy.1", host=payload, data={"level": "warning", "text": payload, "alert": True}
            ),
            Entry(kind="host", host=payload, data={"host": payload, "truth": "seen", "serves": payload}),
            Entry(kind="step.finished", step="deploy.1", data=result),
            Entry(kind="step.started", step="verify.smoke.environment", data={"label": payload, "verb": "verify"}),
        ],
    )
    folder = office.folder / ".orchestrator" / "jobs" / f"{run.id}.deploy"
    folder.mkdir(parents=True)
    (folder / "output.log").write_text(f"{payload}\n" * 3)
    return run.id
