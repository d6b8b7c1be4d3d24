"""The page to look at: one HTML file that needs neither a server nor a network.

Its words are made here, its form is in the folder `page`: template, style and script. The plots are drawn by Vega-Lite,
whose script stands in the page. A content security policy in the page names the two scripts by their hashes and lets
nothing else run or load, so that a name from Coursera can be shown and can do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
from contextlib import suppress
from datetime import timedelta
from importlib import resources
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from coursera_connect import package as packages
from coursera_connect import report_data, warehouse
from coursera_connect.errors import OutputError
from coursera_connect.report_data import Shield, age, moment
from coursera_connect.text import one_line, plural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "report.html"
"""Name of the page beside the package, unless another place is chosen."""

OFF = "off"
"""What is chosen in place of a file, so that a publish writes no page."""

OLD_DATA = timedelta(hours=72)
"""Coursera refreshes its reports daily and may be two days late; older data deserves a look."""

OLD_RUN = timedelta(hours=36)
"""A nightly run is missing when the last one is longer ago."""

_LIBRARY_OPENS = '<script id="library">'
_LIBRARY_SHA256 = "3425bd951a44d478d0505c6b5d1e8d57656b6e9a4da7bfe88a718ce61d76e572"
"""Of the script that the pinned release of vl-convert gives."""

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
_STATES = {
    "existing": ("good", "mapped"),
    "unmapped-all": ("good", "synced"),
    "missing": ("look", "missing"),
    "missing-data": ("look", "gone at Coursera"),
}
_SEVERITIES = {
    "stop": ("stop", "stops the package"),
    "skip": ("look", "left out"),
    "flag": ("good", "worth a look"),
}
_STAYS = "The last good package stays as it is."


def place(package: Path, chosen: Path | None) -> Path:
    """Return where the page is written: where it was chosen, else beside the package."""
    return chosen or package.with_name(NAME)


def write(database: Path, page: Path, package: Path, shield: Shield, wait: float) -> dict[str, Any]:
    """Write the page in place of the one before, and return where it is, its verdict and its first sentence.

    The file may be read by whoever may read the package.
    """
    with warehouse.opened(database, wait) as opened:
        facts = report_data.gather(opened, shield)
    words = _words(facts)
    try:
        with packages.locked(package, wait):
            text = render(facts, words, _library(page), _link(page, package))
            page.parent.mkdir(parents=True, exist_ok=True)
            beside = package if page.parent == package.parent else page
            with packages.replacing(page, beside) as handle:
                if package.is_file():
                    os.fchmod(handle.fileno(), package.stat().st_mode & 0o777)
                handle.write(text.encode())
    except OSError as error:
        raise OutputError(f"Cannot write the page {page} ({error.strerror}): check CONNECT_REPORT.") from error
    return {"page": str(page), "bytes": page.stat().st_size, "verdict": words["verdict"], "sentence": words["sentence"]}


def render(facts: dict[str, Any], words: dict[str, Any], library: str, link: str) -> str:
    """Return the page. Every text is escaped, except for the two scripts and the style, which are ours."""
    folder = resources.files(__package__) / "page"
    style, script = ((folder / name).read_text("utf-8") for name in ("page.css", "page.js"))
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.lstrip_blocks = True
    environment.filters |= {
        "time": _time,
        "number": lambda value: "" if value is None else f"{value:,}",
        "grade": lambda value: "–" if value is None else f"{value:.0f}",
        "file": lambda name: _FILES.get(name, name),
        "line": lambda text: one_line(str(text or "")),
    }
    template = environment.from_string((folder / "page.html").read_text("utf-8"))
    return template.render(
        facts=facts,
        words=words,
        plots=_plots(facts),
        style=Markup(style),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        library=Markup(library),  # noqa: S704 - the pinned library's
        library_opens=Markup(_LIBRARY_OPENS),
        policy=_policy(script, library),
        link=link,
        outcomes=_OUTCOMES,
        states=_STATES,
        severities=_SEVERITIES,
        fewest=report_data.FEWEST,
        old_run_hours=OLD_RUN / timedelta(hours=1),
        release=version("coursera-connect"),
    )


def _policy(*scripts: str) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def _library(page: Path) -> str:
    """Return the script of Vega-Lite: the one in the page that is replaced, if it is the same, else a new one.

    To put it together takes vl-convert two seconds, which is much for a nightly run.
    """
    with suppress(OSError, UnicodeDecodeError):
        found = page.read_text("utf-8").partition(_LIBRARY_OPENS)[2].partition("</script>")[0]
        if hashlib.sha256(found.encode()).hexdigest() == _LIBRARY_SHA256:
            return found
    import vl_convert  # noqa: PLC0415 - 80 MB that a page with the script in it does without

    return str(vl_convert.javascript_bundle())


def _link(page: Path, package: Path) -> str:
    """Return the package's address as seen from the page, blank where it is not beside it."""
    return package.name if package.is_file() and page.parent.resolve() == package.parent.resolve() else ""


