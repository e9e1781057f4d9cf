"""A file is sent while its connection is cut at random bytes and the server is killed (-9): it arrives whole, nothing
is visible before, and each break costs a chunk at most.

`make test` sends 64 MiB with 20 cuts and 4 kills; ``make crash-files SIZE=1024 CUTS=100 KILLS=20`` sends as many MiB as
it says.
"""

from __future__ import annotations

import asyncio
import filecmp
import os
import random
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from anyplug.files import Files
from anyplug.store.chunks import CHUNK, chunk_digest, file_digest
from tests.crash.process import Victim
from tests.crash.relay import Relay
from tests.services.filing import names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anyplug.transfers.progress import Progress

COUNT = int(os.environ.get("ANYPLUG_FILE_SIZE", "64"))
CUTS = int(os.environ.get("ANYPLUG_FILE_CUTS", "20"))
KILLS = int(os.environ.get("ANYPLUG_FILE_KILLS", "4"))
SIZE = COUNT * CHUNK - 12_345
AHEAD = 4
"""Chunks that have left the relay when the server is killed, and are lost with it: in its hands, or in buffers."""
BUFFERS = 512 * 1024
"""Bytes that stand between the relay and the server at a cut, and may be the end of one more chunk."""
WORDS = 64 * 1024
"""Bytes of one connection that are no content: what is said at its beginning, and the head of each chunk."""


@dataclass
class Mark:
    """How far everything was when a connection began to send chunks."""

    sent: int
    """Bytes of the client that went through the relay."""
    stored: int
    """Bytes of the file that the server says it has."""
    cuts: int
    kills: int


@pytest.fixture
async def victim(tmp_path: Path) -> AsyncIterator[Victim]:
    made = Victim(tmp_path)
    await asyncio.to_thread(made.start)
    yield made
    if made.running:
        await asyncio.to_thread(made.kill)
    await asyncio.to_thread(shutil.rmtree, tmp_path)  # it may be gigabytes


def visible(victim: Victim) -> list[str]:
    """Files that anybody would see in the folder."""
    folder = victim.store / "files"
    return [each for each in names(folder) if each != ".anyplug"] if folder.is_dir() else []


def fill(path: Path) -> bytes:
    """Write a file of `SIZE` random bytes; returns its digest."""
    roll = random.Random(5)
    digests, left = b"", SIZE
    with path.open("wb") as file:
        while left:
            chunk = roll.randbytes(min(left, CHUNK))
            digests += chunk_digest([chunk])
            left -= file.write(chunk)
    return file_digest(digests, SIZE)


class Ordeal:
    """An upload, and what happens to the server and the connection meanwhile."""

    def __init__(self, victim: Victim, folder: Path) -> None:
        roll = random.Random(6)
        farthest = SIZE * 5 // (4 * max(CUTS, 1))  # so that all cuts have been made when six tenths are there
        self.victim = victim
        self.relay = Relay(f"{folder}/s", lambda: roll.randrange(1, farthest) if self.relay.cuts < CUTS else None)
        self.marks: list[Mark] = []
        self.killing: set[asyncio.Task[None]] = set()
        self._kills = sorted(roll.randrange(CHUNK, SIZE - 2 * AHEAD * CHUNK) for _ in range(KILLS))

    def report(self, progress: Progress) -> None:
        """How the upload goes."""
        if progress.phase != "done":
            assert visible(self.victim) == []
        if progress.phase in {"sending", "resuming"} and progress.done == progress.resumed:
            relay, kills = self.relay, self.victim.kills
            self.marks.append(Mark(relay.sent, progress.resumed, relay.cuts, kills))
        if self._kills and progress.done >= self._kills[0] and all(each.done() for each in self.killing):
            self._kills.pop(0)
            self.killing.add(asyncio.create_task(self._kill()))

    async def _kill(self) -> None:
        await asyncio.to_thread(self.victim.kill)
        assert visible(self.victim) == []
        await asyncio.to_thread(self.victim.start)

    def end(self) -> None:
        """All is there."""
        self.marks.append(Mark(self.relay.sent, SIZE, self.relay.cuts, self.victim.kills))

    def check_cost(self) -> str:
        """Between two marks no more was sent than what the server has now, and a chunk for the break between them."""
        for before, after in zip(self.marks, self.marks[1:], strict=False):
            sent, stored = after.sent - before.sent, after.stored - before.stored
            cuts, kills = after.cuts - before.cuts, after.kills - before.kills
            lost = cuts * (CHUNK + BUFFERS) + kills * (1 + AHEAD) * CHUNK
            assert 0 <= stored <= sent <= stored + lost + WORDS, (before, after)
        return f"{SIZE:,} bytes, {CUTS} cuts, {KILLS} kills: {self.relay.sent:,} bytes sent"


@pytest.mark.timeout(60 + COUNT + CUTS + 5 * KILLS)
async def test_a_file_survives_cuts_and_kills(victim: Victim, tmp_path: Path) -> None:
    source, copy = tmp_path / "big.bin", tmp_path / "copy.bin"
    digest = await asyncio.to_thread(fill, source)
    ordeal = Ordeal(victim, tmp_path)
    where = f"plug+unix://{tmp_path}/r?service=files"
    async with ordeal.relay.listening(f"{tmp_path}/r"), Files(where, notes=tmp_path / "notes", patience=30) as files:
        stored = await files.put(source, progress=ordeal.report)
        ordeal.end()
        await asyncio.gather(*ordeal.killing)
        assert (stored.name, stored.size, stored.digest) == ("big.bin", SIZE, digest)
        assert (victim.kills, ordeal.relay.cuts) == (KILLS, CUTS)
        print(ordeal.check_cost())
        await files.get(stored.name, copy)
    assert visible(victim) == ["big.bin"]
    for each in (victim.store / "files" / "big.bin", copy):
        assert await asyncio.to_thread(filecmp.cmp, source, each, shallow=False), each
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
