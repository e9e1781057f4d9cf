"""The transfers of a folder: who has which, which rest, and how they become files."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from anyplug.errors import StoreDamaged
from anyplug.file_errors import NotThere, TakenOver
from anyplug.store.files import Finish, check_offer
from anyplug.store.folder_lease import FolderLease
from anyplug.store.folder_opening import summary
from anyplug.store.folder_rows import Ready
from anyplug.store.folder_transfer import Upload

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from anyplug.store.files import Offer, StoredFile, Transfer
    from anyplug.store.folder_core import Core
    from anyplug.store.folder_placing import Placer

__all__ = ["Uploads"]

T = TypeVar("T")


class Uploads:
    """The transfers of a folder that is open.

    Args:
        core: the folder.
        placer: what makes files of them.
        waiting: those that were there when it was opened.
    """

    __slots__ = ("_busy", "_core", "_held", "_placer", "_resting")

    def __init__(self, core: Core, placer: Placer, waiting: Iterable[Transfer]) -> None:
        self._core = core
        self._placer = placer
        self._held: dict[str, Upload] = {}
        self._resting = {each.id: each for each in waiting}
        self._busy: dict[str, asyncio.Task[object]] = {}

    async def begin(self, offer: Offer, *, now: int) -> FolderLease:
        """As `FileStore.begin`."""
        core = self._core
        offer = check_offer(offer, core.limits)
        size = offer.size or 0
        core.room.take(size, transfers=1, disk=await core.run(core.disk.room), free=core.free)
        name = secrets.token_hex(16)
        work = partial(Upload.begin, name, offer, now=now, place=core.boot, places=core.places, disk=core.disk)
        try:
            upload = await core.run(work)
        except BaseException:
            core.room.drop(size, transfers=1)
            raise
        return self._lease(upload)

    def _lease(self, upload: Upload) -> FolderLease:
        upload.limit = self._core.limits.file
        self._held[upload.id] = upload
        return FolderLease(self, self._core, upload)

    async def resume(self, transfer: str) -> FolderLease:
        """As `FileStore.resume`."""
        held = self._held.get(transfer)
        if held is not None and isinstance(held.holder, FolderLease):
            await held.holder.written()
        while (busy := self._busy.get(transfer)) is not None:
            await asyncio.wait([busy])
        if (upload := self._held.get(transfer)) is None:
            if transfer not in self._resting:
                raise NotThere("transfer", transfer)
            upload = await self._alone(transfer, self._load(transfer))
        if upload.over:
            raise TakenOver(transfer, upload.over)
        return self._lease(upload)

    async def _load(self, transfer: str) -> Upload:
        core = self._core
        upload = await core.run(partial(Upload.load, transfer, place=core.boot, places=core.places, disk=core.disk))
        if upload is None:
            raise StoreDamaged(transfer, "its journal is not what was written")
        del self._resting[transfer]
        self._held[transfer] = upload
        return upload

    async def _alone(self, transfer: str, work: Coroutine[object, object, T]) -> T:
        """Do something with a transfer while nobody takes it up; goes on to the end when the caller is cancelled."""
        task = asyncio.ensure_future(self._core.whole(work))
        self._busy[transfer] = task
        task.add_done_callback(lambda _: self._busy.pop(transfer, None))
        return await asyncio.shield(task)

    async def rest(self, upload: Upload) -> None:
        """Sync a transfer that nobody has any more, and close its files."""
        if upload.id not in self._busy:
            await self._alone(upload.id, self._rest(upload))

    async def _rest(self, upload: Upload) -> None:
        core = self._core
        try:
            if core.over is None:
                await core.run(upload.sync)
            else:
                await core.finally_run(upload.distrust)
        finally:
            self._resting[upload.id] = await core.finally_run(summary, upload, core)
            self._held.pop(upload.id)
            await core.finally_run(upload.close)

    async def forget(self, upload: Upload) -> None:
        """Remove a transfer and all that was written to it."""
        upload.over = "it was abandoned"
        await self._alone(upload.id, self._remove(upload, drop=True))

    async def _remove(self, upload: Upload, *, drop: bool) -> None:
        core = self._core
        self._held.pop(upload.id)
        core.room.drop(upload.reserved, written=upload.received, transfers=1)
        await core.finally_run(upload.close)
        if drop:
            await core.run(core.places.drop, upload.id)

    async def transfers(self) -> Sequence[Transfer]:
        """As `FileStore.transfers`."""
        held = [each for each in self._held.values() if not each.over]
        shown = [await self._core.run(summary, each, self._core) for each in held]
        return sorted([*shown, *self._resting.values()], key=lambda each: (each.touched, each.id))

    async def expire(self, before: int) -> Sequence[Transfer]:
        """As `FileStore.expire`."""
        old = [each for each in self._resting.values() if each.touched < before]
        gone = []
        for each in old:
            if each.id not in self._busy and each.id in self._resting:
                lease = await self.resume(each.id)
                await lease.abandon()
                gone.append(each)
        return gone

    async def finish(self, finishes: Sequence[Finish], *, now: int) -> list[StoredFile | Exception]:
        """As `FileStore.finish_many`."""
        sealed = await asyncio.gather(*(self._seal(each, now) for each in finishes), return_exceptions=True)
        await self._placer.place([each for each in sealed if isinstance(each, Ready)])
        return [await self._outcome(finish, each) for finish, each in zip(finishes, sealed, strict=True)]

    async def _seal(self, finish: Finish, now: int) -> Ready:
        lease = finish.lease
        if not isinstance(lease, FolderLease) or self._held.get(lease.id) is not lease.upload:
            raise TakenOver(lease.id, "it is not under way here")
        work = partial(lease.upload.seal, lease, finish.digest, finish.size, now=now)
        return await self._core.run(work)

    async def _outcome(self, finish: Finish, sealed: Ready | BaseException) -> StoredFile | Exception:
        if isinstance(sealed, Exception):
            return sealed
        if isinstance(sealed, BaseException):
            raise sealed
        upload = self._held[finish.lease.id]
        if sealed.error is not None:
            upload.unseal()
            return sealed.error
        await self._alone(upload.id, self._remove(upload, drop=False))
        return (sealed.same or sealed.row).shown()

    async def close(self) -> None:
        """Sync all and close their files."""
        while self._busy:
            await asyncio.wait([*self._busy.values()])
        for upload in list(self._held.values()):
            upload.holder = None
            await self._alone(upload.id, self._rest(upload))
