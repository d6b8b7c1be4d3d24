from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from coursera_connect.errors import UsageError
from coursera_connect.schedule import blackout

SUMMER = blackout.Range(date(2026, 8, 1), date(2026, 8, 20))


def test_ranges_and_single_days_are_read_in_the_order_of_the_calendar() -> None:
    ranges = blackout.parse(" 2026-12-24,\n2026-08-01 .. 2026-08-20 ")
    assert [str(found) for found in ranges] == ["2026-08-01..2026-08-20", "2026-12-24"]
    assert blackout.parse(" ") == []


def test_both_ends_of_a_range_belong_to_it() -> None:
    days = [date(2026, 7, 31), date(2026, 8, 1), date(2026, 8, 20), date(2026, 8, 21)]
    assert [blackout.active([SUMMER], day) for day in days] == [None, SUMMER, SUMMER, None]


def test_of_two_ranges_the_one_that_ends_last_tells_when_it_is_over() -> None:
    ranges = blackout.parse("2026-08-01..2026-08-20,2026-08-10..2026-08-31")
    assert str(blackout.active(ranges, date(2026, 8, 10))) == "2026-08-10..2026-08-31"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("2026-08-01, 24.12.2026", '"24.12.2026" is no day'),
        ("20260801", '"20260801" is no day'),
        ("2026-W32-1", '"2026-W32-1" is no day'),
        ("2026-08-01..", '"2026-08-01.." is no day'),
        ("2026-08-01...2026-08-02", '"2026-08-01...2026-08-02" is no day'),
        ("2026-08-01,,2026-08-03", "a part between two commas is no day"),
        ("2026-02-29", '"2026-02-29" names a day that no calendar has'),
        ("2026-08-20..2026-08-01", '"2026-08-20..2026-08-01" ends before it starts'),
    ],
)
def test_what_is_no_range_is_named(text: str, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        blackout.parse(text)
    assert str(caught.value).startswith(f"CONNECT_BLACKOUT: {part}")


@pytest.mark.parametrize(
    ("name", "day", "first", "after"),
    [
        # The hours of UTC at which the local day begins and ends: 24 apart, but 23 or 25 on days on which
        # clocks change.
        ("UTC", "2026-08-01", "2026-08-01T00", "2026-08-02T00"),
        ("America/New_York", "2026-03-08", "2026-03-08T05", "2026-03-09T04"),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22", "2026-10-25T23"),
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22", "2026-04-24T21"),  # midnight itself is skipped
        ("Pacific/Kiritimati", "2026-08-01", "2026-07-31T10", "2026-08-01T10"),
    ],
)
def test_a_black_out_lasts_from_midnight_to_midnight_of_the_school(name: str, day: str, first: str, after: str) -> None:
    ranges = blackout.parse(day)
    start, end = (datetime.fromisoformat(f"{hour}:00:00").replace(tzinfo=timezone.utc) for hour in (first, after))
    moments = [start - timedelta(seconds=1), start, end - timedelta(seconds=1), end]
    hits = [blackout.active(ranges, blackout.local_day(moment, ZoneInfo(name))) is not None for moment in moments]
    assert hits == [False, True, True, False]
