"""Pages of reviews and their actions: the lists, one review with its facts, and the forms."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from orchestrator.app.acting import Acting
from orchestrator.domain.access.actions import Action
from orchestrator.domain.moments import parse_moment
from orchestrator.management.reviews.model import CloseCode, ReviewAction
from orchestrator.management.reviews.queries import list_actions, list_reviews, show_review
from orchestrator.web import review_changes
from orchestrator.web.changes import is_allowed
from orchestrator.web.pages.changing import Form, long_text_of, submitted, text_of
from orchestrator.web.pages.rendering import PartName, Since, Who, live_state, rendered
from orchestrator.web.requests import SignedIn, managed_application, moment_in, own_path, reader_zone

router = APIRouter(include_in_schema=False)
PageCursor = Annotated[str | None, Query(max_length=200, pattern=r"^[0-9:.TZ-]{1,60} \S{1,120}$")]
ACTION_WORDS = {"done": "Done", "cancel": "Cancel"}
PAGE = 50


@router.get("/reviews")
def reviews_page(request: Request, who: Who, *, ended: bool = False, cursor: PageCursor = None) -> HTMLResponse:
    """The reviews by their due time, by default those that are open."""
    acting = managed_application(request).acting_as(who.actor)
    page = list_reviews(acting, ended=ended, cursor=cursor, limit=PAGE)
    about: dict[str, Any] = {
        "reviews": page.items,
        "cursor": page.cursor,
        "ended": ended,
        "now": parse_moment(acting.clock.now()),
        "opens": is_allowed(acting, Action.PLAN_RELEASES),
    }
    return rendered(request, "reviews", who, **about)


@router.post("/reviews")
async def send_review(request: Request) -> Response:
    """Open the review of a run or of a planned release."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        subject = text_of(form, "subject", needed=True)
        return _path(review_changes.enter_subject(app, app.acting_as(who.actor), subject).id)

    return await submitted(request, work)


@router.get("/reviews/{review}")
def review_page(request: Request, who: Who, review: str, part: PartName = None, since: Since = "") -> HTMLResponse:
    """One review: its facts, what went well and badly, feedback, actions, and what can be done; or what changes."""
    acting = managed_application(request).acting_as(who.actor)
    shown = show_review(acting, review)
    now, found = parse_moment(acting.clock.now()), shown.review
    parts = f"{found.state.value}, {len(shown.actions)} actions, {len(found.feedback)} comments"
    about: dict[str, Any] = {"shown": shown, "now": now, **live_state(parts, since)}
    if part is not None:
        return rendered(request, "review_part", who, **about)
    about |= {
        "plans": is_allowed(acting, Action.PLAN_RELEASES),
        "comments": is_allowed(acting, Action.EDIT_REQUESTS),
        "codes": tuple(CloseCode),
        "ratings": review_changes.RATINGS,
        "actions": with_events(acting, shown.actions),
        "action_words": ACTION_WORDS,
    }
    return rendered(request, "review", who, **about)


def with_events(acting: Acting, actions: tuple[ReviewAction, ...]) -> list[tuple[ReviewAction, tuple[str, ...]]]:
    """Each of *actions* with the events that the reader can cause."""
    return [(each, review_changes.possible_actions(acting, each)) for each in actions]


@router.post("/reviews/{review}/write")
async def send_review_text(request: Request, review: str) -> Response:
    """Change what went well and badly in an open review, its lead and its due time."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        fields: dict[str, Any] = {
            name: long_text_of(form, name) for name in ("went_well", "went_badly") if name in form
        }
        if "lead" in form:
            fields["lead"] = text_of(form, "lead")
        due = moment_in(zone, text_of(form, "due"), "due")
        if due is not None:
            fields["due"] = due.isoformat()
        return _path(review_changes.enter_review(app.acting_as(who.actor), review, fields).id)

    return await submitted(request, work)


@router.post("/reviews/{review}/close")
async def send_review_close(request: Request, review: str) -> Response:
    """Close a review with its close code and conclusion."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        acting, code = app.acting_as(who.actor), text_of(form, "code")
        return _path(review_changes.enter_close(acting, review, code, text_of(form, "conclusion")).id)

    return await submitted(request, work)


@router.post("/reviews/{review}/feedback")
async def send_feedback(request: Request, review: str) -> Response:
    """Add the reader's feedback."""

    def work(app: Any, who: SignedIn, form: Form) -> str:
        text, rating = text_of(form, "text", needed=True), text_of(form, "rating")
        return _path(review_changes.enter_feedback(app.acting_as(who.actor), review, text, rating).id)

    return await submitted(request, work)


@router.post("/reviews/{review}/actions")
async def send_action(request: Request, review: str) -> Response:
    """Add an action to a review."""
    zone = reader_zone(request)

    def work(app: Any, who: SignedIn, form: Form) -> str:
        title, owner = text_of(form, "title", needed=True), text_of(form, "owner", needed=True)
        due = moment_in(zone, text_of(form, "due", needed=True), "due")
        review_changes.enter_action(app.acting_as(who.actor), review, title, owner, due)
        return _path(review)

    return await submitted(request, work)


@router.get("/actions")
def actions_page(
    request: Request, who: Who, *, mine: bool = False, ended: bool = False, cursor: PageCursor = None
) -> HTMLResponse:
    """The actions of all reviews by their due time, by default those that are open."""
    acting = managed_application(request).acting_as(who.actor)
    page = list_actions(acting, mine=mine, ended=ended, cursor=cursor, limit=PAGE)
    about: dict[str, Any] = {
        "actions": with_events(acting, page.items),
        "action_words": ACTION_WORDS,
        "cursor": page.cursor,
        "mine": mine,
        "ended": ended,
        "now": parse_moment(acting.clock.now()),
    }
    return rendered(request, "actions", who, **about)


def _action_route(event: str) -> None:
    """The form of one *event* of an action."""

    async def send_action_event(request: Request, action: str) -> Response:
        def work(app: Any, who: SignedIn, form: Form) -> str:
            done = review_changes.ACTION_EVENTS[event](app.acting_as(who.actor), action, text_of(form, "reason"))
            back = own_path(form.get("back", "/"))
            return back if back.startswith(("/actions", "/reviews/")) else _path(done.review)

        return await submitted(request, work)

    send_action_event.__doc__ = review_changes.ACTION_TEXTS[event]
    router.post(f"/actions/{{action}}/{event}", name=f"send_action_{event}")(send_action_event)


for _event in review_changes.ACTION_EVENTS:
    _action_route(_event)


def _path(review: str) -> str:
    """The path of the page of a review."""
    return f"/reviews/{quote(review)}"
