"""Delivery to a real OpenSSH server: what it keeps, what it refuses, and what stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from coursera_connect.deliver import delivery
from coursera_connect.deliver.sftp import Sftp
from coursera_connect.errors import DeliveryError
from tests.connect.openssh import NEEDED, ROOT, openssh
from tests.oneroster_csv.packages import large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.connect.openssh import OpenSsh

pytestmark = NEEDED
MEGABYTE = 1_000_000
OLD = b"the package of yesterday"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "oneroster.zip"
    path.write_bytes(os.urandom(3 * MEGABYTE))
    return path


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSsh]:
    with openssh(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture
def server(shared: OpenSsh) -> OpenSsh:
    for entry in shared.folder.iterdir():
        entry.unlink()
    return shared


def send(package: Path, to: OpenSsh, target: str = "", **more: Any) -> delivery.Delivered:
    options = {**to.access, **more.pop("options", {})}
    more = {"pause": lambda _seconds: None, "step": lambda _what, _bytes: None, **more}
    return delivery.deliver(package, target or to.url, options, **more)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_that_is_replaced_keeps_its_permissions_also_while_it_arrives(package: Path, server: OpenSsh) -> None:
    there = server.folder / "oneroster.zip"
    assert len(list(delivery.probe(server.url, server.access))) == 5
    send(package, server)
    assert there.read_bytes() == package.read_bytes()
    for mode in (0o600, 0o664, 0o640):
        there.chmod(mode)
        package.write_bytes(os.urandom(MEGABYTE))
        seen: set[int] = set()

        def step(_what: str, _bytes: int, seen: set[int] = seen) -> None:
            seen |= {entry.stat().st_mode & 0o777 for entry in server.folder.iterdir()}

        send(package, server, step=step)
        assert (there.stat().st_mode & 0o777, there.read_bytes() == package.read_bytes()) == (mode, True)
        assert {one & ~mode for one in seen} == {0}
    assert names(server.folder) == ["oneroster.zip"]


def test_a_link_at_the_temporary_name_is_not_followed(package: Path, server: OpenSsh, tmp_path: Path) -> None:
    digest = send(package, server).sha256
    precious = tmp_path / "precious"
    for content in (b"mine", package.read_bytes()[:MEGABYTE]):  # the second looks like a delivery to go on with
        precious.write_bytes(content)
        (server.folder / "oneroster.zip").write_bytes(OLD)
        (server.folder / f".oneroster.zip.{digest[:16]}.connect-partial").symlink_to(precious)
        assert send(package, server).resumed_bytes == 0
        assert precious.read_bytes() == content
        assert (server.folder / "oneroster.zip").read_bytes() == package.read_bytes()
        assert not (server.folder / "oneroster.zip").is_symlink()
        assert names(server.folder) == ["oneroster.zip"]


@pytest.mark.parametrize("options", [{}, {"rename": False}], ids=["renamed", "in place"])
def test_a_full_disk_is_a_sentence_and_nothing_stays_behind(
    package: Path, shared: OpenSsh, small_disk: Path, options: dict[str, Any]
) -> None:
    (small_disk / "oneroster.zip").write_bytes(OLD)
    target = f"{shared.address}{small_disk}/"
    with pytest.raises(DeliveryError, match="has no space left: free some, then run `connect deliver`"):
        send(package, shared, target, options=options, pause=pytest.fail)
    # A damaged file under its own name would be imported; the old one is there where it could be kept.
    assert names(small_disk) == ([] if options else ["oneroster.zip"])


def test_a_server_that_forbids_to_rename_is_told_apart(package: Path, tmp_path: Path) -> None:
    with openssh(tmp_path / "ssh", sftp="internal-sftp -P rename,posix-rename") as server:
        (server.folder / "oneroster.zip").write_bytes(OLD)
        for ask in (
            lambda: send(package, server, pause=pytest.fail),
            lambda: list(delivery.probe(server.url, server.access)),
        ):
            with pytest.raises(
                DeliveryError, match="not be renamed over another: allow it, or set CONNECT_DELIVERY_RENAME"
            ):
                ask()
            assert names(server.folder) == ["oneroster.zip"]
            assert (server.folder / "oneroster.zip").read_bytes() == OLD
        send(package, server, options={"rename": False})
        assert (server.folder / "oneroster.zip").read_bytes() == package.read_bytes()
        assert names(server.folder) == ["oneroster.zip"]


def test_without_posix_rename_the_old_file_is_exchanged(package: Path, tmp_path: Path) -> None:
    with openssh(tmp_path / "ssh", sftp="internal-sftp -P posix-rename") as server:
        (server.folder / "oneroster.zip").write_bytes(OLD)
        assert "in two steps" in " ".join(delivery.probe(server.url, server.access))
        send(package, server)
        assert (server.folder / "oneroster.zip").read_bytes() == package.read_bytes()
        assert names(server.folder) == ["oneroster.zip"]


def test_a_folder_that_is_only_read_is_a_sentence(package: Path, tmp_path: Path) -> None:
    with openssh(tmp_path / "ssh", "ForceCommand internal-sftp -R") as server:
        with pytest.raises(DeliveryError, match=r"cannot be written or read there: let .* write in that folder"):
            send(package, server, pause=pytest.fail)
        with pytest.raises(DeliveryError, match="cannot be written or read there"):
            list(delivery.probe(server.url, server.access))


@ROOT
def test_a_chroot_is_the_servers_root(package: Path) -> None:
    lines = ("ChrootDirectory %h", "ForceCommand internal-sftp")
    with tempfile.TemporaryDirectory(dir="/run") as place:  # up to the root, none may be writable by others
        root = Path(place)
        root.chmod(0o755)
        with openssh(root / "ssh", lines[0].replace("%h", place), lines[1]) as server:
            send(package, server, f"{server.address}/ssh/in/")
            assert (server.folder / "oneroster.zip").read_bytes() == package.read_bytes()
            with pytest.raises(DeliveryError, match=r"has no folder .*/ssh/in that .* may enter: create it"):
                send(package, server)
            root.chmod(0o777)
            with pytest.raises(DeliveryError, match=r"offers no SFTP: ask .* chroot a folder that only root may write"):
                send(package, server, f"{server.address}/ssh/in/")


@pytest.mark.parametrize("line", ["ForceCommand /bin/false", "PermitTTY no"])
def test_a_login_without_sftp_is_a_sentence(package: Path, tmp_path: Path, line: str) -> None:
    refused = pytest.raises(DeliveryError, match="log in, and offers no SFTP: ask its administrator")
    with openssh(tmp_path / "ssh", line, sftp="/nonexistent") as server, refused:
        send(package, server, pause=pytest.fail)


def test_a_revoked_host_key_is_not_to_be_replaced(package: Path, server: OpenSsh, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    name = f"[127.0.0.1]:{server.port}"
    for lines in (
        [f"@revoked * {server.host_key}"],
        [f"{name} {server.host_key}", f"@revoked {name} {server.host_key}"],
    ):
        known.write_text("\n".join(lines) + "\n")
        with pytest.raises(DeliveryError, match=r"marks as @revoked.*nothing was sent") as refused:
            send(package, server, options={"host_key": "", "known_hosts": str(known)}, pause=pytest.fail)
        assert "ssh-keyscan" not in str(refused.value)
    assert names(server.folder) == []


def test_of_two_senders_both_arrive_and_none_spoils_the_other(package: Path, server: OpenSsh, tmp_path: Path) -> None:
    other = tmp_path / "other" / "oneroster.zip"
    other.parent.mkdir()
    other.write_bytes(os.urandom(2 * MEGABYTE))
    once: list[str] = []

    def step(_what: str, count: int) -> None:
        if count and not once:  # in the middle of the first: another, of another content, from beginning to end
            once.append("")
            send(other, server)
            assert (server.folder / "oneroster.zip").read_bytes() == other.read_bytes()

    assert send(package, server, step=step, pause=pytest.fail).attempts == 1
    assert (server.folder / "oneroster.zip").read_bytes() == package.read_bytes()
    assert names(server.folder) == ["oneroster.zip"]
    again = package.with_name("again.zip")
    again.write_bytes(os.urandom(3 * MEGABYTE))
    once.clear()

    def same(_what: str, count: int) -> None:
        if count and not once:  # and another, of the same content
            once.append("")
            send(again, server, f"{server.url}oneroster.zip")

    done = send(again, server, f"{server.url}oneroster.zip", step=same)
    assert done.already_there
    assert (server.folder / "oneroster.zip").read_bytes() == again.read_bytes()
    assert names(server.folder) == ["oneroster.zip"]


def test_a_sender_whose_file_is_replaced_at_the_same_moment_says_so(
    package: Path, server: OpenSsh, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Sftp.replace

    def and_another(self: Sftp, old: str, new: str) -> None:
        replace(self, old, new)
        (server.folder / "oneroster.zip").write_bytes(b"of somebody else")

    monkeypatch.setattr(Sftp, "replace", and_another)
    with pytest.raises(DeliveryError, match="replaced by another sender at the same moment, so what lies there is not"):
        send(package, server, pause=pytest.fail)


def test_senders_in_processes_of_their_own_tell_the_truth(tmp_path: Path, server: OpenSsh) -> None:
    environment = {
        **os.environ,
        "CONNECT_DELIVERY": f"{server.url}oneroster.zip",
        "CONNECT_DELIVERY_HOST_KEY": server.host_key,
        "CONNECT_DELIVERY_KEY_FILE": str(server.key_file),
    }
    contents = [large(tmp_path / f"{at}.zip", 5 * MEGABYTE).read_bytes() for at in range(2)]
    command = [sys.executable, "-m", "coursera_connect", "deliver", "--package"]
    both = [
        subprocess.Popen(
            [*command, f"{tmp_path}/{at}.zip"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for at in range(2)
    ]
    told = [process.communicate(timeout=100) for process in both]
    there = (server.folder / "oneroster.zip").read_bytes()
    assert there in contents
    assert both[contents.index(there)].returncode == 0
    for process, (_, error) in zip(both, told, strict=True):
        assert process.returncode == 0 or b"another sender" in error
    assert names(server.folder) == ["oneroster.zip"]
