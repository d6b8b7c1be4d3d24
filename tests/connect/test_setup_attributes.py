"""The attribute mapping as a table, and every way in which an override can be wrong, with its line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from coursera_connect.setup import attributes
from oneroster_csv.binding import load
from tests.connect.desk import Desk

if TYPE_CHECKING:
    from coursera_connect.setup.attributes import Target

REPOSITORY = Path(__file__).resolve().parents[2]
MAPPING = """\
exposures:
  - name: oneroster_files
    config:
      meta:
        sources:
          learner:  # what is known of a learner
            external_id: learner.external_id
            email: lower(learner.email)
          course: {name: course.course_name}
          school: {name: school.org_name}
        sees: {users: [learner], classes: [course, school]}
        targets:
          classes.title: {from: course.name, required: true}
          classes.location: {from: ""}
          users.sourcedId: {fixed: made of the account}
          users.email: {from: learner.email}
          users.username: {from: learner.email, required: true}
          users.sms: {from: ""}
          users.phone: {from: ""}
"""
PROJECT = "name: college\nvars:\n"
FIRST = PROJECT.count("\n") + 2
"""Line of the first override."""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def project(desk: Desk, *overrides: str, text: str = "", mapping: str = MAPPING) -> None:
    for name in (attributes.MAPPING, attributes.RULES):
        (desk.folder / name).parent.mkdir(parents=True, exist_ok=True)
    (desk.folder / attributes.MAPPING).write_text(mapping)
    shutil.copy(REPOSITORY / "transform" / attributes.RULES, desk.folder / attributes.RULES)
    own = "".join(f"\n    {line}" for line in overrides) or " {}"
    (desk.folder / attributes.FILE).write_text(text or f"{PROJECT}  attributes:{own}\n", "utf-8")


def targets(desk: Desk) -> dict[str, Target]:
    return {target.name: target for target in attributes.read(desk.folder).targets}


def test_the_default_mapping_is_shown_as_a_table_per_entity(desk: Desk) -> None:
    project(desk)
    shown = [line.split() for line in desk.run("attributes", "list").stdout.splitlines()]
    assert ["classes"] in shown
    assert ["users"] in shown
    assert ["classes.title", "yes", "course.name", "default"] in shown
    assert ["users.sourcedId", "made", "of", "the", "account", "rule"] in shown
    assert ["users.sms", "(nothing)", "default"] in shown
    assert shown[-1] == ["7", "attributes."]
    assert desk.run("attributes", "check").stdout == "The attributes are in order.\n"


def test_overrides_are_shown_with_their_line_and_may_share_a_source(desk: Desk) -> None:
    project(
        desk,
        "users.sms: learner.external_id",
        '"users.phone": learner.external_id  # quoted, and the same source',
        "users.email: ''",
        "classes.location: null",
    )
    found = targets(desk)
    assert (found["users.sms"].source, found["users.sms"].line) == ("learner.external_id", FIRST)
    assert (found["users.phone"].source, found["users.phone"].line) == ("learner.external_id", FIRST + 1)
    assert (found["users.email"].source, found["users.email"].default) == ("", "learner.email")
    assert (found["users.username"].source, found["users.username"].line) == ("learner.email", None)
    assert desk.ask("attributes", "check") == {"problems": [], "warnings": []}
    unmapped = desk.ask("attributes", "list", "--unmapped")["targets"]
    assert [target["name"] for target in unmapped] == ["classes.location", "users.email"]
    only = desk.ask("attributes", "list", "--entity", "users", "--unmapped")["targets"]
    assert [(target["name"], target["line"]) for target in only] == [("users.email", FIRST + 2)]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("users.smss: learner.email", "there is no attribute users.smss: did you mean users.sms?"),
        ("orders.zip: learner.email", "there is no attribute orders.zip: connect attributes list shows all."),
        ("users.quux: learner.email", "there is no attribute users.quux: those of users are users.email, users.user"),
        (
            "users.sms: learner.externalid",
            "there is no source learner.externalid for users.sms: did you mean learner.ext",
        ),
        (
            "users.sms: nonsense",
            "there is no source nonsense for users.sms: see the sources in models/oneroster/attributes.yml.",
        ),
        ("users.username: ''", "users.username is required by OneRoster, so it cannot be unmapped"),
        ("users.username:", "users.username is required by OneRoster, so it cannot be unmapped"),
        (
            "users.sourcedId: learner.email",
            "users.sourcedId cannot be mapped, since it follows a rule: made of the acc",
        ),
        ("users.sms: course.name", "users.sms cannot be filled from course.name, since users do not know a course"),
        ("classes.location: learner.email", "classes do not know a learner; they know: course, school."),
        ("users.sms: [learner.email]", "users.sms has to be one source"),
    ],
)
def test_an_override_that_cannot_be_is_told_with_its_line(desk: Desk, override: str, sentence: str) -> None:
    project(desk, "users.phone: learner.email", override)
    (problem,) = attributes.read(desk.folder).problems
    assert (problem.file, problem.line) == ("dbt_project.yml", FIRST + 1)
    assert sentence in problem.sentence
    done = desk.run("attributes", "check")
    assert done.exit_code == 1
    assert done.stdout.startswith(f"dbt_project.yml, line {FIRST + 1}: ")
    assert "1 problem in" in desk.run("attributes", "list").stdout


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["users.sms: learner.email", '"users.sms": learner.external_id'], f"on line {FIRST} and on line {FIRST + 1}"),
        (
            ["users.sms: learner.email", "users.phone: ''", "'users.sms': ''"],
            f"on line {FIRST} and on line {FIRST + 2}",
        ),
        (["{users.sms: learner.email,", " users.sms: learner.email}"], f"on line {FIRST} and on line {FIRST + 1}"),
        (["{users.sms: learner.email, users.sms: ''}"], f"twice on line {FIRST}"),
    ],
)
def test_an_attribute_that_is_used_twice_is_told_with_both_lines(
    desk: Desk, overrides: list[str], sentence: str
) -> None:
    project(desk, *overrides)
    (problem,) = attributes.read(desk.folder).problems
    assert problem.sentence.startswith(f"users.sms is in attributes {sentence}: each may be used once")


def test_a_var_that_is_written_twice_does_not_hide_the_first(desk: Desk) -> None:
    project(desk, text=f"{PROJECT}  attributes:\n    users.sms: learner.email\n  attributes: {{users.sms: ''}}\n")
    (problem,) = attributes.read(desk.folder).problems
    assert f"on line {FIRST} and on line {FIRST + 1}" in problem.sentence


def test_all_problems_come_in_the_order_of_the_file(desk: Desk) -> None:
    project(desk, "users.x: learner.email", "users.sms: no", "users.sms: ''", "users.email: course.name")
    answer = json.loads(desk.run("attributes", "check", "--json").stdout)
    assert [problem["line"] - FIRST for problem in answer["problems"]] == [0, 2, 3]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: x\nb: [", "line 2: this is not YAML"),
        ("name: x\n", "has no attribute mapping (targets)"),
        ("exposures: [{config: {meta: {sources: {}}}}]", "has no attribute mapping (targets)"),
        ("", "has no attribute mapping"),
        ("- 1\n", "has no attribute mapping"),
        ("a: \x07", "cannot be read as text"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(desk: Desk, text: str, sentence: str) -> None:
    project(desk, mapping=text)
    assert sentence in desk.refusal(2, "attributes", "list")
    assert sentence in desk.refusal(2, "attributes", "check")


def test_a_default_mapping_with_a_column_twice_is_told_with_its_own_file(desk: Desk) -> None:
    project(desk, mapping=f"{MAPPING}          users.sms: {{from: learner.email}}\n")
    (problem,) = attributes.read(desk.folder).problems
    assert (problem.file, problem.line) == (attributes.MAPPING, MAPPING.count("\n") + 1)
    assert problem.sentence.startswith(f"users.sms is in targets on line {MAPPING.count(chr(10)) - 1} and on line")


def test_a_project_that_is_not_there_and_an_entity_that_is_not_are_one_sentence(desk: Desk) -> None:
    assert "check CONNECT_TRANSFORM" in desk.refusal(2, "attributes", "list")
    project(desk)
    assert "They are" not in desk.refusal(2, "attributes", "list", "--entity", "user")
    assert "did you mean users?" in desk.refusal(2, "attributes", "list", "--entity", "user")


def test_the_mapping_of_this_project_is_in_order_and_names_every_column_of_the_standard() -> None:
    found = attributes.read(REPOSITORY / "transform")
    assert found.problems == []
    assert {target.name for target in found.targets if target.required} >= {"users.username", "classes.title"}
    names = {target.name for target in found.targets}
    binding = load("1.1")
    for file in ("orgs", "courses", "classes", "users", "enrollments", "lineItems", "results"):
        columns = {f"{file}.{field.name}" for field in binding.files[file]}
        assert columns - names <= {f"{file}.status", f"{file}.dateLastModified"}
