"""The lease of a transfer into a folder: the asynchronous half of `Upload`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from anyplug.errors import StoreError
from anyplug.store.files import SYNC_BYTES, Finish, Lease

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from anyplug.store.chunks import Buffer
    from anyplug.store.files import StoredFile
    from anyplug.store.folder_core import Core
    from anyplug.store.folder_transfer import Upload
    from anyplug.store.folder_uploads import Uploads

__all__ = ["FolderLease"]

DIRTY_MAX: Final = 4 * SYNC_BYTES
"""Bytes written and not synced, of one transfer. At the bound a write returns only after the sync that is under way."""


class FolderLease(Lease):
    """A lease, from `Uploads`."""

    __slots__ = ("_core", "_syncing", "_uploads", "_writes", "id", "offer", "upload")

    def __init__(self, uploads: Uploads, core: Core, upload: Upload) -> None:
        self.id = upload.id
        self.offer = upload.offer
        self.upload = upload
        self._uploads = uploads
        self._core = core
        self._syncing: asyncio.Task[None] | None = None
        self._writes: set[asyncio.Future[bool]] = set()
        upload.holder = self

    @property
    def received(self) -> int:
        """As `Lease.received`."""
        return self.upload.received

    def missing(self) -> Sequence[tuple[int, int]]:
        """As `Lease.missing`."""
        return self.upload.missing()

    async def write(self, index: int, data: Buffer | Sequence[Buffer], *, digest: bytes | None = None) -> None:
        """As `Lease.write`."""
        parts = (data,) if isinstance(data, bytes | bytearray | memoryview) else data
        self.upload.may(self)
        await self._core.whole(self._write(index, parts, digest))

    async def _write(self, index: int, parts: Sequence[Buffer], digest: bytes | None) -> None:
        upload, core = self.upload, self._core
        size = sum(memoryview(part).nbytes for part in parts)
        grown = size if upload.offer.size is None else 0
        core.room.take(grown)
        new = False
        try:
            new = await self._noted(core.run(upload.write_as, self, index, parts, digest, core.free))
        finally:
            if new:
                upload.reserved += grown
                core.room.written += size
            else:
                core.room.drop(grown)
        if upload.dirty >= SYNC_BYTES and (self._syncing is None or self._syncing.done()):
            self._syncing = asyncio.get_running_loop().create_task(self._sync())
        if upload.dirty >= DIRTY_MAX and self._syncing is not None:
            await asyncio.shield(self._syncing)

    async def _noted(self, writing: Coroutine[object, object, bool]) -> bool:
        task = asyncio.ensure_future(writing)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await task

    async def written(self) -> None:
        """Wait until all that came is written, or has failed. What has come need not come again."""
        if self._writes:
            await asyncio.wait(tuple(self._writes))

    async def _sync(self) -> None:
        # Where this fails the store has stopped, and the next write says so; or there is no room, and nothing is lost.
        with suppress(StoreError):
            await self._core.run(self.upload.sync)

    async def sync(self) -> None:
        """As `Lease.sync`."""
        self.upload.may(self)
        await self._core.run(self.upload.sync)

    async def finish(self, digest: bytes | None = None, *, size: int | None = None, now: int) -> StoredFile:
        """As `Lease.finish`."""
        (result,) = await self._core.whole(self._uploads.finish([Finish(self, digest, size)], now=now))
        if isinstance(result, Exception):
            raise result
        return result

    async def release(self) -> None:
        """As `Lease.release`."""
        if self.upload.holder is self and not self.upload.over:
            self.upload.holder = None
            await self._uploads.rest(self.upload)

    async def abandon(self) -> None:
        """As `Lease.abandon`."""
        self.upload.may(self)
        await self._uploads.forget(self.upload)
