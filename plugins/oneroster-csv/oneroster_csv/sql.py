"""Functions that return DuckDB expressions over texts, for rules, masks and files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def matches(expression: str, pattern: str) -> str:
    """Return the condition that a whole text matches a regular expression."""
    return f"regexp_full_match({expression}, {literal(pattern)})"


def contains(expression: str, pattern: str) -> str:
    """Return the condition that a regular expression is found in a text."""
    return f"regexp_matches({expression}, {literal(pattern)})"


def items(expression: str) -> str:
    """Return the set-returning expression that gives one row per item of a comma-separated list."""
    return f"unnest(string_split({expression}, ','))"


def how_many(expression: str) -> str:
    """Return the number of items of a comma-separated list; the empty text has none."""
    return f"case when {expression} = '' then 0 else len(string_split({expression}, ',')) end"


def is_date(expression: str) -> str:
    """Return the condition that a text of the form YYYY-MM-DD is a day of the calendar."""
    return f"try_cast({expression} as date) is not null"


def is_time(expression: str) -> str:
    """Return the condition that a text of the form YYYY-MM-DDThh:mm:ss.mmmZ is a moment of the calendar."""
    return f"try_cast({expression} as timestamp) is not null"


def number(expression: str) -> str:
    """Return a text as a number, null where it is none."""
    return f"try_cast({expression} as double)"


def replaced(expression: str, pattern: str, by: str) -> str:
    """Return a text with every match of a regular expression replaced; `by` is taken as it is, without groups."""
    escaped = by.replace("\\", "\\\\")
    return f"regexp_replace({expression}, {literal(pattern)}, {literal(escaped)}, 'g')"


def extracted(expression: str, pattern: str) -> str:
    """Return what the group of a regular expression matches in a text, blank where it does not."""
    return f"regexp_extract({expression}, {literal(pattern)}, 1)"


def folded(expression: str) -> str:
    """Return a text in lower case and without accents, for comparing."""
    return f"lower(strip_accents({expression}))"


def mentions(expression: str, words: str) -> str:
    """Return the condition that a text has one of the words (of two characters and more) of another text in it."""
    parted = f"regexp_split_to_array({folded(words)}, '[^\\p{{L}}\\p{{N}}]+')"
    return f"len(list_filter({parted}, lambda w: length(w) > 1 and contains({folded(expression)}, w))) > 0"


def csv_row(cells: list[str], *, quote_all: bool) -> str:
    """Return the cells as a row of CSV, as Python's csv module writes it, without the line end.

    There are at least two cells, and none of them is null. Python's csv module needs each cell as an object, which
    takes longer than everything else that is done with a row.
    """
    within_quotes = [f"""'"' || replace({cell}, '"', '""') || '"'""" for cell in cells]
    if quote_all:
        return " || ',' || ".join(within_quotes)

    def special(text: str) -> str:
        return " or ".join(f"contains({text}, {one})" for one in ("','", "'\"'", "chr(10)", "chr(13)"))

    as_needed = [
        f"case when {special(cell)} then {within} else {cell} end"
        for cell, within in zip(cells, within_quotes, strict=True)
    ]
    plain, careful = (" || ',' || ".join(each) for each in (cells, as_needed))
    return f"case when {special(' || '.join(cells))} then {careful} else {plain} end"


def each_item(expression: str, change: Callable[[str], str]) -> str:
    """Return a comma-separated list with every item changed; `change` gets an item's name in SQL."""
    return f"array_to_string(list_transform(string_split({expression}, ','), lambda item: {change('item')}), ',')"


def once(expression: str, use: Callable[[str], str]) -> str:
    """Return the expression that `use` returns for the name of a value, which is evaluated only once."""
    return f"list_transform([{expression}], lambda it: {use('it')})[1]"


def digest(expression: str) -> str:
    """Return the SHA-256 of a text as 64 hex digits."""
    return f"sha256({expression})"


def keyed_digest(expression: str, inner: str, outer: str) -> str:
    """Return the HMAC-SHA-256 of a text as 64 hex digits; `inner` and `outer` name the padded keys of `remember`."""
    return f"sha256({_remembered(outer)} || unhex(sha256({_remembered(inner)} || encode({expression}))))"


def _remembered(name: str) -> str:
    # Without the cast, a variable that is not set makes the whole expression null before anything is evaluated.
    return f"cast(coalesce(getvariable({literal(name)}), error('{name} is not set')) as blob)"


def letters(hex_digits: str, count: int) -> str:
    """Return 1 to 16 letters made of 30 hex digits, the first of a text.

    60 bits make eight letters; 2**60 is so much more than 26**8 that no text is likelier by more than 2 in 10 million.
    """
    text = " || ".join(
        f"to_base({_sixty_bits(hex_digits, 1 + 15 * part)} % {26**size}, 26, {size})"
        for part, size in enumerate((min(count, 8), count - 8))
        if size > 0
    )
    return f"translate({text}, '0123456789ABCDEFGHIJKLMNOP', 'abcdefghijklmnopqrstuvwxyz')"


def digits(hex_digits: str, count: int) -> str:
    """Return up to 16 decimal digits made of the first 15 hex digits of a text."""
    return f"lpad(cast({_sixty_bits(hex_digits, 1)} % {10**count} as varchar), {count}, '0')"


def _sixty_bits(hex_digits: str, start: int) -> str:
    return f"cast('0x' || substr({hex_digits}, {start}, 15) as bigint)"
