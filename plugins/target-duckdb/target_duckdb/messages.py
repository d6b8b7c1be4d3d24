"""Reading Singer messages: fast, numbers exact, and never repeating a line in an error."""

from __future__ import annotations

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

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def decode_object(line: bytes, where: str) -> dict[str, Any]:
    """Decode one JSON object; numbers with a fraction or exponent become exact ``Decimal``.

    Texts in which there is half of a surrogate pair have that half; everything else decodes to what can be written.

    Args:
        line: The text of one object.
        where: How an error names the line, for example ``Line 7 of the input``.
    """
    try:
        message = _decode_or_keep_halves(line)
    except ValueError:
        raise LoadError(f"{where} is not valid JSON: run the tap alone and check what it writes.") from None
    except RecursionError:
        raise LoadError(
            f"{where} is nested too deeply to be read: leave the field out with the tap's catalog."
        ) from None
    if not isinstance(message, dict):
        raise LoadError(f"{where} is not a JSON object: run the tap alone and check what it writes.")
    return message


def _decode_or_keep_halves(line: bytes) -> Any:
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if not may_be_odd(line):
            raise
    return json.loads(line.decode("utf-8", "surrogatepass"), parse_float=Decimal, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


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

    def _plain_lines(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Let each line take its lane, and yield those that have none, all in their order."""
        lane: Lane | None = None
        for line in lines:
            self._line += 1
            if self._line == 1:
                line = line.removeprefix(BOM)  # noqa: PLW2901
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
        message = decode_object(line, f"Line {self._line} of the input")
        return self.repairs.message(message) if may_be_odd(line) else message

    @staticmethod
    @override
    def assert_line_requires(line_dict: dict[str, Any], requires: set[str]) -> None:
        if missing := sorted(requires - line_dict.keys()):
            kind = line_dict.get("type")
            name = kind if kind in set(SingerMessageType) else "Singer"
            raise LoadError(f"A {name} message lacks {', '.join(missing)}: the tap does not follow the Singer spec.")

    @override
    def _process_unknown_message(self, message_dict: dict[str, Any]) -> None:
        raise LoadError(
            f"Line {self._line} of the input is a message of a type that is not "
            f"{', '.join(kind.value for kind in SingerMessageType)}: the tap does not follow the Singer spec."
        )
