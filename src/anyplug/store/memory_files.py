"""A store of files in memory: the same contract, but what it holds ends with the process."""

from __future__ import annotations

import secrets
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from anyplug.errors import LocalError, PeerError, StoreError, StoreFull
from anyplug.file_errors import Mismatch, NotThere, TakenOver
from anyplug.names import key_of, safe, sibling
from anyplug.store.chunks import CHUNK, DIGEST, Spans, chunk_count, chunk_digest, file_digest, split
from anyplug.store.files import (
    LIST_MANY,
    FileLimits,
    FileStore,
    Finish,
    Lease,
    Reader,
    StoredFile,
    Transfer,
    Usage,
    check_offer,
    check_size,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.names import SafeName
    from anyplug.store.chunks import Buffer
    from anyplug.store.files import Finding, Offer, Small

__all__ = ["MemoryFiles", "Upload"]

_WHERE = "memory"


class Upload:
    """One transfer."""

    __slots__ = ("chunks", "holder", "id", "offer", "size", "spans", "touched")

    def __init__(self, offer: Offer, now: int) -> None:
        self.id = secrets.token_hex(16)
        self.offer = offer
        self.size = offer.size
        self.chunks: dict[int, bytes] = {}
        self.spans = Spans()
        self.holder: object = None
        self.touched = now

    @property
    def received(self) -> int:
        """Bytes that are there."""
        return sum(map(len, self.chunks.values()))


class _Lease(Lease):
    """The right to write to a transfer in memory."""

    def __init__(self, store: MemoryFiles, upload: Upload) -> None:
        self.id = upload.id
        self.offer = upload.offer
        self.upload = upload
        self.store = store
        upload.holder = self

    def check(self) -> None:
        self.store.check_open()
        if self.upload.holder is not self or self.id not in self.store.uploads:
            raise TakenOver(self.id)

    @property
    def received(self) -> int:
        return self.upload.received

    def missing(self) -> Sequence[tuple[int, int]]:
        limit = self.store.limits.file
        return self.upload.spans.gaps(chunk_count(limit if self.upload.size is None else self.upload.size))

    async def write(self, index: int, data: Buffer | Sequence[Buffer], *, digest: bytes | None = None) -> None:
        self.check()
        parts = (data,) if isinstance(data, bytes | bytearray | memoryview) else data
        found, body, upload = chunk_digest(parts), b"".join(map(bytes, parts)), self.upload
        if digest is not None and digest != found:
            raise Mismatch(f"chunk {index}", expected=digest.hex(), found=found.hex())
        check_size(index, len(body), size=upload.size, limit=self.store.limits.file)
        if upload.size is None and len(body) < CHUNK and any(other > index for other in upload.chunks):
            raise Mismatch(f"chunk {index}", expected=f"{CHUNK:,} bytes, as others follow it", found=f"{len(body):,}")
        if index in upload.chunks:
            if upload.chunks[index] != body:
                raise Mismatch(f"chunk {index}, which came before", expected="what came then", found="something else")
            return
        if self.offer.size is None:
            self.store.take(len(body))
        upload.chunks[index] = body
        upload.spans.add(index)
        if len(body) < CHUNK:
            upload.size = index * CHUNK + len(body)

    async def sync(self) -> None:
        self.check()

    async def finish(self, digest: bytes | None = None, *, size: int | None = None, now: int) -> StoredFile:
        (result,) = await self.store.finish_many([Finish(self, digest, size)], now=now)
        if isinstance(result, Exception):
            raise result
        return result

    async def release(self) -> None:
        if self.upload.holder is self:
            self.upload.holder = None

    async def abandon(self) -> None:
        self.check()
        del self.store.uploads[self.id]


class _Reader(Reader):
    """A file in memory that is open."""

    fileno = -1

    def __init__(self, file: StoredFile, data: bytes) -> None:
        self.file = file
        self._chunks = list(split(data))
        self._digests = b"".join(chunk_digest([chunk]) for chunk in self._chunks)

    async def digests(self, first: int = 0, count: int | None = None) -> bytes:
        return self._digests[first * DIGEST : None if count is None else (first + count) * DIGEST]

    async def chunk(self, index: int) -> bytes:
        if not 0 <= index < len(self._chunks):
            raise LocalError(f"{self.file.name!r} has {len(self._chunks):,} chunks, and none at {index:,}")
        return bytes(self._chunks[index])

    async def close(self) -> None:
        pass


class MemoryFiles(FileStore):
    """Files in memory.

    Args:
        limits: the bounds; `FileLimits.free` means nothing here.
    """

    def __init__(self, *, limits: FileLimits | None = None) -> None:
        self.limits = limits or FileLimits()
        self.uploads: dict[str, Upload] = {}
        self._files: dict[str, tuple[StoredFile, bytes]] = {}
        self._done: dict[str, str] = {}
        self._closed = False

    @property
    def state(self) -> str:
        """``open`` or ``closed``."""
        return "closed" if self._closed else "open"

    def check_open(self) -> None:
        """Refuse to go on after the end.

        Raises:
            StoreError: it is closed.
        """
        if self._closed:
            raise StoreError(_WHERE, "it is closed")

    def take(self, size: int, *, files: int = 0, transfers: int = 0) -> None:
        """See that there is room for so much more.

        Raises:
            StoreFull: there is not.
        """
        usage, limits = self._usage(), self.limits
        for what, found, most in (
            ("bytes", usage.bytes + usage.reserved + size, limits.bytes),
            ("files", usage.files + usage.transfers + files + transfers, limits.files),
            ("transfers", usage.transfers + transfers, limits.transfers),
        ):
            if found > most:
                raise StoreFull(_WHERE, f"there would be {found:,} {what}, the limit is {most:,}")

    def _usage(self) -> Usage:
        sizes = [file.size for file, _ in self._files.values()]
        held = [each.received if each.offer.size is None else each.offer.size for each in self.uploads.values()]
        return Usage(files=len(sizes), bytes=sum(sizes), transfers=len(held), reserved=sum(held), free=1 << 40)

    async def begin(self, offer: Offer, *, now: int) -> Lease:
        """As `FileStore.begin`."""
        self.check_open()
        offer = check_offer(offer, self.limits)
        self.take(offer.size or 0, transfers=1)
        upload = Upload(offer, now)
        self.uploads[upload.id] = upload
        return _Lease(self, upload)

    async def resume(self, transfer: str) -> Lease:
        """As `FileStore.resume`."""
        self.check_open()
        if transfer not in self.uploads:
            raise NotThere("transfer", transfer)
        return _Lease(self, self.uploads[transfer])

    async def transfers(self) -> Sequence[Transfer]:
        """As `FileStore.transfers`."""
        self.check_open()
        return [
            Transfer(id=each.id, offer=each.offer, received=each.received, touched=each.touched, held=bool(each.holder))
            for each in self.uploads.values()
        ]

    async def finished(self, transfer: str) -> StoredFile | None:
        """As `FileStore.finished`."""
        self.check_open()
        found = self._files.get(self._done.get(transfer, ""))
        return found[0] if found else None

    async def finish_many(self, finishes: Sequence[Finish], *, now: int) -> list[StoredFile | Exception]:
        """As `FileStore.finish_many`."""
        self.check_open()
        results: list[StoredFile | Exception] = []
        for finish in finishes:
            try:
                results.append(self._finish(finish, now))
            except (LocalError, PeerError) as error:
                results.append(error)
        return results

    def _finish(self, finish: Finish, now: int) -> StoredFile:
        if not isinstance(finish.lease, _Lease):
            raise TakenOver(finish.lease.id, "it is not under way here")
        finish.lease.check()
        upload = finish.lease.upload
        size = finish.size if upload.size is None else upload.size
        size = upload.received if size is None else size
        if finish.size not in {None, size} or upload.received != size or upload.spans.gaps(chunk_count(size)):
            raise Mismatch("size", expected=f"{size:,} bytes without a gap", found=f"{upload.received:,} bytes")
        file = self._store(upload.offer, b"".join(upload.chunks[n] for n in sorted(upload.chunks)), finish.digest, now)
        del self.uploads[upload.id]
        self._done[upload.id] = file.name
        return file

    def _store(self, offer: Offer, data: bytes, said: bytes | None, now: int) -> StoredFile:
        digest = file_digest(b"".join(chunk_digest([chunk]) for chunk in split(data)), len(data))
        if said is not None and said != digest:
            raise Mismatch("digest", expected=said.hex(), found=digest.hex())
        wanted = self.wanted(offer.label)
        old = self._files.get(wanted.key)
        if old is not None and self.again(old[0], offer, digest):
            return old[0]
        name = old[0].name if offer.replace and old is not None else self._free(wanted.path)
        facts = msgspec.structs.asdict(offer)
        del facts["replace"]
        file = StoredFile(**{**facts, "size": len(data)}, name=name, digest=digest, stored=now)
        self._files[key_of(name)] = (file, data)
        return file

    def wanted(self, label: str) -> SafeName:
        """The name that a label gets where it is free."""
        return safe(label)

    def again(self, old: StoredFile, offer: Offer, digest: bytes) -> bool:
        """Whether a file is one that is there."""
        return (old.label, old.digest) == (offer.label, digest)

    def _free(self, wanted: str) -> str:
        parts = wanted.split("/")
        for depth in range(len(parts) - 1):
            path, numbers = "/".join(parts), count(2)
            while key_of("/".join(parts[: depth + 1])) in self._files:
                parts = sibling(path, next(numbers), depth=depth).split("/")
        path, numbers = "/".join(parts), count(2)
        name = path
        while any(key == key_of(name) or key.startswith(key_of(name) + "/") for key in self._files):
            name = sibling(path, next(numbers))
        return name

    async def put_many(self, smalls: Sequence[Small], *, now: int) -> list[StoredFile | Exception]:
        """As `FileStore.put_many`."""
        self.check_open()
        results: list[StoredFile | Exception] = []
        for small in smalls:
            try:
                offer, size = check_offer(small.offer, self.limits), memoryview(small.data).nbytes
                if offer.size not in {None, size}:
                    raise Mismatch("size", expected=f"{offer.size:,} bytes, as offered", found=f"{size:,} bytes")
                self.take(size, files=1)
                results.append(self._store(offer, bytes(small.data), small.digest, now))
            except (LocalError, PeerError) as error:
                results.append(error)
        return results

    async def get(self, name: str) -> StoredFile:
        """As `FileStore.get`."""
        return self._find(name)[0]

    def _find(self, name: str) -> tuple[StoredFile, bytes]:
        self.check_open()
        found = self._files.get(key_of(name)) or self._files.get(safe(name).key)
        if found is None:
            raise NotThere("file", name)
        return found

    async def reader(self, name: str) -> Reader:
        """As `FileStore.reader`."""
        return _Reader(*self._find(name))

    async def list(self, folder: str = "", *, after: str = "", limit: int = LIST_MANY) -> Sequence[StoredFile]:
        """As `FileStore.list`."""
        self.check_open()
        first = f"{safe(folder).key}/" if folder.strip("/") else ""
        keys = sorted(key for key in self._files if key.startswith(first) and key > key_of(after))
        return [self._files[key][0] for key in keys[:limit]]

    async def delete(self, name: str) -> StoredFile:
        """As `FileStore.delete`."""
        file, _ = self._find(name)
        del self._files[key_of(file.name)]
        return file

    async def expire(self, before: int) -> Sequence[Transfer]:
        """As `FileStore.expire`."""
        old = [each for each in await self.transfers() if not each.held and each.touched < before]
        for each in old:
            del self.uploads[each.id]
        return old

    async def check(self, *, deep: bool = True) -> Sequence[Finding]:
        """Nothing: what is in memory is as it was written."""
        self.check_open()
        return []

    async def usage(self) -> Usage:
        """As `FileStore.usage`."""
        self.check_open()
        return self._usage()

    async def close(self) -> None:
        """As `FileStore.close`."""
        self._closed = True
