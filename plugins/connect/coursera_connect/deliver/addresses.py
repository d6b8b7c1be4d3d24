"""Reads an address in CONNECT_DELIVERY: a folder or file of this machine, an SFTP server, or an object store.

Everything else is refused, and the message says what to write instead. No folder is created: packages with people's
data would lie where nobody looks, or fill this disk beside a mistyped mount point. No message repeats the address,
which may hold a password.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from fsspec.registry import known_implementations  # type: ignore[import-untyped]

from coursera_connect.errors import DeliveryError

SFTP = ("sftp", "ssh")
STORES = ("abfs", "az", "gcs", "gs", "oci", "oss", "s3", "s3a", "tos")
"""Protocols of object stores that replace an object in one step. FTP and HTTP can neither do that nor rename."""

_CONTAINER_AT_ACCOUNT = {"abfs", "az"}
_OTHERS = {"dropbox", "ftps", "gdrive", "scp", "smb", "webdav", "webdavs", *known_implementations}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")
_SERVER = re.compile(r"([A-Za-z0-9-]+\.)+[A-Za-z]{2,}|([0-9]{1,3}\.){3}[0-9]{1,3}")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9]+)?")
_BUCKET = re.compile(r"[A-Za-z0-9._-]+")
_CONTAINER = re.compile(r"[A-Za-z0-9$-]+(@[A-Za-z0-9.-]+)?")
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


@dataclass(frozen=True)
class Address:
    """A delivery address. `scheme` is blank for this machine; `path` ends in .zip where it names the file."""

    scheme: str
    path: str
    host: str = ""
    port: int | None = None
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def names_file(self) -> bool:
        """Whether the path is that of a file; otherwise it is a folder, and the file in it gets the package's name."""
        return self.path.lower().endswith(".zip")


def parse(target: str) -> Address:
    """Return the address that a text describes.

    Raises:
        DeliveryError: The text is no address of a supported kind.
    """
    if not target.strip():
        raise DeliveryError(
            "There is no target: name a folder, sftp://user@host/path/ or s3://bucket/ with --to, or (not in the "
            "sandbox) in CONNECT_DELIVERY."
        )
    if target != target.strip() or re.search(r"[\x00-\x1f\x7f]", target):
        _refuse("begins or ends with a blank, or holds a line break or tab", "take it out")
    if "::" in re.sub(r"\[[0-9A-Fa-f:.]+\]", "", target):  # as IPv6 has it between brackets
        _refuse("chains several file systems with ::", "write a folder, sftp://user@host/path/ or s3://bucket/path/")
    url = _URL.match(target)
    if url is None:
        return Address("", _local(target))
    scheme, slashes = url.groups()
    if scheme.lower() not in {*SFTP, *STORES}:
        _other(scheme.lower(), slashes)
    if scheme != scheme.lower():
        _refuse(f"begins with {scheme}:", f"write {scheme.lower()}:// in small letters")
    if not slashes:
        _refuse(f"begins with {scheme}: without two slashes", f"write {scheme}://")
    return _sftp(target) if scheme in SFTP else _store(scheme, target)


def _other(scheme: str, slashes: str | None) -> NoReturn:
    if scheme in {"file", "local"}:
        _refuse(f"begins with {scheme}:", "write the path of the folder alone, as /srv/import/")
    if len(scheme) == 1:
        _refuse("is a path of Windows", "write the folder as this machine names it, as /srv/import/")
    if not slashes:
        _refuse("has a colon in its first part, as scp writes a server", "write sftp://user@host/path/")
    what = f"begins with {scheme}://, which cannot replace a file in one step" if scheme in _OTHERS else "is not known"
    _refuse(what, f"deliver to a folder, to sftp:// or to an object store ({', '.join(STORES)})")


def _refuse(what: str, instead: str) -> NoReturn:
    raise DeliveryError(f"CONNECT_DELIVERY (--to) {what}: {instead}.")


def _local(target: str) -> str:
    """Return the path of an existing folder, or of a .zip file in one."""
    first, slash, _ = target.partition("/")
    if target.startswith(("//", "\\\\")):
        _refuse(
            "begins with two slashes", "write sftp://user@host/path/ for a server; a network drive has to be mounted"
        )
    if first.lower() in {*SFTP, *STORES, *_OTHERS} and target[len(first) :].startswith("//"):
        _refuse("has no colon after its first word", f"write {first.lower()}://")
    if ":" in first or re.search("(:|%3a)[^/]*(@|%40)", target, re.IGNORECASE):
        _refuse("has a user, a server or a password in it, and no scheme", "write sftp://user@host/path/")
    path = os.path.expanduser(target)  # noqa: PTH111 - a Path would lose the / at the end
    if _is_folder(Path(path)) or (path.lower().endswith(".zip") and _is_folder(Path(path).parent)):
        return path
    if "\\" in path:
        _refuse("has a backslash", "write the folder as this machine names it, as /srv/import/")
    if os.path.exists(Path(path)):  # noqa: PTH110 - Path.exists raises for a name that is too long
        _refuse("is a file and not a folder", "write the folder alone, or a name that ends in .zip")
    if slash and _SERVER.fullmatch(first):
        _refuse(
            "begins like the name of a server, and there is no such folder",
            "write sftp://user@host/path/, or make the folder first",
        )
    _refuse(
        "has no scheme, and there is no such folder",
        "make it first, or write sftp://user@host/path/ or s3://bucket/path/",
    )


def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder. A path that this user may not look at is reported when it is used."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        return error.errno not in _NOT_THERE


def _sftp(target: str) -> Address:
    try:
        parts = urlsplit(target)
        host, port, user, password = parts.hostname, parts.port, parts.username, parts.password
    except ValueError:
        parts = host = port = user = password = None  # type: ignore[assignment]
    if parts is None or not parts.netloc or parts.query or parts.fragment or port == 0:
        _no_url("sftp")
    if not host or not user:
        raise DeliveryError("The target names no user or no host: write sftp://user@host/path/.")
    if not _HOST.fullmatch(host):
        _no_url("sftp")
    return Address("sftp", unquote(parts.path), host, port, unquote(user), unquote(password or ""))


def _store(scheme: str, target: str) -> Address:
    bucket, _, path = target.partition("://")[2].partition("/")
    if not (_CONTAINER if scheme in _CONTAINER_AT_ACCOUNT else _BUCKET).fullmatch(bucket):
        _refuse(
            f"names no bucket after {scheme}://, or something beside it",
            f"write {scheme}://bucket/path/; keys and endpoint belong into CONNECT_DELIVERY_OPTIONS",
        )
    return Address(scheme, f"{bucket}/{path}")


def _no_url(scheme: str) -> NoReturn:
    # It is not repeated: a password may be in the wrong place.
    raise DeliveryError(
        f"The target {scheme}://… is no address: in a user, password or path write %40 for @, %3A for :, "
        "%2F for /, %3F for ?, %23 for #. A password is better kept in CONNECT_DELIVERY_PASSWORD."
    )
