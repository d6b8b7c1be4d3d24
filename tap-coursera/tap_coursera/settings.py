"""The settings: what there is to set, and what is wrong with what was set.

`PROPERTIES` says all that a JSON schema can say; `problems` checks that, and what it cannot say. No sentence repeats a
value, since any of them may be a secret that was put into the wrong place.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from singer_sdk import typing as th

from tap_coursera import errors
from tap_coursera.records import milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

    from jsonschema import ValidationError

PROPERTIES = th.PropertiesList(
    th.Property(
        "client_id",
        th.StringType(min_length=1),
        required=True,
        secret=True,
        title="Client ID",
        description="Client ID (API key) of your app on dev.coursera.com.",
    ),
    th.Property(
        "client_secret",
        th.StringType(min_length=1),
        required=True,
        secret=True,
        title="Client secret",
        description="Secret key of the same app.",
    ),
    th.Property(
        "org_id",
        th.StringType(min_length=1),
        required=True,
        title="Organisation ID",
        description="The organisation's 22-character ID from the API Credentials document, not its slug.",
    ),
    th.Property(
        "api_url",
        th.StringType(min_length=1),
        default=errors.USUAL["api_url"],
        title="API URL",
        description="Where the data API is.",
    ),
    th.Property(
        "auth_url",
        th.StringType(min_length=1),
        default=errors.USUAL["auth_url"],
        title="Token URL",
        description="Where tokens are issued.",
    ),
    th.Property(
        "program_ids",
        th.ArrayType(th.StringType(min_length=1)),
        title="Programs",
        description="Ids of the programs to read; all programs when absent or empty.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description=(
            "Where there is no bookmark yet, enrollments and grades that changed at or after this time (UTC unless "
            "it names a zone); everything when absent."
        ),
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=1, maximum=1000),
        default=1000,
        title="Page size",
        description="Rows per request.",
    ),
    th.Property(
        "max_parallel_requests",
        th.IntegerType(minimum=1, maximum=32),
        default=4,
        title="Parallel requests",
        description="Pages fetched ahead at the same time; 1 reads strictly one after the other.",
    ),
    th.Property(
        "report_lag_hours",
        th.IntegerType(minimum=0, maximum=8760),
        default=72,
        title="Report lag (hours)",
        description="How far before its bookmark a report is read again, because rows can arrive that late.",
    ),
    th.Property(
        "request_timeout",
        th.IntegerType(minimum=1, maximum=3600),
        default=120,
        title="Request timeout (seconds)",
        description="How long the whole of an answer may take before it is asked for again.",
    ),
    th.Property(
        "max_answer_megabytes",
        th.IntegerType(minimum=1, maximum=4096),
        default=256,
        title="Largest answer (MB)",
        description="Size of one answer, unpacked, beyond which it is not read any further and the run ends.",
    ),
    th.Property(
        "max_busy_minutes",
        th.IntegerType(minimum=0, maximum=720),
        default=15,
        title="Patience (minutes)",
        description="How long one request is tried again while the API answers that there are too many (HTTP 429).",
    ),
    th.Property(
        "grade_sync",
        th.StringType,
        default="changed",
        allowed_values=["changed", "full"],
        title="Grade sync",
        description=(
            "Ask for the grades of learners who moved since the bookmark, or for all of them each time, which also "
            "finds what changed without any activity."
        ),
    ),
    th.Property(
        "include_specializations",
        th.BooleanType,
        default=False,
        title="Specializations",
        description="Also read enrollments in specializations (includeS12n).",
    ),
    th.Property(
        "include_expired_contracts",
        th.BooleanType,
        default=False,
        title="Expired contracts",
        description="Also read enrollments under contracts that have expired (includeExpiredContracts).",
    ),
    th.Property(
        "user_agent",
        th.StringType(min_length=1),
        default="tap-coursera/0.1.0",
        title="User agent",
        description="What the tap calls itself in requests.",
    ),
    th.Property(
        "emit_activate_version_messages",
        th.BooleanType,
        default=False,
        title="Mark vanished rows",
        description=(
            "After a stream has been read completely in FULL_TABLE mode, write ACTIVATE_VERSION, so that the "
            "loader can mark rows that were not among them."
        ),
    ),
    # The SDK has such a setting, too, but says neither what is required nor what this tap can write.
    th.Property(
        "batch_config",
        th.ObjectType(
            th.Property(
                "encoding",
                th.ObjectType(
                    th.Property(
                        "format",
                        th.StringType,
                        required=True,
                        allowed_values=["jsonl"],
                        title="Format of batch files",
                        description="jsonl: a row per line.",
                    ),
                    th.Property(
                        "compression",
                        th.StringType,
                        allowed_values=["none", "gzip"],
                        title="Compression of batch files",
                        description="none is faster where the loader runs on the same machine.",
                    ),
                    additional_properties=False,
                ),
                required=True,
                title="Encoding of batch files",
                description="How rows are written.",
            ),
            th.Property(
                "storage",
                th.ObjectType(
                    th.Property(
                        "root",
                        th.StringType(min_length=1),
                        required=True,
                        title="Folder of batch files",
                        description="A folder or URL that tap and loader both reach; anything fsspec opens.",
                    ),
                    th.Property(
                        "prefix",
                        th.StringType,
                        title="Prefix of batch files",
                        description="What their names begin with.",
                    ),
                    th.Property(
                        "params",
                        th.ObjectType(additional_properties=True),
                        title="Options of batch storage",
                        description="Options of the URL's fsspec driver.",
                    ),
                    additional_properties=False,
                ),
                required=True,
                title="Storage of batch files",
                description="Where they are.",
            ),
            th.Property(
                "batch_size",
                th.IntegerType(minimum=1, maximum=1_000_000),
                title="Rows of a batch file",
                description="How many at most; 10000 when absent.",
            ),
            additional_properties=False,
        ),
        title="Rows by file",
        description=(
            "Put rows into files and tell the loader only where these are (BATCH messages), which is faster where a "
            "loader knows them; rows are messages when absent or empty."
        ),
    ),
)

_SCHEMA: dict[str, Any] = PROPERTIES.to_dict()
_OWN: dict[str, dict[str, Any]] = _SCHEMA["properties"]


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the defaults of the tap's own settings where they are absent, null or {}."""
    defaults = {name: spec["default"] for name, spec in _OWN.items() if "default" in spec}
    return defaults | {name: value for name, value in config.items() if value not in (None, {}) or name not in _OWN}


