"""`connect lock`: the first step of every job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from coursera_connect.cli import options, terminal
from coursera_connect.setup import job_start

if TYPE_CHECKING:
    from pathlib import Path


@click.command(short_help="Let the job that begins with it run alone.")
@options.together(
    options.package,
    options.setting(
        "--lock-wait",
        env="CONNECT_LOCK_WAIT",
        type=options.Number(min=0),
        default=3600.0,
        help="Seconds to wait for another job.",
    ),
)
def lock(package: Path, lock_wait: float) -> None:
    """Wait until no other job is at work, and keep others waiting until the job that called this is gone.

    The first step of each job of meltano.yml. The lock is a file beside the package, so one for each environment. Who
    dies loses it, and steps that outlive their job keep it till they end. Runs that Meltano still takes for running
    although they were killed are noted as failed, so that it does not refuse the next. The run has an entry in the
    journal beside the package from now on, which ends with it, however that happens.

    \b
    Example, a job of your own in meltano.yml:
      tasks: ["connect:lock tap-coursera target-warehouse dbt:build connect:publish"]

    \b
    Exit codes: 0 the job has the lock
                2 an option is wrong
                3 another job had it all the time; who, stands in the message
                4 the file beside the package cannot be written
                7 choices of this environment are still where an earlier release kept them
    """  # noqa: D301 - the escape is what keeps the lines apart
    job_start.start(package, lock_wait, lambda sentence: terminal.say(sentence, err=True))
