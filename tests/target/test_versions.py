"""ACTIVATE_VERSION: rows a full load no longer brought are marked, or deleted on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.target.conftest import Loader

SOFT_STATE = "SELECT id, _sdc_deleted_at IS NOT NULL FROM s ORDER BY id"


def version(loader: Loader, number: int, *ids: int, activate: bool = True) -> list[dict[str, Any]]:
    announced = loader.schema("s", {"id": "integer", "name": "string"}, ["id"])
    rows = [loader.record("s", {"id": n, "name": f"v{number}"}, version=number) for n in ids]
    return [announced, *rows, *([loader.activate("s", number)] if activate else [])]


@pytest.mark.parametrize("metadata", [True, False])
def test_rows_of_earlier_versions_are_marked_and_unmarked_when_they_return(loader: Loader, *, metadata: bool) -> None:
    loader.config = {"add_record_metadata": metadata}
    loader(*version(loader, 1, 1, 2, 3))
    assert loader.rows(SOFT_STATE) == [(1, False), (2, False), (3, False)]
    loader(*version(loader, 2, 1, 3))
    assert loader.rows(SOFT_STATE) == [(1, False), (2, True), (3, False)]
    loader(*version(loader, 3, 2, 3))
    assert loader.rows(SOFT_STATE) == [(1, True), (2, False), (3, False)]


@pytest.mark.parametrize("metadata", [True, False])
def test_a_marked_row_is_unmarked_by_a_record_without_version(loader: Loader, *, metadata: bool) -> None:
    loader.config = {"add_record_metadata": metadata}
    loader(*version(loader, 1, 1, 2), *version(loader, 2, 1))
    loader(version(loader, 0)[0], loader.record("s", {"id": 2, "name": "back"}))
    assert loader.rows("SELECT id, _sdc_deleted_at, name, _sdc_table_version FROM s ORDER BY id") == [
        (1, None, "v2", 2),
        (2, None, "back", None),
    ]


def test_a_row_that_was_loaded_without_any_version_is_marked_too(loader: Loader) -> None:
    loader(version(loader, 0)[0], loader.record("s", {"id": 9, "name": "old"}))
    loader(*version(loader, 5, 1))
    assert loader.rows(SOFT_STATE) == [(1, False), (9, True)]


def test_activating_again_changes_nothing_of_what_was_marked(loader: Loader) -> None:
    loader.config = {"add_record_metadata": True}
    loader(*version(loader, 1, 1, 2), *version(loader, 2, 1))
    marked = loader.rows("SELECT id, _sdc_deleted_at::VARCHAR FROM s ORDER BY id")
    loader(*version(loader, 2), loader.activate("s", 2))
    loader(*version(loader, 3, 1))
    assert loader.rows("SELECT id, _sdc_deleted_at::VARCHAR FROM s ORDER BY id") == marked


def test_hard_delete_removes_the_rows(loader: Loader) -> None:
    loader(*version(loader, 1, 1, 2, 3), hard_delete=True)
    loader(*version(loader, 2, 1), hard_delete=True)
    assert loader.rows("SELECT id FROM s") == [(1,)]


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("hard", [True, False])
def test_rows_of_a_run_whose_clock_was_a_month_ahead_go_like_any_other(
    loader: Loader, caplog: pytest.LogCaptureFixture, *, hard: bool, metadata: bool
) -> None:
    loader.config = {"hard_delete": hard, "add_record_metadata": metadata}
    now, month = 1_790_000_000_000, 30 * 86_400_000
    loader(*version(loader, now, 1, 2, 3))
    loader(*version(loader, now + month, 1, 2, 3, 4))
    loader(*version(loader, now + month + 1, 1, 5, activate=False))  # killed before its end
    caplog.set_level("INFO")
    loader(*version(loader, now + 1, 1, 3))
    assert loader.rows("SELECT id FROM s WHERE _sdc_deleted_at IS NULL ORDER BY id") == [(1,), (3,)]
    assert loader.rows("SELECT count(*) FROM s") == [(2 if hard else 5,)]
    assert f"Stream s: rows of other versions {'deleted' if hard else 'marked deleted'}: 3" in caplog.text


def test_a_stream_that_is_appended_to_keeps_the_rows_of_the_version_alone(loader: Loader) -> None:
    loader.config = {"load_method": "append-only"}
    loader(*version(loader, 9, 1, 2))
    loader(*version(loader, 3, 1, 1))
    assert loader.rows("SELECT id, name, _sdc_deleted_at IS NULL FROM s ORDER BY rowid") == [
        *[(1, "v9", False), (2, "v9", False)],
        *[(1, "v3", True), (1, "v3", True)],
    ]
    loader(*version(loader, 2, 7), load_method="overwrite")
    assert loader.rows("SELECT id, _sdc_deleted_at FROM s") == [(7, None)]


def test_a_version_that_brought_no_row_marks_every_row(loader: Loader) -> None:
    loader(*version(loader, 1, 1, 2))
    loader(*version(loader, 2))
    assert loader.rows(SOFT_STATE) == [(1, True), (2, True)]


def test_without_activation_nothing_is_marked(loader: Loader) -> None:
    loader(*version(loader, 1, 1, 2))
    loader(*version(loader, 2, 1, activate=False))
    loader(*version(loader, 3, 1), process_activate_version_messages=False)
    assert loader.rows(SOFT_STATE) == [(1, False), (2, False)]


def test_the_metadata_columns_are_filled_when_asked_for_and_absent_otherwise(loader: Loader) -> None:
    announced = loader.schema("s", {"id": "integer", "_sdc_sequence": "string"}, ["id"])
    sent = {**loader.record("s", {"id": 1, "_sdc_sequence": "x"}), "time_extracted": "2026-01-31T09:15:00Z"}
    loader(announced, sent, default_target_schema="plain")
    assert loader.rows("SELECT * FROM plain.s") == [(1,)]
    loader(announced, sent, add_record_metadata=True)
    assert loader.rows(
        "SELECT _sdc_extracted_at::VARCHAR, _sdc_received_at >= _sdc_batched_at, "
        "_sdc_received_at > now() - INTERVAL 1 MINUTE, "
        "_sdc_sequence > 1.7e12, _sdc_sync_started_at > 1.7e12, _sdc_deleted_at, _sdc_table_version FROM main.s"
    ) == [("2026-01-31 09:15:00+00", True, True, True, True, None, None)]
