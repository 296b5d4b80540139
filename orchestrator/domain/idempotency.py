"""Idempotency keys: a request that a client repeats has its effect once, and gets the response of the first time."""

import re
from datetime import timedelta

from orchestrator.domain.model import Digest, Model
from orchestrator.domain.moments import Moment

KEPT_FOR = timedelta(hours=24)
"""How long a key is known."""
KEY = re.compile(r"[!-~]{1,128}")
"""Keys that a client may choose: printable characters without spaces."""


class KeptReply(Model):
    """The reply to the request with the digest *request*. *status* is 0 while that has no reply.

    A *body* that *is_sealed* is encrypted with the key of the project: replies can have secrets, such as a new token.
    Earlier versions kept it as it is, for a day.
    """

    request: Digest
    status: int = 0
    body: str = ""
    is_sealed: bool = False
    at: Moment

    @property
    def is_open(self) -> bool:
        """Whether the request has no reply: it is in progress, or the server was stopped during it."""
        return self.status == 0
