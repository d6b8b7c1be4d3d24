"""The sentences of the report page: whether the sync is healthy, and what an administrator has to do."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from coursera_connect import command_text
from coursera_connect.notices import blocked_rows
from coursera_connect.publish import holds
from coursera_connect.report.page_data import age
from coursera_connect.text import one_line, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD_DATA = timedelta(hours=72)
"""The age from which data is called old: Coursera refreshes its reports daily and may be two days late."""

_AHEAD = timedelta(days=1)
"""How much two clocks may differ."""

_NAMED = 3
_ANEW = "connect run publish"
"""The command that builds the tables with the present mapping files and settings, and publishes them."""

_IS_NAMED = "--environment="
_NOT_EXCLUDED = "excluded-person-unknown"
"""The rule of `connect.quality` for a line of excluded_people.csv that matches nobody."""
_TELLING = (
    ("rule", _NOT_EXCLUDED, "The sync runs, but somebody who was to be left out may be in the package."),
    ("severity", "stop", "The sync runs, but something in the data would stop the next package."),
)
"""The findings that make the verdict `look`, by what they have in common."""
_STAYS = "The last good package stays as it is."
_WRONG = {
    "blocked": "The last publish was blocked:",
    "refused": "The last publish was refused: the data breaks a rule.",
    "failed": "The last publish failed.",
    "undelivered": "The package was made, but did not reach its receiver.",
}


def words(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the verdict (good, look or stop), its sentence, further sentences, the tasks, and the changes."""
    verdict, sentence, more = _verdict(facts)
    tasks = [
        *_of_the_failure(facts),
        *_of_the_run(facts),
        *_of_the_scale(facts),
        *_of_schools(facts["schools"]),
        *_of_the_data(facts),
    ]
    return {
        "verdict": verdict,
        "sentence": sentence,
        "more": more,
        "to_do": tasks,
        "moved": list(_moved(facts["since"]["sums"])),
    }


def _verdict(facts: dict[str, Any]) -> tuple[str, str, str]:
    failed = facts["failed"]
    if failed:
        stays = _STAYS if facts["published"] else ""
        return "stop", failed["sentence"], " ".join(filter(None, [failed["more"], stays, _sentence(facts["unread"])]))
    if facts["unread"]:
        return "look", "The warehouse cannot be read, so this page tells the runs alone.", _sentence(facts["unread"])
    if not facts["runs"]:
        return "look", "Nothing has been published yet.", "The first publish makes the package, and fills this page."
    last = facts["runs"][0]
    outcome, why = last["outcome"], _sentence(last["why"])
    if outcome in _WRONG:
        parts = [why if outcome in {"failed", "undelivered"} else "", "" if outcome == "undelivered" else _STAYS]
        sentence = f"{_WRONG[outcome]} {why[:1].lower()}{why[1:]}" if outcome == "blocked" else ""
        return "stop", sentence or _WRONG[outcome], " ".join(filter(None, parts))
    return _doubt(facts, outcome, why) or _wrong_scale(facts) or ("good", *_healthy(facts, outcome))


def _doubt(facts: dict[str, Any], outcome: str, why: str) -> tuple[str, str, str] | None:
    """Return what an administrator should look at although the last run succeeded."""
    if not facts["is_sandbox"] and (late := _too_late(facts)):  # the sandbox has a clock of its own, and no nights
        return "look", *late
    if facts["unfinished"]:
        return "look", "The last dbt:build did not make all tables, so the next publish will refuse them.", ""
    if outcome == "skipped":
        return "look", "The last publish was skipped.", f"{why} {_STAYS}".strip()
    for name, value, sentence in _TELLING:
        if any(found[name] == value for found in facts["quality"]):
            return "look", sentence, ""
    refreshed = _age_of_data(facts)
    if refreshed is not None and refreshed > OLD_DATA and not facts["is_sandbox"]:
        more = "Coursera refreshes its reports every day."
        return "look", f"The sync runs, but the data from Coursera is {_length(refreshed)} old.", more
    return None


def _too_late(facts: dict[str, Any]) -> tuple[str, str] | None:
    """Return what is too late: runs and loads."""
    ran, loaded = (age(at, facts["now"]) for at in (facts["runs"][0]["started_at"], facts["last_load"]))
    if ran is not None and ran < -_AHEAD:
        more = f"It says {facts['runs'][0]['started_at']}, and this machine's clock {facts['now']}: correct it."
        return "The last run is dated in the future.", more
    if loaded is None:
        return "It is not known when Coursera's data was last loaded.", "The next load notes it."
    if loaded > facts["missed_after"]:
        more = "By the schedules of meltano.yml there should have been one since."
        return f"No load has succeeded for {_length(loaded)}.", more
    return None


def _wrong_scale(facts: dict[str, Any]) -> tuple[str, str, str] | None:
    if not any(row["reason"] == holds.SCALE for row in facts["held"]["rows"]):
        return None
    more = "Its published scores stay as they were, and new ones wait."
    return "look", "Many scores of a school are above the maximum, so the scale of its grades must be wrong.", more


def _healthy(facts: dict[str, Any], outcome: str) -> tuple[str, str]:
    held = facts["held"]["count"]
    kept = f"{plural(held, 'row is', 'rows are')} held back for now, which needs nobody." if held else ""
    new = "did not change, as nothing had to" if outcome == "unchanged" else "is new"
    return f"The sync is healthy: the package {new}, and nothing was blocked.", kept


