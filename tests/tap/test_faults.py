"""Every fault of the sandbox: a run ends complete or with one sentence, never short, and tells nothing private."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from coursera_sandbox.testing import RunningSandbox
from tap_coursera import pace
from tap_coursera.auth import SharedToken
from tap_coursera.errors import TapError
from tests.tap.conftest import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.tap.conftest import Json, ReadTap

FAULTS = [
    "429:rate=0.2",
    "429:retry-after=0,rate=0.2",
    "500:rate=0.05",
    "502:rate=0.05",
    "503:retry-after=0,rate=0.05",
    "504:rate=0.05",
    "latency:ms=100,rate=0.05",
    "drop:rate=0.05",
    "truncate:rate=0.05",
    "html:rate=0.05",
    "token-revoked:rate=0.05",
    "token-revoked:times=1,path=users",
    "token-expires:seconds=0.2,rate=0.05",
    "short-pages:rate=0.05",
    "short-pages",
    "shifting-rows:rate=0.05",
    "shifting-rows",
    "missing-total:rate=0.05",
    "missing-total",
    "extra-fields:rate=0.05",
]
INCREMENTAL = ("enrollments", "course_grades", "item_grades", "contents", "skillset_progress")
LOSING = "shifting-rows:lose=1"
STAYING = {
    "429": "HTTP 429",
    "500": "HTTP 500",
    "502": "HTTP 502",
    "503": "HTTP 503",
    "504": "HTTP 504",
    "drop": "keeps closing|cannot be reached|breaking off",
    "truncate": "breaking off|not the Coursera API|closing",
    "html": "not the Coursera API",
    "token-revoked": "brand-new token",
}


@pytest.fixture(scope="module")
def standing_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """A small college of these tests, of which most runs read everything."""
    running = RunningSandbox(tmp_path_factory.mktemp("sandbox"), learners=40)
    yield running
    running.stop()


def rows(output: Output) -> set[str]:
    return {json.dumps([m["stream"], m["record"]], sort_keys=True) for m in output.of("RECORD")}


@dataclass
class Runs:
    """A first run and one that goes on from its state, with whatever they wrote and said."""

    first: Output
    second: Output


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Runs]:
    """The runs without faults, once there were some."""
    return {}


@pytest.fixture
def both(
    sandbox: RunningSandbox, read_tap: ReadTap, undisturbed: dict[str, Runs], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, int], tuple[Runs, Runs]]:
    """Run under a fault and without: all streams, small pages, and so far back that single learners are asked for."""
    monkeypatch.setattr(pace, "FIRST_GAP", 0.001)

    def run(config: Json) -> Runs:
        first = read_tap(config)
        return Runs(first, read_tap(config | {"report_lag_hours": 240}, select=INCREMENTAL, state=first.state))

    def compared(fault: str, parallel: int) -> tuple[Runs, Runs]:
        config = sandbox.tap_config | {"page_size": 15, "emit_activate_version_messages": True}
        if not undisturbed:
            sandbox.reset_requests()
            undisturbed["runs"] = run(config)
        sandbox.reset_requests()
        sandbox.faults([fault])
        found = run(config | {"max_parallel_requests": parallel})
        sandbox.clear_faults()
        return undisturbed["runs"], found

    return compared


def compare(found: Runs, expected: Runs) -> None:
    for mine, theirs in ((found.first, expected.first), (found.second, expected.second)):
        assert rows(mine) == rows(theirs)
        assert len(mine.of("RECORD")) == len(theirs.of("RECORD"))
        assert mine.activated() == theirs.activated()
        assert mine.state == theirs.state


@pytest.mark.parametrize("fault", ["500:rate=0.05", "429:rate=0.2", "short-pages", "token-revoked:rate=0.05"])
def test_one_request_after_the_other_writes_the_same_rows_through_a_passing_fault(
    both: Callable[[str, int], tuple[Runs, Runs]], fault: str
) -> None:
    compare(*both(fault, 1))


def test_rows_that_go_away_while_they_are_read_are_all_that_may_be_missing(
    both: Callable[[str, int], tuple[Runs, Runs]],
) -> None:
    # A row that went away may have been seen before it went.
    expected, found = both(LOSING, 4)
    lost = rows(expected.first) - rows(found.first)
    assert rows(found.first) <= rows(expected.first)
    assert len(lost) <= 40


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_changes_no_row_and_nothing_private_is_logged_nor_any_secret_even_for_debugging(
    both: Callable[[str, int], tuple[Runs, Runs]],
    sandbox: RunningSandbox,
    fault: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens: set[str] = set()

    def noted(self: SharedToken) -> str:
        tokens.add(value := plain_value(self))
        return value

    plain_value = SharedToken.value
    monkeypatch.setattr(SharedToken, "value", noted)
    with caplog.at_level("DEBUG"):
        expected, found = both(fault, 8)
    compare(found, expected)
    said = [record.getMessage() + (record.exc_text or "") for record in caplog.records]
    told = [text for text, record in zip(said, caplog.records, strict=True) if record.levelname != "DEBUG"]
    assert tokens
    assert len(said) > len(told) > 0
    secrets = tokens | {sandbox.client_secret, base64.b64encode(sandbox.client_secret.encode()).decode()}
    assert not [secret for secret in secrets if any(secret in text for text in said)]
    everybody = people(sandbox)
    shown = "\n".join([*told, str(found.first.state), str(found.second.state)])
    assert not [text for text in everybody if text in shown]


def people(sandbox: RunningSandbox) -> set[str]:
    users = sandbox.all("/users")
    return {user[name] for user in users for name in ("email", "fullName", "externalId")}


@pytest.mark.parametrize("fault", STAYING)
def test_a_fault_that_stays_ends_in_one_sentence_and_activates_nothing_more(
    sandbox: RunningSandbox, read_tap: ReadTap, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = sandbox.tap_config | {"emit_activate_version_messages": True, "max_busy_minutes": 0}
    private = people(sandbox) | {sandbox.client_secret}
    sandbox.faults([f"{fault}:path=enrollmentReports"])
    output = Output()
    with caplog.at_level("INFO"), pytest.raises(TapError, match=STAYING[fault]) as caught:
        read_tap(config, full=True, into=output)
    assert output.activated() <= {"contents", "organizations"}
    assert not [text for text in private if text in caplog.text + str(caught.value)]


def test_a_token_that_expires_early_is_replaced_as_often_as_it_takes(
    sandbox: RunningSandbox, read_tap: ReadTap
) -> None:
    expected: Any = rows(read_tap(sandbox.tap_config))
    sandbox.faults(["token-expires:seconds=0.2", "latency:ms=20"])
    assert rows(read_tap(sandbox.tap_config | {"page_size": 100})) == expected
