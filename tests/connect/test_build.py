"""A publish uses one finished build and the present mapping files; a preview is built in a copy."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import duckdb
import pytest

from coursera_connect.errors import DatabaseError
from coursera_connect.setup import attributes
from coursera_connect.warehouse import duckdb_file, warehouse
from tests.connect.college import College
from tests.connect.desk import HEADERS

if TYPE_CHECKING:
    from pathlib import Path

BUILD = "meltano --environment=prod run dbt:build"
VARS = {"grade_sync": "final", "calendar": "school_year", "attributes": {"users.sms": ""}, "score_scale": 100}
# Stands in for Meltano: `config print dbt`, and `invoke dbt:build`, which takes a learner out of the file it is given.
MELTANO = f"""#!{sys.executable}
import json, os, sys
import duckdb
words = [word for word in sys.argv[1:] if not word.startswith("--")]
if words[0] == "config":
    print(json.dumps({{"grade_sync": os.environ.get("SET_IN_MELTANO")}}))
else:
    assert words == ["invoke", "dbt:build"], words
    with duckdb.connect(os.environ["CONNECT_BUILD_ASIDE"]) as built:
        assert os.stat(os.path.dirname(os.environ["DBT_TARGET_PATH"])).st_mode & 0o077 == 0
        built.execute("delete from oneroster.enrollments where \\"userSourcedId\\" = 'a1'")
        built.execute("delete from oneroster.results where \\"studentSourcedId\\" = 'a1'")
        built.execute("delete from oneroster.users where \\"sourcedId\\" = 'a1'")
    sys.exit(int(os.environ.get("BUILD_FAILS", "0")))
"""


class Place(College):
    """A college whose tables are of a finished build, in a project with mapping files and settings."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self.monkeypatch = monkeypatch
        self.mapping, self.transform = folder / "mapping", folder / "transform"
        self.transform.mkdir()
        self.mapping.mkdir()
        for name in HEADERS:
            self.decide(name)
        self.set(**VARS)
        settings = json.dumps(VARS)
        self.sql(
            f"update connect.build set settings = '{settings}', meltano_run = 'run 1'",
            "create schema mapping",
            *(
                f"create table mapping.{name} ({', '.join(f'{c} text' for c in HEADERS[name].split(','))})"
                for name in HEADERS
            ),
        )
        for name, value in {
            "MELTANO_ENVIRONMENT": "prod",
            "CONNECT_MAPPING": str(self.mapping),
            "CONNECT_TRANSFORM": str(self.transform),
        }.items():
            monkeypatch.setenv(name, value)

    def decide(self, name: str, *lines: str) -> None:
        (self.mapping / f"{name}.csv").write_text("\n".join([HEADERS[name], *lines, ""]))

    def set(self, **variables: object) -> None:
        (self.transform / "dbt_project.yml").write_text(json.dumps({"name": "college", "vars": variables}))

    def with_meltano(self) -> None:
        link = self.folder / ".meltano" / "run" / "bin"
        link.parent.mkdir(parents=True)
        program = self.folder / "stand-in"
        program.write_text(MELTANO)
        program.chmod(0o755)
        link.symlink_to(program)
        (self.folder / "meltano.yml").write_text("environments: [{name: prod}]\n")
        self.monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(self.folder))

    def refusal(self, *arguments: str) -> str:
        done = self.call(*arguments)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.count("\n") == 1
        return done.stderr.strip().removeprefix("Error: ")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("drop table connect.build", f"does not say that its tables are all of one finished dbt:build: run {BUILD}"),
        (
            # The file is as an earlier release left it.
            "create or replace table connect.build as select true as is_complete",
            f"does not say that its tables are all of one finished dbt:build: run {BUILD}",
        ),
        (
            "update connect.build set is_complete = false",
            f"is still at work, failed, or made a part of the tables only: run {BUILD}",
        ),
        ("delete from connect.build", f"is still at work, failed, or made a part of the tables only: run {BUILD}"),
    ],
)
def test_a_build_that_did_not_end_is_not_published(place: Place, statement: str, sentence: str) -> None:
    assert place.call("publish").returncode == 0
    before = place.package.read_bytes()
    place.sql(statement, "delete from results")
    for verb in (["publish", "--allow-removals"], ["preview"]):
        assert place.refusal(*verb).endswith(sentence)
    assert place.package.read_bytes() == before
    assert place.ask("select outcome from ledger.runs order by run") == [("published",), ("failed",)]


def test_what_changed_after_the_build_stops_a_publish_and_is_named(place: Place) -> None:
    place.decide("excluded_people", "ana@example.org,withdrew")
    changed = {"grade_sync": "granular_all", "calendar": "terms", "attributes": {"users.sms": "learner.email"}}
    place.set(**VARS | changed)
    told = place.refusal("publish")
    assert told == (
        "Changed since the last dbt:build, so that the tables do not follow it yet: excluded_people.csv, grade_sync "
        f"(was final, is granular_all), calendar (was school_year, is terms) and attributes. Run {BUILD}"
    )
    assert not place.package.exists()
    # A mapping file that a spreadsheet saved again with the same cells is published: nothing is decided otherwise.
    place.set(**VARS)
    place.sql("insert into mapping.excluded_people values ('ana@example.org', 'withdrew  twice')")
    (place.mapping / "excluded_people.csv").write_bytes(
        b"\xef\xbb\xbflearner,reason\r\n\r\n ana@example.org ,withdrew twice\r\n,\r\n"
    )
    assert place.call("publish").returncode == 0


