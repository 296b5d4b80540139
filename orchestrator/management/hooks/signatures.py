"""Whether a request comes from the sender that knows the secret of a hook, by the form of each product.

| form | signature | what makes a request one |
| --- | --- | --- |
| github | `X-Hub-Signature-256`: HMAC-SHA256 of the body | the body: the id in `X-GitHub-Delivery` is not signed |
| gitea | `X-Gitea-Signature`: the same | the body |
| gitlab | Standard Webhooks, without a signing token the secret in `X-Gitlab-Token` | the id, or the body |
| generic | Standard Webhooks: HMAC-SHA256 of id, time and body | the signed id |

Everything secret is compared in constant time.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.moments import Now, moment_of_seconds
from orchestrator.domain.standard_webhooks import signature
from orchestrator.management.hooks.model import HookForm

TOLERANCE = timedelta(minutes=5)
"""How far the time of a signed request may be from the clock of the server, either way."""
MOST_SIGNATURES = 10
_ID = re.compile(r"[!-~]{1,200}")
_TIME = re.compile(r"[0-9]{1,12}")
REFUSED = "the request is not accepted: its signature, its time or its sender is wrong"


class HookRefusal(OrchestratorError):
    """A request to a hook that is refused. *why* is the reason, which only users of the project read."""

    def __init__(self, why: str) -> None:
        super().__init__("N160", REFUSED)
        self.why = why


@dataclass(frozen=True)
class Received:
    """A request: its *headers* by lower-case names, and its *body* as it arrived."""

    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """The header *name*; empty without it."""
        return self.headers.get(name, "")

    @property
    def digest(self) -> str:
        """The digest of the body."""
        return f"body {hashlib.sha256(self.body).hexdigest()}"


def check_signature(form: HookForm, secret: str, received: Received, now: Now) -> str:
    """What identifies *received*, which the sender with *secret* has signed: an id, or the digest of the body.

    Raises `HookRefusal`.
    """
    match form:
        case HookForm.GITHUB:
            return _of_body(secret, received, received.header("x-hub-signature-256").removeprefix("sha256="))
        case HookForm.GITEA:
            return _of_body(secret, received, received.header("x-gitea-signature"))
        case HookForm.GITLAB if not received.header("webhook-signature"):
            if not _same(received.header("x-gitlab-token"), secret):
                raise HookRefusal("the token in X-Gitlab-Token is wrong")
            return received.digest
    return _standard(secret, received, now)


def _of_body(secret: str, received: Received, given: str) -> str:
    expected = hmac.new(secret.encode(), received.body, hashlib.sha256).hexdigest()
    if not _same(given, expected):
        raise HookRefusal("the signature of the body is missing or wrong")
    return received.digest


def _standard(secret: str, received: Received, now: Now) -> str:
    message_id, seconds = received.header("webhook-id"), received.header("webhook-timestamp")
    if not _ID.fullmatch(message_id) or not _TIME.fullmatch(seconds):
        raise HookRefusal("the headers webhook-id and webhook-timestamp are missing or wrong")
    expected = signature(secret, message_id, seconds, received.body)
    given = received.header("webhook-signature").split(" ")[:MOST_SIGNATURES]
    if not sum(_same(each, expected) for each in given):  # each is compared, also after one that fits
        raise HookRefusal("the signature in webhook-signature is missing or wrong")
    try:
        at = moment_of_seconds(int(seconds))
    except OrchestratorError:
        raise HookRefusal("the time in webhook-timestamp is of no possible year") from None
    if at < now.latest - TOLERANCE or at > now.earliest + TOLERANCE:
        raise HookRefusal("the request was signed more than 5 minutes ago, or is from the future")
    return f"id {message_id}"


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
