"""`make demo`: one run of the Meltano job `demo` against the sandbox, watched, summed up and always tidied up.

The first run loads a made-up college; each later run first moves the sandbox's simulated clock on by one day. This
script only calls `meltano` and shows what it says: everything it does can be done by hand.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parent.parent
MELTANO = [str(Path(sys.executable).with_name("meltano")), "--environment=sandbox"]
OUTPUT = PROJECT / "output" / "sandbox"
LOG = OUTPUT / "demo.log"
DAY_DONE = OUTPUT / "demo.done"
"""Left by a run that ended well; after any other the same simulated day is tried again."""

STEPS = {
    "coursera-sandbox": "Sandbox API: a made-up college on this machine",
    "tap-coursera": "Extract and load: Coursera API to DuckDB",
    "dbt": "Transform: raw tables to OneRoster models, tests included",
    "connect": "Publish: check the package, then replace the last one",
}
STREAM_STARTS = re.compile(r"Beginning sync of '(\w+)'")
DBT_NODE = re.compile(r"\b(\d+) of (\d+) (?:OK|PASS|WARN|ERROR|FAIL|SKIP)")

NEXT = """\
Try next:
  make demo
      the next simulated day: only what changed is fetched
  .venv/bin/meltano invoke connect grades change granular_all --save
  CONNECT_GRADE_SYNC=granular_all .venv/bin/meltano run publish
      the same day with every graded item in the gradebook; the first command agrees that final grades leave (and
      `grades change final --save` that they come back: without it the next publish is blocked)
  .venv/bin/meltano --environment=prod invoke connect test
      your own organisation (README, "Real credentials")
"""


class Screen:
    """One line per step; on a terminal that line shows how far the step is while it works."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self.step = ""
        self.number = 0
        self.began = time.monotonic()
        self.said: set[str] = set()

    def begin(self, step: str) -> None:
        """Close the step before, if any, and announce this one."""
        if step == self.step:
            return
        self.end()
        self.step, self.number, self.began, self.said = step, self.number + 1, time.monotonic(), set()
        self._write(f"[{self.number}/{len(STEPS)}] {STEPS[step]}")

    def progress(self, text: str) -> None:
        """Say how far the step is: in place on a terminal, as a line of its own elsewhere."""
        if text in self.said:
            return
        self.said.add(text)
        if self.live:
            line = f"[{self.number}/{len(STEPS)}] {STEPS[self.step]} ... {text}"
            # A line that wraps could not be written over.
            sys.stdout.write(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}")
            sys.stdout.flush()
        else:
            self._write(f"      {text}")

    def end(self) -> None:
        """Print the finished step with its seconds."""
        if self.step:
            seconds = f"{time.monotonic() - self.began:.0f} s"
            if self.live:
                sys.stdout.write(f"\r\033[K[{self.number}/{len(STEPS)}] {STEPS[self.step]} ({seconds})\n")
            else:
                self._write(f"      done in {seconds}")
        self.step = ""

    @staticmethod
    def _write(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def progress_of(step: str, line: str) -> str | None:
    """What a line of a plugin's log says about how far its step is, if anything."""
    if step == "tap-coursera" and (stream := STREAM_STARTS.search(line)):
        return f"reading {stream[1]}"
    if step == "dbt" and (node := DBT_NODE.search(line)):
        done, total = int(node[1]), int(node[2])
        # Off a terminal every fifth would be a screenful; quarters say enough.
        if sys.stdout.isatty() or done == total or done % max(1, total // 4) == 0:
            return f"{done} of {total} models and tests"
    if step == "coursera-sandbox" and "simulated" in line:
        return line
    return None


def events(run: subprocess.Popen[str]) -> Iterator[tuple[str, str, str]]:
    """(plugin, level, text) of each line that `meltano --log-format=json` prints; the log file keeps them all."""
    assert run.stdout is not None  # noqa: S101  # Popen was called with a pipe
    with LOG.open("a", encoding="utf-8") as log:
        for line in run.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": line.rstrip(), "level": "info"}
            text = str(event.get("event", ""))
            log.write(f"{event.get('timestamp', '')} {event.get('name', 'meltano')} {text}\n")
            yield str(event.get("name", "")), str(event.get("level", "info")), text


def run_job() -> int:
    """Run the job `demo`, show its steps, and explain a failure with the failing plugin's own last words."""
    screen = Screen()
    said: dict[str, list[str]] = {}
    # Bookmarks that outlived the file they are about would leave most rows out; the loader refuses that.
    fresh = [] if (OUTPUT / "warehouse.duckdb").exists() else ["--full-refresh"]
    with subprocess.Popen(
        [*MELTANO, "--log-format=json", "run", *fresh, "demo"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    ) as run:
        for plugin, _level, text in events(run):
            said.setdefault(plugin, []).append(text)
            if plugin == "connect" and not screen.number:
                sys.stdout.write(f"{text}\n")  # the job waits for another
                continue
            step = "tap-coursera" if plugin == "target-duckdb" else plugin
            if step not in STEPS or (step == "coursera-sandbox" and screen.number > 1):
                continue
            screen.begin(step)
            if progress := progress_of(step, text):
                screen.progress(progress)
    screen.end()
    if run.returncode:
        sys.stdout.write("\nThe run stopped. The last lines of each part that ran:\n")
        for plugin, lines in said.items():
            for line in lines[-5:]:
                sys.stdout.write(f"  {plugin or 'meltano'}: {line}\n")
        sys.stdout.write(f"The whole log is {LOG.relative_to(PROJECT)}; `make demo` tries again.\n")
    return run.returncode


def main() -> int:
    """Advance the clock if this is not the first day, run, print the summary, and stop the sandbox come what may."""
    os.environ.setdefault("NO_COLOR", "1")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    LOG.unlink(missing_ok=True)
    sandbox = [*MELTANO, "--log-level=disabled", "invoke"]
    try:
        if DAY_DONE.exists():
            DAY_DONE.unlink()
            subprocess.run([*sandbox, "coursera-sandbox:advance", "--days", "1"], cwd=PROJECT, check=True)
        if failed := run_job():
            return failed
        sys.stdout.write("\n")
        sys.stdout.flush()
        subprocess.run([*sandbox, "connect:summary"], cwd=PROJECT, check=True)
        sys.stdout.write("\n" + NEXT)
        DAY_DONE.touch()
    except subprocess.CalledProcessError as error:
        sys.stdout.write(f"The command `{' '.join(map(str, error.cmd[1:]))}` failed.\n")
        return error.returncode
    except KeyboardInterrupt:
        sys.stdout.write("\nStopped.\n")
        return 130
    finally:
        subprocess.run(
            [*sandbox, "coursera-sandbox:stop"],
            cwd=PROJECT,
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
