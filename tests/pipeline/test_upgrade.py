"""The first run of this release on the files of the last release, with a newer schema of a stream."""

from __future__ import annotations

import json
import re
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from coursera_connect.warehouse import history
from coursera_sandbox.testing import RunningSandbox
from tests.pipeline import saved_release
from tests.pipeline.conftest import a_copy, free_port
from tests.pipeline.project import tables

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline.project import Project

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

RELEASES = sorted(saved_release.FOLDER.glob("*.tar.xz"))
RUNS = "select run, outcome, started_at, bytes, sha256, placed from ledger.runs order by run"
NEWER = {"enrollments": {"in_fashion": "'yes'", "overall_progress": "float(overall_progress)"}}
"""A new field, and whole numbers that become any; as stream maps, since no stream of this release has such."""


class Upgraded:
    """A copy of this project with the files of a release, before and after its first run."""

    def __init__(self, project: Project, saved: Path) -> None:
        saved_release.unpack(saved, project.root)
        page = project.root / "meltano.yml"
        written = yaml.safe_load(page.read_text())
        written["plugins"]["extractors"][0]["config"] = {"stream_maps": NEWER}
        page.write_text(yaml.safe_dump(written))
        self.project = project
        self.raw_before, self.files_before = raw(project), files(project.package)
        self.runs_before = project.query(RUNS)
        home = project.root / ".meltano/coursera-sandbox"
        sandbox = RunningSandbox(home, port=project.port, learners=saved_release.LEARNERS)
        try:
            # See docs/upgrading.md: Meltano keeps bookmarks by the loader that a job names, which is another one now.
            names = [f"sandbox:tap-coursera-to-target-{loader}" for loader in ("duckdb", "warehouse")]
            project.meltano("state", "copy", "--force", *names)
            project.meltano("run", "grade-sync")
        finally:
            sandbox.stop()
        self.report: dict[str, Any] = json.loads(project.package.with_name("publish-report.json").read_text())


def raw(project: Project) -> dict[str, list[dict[str, Any]]]:
    """The living rows of the raw tables."""
    return {
        name: [json.loads(row) for row in rows]
        for name, rows in tables(project).items()
        if name.startswith("coursera.")
    }


def files(package: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(package) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module", params=RELEASES, ids=[path.name.partition(".")[0] for path in RELEASES])
def upgraded(request: pytest.FixtureRequest, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Upgraded:
    return Upgraded(a_copy(tmp_path_factory.mktemp("upgraded") / "copy", plugins, free_port()), request.param)


def test_there_is_a_release_to_come_from() -> None:
    assert RELEASES


def test_the_same_day_makes_the_same_package_but_for_names_with_a_comma(upgraded: Upgraded) -> None:
    now, before = files(upgraded.project.package), dict(upgraded.files_before)
    turned = re.sub(rb'"([^",\r\n]+),",([^,\r\n]+)', rb"\2,\1", before["users.csv"])
    assert now == before | {"users.csv": turned}
    assert (upgraded.report["outcome"], upgraded.report["first"]) == ("published", False)
    moved = [
        (row["file"], row["added"], row["changed"], row["removed"], row["held"])
        for row in upgraded.report["counts"]
        if row["added"] or row["changed"] or row["removed"] or row["held"]
    ]
    assert moved == [("users", 0, 1, 0, 0)]
    assert sum(row["total"] for row in upgraded.report["counts"]) > 0


def test_the_ledger_goes_on_where_the_release_stopped(upgraded: Upgraded) -> None:
    runs = upgraded.project.query(RUNS)
    assert runs[:-1] == upgraded.runs_before
    assert [run for run, *_ in runs] == [1, 2, 3]
    told = history.runs(upgraded.project.warehouse, 0, 10)
    assert [run["outcome"] for run in told] == ["published", "published", "published"]
    assert [(run["run"], run["sha256"]) for run in reversed(told)] == [(run[0], run[4]) for run in runs]


def test_the_state_of_the_release_is_gone_on_with(upgraded: Upgraded) -> None:
    """Only what a report may have missed is read again."""
    since = "(select cast(started_at as timestamptz) from ledger.runs where run = 2)"
    ((again, all_of_them),) = upgraded.project.query(
        f"select count(*) filter (_sdc_received_at > {since}), count(*) from coursera.enrollments"
    )
    assert 0 < again < all_of_them


def test_a_newer_schema_arrives_without_manual_work_and_changes_no_row_that_did_not_come_again(
    upgraded: Upgraded,
) -> None:
    kinds = dict(
        upgraded.project.query(
            "select column_name, data_type from information_schema.columns "
            "where table_schema = 'coursera' and table_name = 'enrollments'"
        )
    )
    assert (kinds["in_fashion"], kinds["overall_progress"]) == ("VARCHAR", "DOUBLE")
    now = raw(upgraded.project)
    assert not any(row.pop("row_problems", None) for rows in now.values() for row in rows)
    new = [row.pop("in_fashion") for row in now["coursera.enrollments"]]
    assert set(new) == {"yes", None}
    assert in_order(now) == in_order(upgraded.raw_before)


def in_order(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """Rows as text; a whole number is the same in both types."""
    return {
        name: sorted(json.dumps({k: whole(v) for k, v in row.items()}, sort_keys=True) for row in rows)
        for name, rows in found.items()
    }


def whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
