"""The Singer SDK's own tests of a tap, against the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coursera_sandbox.testing import RunningSandbox
from singer_sdk.testing import SuiteConfig, TapTestRunner
from singer_sdk.testing.suites import tap_stream_attribute_tests, tap_stream_tests, tap_tests

from tap_coursera.tap import TapCoursera


def test_the_tap_passes_the_standard_tests(sandbox: RunningSandbox) -> None:
    suite = SuiteConfig(max_records_limit=None)
    runner = TapTestRunner(TapCoursera, config=sandbox.tap_config, suite_config=suite)
    runner.sync_all()
    count = 0
    for test in tap_tests.tests:
        test(runner=runner, config=suite).run()
        count += 1
    for name, stream in runner.new_tap().streams.items():
        records = runner.records[name]
        assert records, name
        for test in tap_stream_tests.tests:
            test(runner=runner, stream=stream, stream_records=records, config=suite).run()
            count += 1
        for attribute, schema in stream.schema["properties"].items():
            for each in tap_stream_attribute_tests.tests:
                if each.evaluate(stream=stream, property_name=attribute, property_schema=schema):
                    each(
                        runner=runner, stream=stream, stream_records=records, attribute_name=attribute, config=suite
                    ).run()
                    count += 1
    assert count > 100
