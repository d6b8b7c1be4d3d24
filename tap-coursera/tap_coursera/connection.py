"""The connection test: five questions to Coursera, in the order in which a set-up goes wrong, each with its verdict.

For any program that has a client and the settings it was made from:

    exit_code = report(checks(client, config), print)

What is told is the organisation's name and how many programs it has; nothing about a learner is told, or kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any

from tap_coursera import errors
from tap_coursera.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tap_coursera.client import Client


PATIENCE = 30.0
"""Seconds for which a test waits where there are too many requests."""


class ExitCode(IntEnum):
    """What failed first; 2 is left out, since it is how a command says that it was called wrongly."""

    OK = 0
    SETTINGS = 1
    TOKEN = 3
    ORGANISATION = 4
    PROGRAMS = 5
    ENROLLMENT_REPORT = 6
    GRADEBOOK = 7


class Verdict(Enum):
    """How a check ended."""

    OK = "OK"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True)
class Check:
    """One check that was made, or was not worth making."""

    name: str
    verdict: Verdict
    sentence: str
    """What was found, what to do about the failure, or why it was skipped."""
    code: ExitCode
    """How the test ends when this check is the first that failed."""


def checks(client: Client, config: Mapping[str, Any]) -> Iterator[Check]:
    """Make the checks one by one; `config` are the settings from which the client was made, complete and valid."""
    # Somebody waits for it.
    client.patience = min(client.patience, PATIENCE)
    questions = _Questions(client, config)
    failed = None
    for name, code, ask in (
        ("token", ExitCode.TOKEN, questions.token),
        ("organisation", ExitCode.ORGANISATION, questions.organisation),
        ("programs", ExitCode.PROGRAMS, questions.programs),
        ("enrollment report", ExitCode.ENROLLMENT_REPORT, questions.enrollment_report),
        ("gradebook", ExitCode.GRADEBOOK, questions.gradebook),
    ):
        if failed and questions.program is None:
            yield Check(name, Verdict.SKIPPED, f"Not asked for, since the check of the {failed} failed.", code)
            continue
        try:
            sentence = ask()
        except TapError as error:
            failed = failed or name
            yield Check(name, Verdict.FAILED, str(error), code)
        else:
            yield Check(name, Verdict.OK, sentence, code)


def line(check: Check) -> str:
    """The check as one line of text, aligned with the others."""
    return f"{check.name:<18} {check.verdict.value:<8} {check.sentence}"


def report(made: Iterable[Check], write: Callable[[str], object]) -> ExitCode:
    """Write a line for each check as it ends; returns the exit code."""
    exit_code = ExitCode.OK
    for check in made:
        write(line(check))
        if check.verdict is Verdict.FAILED and exit_code is ExitCode.OK:
            exit_code = check.code
    return exit_code


class _Questions:
    """Each answers with a sentence, or raises a TapError; `program` is the one whose reports are asked for."""

    def __init__(self, client: Client, config: Mapping[str, Any]) -> None:
        self._client = client
        self._config = config
        self.program: str | None = None

    def token(self) -> str:
        self._client.token.value()
        return f"Issued by {errors.host(self._config['auth_url'])}."

    def organisation(self) -> str:
        rows = self._rows(self._client.get("organizations", "", {}))
        if not rows:
            raise self._not_the_api()
        return f"Found: {_printable(rows[0].get('name')) or 'it has no name'}."

    def programs(self) -> str:
        found = self._listed_programs()
        if not found:
            raise TapError(
                "The organisation has no active program, so there is nothing to read: make one in Coursera's admin "
                "pages, or check that org_id is the organisation that has them."
            )
        wanted = set(self._config.get("program_ids") or found)
        self.program = next((one for one in found if one in wanted), None)
        if missing := wanted.difference(found):
            raise TapError(errors.unknown_programs(missing))
        number = f"{len(found)} program{'s' if len(found) > 1 else ''}"
        return f"{number}." if len(wanted) == len(found) else f"{len(wanted)} of {number}, as program_ids says."

    def enrollment_report(self) -> str:
        return self._first_row("enrollments", "/enrollmentReports", "byProgramId")

    def gradebook(self) -> str:
        return self._first_row("course_grades", "/courseGradebookReports", "search")

    def _listed_programs(self) -> list[str]:
        """Ids, each once, in Coursera's order."""
        found: dict[str, None] = {}
        start, seen = "0", {""}
        while start not in seen:
            seen.add(start)
            page = {"limit": str(self._config["page_size"])} | ({"start": start} if start != "0" else {})
            answer = self._client.get("programs", "/programs", {"excludeContent": "true", **page})
            found |= {str(row["id"]): None for row in self._rows(answer)}
            paging = answer.get("paging")
            start = str(paging.get("next") or "") if isinstance(paging, dict) else ""
        return list(found)

    def _first_row(self, stream: str, path: str, finder: str) -> str:
        program = str(self.program)
        params = {"q": finder, "programId": program, "includeDeletedMembers": "true", "limit": "1"}
        found = self._client.get(stream, path, params)["elements"]
        return "Can be read." if found else "Can be read; the program that was asked for has no rows in it yet."

    def _rows(self, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = list(answer["elements"])
        found = [row for row in rows if isinstance(row, dict) and row.get("id")]
        if rows and not found:
            raise self._not_the_api()
        return found

    def _not_the_api(self) -> TapError:
        return TapError(errors.not_the_api(self._config["api_url"], "api_url"))


def _printable(name: object) -> str:
    """A name from elsewhere on one line, without what could steer a terminal."""
    text = " ".join(name.split()) if isinstance(name, str) else ""
    return "".join(letter for letter in text if letter.isprintable())
