"""The Singer SDK's own tests of a target, against a real file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from singer_sdk.testing import get_target_test_class

from target_duckdb.target import TargetDuckDB

_FOLDER = tempfile.TemporaryDirectory(prefix="test-target-duckdb-")


TestStandard = get_target_test_class(
    TargetDuckDB,
    config={
        "filepath": str(Path(_FOLDER.name) / "standard.duckdb"),
        "default_target_schema": "standard",
        "add_record_metadata": True,
    },
    parse_env_config=False,
)
