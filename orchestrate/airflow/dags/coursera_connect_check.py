"""Has no DAG: it shows in Airflow, as an import error, what keeps the DAGs from following meltano.yml.

It is a file of its own because Airflow hides every DAG of a file that cannot be imported: the night would be missed
without an alert. This way the last good DAGs stay, and what fails is their run.
"""

from __future__ import annotations

from coursera_connect_project import problem

if found := problem():
    raise RuntimeError(found)
