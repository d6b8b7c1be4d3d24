"""The days on which nothing is published: those of a black-out, and all after the consent to share has ended."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from coursera_connect.errors import RefusedError, UsageError
from coursera_connect.schedule import blackout, time_zones

if TYPE_CHECKING:
    from datetime import date


def consent_end(until: str) -> date:
    """Return the last day on which data may be shared, or raise UsageError where a text is no day."""
    try:
        return datetime.strptime(until, "%Y-%m-%d").date()  # noqa: DTZ007
    except ValueError as error:
        raise UsageError(f"CONNECT_CONSENT_UNTIL is {until!r}: write a day as 2027-06-30.") from error


def within_consent(until: str, lms_time_zone: str) -> None:
    """Raise RefusedError after the last day on which data may be shared; blank means no end."""
    ends = consent_end(until) if until else None
    if ends and _today(lms_time_zone) > ends:
        raise RefusedError(f"The consent to share this data ended on {ends}: renew it and set CONNECT_CONSENT_UNTIL.")


def black_out(days: str, lms_time_zone: str) -> str:
    """Return why nothing is published today; blank if nothing prevents it."""
    today = _today(lms_time_zone)
    found = blackout.active(blackout.parse(days), today)
    return f"{today} lies in the black-out {found}" if found else ""


def _today(lms_time_zone: str) -> date:
    return blackout.local_day(datetime.now(timezone.utc), time_zones.zone(lms_time_zone, "CONNECT_LMS_TIME_ZONE"))
