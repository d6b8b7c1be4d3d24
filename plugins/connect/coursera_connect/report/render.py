"""Renders the report page: one HTML file that needs neither a server nor a network.

The template, style and script are in the folder `templates`. Vega-Lite draws the plots, and its script is part of the
page. A content security policy in the page allows the two scripts by their hashes and nothing else, so that a name from
Coursera can be shown but cannot run as code.
"""

from __future__ import annotations

import base64
import hashlib
import os
from contextlib import suppress
from datetime import timedelta
from importlib import resources
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from coursera_connect import command_text
from coursera_connect import replacing as packages
from coursera_connect.errors import ConnectError, DatabaseError, OutputError
from coursera_connect.report import page_data, page_learning, page_text, project_state
from coursera_connect.text import one_line
from coursera_connect.timestamps import parsed
from coursera_connect.warehouse import warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.report.page_quality import PrivacyOptions
    from coursera_connect.report.project_state import ProjectState
    from coursera_connect.warehouse.warehouse import Location

NAME = "report.html"
"""The name of the page beside the package, unless another path is chosen."""

OFF = "off"
"""The value in place of a path with which a publish writes no page."""

TITLE = "– Coursera Connect</title>"  # noqa: RUF001 - a dash is meant
"""The end of the title of every page."""

_LIBRARY_OPENS = '<script id="library">'
_LIBRARY_SHA256 = "373b1f84072b31010f15ceb787be6b415c53936411aae267c8c2b2b6ccde46e7"
"""The SHA-256 of the script in the pinned release of vl-convert."""

_FILES = {
    "orgs": "Schools",
    "users": "People",
    "courses": "Courses",
    "classes": "Classes",
    "enrollments": "Enrollments",
    "academicSessions": "Terms",
    "categories": "Grade categories",
    "lineItems": "Gradebook columns",
    "results": "Grades",
    "roles": "Roles",
}
_OUTCOMES = {
    "published": ("good", "published"),
    "unchanged": ("good", "unchanged"),
    "undelivered": ("stop", "not delivered"),
    "blocked": ("stop", "blocked"),
    "refused": ("stop", "refused"),
    "failed": ("stop", "failed"),
    "skipped": ("look", "skipped"),
}
_OUTCOMES_OF_JOBS = {
    "": ("plain", "at work"),
    "done": ("good", "done"),
    "failed": ("stop", "failed"),
    "killed": ("stop", "killed"),
    "stopped": ("look", "stopped"),
}
_STATES = {
    "existing": ("good", "mapped"),
    "unmapped-all": ("good", "synced"),
    "missing": ("look", "missing"),
    "missing-data": ("look", "gone at Coursera"),
    "left-out": ("plain", "left out"),
}
_SEVERITIES = {
    "stop": ("stop", "stops the package"),
    "skip": ("look", "left out"),
    "repair": ("plain", "repaired"),
    "flag": ("plain", "worth a look"),
}


def place(package: Path, chosen: Path | None) -> Path:
    """Return the path of the page: the chosen one, else beside the package."""
    return package.with_name(NAME) if chosen is None or str(chosen) == OFF else chosen


def write(  # noqa: PLR0913, PLR0917 - from what, where, and how
    database: Location,
    page: Path,
    package: Path,
    privacy: PrivacyOptions,
    state: ProjectState,
    wait: float,
    *,
    anyway: bool = False,
) -> dict[str, Any]:
    """Replace the page, and return its path, its verdict and its first sentence.

    Everybody who may read the package may read the page. With `anyway` there is also a page if the warehouse cannot be
    read, from the journal alone: that may be the reason why a run failed.
    """
    try:
        with warehouse.opened(database, wait) as opened:
            facts = page_data.gather(opened, privacy, state)
    except DatabaseError as error:
        if not anyway:
            raise
        with warehouse.empty() as opened:
            facts = {**page_data.gather(opened, privacy, state), "unread": str(error)}
    words = page_text.words(facts)
    with packages.locked(package, wait):
        text = render(facts, words, library(page), _link(page, package))
        try:
            page.parent.mkdir(parents=True, exist_ok=True)
            # The next publish clears what a killed one leaves beside the package.
            with packages.replacing(page, package if page.parent == package.parent else page) as handle:
                if package.is_file():
                    os.fchmod(handle.fileno(), package.stat().st_mode & 0o777)
                handle.write(text.encode())
        except (OSError, OutputError) as error:
            raise OutputError(f"The page {page} cannot be written: check the disk and CONNECT_REPORT.") from error
    return {"page": str(page), "bytes": page.stat().st_size, "verdict": words["verdict"], "sentence": words["sentence"]}


