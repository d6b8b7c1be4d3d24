"""Connections to an SSH server: which host keys are accepted, and how this user logs in.

Every host key is checked, and `~/.ssh/config` is not read: the same settings give the same connection for whoever runs
this.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh
from typing_extensions import override

from coursera_connect.deliver.receiver import Interrupted
from coursera_connect.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPORARY = (asyncssh.Error, OSError, asyncio.TimeoutError)  # before Python 3.11 the last is no OSError
"""The errors that the next attempt may not have."""
_PORT = 22


@dataclass(frozen=True)
class Server:
    """The server and the user. `password` is the one in the target; the option `password` outranks it."""

    host: str
    port: int | None
    user: str
    password: str = field(default="", repr=False)

    @property
    def pattern(self) -> str:
        """The server's name in a known_hosts file."""
        return self.host if self.port in {None, _PORT} else f"[{self.host}]:{self.port}"

    @property
    def scan(self) -> str:
        """The command that asks the server for its keys."""
        return f"ssh-keyscan {self.host}" if self.port in {None, _PORT} else f"ssh-keyscan -p {self.port} {self.host}"


class Login:
    """The accepted host keys of a server and the credentials of its user. `options`: see `delivery.SSH`."""

    def __init__(self, server: Server, options: Mapping[str, Any]) -> None:
        """Read the host keys and the private key; raise DeliveryError if one of them cannot be used."""
        self._server = server
        self._trusted = _Trusted.of(server, options)
        self._credentials = _credentials(server, options)

    async def connect(self) -> asyncssh.SSHClientConnection:
        """Log in.

        Raises:
            DeliveryError: The server is not the known one, or refuses the login.
            Interrupted: There is no connection now.
        """
        server, presented = self._server, _Presented()
        try:
            return await asyncssh.connect(
                server.host,
                server.port or _PORT,
                username=server.user,
                known_hosts=self._trusted.hosts,
                client_factory=lambda: presented,
                config=None,
                connect_timeout=30,
                login_timeout=60,
                keepalive_interval=15,  # so that a line that went silent is noticed within a minute
                keepalive_count_max=3,
                **self._credentials,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            raise self._trusted.refusal(server, presented) from error
        except asyncssh.KeyExchangeFailed as error:
            if self._trusted.knows(server) and "host key" in str(error):
                raise self._trusted.refusal(server, presented) from error
            raise DeliveryError(
                f"{server.host} offers no encryption that is safe today: ask its administrator to update the server."
            ) from error
        except (PermissionError, asyncssh.PermissionDenied) as error:
            raise DeliveryError(
                f"{server.host} refused the login of {server.user}: check the user in CONNECT_DELIVERY, and "
                "CONNECT_DELIVERY_PASSWORD or CONNECT_DELIVERY_KEY_FILE."
            ) from error
        except TEMPORARY as error:
            raise Interrupted(f"no connection to {server.host}: {described(error)}") from error


class _Presented(asyncssh.SSHClient):
    """Stores the fingerprint of an unknown host key, and refuses the key."""

    fingerprint = ""

    @override
    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        del host, addr, port
        self.fingerprint = key.get_fingerprint()
        return False


@dataclass(frozen=True)
class _Trusted:
    """The accepted host keys and their origin."""

    hosts: asyncssh.SSHKnownHosts
    origin: str

    @classmethod
    def of(cls, server: Server, options: Mapping[str, Any]) -> _Trusted:
        if line := str(options.get("host_key") or "").strip():
            for text in (line, line.partition(" ")[2]):  # bare, or behind the host's name as ssh-keyscan prints it
                with suppress(asyncssh.KeyImportError):
                    key = asyncssh.import_public_key(text).export_public_key("openssh").decode()
                    hosts = asyncssh.import_known_hosts(f"{server.pattern} {key}")
                    return cls(hosts, "CONNECT_DELIVERY_HOST_KEY")
            raise DeliveryError(
                f"CONNECT_DELIVERY_HOST_KEY is no public key: give one line of what `{server.scan}` prints."
            )
        file = Path(str(options.get("known_hosts") or "~/.ssh/known_hosts")).expanduser()
        try:
            return cls(asyncssh.read_known_hosts(str(file)), str(file))
        except FileNotFoundError:
            return cls(asyncssh.import_known_hosts(""), str(file))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "not the format of known_hosts"
            raise DeliveryError(
                f"{file} cannot be read ({why}): correct it, or CONNECT_DELIVERY_KNOWN_HOSTS."
            ) from error

    def knows(self, server: Server) -> bool:
        """Return whether there is any key for the server."""
        keys, authorities, _ = self._lines(server)
        return bool(keys or authorities)

    def _lines(self, server: Server) -> tuple[Any, Any, Any]:
        """Return the keys, the authorities and the revoked keys for the server."""
        port = None if server.port in {None, _PORT} else server.port
        keys, authorities, revoked, *_ = asyncssh.match_known_hosts(self.hosts, server.host, "", port)
        return keys, authorities, revoked

    def refusal(self, server: Server, presented: _Presented) -> DeliveryError:
        """Return a sentence that says whether the server is unknown or shows another key than before."""
        shown = f" ({presented.fingerprint})" if presented.fingerprint else ""
        confirm = "have the receiver confirm the fingerprint"
        if not shown and self._lines(server)[2]:  # what is revoked is refused before anybody is asked
            return DeliveryError(
                f"{server.host} shows a host key that {self.origin} marks as @revoked, or one that such a key signed: "
                "nothing was sent. Ask the receiver; leave the mark, since whoever stole the key can show it."
            )
        if self.knows(server):
            return DeliveryError(
                f"{server.host} shows another host key{shown} than the one in {self.origin}: this may be an attack, so "
                f"nothing was sent. If the receiver changed the key, {confirm} and replace the old line there by what "
                f"`{server.scan}` prints."
            )
        return DeliveryError(
            f"The host key of {server.host}{shown} is not in {self.origin}: {confirm}, then "
            f"`{server.scan} >> {self.origin}`."
        )


def _credentials(server: Server, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options to log in: the key file, else the password, else the agent and the user's own keys."""
    password = str(options.get("password") or server.password) or None
    if file := str(options.get("key_file") or ""):
        try:
            key = asyncssh.read_private_key(Path(file).expanduser(), str(options.get("passphrase") or "") or None)
        except asyncssh.KeyEncryptionError as error:
            raise DeliveryError(f"CONNECT_DELIVERY_PASSPHRASE is not the one of {file}: correct it.") from error
        except asyncssh.KeyImportError as error:
            raise DeliveryError(
                f"{file} is no private key that can be used (or CONNECT_DELIVERY_PASSPHRASE is missing): "
                "correct CONNECT_DELIVERY_KEY_FILE."
            ) from error
        except OSError as error:
            raise DeliveryError(
                f"{file} cannot be read ({error.strerror}): check CONNECT_DELIVERY_KEY_FILE."
            ) from error
        return {"client_keys": [key], "agent_path": None, "password": password}
    if password:
        return {"client_keys": None, "agent_path": None, "password": password}
    return {}


def described(error: Exception) -> str:
    """Return what went wrong, without the words of the server."""
    if isinstance(error, (asyncssh.ConnectionLost, asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)):
        return "the connection was lost"
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return "no answer in time"
    if isinstance(error, asyncssh.SFTPFailure):
        return "the server failed without a reason, often a full disk or a quota"
    if (
        isinstance(error, OSError) and error.strerror
    ):  # asyncio puts its own words there, name look-ups a number below 0
        return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return type(error).__name__
