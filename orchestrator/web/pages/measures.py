"""The page of the measures: each value with its definition, its trend and the runs behind it."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from orchestrator.domain.moments import parse_moment
from orchestrator.management.measures.charts import count_text, length_text, trends, value_text
from orchestrator.management.measures.model import MeasureName
from orchestrator.management.measures.queries import MeasureFilter, show_measures
from orchestrator.web.pages.rendering import Who, rendered
from orchestrator.web.requests import managed_application

router = APIRouter(include_in_schema=False)
PERIODS = (7, 30, 90, 180, 365)
"""The periods that the page offers, in days."""
MOST_RUNS = 100
"""How many runs behind a measure the page lists."""
WITHOUT_RUNS: dict[MeasureName, str] = {
    "deployment-frequency": "No promotion succeeded in this period. The next one that does is counted here.",
    "lead-time": "It needs a promotion that succeeded, whose package is kept here and was built from a commit of Git.",
    "change-failure-rate": "No promotion failed in this period, and none was rolled back manually.",
    "recovery-time": "No promotion failed in this period and was restored.",
    "rework-rate": "No promotion was an emergency in this period, and none followed a rollback within 7 days.",
    "failed-before": "No promotion into an earlier environment failed in this period.",
}
"""What a measure without runs means, and what would change it."""


@router.get("/measures")
def measures_page(
    request: Request,
    who: Who,
    days: Annotated[int, Query(ge=1, le=3660)] = 90,
    environment: Annotated[str | None, Query(max_length=200)] = None,
) -> HTMLResponse:
    """The five DORA measures of a period, with their trends and the runs behind each."""
    app = managed_application(request)
    places = (environment,) if environment else ()
    acting = app.acting_as(who.actor)
    since = parse_moment(acting.clock.now()) - timedelta(days=days)
    found = show_measures(acting, app.measure_sources, MeasureFilter(since, None, places))
    pictures = [(title, Markup(picture)) for title, picture in trends(found)]  # noqa: S704 - made and escaped by `trends`
    words = {"value_text": value_text, "count_text": count_text, "length_text": length_text}
    about = {"measures": found, "trends": pictures, "periods": PERIODS, "days": days, "most": MOST_RUNS, **words}
    about["without_runs"] = WITHOUT_RUNS
    return rendered(
        request, "measures", who, environment=environment or "", environments=tuple(app.environments), **about
    )
