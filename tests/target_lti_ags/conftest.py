"""A platform, and a key that was made for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.target_lti_ags.lms import Lms, Push

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key that nobody else can read, and beside it the public one."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = tmp_path_factory.mktemp("keys") / "private.pem"
    file.touch(0o600)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    file.with_name("public.pem").write_bytes(public)
    return file


@pytest.fixture(scope="session")
def lms(key_file: Path) -> Iterator[Lms]:
    """The stub platform; each test makes courses of its own."""
    made = Lms(key_file, key_file.with_name("public.pem").read_text())
    yield made
    made.stop()


@pytest.fixture
def push(lms: Lms, tmp_path: Path) -> Push:
    """A target without courses."""
    return Push(lms, tmp_path, [])
