"""Runs dbt commands one after the other for the tests, since importing dbt and parsing takes longer than most of them.

The interpreter of dbt's own environment runs this file. It parses the project once, in the environment in which it is
started, and forks for each line of standard input: a JSON object {arguments, environment, folder, output, is_parsed},
which is answered by an exit code. Where `is_parsed` is false, dbt parses the project itself, as from a shell.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import Any

from dbt.cli.main import cli, dbtRunner  # type: ignore[import-not-found]
from dbt_common.clients.jinja import template_cache  # type: ignore[import-not-found]


def run(arguments: list[str], manifest: Any) -> int:
    """Run one dbt command and return its exit code."""
    if manifest is None:
        try:
            cli(arguments)
        except SystemExit as end:
            return int(end.code or 0)
    done = dbtRunner(manifest=manifest).invoke(arguments)
    if done.success:
        return 0
    return 2 if done.exception else 1


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Output of the parsing must not be mistaken for an answer.
    parsed = dbtRunner().invoke(["--quiet", "parse"]).result
    for macro in parsed.macros.values() if parsed else ():
        template_cache.get_node_template(macro)
    gc.freeze()  # A garbage collection in a child would copy the memory of the parent.
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()  # Every command starts with dbt as it was after parsing.
        if not child:
            code = 1
            try:
                os.environ.update(job["environment"])
                os.chdir(job["folder"])
                output = os.open(job["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(output, 1)
                os.dup2(output, 2)
                code = run(job["arguments"], parsed if job["is_parsed"] else None)
            finally:
                sys.stdout.flush()
                os._exit(code)  # A plain exit would wait for threads that only the parent has.
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        answers.flush()
