"""Large files take the short way from the network to the disk, in both directions, in memory that is shared."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from anyplug import Files
from anyplug.server.arrivals import AHEAD, BUFFERS
from anyplug.store.chunks import CHUNK
from anyplug.wire.arriving import KEPT
from tests.services.filing import file_server

if TYPE_CHECKING:
    from pathlib import Path

    from anyplug.transfers.carriage import Carriage
    from anyplug.wire.arriving import Buffers

both_loops = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


def lent(carriage: Carriage) -> Buffers:
    return carriage._buffers


@both_loops
async def test_chunks_go_through_a_few_buffers_both_ways(tmp_path: Path) -> None:
    content = os.urandom(9 * CHUNK + 100_000)
    async with file_server(tmp_path / "store") as (server, address), Files(address, notes=None) as files:
        stored = await files.put(content, "large.bin")
        buffers = server._context.traffic.buffers
        assert 0 < len(buffers) <= KEPT + AHEAD
        target = tmp_path / "copy"
        await files.get(stored.name, target)
        assert target.read_bytes() == content
        assert files._carriage is not None
        assert 0 < len(lent(files._carriage)) <= KEPT + AHEAD
    assert BUFFERS * CHUNK <= 32 << 20


@both_loops
async def test_a_stream_keeps_what_it_was_given(tmp_path: Path) -> None:
    content = os.urandom(12 * CHUNK)
    kept: list[bytes | memoryview] = []

    class Keeper:
        def write(self, data: bytes | memoryview) -> None:
            kept.append(data)

    async with file_server(tmp_path / "store") as (_, address), Files(address, notes=None) as files:
        await files.put(content, "large.bin")
        await files.get("large.bin", Keeper())
    assert b"".join(kept) == content
