"""Stores of files that break one promise each. A crash leaves what they call their disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from anyplug.errors import LocalError, PeerError
from anyplug.names import SafeName, key_of, safe
from anyplug.store import Finish, MemoryFiles
from anyplug.store.memory_files import Upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.store import Lease, Offer, Reader, Small, StoredFile, Transfer, Usage


class HonestFiles(MemoryFiles):
    """All that it knows is on its disk at once."""

    async def crash(self) -> HonestFiles:
        """What is left, opened anew."""
        left = type(self)(limits=self.limits)
        left._files = dict(self._files)
        left._done = dict(self._done)
        for upload in self.uploads.values():
            copy = Upload(upload.offer, upload.touched)
            copy.id, copy.size, copy.chunks = upload.id, upload.size, dict(upload.chunks)
            for index in copy.chunks:
                copy.spans.add(index)
            left.uploads[copy.id] = copy
        return left


class ForgetsFiles(HonestFiles):
    """Files are known in memory alone."""

    async def crash(self) -> HonestFiles:
        left = await super().crash()
        left._files = {}
        return left


class ForgetsChunks(HonestFiles):
    """Transfers begin again after a crash."""

    async def crash(self) -> HonestFiles:
        left = await super().crash()
        for upload in left.uploads.values():
            upload.chunks.clear()
            upload.spans = type(upload.spans)()
        return left


class ForgetsWhatBecameOfTransfers(HonestFiles):
    """A finish that is sent again has no answer."""

    async def finished(self, transfer: str) -> StoredFile | None:
        return None


class ShowsFilesEarly(HonestFiles):
    """A name is there when its transfer begins."""

    async def begin(self, offer: Offer, *, now: int) -> Lease:
        lease = await super().begin(offer, now=now)
        self._store(offer, b"", None, now)
        return lease


class TakesAnyDigest(HonestFiles):
    """What the sender says of a file is not compared."""

    async def finish_many(self, finishes: Sequence[Finish], *, now: int) -> list[StoredFile | Exception]:
        return await super().finish_many([Finish(each.lease, None, each.size) for each in finishes], now=now)


class LetsTheOldOneWrite(HonestFiles):
    """A take-over takes nothing away."""

    async def resume(self, transfer: str) -> Lease:
        holder = self.uploads[transfer].holder if transfer in self.uploads else None
        lease = await super().resume(transfer)
        self.uploads[transfer].holder = holder or lease
        return lease


class Overwrites(HonestFiles):
    """The newest file of a name takes its place, asked for or not."""

    def _store(self, offer: Offer, data: bytes, said: bytes | None, now: int) -> StoredFile:
        return super()._store(msgspec.structs.replace(offer, replace=True), data, said, now)


class NeverReplaces(HonestFiles):
    """A name that is taken stays taken."""

    def _store(self, offer: Offer, data: bytes, said: bytes | None, now: int) -> StoredFile:
        return super()._store(msgspec.structs.replace(offer, replace=False), data, said, now)


class TellsTwinsApart(HonestFiles):
    """Names that differ in case alone are different names."""

    def _free(self, wanted: str) -> str:
        return super()._free(wanted) if key_of(wanted) != "p.jpg" else wanted


class OpensAnyName(HonestFiles):
    """Labels are names."""

    def wanted(self, label: str) -> SafeName:
        return SafeName(label, key_of(label)) if "nul" in label else safe(label)


class StoresTheSameTwice(HonestFiles):
    """A file that comes again is another file."""

    def again(self, old: StoredFile, offer: Offer, digest: bytes) -> bool:
        return False


class ReadersFollowTheName(HonestFiles):
    """What is read is what has the name now."""

    async def reader(self, name: str) -> Reader:
        reader = await super().reader(name)
        store = self

        class Following(type(reader)):  # type: ignore[misc]
            async def chunk(self, index: int) -> bytes:
                return bytes(await (await MemoryFiles.reader(store, name)).chunk(index))

        reader.__class__ = Following
        return reader


class HasNoBounds(HonestFiles):
    """There is always room."""

    def take(self, size: int, *, files: int = 0, transfers: int = 0) -> None:
        pass


class TakesWhatIsTooLarge(HonestFiles):
    """The size of a file is no matter."""

    async def begin(self, offer: Offer, *, now: int) -> Lease:
        limits, self.limits = self.limits, msgspec.structs.replace(self.limits, file=1 << 60)
        try:
            return await super().begin(offer, now=now)
        finally:
            self.limits = limits


class ExpiresWhatIsHeld(HonestFiles):
    """Age alone decides."""

    async def expire(self, before: int) -> Sequence[Transfer]:
        for upload in self.uploads.values():
            upload.holder = None
        return await super().expire(before)


class KeepsRoomForTheAbandoned(HonestFiles):
    """What was announced once counts for ever."""

    most = 0

    async def usage(self) -> Usage:
        usage = await super().usage()
        self.most = max(self.most, usage.reserved, 1)
        return msgspec.structs.replace(usage, reserved=self.most)


class FailsTogether(HonestFiles):
    """One that is refused takes the others with it."""

    async def put_many(self, smalls: Sequence[Small], *, now: int) -> list[StoredFile | Exception]:
        results = await super().put_many(smalls, now=now)
        errors = [each for each in results if isinstance(each, LocalError | PeerError)]
        return [*errors[:1]] * len(results) if errors else results


class ListsInAnyOrder(HonestFiles):
    """Files are listed as they came."""

    async def list(self, folder: str = "", *, after: str = "", limit: int = 1000) -> Sequence[StoredFile]:
        return list(reversed(await super().list(folder, after=after, limit=limit)))


class GoesOnAfterItsEnd(HonestFiles):
    """Closing is a word."""

    def check_open(self) -> None:
        pass
