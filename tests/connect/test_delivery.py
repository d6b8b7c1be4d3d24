"""A delivery leaves the old file or the new one at the receiver, whatever happens on the way."""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import asyncssh
import fsspec  # type: ignore[import-untyped]
import pytest
import requests
from asyncssh.sftp import SFTPServerHandler
from moto.server import ThreadedMotoServer

from coursera_connect.deliver import delivery
from coursera_connect.errors import DeliveryError
from tests.connect import sshd as server
from tests.connect.sshd import PASSWORD
from tests.oneroster_csv.packages import large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.connect.sshd import Sshd
    from tests.connect.warehouse import Place

MEGABYTE = 1_000_000
OLD = b"the package of yesterday"
ADDRESS = "sftp://college@127.0.0.1/in/"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "oneroster.zip"
    path.write_bytes(os.urandom(3 * MEGABYTE))
    return path


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    yield from server.serving(tmp_path / "server")


def send(package: Path, target: str, options: dict[str, Any] | None = None, **more: Any) -> delivery.Delivered:
    more = {"pause": lambda _seconds: None, "step": lambda _what, _bytes: None, **more}
    return delivery.deliver(package, target, options or {}, **more)


def access(sshd: Sshd, **more: str) -> dict[str, str]:
    return {"host_key": sshd.host_key, "password": PASSWORD, **more}


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# A folder


def test_a_folder_gets_the_file_and_one_that_is_not_there_is_not_made(package: Path, tmp_path: Path) -> None:
    for target in (f"{tmp_path}/a/b/", f"{tmp_path}/c/d", str(tmp_path / "räume" / "été 1.zip")):
        with pytest.raises(DeliveryError, match="there is no such folder: make it first"):
            send(package, target, pause=pytest.fail)
        folder = Path(target).parent if target.endswith(".zip") else Path(target)
        assert not (tmp_path / folder.relative_to(tmp_path).parts[0]).exists()
        folder.mkdir(parents=True)
        done = send(package, target)
        assert (done.bytes, done.attempts, done.resumed_bytes) == (3 * MEGABYTE, 1, 0)
    for file in ("a/b/oneroster.zip", "c/d/oneroster.zip", "räume/été 1.zip"):
        assert (tmp_path / file).read_bytes() == package.read_bytes()
        assert len(names((tmp_path / file).parent)) == 1


