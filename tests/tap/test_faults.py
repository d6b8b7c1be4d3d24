"""Every fault of the sandbox: a run ends complete or with one sentence, never short, and tells nothing private."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_coursera.errors import TapError
from tests.tap.conftest import Output

if TYPE_CHECKING:
    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.conftest import ReadTap

SELECTED = ("users", "programs", "enrollments", "course_grades", "item_grades")
PASSING = [
    "429:rate=0.2",
    "429:retry-after=0,rate=0.2",
    "500:rate=0.2",
    "502:rate=0.2",
    "503:retry-after=0,rate=0.2",
    "504:rate=0.2",
    "latency:ms=5",
    "drop:rate=0.15",
    "truncate:rate=0.15",
    "html:rate=0.15",
    "token-revoked:times=3",
    "token-revoked:times=1,path=users",
    "short-pages",
    "shifting-rows",
    "shifting-rows:lose=1",
    "missing-total",
    "extra-fields",
]
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


def rows(output: Output) -> set[str]:
    return {json.dumps([m["stream"], m["record"]], sort_keys=True) for m in output.of("RECORD")}


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Output]:
    """The run without faults, once there was one."""
    return {}


def secrets(sandbox: RunningSandbox) -> set[str]:
    users = sandbox.all("/users")
    return {sandbox.client_secret, sandbox.token()} | {u["email"] for u in users} | {u["fullName"] for u in users}


@pytest.mark.parametrize("fault", PASSING)
def test_a_run_through_a_passing_fault_is_complete(
    sandbox: RunningSandbox,
    read_tap: ReadTap,
    undisturbed: dict[str, Output],
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = sandbox.tap_config | {"page_size": 60, "emit_activate_version_messages": True}
    if not undisturbed:
        undisturbed["run"] = read_tap(config, select=SELECTED)
    expected = undisturbed["run"]
    private = secrets(sandbox)
    sandbox.faults([fault])
    with caplog.at_level("INFO"):
        output = read_tap(config, select=SELECTED)
    found = rows(output)
    if "lose" in fault:
        # The row that went away while the list was read may have been seen before it went.
        sandbox.clear_faults()
        assert found <= rows(expected)
        assert len(rows(expected) - found) <= 20
    else:
        assert found == rows(expected)
    assert len(output.of("RECORD")) == len(found)
    assert output.activated() == expected.activated()
    assert not [text for text in private if text in caplog.text]


@pytest.mark.parametrize("fault", STAYING)
def test_a_fault_that_stays_ends_in_one_sentence_and_activates_nothing_more(
    sandbox: RunningSandbox, read_tap: ReadTap, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = sandbox.tap_config | {"emit_activate_version_messages": True}
    private = secrets(sandbox)
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
