"""The rows that a reader holds after bulk and delta packages, by the rules of the binding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oneroster_csv.errors import PackageError
from oneroster_csv.replay import Replay
from tests.oneroster_csv.packages import Package

if TYPE_CHECKING:
    from pathlib import Path


def taken(reader: Replay, package: Package, folder: Path) -> list[str]:
    reader.apply(package.write(folder / "package.zip"))
    return list(reader.tables["enrollments"])


def enrollments(mode: str) -> Package:
    package = Package("1.1", mode)
    package.absent(*(file for file in package.rows if file != "enrollments"))
    return package


def test_a_bulk_file_is_the_whole_truth_and_an_absent_file_says_nothing(tmp_path: Path) -> None:
    reader = Replay()
    assert taken(reader, Package("1.1"), tmp_path) == ["e1", "e2", "e3"]
    users = reader.tables["users"]
    assert users["u2"]["givenName"] == "Zoë"
    assert not {"sourcedId", "status", "dateLastModified"} & set(users["u2"])
    package = enrollments("bulk")
    package.delete("enrollments", "e2")
    assert taken(reader, package, tmp_path) == ["e1", "e3"]
    package.absent("enrollments")
    assert taken(reader, package, tmp_path) == ["e1", "e3"]
    assert reader.tables["users"] == users


def test_a_delta_adds_replaces_deletes_and_revives(tmp_path: Path) -> None:
    reader = Replay()
    taken(reader, Package("1.1"), tmp_path)
    package = enrollments("delta")
    package.put("enrollments", "e1", status="tobedeleted")
    package.put("enrollments", "e2", role="proctor")
    package.copy("enrollments", "e3", sourcedId="e4")
    package.delete("enrollments", "e3")
    assert taken(reader, package, tmp_path) == ["e2", "e3", "e4"]
    assert reader.tables["enrollments"]["e2"]["role"] == "proctor"
    package.put("enrollments", "e1", status="active")
    assert taken(reader, package, tmp_path) == ["e2", "e3", "e4", "e1"]


@pytest.mark.parametrize("cells", [{"status": "", "dateLastModified": ""}, {"status": "inactive"}])
def test_a_package_that_is_not_what_it_says_changes_nothing(cells: dict[str, str], tmp_path: Path) -> None:
    reader = Replay()
    taken(reader, Package("1.1"), tmp_path)
    before = {file: dict(table) for file, table in reader.tables.items()}
    package = enrollments("delta")
    package.put("enrollments", "e3", **cells)
    package.put("enrollments", "e1", status="tobedeleted")
    with pytest.raises(PackageError, match="enrollments"):
        reader.apply(package.write(tmp_path / "package.zip"))
    assert reader.tables == before


def test_manifest_and_zip_must_agree(tmp_path: Path) -> None:
    package = enrollments("bulk")
    package.declare("enrollments", "absent")
    with pytest.raises(PackageError, match="what the zip holds"):
        Replay().apply(package.write(tmp_path / "package.zip"))
    package.declare("enrollments", "Bulk")
    with pytest.raises(PackageError, match="mode"):
        Replay().apply(package.write(tmp_path / "package.zip"))
