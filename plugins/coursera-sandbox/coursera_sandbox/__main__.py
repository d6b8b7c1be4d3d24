"""`python -m coursera_sandbox` is the command `coursera-sandbox`."""

from __future__ import annotations

from coursera_sandbox.cli import main

main()
