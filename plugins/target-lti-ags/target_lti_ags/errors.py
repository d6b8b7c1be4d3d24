"""The expected errors. The message of each is one sentence: what went wrong, why, and what to do.

No message has a token, the text of an answer, or a name or e-mail address of a person.
"""

from __future__ import annotations


class PushError(Exception):
    """The run cannot go on."""


class SettingError(PushError):
    """A setting, the file of courses or the key cannot be used as it is."""


class PlatformError(PushError):
    """The platform gives no token, or does not accept the tokens that it gave."""


class CourseError(PushError):
    """One course cannot be served; others can. `kind` is that of the finding, `status` the HTTP status (0 for none)."""

    def __init__(self, kind: str, sentence: str, status: int = 0, *, is_outage: bool = False) -> None:
        super().__init__(sentence)
        self.kind, self.status = kind, status
        self.is_outage = is_outage
        """Whether the platform could not be reached or failed, so that the run ends with an error."""