def write_anyway(  # noqa: PLR0913, PLR0917 - from what, where, and how
    database: Location, page: Path, package: Path, privacy: PrivacyOptions, zones: tuple[str, str], wait: float
) -> str:
    """Write the page after a publish or a job has ended, and return why that was not possible; blank if it was.

    `zones` are the time zones of the schedules and of the LMS.
    """
    try:
        write(database, page, package, privacy, project_state.here(package, *zones), wait, anyway=True)
    except Exception as error:  # noqa: BLE001 - no failure of the page is one of the run
        # Only our own sentences are sure to quote no row.
        return str(error) if isinstance(error, ConnectError) else type(error).__name__
    return ""


def render(facts: dict[str, Any], words: dict[str, Any], library: str, link: str) -> str:
    """Return the page. All texts are escaped except the two scripts and the style, which are parts of this module.

    `link` is the path of the package relative to the page; blank if there is none.
    """
    folder = resources.files("coursera_connect") / "report/templates"
    style, script = ((folder / name).read_text("utf-8") for name in ("page.css", "page.js"))
    programs = {row["program_id"]: row["program"] for row in facts["schools"]}
    schools = {row["program_id"]: row["school"] for row in facts["schools"]}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "time": _time,
        "number": lambda value: "" if value is None else f"{value:,}",
        "grade": lambda value: "–" if value is None else f"{value:.0f}",  # noqa: RUF001 - a dash is meant
        "file": lambda name: _FILES.get(name, name),
        "line": lambda text: one_line("" if text is None else str(text)),
    }
    return environment.from_string((folder / "page.html").read_text("utf-8")).render(
        facts=facts,
        words=words,
        programs=programs,
        school_of=schools,
        schools=_school_names(facts),
        totals={name: sum(row[name] for row in facts["programs"]) for name in ("enrollments", "completed", "graded")},
        plots=_plots(facts, programs, schools),
        style=Markup(style),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        library=Markup(f"{_LIBRARY_OPENS}{library}</script>"),  # noqa: S704 - of the pinned library
        policy=_policy(script, library),
        link=link,
        outcomes=_OUTCOMES,
        states=_STATES,
        severities=_SEVERITIES,
        fewest=page_learning.FEWEST,
        most_classes=page_learning.CLASSES,
        old_run_hours="Infinity" if facts["is_sandbox"] else facts["missed_after"] / timedelta(hours=1),
        install=command_text.printed("connect schedule install"),
        outcomes_of_jobs=_OUTCOMES_OF_JOBS,
        release=version("coursera-connect"),
        connect=f"connect --environment={name}" if (name := command_text.environment_of_now()) else "connect",
    )


def library(page: Path) -> str:
    """Return the script of Vega-Lite, from the page that is replaced if it is the same, else from vl-convert.

    vl-convert needs two seconds to assemble the script, which is much for a nightly run.
    """
    with suppress(OSError, UnicodeDecodeError):
        found = page.read_text("utf-8").partition(_LIBRARY_OPENS)[2].partition("</script>")[0]
        if hashlib.sha256(found.encode()).hexdigest() == _LIBRARY_SHA256:
            return found
    import vl_convert  # noqa: PLC0415 - 80 MB that a page with the script in it does without

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def _policy(*scripts: str) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def _link(page: Path, package: Path) -> str:
    return package.name if package.is_file() and page.parent.resolve() == package.parent.resolve() else ""


def _time(text: Any) -> str:
    found = parsed(text)
    return f"{found.day} {found:%b %Y, %H:%M} UTC" if found else "unknown"


def _school_names(facts: dict[str, Any]) -> dict[str, str]:
    names = {row["school"]: row["school_name"] for row in facts["since"]["rows"] if row["school"]}
    names |= {row["school"]: row["school_name"] or row["program"] for row in facts["schools"] if row["school"]}
    return dict(sorted(names.items(), key=lambda item: item[1].casefold()))


def _plots(facts: dict[str, Any], names: dict[str, str], schools: dict[str, str]) -> dict[str, Any]:
    """Return the specifications of the plots; the tables of the page have the same numbers."""
    sums = ("enrollments", "completed", "graded", "lower", "median", "upper")

    def of(row: dict[str, Any], title: str) -> dict[str, Any]:
        program = row["program_id"]
        return {
            "program": program,
            "school": row.get("school") or schools.get(program, ""),
            "title": one_line(title),
            **{name: row[name] for name in sums},
        }

    runs = [
        {
            "run": run["run"],
            "at": run["started_at"],
            "outcome": _OUTCOMES.get(run["outcome"], ("look", run["outcome"]))[1],
            "state": _OUTCOMES.get(run["outcome"], ("look", ""))[0],
            "seconds": run["seconds"],
            **{name: run[name] for name in ("added", "changed", "removed")},
            "moved": run["outcome"] in {"published", "unchanged", "undelivered"} and not run["is_first"],
        }
        for run in reversed(facts["runs"])
    ]
    return {
        "programs": [of(row, names.get(row["program_id"], row["program_id"])) for row in facts["programs"]],
        "classes": [of(row, row["title"] or row["class"]) for row in facts["classes"] if row["enrollments"]],
        "months": facts["months"],
        "bins": facts["bins"],
        "schools": schools,
        "runs": runs,
    }
