"""The rules a package must keep: an id, one sentence and a remedy each. How they are checked is in `checks.py`.

The rules about the zip, its manifest and the bytes of its files are checked in `validate.py`, which reads packages.
"""

from __future__ import annotations

from dataclasses import dataclass

from oneroster_csv.binding import VERSIONS


@dataclass(frozen=True)
class Rule:
    """A rule. If it does not `refuse`, a finding is a warning, and the package is valid."""

    id: str
    sentence: str
    remedy: str
    """The remedy; `{field}` stands for the field, or for the file in the zip."""
    refuses: bool = True
    versions: tuple[str, ...] = VERSIONS
    """The versions of OneRoster that have the rule."""

    @property
    def severity(self) -> str:
        """`error` refuses the package, `warning` does not."""
        return "error" if self.refuses else "warning"


AT_SOURCE = "Correct it where the package is made."
SAME_DATA = "Make the package again, all files from the same data."
_ZIP = "Make the zip again, with the CSV files alone and at its root."
_RENAME = "Rename it: {field}."
_MANIFEST = "Correct manifest.csv."
_CSV = "Write the file with a CSV library (RFC 4180, UTF-8)."
_NEW = ("1.2",)

_OF_THE_ZIP = (
    Rule("zip-folder", "A CSV file lies in a folder of the zip, not at its root.", _ZIP),
    Rule("zip-name", "A file name differs from the standard's in upper and lower case.", _RENAME),
    Rule(
        "zip-misnamed", "A file has nearly the name of one of the standard's, and no reader will look at it.", _RENAME
    ),
    Rule("zip-nested", "The zip holds another zip, into which no reader looks.", "Unpack it, and send the inner one."),
    Rule(
        "zip-macos",
        "The zip holds what macOS adds to one.",
        "Make it on a command line, with `zip -X oneroster.zip *.csv`.",
        refuses=False,
    ),
    Rule("zip-duplicate", "A file is in the zip twice.", _ZIP),
    Rule("zip-method", "A file is encrypted, or compressed by anything but Deflate.", _ZIP),
    Rule("zip-foreign", "The zip holds something that is no file of this version.", "Leave it out.", refuses=False),
)

_OF_THE_MANIFEST = (
    Rule("manifest-missing", "There is no manifest.csv (a package without one would be OneRoster 1.0).", "Add one."),
    Rule("manifest-header", "The header of the manifest is propertyName,value.", _MANIFEST),
    Rule("manifest-version", "manifest.version is 1.0.", _MANIFEST),
    Rule("oneroster-version", "oneroster.version is 1.1 or 1.2; other versions are not read here.", _MANIFEST),
    Rule("manifest-property", "The manifest has no row for a file; it names every file of the version.", _MANIFEST),
    Rule("manifest-unknown", "The manifest has a property that this version does not know.", _MANIFEST),
    Rule("manifest-duplicate", "The manifest has a property twice.", _MANIFEST),
    Rule("manifest-mode", "The mode of a file is absent, bulk or delta.", _MANIFEST),
    Rule(
        "manifest-order",
        "The properties are not in the order of the standard, which some readers count on.",
        _MANIFEST,
        refuses=False,
    ),
    Rule("declared-absent", "A file is in the zip, and the manifest says absent.", _MANIFEST),
    Rule("declared-present", "The manifest promises a file that is not in the zip.", "Add it, or declare it absent."),
)

_OF_A_FILE = (
    Rule("bom", "The file begins with a byte order mark, which strict readers take for part of a name.", _CSV, False),
    Rule("encoding", "A row is not UTF-8.", _CSV),
    Rule("csv-quote", "A quote is not closed, not doubled, or in a field that is not quoted.", _CSV),
    Rule("csv-line-end", "A line ends with CR alone; it must be CRLF or LF.", _CSV),
    Rule("csv-cells", "A row has more or fewer cells than the header.", _CSV),
    Rule("csv-row-length", "A row is longer than 131,072 characters, more than CSV readers take.", "Shorten it."),
    Rule("header-absent", "The first row is no header of this file.", "Begin with the column names."),
    Rule("file-empty", "The file has a header and no rows.", "Leave it out, and declare it absent."),
)

_OF_A_HEADER = (
    Rule("header-width", "A file has more than 200 columns, and its rows are not read.", "Leave extensions out."),
    Rule("header-missing", "A column of the binding is missing.", AT_SOURCE),
    Rule(
        "header-extra",
        "A column is not in the binding (extensions are named metadata.*, at the far right).",
        AT_SOURCE,
    ),
    Rule("header-case", "A column name differs from the binding in case, spaces or invisible characters.", AT_SOURCE),
    Rule("header-duplicate", "Two columns have the same name, upper and lower case aside.", AT_SOURCE),
    Rule("header-order", "A column is not at its place in the binding.", AT_SOURCE),
)

