"""`python -m tap_coursera`."""

from __future__ import annotations

from tap_coursera.tap import TapCoursera

TapCoursera.cli()
