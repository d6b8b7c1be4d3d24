"""Finds out what was published before this run, from the ledger and from the report beside the package.

`placed` in the report beside the package names the newest run that the reader may have seen, by ledger, number and
seal, and the data it was made of. A ledger that does not know the seal is not the one that wrote the package: the
warehouse was lost or restored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coursera_connect import timestamps
from coursera_connect.warehouse import ledger

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Warehouse

_STALE = (
    "If the saved state was ahead of the warehouse when that was put in place, rows are missing that no usual run "
    "brings: unless everything was read since, read it once with `connect run full-reconcile`."
)


@dataclass(frozen=True)
class Predecessor:
    """The publish before this one.

    `beside` is the report that lay beside the package (empty: none that can be read), `last` the newest run whose rows
    the ledger has, `placed` the newest of which it is known that it reached its reader, `since` the runs from that one
    on, `missing` what the ledger has lost, in words.
    """

    beside: dict[str, Any]
    ledger_id: str
    last: dict[str, Any] | None
    placed: dict[str, Any] | None
    since: list[dict[str, Any]]
    missing: list[str]
    latest_stamp: str
    """The latest `dateLastModified` of an earlier run; blank if there is none."""
    number: int
    """The number of the present run."""

    @property
    def seen(self) -> dict[str, Any]:
        """The part of the report that says what the reader may have seen."""
        found = self.beside.get("placed")
        return found if isinstance(found, dict) else {}

    @property
    def is_ours(self) -> bool:
        """Whether this ledger wrote the package that the reader may have seen, even if the ledger has lost its id."""
        known = {run.get("seal") for run in self.since}
        return self.ledger_id in {"", self.seen.get("ledger")} and bool(self.seen) and self.seen.get("seal") in known

    @property
    def known_as(self) -> str:
        """The id of this ledger, if only the id was lost; blank otherwise."""
        return str(self.seen["ledger"]) if self.is_ours and not self.ledger_id else ""

    def healed(self, run_at: str) -> list[str]:
        """Return in words the impossible data age that an earlier run recorded; nothing if it was possible."""
        if self.last and self.last["data_as_of"] and not timestamps.is_possible(self.last["data_as_of"], run_at):
            return [f"the data of run {self.last['run']} was dated {self.last['data_as_of']}"]
        return []

    def stranger(self) -> str:
        """Return why this ledger may not have written the package."""
        if not self.beside:
            return "publish-report.json beside the package is gone, which tells what the reader has seen"
        if not self.seen:
            return "the report beside the package does not tell what the reader has seen"
        if self.seen.get("ledger") != self.ledger_id:
            return (
                "the warehouse does not know the last package: that came from another one, which was lost or replaced"
            )
        newest = self.since[-1]["run"] if self.since else 0
        return (
            f"the warehouse was restored from an older copy: its last publish is run {newest}, and the package here is "
            f"of run {self.seen.get('run')}"
        )

    def warnings(self, mode: str) -> list[str]:
        """Return the warnings about the last publish for a run with `mode`."""
        found = []
        if self.missing and mode == "bulk":
            found.append(f"The ledger is not whole ({'; '.join(self.missing)}): it begins anew with this run's rows.")
        if self.seen and not self.is_ours:
            stranger = self.stranger() + ". "
            found.append(_STALE if mode == "delta" else f"{stranger[0].upper()}{stranger[1:]}{_STALE}")
        return found

    def no_delta(self, fingerprint: str, target: str) -> str:
        """Return why a delta cannot be published; blank if it can."""
        if self.placed is None:
            if self.missing:
                return "the ledger has lost its runs"
            return self.stranger() if self.seen else "nothing was published yet"
        if self.missing:
            return f"the ledger is not whole, {'; '.join(self.missing)}"
        if not self.is_ours:
            return self.stranger()
        if any(run["shape"] != fingerprint for run in self.since):
            return "version, profile, privacy level, columns or excluded attributes have changed"
        return "" if self.placed["delivered_to"] == target else "the last package went to another place"

    def newer(self, data_as_of: str, read_at: str, now: str) -> str:
        """Return a sentence if the package was made of newer data than the warehouse has; blank otherwise.

        Data of this ledger's own package may become older when a program leaves; otherwise the warehouse was restored.
        """
        if not self.seen or self.is_ours:
            return ""
        noted = self.seen
        if "data_as_of" not in noted and self.beside.get("run") == noted.get("run") and self.beside.get("published"):
            noted = self.beside  # of a release that did not note it with what is placed
        compared = False
        for name, has in (("data_as_of", data_as_of), ("read_at", read_at)):
            had = str(noted.get(name) or "")
            if not has or not timestamps.is_possible(had, max(now, read_at)):
                continue
            compared = True
            if had > has:
                what = "Coursera's reports of" if name == "data_as_of" else "what was read at"
                return (
                    f"the package here (run {self.seen.get('run')}) was made from {what} {had}, and the warehouse has "
                    f"those of {has}, since it was restored or replaced; load newer data first, or, if the older "
                    "package is wanted, `connect publish --allow-older-data`"
                )
        newest, package = self.since[-1] if self.since else None, self.seen.get("run")
        ours = self.seen.get("ledger") == self.ledger_id and isinstance(package, int)
        if not compared and newest and ours and package > newest["run"]:
            return (
                f"the package here is of run {package}, ended {self.beside.get('finished_at')}, and the newest the "
                f"warehouse knows is run {newest['run']}, ended {newest['finished_at']}, since it was restored; load "
                "newer data first, or, if the older package is wanted, `connect publish --allow-older-data`"
            )
        return ""

    def stamp(self, now: str) -> str:
        """Return the `dateLastModified` for rows of this run: now, but never earlier than in an earlier run."""
        return max(now, str(self.seen.get("stamp") or ""), self.latest_stamp)

    def clock(self, now: str) -> list[str]:
        """Return a warning if this machine's clock is behind that of an earlier run."""
        earlier = self.stamp("")
        if not earlier or earlier <= now:
            return []
        sentence = f"This machine's clock says {now}, and an earlier run's said {earlier}: it went back, or was ahead."
        return [
            f"{sentence} Until it has passed that time again, changed rows bear the later one; set the clock right."
        ]


def look_back(database: Warehouse, beside: dict[str, Any]) -> Predecessor:
    """Return what was published before, from the ledger and the report beside the package."""
    last = ledger.last_run(database, ledger.PUBLISHED)
    placed = ledger.last_run(database, "placed")
    since = (
        ledger.read(database, "runs", f"run >= ? and {ledger.PUBLISHED}", [placed["run"]], order="run")
        if placed
        else []
    )
    seen = beside.get("placed")
    number = seen.get("run") if isinstance(seen, dict) else 0
    return Predecessor(
        beside,
        ledger.identity(database),
        last,
        placed,
        since,
        ledger.missing(database, last),
        ledger.latest_stamp(database) if last else "",
        ledger.next_run(database, number if isinstance(number, int) else 0),
    )


def report_beside(place: Path) -> dict[str, Any]:
    """Return the report at a path; empty if it cannot be read."""
    try:
        found = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
