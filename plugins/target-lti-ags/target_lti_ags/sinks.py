"""What happens to the records of a stream: they are stored in the ledger, from which everything else is decided."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk.sinks import RecordSink
from typing_extensions import override

from target_lti_ags.errors import PushError
from target_lti_ags.ledger import now_ms

if TYPE_CHECKING:
    from singer_sdk.sinks.core import BaseJSONSchemaValidator

    from target_lti_ags.ledger import Ledger
    from target_lti_ags.target import TargetLTIAGS


class _LedgerSink(RecordSink):
    """Stores the records of one stream."""

    table: ClassVar[str]
    needed: ClassVar[tuple[str, ...]]
    include_sdc_metadata_properties = True  # so that a record tells its version

    def __init__(self, target: TargetLTIAGS, *args: Any, **options: Any) -> None:
        super().__init__(target, *args, **options)
        self._target = target
        missing = [name for name in self.needed if name not in self.original_schema["properties"]]
        if missing:
            raise PushError(f"Stream {self.stream_name} has no {missing[0]}: see the input of this target, or map it.")

    @property
    def _ledger(self) -> Ledger:
        return self._target.ledger

    @override
    def get_validator(self) -> BaseJSONSchemaValidator | None:
        return None  # its errors quote records; what is needed is checked here

    @override
    def _validate_and_parse(self, record: dict[str, Any]) -> dict[str, Any]:
        return record

    @override
    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        for name in self.needed:
            if not isinstance(record.get(name), (str, int)) or record[name] == "":
                raise PushError(f"A record of stream {self.stream_name} has no {name}: correct it in the tap.")
        self._ledger.begin()
        self._store(record, record.pop("_sdc_table_version"))

    def _store(self, record: dict[str, Any], version: int | None) -> None:
        raise NotImplementedError

    @override
    def activate_version(self, new_version: int) -> None:
        self._ledger.begin()
        self._ledger.leave(self.table, new_version)


class LineItemSink(_LedgerSink):
    """Stores line items."""

    table = "line_items"
    needed = ("id",)

    @override
    def _store(self, record: dict[str, Any], version: int | None) -> None:
        self._ledger.put_line_item(record, version)


class ScoreSink(_LedgerSink):
    """Stores scores."""

    table = "scores"
    needed = ("id", "line_item_id", "person_id")

    @override
    def _store(self, record: dict[str, Any], version: int | None) -> None:
        self._ledger.put_score(record, version, _milliseconds(record.get("changed_at")), now_ms())


class OtherSink(RecordSink):
    """Drops the records of a stream that this target does not use."""

    @override
    def get_validator(self) -> BaseJSONSchemaValidator | None:
        return None

    @override
    def _validate_and_parse(self, record: dict[str, Any]) -> dict[str, Any]:
        return record

    @override
    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        pass

    @override
    def activate_version(self, new_version: int) -> None:
        pass


def _milliseconds(value: Any) -> int | None:
    """Return a moment in milliseconds since 1970; None if it is none. Without an offset it is in UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return max(0, int(moment.timestamp() * 1000))
