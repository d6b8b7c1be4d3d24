"""The token endpoint: credentials in, a bearer token with a truthful `issued_at` out. Runs on the real clock."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from coursera_sandbox.errors import ApiError, expired_token, invalid_client, invalid_token, missing_token

LIFETIME = 1799
ORG_ID = "SandboxOrg-AAAAAAAAA_A"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105 - it opens nothing but this sandbox
CLIENT_ID = "sandbox-client-id"
CLIENT_WITHOUT_ACCESS = "sandbox-no-access"


@dataclass(frozen=True)
class Token:
    """An issued token."""

    client_id: str
    issued: float

    @property
    def may_read(self) -> bool:
        """Whether its app was given access to the organisation."""
        return self.client_id == CLIENT_ID


class Tokens:
    """Tokens issued by this process."""

    def __init__(self) -> None:
        self._issued: dict[str, Token] = {}

    def grant(self, authorization: str | None, body: bytes) -> dict[str, Any]:
        """Answer of the token endpoint; credentials come as HTTP Basic or in the form."""
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        grant_type = form.get("grant_type")
        if grant_type != "client_credentials":
            missing = grant_type is None
            raise ApiError(
                400,
                {
                    "ErrorCode": "invalid_request" if missing else "unsupported_grant_type",
                    "Error": "Required param : grant_type" if missing else f"Unsupported grant type : {grant_type}",
                },
            )
        client_id, client_secret = (
            _basic(authorization) if authorization else (form.get("client_id"), form.get("client_secret"))
        )
        if client_id not in {CLIENT_ID, CLIENT_WITHOUT_ACCESS}:
            raise invalid_client("ClientId is Invalid")
        if client_secret != CLIENT_SECRET:
            raise invalid_client("Client credentials are invalid")
        now = time.time()
        self._issued = {text: token for text, token in self._issued.items() if now - token.issued < 2 * LIFETIME}
        text = secrets.token_urlsafe(21).translate(str.maketrans("-_", "aZ"))
        self._issued[text] = Token(client_id, now)
        return {
            "token_type": "Bearer",
            "access_token": text,
            "grant_type": grant_type,
            "issued_at": int(now),
            "expires_in": LIFETIME,
        }

    def check(self, authorization: str | None, lifetime: float = LIFETIME) -> Token:
        """Return the token of a data request; 401 in the gateway's words when there is none that is good."""
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise missing_token()
        token = self._issued.get(text.strip())
        if token is None:
            raise invalid_token()
        if time.time() - token.issued >= lifetime:
            raise expired_token()
        return token

    def revoke(self, authorization: str | None) -> None:
        """Forget the token of this request."""
        self._issued.pop((authorization or "").partition(" ")[2].strip(), None)


def _basic(authorization: str) -> tuple[str | None, str | None]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None, None
    return unquote_plus(name), unquote_plus(secret)
