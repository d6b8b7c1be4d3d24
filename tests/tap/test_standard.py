"""The Singer SDK's own tests of a tap, against the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from singer_sdk.singerlib import Catalog
from singer_sdk.testing import SuiteConfig
from singer_sdk.testing.runners import TapTestRunner
from singer_sdk.testing.suites import tap_stream_attribute_tests, tap_stream_tests, tap_tests

from tap_coursera.tap import TapCoursera

if TYPE_CHECKING:
    from coursera_sandbox.testing import RunningSandbox


@pytest.mark.filterwarnings("ignore:No records were available")  # a column that is null in the whole college
@pytest.mark.parametrize("with_catalog", [True, False])
def test_the_tap_passes_the_standard_tests(sandbox: RunningSandbox, *, with_catalog: bool) -> None:
    # The SDK's ready-made class needs its server at import time; these are its suites, run one by one.
    suite = SuiteConfig(max_records_limit=None)
    catalog = TapCoursera(config=sandbox.tap_config).catalog_dict
    for entry in catalog["streams"]:
        next(item for item in entry["metadata"] if not item["breadcrumb"])["metadata"]["selected"] = True
    runner = TapTestRunner(
        TapCoursera,
        config=sandbox.tap_config,
        suite_config=suite,
        catalog=Catalog.from_dict(catalog) if with_catalog else None,
    )
    runner.sync_all()
    count = 0
    for test in cast("list[Any]", tap_tests.tests):
        test().run(suite, None, runner)
        count += 1
    for stream in runner.new_tap().streams.values():
        for test in cast("list[Any]", tap_stream_tests.tests):
            test().run(suite, None, runner, stream=stream)
            count += 1
        for name, schema in stream.schema["properties"].items():
            for test in cast("list[Any]", tap_stream_attribute_tests.tests):
                if test.evaluate(stream=stream, property_name=name, property_schema=schema):
                    test().run(suite, None, runner, stream=stream, attribute_name=name)
                    count += 1
    assert count > 100
