"""The private key of the tool, and the client assertion that it signs."""

from __future__ import annotations

import os
import stat
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from target_lti_ags.errors import SettingError

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 300
_LEAST_BITS = 2048


@dataclass(frozen=True)
class Key:
    """An RSA key with the id under which the platform knows its public half."""

    key_id: str
    private: RSAPrivateKey = field(repr=False)

    def assertion(self, client_id: str, audience: str) -> str:
        """Return a client assertion (RFC 7523), which holds for five minutes and bears an id of its own."""
        now = int(time.time())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "iat": now,
            "exp": now + _SECONDS,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims, self.private, algorithm="RS256", headers={"kid": self.key_id})


def read(path: Path, key_id: str) -> Key:
    """Read a private key in PEM without a passphrase.

    Raises:
        SettingError: the file is missing, is no such key, or can be read by others.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
        with os.fdopen(handle, "rb") as raw:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
                raise SettingError(f"The private key {path} can be read by others: chmod 600 {path}")
            data = raw.read(1 << 20)
    except OSError as error:
        raise SettingError(f"The private key {path} cannot be read ({error.strerror}): see private_key_file.") from None
    try:
        private = load_pem_private_key(data, None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, RSAPrivateKey) or private.key_size < _LEAST_BITS:
        raise SettingError(
            f"{path} is no RSA private key of {_LEAST_BITS} bits or more in PEM without a passphrase: make one with "
            f"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{_LEAST_BITS}."
        )
    return Key(key_id, private)
