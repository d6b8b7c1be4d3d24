# ruff: noqa: E501 - statements as one would type them
"""The college of `college.py` with the tables that the report page reads, some of which hold HTML as names."""

from __future__ import annotations

import copy
import html
import html.parser
import re
import shutil
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import vl_convert
from click.testing import CliRunner

from coursera_connect.cli.main import main
from coursera_connect.report import render
from tests.connect.college import College

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

BITE = "<script>window.bitten = 1</script><img src=x onerror='window.bitten = 2'>\"'&</script>"
"""What somebody could call a course."""

NAMES = ("Ada", "Zed", "@mail.example")

_TABLES = (
    "create schema coursera", "create schema mapping", "create schema staging",
    "create table staging.stg_coursera__programs (program_id text, program_name text)",
    "insert into staging.stg_coursera__programs select id, name from (values ('pa', 'Program A'), ('pb', 'Program B'), ('-p; rm', 'Program C')) as p(id, name)",
    "create table mapping.school_mapping (program_id text, program_name text, school_id text, school_name text)",
    "insert into mapping.school_mapping values ('pa', 'Program A', 'a', 'School A'), ('pb', 'Earlier', 'b', 'School B'), ('gone', 'Old', 'old', 'Old')",
    "create table connect.program_schools (program_id text, school_sourced_id text, school_name text)",
    "insert into connect.program_schools values ('pa', 'a', 'School A'), ('pb', 'b', 'School B')",
    "create table connect.match (program_id text, members bigint, matched hugeint)",
    "insert into connect.match values ('pa', 20, 19), ('pb', 20, 20)",
    "create table connect.freshness (report_refreshed_at timestamptz, read_at timestamptz)",
    "insert into connect.freshness values (now() - interval '20 hours', now() - interval '1 hour')",
    "create table connect.classes (program_id text, class_sourced_id text, class_title text, school_sourced_id text)",
    "insert into connect.classes select 'p' || \"schoolSourcedId\", \"sourcedId\", title, \"schoolSourcedId\" from oneroster.classes",
    "create table connect.enrollments (program_id text, class_sourced_id text, user_sourced_id text, is_completed boolean, grade_0_to_1 double, enrolled_on date, completed_on date, enrollment_sourced_id text)",
    # All of school a have completed, the grades are 60, 61 ... 79; of school b only four.
    ("insert into connect.enrollments select 'p' || \"schoolSourcedId\", \"classSourcedId\", \"userSourcedId\", done, case when done then (60 + i) / 100 end, date '2025-09-01' + i, case when done then date '2025-12-20' + i end, \"sourcedId\" "
    "from (select *, cast(split_part(\"sourcedId\", '.', 3) as int) as i, \"schoolSourcedId\" = 'a' or cast(split_part(\"sourcedId\", '.', 3) as int) < 4 as done from oneroster.enrollments)"),
    "create table connect.people (person_id text, user_sourced_id text)",
    "insert into connect.people select \"sourcedId\", \"sourcedId\" from oneroster.users where \"sourcedId\" = 'a1' union all select 'acc-' || \"sourcedId\", \"sourcedId\" from oneroster.users where \"sourcedId\" <> 'a1'",
    "create table connect.quality (rule text, severity text, sentence text, entity text, program_id text, record_id text, how_many bigint)",
    ("insert into connect.quality values ('completed-without-grade', 'flag', 'It has no grade.', 'enrollment', 'pa', 'e.ka1.3', 1), "
    "('shared-email', 'flag', 'They share it.', 'user', null, 'acc-a2', 1), ('shared-email', 'flag', 'They share it.', 'user', null, 'a1', 1), "
    "('excluded-person', 'skip', 'In no file.', 'user', null, '00012345', 1), ('excluded-person', 'skip', 'In no file.', 'user', null, 'x@mail.example', 1), "
    "('not-a-member', 'skip', 'Not a member now.', 'enrollment', 'pb', null, 7)"),
)  # fmt: skip


@cache
def script() -> str:
    """Return the script of the plots, which takes two seconds to assemble."""
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


class Looked(College):
    """A college whose publish writes a page."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.sql(*_TABLES)
        self.page.parent.mkdir(exist_ok=True)
        beginning = f"<!doctype html><title>An earlier page {render.TITLE}"
        self.page.write_text(f'{beginning}<script id="library">{script()}</script>', "utf-8")

    def copy(self, folder: Path) -> Looked:
        """Return a copy of the college in another folder, which is faster than building the college again."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        other = copy.copy(self)
        other.folder = folder
        other.settings = replace(self.settings, database=other.database, package=other.package)
        return other

    @property
    def page(self) -> Path:
        return self.package.with_name(render.NAME)

    def connect(self, *arguments: str) -> Result:
        """Run a command in this process, with a page beside the package."""
        command = self.command(*arguments)[3:]
        return CliRunner().invoke(main, command, env={"CONNECT_REPORT": None}, catch_exceptions=False)

    def look(self, *arguments: str) -> Page:
        done = self.connect("report", *arguments)
        assert done.exit_code == 0, done.output
        return self.seen()

    def seen(self) -> Page:
        return Page(self.page.read_text("utf-8"))

    def bite(self) -> None:
        """Give every name a text with HTML in it."""
        word = "'" + BITE.replace("'", "''") + "'"
        self.sql(
            f"update oneroster.orgs set name = {word}",
            f"update staging.stg_coursera__programs set program_name = {word} where program_id <> 'pb'",
            f"update mapping.school_mapping set school_name = {word}, program_name = {word}",
            f"update connect.program_schools set school_name = {word}",
            f"update connect.classes set class_title = {word}, program_id = {word} where class_sourced_id = 'ka1'",
            f"update connect.quality set sentence = {word}, rule = {word}, entity = {word} where rule = 'not-a-member'",
            f"update connect.quality set record_id = {word}, program_id = {word} where rule = 'completed-without-grade'",
        )


class Page(html.parser.HTMLParser):
    """A page as it is read without scripts: its words and its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.whole = text
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self._words: list[str] = []
        self._in: list[str] = []
        self.feed(text)
        self.text = re.sub(r"\s+", " ", " ".join(self._words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.append(tag)
        self._in.append(tag)
        self.addresses += [
            value for name, value in attrs if name in {"src", "href", "action", "srcset"} or name[:2] == "on"
        ]

    def handle_endtag(self, tag: str) -> None:
        while self._in and self._in.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self._in or self._in[-1] not in {"script", "style"}:
            self._words.append(data)

    @property
    def headline(self) -> str:
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.whole, re.DOTALL)
        assert found
        return html.unescape(found[1])