def _time(text: Any) -> str:
    found = moment(text)
    return f"{found.day} {found:%b %Y, %H:%M} UTC" if found else "unknown"


# What the page says


def _words(facts: dict[str, Any]) -> dict[str, Any]:
    verdict, sentence, more = _verdict(facts)
    return {
        "verdict": verdict,
        "sentence": sentence,
        "more": more,
        "to_do": list(_to_do(facts)),
        "moved": list(_moved(facts["since"]["sums"])),
        "schools": _school_names(facts),
        "school_of": {row["program_id"]: row["school"] for row in facts["schools"]},
        "program_of": {row["program_id"]: row["program"] for row in facts["schools"]},
        "totals": _totals(facts),
    }


def _verdict(facts: dict[str, Any]) -> tuple[str, str, str]:
    """Return how it is (good, look, stop), a sentence that says so, and what is to be added."""
    if not facts["runs"]:
        return "look", "Nothing has been published yet.", "The first publish makes the package, and fills this page."
    last = facts["runs"][0]
    why = one_line(last["why"] or "")
    wrong = {
        "blocked": ("The last publish was blocked: more would leave at once than the threshold allows.", _STAYS),
        "refused": ("The last publish was refused: the data breaks a rule.", _STAYS),
        "failed": ("The last run failed.", f"{why} {_STAYS}".strip()),
        "undelivered": ("The package was made, but did not reach its receiver.", why),
    }
    if last["outcome"] in wrong:
        return ("stop", *wrong[last["outcome"]])
    ran, refreshed = age(last["started_at"], facts["now"]), age(facts["data"]["refreshed_at"], facts["now"])
    if ran is not None and ran > OLD_RUN:
        return "look", f"The sync has not run for {_length(ran)}.", "The schedules of meltano.yml run it every night."
    if last["outcome"] == "skipped":
        return "look", "The last publish was skipped.", f"{why[:1].upper()}{why[1:]}. {_STAYS}"
    stops = sum(found["count"] for found in facts["quality"] if found["severity"] == "stop")
    if stops:
        return "look", "The sync runs, but something in the data would stop the next package.", ""
    if refreshed is not None and refreshed > OLD_DATA:
        return "look", f"The sync runs, but Coursera’s data is {_length(refreshed)} old.", "Coursera refreshes it daily."
    held = facts["held"]["count"]
    kept = f"{plural(held, 'row is', 'rows are')} held as they were; that needs nobody." if held else ""
    new = "is unchanged, as is the data" if last["outcome"] == "unchanged" else "is new"
    return "good", f"The sync is healthy: the package {new}, and nothing was blocked.", kept


def _length(span: timedelta) -> str:
    hours = round(span / timedelta(hours=1))
    return plural(hours, "hour") if hours <= 48 else plural(span.days, "day")  # noqa: PLR2004 - two days


