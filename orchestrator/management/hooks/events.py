"""What a sender reports, read from the body of each product."""

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from orchestrator.management.hooks.model import TAGS, HookEvent, HookForm
from orchestrator.management.hooks.signatures import HookRefusal, Received

COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
REF = re.compile(r"refs/(?:heads|tags)/(?![-/.])(?!.*(?:\.\.|//|@\{))[^\s~^:?*\[\\\x00-\x1f\x7f]{1,200}")
RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:-]{0,199}")
NOTHING = re.compile(r"0+")
PUSHES = frozenset({"push", "push hook", "tag push hook", "push_hook", "tag_push_hook"})
LONGEST_ID = 200
SENDER_IDS: dict[HookForm, tuple[str, ...]] = {
    HookForm.GITHUB: ("x-github-delivery",),
    HookForm.GITEA: ("x-gitea-delivery",),
    HookForm.GITLAB: ("webhook-id", "idempotency-key", "x-gitlab-event-uuid"),
    HookForm.GENERIC: ("webhook-id",),
}
EVENT_HEADERS: dict[HookForm, str] = {
    HookForm.GITHUB: "x-github-event",
    HookForm.GITEA: "x-gitea-event",
    HookForm.GITLAB: "x-gitlab-event",
}


def reported_event(form: HookForm, received: Received) -> HookEvent:
    """The event in *received*, whose signature was verified. Raises `HookRefusal` for a body of another form."""
    given = next((text for name in SENDER_IDS[form] if (text := received.header(name))), "")
    sender_id = "".join(char for char in given if char.isprintable())[:LONGEST_ID]
    body = _object(received.body)
    if form is HookForm.GENERIC:
        return _generic(body, sender_id)
    name = received.header(EVENT_HEADERS[form]).lower()
    if name == "ping":
        return HookEvent(kind="ping", sender_id=sender_id)
    return _push(body, sender_id) if name in PUSHES else HookEvent(kind="other", sender_id=sender_id)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HookRefusal("the body is not a JSON object; choose the content type application/json at the sender")
    return found


def _push(body: Mapping[str, Any], sender_id: str, field: str = "after") -> HookEvent:
    """A push or tag, whose commit is in *field*. GitLab names the commit of an annotated tag in `checkout_sha`."""
    ref, after = _text(body, "ref", REF), body.get(field)
    ends = body.get("deleted") is True or (isinstance(after, str) and NOTHING.fullmatch(after) is not None)
    kind: Literal["push", "tag"] = "tag" if ref.startswith(TAGS) else "push"
    if ends:
        return HookEvent(kind=kind, ref=ref, sender_id=sender_id, ends=True)
    commit = _text(body, "checkout_sha" if body.get("checkout_sha") else field, COMMIT)
    return HookEvent(kind=kind, ref=ref, commit=commit, sender_id=sender_id)


def _generic(body: Mapping[str, Any], sender_id: str) -> HookEvent:
    """`{"release": NAME-VERSION}`, or `{"ref": REF, "commit": HASH}`."""
    if "release" in body:
        return HookEvent(kind="release", release=_text(body, "release", RELEASE), sender_id=sender_id)
    if "ref" in body:
        return _push(body, sender_id, "commit")
    return HookEvent(kind="ping" if body.get("type") == "ping" else "other", sender_id=sender_id)


def _text(body: Mapping[str, Any], field: str, form: re.Pattern[str]) -> str:
    found = body.get(field)
    if not isinstance(found, str) or not form.fullmatch(found):
        raise HookRefusal(f"the field {field} is missing or has another form")
    return found
