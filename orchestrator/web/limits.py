"""How many requests an actor or an address may send: a bucket for each, which fills at a steady rate."""

import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from orchestrator.web.addresses import route_path

UNLIMITED = ("/healthz", "/readyz", "/assets/")
SIGN_INS = ("/sign-in", "/link/", "/api/v1/token-exchange")
PROVIDERS, BACK_CHANNEL = "/sign-in/", "/back-channel"
"""Addresses of sign-in providers: each request of them has this server send others."""
MOST_BUCKETS = 10_000


@dataclass(frozen=True)
class Rate:
    """At most *burst* requests at once, and *each_s* in a second over a long time."""

    burst: int
    each_s: float


REQUESTS = Rate(burst=600, each_s=20.0)
ADDRESS = Rate(burst=3000, each_s=100.0)
"""For all credentials of one address: a credential that was not checked yet may be made up for one request."""
SIGN_IN = Rate(burst=30, each_s=0.5)
LOGOUT = Rate(burst=300, each_s=5.0)


class Buckets:
    """The buckets of one *rate*. Those that were used last are kept, at most *most* of them."""

    def __init__(self, rate: Rate, *, most: int = MOST_BUCKETS, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._most, self._clock = rate, most, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> int:
        """Take one request of *key*. Returns 0, or after how many seconds the next one is possible."""
        now = self._clock()
        with self._lock:
            left, at = self._left.pop(key, (float(self._rate.burst), now))
            left = min(self._rate.burst, left + (now - at) * self._rate.each_s)
            allowed = left >= 1
            self._left[key] = (left - 1 if allowed else left, now)
            while len(self._left) > self._most:
                self._left.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1 - left) / self._rate.each_s))


class Limits:
    """The limits of one server."""

    def __init__(self) -> None:
        self._requests, self._addresses = Buckets(REQUESTS), Buckets(ADDRESS)
        self._sign_ins, self._logouts = Buckets(SIGN_IN), Buckets(LOGOUT)

    def wait_s(self, scope: Scope) -> int:
        """After how many seconds the request of *scope* is possible; 0 if it already is."""
        path = route_path(scope)
        if path.startswith(UNLIMITED):
            return 0
        address = scope["client"][0] if scope.get("client") else ""
        if path.endswith(BACK_CHANNEL):  # one provider ends the sessions of many users at once
            return self._logouts.take(address)
        if (scope["method"] == "POST" and path.startswith(SIGN_INS)) or path.startswith(PROVIDERS):
            return self._sign_ins.take(address)
        headers = Headers(scope=scope)
        credential = headers.get("authorization") or headers.get("cookie") or ""
        key = hashlib.sha256(credential.encode()).hexdigest() if credential else address
        return self._addresses.take(address) or self._requests.take(key)
