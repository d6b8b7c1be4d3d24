"""Adapts the OneRoster library: its errors become those of connect, its remedies name commands of this project."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from coursera_connect.errors import PackageError, UsageError
from oneroster_csv import errors, masking, rules
from oneroster_csv import output as outputs
from oneroster_csv import profile as profiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oneroster_csv.output import Output
    from oneroster_csv.profile import Profile

_BY_REMEDY = {
    rules.AT_SOURCE: "Correct the OneRoster model that makes the field, and run the transforms again.",
    rules.SAME_DATA: "Run full-reconcile, so that both sides come from the same load.",
}
_BY_RULE = {
    "control-character": "Clean the text in staging.",
    "package-empty": "Load the organisation first.",
    "together": "Nothing to do if there is nothing of the kind yet; else load all streams.",
    "email-shared": "If it is one person with two accounts, merge them in Coursera.",
    "reader-needs": "Load all streams first.",
}
REMEDIES = {rule.id: _BY_REMEDY[rule.remedy] for rule in rules.RULES.values() if rule.remedy in _BY_REMEDY} | _BY_RULE
"""The remedy for a broken rule in a package that this project makes."""

_EARLIER = Path(__file__).parents[1] / "profiles"
"""The folder of an organisation's own profiles in earlier releases."""


@contextmanager
def as_ours() -> Iterator[None]:
    """Raise errors of the library as errors of connect."""
    try:
        yield
    except errors.KeyMissingError as error:
        raise UsageError(f"{error} Set CONNECT_PRIVACY_KEY to it.") from error
    except errors.SettingError as error:
        raise UsageError(str(error)) from error
    except errors.PackageError as error:
        raise PackageError(str(error)) from error


def load(name: str) -> Profile:
    """Return a profile by its name or file.

    Raises:
        UsageError: There is no such profile, or it is wrong.
    """
    earlier = _EARLIER / f"{name}.json"
    with as_ours():
        return profiles.load(str(earlier) if name not in profiles.names() and earlier.is_file() else name)


def output(  # noqa: PLR0913, PLR0917 - one value per setting
    version: str,
    profile: str,
    privacy_level: int,
    privacy_key: str,
    exclude: Iterable[str],
    district: str,
    *,
    mode: str = "bulk",
    identity: str = "coursera_id",
) -> Output:
    """Return how rows are written; `identity` is the setting from which the models made the sourcedIds of users.

    Raises:
        UsageError: A setting is wrong, or cannot be combined with another one.
    """
    if masking.hides_emails(privacy_level) and identity != "coursera_id":
        raise UsageError(
            f"The privacy level {privacy_level} masks e-mails, and with the identity {identity} every sourcedId of a "
            "user can be guessed from one: set identity to coursera_id, or the level to 1."
        )
    with as_ours():
        return outputs.make(version, load(profile), privacy_level, privacy_key, exclude, district, mode=mode)
