"""Uploads of plain clients: all that one sends until it ends is a new file, with a number and an ending by its content.

Bytes go to the disk as they come, a chunk at a time; a small file goes there whole. The number is taken when the first
chunk is there, or the end, and never given twice: neither to two at the same time nor after the server was started
anew. What a client that broke off had sent by then stays a transfer that nobody carries on, kept aside as long as those
are, and the log says so.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from anyplug.errors import AnyplugError, Code
from anyplug.names import safe
from anyplug.services.endings import ending_of
from anyplug.services.visits import Visit
from anyplug.store.chunks import CHUNK
from anyplug.store.files import Finish, Offer, Small

if TYPE_CHECKING:
    from anyplug.services.depots import Depot
    from anyplug.services.facilities import Facilities
    from anyplug.services.visits import Guest
    from anyplug.store.files import FileStore, Lease, StoredFile

__all__ = ["PlainUpload"]

PAGE: Final = 1_000
"""Files that are looked at in one go for numbers that were given."""


class PlainUpload(Visit):
    """One plain connection.

    Args:
        guest: who visits; what follows the service in the listener's address is the folder of uploads.
        depot: where files are.
        facilities: of the server.
        prefix: what stands before the number.
        show: the name under which it is shown what was stored; empty where it is not.
    """

    concludes = True

    def __init__(self, guest: Guest, depot: Depot, facilities: Facilities, *, prefix: str, show: str) -> None:
        self._guest = guest
        self._depot = depot
        self._facilities = facilities
        self._prefix = f"{guest.rest.strip('/')}/{prefix}" if guest.rest.strip("/") else prefix
        self._show = show
        self._pieces: list[bytes] = []
        self._held = 0
        self._size = 0
        self._lease: Lease | None = None
        self._over = False

    async def say(self, bodies: list[bytes]) -> None:
        """More bytes came."""
        if self._over:
            return
        for body in bodies:
            self._pieces.append(body)
            self._held += len(body)
        try:
            while self._held >= CHUNK:
                await self._write(self._cut(CHUNK))
        except AnyplugError:
            await self._refuse()
            raise

    async def _refuse(self) -> None:
        """Nothing more is taken of this client."""
        self._over = True
        self._pieces.clear()
        if self._lease is not None:
            await self._lease.abandon()
            self._lease = None
        self._guest.end(Code.FAILED, "the file could not be stored")

    def _cut(self, size: int) -> list[bytes]:
        """The first so many bytes of what waits."""
        taken: list[bytes] = []
        left = size
        while left and self._pieces:
            piece = self._pieces.pop(0)
            if len(piece) > left:
                self._pieces.insert(0, piece[left:])
                piece = piece[:left]
            taken.append(piece)
            left -= len(piece)
        self._held -= size - left
        return taken

    async def _write(self, parts: list[bytes]) -> None:
        if self._lease is None:
            store = await self._depot.store()
            self._lease = await store.begin(await self._offer(store, parts, None), now=self._facilities.now())
        await self._lease.write(self._size // CHUNK, parts)
        self._size += sum(map(len, parts))

    async def _offer(self, store: FileStore, parts: list[bytes], size: int | None) -> Offer:
        ending = await asyncio.to_thread(ending_of, b"".join(parts)[:CHUNK])
        number = await self._number(store)
        return Offer(label=f"{self._prefix}{number}{ending}", size=size, sender=self._guest.peer)

    async def _number(self, store: FileStore) -> int:
        """A number that nobody else gets."""
        numbers, prefix = self._depot.numbers, self._prefix
        if prefix not in numbers:
            last = await _last_number(store, prefix)
            numbers[prefix] = max(last, numbers.get(prefix, 0))
        numbers[prefix] += 1
        return numbers[prefix]

    async def conclude(self, *, whole: bool) -> None:
        """The client has ended, or broke off."""
        if self._over:
            return
        if not whole:
            await self._keep_aside()
            return
        if not self._size and not self._held:
            return  # somebody looked in and said nothing
        if self._lease is None:
            store, data = await self._depot.store(), b"".join(self._pieces)
            small = Small(await self._offer(store, self._pieces, len(data)), data)
            (result,) = await self._depot.puts.submit([small])
        else:
            if self._held:
                await self._write(self._cut(self._held))
            (result,) = await self._depot.finishes.submit([Finish(self._lease, size=self._size)])
        if isinstance(result, Exception):
            raise result
        self._tell(result)

    async def _keep_aside(self) -> None:
        if not self._size and not self._held:
            return
        if self._held:
            await self._write(self._cut(self._held))
        lease = self._lease
        if lease is None:
            return
        await lease.release()
        log, peer = self._facilities.log, self._guest.peer
        log.warning("upload_broken", name=lease.offer.label, received=self._size, peer=peer, transfer=lease.id)
        if self._show and self._facilities.show is not None:
            kept = f"{self._size:,} bytes are kept aside as transfer {lease.id}"
            self._facilities.show(self._show, f"{lease.offer.label} from {peer} broke off; {kept}")

    def _tell(self, file: StoredFile) -> None:
        self._facilities.log.info("file_stored", name=file.name, size=file.size, peer=self._guest.peer)
        if self._show and self._facilities.show is not None:
            self._facilities.show(self._show, f"{file.name}, {file.size:,} bytes, from {self._guest.peer}")


async def _last_number(store: FileStore, prefix: str) -> int:
    """The largest number that was given in a folder."""
    folder = prefix.rpartition("/")[0]
    pattern = re.compile(re.escape(safe(f"{prefix}1").path[:-1]) + r"(\d{1,18})(?:[. ]|\Z)", re.IGNORECASE)
    names = [each.offer.label for each in await store.transfers()]
    after = ""
    while page := await store.list(folder, after=after, limit=PAGE):
        names += [file.name for file in page]
        after = page[-1].name
    return max((int(found[1]) for name in names if (found := pattern.match(name))), default=0)