def problems(config: Mapping[str, Any]) -> list[str]:
    """One sentence, with the remedy, for each thing that is wrong with the tap's own settings."""
    config = completed(config)
    found = []
    unset = [name for name in _SCHEMA["required"] if config.get(name, "") == ""]
    if unset:
        variables = ", ".join(map(_variable, unset))
        found.append(f"{', '.join(unset)} not set: put what is missing into the configuration, or into {variables}.")
    for name in _OWN:
        if name in config and name not in unset:
            found += problems_of(name, config[name])
    return found


def problems_of(name: str, value: object) -> list[str]:
    """One sentence for each thing that is wrong with the value of one of the tap's own settings."""
    return _misfits(name, _OWN[name], value) or _checked(name, value)


def unreadable_numbers(environment: Mapping[str, str]) -> list[str]:
    """One sentence for each variable that should hold a whole number and does not; the SDK would end in a traceback."""
    found = []
    for name, spec in _OWN.items():
        text = environment.get(_variable(name))
        if _type(spec) == "integer" and text is not None:
            try:
                int(text)
            except ValueError:
                found.append(f"{_variable(name)} has to hold {_wanted(spec)}: correct it or remove it.")
    return found


def _variable(name: str) -> str:
    return f"TAP_COURSERA_{name.upper()}"


# What the JSON schema says, in our words


def _misfits(name: str, spec: Mapping[str, Any], value: object) -> list[str]:
    if _type(spec) == "integer" and isinstance(value, float):
        return [f"{name} has to be {_wanted(spec)}."]  # to a JSON schema, 4.0 is a whole number
    # One value can break several rules of the schema, whose sentence is the same.
    wrong = th.DEFAULT_JSONSCHEMA_VALIDATOR(spec).iter_errors(value)
    return list(dict.fromkeys(_misfit(name, spec, error) for error in wrong))


