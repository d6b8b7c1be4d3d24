"""Runs dbt commands one after the other for the tests, since importing dbt takes longer than most of them.

The interpreter of dbt's own environment runs this file. Each line of standard input is a JSON object
{arguments, environment, folder, output}; each is answered by an exit code.
"""

from __future__ import annotations

import json
import os
import sys

from dbt.cli.main import cli  # type: ignore[import-not-found]

if __name__ == "__main__":
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()  # every command finds dbt as it was after the import
        if not child:
            os.environ.update(job["environment"])
            os.chdir(job["folder"])
            output = os.open(job["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            code = 1
            try:
                cli(job["arguments"])
            except SystemExit as end:
                code = int(end.code or 0)
            finally:
                sys.stdout.flush()
                os._exit(code)  # a plain exit would wait for threads that only the parent has
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()
