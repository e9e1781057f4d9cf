"""A file of 64 MiB is sent while its connection is cut at random bytes and the server is killed (-9): it arrives whole,
nothing is visible before, and a break costs little.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from anyplug.files import Files
from anyplug.store.chunks import CHUNK
from tests.crash.process import Victim
from tests.crash.relay import Relay
from tests.services.filing import names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anyplug.transfers.progress import Progress

SIZE = 64 * CHUNK
CUTS = 20
KILLS = 4
AHEAD = 4
"""Chunks that are under way when the server is killed: in its hands, or in buffers between."""


@pytest.fixture
async def victim(tmp_path: Path) -> AsyncIterator[Victim]:
    made = Victim(tmp_path)
    await asyncio.to_thread(made.start)
    yield made
    if made.running:
        await asyncio.to_thread(made.kill)


def visible(victim: Victim) -> list[str]:
    """Files that anybody would see in the folder."""
    folder = victim.store / "files"
    return names(folder) if folder.is_dir() else []


@pytest.mark.timeout(120)
async def test_a_file_survives_cuts_and_kills(victim: Victim, tmp_path: Path) -> None:
    roll = random.Random(5)
    content = roll.randbytes(SIZE - 12_345)
    source = tmp_path / "big.bin"
    source.write_bytes(content)
    relay = Relay(f"{tmp_path}/s", lambda: roll.randrange(1, 4 * CHUNK) if relay.cuts < CUTS else None)
    kills = sorted(roll.randrange(CHUNK, SIZE - CHUNK) for _ in range(KILLS))
    told: list[Progress] = []
    killing: set[asyncio.Task[None]] = set()

    async def kill() -> None:
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(victim.start)

    def report(progress: Progress) -> None:
        told.append(progress)
        if progress.phase != "done":
            assert [each for each in visible(victim) if each != ".anyplug"] == []
        if kills and progress.done >= kills[0] and not [each for each in killing if not each.done()]:
            kills.pop(0)
            killing.add(asyncio.create_task(kill()))

    where = f"plug+unix://{tmp_path}/r?service=files"
    async with relay.listening(f"{tmp_path}/r"), Files(where, notes=tmp_path / "notes", patience=30) as files:
        stored = await files.put(source, progress=report)
        await asyncio.gather(*killing)
        assert victim.kills == KILLS
        assert relay.cuts == CUTS
        assert await files.read(stored.name) == content
    assert relay.sent <= len(content) + CUTS * CHUNK + KILLS * (1 + AHEAD) * CHUNK
    resumed = [each.done for each in told if each.phase == "resuming"]
    assert resumed
    assert max(resumed) > SIZE // 2
    assert visible(victim) == [".anyplug", "big.bin"]
    assert (victim.store / "files" / "big.bin").read_bytes() == content
    assert names(tmp_path / "notes") == []


async def test_a_new_process_goes_on_where_the_killed_one_was(victim: Victim, tmp_path: Path) -> None:
    """The client's process ends in the middle, and so does the server's: the next call asks what is missing."""
    content = random.Random(6).randbytes(8 * CHUNK + 1)
    source = tmp_path / "big.bin"
    source.write_bytes(content)

    class Enough(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.done >= 4 * CHUNK:
            raise Enough

    address = victim.address.replace("/s", "/s?service=files")
    with pytest.raises(Enough):
        async with Files(address, notes=tmp_path / "notes") as files:
            await files.put(source, progress=stop)
    await asyncio.to_thread(victim.kill)
    await asyncio.to_thread(victim.start)
    told: list[Progress] = []
    async with Files(address, notes=tmp_path / "notes") as files:
        await files.put(source, progress=told.append)
        assert await files.read("big.bin") == content
    assert told[1].phase == "resuming"
    assert told[1].resumed >= 2 * CHUNK
