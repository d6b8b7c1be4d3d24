"""The settings of a publish, and the names of what it writes beside the package."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from coursera_connect.warehouse.warehouse import Location

REPORT = "publish-report.json"
"""The name of the report beside the package; its Markdown has the suffix `.md`."""

PREVIEW = "preview"
"""The name of the folder of previews beside the package."""


@dataclass(frozen=True)
class Settings:
    """The settings of a publish, described by the options of `connect publish`. `wait` is in seconds."""

    database: Location
    package: Path
    schema: str = "oneroster"
    oneroster_version: str = "1.1"
    mode: str = "bulk"
    profile: str = "generic"
    privacy_level: int = 0
    privacy_key: str = field(default="", repr=False)
    exclude: tuple[str, ...] = ()
    system_name: str = ""
    system_code: str = ""
    removal_threshold: float = 15.0
    removal_rows: int = 5
    allow_removals: bool = False
    score_threshold: float = 10.0
    score_rows: int = 10
    allow_lower_scores: bool = False
    change_threshold: float = 50.0
    change_rows: int = 50
    allow_changes: bool = False
    allow_above_maximum: bool = False
    allow_older_data: bool = False
    blackout: str = ""
    lms_time_zone: str = "UTC"
    consent_until: str = ""
    mapping: Path | None = None
    transform: Path | None = None
    delivery: str = field(default="", repr=False)
    delivery_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    webhook: str = field(default="", repr=False)
    notify: str = field(default="", repr=False)
    wait: float = 5.0
