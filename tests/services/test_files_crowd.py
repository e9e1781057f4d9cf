"""Two hundred clients upload at once to a server in a process of its own: all arrive, and its memory stays bounded."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anyplug.schemas.files import Finish, Offer, Stored, Transfer
from anyplug.store.chunks import CHUNK, chunk_digest, file_digest
from tests.cli.serving import Serving
from tests.services.filing import asking, names

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = 200
CHUNKS = 3
"""Of each file: more than a transfer may hold in memory."""
EACH = CHUNK
"""Bytes of the server's memory for each transfer, at most."""
BESIDE = 160 * 1024 * 1024
"""Bytes beside that, however many clients there are: chunks that are being written, and what allocators keep."""


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    with Serving("--listen", "plug://127.0.0.1:0", "--store", str(tmp_path / "store"), stderr=None) as serving:
        yield serving
    shutil.rmtree(tmp_path)  # hundreds of megabytes


def memory(process: int, line: str) -> int:
    """A line of what the kernel says of a process's memory, bytes."""
    found = re.search(rf"^{line}:\s+(\d+) kB$", Path(f"/proc/{process}/status").read_text("ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def content(number: int, index: int) -> bytes:
    """A chunk that no other file has."""
    return b"%8d%8d" % (number, index) * (CHUNK // 16)


async def upload(address: str, number: int, together: asyncio.Barrier) -> bytes:
    """Upload a file, after all others are connected and offered; its digest, as the server says."""
    async with asking(address) as carriage:
        offer = Offer(name=f"{number}", size=CHUNKS * CHUNK)
        transfer = await carriage.ask(Transfer, offer)
        await together.wait()
        digests = b""
        for index in range(CHUNKS):
            chunk = content(number, index)
            digests += chunk_digest([chunk])
            await carriage.say(transfer.number, index, digests[-32:], chunk)
        digest = file_digest(digests, CHUNKS * CHUNK)
        stored = await carriage.ask(Stored, Finish(number=transfer.number, size=CHUNKS * CHUNK, digest=digest))
        assert stored.file.digest == digest
        return digest


async def test_two_hundred_clients_upload_at_once_in_bounded_memory(serving: Serving, tmp_path: Path) -> None:
    address = f"{serving.addresses[0]}/files"
    await upload(address, CLIENTS, asyncio.Barrier(1))
    before = memory(serving.process.pid, "VmRSS")
    together = asyncio.Barrier(CLIENTS)
    digests = await asyncio.gather(*(upload(address, number, together) for number in range(CLIENTS)))
    grown = memory(serving.process.pid, "VmHWM") - before
    assert len(set(digests)) == CLIENTS
    folder = tmp_path / "store" / "files"
    assert names(folder) == sorted([".anyplug", *map(str, range(CLIENTS + 1))])
    for number in range(CLIENTS):
        assert (folder / str(number)).read_bytes() == b"".join(content(number, index) for index in range(CHUNKS))
    assert grown <= CLIENTS * EACH + BESIDE, f"{grown:,} bytes more than before"
