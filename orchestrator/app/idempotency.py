"""Requests with idempotency keys: executed once, and answered again as the first time."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.idempotency import KEPT_FOR, KEY, KeptReply
from orchestrator.domain.moments import parse_moment
from orchestrator.ports import Clock, Keys
from orchestrator.register_ports import KeptReplies

Reply = tuple[int, str]
"""The status and the body of a reply."""


@dataclass(frozen=True)
class IdempotentRequests:
    """Executes requests once for each key. Bodies of *replies* are encrypted with the *keys* of the project."""

    replies: KeptReplies
    clock: Clock
    keys: Keys

    def reply_to(self, actor: str, key: str, request: str, work: Callable[[], Reply]) -> tuple[Reply, bool]:
        """The reply of *work*, and whether it is that of an earlier request with this *key*.

        *request* is the digest of the request. Raises N110 for a key with another form, N126 if the key was used for
        another request, and N127 while that has no reply. If *work* raises, it had no effect, and the key is free.
        """
        if not KEY.fullmatch(key):
            raise OrchestratorError("N110", "an idempotency key has 1 to 128 printable characters without spaces")
        at = parse_moment(self.clock.now())
        found = self.replies.open(actor, key, KeptReply(request=request, at=at))
        if found is not None and found.at + KEPT_FOR <= at:
            self.replies.remove_before(at - KEPT_FOR)
            found = self.replies.open(actor, key, KeptReply(request=request, at=at))
        if found is not None:
            status, body = _recorded_reply(found, request)
            return (status, self._opened(found, actor, key) if found.is_sealed else body), True
        try:
            status, body = work()
        except BaseException:
            self.replies.forget(actor, key)
            raise
        sealed = b64encode(self.keys.encrypt(body.encode(), _about(actor, key))).decode()
        kept = KeptReply(request=request, status=status, body=sealed, is_sealed=True, at=at)
        self.replies.close_with(actor, key, kept)
        return (status, body), False

    def _opened(self, found: KeptReply, actor: str, key: str) -> str:
        """The body that was encrypted. Raises D170 and D171."""
        return self.keys.decrypt(b64decode(found.body), _about(actor, key)).decode()

    def tidy(self) -> None:
        """Remove replies that are too old."""
        self.replies.remove_before(parse_moment(self.clock.now()) - KEPT_FOR)


def _about(actor: str, key: str) -> str:
    """What an encrypted body belongs to."""
    return f"reply to {actor} {key}"


def _recorded_reply(found: KeptReply, request: str) -> Reply:
    if found.request != request:
        raise OrchestratorError("N126", "the idempotency key was used for another request")
    if found.is_open:
        text = "the request with this idempotency key has no reply yet: it is in progress, or the server was stopped"
        raise OrchestratorError("N127", text)
    return found.status, found.body
