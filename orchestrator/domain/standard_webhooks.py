"""Signatures of Standard Webhooks: HMAC-SHA256 of the id, the time and the body of a request."""

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import datetime

PREFIX, SECRET_BYTES = "whsec_", 32


def new_secret() -> str:
    """A new, random secret as sender and receiver get it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(secret: str, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of a request with *body* that is signed at *at*."""
    seconds = str(int(at.timestamp()))
    headers = {"webhook-id": message_id, "webhook-timestamp": seconds}
    return {**headers, "webhook-signature": signature(secret, message_id, seconds, body)}


def signature(secret: str, message_id: str, seconds: str, body: bytes) -> str:
    """The signature of *body* with the id *message_id* and the time *seconds*."""
    signed = f"{message_id}.{seconds}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()}"


def _key(secret: str) -> bytes:
    """The key in *secret*; a text of another form is the key itself."""
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()