def test_another_default_mapping_is_named_and_a_var_that_only_an_earlier_release_had_is_not(place: Place) -> None:
    file = place.transform / attributes.MAPPING
    file.parent.mkdir(parents=True)
    mapping = {"targets": {"users.sms": {"from": ""}}}
    settings = json.dumps(VARS | {"attribute_mapping": mapping, "attribute_targets": {"users.sms": {"from": ""}}})
    place.sql(f"update connect.build set settings = '{settings}'")
    file.write_text(json.dumps({"exposures": [{"config": {"meta": mapping}}]}))
    assert place.call("publish").returncode == 0
    file.write_text(file.read_text().replace('""', '"learner.email"'))
    assert "so that the tables do not follow it yet: attribute_mapping. Run" in place.refusal("publish")


def test_a_mode_that_is_set_in_meltano_outranks_the_others_and_a_step_of_the_same_run_asks_nobody(place: Place) -> None:
    place.with_meltano()
    place.monkeypatch.setenv("CONNECT_GRADE_SYNC", "final_incremental")
    place.monkeypatch.setenv("SET_IN_MELTANO", "granular_all")
    assert "grade_sync (was final, is granular_all)" in place.refusal("publish")
    place.monkeypatch.setenv("MELTANO_PARENT_CONTEXT_UUID", "run 1")
    assert place.call("publish").returncode == 0


def test_a_preview_shows_what_a_build_of_now_makes_and_changes_nothing(place: Place) -> None:
    assert place.call("publish").returncode == 0
    place.with_meltano()
    place.decide("excluded_people", "a1,withdrew")
    before = place.database.read_bytes()
    preview = json.loads(place.call("preview", "--json").stdout)
    assert preview["changes"]["users"] == {"removed": ["a1"]}
    (warning,) = preview["warnings"]
    assert warning == (
        "Changed since the last dbt:build: excluded_people.csv. This shows what a build of now would make, from a "
        f"copy. To bring that into effect: {BUILD}"
    )
    assert place.database.read_bytes() == before
    place.monkeypatch.setenv("BUILD_FAILS", "1")
    assert "A dbt:build with that fails; to see why: " in place.refusal("preview")
    place.monkeypatch.delenv("MELTANO_PROJECT_ROOT")  # Without Meltano there is no dbt.
    assert "shows the tables of that build, without the changes" in place.call("preview").stdout


def test_a_mapping_that_is_wrong_is_told_before_anything_is_built(place: Place) -> None:
    place.decide("school_mapping", "p,P,p,")
    for verb in ("publish", "preview"):
        done = place.call(verb)
        assert (done.returncode, "school_mapping.csv, line 2" in done.stderr) == (2, True)


def opened_elsewhere(path: Path, *, read_only: bool) -> subprocess.Popen[str]:
    code = (
        f"import duckdb, sys; c = duckdb.connect({str(path)!r}, read_only={read_only}); print(1, flush=True); "
        "sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "1\n"
    return holder


@pytest.mark.parametrize("read_only", [True, False])
def test_a_publish_waits_for_whoever_has_the_file_open(place: Place, read_only: bool) -> None:
    with opened_elsewhere(place.database, read_only=read_only) as holder:
        told = place.refusal("publish", "--wait", "0.3")
        assert told.endswith(f"(PID {holder.pid}): wait until it ends and run again.")
        threading.Timer(1, holder.kill).start()
        began = time.monotonic()
        assert place.call("publish", "--wait", "60").returncode == 0
        assert 0.5 < time.monotonic() - began < 50


def test_who_may_not_open_a_file_is_told_so_and_a_file_of_another_kind_is_told_so(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other.duckdb"
    other.write_bytes(b"Permission denied: Could not set lock, read-only " * 500)
    with pytest.raises(DatabaseError, match="is not a DuckDB database this release can read"):
        duckdb_file.connect(other, tmp_path / "spill", 0, write=False)
    place.monkeypatch.setattr("os.open", _not_allowed)
    with pytest.raises(DatabaseError, match="may not be opened to write: change its permissions, or the user"):
        duckdb_file.connect(other, tmp_path / "spill", 0, write=True)


def _not_allowed(*_: object) -> int:
    raise PermissionError(13, "Zugriff verweigert")


def test_a_file_of_any_name_is_published_the_same(place: Place, tmp_path: Path) -> None:
    assert place.call("publish").returncode == 0
    place.sql(
        "create schema oneroster_1_2",
        'create view oneroster_1_2.users as select "sourcedId" from oneroster.users',
    )
    duckdb.connect(str(place.database)).close()
    for name in ("ledger.duckdb", 'it\'s one; "oneroster".db'):
        copy = tmp_path / name
        duckdb_file.copy(place.database, copy, 0)
        with warehouse.opened(copy, write=True) as opened:
            assert opened.row("select count(*) from oneroster_1_2.users") == (40,)
        done = place.call("publish", "--database", str(copy))
        assert (done.returncode, "is unchanged" in done.stdout) == (0, True), done.stderr
