"""Fencing tokens: one width in the stores, on hosts and between them, and how far a host may raise ours."""

import re

WIDTH = 15
"""Decimal digits of a fencing token. Every host reads so many, and none reads more."""
LARGEST = 10**WIDTH - 1
HIGHEST = 900_000_000_000_000
"""The highest token that is taken over from a host. The tokens above it are enough for all later runs."""
STEP = 1000
"""How far ahead of ours a host's token may be, and still raise ours without the confirmation of an operator."""
_TOKEN = re.compile(r"[0-9]{1,15}")


def read_token(text: str) -> int | None:
    """The fencing token that *text* is; None if it is not a number of `WIDTH` digits at most."""
    return int(text) if _TOKEN.fullmatch(text) else None


def is_ahead(token: int, ours: int, confirmed: int = 0) -> bool:
    """Whether a host's *token* is further ahead of *ours* than allowed, and not *confirmed* by an operator."""
    return token > max(ours + STEP, confirmed) or token > max(ours, HIGHEST)
