"""The steps of `connect setup`: each asks questions, shows what follows from the answers, and keeps them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from coursera_connect import command_text, oneroster
from coursera_connect.cli import progress, screen, terminal
from coursera_connect.cli.questions import numbers_of
from coursera_connect.deliver import addresses, delivery
from coursera_connect.errors import ConnectError
from coursera_connect.jobs import health, running
from coursera_connect.meltano import meltano_schedules, processes
from coursera_connect.schedule import lms_times, time_zones
from coursera_connect.setup import connection, next_steps
from coursera_connect.setup import schools as mapped_schools
from coursera_connect.setup.answers import Answers, ProgramChoice
from coursera_connect.setup.school_changes import Place
from oneroster_csv import profile as profiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from coursera_connect.cli.questions import Questions
    from coursera_connect.warehouse.warehouse import Location

_PROFILE, _DELIVERY = "CONNECT_PROFILE", "CONNECT_DELIVERY"
_KEY_FILE, _PASSWORD = "CONNECT_DELIVERY_KEY_FILE", "CONNECT_DELIVERY_PASSWORD"
_LOAD = ["connect:lock", "tap-coursera", "target-warehouse", "dbt:build"]


@dataclass
class Steps:
    """The steps of a set-up. Nothing is written before `write`; each answer applies to the following steps at once."""

    project: Path
    environment: str
    database: Location
    package: Path
    mapping: Path
    wait: float
    logs: Path
    questions: Questions
    answers: Answers = field(default_factory=Answers)

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
        self.answers.take_credentials(found, now)

    def schools(self) -> None:
        """Show the programs, and take which of them are synced; the others are left out on purpose."""
        choice = ProgramChoice.read(self.mapping, self.answers.credentials)
        plan = choice.plan
        terminal.table(("", "program", "program name", "school", "state"), choice.rows)
        if self.questions.given.get("all_programs"):
            plan.choose(plan.source)
        elif self.questions.given.get("programs"):
            plan.choose(plan.program(text) for text in self.questions.given["programs"])
        else:
            check = numbers_of([entry.program_id for entry in choice.listed])
            plan.choose(self.questions.asked("Which are synced: all, or numbers such as 1,3-5", choice.present, check))
        for change in plan.changes:
            after = change.after.school_name if change.after else ""
            terminal.say(f"  {plan.name(change.program_id)}: {after or 'left out'}")
        for warning in mapped_schools.warnings(plan):
            terminal.say(f"Warning: {warning}")
        self.answers.plan, self.answers.content = plan, choice.content

    def lms(self) -> None:
        """Take when and where the LMS syncs, and find times for the jobs that suit it."""
        known = os.environ.get(lms_times.LMS_ZONE) or time_zones.local(lms_times.LMS_ZONE).key
        now = os.environ.get(lms_times.SYNC_TIME) or "05:00"

        def time(text: str) -> str:
            lms_times.sync_crons(text)
            return text

        def zone(text: str) -> str:
            return time_zones.zone(text, lms_times.LMS_ZONE).key

        at = self.questions.answer("lms_sync_time", "When the LMS syncs (05:00, or several: 05:00,13:30)", now, time)
        where = self.questions.answer("lms_time_zone", "Time zone of the LMS", known, zone)
        self.answers.take(**{lms_times.SYNC_TIME: at, lms_times.LMS_ZONE: where})
        self.answers.take(**next_steps.times(self.project, at, where))
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
        self.answers.take(
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
        self.answers.take(**{_DELIVERY: target})
        if not target or not self.questions.asks:
            return
        driver: dict[str, Any] = {}
        if addresses.parse(target).scheme in addresses.SFTP:
            key = click.prompt("Key file (blank for a password)", os.environ.get(_KEY_FILE, ""), show_default=True)
            password = "" if key else self.questions.secret("", "Password", os.environ.get(_PASSWORD, ""))
            self.answers.take(**{_KEY_FILE: key, _PASSWORD: password})
            driver = {"key_file": key, "password": password}
        if click.confirm("Try it now? That writes a tiny file there and removes it", default=True):
            for sentence in delivery.probe(target, driver, self.package.name):
                terminal.say(f"OK  {sentence}")

    # The end

    def write(self) -> None:
        """Write all answers."""
        place = Place(self.database, self.package, self.mapping, self.wait)
        for file in self.answers.save(self.project, self.environment, place):
            terminal.say(f"Wrote {file}.")

    def preview(self) -> None:
        """Load once, and show what a publish would make of it.

        Raises:
            ConnectError: One of the two did not end well; its message is on the screen.
        """
        load, again = _LOAD, command_text.printed("connect preview", self.environment)
        terminal.say(f"$ {command_text.printed('meltano run ' + ' '.join(load), self.environment)}")
        log = self.logs.absolute() / "first-load.log"
        job = running.Job(self.project, self.environment, " ".join(load), load)
        steps = progress.steps(load, running.usual_seconds(self.package, job.name))
        with progress.screen(steps, terminal.console()) as show:
            run = running.run(job, self.package, log, show)
        if run.exit_code:
            screen.failed(health.described(run))
            raise ConnectError(f"The first load did not end well; its log is {screen.near(log)}.")
        terminal.say(f"$ {again}")
        code = processes.invoked(self.project, self.environment, "connect:preview")
        if code:
            raise ConnectError(f"The preview did not end well: correct what it says, then {again}")


STEPS: tuple[tuple[str, str, Callable[[Steps], None], tuple[str, ...]], ...] = (
    ("credentials", "Credentials of Coursera", Steps.connection, ("client_id", "client_secret_file", "org_id")),
    ("programs", "Programs and schools", Steps.schools, ("all_programs", "programs")),
    ("lms", "When the LMS syncs", Steps.lms, ("lms_sync_time", "lms_time_zone")),
    ("profile", "What the LMS reads", Steps.profile, ("profile",)),
    ("delivery", "Where packages go", Steps.delivery, ("target",)),
)
