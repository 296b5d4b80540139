"""The routes of `/api/v1` for users. Each calls one use case."""

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from orchestrator.app.acting import Acting, unknown
from orchestrator.app.people import edit_user, show_access
from orchestrator.domain.access.principals import User
from orchestrator.domain.register import USERS
from orchestrator.web.api.changing import Key, Result, Writer, reply_once
from orchestrator.web.api.documents import (
    PREFIX,
    KeyCursor,
    Limit,
    Match,
    Who,
    expecting_tag,
    page_after,
    tagged_document,
)
from orchestrator.web.api.orders import Order, fields_to_change
from orchestrator.web.requests import application, checked_model

Text = Annotated[str, Field(max_length=200)]
router = APIRouter(prefix=PREFIX)


class UserEdit(Order):
    """The fields of a user that change. *team* and *local* are removed by null."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"team": "red"}]})

    display_name: Text = ""
    email: Text = ""
    team: Text | None = None
    local: Text | None = None
    zone: Text = "UTC"


def _user(acting: Acting, name: str) -> User:
    """The user *name*. Raises A110."""
    users = {user.name: user for user in show_access(acting).users}
    if name not in users:
        raise unknown("user", name, list(users))
    return users[name]


def _shown(user: User) -> dict[str, Any]:
    return {"user": user.to_json()}


@router.get("/users", tags=["users"])
def get_users(
    request: Request,
    who: Who,
    name: Annotated[str | None, Query(max_length=200, description="A pattern, such as `a*`.")] = None,
    team: Annotated[str | None, Query(max_length=200)] = None,
    sort: Literal["name", "-name"] = "name",
    cursor: KeyCursor = None,
    limit: Limit = 50,
) -> Response:
    """The users, by name."""
    found = show_access(application(request).acting_as(who.actor)).users
    chosen = [each for each in found if team in {None, each.team} and (name is None or fnmatchcase(each.name, name))]
    ordered = sorted(chosen, key=lambda each: each.name, reverse=sort == "-name")
    page, following = page_after(ordered, lambda each: each.name, cursor, limit)
    return tagged_document(request, "Users", {"users": [each.to_json() for each in page], "cursor": following})


@router.get("/users/{user}", tags=["users"])
def get_user(request: Request, who: Who, user: str) -> Response:
    """One user."""
    return tagged_document(request, "User", _shown(_user(application(request).acting_as(who.actor), user)))


@router.post("/users/{user}/edit", tags=["users"])
def post_user_edit(
    request: Request, who: Writer, user: str, order: UserEdit, key: Key = None, match: Match = None
) -> Response:
    """Change fields of a user. With `If-Match` only the version that was read is changed."""
    acting, fields = application(request).acting_as(who.actor), fields_to_change(order)

    def work() -> Result:
        checked_model(User, {"name": user, **fields})
        expecting = expecting_tag(acting, match, USERS, lambda: _user(acting, user), ("User", _shown))
        return 200, "User", _shown(edit_user(expecting, user, fields))

    return reply_once(request, who, key, order, work)
