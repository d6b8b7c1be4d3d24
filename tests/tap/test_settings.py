"""Bad settings: refused before the first request, all at once, in sentences that say what to do and repeat no value."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from singer_sdk.exceptions import ConfigValidationError

from tap_coursera import errors, settings
from tap_coursera.tap import TapCoursera

if TYPE_CHECKING:
    from pathlib import Path

    from coursera_sandbox.testing import RunningSandbox
    from tests.tap.conftest import Json

GOOD: Json = {"client_id": "the-id", "client_secret": "the-secret", "org_id": "SandboxOrg-AAAAAAAAA_A"}
BY_FILE: Json = {"encoding": {"format": "jsonl"}, "storage": {"root": "/srv/batches"}}
OWN: Json = settings.PROPERTIES.to_dict()["properties"]
SPACES = "a space or an invisible character"


def tap(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tap_coursera", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {f"TAP_COURSERA_{name.upper()}": value for name, value in environment.items()},
    )


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert "Traceback" not in done.stderr
    return [line.split("|")[-1].strip() for line in done.stderr.splitlines() if "| ERROR" in line]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"org_id": "org1"},
        {"org_id": "northfield-college"},
        {"org_id": "-_a~b.c:d"},
        {"client_secret": "geheim-ü+/=:?#@%"},
        {"program_ids": []},
        {"program_ids": ["p1", "p1", "learning-program-uzmjj", "c?d"]},
        {"api_url": "https://api.example"},
        {"api_url": "https://api.example:8443/ent/api/"},
        {"api_url": "https://10.0.0.7/api"},
        {"api_url": "https://xn--bcher-kva.example/api"},
        {"api_url": "http://localhost:8737/ent/api"},
        {"auth_url": "http://LOCALHOST/token"},
        {"auth_url": "http://sandbox.localhost/token"},
        {"auth_url": "http://127.8.9.10:1/token"},
        {"auth_url": "http://[::1]:8737/token"},
        {"start_date": "2026-01-31"},
        {"start_date": "2026-01-31T08:00:00.5+01:00"},
        {"start_date": "2999-01-01T00:00:00Z"},
        {"start_date": ""},
        {"page_size": 1},
        {"page_size": 1000, "max_parallel_requests": 32, "report_lag_hours": 0, "request_timeout": 3600},
        {"max_parallel_requests": 1},
        {"include_specializations": True, "include_expired_contracts": True},
        {"user_agent": "my college/1.0 (it@college.example)"},
        {"batch_config": {}},
        {"batch_config": BY_FILE},
        {"batch_config": BY_FILE | {"batch_size": 1, "encoding": {"format": "jsonl", "compression": "gzip"}}},
        {"batch_config": BY_FILE | {"storage": {"root": "s3://b/x", "prefix": "", "params": {"anon": True}}}},
        dict.fromkeys(OWN.keys() - GOOD.keys()),
    ],
)
def test_what_can_be_right_is_accepted(change: Json) -> None:
    assert settings.problems(GOOD | change) == []
    TapCoursera(config=GOOD | change)


@pytest.mark.parametrize("name", ["client_id", "client_secret", "org_id", "api_url", "auth_url"])
@pytest.mark.parametrize("space", [" ", "\t", "\n", "\r\n", "\u00a0", "\u200b", "\ufeff", "\u2028", "\x00"])
def test_spaces_around_or_inside_what_was_copied_are_refused_and_not_silently_taken_off(name: str, space: str) -> None:
    value = "https://api.example/x" if name.endswith("_url") else "abc-def"
    for text in (space + value, value + space, value[:9] + space + value[9:] if "url" in name else f"abc{space}def"):
        (problem,) = settings.problems(GOOD | {name: text})
        assert problem.startswith(f"{name} has {SPACES}")
        assert problem.endswith("copy it again without the spaces.")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"org_id": "https://www.coursera.org/o/northfield"}, "org_id cannot be an ID.*not an address"),
        ({"org_id": "o/northfield"}, "org_id cannot be an ID"),
        ({"org_id": "service@college.example"}, "org_id cannot be an ID"),
        ({"org_id": "Northfield College"}, f"org_id has {SPACES}.*an ID and not a name"),
        ({"org_id": 12}, "org_id has to be text: put it in quotes"),
        ({"program_ids": "p1"}, r"program_ids has to be a list of texts, like \[.*without quotes around it"),
        ({"program_ids": ["p1", ""]}, r"program_ids \(entry 2\) is empty"),
        ({"program_ids": [" "]}, rf"program_ids \(entry 1\) has {SPACES}"),
        ({"program_ids": ["p1", "p2 "]}, rf"program_ids \(entry 2\) has {SPACES}"),
        ({"program_ids": ["a/b"]}, r"program_ids \(entry 1\) cannot be an ID"),
        ({"program_ids": ["https://www.coursera.org/programs/x"]}, r"program_ids \(entry 1\) cannot be an ID"),
        ({"program_ids": ["p1", 7]}, r"program_ids \(entry 2\) has to be text"),
        ({"api_url": ""}, "api_url is empty: fill it in or remove it"),
        ({"api_url": "api.coursera.com/ent/api"}, "api_url is not a web address: set it to one that starts with https"),
        ({"api_url": "/ent/api"}, "api_url is not a web address"),
        ({"api_url": "https:///ent/api"}, "api_url is not a web address"),
        ({"api_url": "ftp://api.example/x"}, "api_url is not a web address"),
        ({"api_url": "https://api.example:99999/x"}, "api_url is not a web address"),
        ({"api_url": "https://[::1/x"}, "api_url is not a web address"),
        ({"auth_url": "http://api.example/token"}, "auth_url would send .* unencrypted: start it with https://"),
        ({"auth_url": "http://10.0.0.7/token"}, "unencrypted"),
        ({"auth_url": "http://localhost.example/token"}, "unencrypted"),
        ({"auth_url": "http://127.0.0.1.example/token"}, "unencrypted"),
        ({"auth_url": "http://notlocalhost/token"}, "unencrypted"),
        ({"auth_url": "http://[2001:db8::1]/token"}, "unencrypted"),
        ({"api_url": "https://ada:pa55@api.example/x"}, "api_url has a user name or password in it: remove it"),
        ({"api_url": "https://ada@api.example/x"}, "api_url has a user name"),
        ({"api_url": "https://@api.example/x"}, "api_url has a user name"),
        ({"api_url": "http://localhost@api.example/x"}, "api_url has a user name"),
        ({"auth_url": "https://api.example/token?key=pa55"}, "auth_url has something after its path: remove the [?]"),
        ({"auth_url": "https://api.example/token#x"}, "auth_url has something after its path"),
        ({"api_url": "https://api.coursera.org/api"}, f"set api_url to {errors.USUAL['api_url']}"),
        ({"api_url": "https://API.Coursera.org/api"}, f"set api_url to {errors.USUAL['api_url']}"),
        ({"auth_url": "https://accounts.coursera.org/oauth2/v1/token"}, f"set auth_url to {errors.USUAL['auth_url']}"),
        ({"start_date": "last week"}, "start_date is not a time: write it like 2026-01-31"),
        ({"start_date": 20260131}, "start_date has to be text"),
        ({"page_size": 0}, "page_size has to be a whole number from 1 to 1000"),
        ({"page_size": 1001}, "page_size has to be a whole number from 1 to 1000"),
        ({"page_size": "500"}, "page_size has to be .* 1 to 1000, without quotes around it"),
        ({"page_size": True}, "page_size has to be a whole number"),
        ({"page_size": 4.5}, "page_size has to be a whole number"),
        ({"max_parallel_requests": 0}, "max_parallel_requests has to be a whole number from 1 to 32"),
        ({"max_parallel_requests": 33}, "max_parallel_requests has to be a whole number from 1 to 32"),
        ({"max_parallel_requests": 4.0}, "max_parallel_requests has to be a whole number from 1 to 32"),
        ({"request_timeout": 0}, "request_timeout has to be a whole number from 1 to 3600"),
        ({"report_lag_hours": -1}, "report_lag_hours has to be a whole number from 0 to 8760"),
        ({"grade_sync": "sometimes"}, "grade_sync has to be changed or full"),
        ({"include_specializations": "yes!"}, "include_specializations has to be true or false, without quotes"),
        ({"user_agent": "one\r\nX-Other: two"}, "user_agent cannot be sent"),
        ({"user_agent": "Überflieger"}, "user_agent cannot be sent"),
        ({"batch_config": "jsonl"}, "batch_config has to be an object with encoding, .* without quotes around it"),
        ({"batch_config": {"storage": {"root": "/x"}}}, "batch_config lacks encoding: add what is missing"),
        ({"batch_config": BY_FILE | {"storage": {}}}, "batch_config.storage lacks root: add what is missing"),
        ({"batch_config": BY_FILE | {"storage": {"root": ""}}}, "batch_config.storage.root is empty"),
        ({"batch_config": BY_FILE | {"storage": "pa55"}}, "batch_config.storage has to be an object with root"),
        (
            {"batch_config": BY_FILE | {"encoding": {"format": "parquet"}}},
            "batch_config.encoding.format has to be jsonl",
        ),
        ({"batch_config": BY_FILE | {"encoding": {"format": "jsonl", "compression": "zip"}}}, "be none or gzip"),
        ({"batch_config": BY_FILE | {"batch_size": 0}}, "batch_config.batch_size has to be a whole number from 1"),
        ({"batch_config": BY_FILE | {"pa55": 1}}, "batch_config takes encoding, storage, batch_size and nothing else"),
    ],
)
def test_what_cannot_be_right_has_one_sentence_with_the_remedy(change: Json, sentence: str) -> None:
    with pytest.raises(ConfigValidationError, match=sentence) as caught:
        TapCoursera(config=GOOD | change)
    (problem,) = caught.value.errors
    assert problem.endswith(".")
    assert "\n" not in problem
    (name,) = change
    value = change[name]
    assert name in problem
    for text in [part for part in (value if isinstance(value, list) else [value]) if len(str(part).strip()) > 3]:
        assert str(text) not in problem
    assert "pa55" not in problem


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("value", [{"pa55word": "pa55word"}, [["pa55word"]], ["pa55word", {}], 90125.5])
def test_a_value_of_the_wrong_type_is_never_repeated(name: str, value: object) -> None:
    found = settings.problems(GOOD | {name: value})
    assert found
    assert all(problem.startswith(name) for problem in found)
    assert "pa55" not in str(found)
    assert "90125" not in str(found)


@pytest.mark.parametrize("missing", ["", None])
def test_what_is_missing_is_named_with_its_variable(missing: str | None) -> None:
    (problem,) = settings.problems(GOOD | {"client_secret": missing, "org_id": missing})
    assert problem.startswith("client_secret, org_id not set: ")
    assert problem.endswith("TAP_COURSERA_CLIENT_SECRET, TAP_COURSERA_ORG_ID.")
    assert settings.problems({})[0].startswith("client_id, client_secret, org_id not set")


def test_null_is_the_default() -> None:
    config = TapCoursera(config=GOOD | dict.fromkeys(OWN.keys() - GOOD.keys())).config
    defaults = {name: spec["default"] for name, spec in OWN.items() if "default" in spec}
    assert {name: config[name] for name in OWN if name in config} == defaults | GOOD
    assert defaults["max_parallel_requests"] == 4
    assert defaults["include_specializations"] is defaults["include_expired_contracts"] is False


def test_settings_can_be_completed_without_a_tap() -> None:
    completed = settings.completed({"page_size": 7, "user_agent": None, "stream_maps": None})
    assert (completed["page_size"], completed["user_agent"]) == (7, OWN["user_agent"]["default"])
    assert completed["stream_maps"] is None
    assert "start_date" not in completed


def test_the_default_addresses_are_accepted_and_not_the_older_api() -> None:
    assert settings.problems(GOOD | errors.USUAL) == []
    assert {name: OWN[name]["default"] for name in errors.USUAL} == errors.USUAL


@pytest.mark.parametrize("mode", [[], ["--test"], ["--test=all"]])
def test_all_problems_are_told_at_once_and_nothing_is_asked(
    sandbox: RunningSandbox, tmp_path: Path, mode: list[str]
) -> None:
    bad = {
        "client_secret": " pa55word",
        "org_id": "",
        "api_url": f"{sandbox.api_url}?token=pa55word",
        "program_ids": ["", "x y"],
        "page_size": 0,
    }
    (tmp_path / "config.json").write_text(json.dumps(sandbox.tap_config | bad))
    sandbox.reset_requests()
    done = tap("--config", tmp_path / "config.json", *mode)
    assert done.returncode == 1
    assert done.stdout == ""
    assert [problem.split()[0] for problem in said(done)] == [
        "org_id",
        "client_secret",
        "api_url",
        "program_ids",
        "page_size",
    ]
    assert "pa55" not in done.stderr
    assert sandbox.requests()["total"] == 0


def test_discovery_goes_on_whatever_is_set(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(GOOD | {"page_size": 0, "api_url": "x", "program_ids": None}))
    done = tap("--config", tmp_path / "config.json", "--discover")
    assert done.returncode == 0
    assert json.loads(done.stdout)["streams"]


def variables(config: Json) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in config.items()}


def test_settings_from_variables_come_as_text_and_work(sandbox: RunningSandbox) -> None:
    first, second, *_ = [program["id"] for program in sandbox.all("/programs", excludeContent=True)]
    more: Json = {
        "page_size": 7,
        "max_parallel_requests": 2,
        "report_lag_hours": 0,
        "include_specializations": False,
        "program_ids": [first, second, first],
        "start_date": "2020-01-01",
    }
    done = tap("--config=ENV", "--test", **variables(sandbox.tap_config | more))
    assert said(done) == []
    assert "2 of 8 programs" in done.stdout
    listed = tap("--config=ENV", "--test", **variables(sandbox.tap_config), program_ids=f"{first},{second}")
    assert "2 of 8 programs" in listed.stdout


@pytest.mark.parametrize("mode", ["--test", "--test=schema", "--discover"])
def test_a_variable_that_is_no_number_has_its_sentence(mode: str) -> None:
    done = tap("--config=ENV", mode, **GOOD, page_size="pa55word", request_timeout="")
    assert done.returncode == 1
    assert said(done) == [
        "TAP_COURSERA_PAGE_SIZE has to hold a whole number from 1 to 1000: correct it or remove it.",
        "TAP_COURSERA_REQUEST_TIMEOUT has to hold a whole number from 1 to 3600: correct it or remove it.",
    ]
    assert "pa55" not in done.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(None, "cannot be read"), ('{"client_secret": "pa55', "not JSON"), ("[1]", "not one JSON object")],
)
def test_a_settings_file_that_holds_none_has_its_sentence(tmp_path: Path, text: str | None, sentence: str) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    done = tap("--config", tmp_path / "config.json")
    assert done.returncode == 1
    (problem,) = said(done)
    assert sentence in problem
    assert "pa55" not in done.stderr
