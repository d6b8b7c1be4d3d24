"""The SDK's own tests of a tap; the catalog; the README; and that the tap stands alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest
from singer_sdk.singerlib import Catalog
from singer_sdk.testing import SuiteConfig
from singer_sdk.testing.runners import TapTestRunner
from singer_sdk.testing.suites import tap_stream_attribute_tests, tap_stream_tests, tap_tests

import tap_oneroster
from oneroster_csv import binding
from tap_oneroster.tap import DERIVED, TapOneRoster
from tests.oneroster_csv.packages import Package
from tests.tap_oneroster.reading import core

README = (Path(__file__).resolve().parents[2] / "plugins/tap-oneroster/README.md").read_text("utf-8")


@pytest.mark.filterwarnings("ignore:No records were available")  # a column that is blank in every row
def test_the_tap_passes_the_standard_tests(tmp_path: Path) -> None:
    config = {"path": str(Package("1.2").write(tmp_path / "p.zip"))}
    suite, catalog = SuiteConfig(max_records_limit=None), TapOneRoster(config=config).catalog_dict
    for entry in catalog["streams"]:
        next(item for item in entry["metadata"] if not item["breadcrumb"])["metadata"]["selected"] = True
    runner = TapTestRunner(TapOneRoster, config=config, suite_config=suite, catalog=Catalog.from_dict(catalog))
    runner.sync_all()
    for test in cast("list[Any]", tap_tests.tests):
        test().run(suite, None, runner)
    for stream in runner.new_tap().streams.values():
        for test in cast("list[Any]", tap_stream_tests.tests):
            test().run(suite, None, runner, stream=stream)
        for name, schema in stream.schema["properties"].items():
            for test in cast("list[Any]", tap_stream_attribute_tests.tests):
                if test.evaluate(stream=stream, property_name=name, property_schema=schema):
                    test().run(suite, None, runner, stream=stream, attribute_name=name)


@pytest.mark.parametrize("version", binding.VERSIONS)
def test_there_is_a_stream_for_each_file_with_its_columns_described(tmp_path: Path, version: str) -> None:
    package = core(version)
    streams = TapOneRoster(config={"path": str(package.write(tmp_path / "p.zip"))}).streams
    files = binding.load(version).files
    assert streams.keys() == {*files, *DERIVED}
    for name, stream in streams.items():
        assert name in DERIVED or [*stream.schema["properties"]] == [column.name for column in files[name]]
        assert all(one["description"] for one in stream.schema["properties"].values())
        assert f"`{name}`" in README


def test_the_readme_lists_the_settings_and_the_columns_of_both_derived_streams(tmp_path: Path) -> None:
    section = README.split("\n## Settings\n")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| (.+?) \|", section, flags=re.MULTILINE)
    own = {
        name: "required"
        if name == "path"
        else f"`{str(one['default']).replace('True', 'true').replace('False', 'false')}`"
        for name, one in TapOneRoster.config_jsonschema["properties"].items()
        if name in {"path", "reread", "total_category", "emit_activate_version_messages"}
    }
    assert dict(listed) == own
    tap = TapOneRoster(config={"path": str(core().write(tmp_path / "p.zip"))})
    for name in DERIVED:
        (row,) = re.findall(rf"^\| `{name}` \| .+? \| (.+) \|$", README, flags=re.MULTILINE)
        assert re.findall(r"`(\w+)`", row) == [*tap.streams[name].schema["properties"]]
    assert re.findall(r"\]\((?!https://)", README) == []


def test_it_knows_nothing_of_this_project() -> None:
    folder = Path(tap_oneroster.__file__).parent
    said = re.compile("coursera|meltano[.]|dbt|CONNECT_", re.IGNORECASE)
    found = [path for path in folder.rglob("*") if path.suffix in {".py", ".json"}]
    assert [(path.name, word) for path in found for word in said.findall(path.read_text("utf-8"))] == []
