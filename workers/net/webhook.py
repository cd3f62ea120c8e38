"""The signature of a webhook after Standard Webhooks 1.0 (standardwebhooks.com), whose libraries can check it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

SECRET_PREFIX = "whsec_"


def sign(secret: str, *, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a call: its id, its time in Unix seconds, and HMAC-SHA256 over "id.timestamp.body".

    The time is signed too, so that a call that was overheard is of no use after the few minutes a receiver allows.
    """
    digest = hmac.digest(secret_bytes(secret), f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    signature = base64.b64encode(digest).decode()
    return {"Webhook-Id": id, "Webhook-Timestamp": str(timestamp), "Webhook-Signature": f"v1,{signature}"}


def secret_bytes(secret: str) -> bytes:
    """A secret of the form "whsec_" and base64 as that standard has it, any other as it stands."""
    if secret.startswith(SECRET_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
