"""A DAG of Airflow for each schedule of meltano.yml; docs/airflow.md tells how to set them up."""

from __future__ import annotations

import logging
import shlex
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from airflow.timetables.trigger import CronTriggerTimetable

from coursera_connect_project import PROJECT, meltano, schedules, setting

if TYPE_CHECKING:
    from airflow.sdk import Context

POOL = "coursera_api"
"""Of one slot: the vendor's API is asked by one job at a time, and the DuckDB file has one writer."""
POOL_COMMAND = f'airflow pools set {POOL} 1 "Coursera API and warehouse"'
RETRIES: dict[str, Any] = {
    "retries": 3,
    # Whatever ended a run, its lock is gone by then: Meltano gives up that of a killed run after five minutes.
    "retry_delay": timedelta(minutes=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(hours=1),
}
LONGEST_TRY = timedelta(hours=6)
LONGEST_RUN = timedelta(days=1)
"""With all tries, and with the wait for the pool: a run that cannot begin is told as well."""
WEBHOOK = "CONNECT_WEBHOOK"
LOCAL = {"localhost", "127.0.0.1", "::1"}
log = logging.getLogger(__name__)


def alert(context: Context) -> None:
    """Tell the webhook that a run has failed for good: which one, at which try, where its log is; nothing else.

    The URL is a secret (whoever has it can post), so it is neither logged nor sent over a network in the clear.
    """
    ti = context.get("ti")
    failed = {
        "outcome": "failed",  # in the words in which `connect publish` tells of its runs
        "dag": context["dag"].dag_id,
        "run": context["run_id"],
        "task": getattr(ti, "task_id", ""),
        "try": getattr(ti, "try_number", 0),
        "log": getattr(ti, "log_url", ""),
        "reason": context.get("reason", ""),
    }
    text = f"{failed['dag']} failed ({failed['reason']}) at try {failed['try']}, run {failed['run']}: {failed['log']}"
    try:
        url = setting(WEBHOOK)
        if not url:
            return
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in LOCAL:
            log.warning("Nobody was told: %s has to be an https address.", WEBHOOK)
            return
        answer = requests.post(
            url,
            json={"text": text, "report": failed},
            timeout=10,
            allow_redirects=False,
            auth=lambda request: request,  # of our own, so that none is taken from ~/.netrc
        )
        if not 200 <= answer.status_code < 300:  # noqa: PLR2004 - 2xx
            log.warning("Nobody was told, %s answers HTTP %s.", WEBHOOK, answer.status_code)
    except (requests.RequestException, RuntimeError, ValueError) as error:
        log.warning("Nobody was told, %s failed: %s.", WEBHOOK, type(error).__name__)  # their texts contain the URL


LISTED = schedules()
for name, cron in LISTED["crons"].items():
    command = shlex.join(meltano("schedule", "run", name))
    with DAG(
        f"coursera-connect-{name}",
        description=f"Schedule {name} of meltano.yml",
        doc_md=f"Runs `{command}`. A task that stays *scheduled* misses its pool: `{POOL_COMMAND}`.",
        # Without a start date, a DAG that is switched on waits for its next time instead of making up for the last one.
        schedule=cron and CronTriggerTimetable(cron, timezone=LISTED["zone"]),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=LONGEST_RUN,
        on_failure_callback=alert,
        tags=["coursera-connect", "meltano"],
    ):
        # A task that is cancelled or too long sends SIGTERM to its whole process group: the tap stops in order.
        BashOperator(
            task_id="meltano",
            bash_command=command,
            cwd=str(PROJECT),
            env={"MELTANO_JOB_TRIGGER": f"schedule:{name}"},  # the journal credits the run to its schedule
            append_env=True,
            pool=POOL,
            do_xcom_push=False,
            execution_timeout=LONGEST_TRY,
            **RETRIES,
        )