_OF_A_CELL = (
    Rule("required", "A required field is blank.", AT_SOURCE),
    Rule("bulk-blank", "status and dateLastModified must be blank in a bulk file.", AT_SOURCE),
    Rule("delta-status", "In a delta file, status is active or tobedeleted.", AT_SOURCE),
    Rule("delta-modified", "In a delta file, dateLastModified is a time in UTC: YYYY-MM-DDThh:mm:ss.mmmZ.", AT_SOURCE),
    Rule(
        "control-character",
        "A field holds a line break or another control character.",
        "Take it out where the package is made.",
    ),
    Rule(
        "string-length",
        "A text is longer than 255 characters, and readers may cut it.",
        "Shorten it.",
        refuses=False,
    ),
    Rule("guid", "A GUID has 1 to 255 characters out of A-Z a-z 0-9 . - _ / @.", AT_SOURCE),
    Rule("vocabulary", "A value is not in the vocabulary, exact in spelling and case.", AT_SOURCE),
    Rule("boolean", "A boolean is exactly true or false.", AT_SOURCE),
    Rule("list", "A list has a blank item, or a space around one.", AT_SOURCE),
    Rule("pairs", "A list of pairs is written {name:value},{name:value}.", AT_SOURCE),
    Rule("date", "A date is YYYY-MM-DD and a day of the calendar.", AT_SOURCE),
    Rule("year", "A year is YYYY.", AT_SOURCE),
    Rule("number", "A number is plain decimal, without an exponent.", AT_SOURCE),
    Rule("percent", "A weight is a whole number from 0 to 100, without a percent sign.", AT_SOURCE, versions=_NEW),
    Rule("subjects", "subjects and subjectCodes must have the same number of items.", AT_SOURCE, versions=_NEW),
    Rule("objective-urn", "A learning objective of the source case is urn:uuid: and a UUID.", AT_SOURCE, versions=_NEW),
)

_OF_A_SET = (
    Rule(
        "package-empty",
        "No file has a row, and a reader would take that for no news.",
        "Make the package again, with its rows.",
    ),
    # This breaks no reference (see the rule `reference`): an organisation may have members and no enrollments yet.
    Rule(
        "together",
        "A file that readers expect beside the others has no rows, so it is absent.",
        "Nothing to do if there is nothing of the kind yet; else add it, with its rows.",
        refuses=False,
    ),
    Rule("id-unique", "A sourcedId occurs twice in a file.", AT_SOURCE),
    Rule(
        "id-unique-case",
        "Two sourcedIds differ only in upper and lower case, and readers take them for one.",
        AT_SOURCE,
    ),
    Rule("reference", "A reference points at nothing in the package.", SAME_DATA),
    Rule("reference-type", "A reference points at a row of the wrong type.", AT_SOURCE),
    Rule("parent-loop", "A row is its own parent, at once or over others.", AT_SOURCE),
    Rule(
        "parent-dates",
        "A session begins before its parent or ends after it.",
        "Correct the calendar.",
        refuses=False,
    ),
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
    Rule("learner-twice", "The same person is enrolled in a class twice in the same role.", AT_SOURCE),
    Rule("primary-teacher", "primary is true for somebody who is not a teacher.", AT_SOURCE),
    Rule("primary-twice", "A class has two primary teachers.", "Let one be primary."),
    Rule(
        "role-primary", "A user has one primary role in an organisation, no more and no less.", AT_SOURCE, versions=_NEW
    ),
    Rule(
        "username-unique",
        "Two users have the same username, upper and lower case aside.",
        AT_SOURCE,
    ),
    Rule(
        "email-shared",
        "Two users have the same e-mail, upper and lower case aside: a reader that matches by it may merge them.",
        "If it is one person with two accounts, merge them where the package is made.",
        refuses=False,
    ),
    Rule("score-range", "A score lies outside resultValueMin to resultValueMax of its line item.", "Check the scale."),
    # A line item may have only genuine zeros and ones; a fraction among them shows that the scale is 0 to 1.
    Rule(
        "score-scale",
        "All scores of a line item are at most 1, some fractions, while the maximum is 100.",
        "Multiply by 100.",
    ),
    Rule("not-enrolled", "The student of a result is not enrolled in the class of the line item.", SAME_DATA),
)

RULES = {
    rule.id: rule
    for group in (_OF_THE_ZIP, _OF_THE_MANIFEST, _OF_A_FILE, _OF_A_HEADER, _OF_A_CELL, _OF_A_SET)
    for rule in group
}

NEEDED = Rule(
    "reader-needs",
    "A file without which the reader takes nothing has no rows.",
    "Make the package again, with its rows.",
)
_AGAIN = "Make the package again, as its reader takes it."
READER = (
    NEEDED,
    Rule("reader-version", "The reader does not take this version of OneRoster.", _AGAIN),
    Rule("reader-mode", "The reader does not take this mode, bulk or delta.", _AGAIN),
)
"""The rules of a reader's profile besides its rules on cells."""
