"""The addresses that CONNECT_DELIVERY accepts and refuses, and that no password in them is ever shown."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import duckdb
import pytest
from click.testing import CliRunner

from coursera_connect.cli.main import main
from coursera_connect.deliver import addresses
from coursera_connect.deliver.addresses import Address
from coursera_connect.errors import DeliveryError
from coursera_connect.redaction import redacted

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from tests.connect.warehouse import Place

SECRET = "pa55"
REFUSED = {
    "": "There is no target: name a folder, sftp://user@host/path/ or s3://bucket/ with --to",
    "  ": "There is no target",
    "sftp:/bob:pa55@host/in/": "begins with sftp: without two slashes: write sftp://",
    "sftp:bob:pa55@host/in/": "begins with sftp: without two slashes: write sftp://",
    "sftp//bob:pa55@host/in/": "has no colon after its first word: write sftp://",
    "s3:/bucket/": "begins with s3: without two slashes: write s3://",
    "s3//bucket/": "has no colon after its first word: write s3://",
    "ftp//bob:pa55@host/": "has no colon after its first word",
    "bob@host:/in/": "has a user, a server or a password in it, and no scheme: write sftp://user@host/path/",
    "bob:pa55@host:/in/": "as scp writes a server: write sftp://user@host/path/",
    "bob@10.0.0.1:in": "and no scheme: write sftp://",
    "host:/in/": "as scp writes a server: write sftp://user@host/path/",
    "10.0.0.1:/in/": "a server or a password in it",
    "/bob:pa55@host/in/": "or a password in it, and no scheme",
    "/srv/bob%3Apa55%40host/in/": "or a password in it, and no scheme",
    "//bob:pa55@host/in/": "begins with two slashes",
    "//server/share/": "a network drive has to be mounted",
    "sftp.example.org/in/": "begins like the name of a server, and there is no such folder: write sftp://user@host/path/",
    "10.0.0.1/in/": "begins like the name of a server",
    "simplecache::s3://bucket/": "chains several file systems",
    "simplecache::s3://key:pa55@bucket/": "chains several file systems",
    "zip://x.zip::sftp://bob:pa55@host/": "chains several file systems",
    "memory://bucket/in/": "begins with memory://, which cannot replace a file in one step: deliver to a folder",
    "ftp://me:pa55@host/in/": "cannot replace a file in one step",
    "https://me:pa55@host/in/": "cannot replace a file in one step",
    "gopher://me:pa55@host/in/": "is not known",
    "file:///srv/in/": "begins with file:, write the path of the folder alone".replace(",", ":"),
    "file:/srv/in/": "write the path of the folder alone",
    "file:srv": "write the path of the folder alone",
    "FILE:///srv/in/": "write the path of the folder alone",
    "local:///srv/in/": "write the path of the folder alone",
    "SFTP://bob:pa55@host/in/": "begins with SFTP:: write sftp:// in small letters",
    "S3://bucket/": "begins with S3:: write s3:// in small letters",
    " sftp://bob:pa55@host/in/": "begins or ends with a blank",
    "/srv/in/ ": "begins or ends with a blank",
    "/srv/in/\n": "begins or ends with a blank",
    "/srv/\tin/": "holds a line break or tab",
    "C:\\drop\\in": "is a path of Windows",
    "c:/drop/in": "is a path of Windows",
    "\\\\server\\share\\in": "begins with two slashes",
    "drop\\in": "has a backslash",
    "/mnt/lsm": "CONNECT_DELIVERY (--to) has no scheme, and there is no such folder: make it first, or write sftp://user",
    "new/": "there is no such folder: make it first",
    "new/roster.zip": "there is no such folder: make it first",
    "file.txt": "is a file and not a folder: write the folder alone, or a name that ends in .zip",
    "file.txt/": "is a file and not a folder",
    "file.txt/below/": "there is no such folder",
    "file.txt/roster.zip": "there is no such folder",
    "n" * 300: "there is no such folder",
    "loop/": "there is no such folder",
    "~nobody-here/in/": "there is no such folder",
    "$HOME/in/": "there is no such folder",
    "/srv/%41/in/": "there is no such folder",
    "in/*/": "there is no such folder",
    "bob@host/in/": "has no scheme, and there is no such folder",
    "bob-pa55-host/in/": "there is no such folder",
    "sftp://host/in/": "names no user",
    "sftp:///in/": "is no address",
    "sftp://": "is no address",
    "sftp://me:pa55/w@host/in/": "is no address",
    "sftp://me:pa55#w@host/in/": "is no address",
    "sftp://me:pa55?w@host/in/": "is no address",
    "sftp://me:pa55@host:0/in/": "is no address",
    "sftp://me:pa55@host:99999/in/": "is no address",
    "sftp://me:pa55@ho st/in/": "is no address",
    "sftp://[me:pa55@host/in/": "is no address",
    "s3://": "names no bucket",
    "s3:///in/": "names no bucket",
    "s3://key:pa55@bucket/in/": "keys and endpoint belong into CONNECT_DELIVERY_OPTIONS",
    "s3://bucket:9000/in/": "names no bucket",
    "az://key:pa55@account/in/": "names no bucket",
}

AS_COMMANDS = ("sftp:/bob:pa55@host/in/", "bob@host:/in/", "simplecache::s3://key:pa55@bucket/", "new/")


def deliver(place: Place, *words: str) -> Result:
    return CliRunner().invoke(main, ["deliver", *words, "--package", str(place.package)])


def test_what_is_no_address_is_a_sentence_and_never_a_folder(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for known in ("sftp:/bob:pa55@host/in", "s3:/bucket", "file:/srv/in"):  # An earlier release made such folders.
        os.makedirs(known)  # noqa: PTH103 - as the text says it
    (tmp_path / "file.txt").write_text("no folder")
    (tmp_path / "loop").symlink_to("loop")
    place.package.parent.mkdir(exist_ok=True)
    place.package.write_bytes(b"a package")
    before = {str(path) for path in tmp_path.rglob("*")}
    for target, sentence in REFUSED.items():
        with pytest.raises(DeliveryError) as refused:
            addresses.parse(target)
        said = str(refused.value)
        assert (target, sentence in said, SECRET in said, said.endswith(".")) == (target, True, False, True)
        if target in AS_COMMANDS:
            done = place.call("publish", "--to", target)
            assert (target, done.returncode, SECRET in done.stdout + done.stderr) == (target, 2, False)
        for words in ((), ("test",)) if target in AS_COMMANDS else ():
            ended = deliver(place, *words, "--to", target)
            assert (target, ended.exit_code, SECRET in ended.output) == (target, 5, False)
    assert {str(path) for path in tmp_path.rglob("*")} - before == set()


def test_folders_and_the_addresses_of_receivers_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a@b:c*").mkdir()
    for folder in ("back\\slash", "output/lms-import", "räume", "sftp.example.org/in", "in", "x.zip"):
        (tmp_path / folder).mkdir(parents=True)
    for target, wanted in {
        "output/lms-import": Address("", "output/lms-import"),
        f"{tmp_path}/in/college.zip": Address("", f"{tmp_path}/in/college.zip"),
        f"{tmp_path}/a@b:c*/": Address("", f"{tmp_path}/a@b:c*/"),
        "x.zip/": Address("", "x.zip/"),
        "x.zip/y.ZIP": Address("", "x.zip/y.ZIP"),
        "räume/été 1.zip": Address("", "räume/été 1.zip"),
        "sftp.example.org/in/": Address("", "sftp.example.org/in/"),
        "roster.zip": Address("", "roster.zip"),
        "~/in/": Address("", f"{tmp_path}/in/"),
        f"{tmp_path}/back\\slash/": Address("", f"{tmp_path}/back\\slash/"),
        "sftp://college@host": Address("sftp", "", "host", None, "college"),
        "sftp://b%40b:p%3Ax%2F@h.example:22/~/a%20b/": Address("sftp", "/~/a b/", "h.example", 22, "b@b", "p:x/"),
        "sftp://college@[::1]:2222/in/x.zip": Address("sftp", "/in/x.zip", "::1", 2222, "college"),
        "ssh://college@host/in/": Address("sftp", "/in/", "host", None, "college"),
        "s3://my.bucket-1/a/b.zip": Address("s3", "my.bucket-1/a/b.zip"),
        "s3://bucket": Address("s3", "bucket/"),
        "abfs://box@account.dfs.core.windows.net/in/": Address("abfs", "box@account.dfs.core.windows.net/in/"),
    }.items():
        assert (target, addresses.parse(target)) == (target, wanted)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("sftp:/bob:pa55@host/in/oneroster.zip", "sftp:/bob:***@host/in/oneroster.zip"),
        ("sftp//bob:pa55@host", "sftp//bob:***@host"),
        ("sftp://bob:pa55@host/in/", "sftp://bob:***@host/in/"),
        ("SFTP://bob:pa55@host/in/", "SFTP://bob:***@host/in/"),
        ("sftp:bob:pa55@host", "sftp:bob:***@host"),
        ("sftp://bob:p@/:pa55@host/in/", "sftp://bob:***@host/in/"),
        ("sftp:/bob:/pa55@host/in/", "sftp:/bob:***@host/in/"),
        ("sftp:/bob:pa 55 pa55@host/in/", "sftp:/bob:***@host/in/"),
        ("sftp://bob:%70a%3A55pa55%40@host/in/", "sftp://bob:***@host/in/"),
        ("sftp://bob%3Apa55%40host/in/", "sftp://bob%3A***%40host/in/"),
        ("bob:pa55@host:/in/", "bob:***@host:/in/"),
        ("/bob:pa55@host/in/", "/bob:***@host/in/"),
        ("sftp://bob@host/bob:pa55@host/in/", "sftp://bob@host/bob:***@host/in/"),
        ("simplecache::s3://key:pa55@bucket/", "simplecache::***@bucket/"),
        ("no way to 'ftp://a:pa55@b': gone", "no way to 'ftp://a:***@b': gone"),
        ("sftp://college@sftp.example.org:2222/in/x.zip", "sftp://college@sftp.example.org:2222/in/x.zip"),
        ("s3://bucket/in/a@b.zip", "s3://bucket/in/a@b.zip"),
        ("/srv/a@b/x.zip", "/srv/a@b/x.zip"),
        ("line 3: ada@example.org is twice there", "line 3: ada@example.org is twice there"),
    ],
)
def test_a_password_is_hidden_in_whatever_form_it_comes(said: str, shown: str) -> None:
    assert redacted(said) == shown
    assert str(DeliveryError(said)) == shown


def test_old_rows_of_the_ledger_are_shown_without_passwords_and_cleaned_by_the_next_publish(place: Place) -> None:
    assert place.call("publish").returncode == 0
    old = "sftp:/bob:pa55@host/in/oneroster.zip"
    with duckdb.connect(str(place.database)) as connection:
        connection.execute("update ledger.runs set delivered_to = ?, why = ?", [old, f"{old} is away"])
    shown = CliRunner().invoke(main, ["history", "--database", str(place.database), "--json"]).output
    assert (SECRET in shown, "sftp:/bob:***@host" in shown) == (False, True)
    done = place.call("publish")
    assert (done.returncode, SECRET in done.stdout) == (0, False)
    assert SECRET not in json.dumps(place.report())
    with duckdb.connect(str(place.database)) as connection:
        (kept,) = connection.execute("select delivered_to, why from ledger.runs where run = 1").fetchall()
        assert kept == ("sftp:/bob:***@host/in/oneroster.zip", "sftp:/bob:***@host/in/oneroster.zip is away")
