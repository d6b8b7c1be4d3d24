"""`connect setup`: the whole set-up, with questions or by options."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from coursera_connect import command_text, oneroster
from coursera_connect.cli import options, progress, schedule_install, screen, terminal
from coursera_connect.cli.questions import Questions, choice
from coursera_connect.deliver import addresses, delivery
from coursera_connect.errors import ConnectError, RefusedError, UsageError
from coursera_connect.jobs import health, running
from coursera_connect.meltano import meltano_schedules, processes, project_files
from coursera_connect.schedule import lms_sync as schedules
from coursera_connect.schedule import time_zones
from coursera_connect.setup import connection, next_steps
from coursera_connect.setup import mapping as files
from coursera_connect.setup import schools as mapped_schools
from coursera_connect.setup.answers import Answers
from coursera_connect.setup.school_changes import Place
from coursera_connect.text import plural
from oneroster_csv import profile as profiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Location

_OF_THE_TAP = "TAP_COURSERA_"
_PROFILE, _DELIVERY = "CONNECT_PROFILE", "CONNECT_DELIVERY"
_KEY_FILE, _PASSWORD = "CONNECT_DELIVERY_KEY_FILE", "CONNECT_DELIVERY_PASSWORD"
_HIDDEN = {f"{_OF_THE_TAP}CLIENT_SECRET", _DELIVERY, _PASSWORD}
_LOAD = ["connect:lock", "tap-coursera", "target-warehouse", "dbt:build"]


@dataclass
class _Walk:
    """What was answered so far. Nothing is written before `write`; what was answered counts for the next steps."""

    project: Path
    environment: str
    database: Location
    package: Path
    mapping: Path
    wait: float
    logs: Path
    questions: Questions
    answers: Answers = field(default_factory=Answers)

    def set_(self, **values: str) -> None:
        """Take answers; blank is none."""
        for name, value in values.items():
            if value != os.environ.get(name, ""):
                self.answers.values[name] = value
            os.environ[name] = value

    # The steps

    def connection(self) -> None:
        """Ask for the three values, and try each as soon as it can be tried."""
        now = connection.known()
        found: dict[str, str] = {}

        def token() -> None:
            found["client_id"] = self.questions.answer(
                "client_id", "Client ID", found.get("client_id") or now["client_id"]
            )
            found["client_secret"] = self.questions.secret("client_secret_file", "Secret Key", now["client_secret"])
            terminal.say(f"OK: {connection.credentials(found)}")

        def organisation() -> None:
            found["org_id"] = self.questions.answer("org_id", "Organisation ID", now["org_id"])
            outcome, programs = connection.tried(terminal.say, found)
            if not outcome["passed"]:
                raise ConnectError("The connection test did not pass: correct what it says.")
            self.answers.programs = programs

        self.questions.repeated(token)
        self.questions.repeated(organisation)
        self.answers.credentials = found
        self.answers.values |= {
            f"{_OF_THE_TAP}{name.upper()}": value for name, value in found.items() if value != now[name]
        }

    def schools(self) -> None:
        """Show the programs, and take which of them are synced; the others are left out on purpose."""
        content = files.sound(self.mapping, files.SCHOOLS)
        mapped = mapped_schools.from_file(content)
        source = connection.programs(self.answers.credentials)
        plan = mapped_schools.Plan(source, mapped)
        listed = [entry for entry in mapped_schools.listed(source, mapped) if entry.program_id in source]
        states = mapped_schools.STATES if mapped_schools.chooses(mapped) else {**mapped_schools.STATES, "missing": ""}
        rows = [
            (number, entry.program_id, entry.program_name, entry.school_name, states[entry.state])
            for number, entry in enumerate(listed, 1)
        ]
        terminal.table(("", "program", "program name", "school", "state"), rows)
        if self.questions.given.get("all_programs"):
            plan.choose(source)
        elif self.questions.given.get("programs"):
            plan.choose(plan.program(text) for text in self.questions.given["programs"])
        else:
            numbers = [entry.program_id for entry in listed]
            synced = [str(number) for number, one in enumerate(numbers, 1) if mapped_schools.school_of(one, mapped)]
            now = "all" if len(synced) in {0, len(numbers)} else ",".join(synced)
            plan.choose(self.questions.asked("Which are synced: all, or numbers such as 1,3-5", now, choice(numbers)))
        for change in plan.changes:
            after = change.after.school_name if change.after else ""
            terminal.say(f"  {plan.name(change.program_id)}: {after or 'left out'}")
        for warning in mapped_schools.warnings(plan):
            terminal.say(f"Warning: {warning}")
        self.answers.plan, self.answers.content = plan, content

    def lms(self) -> None:
        """Take when and where the LMS syncs, and find times for the jobs that suit it."""
        known = os.environ.get(schedules.LMS_ZONE) or time_zones.local(schedules.LMS_ZONE).key
        now = os.environ.get(schedules.SYNC_TIME) or "05:00"

        def time(text: str) -> str:
            schedules.sync_crons(text)
            return text

        def zone(text: str) -> str:
            return time_zones.zone(text, schedules.LMS_ZONE).key

        at = self.questions.answer("lms_sync_time", "When the LMS syncs (05:00, or several: 05:00,13:30)", now, time)
        where = self.questions.answer("lms_time_zone", "Time zone of the LMS", known, zone)
        self.set_(**{schedules.SYNC_TIME: at, schedules.LMS_ZONE: where})
        self.set_(**next_steps.times(self.project, at, where))
        for one in meltano_schedules.read(self.project):
            terminal.say(f"  {one.name}: {one.interval}")

    def profile(self) -> None:
        """Take which LMS reads the packages."""

        def known(text: str) -> str:
            oneroster.load(text)
            return text

        for name in profiles.names():
            first, _, _ = profiles.load(name).about.partition(". ")
            terminal.say(f"  {name}: {first.removesuffix('.')}.")
        terminal.say("  More of each: docs/profiles.md")
        self.set_(
            **{_PROFILE: self.questions.answer("profile", "Profile", os.environ.get(_PROFILE) or "generic", known)}
        )

    def delivery(self) -> None:
        """Take where packages are delivered, and try it if that is wanted."""

        def address(text: str) -> str:
            if text != "none":
                addresses.parse(text)
            return text

        asked = "Folder, sftp://user@host/path/, s3://bucket/path/, or none"
        target = self.questions.answer("target", asked, os.environ.get(_DELIVERY) or "none", address)
        target = "" if target == "none" else target
        self.set_(**{_DELIVERY: target})
        if not target or not self.questions.asks:
            return
        driver: dict[str, Any] = {}
        if addresses.parse(target).scheme in addresses.SFTP:
            key = click.prompt("Key file (blank for a password)", os.environ.get(_KEY_FILE, ""), show_default=True)
            password = "" if key else self.questions.secret("", "Password", os.environ.get(_PASSWORD, ""))
            self.set_(**{_KEY_FILE: key, _PASSWORD: password})
            driver = {"key_file": key, "password": password}
        if click.confirm("Try it now? That writes a tiny file there and removes it", default=True):
            for sentence in delivery.probe(target, driver, self.package.name):
                terminal.say(f"OK  {sentence}")

    # The end

    def write(self) -> None:
        """Write all that was answered."""
        place = Place(self.database, self.package, self.mapping, self.wait)
        for file in self.answers.save(self.project, self.environment, place):
            terminal.say(f"Wrote {file}.")

    def preview(self) -> None:
        """Load once, and show what a publish would make of it.

        Raises:
            ConnectError: one of both did not end well; what it said is on the screen.
        """
        load, again = _LOAD, command_text.printed("connect preview", self.environment)
        terminal.say(f"$ {command_text.printed('meltano run ' + ' '.join(load), self.environment)}")
        log = self.logs.absolute() / "first-load.log"
        job = running.Job(self.project, self.environment, " ".join(load), load)
        steps = progress.steps(load, running.usual_seconds(self.package, job.name))
        with progress.screen(steps, terminal.console()) as show:
            run = running.run(job, self.package, log, show)
        if run.exit_code:
            screen.failed(health.told(run))
            raise ConnectError(f"The first load did not end well; its log is {screen.near(log)}.")
        terminal.say(f"$ {again}")
        done = subprocess.run(  # noqa: S603 - the project's own
            processes.arguments(self.project, self.environment, "--log-level=warning", "invoke", "connect:preview"),
            cwd=self.project,
            env=processes.variables(self.project, self.environment),
            check=False,
        )
        if done.returncode:
            raise ConnectError(f"The preview did not end well: correct what it says, then {again}")


_STEPS: tuple[tuple[str, str, Callable[[_Walk], None], tuple[str, ...]], ...] = (
    ("credentials", "Credentials of Coursera", _Walk.connection, ("client_id", "client_secret_file", "org_id")),
    ("programs", "Programs and schools", _Walk.schools, ("all_programs", "programs")),
    ("lms", "When the LMS syncs", _Walk.lms, ("lms_sync_time", "lms_time_zone")),
    ("profile", "What the LMS reads", _Walk.profile, ("profile",)),
    ("delivery", "Where packages go", _Walk.delivery, ("target",)),
)


@click.command(short_help="Set up an environment: all steps, with questions or by options.")
@options.together(
    schedule_install.whose,
    options.package,
    options.mapping,
    options.database,
    options.wait,
    options.logs,
    click.option("--client-id", help="Client ID of Coursera's Developer Console."),
    click.option("--client-secret-file", type=click.File(), help="File with the Secret Key, or - for standard input."),
    click.option("--org-id", help="The organisation's ID."),
    click.option("--all-programs", is_flag=True, help="Sync every program."),
    click.option(
        "--program",
        "programs",
        metavar="PROGRAM",
        multiple=True,
        help="Sync this one (id or name); others are left out.",
    ),
    click.option("--lms-sync-time", help="When the LMS syncs: a time, or several separated by commas."),
    click.option("--lms-time-zone", help="IANA time zone of the LMS."),
    click.option("--profile", help="The reader's own rules; see docs/profiles.md."),
    click.option("--to", "target", help="Where packages are delivered, or none."),
    click.option(
        "--step",
        "only",
        type=click.Choice([name for name, *_ in _STEPS]),
        multiple=True,
        help="Only this step; may be given more than once.",
    ),
    click.option("--no-input", is_flag=True, help="Ask nothing: do the steps that the other options are about."),
    click.option("--save", is_flag=True, help="With --no-input: write it; without, only try and show."),
)
def setup(*, only: tuple[str, ...], no_input: bool, save: bool, **chosen: Any) -> None:
    """Set up an environment in the order in which an administrator does it; nothing is written before the end.

    It asks for the credentials and tests them, shows the programs and takes which are synced (the others are left out
    on purpose), asks when and in which time zone the LMS syncs and sets the times of the jobs before that, asks for the
    profile and for where packages go. Each step can be left out, and repeated before the end or by another call. Then
    it writes the settings, secrets and mapping of the environment, offers a first preview, and tells what is missing.

    \b
    Examples:
      connect --environment=prod setup
      connect --environment=prod setup --step programs --step delivery
      connect --environment=prod setup --no-input --save --client-id ID --client-secret-file - --org-id ORG
      connect --environment=prod setup --no-input --save --all-programs --lms-time-zone Europe/Berlin --to none

    \b
    Exit codes: 0 done; what is still missing is told
                1 the connection test did not pass, a setting is wrong, or somebody ended it
                2 an option is wrong
                3 the warehouse is in use or damaged
                4 a file cannot be written
                5 the receiver cannot be used
                7 refused: not in the sandbox
    """  # noqa: D301 - the escape is what keeps the lines apart
    walk = _begun(chosen, asks=not no_input)
    try:
        for number, (name, title, step, about) in enumerate(_STEPS, 1):
            if (only and name not in only) or (
                no_input and not any(walk.questions.given.get(option) for option in about)
            ):
                continue
            _step(walk, number, title, step)
        save = save if no_input else _agreed(walk)
    except (KeyboardInterrupt, click.Abort):
        terminal.say("\nNothing is written.")
        raise
    if no_input:
        _show(walk)
    if not save:
        terminal.say("Nothing is written." + (" To write it, add --save." if no_input else ""))
        return
    walk.write()
    if not no_input and click.confirm("Load once, and preview the first package? Nothing is published", default=True):
        try:
            walk.preview()
        finally:
            _finish(walk)
        return
    _finish(walk)


def _agreed(walk: _Walk) -> bool:
    """Show what would be written, and ask until the administrator agrees or gives up; steps can be repeated."""
    while True:
        _show(walk)
        answer = click.prompt(
            f"Write this? yes, no, or a number from 1 to {len(_STEPS)} to do that step again",
            type=click.Choice(["yes", "no", *map(str, range(1, len(_STEPS) + 1))]),
            default="yes",
            show_choices=False,
        )
        if answer in {"yes", "no"}:
            return answer == "yes"
        _, title, step, _ = _STEPS[int(answer) - 1]
        _step(walk, int(answer), title, step, again=True)


def _typed(prompt: str) -> str:
    """Ask on standard output: Python asks on standard error, which Meltano holds back until the end of a line."""
    click.echo(prompt, nl=False)
    return input()


def _begun(chosen: dict[str, Any], *, asks: bool) -> _Walk:
    context = click.get_current_context()
    typed = ParameterSource.COMMANDLINE
    given = {name: value for name, value in chosen.items() if context.get_parameter_source(name) is typed}
    owner = schedule_install.owner_of(chosen)
    if owner.environment == project_files.SANDBOX:
        raise RefusedError(
            "The environment sandbox is a made-up college and needs no setting up: "
            f"{command_text.printed('connect setup', project_files.PROD)} sets up yours."
        )
    if asks and not sys.stdin.isatty():
        raise UsageError(
            "This asks questions, and standard input is no terminal: use --no-input and the other options."
        )
    click.termui.visible_prompt_func = _typed
    where = {name: chosen[name] for name in ("database", "package", "mapping", "wait", "logs")}
    return _Walk(project=owner.project, environment=owner.environment, questions=Questions(given, asks), **where)


def _step(walk: _Walk, number: int, title: str, step: Callable[[_Walk], None], *, again: bool = False) -> None:
    terminal.say(f"\nStep {number} of {len(_STEPS)}: {title}")
    if walk.questions.asks and not again and not click.confirm("Do this step?", default=True):
        return
    try:
        step(walk)
    except ConnectError as error:
        if not walk.questions.asks:
            raise
        terminal.say(f"This step is left out: {error}")


def _show(walk: _Walk) -> None:
    terminal.say(f"\nFor {walk.environment}:")
    for name, value in walk.answers.values.items():
        terminal.say(f"  {name} = {('(hidden)' if name in _HIDDEN else value) if value else '(as shipped)'}")
    changed, left_out = walk.answers.mapped, walk.answers.left_out
    if changed or left_out:
        terminal.say(f"  {plural(changed, 'program')} mapped, {plural(left_out, 'program')} left out")
    elif not walk.answers.values:
        terminal.say("  nothing changes")


def _finish(walk: _Walk) -> None:
    missing = next_steps.missing(walk.project, walk.environment, walk.package, walk.mapping, walk.answers.credentials)
    if not missing:
        terminal.say("The set-up is finished: nothing is missing.")
        return
    terminal.say("\nStill missing:")
    for sentence, words in missing:
        terminal.say(f"  {sentence} {command_text.printed(words, walk.environment)}")
