from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.connect.warehouse import Place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.build()
    return place
