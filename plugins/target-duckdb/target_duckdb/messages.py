"""Reading Singer messages: fast, numbers exact, and never repeating a line in an error."""

from __future__ import annotations

import codecs
import json
import sys
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

import msgspec
from singer_sdk.io_base import GenericSingerReader, SingerMessageType
from typing_extensions import override

from target_duckdb.errors import LoadError
from target_duckdb.texts import BOM, Repairs, may_be_odd

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator

    from target_duckdb.lane import Lane

_HALVES = "target_duckdb.halves"
_LONGEST_INT = 300  # digits; the limit of Python cannot be set to less than 640
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


_SHAPES: dict[str, tuple[type, ...]] = {
    "stream": (str,),
    "record": (dict,),
    "schema": (dict,),
    "key_properties": (list, type(None)),
    "value": (dict, type(None)),
    "version": (int,),
    "encoding": (dict,),
    "manifest": (list,),
}
_OF_TEXTS = frozenset({"key_properties", "manifest"})
_MEMBERS: dict[str, tuple[str, ...]] = {
    "RECORD": ("stream", "record"),
    "SCHEMA": ("stream", "schema", "key_properties"),
    "STATE": ("value",),
    "ACTIVATE_VERSION": ("stream", "version"),
    "BATCH": ("stream", "encoding", "manifest"),
}
_CALLED = {str: "text", dict: "object", list: "list", int: "whole number"}


def decode_object(line: bytes, where: str, repair: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Decode one JSON object; numbers with a fraction or exponent become exact ``Decimal``.

    Args:
        line: The text of one object.
        where: How an error names the line, for example ``Line 7 of the input``.
        repair: Makes what can be written of an object that may have halves of characters, or floats that are no number.
    """
    try:
        message, odd = _decode_or_keep_odd(line)
    except ValueError:
        raise LoadError(f"{where} is not valid JSON: run the tap alone and check what it writes.") from None
    except RecursionError:
        raise LoadError(
            f"{where} is nested too deeply to be read: leave the field out with the tap's catalog."
        ) from None
    if not isinstance(message, dict):
        raise LoadError(f"{where} is not a JSON object: run the tap alone and check what it writes.")
    return repair(message) if odd else message


def _decode_or_keep_odd(line: bytes) -> tuple[Any, bool]:
    try:
        return _decode(line), may_be_odd(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Python's own json takes NaN, and half a character from whoever decoded the bytes.
        text = line.decode("utf-8", _HALVES)
        return json.loads(text, parse_float=Decimal, parse_int=_integer, parse_constant=float), True


def _integer(digits: str) -> int | Decimal:
    """Return a whole number exactly; Python turns no text of thousands of digits into an int."""
    return int(digits) if len(digits) <= _LONGEST_INT else Decimal(digits)


def _as_halves(error: UnicodeError) -> tuple[str | bytes, int]:
    """Decode half a character to itself, and another byte that is no UTF-8 to one."""
    try:
        return codecs.lookup_error("surrogatepass")(error)
    except UnicodeError:
        return codecs.lookup_error("surrogateescape")(error)


codecs.register_error(_HALVES, _as_halves)


def _check_members(message: dict[str, Any], where: str) -> None:
    """Refuse a message whose members are of other types than the Singer spec says."""
    if not isinstance(kind := message.get("type"), str):
        return
    stream = f" of stream {message['stream']}" if isinstance(message.get("stream"), str) else ""
    for name in _MEMBERS.get(kind, ()):
        if name in message and not _has_shape(name, message[name]):
            wanted = _CALLED[_SHAPES[name][0]] + " of texts" * (name in _OF_TEXTS)
            what = f"{name} of the {kind} message{stream} is no {wanted}"
            raise LoadError(f"{where}: {what}: the tap does not follow the Singer spec.")


def _has_shape(name: str, value: Any) -> bool:
    fits = isinstance(value, _SHAPES[name]) and not isinstance(value, bool)
    return fits and (name not in _OF_TEXTS or value is None or all(isinstance(part, str) for part in value))


class MessageReader(GenericSingerReader[bytes]):
    """Reads Singer messages as bytes, whatever the locale says about text."""

    def __init__(self) -> None:
        super().__init__()
        self._line = self._on_the_lane = 0
        self.repairs = Repairs()
        """What was done to texts that cannot be."""
        self.find_lane: Callable[[bytes], Lane | None] = lambda _: None
        """Gives the fast lane that a line may take."""
        self.before_failing: Callable[[], None] = lambda: None
        """Waits for what is done beside the reading, and raises what went wrong there, which came first."""

    @property
    @override
    def default_input(self) -> IO[bytes]:
        return sys.stdin.buffer

    @override
    def process_lines(
        self, file_input: IO[bytes] | None, callbacks: dict[str, Callable[[dict[str, Any]], None]]
    ) -> Counter[str]:
        self._line = self._on_the_lane = 0
        lines = self._plain_lines(file_input or self.default_input)
        try:
            stats = super().process_lines(lines, callbacks)  # type: ignore[arg-type]  # it only iterates
        except Exception:
            self.before_failing()
            raise
        stats[SingerMessageType.RECORD] += self._on_the_lane
        return stats

    def _plain_lines(self, lines: Iterable[bytes | str]) -> Iterator[bytes]:
        """Let each line take its lane, and yield those that have none, all in their order.

        Whoever calls the target from Python, as the SDK's own tests do, may hand over a file that was opened as text.
        """
        lane: Lane | None = None
        for text_or_bytes in lines:
            line = text_or_bytes.encode() if isinstance(text_or_bytes, str) else text_or_bytes
            self._line += 1
            if self._line == 1:
                line = line.removeprefix(BOM)
            if not line.strip():
                continue
            if lane is not None:
                if lane.take(line):
                    self._on_the_lane += 1
                    continue
                lane.flush()
            former, lane = lane, self.find_lane(line)
            if lane is not None and lane is not former and lane.take(line):
                self._on_the_lane += 1
            else:
                yield line
        if lane is not None:
            lane.flush()

    @override
    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        where = f"Line {self._line} of the input"
        message = decode_object(line, where, self.repairs.message)
        _check_members(message, where)
        if "type" in message and not isinstance(message["type"], str):
            self._process_unknown_message(message)
        return message

    @staticmethod
    @override
    def assert_line_requires(line_dict: dict[str, Any], requires: set[str]) -> None:
        if missing := sorted(requires - line_dict.keys()):
            kind = line_dict.get("type")
            name = f"message of type {kind}" if kind in set(SingerMessageType) else "Singer message"
            raise LoadError(f"A {name} lacks {', '.join(missing)}: the tap does not follow the Singer spec.")

    @override
    def _process_unknown_message(self, message_dict: dict[str, Any]) -> None:
        raise LoadError(
            f"Line {self._line} of the input is a message of a type that is not "
            f"{', '.join(kind.value for kind in SingerMessageType)}: the tap does not follow the Singer spec."
        )