def _misfit(name: str, spec: Mapping[str, Any], error: ValidationError) -> str:
    for part in error.path:
        name, spec = (
            (_entry(name, part), spec["items"])
            if isinstance(part, int)
            else (f"{name}.{part}", spec["properties"][part])
        )
    if error.validator == "minLength":
        return f"{name} is empty: fill it in or remove it."
    if error.validator == "required":
        there = cast("dict[str, Any]", error.instance)
        missing = ", ".join(other for other in spec["required"] if other not in there)
        return f"{name} lacks {missing}: add what is missing, or remove batch_config."
    if error.validator == "additionalProperties":
        return f"{name} takes {', '.join(spec['properties'])} and nothing else: remove what is not one of them."
    quoted = error.validator == "type" and isinstance(error.instance, str)
    return f"{name} has to be {_wanted(spec)}{', without quotes around it' if quoted else ''}."


def _wanted(spec: Mapping[str, Any]) -> str:
    if "enum" in spec:
        return " or ".join(spec["enum"])
    return {
        "integer": f"a whole number from {spec.get('minimum')} to {spec.get('maximum')}",
        "boolean": "true or false",
        "array": 'a list of texts, like ["...", "..."]',
        "string": "text: put it in quotes",
        "object": f"an object with {', '.join(spec.get('properties', ()))}",
    }[_type(spec)]


def _type(spec: Mapping[str, Any]) -> str:
    kind: str | list[str] = spec["type"]
    return kind if isinstance(kind, str) else kind[0]


def _entry(name: str, index: int) -> str:
    return f"{name} (entry {index + 1})"


# What it cannot say


def _checked(name: str, value: Any) -> list[str]:
    check = _CHECKS.get(name)
    if check is None:
        return []
    parts = {_entry(name, index): one for index, one in enumerate(value)} if isinstance(value, list) else {name: value}
    return [problem for part, one in parts.items() if (problem := check(part, one))]


def _unspaced(name: str, text: str) -> str | None:
    if _has_spaces(text):
        return f"{name} has a space or an invisible character around or inside it: copy it again without the spaces."
    return None


def _id(name: str, text: str) -> str | None:
    if "/" in text or "@" in text:
        return f"{name} cannot be an ID, because there is a / or an @ in it: copy the ID alone, not an address."
    if _has_spaces(text):
        return (
            f"{name} has a space or an invisible character around or inside it: it takes an ID and not a name, so copy "
            "it again without the spaces."
        )
    return None


def _url(name: str, text: str) -> str | None:
    if _has_spaces(text):
        return _unspaced(name, text)
    parts = _web_address(text)
    if parts is None:
        return errors.not_a_url(name)
    if "@" in parts.netloc:
        return (
            f"{name} has a user name or password in it: remove it up to the @, client_id and client_secret are enough."
        )
    if "?" in text or "#" in text:
        return f"{name} has something after its path: remove the ? or # and all that follows."
    if parts.scheme == "http" and not _is_this_machine(parts.hostname or ""):
        return (
            f"{name} would send credentials and grades unencrypted: start it with https://, since http:// is only for "
            "a server on this machine."
        )
    return errors.older_api(text, name)


def _web_address(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port  # which raises ValueError when it cannot be one
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname else None


def _time(name: str, text: str) -> str | None:
    try:
        if text:
            milliseconds(text)
    except (ValueError, OverflowError):
        return f"{name} is not a time: write it like 2026-01-31 or 2026-01-31T00:00:00Z."
    return None


def _header(name: str, text: str) -> str | None:
    if not text.isascii() or not text.isprintable() or text != text.strip():
        return f"{name} cannot be sent: use letters without accents, digits and signs, on one line."
    return None


_CHECKS: Mapping[str, Callable[[str, str], str | None]] = {
    "client_id": _unspaced,
    "client_secret": _unspaced,
    "org_id": _id,
    "api_url": _url,
    "auth_url": _url,
    "program_ids": _id,
    "start_date": _time,
    "user_agent": _header,
}


def _has_spaces(text: str) -> bool:
    """Whether there is anything in it that one does not see: spaces, line breaks, what a PDF or a mail puts in."""
    return " " in text or not text.isprintable()


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
