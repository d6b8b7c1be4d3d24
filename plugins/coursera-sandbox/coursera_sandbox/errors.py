"""Error bodies, one function per layer that a request passes: Apigee, the edge router, Naptime, the skills service.

Shapes and texts are those of the vendor's OpenAPI file, or of the framework behind it where that file is silent.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any


class ApiError(Exception):
    """An answer other than 200: status, JSON body, extra headers."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers or {}


def fault(status: int, text: str, code: str, headers: dict[str, str] | None = None) -> ApiError:
    """Return an error of Apigee, the gateway before all services of Coursera."""
    return ApiError(status, {"fault": {"faultstring": text, "detail": {"errorcode": code}}}, headers)


def missing_token() -> ApiError:
    """Return the error for a missing or malformed Authorization header."""
    return fault(401, "Invalid access token", "oauth.v2.InvalidAccessToken")


def invalid_token() -> ApiError:
    """Return the error for a token that was never issued, or was revoked."""
    return fault(401, "Invalid Access Token", "keymanagement.service.invalid_access_token")


def expired_token() -> ApiError:
    """Return the error for an expired token."""
    return fault(401, "Access Token expired", "keymanagement.service.access_token_expired")


def invalid_client(text: str) -> ApiError:
    """Return the error of the token endpoint for an unknown client id or a wrong secret."""
    return ApiError(401, {"ErrorCode": "invalid_client", "Error": text})


def edge(status: int, message: str) -> ApiError:
    """Return an error of the router in front of the services."""
    return ApiError(status, {"message": message, "statusCode": status})


def routing(status: int, message: str) -> ApiError:
    """Return the error for a request without a Naptime action: 400 for parameters, 405 for finders and methods."""
    return ApiError(status, {"msg": f"Routing error: {message}"})


def naptime(status: int, code: str | None, message: str) -> ApiError:
    """Return the error of a Naptime action."""
    return ApiError(status, {"errorCode": code, "message": message, "details": None})


def access_denied() -> ApiError:
    """Return the error for a valid token of another organisation."""
    return naptime(403, "Not Authorized", "Access is denied")


def _now() -> str:
    return datetime.now(tz=timezone.utc).isoformat(timespec="milliseconds")


def skills(status: int, kind: str, message: str, path: str) -> ApiError:
    """Return an error of the skills service: INVALID_ARGUMENT or NOT_FOUND."""
    return ApiError(
        status, {"error": {"timestamp": _now().removesuffix("+00:00"), "message": message, "type": kind, "path": path}}
    )


def skills_plain(status: int, error: str, path: str) -> ApiError:
    """Return an error of the web framework of the skills service."""
    return ApiError(status, {"timestamp": _now(), "status": status, "error": error, "path": path})
