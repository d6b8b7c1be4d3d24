"""The walk-through of the page for administrators, two days; after it, the files say what the sandbox serves."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.pipeline.api import ORG, served
from tests.pipeline.walkthrough import answer, blocks, differences

if TYPE_CHECKING:
    from tests.pipeline.project import Project

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

FILES = ("academicSessions", "categories", "classes", "courses", "enrollments", "lineItems", "orgs", "results", "users")
DELIVERED = "output/lms-import/oneroster.zip"


def walk(project: Project, day: int) -> list[str]:
    """Type the commands of a day on the page, and return the lines of the page that the commands did not print."""
    return [
        f"$ {typed.command}\n{difference}"
        for typed in blocks()[day - 1]
        if (difference := differences(typed.shown, answer(project, typed.command)))
    ]


@pytest.fixture(scope="module")
def first_day(project: Project) -> list[str]:
    return walk(project, 1)


@pytest.fixture(scope="module")
def ran(project: Project, first_day: list[str]) -> Project:  # noqa: ARG001 - what was printed has a test of its own
    """The project after the first day of the walk-through, with a sandbox that is left running."""
    return project


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        (("a 1", "...", "d"), True),
        (("a  1", "b...", "c", "d"), True),
        (("...", "c", "d"), True),
        (("a 1", "..."), True),
        (("a 1", "d"), False),
        (("a 1", "b", "c"), False),
        (("a 2", "..."), False),
        (("...", "d", "c"), False),
        ((), False),
    ],
)
def test_dots_stand_for_anything_and_everything_else_for_itself(shown: tuple[str, ...], same: bool) -> None:
    assert (differences(shown, ["a   1", "bb", "c", "d"]) == "") == same


def test_the_page_shows_what_the_first_day_prints(first_day: list[str]) -> None:
    assert not first_day, "\n\n".join(first_day)


def test_the_receiver_has_the_package(ran: Project) -> None:
    assert (ran.root / DELIVERED).read_bytes() == ran.package.read_bytes()


def test_every_stream_holds_the_rows_that_the_api_serves(ran: Project) -> None:
    expected = {name: len(rows) for name, rows in served(ran).items()}
    loaded = {name: ran.query(f"select count(*) from coursera.{name}")[0][0] for name in expected}
    assert loaded == expected
    assert min(expected.values()) > 0


def test_every_file_of_the_package_holds_the_rows_of_its_model(ran: Project) -> None:
    with zipfile.ZipFile(ran.package) as package:
        assert sorted(package.namelist()) == sorted([f"{name}.csv" for name in FILES] + ["manifest.csv"])
        for name in FILES:
            lines = list(csv.reader(io.StringIO(package.read(f"{name}.csv").decode(), newline="")))
            assert len(lines) - 1 == ran.query(f'select count(*) from oneroster."{name}"')[0][0] > 0


def test_grades_of_the_api_arrive_in_the_results(ran: Project) -> None:
    completed = [
        row
        for row in served(ran)["enrollments"]
        if row["contentType"] == "Course"
        and row.get("isCompleted")
        and row.get("grade") is not None
        and row["membershipState"] == "MEMBER"
    ]
    scores = sorted(f"{row['grade'] * 100:.2f}" for row in completed)
    with zipfile.ZipFile(ran.package) as package:
        results = list(csv.DictReader(io.StringIO(package.read("results.csv").decode(), newline="")))
    assert sorted(row["score"] for row in results) == scores


def test_the_page_shows_what_the_second_day_prints_and_only_what_changed_is_fetched(ran: Project) -> None:
    before = ran.package.read_bytes()
    wrong = walk(ran, 2)
    assert not wrong, "\n\n".join(wrong)
    assert ran.package.read_bytes() != before
    assert (ran.root / DELIVERED).read_bytes() == ran.package.read_bytes()
    summary = json.loads(ran.meltano("invoke", "connect:summary", "--json").stdout)
    streams = summary["streams"]
    assert 0 < streams["enrollments"]["received"] < streams["enrollments"]["rows"] / 2


def test_an_unchanged_night_publishes_the_same_bytes(ran: Project) -> None:
    before = ran.package.read_bytes()
    ran.meltano("run", "tap-coursera", "target-warehouse", "dbt:build", "connect:publish")
    assert ran.package.read_bytes() == before


def test_a_scheduled_job_runs_on_credentials_from_the_env_file_which_the_sandbox_never_reads(ran: Project) -> None:
    url = f"http://127.0.0.1:{ran.port}"
    settings = {
        "CLIENT_ID": "sandbox-client-id",
        "CLIENT_SECRET": "sandbox-client-secret",
        "ORG_ID": ORG,
        "API_URL": f"{url}/ent/api",
        "AUTH_URL": f"{url}/oauth2/client_credentials/token",
    }
    env_file = ran.root / ".env"
    env_file.write_text("".join(f"TAP_COURSERA_{name}={value}\n" for name, value in settings.items()))
    environments = ran.root / "environments"
    shutil.copytree(environments / "sandbox" / "mapping", environments / "prod" / "mapping", dirs_exist_ok=True)
    ran.meltano("run", "grade-sync", environment="prod")
    of_prod = ran.root / "output" / "prod" / "oneroster.zip"
    assert of_prod.read_bytes() == ran.package.read_bytes()

    env_file.write_text("".join(f"TAP_COURSERA_{name}=of-somebody-real\n" for name in settings))
    ran.meltano("run", "tap-coursera-roster", "target-warehouse")
    env_file.unlink()


def test_a_wrong_secret_is_one_sentence_with_its_remedy_and_loses_nothing(ran: Project) -> None:
    before = ran.package.read_bytes()
    page = ran.root / "meltano.yml"
    good = page.read_text()
    page.write_text(
        good.replace("TAP_COURSERA_CLIENT_SECRET: sandbox-client-secret", "TAP_COURSERA_CLIENT_SECRET: wrong")
    )
    failed = ran.meltano("run", "tap-coursera", "target-warehouse", "dbt:build", "connect:publish", check=False)
    page.write_text(good)
    assert failed.returncode != 0
    said = failed.stdout + failed.stderr
    assert "client_secret" in said
    assert "Traceback" not in said
    assert ran.package.read_bytes() == before


def test_a_lost_file_is_not_filled_with_the_last_days_only(ran: Project) -> None:
    before = ran.package.read_bytes()
    ran.warehouse.unlink()
    refused = ran.meltano("run", "tap-coursera", "target-warehouse", "dbt:build", "connect:publish", check=False)
    assert refused.returncode != 0
    assert "The tap goes on from a bookmark of stream" in refused.stdout + refused.stderr
    assert ran.package.read_bytes() == before
    ran.meltano("run", "--full-refresh", "tap-coursera", "target-warehouse", "dbt:build", "connect:publish")
    assert ran.package.read_bytes() == before


def test_what_is_decided_after_a_build_is_shown_from_a_build_aside_and_not_published(ran: Project) -> None:
    ((learner, email),) = ran.query("select \"sourcedId\", email from oneroster.users where role = 'student' limit 1")
    with (ran.root / "environments/sandbox/mapping/excluded_people.csv").open("a") as excluded:
        excluded.write(f"{email},withdrew the consent\n")
    ran.meltano("invoke", "connect", "settings", "set", "grade_sync", "granular_all")
    preview = json.loads(ran.meltano("invoke", "connect", "preview", "--json", check=False).stdout)
    assert preview["changes"]["users"]["removed"] == [learner]
    assert preview["files"]["results"]["rows"] > ran.query("select count(*) from oneroster.results")[0][0]
    refused = ran.meltano("invoke", "connect:publish", check=False)
    assert refused.returncode == 3
    for told in (" ".join(preview["warnings"]), refused.stdout + refused.stderr):
        assert "excluded_people.csv and grade_sync (was final, is granular_all)" in told
        assert "meltano --environment=sandbox run dbt:build" in told
    assert ran.query(f"select count(*) from oneroster.users where email = '{email}'") == [(1,)]


def test_another_grade_sync_waits_for_its_named_step_and_then_brings_every_gradable_item(ran: Project) -> None:
    refused = ran.meltano("run", "dbt:build", "connect:publish", check=False)
    assert refused.returncode == 1
    assert "connect --environment=sandbox grades change granular_all --save" in refused.stdout + refused.stderr
    ran.meltano("invoke", "coursera-sandbox:start")
    ran.meltano("invoke", "connect", "test")
    changed = ran.meltano("invoke", "connect", "grades", "change", "granular_all", "--save")
    assert "connect --environment=sandbox settings set grade_sync granular_all" in changed.stdout
    ran.meltano("invoke", "connect:publish")
    titles = {title for (title,) in ran.query('select title from oneroster."categories"')}
    assert "Final grade" not in titles
    assert (
        ran.query('select count(*) from oneroster."results"')[0][0]
        == ran.query(
            "select count(*) from coursera.item_grades i "
            "join coursera.program_memberships m using (program_id, external_id) "
            # The gradebook is newer than the report: a grade waits until the report has the enrollment.
            "join coursera.enrollments e on (e.program_id, e.external_id, e.content_id) "
            "= (i.program_id, i.external_id, i.course_id) "
            "where item_grade is not null and m._sdc_deleted_at is null "
            "and i.external_id in (select identifier from oneroster.users)"  # The excluded person is missing.
        )[0][0]
    )
