"""A tap as the template of the Singer SDK makes it, without any work on speed.

Its configuration is the task file of the benchmark.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import requests
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from singer_sdk.helpers.types import Context

TYPES: dict[str, Any] = {
    "text": th.StringType,
    "integer": th.IntegerType,
    "number": th.NumberType,
    "flag": th.BooleanType,
    "moment": th.IntegerType,
    "nested": th.ArrayType(th.StringType),
}


class Rows(RESTStream[str]):
    """The one list that is read."""

    name = "loaded"
    records_jsonpath = "$.elements[*]"
    next_page_token_jsonpath = "$.paging.next"

    @property
    @override
    def url_base(self) -> str:
        return str(self.config["url"]).rpartition("/")[0]

    @cached_property
    @override
    def authenticator(self) -> BearerTokenAuthenticator:
        answer = requests.post(
            self.config["auth_url"],
            data={"grant_type": "client_credentials"},
            auth=(self.config["client_id"], self.config["client_secret"]),
            timeout=60,
        )
        return BearerTokenAuthenticator(token=answer.json()["access_token"])

    @override
    def get_url_params(self, context: Context | None, next_page_token: str | None) -> dict[str, Any]:
        params = {**self.config["params"], "limit": self.config["page_size"]}
        if next_page_token:
            params["start"] = next_page_token
        return params

    @override
    def parse_response(self, response: requests.Response) -> Iterable[dict[str, Any]]:
        nested = self.config["nested"]
        for row in super().parse_response(response):
            if nested is None:
                yield row
            else:
                for inner in row[nested]:
                    yield {name: row[name] for name in self.config["outer"]} | inner


class TapBench(Tap):
    """A tap with one stream."""

    name = "tap-bench"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("url", th.StringType, required=True),
    ).to_dict()

    @override
    def discover_streams(self) -> Sequence[Rows]:
        properties = [th.Property(name, TYPES[kind]) for name, kind in self.config["fields"].items()]
        stream = Rows(
            self, schema=th.PropertiesList(*properties).to_dict(), path=f"/{self.config['url'].rpartition('/')[2]}"
        )
        stream.primary_keys = self.config["key"]
        return [stream]


if __name__ == "__main__":
    TapBench.cli()
