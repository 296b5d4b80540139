"""Pages of logs: the records of a run by step and host, and what its jobs have printed, with a link to each line."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from orchestrator.domain.journal import Record
from orchestrator.domain.log_lines import LogFilter
from orchestrator.domain.text import clean_text
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import application

router = APIRouter(include_in_schema=False)
Word = Annotated[str | None, Query(max_length=200)]
Number = Annotated[int, Query(ge=0, lt=10**9)]
Line = Annotated[int, Query(ge=1, lt=10**9)]
RECORDS, LINES = 500, 1000
"""How many records and lines a page has."""
LONGEST = 4000
BAD = frozenset({"failed", "errored", "unreachable", "unknown", "aborted"})


@router.get("/runs/{run}/log")
def log_page(
    request: Request, who: Who, run: str, step: Word = None, host: Word = None, after: Number = 0
) -> HTMLResponse:
    """What the steps of a run did on each host, by the records of the journal."""
    app = application(request)
    story = app.queries.story(who.actor, run)
    chosen = LogFilter(step=step or None, host=host or None)
    page = app.queries.log_page(who.actor, story.run.id, chosen, after, RECORDS)
    hosts = {each.host for found in story.steps.values() if found.result for each in found.result.hosts}
    about: dict[str, Any] = {
        "run": story.run,
        "records": [line_of(record) for record in page.items],
        "cursor": page.cursor,
        "chosen": chosen,
        "steps": tuple(story.steps),
        "hosts": sorted(hosts | set(story.hosts)),
        "outputs": app.queries.outputs(who.actor, story.run.id),
        "after": after,
    }
    return rendered(request, "log", who, **about)


@router.get("/runs/{run}/outputs/{job}")
def output_page(request: Request, who: Who, run: str, job: str, line: Line = 1) -> HTMLResponse:
    """What one job of a run has printed, in parts of the same size: the part that contains *line*."""
    app = application(request)
    first = (line - 1) // LINES * LINES + 1
    part = app.queries.output_part(who.actor, run, job, first, LINES)
    return rendered(request, "output", who, run=run, part=part, size=LINES)


def line_of(record: Record) -> dict[str, Any]:
    """A record as the page shows it."""
    word = str(record.data.get("outcome") or record.data.get("status") or "")
    first, _, more = text_of_record(record).partition("\n")
    return {"record": record, "word": word, "is_bad": word in BAD, "text": first, "more": more}


def text_of_record(record: Record) -> str:
    """The text of a record, at most a few thousand characters of it."""
    data = record.data
    parts = {
        "step.started": (data.get("label"),),
        "step.finished": (data.get("message"),),
        "task": (data.get("task"), data.get("message"), data.get("where")),
        "test": (data.get("name"), data.get("where"), data.get("message")),
        "resource": (data.get("op"), data.get("type"), data.get("name")),
        "notice": (data.get("text"),),
        "files": (f"wrote {data.get('count', 0)} files on the controller",),
        "wave": (data.get("event"), *(f"{name} {value}" for name, value in data.items() if name != "event")),
    }.get(record.kind, ())
    return clean_text("  ".join(str(part) for part in parts if part), LONGEST)