def _of_the_failure(facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if facts["failed"]:
        yield _task("End the cause, then run it again.", facts["failed"]["more"], *facts["failed"]["commands"])


def _of_the_run(facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    last = facts["runs"][0] if facts["runs"] else {"outcome": "none", "why": ""}
    outcome, why = last["outcome"], _sentence(last["why"])
    if outcome == "none" and not facts["failed"]:
        yield _task("Load the data from Coursera and publish it.", "", f"connect run {_first_job(facts)}")
    elif outcome == "blocked":
        stands = "What was stopped stands below, under “Held and blocked”. If it is right, let it go once."
        commands = blocked_rows.commands(facts["blocked"])
        ending = [] if any(one.startswith("connect publish") for one in commands) else ["connect publish"]
        yield _task("Decide whether that is right.", stands, "connect preview", *commands, *ending)
    elif outcome == "refused":
        stands = "The rules are listed under “Data quality”."
        yield _task("Mend what stops the package.", stands, "connect quality", _ANEW)
    elif outcome == "failed":
        yield _task("Run it again once the cause is gone.", why, "connect publish")
    elif outcome == "undelivered":
        yield _task("Deliver the package.", why, "connect deliver test", "connect deliver")


def _of_the_scale(facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if _wrong_scale(facts):
        why = "If the scores are right, publish them once with the option; if not, ask Coursera."
        commands = ("connect quality", "connect publish --allow-above-maximum")
        yield _task("Find out why many scores of a school are above the maximum.", why, *commands)


def _of_schools(programs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield tasks for programs to map or to remove; ids come from Coursera, so they are quoted for the shell."""
    missing = [row for row in programs if row["state"] == "missing"]
    if missing:
        several = len(missing) > 1
        names = ", ".join(row["program"] for row in missing[:_NAMED])
        others = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
        yield _task(
            f"Map {plural(len(missing), 'program')} to a school, or leave {'them' if several else 'it'} out.",
            f"Not in the package: {names}{others}.",
            *(f"connect schools map {shlex.quote(row['program_id'])} --save" for row in missing[:_NAMED]),
            *(["connect schools auto --save"] if several else []),
            f"connect schools leave-out {' '.join(shlex.quote(row['program_id']) for row in missing[:_NAMED])} --save",
            _ANEW,
        )
    for row in programs:
        if row["state"] == "missing-data":
            yield _task(
                f"Take out {row['program']}: Coursera does not have the program any more.",
                "Its school stays in the mapping until then.",
                f"connect schools unmap {shlex.quote(row['program_id'])} --save",
                _ANEW,
            )


def _of_the_data(facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if facts["unfinished"] and not facts["failed"]:
        yield _task("Build the tables anew, and publish them.", _sentence(facts["unfinished"]), _ANEW)
    loaded, refreshed = age(facts["last_load"], facts["now"]), _age_of_data(facts)
    if facts["is_sandbox"] or facts["failed"]:
        refreshed = loaded = None
    if loaded is not None and loaded > facts["missed_after"] and facts["runs"]:
        why = "Either the schedules do not run here, or this page is of another machine."
        yield _task("Find out why nothing was loaded.", why, "connect schedule status", "connect run grade-sync")
    elif refreshed is not None and refreshed > OLD_DATA:
        yield _task(
            "Find out why the data is old.",
            f"The reports of Coursera are {_length(refreshed)} old; usually it is one day, at most three.",
            "connect test",
            "connect run grade-sync",
        )
    for found in facts["quality"]:
        if found["rule"] == _NOT_EXCLUDED:
            yield _task("Correct excluded_people.csv.", found["sentence"], "connect mapping check", _ANEW)
    if not facts["runs"] or facts["runs"][0]["outcome"] != "refused":  # else it has been said
        for found in facts["quality"]:
            if found["severity"] == "stop":
                command = f"connect quality --rule {shlex.quote(found['rule'])}"
                yield _task("Mend what would stop the package.", found["sentence"], command, _ANEW)


def _task(what: str, why: str, *commands: str) -> dict[str, Any]:
    """Return a task with its commands, as they are typed; the last command completes the task."""
    named = (one if _IS_NAMED in one else command_text.printed(one) for one in commands)
    return {"what": what, "why": command_text.carried(why), "commands": list(dict.fromkeys(named))}


def _first_job(facts: dict[str, Any]) -> str:
    return "demo" if facts["is_sandbox"] else "roster-sync"


def _moved(sums: dict[str, dict[str, int]]) -> Iterator[str]:
    """Yield the changes in the most important files, such as `2 people added, 1 removed`."""
    for file, one, several in (
        ("users", "person", "people"),
        ("enrollments", "enrollment", "enrollments"),
        ("results", "grade", "grades"),
        ("classes", "class", "classes"),
    ):
        moves = [(what, count) for what, count in sums.get(file, {}).items() if count]
        if moves:
            (what, count), *others = moves
            yield ", ".join(
                [f"{plural(count, one, several)} {what}", *(f"{number:,} {move}" for move, number in others)]
            )


def _age_of_data(facts: dict[str, Any]) -> timedelta | None:
    return age(facts["data"]["refreshed_at"], facts["now"])


def _length(span: timedelta) -> str:
    hours = round(span / timedelta(hours=1))
    return plural(hours, "hour") if hours <= 48 else plural(span.days, "day")  # noqa: PLR2004 - two days


def _sentence(text: str | None) -> str:
    line = one_line(text or "")
    return f"{line[:1].upper()}{line[1:]}" + ("" if line[-1:] in {"", ".", "!", "?"} else ".")