def test_what_is_there_already_is_left_alone(package: Path, tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    send(package, f"{tmp_path}/drop/")
    before = (tmp_path / "drop" / "oneroster.zip").stat()
    assert send(package, f"{tmp_path}/drop/").already_there
    assert (tmp_path / "drop" / "oneroster.zip").stat().st_ino == before.st_ino
    content = bytearray(package.read_bytes())
    content[-1] ^= 1  # the same size, another content
    package.write_bytes(content)
    assert not send(package, f"{tmp_path}/drop/").already_there
    assert (tmp_path / "drop" / "oneroster.zip").read_bytes() == content


def test_a_linked_target_stays_a_link_and_a_hidden_file_stays_hidden(package: Path, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "roster.zip"
    real.parent.mkdir()
    real.write_bytes(OLD)
    real.chmod(0o600)
    link = tmp_path / "current.zip"
    link.symlink_to(real)
    send(package, str(link))
    assert link.is_symlink()
    assert real.read_bytes() == package.read_bytes()
    assert real.stat().st_mode & 0o777 == 0o600


def test_only_leftovers_of_our_own_making_are_removed(package: Path, tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    ours = f".oneroster.zip.{'0' * 16}.connect-partial"
    theirs = [f".other.zip.{'0' * 16}.connect-partial", ".oneroster.zip.connect-partial", "oneroster.zip.bak"]
    at_work = f".oneroster.zip.{'1' * 16}.connect-partial"
    for name in (ours, at_work, *theirs):
        (drop / name).write_bytes(OLD)
    an_hour_ago = time.time() - 3700
    os.utime(drop / ours, (an_hour_ago, an_hour_ago))
    send(package, str(drop))
    assert names(drop) == sorted([at_work, *theirs, "oneroster.zip"])


def test_a_link_at_the_temporary_name_is_not_followed(package: Path, tmp_path: Path) -> None:
    drop, precious = tmp_path / "drop", tmp_path / "precious"
    drop.mkdir()
    digest = send(package, str(drop)).sha256
    # The second file looks like an interrupted delivery that could be continued.
    for content in (b"mine", package.read_bytes()[:MEGABYTE]):
        precious.write_bytes(content)
        (drop / "oneroster.zip").write_bytes(OLD)
        (drop / f".oneroster.zip.{digest[:16]}.connect-partial").symlink_to(precious)
        assert send(package, str(drop)).resumed_bytes == 0
        assert (precious.read_bytes(), names(drop)) == (content, ["oneroster.zip"])
        assert (drop / "oneroster.zip").read_bytes() == package.read_bytes()


def test_a_full_disk_keeps_the_old_file_leaves_no_part_and_says_so(package: Path, small_disk: Path) -> None:
    (small_disk / "oneroster.zip").write_bytes(OLD)
    with pytest.raises(DeliveryError, match=r"cannot be written \(No space left on device\): free some space"):
        send(package, str(small_disk), pause=pytest.fail)
    assert (small_disk / "oneroster.zip").read_bytes() == OLD
    assert names(small_disk) == ["oneroster.zip"]


def test_a_folder_that_cannot_be_written_is_a_sentence_with_exit_code_5(package: Path, tmp_path: Path) -> None:
    (tmp_path / "x.zip").mkdir()
    for target, why in {
        "/proc/self/": "cannot be written",
        f"{tmp_path}/{'n' * 300}.zip": "File name too long",
    }.items():
        with pytest.raises(DeliveryError, match=why) as refused:
            send(package, target, pause=pytest.fail)
        assert refused.value.exit_code == 5
    send(package, f"{tmp_path}/x.zip")  # This is a folder in spite of its name.
    assert names(tmp_path / "x.zip") == ["oneroster.zip"]


# SFTP


def test_sftp_gets_the_package_under_its_own_or_a_given_name(package: Path, sshd: Sshd) -> None:
    (sshd.folder / "école").mkdir()
    for path in ("", "roster.zip", "%C3%A9cole/%E6%9D%8E%20%26%20%23.zip", "école/"):
        done = send(package, sshd.url + path, access(sshd))
        assert done.target_shown.startswith(sshd.url)
    for file in ("oneroster.zip", "roster.zip", "école/李 & #.zip", "école/oneroster.zip"):
        assert (sshd.folder / file).read_bytes() == package.read_bytes()
    assert names(sshd.folder) == ["oneroster.zip", "roster.zip", "école"]
    assert sshd.requests.count("posix-rename") == 4
    assert "rename" not in sshd.requests


def test_fifty_megabytes_take_seconds_and_no_memory(sshd: Sshd, package: Path) -> None:
    package.write_bytes(os.urandom(50 * MEGABYTE))
    before, started, told = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), 0

    def step(_what: str, count: int) -> None:
        nonlocal told
        told += count

    send(package, sshd.url, access(sshd), step=step)
    assert time.monotonic() - started < 30
    assert told == 50 * MEGABYTE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # kB, of server and client together
    assert (sshd.folder / "oneroster.zip").stat().st_size == 50 * MEGABYTE


def test_what_the_server_has_already_is_not_sent_again(package: Path, sshd: Sshd) -> None:
    digest = send(package, sshd.url, access(sshd)).sha256
    written, read = sshd.written, sshd.requests.count("open-read")
    assert send(package, sshd.url, access(sshd)).already_there
    assert sshd.requests.count("open-read") == read + 1
    assert send(package, sshd.url, access(sshd), last_sha256=digest).already_there
    assert (
        sshd.requests.count("open-read") == read + 1
    )  # The digest of the last delivery was given, so the file was not read.
    assert sshd.written == written


def test_an_unknown_host_key_is_refused_with_the_way_to_trust_it(package: Path, sshd: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    for content in (None, "", "example.org ssh-ed25519 " + sshd.host_key.split()[1]):
        if content is not None:
            known.write_text(content)
        with pytest.raises(DeliveryError) as refused:
            send(package, sshd.url, {"known_hosts": str(known), "password": PASSWORD}, pause=pytest.fail)
        sentence = str(refused.value)
        assert f"`ssh-keyscan -p {sshd.port} 127.0.0.1 >> {known}`" in sentence
        assert sshd.key.get_fingerprint() in sentence
        assert "attack" not in sentence
    assert sshd.logins == 0
    known.write_text(f"# a comment\n[127.0.0.1]:{sshd.port} {sshd.host_key}\n")
    send(package, sshd.url, {"known_hosts": str(known), "password": PASSWORD})
    assert sshd.logins == 1


@pytest.mark.parametrize("algorithm", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
@pytest.mark.parametrize("by", ["known_hosts", "host_key"])
def test_a_changed_host_key_may_be_an_attack(
    package: Path, sshd: Sshd, tmp_path: Path, algorithm: str, by: str
) -> None:
    known = tmp_path / "known_hosts"
    line = f"[127.0.0.1]:{sshd.port} {sshd.host_key}"
    known.write_text(line)
    trust = {"password": PASSWORD, by: str(known) if by == "known_hosts" else line}
    send(package, sshd.url, trust)
    sshd.another_key(algorithm)
    with pytest.raises(DeliveryError, match="another host key") as refused:
        # A server without a key of the known type may hang up before the client has understood why.
        send(package, sshd.url, trust)
    assert "may be an attack" in str(refused.value)
    assert sshd.logins == 1  # The password was never sent.


def test_a_wrong_login_is_said_at_once_and_without_the_password(package: Path, sshd: Sshd, tmp_path: Path) -> None:
    wrong = asyncssh.generate_private_key("ssh-ed25519")
    wrong.write_private_key(str(tmp_path / "wrong"))
    sshd.user_key = asyncssh.generate_private_key("ssh-ed25519")
    for login in ({"password": "guess-1"}, {"password": "", "key_file": str(tmp_path / "wrong")}):
        with pytest.raises(DeliveryError, match=r"127\.0\.0\.1 refused the login of college: check") as refused:
            send(package, sshd.url, access(sshd, **login), pause=pytest.fail)
        assert "guess-1" not in str(refused.value)


def test_a_password_in_an_address_logs_in_and_is_nowhere_to_be_found(
    place: Place, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECT_REPORT", str(place.folder / "report.html"))
    monkeypatch.setenv("CONNECT_DELIVERY_HOST_KEY", sshd.host_key)
    encoded = quote(PASSWORD, safe="")
    for wrong, code in (("", 0), ("-wrong", 5)):
        place.sql(f"update users set \"givenName\" = 'Eve{code}'")
        done = place.call("publish", "--to", sshd.url.replace("@", f":{encoded}{wrong}@", 1))
        said = done.stdout + done.stderr
        found = [path.name for path in place.folder.rglob("*") if path.is_file() and path.parent != sshd.folder]
        assert {"report.html", "publish-report.json", "warehouse.duckdb"} <= set(found)
        for secret in (PASSWORD, encoded):
            assert (done.returncode, secret in said) == (code, False)
            for path in place.folder.rglob("*"):
                assert not path.is_file() or secret.encode() not in path.read_bytes()
        assert ("sftp://college@127.0.0.1" in said) == (code == 0)
    assert sshd.logins == 1


def test_a_key_with_a_passphrase_logs_in(package: Path, sshd: Sshd, tmp_path: Path) -> None:
    sshd.user_key = asyncssh.generate_private_key("ssh-ed25519")
    sshd.user_key.write_private_key(str(tmp_path / "key"), passphrase="open sesame")
    (tmp_path / "text").write_text("no key")
    key = {"host_key": sshd.host_key, "key_file": str(tmp_path / "key")}
    send(package, sshd.url, {**key, "passphrase": "open sesame"})
    assert sshd.logins
    for change, sentence in (
        ({"passphrase": "sesame-2"}, "CONNECT_DELIVERY_PASSPHRASE is not the one"),
        ({"passphrase": ""}, "CONNECT_DELIVERY_PASSPHRASE is missing"),
        ({"key_file": str(tmp_path / "text")}, "is no private key"),
        ({"key_file": str(tmp_path / "nowhere")}, "No such file"),
    ):
        with pytest.raises(DeliveryError, match=sentence) as refused:
            send(package, sshd.url, {**key, **change})
        assert "sesame-2" not in str(refused.value)


@pytest.mark.parametrize(
    ("what", "why"),
    [("open-write", "let college write in that folder"), ("posix-rename", "set CONNECT_DELIVERY_RENAME to off")],
)
def test_no_permission_is_a_sentence_and_leaves_the_old_file_alone(
    package: Path, sshd: Sshd, what: str, why: str
) -> None:
    (sshd.folder / "oneroster.zip").write_bytes(OLD)
    sshd.refused = (what,)
    with pytest.raises(DeliveryError, match=why) as refused:
        send(package, sshd.url, access(sshd), pause=pytest.fail)
    assert "example.org" not in str(refused.value)  # The text of the server is not repeated.
    assert (sshd.folder / "oneroster.zip").read_bytes() == OLD
    assert names(sshd.folder) == ["oneroster.zip"]


def test_a_server_that_takes_no_name_with_a_dot_is_told_apart(
    package: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_open = server._Files.open

    def picky(self: Any, path: bytes, pflags: int, attrs: Any) -> Any:
        if path.rpartition(b"/")[2].startswith(b"."):
            raise asyncssh.SFTPPermissionDenied("no hidden files")
        return really_open(self, path, pflags, attrs)

    monkeypatch.setattr(server._Files, "open", picky)
    for what in (lambda: send(package, sshd.url, access(sshd)), lambda: list(delivery.probe(sshd.url, access(sshd)))):
        with pytest.raises(DeliveryError, match=r"no name that begins with a dot.*CONNECT_DELIVERY_TEMPORARY_SUFFIX"):
            what()
    for more in ({"temporary_suffix": ".part"}, {"rename": False}):
        package.write_bytes(os.urandom(MEGABYTE))
        manner: dict[str, Any] = {**access(sshd), **more}
        assert len(list(delivery.probe(sshd.url, manner))) == 5
        send(package, sshd.url, manner)
        assert (sshd.folder / "oneroster.zip").read_bytes() == package.read_bytes()
        assert names(sshd.folder) == ["oneroster.zip"]


def test_where_nothing_is_renamed_the_file_is_written_over_and_an_end_in_the_middle_is_said(
    package: Path, sshd: Sshd, tmp_path: Path
) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    for target, folder, options in ((str(drop), drop, {}), (sshd.url, sshd.folder, access(sshd))):
        manner: dict[str, Any] = {**options, "rename": False}
        package.write_bytes(os.urandom(3 * MEGABYTE))
        send(package, target, manner)
        (folder / "oneroster.zip").chmod(0o600)
        inode = (folder / "oneroster.zip").stat().st_ino
        package.write_bytes(os.urandom(MEGABYTE))  # a shorter one
        send(package, target, manner)
        now = (folder / "oneroster.zip").stat()
        assert (now.st_ino, now.st_mode & 0o777, names(folder)) == (inode, 0o600, ["oneroster.zip"])
        assert (folder / "oneroster.zip").read_bytes() == package.read_bytes()
        assert send(package, target, manner).already_there
    package.write_bytes(os.urandom(3 * MEGABYTE))
    sshd.cut_after = sshd.written + MEGABYTE
    with pytest.raises(DeliveryError, match="with CONNECT_DELIVERY_RENAME=off the file there may be missing or inco"):
        send(package, sshd.url, {**access(sshd), "rename": False}, attempts=1)
    assert "posix-rename" not in sshd.requests


def test_a_drop_box_that_shows_nothing_still_takes_packages(package: Path, sshd: Sshd) -> None:
    sshd.refused = ("open-read", "listdir")
    (sshd.folder / "oneroster.zip").write_bytes(OLD)
    send(package, sshd.url, access(sshd))
    sshd.cut_after = sshd.written + MEGABYTE
    package.write_bytes(os.urandom(3 * MEGABYTE))
    done = send(package, sshd.url, access(sshd))
    assert (done.attempts, done.resumed_bytes) == (2, 0)  # A partial file that cannot be compared is not continued.
    assert (sshd.folder / "oneroster.zip").read_bytes() == package.read_bytes()


def test_a_folder_the_server_does_not_have_is_not_made(package: Path, sshd: Sshd) -> None:
    (sshd.folder / "dir.zip").mkdir()
    with pytest.raises(DeliveryError, match="has no folder /incomming that college may enter"):
        send(package, f"{sshd.url}incomming/", access(sshd), pause=pytest.fail)
    with pytest.raises(DeliveryError, match="is a folder: end the target with /"):
        send(package, f"{sshd.url}dir.zip", access(sshd), pause=pytest.fail)
    assert names(sshd.folder) == ["dir.zip"]


def test_a_link_on_the_server_is_followed(package: Path, sshd: Sshd) -> None:
    (sshd.folder / "data").mkdir()
    (sshd.folder / "data" / "r.zip").write_bytes(OLD)
    (sshd.folder / "current.zip").symlink_to("data/r.zip")
    send(package, f"{sshd.url}current.zip", access(sshd))
    assert (sshd.folder / "current.zip").is_symlink()
    assert (sshd.folder / "data" / "r.zip").read_bytes() == package.read_bytes()


def test_a_broken_line_is_continued_where_it_broke(package: Path, sshd: Sshd, caplog: pytest.LogCaptureFixture) -> None:
    (sshd.folder / "oneroster.zip").write_bytes(OLD)
    sshd.cut_after = 2 * MEGABYTE
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        assert (sshd.folder / "oneroster.zip").read_bytes() == OLD
        pauses.append(seconds)

    done = send(package, sshd.url, access(sshd), pause=pause)
    assert done.attempts == 2
    assert done.resumed_bytes >= MEGABYTE
    assert sshd.written < 3 * MEGABYTE + 20_000  # No part was sent twice, except about one request at the break.
    assert (sshd.folder / "oneroster.zip").read_bytes() == package.read_bytes()
    assert names(sshd.folder) == ["oneroster.zip"]
    assert 1 <= pauses[0] <= 2
    gc.collect()
    # No traceback reaches the terminal.
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == []


def test_after_the_last_attempt_the_old_file_stays_and_the_next_run_continues(package: Path, sshd: Sshd) -> None:
    (sshd.folder / "oneroster.zip").write_bytes(OLD)
    sshd.cut_after = 2 * MEGABYTE
    with pytest.raises(
        DeliveryError, match=r"tried once \(the connection was lost\): this delivery has changed nothing"
    ):
        send(package, sshd.url, access(sshd), attempts=1)
    assert (sshd.folder / "oneroster.zip").read_bytes() == OLD
    before = sshd.written
    assert send(package, sshd.url, access(sshd)).resumed_bytes >= MEGABYTE
    assert sshd.written - before < 2 * MEGABYTE
    assert (sshd.folder / "oneroster.zip").read_bytes() == package.read_bytes()


def test_a_leftover_with_a_hole_is_continued_at_the_hole(package: Path, sshd: Sshd) -> None:
    digest = send(package, sshd.url, access(sshd)).sha256
    partial = sshd.folder / f".oneroster.zip.{digest[:16]}.connect-partial"
    content = bytearray(package.read_bytes())[: 2 * MEGABYTE]
    content[MEGABYTE : MEGABYTE + 5000] = bytes(5000)
    for leftover, kept in ((bytes(content), MEGABYTE), (package.read_bytes() + b"too long", 0), (b"", 0)):
        (sshd.folder / "oneroster.zip").write_bytes(OLD)
        partial.write_bytes(leftover)
        assert send(package, sshd.url, access(sshd)).resumed_bytes == kept
        assert (sshd.folder / "oneroster.zip").read_bytes() == package.read_bytes()


def test_what_the_server_spoils_is_never_put_in_place(
    package: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sshd.folder / "oneroster.zip").write_bytes(OLD)
    write = server._Files.write

    async def spoiled(self: Any, file_obj: object, offset: int, data: bytes) -> int:
        return await write(self, file_obj, offset, data[:-1] + b"\x00" if data[-1] else data[:-1] + b"\x01")

    monkeypatch.setattr(server._Files, "write", spoiled)
    with pytest.raises(DeliveryError, match="what arrived is not what was sent"):
        send(package, sshd.url, access(sshd), attempts=2)
    assert (sshd.folder / "oneroster.zip").read_bytes() == OLD
    assert names(sshd.folder) == ["oneroster.zip"]


def test_a_full_server_keeps_the_old_file(package: Path, sshd: Sshd) -> None:
    (sshd.folder / "oneroster.zip").write_bytes(OLD)
    sshd.full = True
    with pytest.raises(DeliveryError, match=r"tried 2 times \(the server failed without a reason, often a full disk"):
        send(package, sshd.url, access(sshd), attempts=2)
    assert (sshd.folder / "oneroster.zip").read_bytes() == OLD


def test_a_server_that_is_away_is_tried_again_with_growing_pauses(package: Path, sshd: Sshd) -> None:
    pauses: list[float] = []
    away = sshd.url.replace(str(sshd.port), "1")
    with pytest.raises(DeliveryError, match=r"tried 4 times \(no connection to 127\.0\.0\.1: .*refused"):
        send(package, away, access(sshd), pause=pauses.append)
    assert [round(pause) for pause in (pauses[0], pauses[1] / 4, pauses[2] / 16)] == pytest.approx([1.5] * 3, abs=0.5)


def test_a_process_killed_in_the_middle_leaves_the_old_file_and_the_next_completes(package: Path, sshd: Sshd) -> None:
    large(package, 3 * MEGABYTE)
    (sshd.folder / "oneroster.zip").write_bytes(OLD)
    sshd.hold_after = 2 * MEGABYTE
    environment = {
        **os.environ,
        "CONNECT_DELIVERY": sshd.url,
        "CONNECT_DELIVERY_HOST_KEY": sshd.host_key,
        "CONNECT_DELIVERY_PASSWORD": PASSWORD,
    }
    command = [sys.executable, "-m", "coursera_connect", "deliver", "--package", str(package), "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert sshd.held.wait(30)
        process.send_signal(signal.SIGKILL)
    assert (sshd.folder / "oneroster.zip").read_bytes() == OLD
    assert len(names(sshd.folder)) == 2
    sshd.hold_after = None
    before = sshd.written
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["resumed_bytes"] >= MEGABYTE
    assert sshd.written - before < 2 * MEGABYTE
    assert (sshd.folder / "oneroster.zip").read_bytes() == package.read_bytes()
    assert names(sshd.folder) == ["oneroster.zip"]


# SFTP where no rename replaces a file


@pytest.fixture
def plain(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> Sshd:
    monkeypatch.setattr(SFTPServerHandler, "_extensions", server.without_posix_rename())
    return sshd


def test_without_posix_rename_the_old_file_is_exchanged(package: Path, plain: Sshd) -> None:
    send(package, plain.url, access(plain))
    package.write_bytes(os.urandom(MEGABYTE))
    send(package, plain.url, access(plain))
    assert "posix-rename" not in plain.requests
    assert (plain.folder / "oneroster.zip").read_bytes() == package.read_bytes()
    assert names(plain.folder) == ["oneroster.zip"]


def test_a_line_that_breaks_between_the_two_renames_is_healed(package: Path, plain: Sshd) -> None:
    aside = plain.folder / ".oneroster.zip.connect-previous"
    aside.write_bytes(OLD)  # This is how far the killed delivery came.
    plain.cut_after = MEGABYTE
    seen = []
    send(
        package,
        plain.url,
        access(plain),
        pause=lambda _: seen.append((plain.folder / "oneroster.zip").read_bytes()),
    )
    assert seen == [OLD]  # The former file is moved back before anything else.
    assert (plain.folder / "oneroster.zip").read_bytes() == package.read_bytes()
    assert names(plain.folder) == ["oneroster.zip"]


def test_an_exchange_that_fails_halfway_puts_the_old_file_back(
    package: Path, plain: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plain.folder / "oneroster.zip").write_bytes(OLD)
    rename = server._Files.rename

    def stubborn(self: Any, old: bytes, new: bytes) -> Any:
        if old.endswith(b".connect-partial"):
            raise asyncssh.SFTPFailure("no")
        return rename(self, old, new)

    monkeypatch.setattr(server._Files, "rename", stubborn)
    with pytest.raises(DeliveryError, match="has changed nothing there"):
        send(package, plain.url, access(plain), attempts=1)
    assert (plain.folder / "oneroster.zip").read_bytes() == OLD


# An object store


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, Any]]:
    """The options of a driver for an S3 on this machine, which has the bucket `college`."""
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    options = {"key": "AKIA-KEY", "secret": "S3-SECRET", "endpoint_url": f"http://{host}:{port}"}
    fsspec.filesystem("s3", **options).mkdir("college")
    yield options
    moto.stop()


def test_an_object_store_gets_the_object_once(package: Path, s3: dict[str, Any]) -> None:
    store = fsspec.filesystem("s3", **s3)
    done = send(package, "s3://college/räume/", s3)
    assert done.target_shown == "s3://college/räume/oneroster.zip"
    assert store.cat_file("college/räume/oneroster.zip") == package.read_bytes()
    assert send(package, "s3://college/räume/oneroster.zip", s3).already_there
    content = package.read_bytes()[:-1] + b"x"
    package.write_bytes(content)
    assert not send(package, "s3://college/räume/", s3).already_there
    store.invalidate_cache()
    assert store.cat_file("college/räume/oneroster.zip") == content
    assert len(list(delivery.probe("s3://college/", s3))) == 4
    assert store.find("college") == ["college/räume/oneroster.zip"]


def test_an_object_store_that_fails_is_a_sentence_that_repeats_no_secret(
    package: Path, s3: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = {**s3, "endpoint_url": "http://127.0.0.1:1", "config_kwargs": {"retries": {"max_attempts": 1}}}
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for target, options, why, tries in (
        ("s3://other/in/", s3, "has no such bucket or container: create it, or correct the target", 1),
        ("s3://college/in/", nowhere, "tried 2 times \\(no connection\\): the object there is still the old one", 2),
        ("s3://college/in/", {"endpoint_url": s3["endpoint_url"]}, "refuses access: check the keys in CONNECT_DEL", 1),
        (
            "s3://college/in/",
            {**s3, "colour": "blue"},
            "cannot be used \\(TypeError\\): check CONNECT_DELIVERY_OPTI",
            1,
        ),
    ):
        pauses: list[float] = []
        with pytest.raises(DeliveryError, match=why) as refused:
            send(package, target, options, attempts=2, pause=pauses.append)
        assert len(pauses) == tries - 1
        assert not {"AKIA-KEY", "S3-SECRET"} & set(str(refused.value).split())
    # From now on the server checks keys.
    requests.post(f"{s3['endpoint_url']}/moto-api/reset-auth", data="0", timeout=10)
    try:
        with pytest.raises(DeliveryError, match="refuses access: check the keys in CONNECT_DELIVERY_OPTIONS"):
            send(package, "s3://college/in/", s3, pause=pytest.fail)
        with pytest.raises(DeliveryError, match="refuses access"):
            list(delivery.probe("s3://college/in/", s3))
    finally:
        requests.post(f"{s3['endpoint_url']}/moto-api/reset-auth", data="Infinity", timeout=10)


def test_options_that_cannot_be_used_are_a_sentence(package: Path, tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="add ossfs to connect's pip_url"):
        send(package, "oss://bucket/in/")
    for options, sentence in (
        ({"host_key": "ssh-ed25519 nonsense"}, "CONNECT_DELIVERY_HOST_KEY is no public key"),
        ({"known_hosts": str(tmp_path)}, "Is a directory"),
        ({"colour": "blue"}, "SFTP has no option colour"),
    ):
        with pytest.raises(DeliveryError, match=sentence):
            send(package, ADDRESS, options)
    with pytest.raises(DeliveryError, match="run `connect publish` first"):
        send(tmp_path / "nothing.zip", str(tmp_path))


# The command


def test_the_test_of_a_receiver_says_what_works_and_leaves_nothing(
    package: Path, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "drop").mkdir()
    (sshd.folder / "oneroster.zip").write_bytes(OLD)
    assert len(list(delivery.probe(sshd.url, access(sshd)))) == 5
    monkeypatch.setattr(SFTPServerHandler, "_extensions", server.without_posix_rename())
    assert any("in two steps" in sentence for sentence in delivery.probe(sshd.url, access(sshd)))
    assert len(list(delivery.probe(f"{tmp_path}/drop/", {}))) == 5
    assert names(sshd.folder) == ["oneroster.zip"]
    assert names(tmp_path / "drop") == []
    assert (sshd.folder / "oneroster.zip").read_bytes() == OLD
    sshd.refused = ("open-write",)
    with pytest.raises(DeliveryError, match="let college write"):
        list(delivery.probe(sshd.url, access(sshd)))
    assert package.exists()


def test_the_command_delivers_and_fails_with_exit_code_5(package: Path, tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    size = large(package, 3 * MEGABYTE).stat().st_size

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "coursera_connect", "deliver", *arguments, "--package", str(package)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert f"delivered {size:,} bytes" in run("--to", f"{tmp_path}/drop/").stdout
    tested = run("test", "--to", f"{tmp_path}/drop/")
    assert [line[:4] for line in tested.stdout.splitlines()] == ["OK  "] * 5
    failed = run("test", "--to", "/proc/self/")
    assert (failed.returncode, len(failed.stdout.splitlines())) == (5, 1)  # The receiver can be reached.
    assert "\n  connect deliver\n" in run("--help").stdout  # The example keeps its line breaks.
    assert failed.stderr.startswith("Error: /proc/self/oneroster.zip cannot be written")
