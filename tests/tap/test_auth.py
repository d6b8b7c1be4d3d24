"""How long a token is kept, and when another one is fetched."""

from __future__ import annotations

from typing import Any

import pytest

from tap_coursera.auth import SharedToken
from tap_coursera.errors import TapError

NOW = 1_770_000_000.0


class Desk:
    """A token endpoint and a clock."""

    def __init__(self, **answer: Any) -> None:
        self.now = NOW
        self.minted = 0
        self.answer = answer
        self.token = SharedToken(self.mint, "https://api.example/token", clock=lambda: self.now)

    def mint(self) -> dict[str, Any]:
        self.minted += 1
        return {"access_token": f"t{self.minted}"} | self.answer


def test_a_token_serves_until_sixty_seconds_before_its_end() -> None:
    desk = Desk(issued_at=int(NOW), expires_in=1799)
    assert desk.token.value() == "t1"
    desk.now += 1738
    assert desk.token.value() == "t1"
    desk.now += 1
    assert desk.token.value() == "t2"


def test_a_token_issued_a_while_ago_ends_earlier() -> None:
    desk = Desk(issued_at=int(NOW) - 1000, expires_in=1799)
    desk.token.value()
    desk.now += 739
    assert desk.token.value() == "t2"


@pytest.mark.parametrize("issued_at", [None, 0, -5, "soon", int(NOW) + 86_400, int(NOW) - 86_400, True, float("inf")])
def test_an_issue_time_that_contradicts_our_clock_is_ignored(issued_at: object) -> None:
    desk = Desk(issued_at=issued_at, expires_in="1799")
    desk.token.value()
    desk.now += 1738
    assert desk.token.value() == "t1"
    desk.now += 1
    assert desk.token.value() == "t2"


@pytest.mark.parametrize("expires_in", [None, 0, -1, "never"])
def test_a_missing_lifetime_counts_as_the_documented_one(expires_in: object) -> None:
    desk = Desk(expires_in=expires_in)
    desk.token.value()
    desk.now += 1738
    assert desk.token.value() == "t1"


def test_a_short_lived_token_is_not_fetched_for_every_request() -> None:
    desk = Desk(expires_in=10)
    desk.token.value()
    desk.now += 4
    assert desk.token.value() == "t1"
    desk.now += 2
    assert desk.token.value() == "t2"


def test_an_answer_without_a_token_is_an_error() -> None:
    with pytest.raises(TapError, match="auth_url"):
        Desk(access_token=None).token.value()


def test_a_token_never_shows_in_its_own_text() -> None:
    desk = Desk()
    secret = desk.token.value()
    assert secret not in repr(desk.token)
    assert secret not in str(desk.token)
