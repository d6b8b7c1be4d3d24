"""The recipes of CONTRIBUTING.md, followed to the letter, each in a copy of what it changes."""

from __future__ import annotations

import re
import shutil
import stat
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import duckdb
import pytest
import yaml

from coursera_connect.setup import attributes
from oneroster_csv import profile as profiles
from oneroster_csv.errors import SettingError
from tests.connect.college import College
from tests.package.commands import run
from tests.package.singer import read_tap

if TYPE_CHECKING:
    from tests.conftest import StartSandbox

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
STREAM = "program_skillsets"


def blocks(heading: str) -> list[str]:
    """The code that a recipe shows, in order."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [dedent(block) for block in re.findall(r"^ *```\w+\n(.*?)^ *```$", section, flags=re.MULTILINE | re.DOTALL)]


def replaced(path: Path, old: str, new: str) -> None:
    """Change one place of a file that has to be there."""
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{path.name} has no place for {new}"
    path.write_text(text.replace(old, new), "utf-8")


def test_a_stream_is_added_as_the_recipe_says(start_sandbox: StartSandbox, tmp_path: Path) -> None:
    sandbox, root = start_sandbox(learners=30), tmp_path / "copy"
    for folder in ("tap-coursera/tap_coursera", "transform/models/staging", "scripts"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    package = root / "tap-coursera/tap_coursera"
    code, schema = blocks("Add a stream")
    imported = "from tap_coursera.streams import Programs"
    assert f"`{imported}`" in TEXT
    replaced(package / "skills.py", "import Skills\n", f"import Skills\n{imported}\n")
    with (package / "skills.py").open("a") as file:
        file.write(f"\n\n{code}")
    last = "    skills.SkillsetProgress,\n"
    replaced(package / "tap.py", last, f"{last}    skills.ProgramSkillsets,\n")
    (package / f"schemas/{STREAM}.json").write_text(schema)

    python = ("env", f"PYTHONPATH={root / 'tap-coursera'}", sys.executable)
    programs = [program["id"] for program in sandbox.all("/programs", excludeContent=True)][:3]
    config = sandbox.tap_config | {"program_ids": programs}
    output = read_tap(tmp_path / "run", *python, "-m", "tap_coursera", config=config, streams=[STREAM])
    served = [
        (program, one["skillsetId"])
        for program in programs
        for one in sandbox.get(f"/rest/v1/enterprise/programs/{program}/skillsets", limit=1000)["elements"]
    ]
    rows = output.records[STREAM]
    assert sorted((row["program_id"], row["skillset_id"]) for row in rows) == sorted(served)
    assert all(row["skills"] and row["deeplink"] for row in rows)

    said = run(*python, root / "scripts/staging.py", STREAM)
    staging = root / "transform/models/staging"
    assert said.splitlines() == [
        f"transform/models/staging/{name}" for name in (f"stg_coursera__{STREAM}.sql", "sources.yml", "staging.yml")
    ]
    source = yaml.safe_load((staging / "sources.yml").read_text())["sources"][0]["tables"][-1]
    described = yaml.safe_load((staging / "staging.yml").read_text())
    assert described["unit_tests"]
    for entry, name in ((source, STREAM), (described["models"][-1], f"stg_coursera__{STREAM}")):
        assert entry["name"] == name
        assert [column["name"] for column in entry["columns"]] == list(output.schemas[STREAM]["properties"])
        assert all(column["description"] for column in entry["columns"])
    model = re.sub(r"\{\{.*\}\}", "select * from raw", (staging / f"stg_coursera__{STREAM}.sql").read_text())
    with duckdb.connect() as connection:
        connection.execute(f"create table raw ({', '.join(f'{name} json' for name in rows[0])})")
        shown = connection.execute(model).description or []
    assert [column[0] for column in shown][:2] == ["program_id", "skillset_id"]
    assert run(*python, root / "scripts/staging.py", STREAM) == "", "what is there is left alone"


def test_an_attribute_is_added_as_the_recipe_says(tmp_path: Path) -> None:
    sql, described, source = blocks("Map an attribute")
    assert sql.strip().startswith("course_slug,")
    assert "    course_slug\nfrom named_once" in (ROOT / "transform/models/connect/classes/courses.sql").read_text()
    (entry,) = yaml.safe_load(described)
    assert f") as {entry['name']}\n" in sql
    project = Path(shutil.copy(ROOT / "transform/dbt_project.yml", tmp_path))
    for folder in ("macros", "models"):
        shutil.copytree(ROOT / "transform" / folder, tmp_path / folder)
    mapping = tmp_path / attributes.MAPPING
    (line,) = [line for line in mapping.read_text().splitlines() if line.startswith("          course: {")]
    added = source.strip()
    assert added.startswith(line.strip().removesuffix("}"))
    replaced(mapping, line, f"          {added}")
    replaced(project, "  attributes: {}\n", "  attributes: {courses.subjectCodes: course.language}\n")
    found = attributes.read(tmp_path)
    assert not found.problems
    assert {one.name: one.source for one in found.targets}["courses.subjectCodes"] == "course.language"


def test_a_profile_is_added_by_a_file_and_followed_by_a_publish(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "profiles"
    shutil.copytree(ROOT / "plugins/oneroster-csv/oneroster_csv/profiles", folder)
    monkeypatch.setattr(profiles, "_folder", lambda: folder)
    monkeypatch.setenv("CONNECT_REPORT", "off")
    (profile,) = blocks("Add a profile")
    with pytest.raises(SettingError, match="There is no profile riverside"):
        profiles.load("riverside")
    (folder / "riverside.json").write_text(profile)
    assert "riverside" in profiles.names()
    college = College(tmp_path)
    title = "A title that goes on and on and on, well beyond what anybody reads"
    college.sql(f"update classes set title = '{title}' where \"sourcedId\" = 'ka1'")
    assert college.publish(profile="riverside")["outcome"] == "published"
    assert not college.ids("results")
    assert [row[3] for row in college.csv("classes") if row[0] == "ka1"] == [title[:40].rstrip()]
    college.sql("update classes set \"classCode\" = '' where \"sourcedId\" = 'kb1'")
    refused = college.publish(profile="riverside")
    assert refused["outcome"] == "refused"
    assert [problem["rule"] for problem in refused["problems"]] == ["reader-code"]


def test_folders_that_secrets_and_people_pass_through_are_made_for_their_owner_only(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    run("make", ".meltano", "output", cwd=tmp_path)
    for name in (".meltano", "output"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700
    (tmp_path / ".meltano").rmdir()
    for name in ("requirements.txt", "meltano.yml", "requirements-dev.txt"):
        (tmp_path / name).touch()
    parts = re.search("^PARTS := (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert parts
    for part in parts[1].split():
        (tmp_path / part).mkdir(parents=True)
        (tmp_path / part / "pyproject.toml").touch()
    planned = run("make", "--dry-run", "setup", cwd=tmp_path).splitlines()
    assert "mkdir -m 700 .meltano" in planned
    assert planned.index("mkdir -m 700 .meltano") < planned.index(".venv/bin/meltano --log-level=warning install")
