from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.peers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def place() -> Iterator[str]:
    """HOST:PORT of a running Anyplug server."""
    with serving("plug://127.0.0.1:0") as addresses:
        yield addresses[0].removeprefix("plug://")