def _to_do(facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what somebody has to do, with the commands to type; ids are quoted for a shell, as they come from outside."""
    last = facts["runs"][0] if facts["runs"] else None
    outcome = last["outcome"] if last else ""
    if not last:
        yield _task("Load Coursera’s data and publish it.", "", "meltano run roster-sync")
    elif outcome == "blocked":
        leave = "Look at what would leave (below, under “Held and blocked”). If it is right, let it go once."
        yield _task("Decide whether the rows may leave.", leave, "connect preview", "connect publish --allow-removals")
    elif outcome == "refused":
        yield _task("Mend what stops the package.", "The rules are listed under “Data quality”.", "connect quality")
    elif outcome == "failed":
        yield _task("Run it again once the cause is gone.", one_line(last["why"] or ""), "connect publish")
    elif outcome == "undelivered":
        yield _task("Deliver the package.", one_line(last["why"] or ""), "connect deliver test", "connect deliver")
    missing = [row for row in facts["schools"] if row["state"] == "missing"]
    if missing:
        named = [f"connect schools map {shlex.quote(row['program_id'])} --save" for row in missing[:3]]
        every = "connect schools auto --save"
        yield _task(
            f"Map {plural(len(missing), 'program')} to a school, or leave it out knowingly.",
            "It is not in the package: " + _names(missing) + ".",
            *named,
            *([every] if len(missing) > 1 else []),
        )
    for row in facts["schools"]:
        if row["state"] == "missing-data":
            yield _task(
                f"Take out {row['program']}: Coursera does not have the program any more.",
                "Its school stays in the mapping until then.",
                f"connect schools unmap {shlex.quote(row['program_id'])} --save",
            )
    refreshed = age(facts["data"]["refreshed_at"], facts["now"])
    if refreshed is not None and refreshed > OLD_DATA:
        yield _task(
            "Find out why the data is old.",
            f"Coursera’s report is {_length(refreshed)} old; usually it is one day, at most three.",
            "connect test",
            "meltano run grade-sync",
        )
    if outcome != "refused":
        for found in facts["quality"]:
            if found["severity"] == "stop":
                yield _task(
                    "Mend what would stop the package.", found["sentence"], f"connect quality --rule {found['rule']}"
                )


def _task(what: str, why: str, *commands: str) -> dict[str, Any]:
    return {"what": what, "why": why, "commands": commands}


def _names(rows: list[dict[str, Any]]) -> str:
    shown = ", ".join(row["program"] for row in rows[:3])
    return f"{shown} and {len(rows) - 3:,} more" if len(rows) > 3 else shown  # noqa: PLR2004 - as shown


def _moved(sums: dict[str, dict[str, int]]) -> Iterator[str]:
    """Yield what moved in the files that people ask for."""
    for file, one, several in (
        ("users", "person", "people"),
        ("enrollments", "enrollment", "enrollments"),
        ("results", "grade", "grades"),
        ("classes", "class", "classes"),
    ):
        moves = sums.get(file, {})
        told = [f"{count:,} {what}" for what, count in moves.items() if count]
        if told:
            total = sum(moves.values())
            first, *others = told
            number, _, what = first.partition(" ")
            noun = one if total == 1 or number == "1" else several
            yield ", ".join([f"{number} {noun} {what}", *others])


def _school_names(facts: dict[str, Any]) -> dict[str, str]:
    names = {row["school"]: row["school_name"] for row in facts["since"]["rows"] if row["school"]}
    names |= {row["school"]: row["school_name"] for row in facts["schools"] if row["school"]}
    return dict(sorted(names.items(), key=lambda item: item[1].casefold()))


def _totals(facts: dict[str, Any]) -> dict[str, int]:
    return {
        name: sum(row[name] for row in facts["programs"])
        for name in ("enrollments", "completed", "graded")
    }


def _plots(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what is drawn; the same numbers stand in the tables."""
    names = {row["program_id"]: row["program"] for row in facts["schools"]}
    schools = {row["program_id"]: row["school"] for row in facts["schools"]}
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
