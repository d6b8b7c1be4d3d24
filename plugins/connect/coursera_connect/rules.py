"""The rules a package must keep: an id, one sentence and a remedy each. How they are checked is in `checks.py`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One rule. Where it does not `refuse`, a finding is a warning: shown, reported, and the package is published."""

    id: str
    sentence: str
    remedy: str
    refuses: bool = True

    @property
    def severity(self) -> str:
        """`error` refuses the package, `warning` does not."""
        return "error" if self.refuses else "warning"


_MODEL = "Correct the OneRoster model that makes the field, and run the transforms again."
_RELOAD = "Run full-reconcile, so that both sides come from the same load."

RULES = {
    rule.id: rule
    for rule in (
        Rule("header-missing", "A column of the binding is missing.", _MODEL),
        Rule(
            "header-extra",
            "A column is not in the binding (extensions are named metadata.*, at the far right).",
            _MODEL,
        ),
        Rule("header-order", "A column is not at its place in the binding.", _MODEL),
        Rule(
            "package-empty",
            "No file has a row, and a reader would take that for no news.",
            "Load the organisation first.",
        ),
        # No reference is broken by it (that would be `reference`): an organisation with members and no enrollments yet.
        Rule(
            "together",
            "A file that readers expect beside the others has no rows, so it is absent.",
            "Nothing to do if there is nothing of the kind yet; else load all streams.",
            refuses=False,
        ),
        Rule("required", "A required field is blank.", _MODEL),
        Rule("bulk-blank", "status and dateLastModified must be blank in a bulk file.", _MODEL),
        Rule(
            "control-character",
            "A field holds a line break or another control character.",
            "Clean the text in staging.",
        ),
        Rule(
            "string-length",
            "A text is longer than 255 characters, and readers may cut it.",
            "Shorten it.",
            refuses=False,
        ),
        Rule("guid", "A GUID has 1 to 255 characters out of A-Z a-z 0-9 . - _ / @.", _MODEL),
        Rule("id-unique", "A sourcedId occurs twice in a file.", _MODEL),
        Rule(
            "id-unique-case",
            "Two sourcedIds differ only in upper and lower case, and readers take them for one.",
            _MODEL,
        ),
        Rule("reference", "A reference points at nothing in the package.", _RELOAD),
        Rule("reference-type", "A reference points at a row of the wrong type.", _MODEL),
        Rule("vocabulary", "A value is not in the vocabulary, exact in spelling and case.", _MODEL),
        Rule("boolean", "A boolean is exactly true or false.", _MODEL),
        Rule("list", "A list has a blank item, or a space around one.", _MODEL),
        Rule("date", "A date is YYYY-MM-DD and a day of the calendar.", _MODEL),
        Rule("year", "A year is YYYY.", _MODEL),
        Rule("number", "A number is plain decimal, without an exponent.", _MODEL),
        Rule(
            "date-order",
            "endDate (exclusive) must be after the first day, and dueDate not before assignDate.",
            "Correct the calendar or the dates.",
        ),
        Rule(
            "outside-term",
            "A date of an enrollment lies in none of the terms of its class.",
            "Correct the terms or leave it blank.",
        ),
        Rule("learner-twice", "The same person is enrolled in a class twice in the same role.", _MODEL),
        Rule(
            "username-unique",
            "Two users have the same username, upper and lower case aside.",
            _MODEL,
        ),
        Rule(
            "email-shared",
            "Two users have the same e-mail, upper and lower case aside: a reader that matches by it may merge them.",
            "If it is one person with two accounts, merge them in Coursera.",
            refuses=False,
        ),
        Rule(
            "score-range", "A score lies outside resultValueMin to resultValueMax of its line item.", "Check the scale."
        ),
        # A line item may well have nothing but genuine zeros and ones; a fraction among them says the scale was 0 to 1.
        Rule(
            "score-scale",
            "All scores of a line item are at most 1, some fractions, while the maximum is 100.",
            "Multiply by 100.",
        ),
        Rule("not-enrolled", "The student of a result is not enrolled in the class of the line item.", _RELOAD),
    )
}
