"""`connect lock`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from coursera_connect.commands import options
from coursera_connect.deciding import mapping as files
from coursera_connect.scheduling import job_lock, meltano_runs

if TYPE_CHECKING:
    from pathlib import Path


@click.command(short_help="Let the job that begins with it run alone.")
@options.together(
    options.package,
    options.mapping,
    options.setting(
        "--lock-wait",
        env="CONNECT_LOCK_WAIT",
        type=options.Number(min=0),
        default=3600.0,
        help="Seconds to wait for another job.",
    ),
)
def lock(package: Path, mapping: Path, lock_wait: float) -> None:
    """Wait until no other job is at work, and keep others waiting until the job that called this is gone.

    The first step of each job of meltano.yml. The lock is a file beside the package, so one for each environment. Who
    dies loses it, and steps that outlive their job keep it till they end. Runs that Meltano still takes for running
    although they were killed are noted as failed, so that it does not refuse the next. A mapping file that is not in
    UTF-8 ends the job here, since dbt would end at it without saying which file it is.

    \b
    Example, a job of your own in meltano.yml:
      tasks: ["connect:lock tap-coursera target-warehouse dbt:build connect:publish"]

    \b
    Exit codes: 0 the job has the lock
                2 an option is wrong, or a mapping file is not in UTF-8
                3 another job had it all the time; who, stands in the message
                4 the file beside the package cannot be written
    """  # noqa: D301 - the escape is what keeps the lines apart

    def say(sentence: str) -> None:
        click.echo(sentence, err=True)

    files.readable(mapping)
    job_lock.take(package.with_name(job_lock.LOCK), lock_wait, say)
    if environment := os.environ.get("MELTANO_ENVIRONMENT"):
        meltano_runs.end_dead(environment, say)
        meltano_runs.remove_settings()
