"""A transfer into a folder: its data, its journal, and who may write to them.

Its blocking half, `Upload`, is called in threads. One lock keeps writes of the data and of the journal together, and
is where it is decided who has the lease: a write that has passed that point is finished before a newer lease writes.
"""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from anyplug.errors import StoreFailed, StoreFull
from anyplug.file_errors import Mismatch, TakenOver
from anyplug.names import safe
from anyplug.store.chunks import CHUNK, DIGEST, Spans, chunk_count, chunk_digest, file_digest
from anyplug.store.disk import BEGIN_BYTES, NEW, WRITE, begin_sync, write_all
from anyplug.store.files import check_size
from anyplug.store.folder_places import FILE_MODE, JOURNAL
from anyplug.store.folder_rows import Ready, Row
from anyplug.store.journal import Head, Journal, read_journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.store.chunks import Buffer
    from anyplug.store.disk import Disk
    from anyplug.store.files import Offer
    from anyplug.store.folder_places import Places
    from anyplug.store.journal import Chunk

__all__ = ["Upload", "ready", "ready_row", "set_facts"]

_YEAR_2240: Final = 1 << 63
"""Nanoseconds; file systems differ in what comes after."""


class Upload:
    """What is known of a transfer that somebody has, or had until just now.

    Args:
        name: its id, and the name of its data in the staging area.
        head: what was offered.
        data: the descriptor of its data.
        journal: its journal.
        disk: what syncs.
        staging: the descriptor of the staging area.
    """

    __slots__ = (
        "_data",
        "_disk",
        "_durable",
        "_journal",
        "_late",
        "_lock",
        "_named",
        "_staging",
        "_sync_lock",
        "_view",
        "digests",
        "dirty",
        "head",
        "holder",
        "id",
        "limit",
        "over",
        "received",
        "reserved",
        "size",
        "spans",
    )

    def __init__(self, name: str, head: Head, *, data: int, journal: Journal, disk: Disk, staging: int) -> None:
        self.id = name
        self.head = head
        self.size = head.offer.size
        """The size of the file, once it is known."""
        self.holder: object = None
        self.over = ""
        """Why nobody may write any more."""
        self.spans = Spans()
        self.digests = bytearray()
        self.received = 0
        self.dirty = 0
        """Bytes written since the last sync began."""
        self.reserved = head.offer.size or 0
        """Bytes that count against the store's bound."""
        self.limit = 0
        """The largest file, bytes."""
        self._data = data
        self._journal = journal
        self._disk = disk
        self._staging = staging
        self._durable = 0
        self._late = 0  # bytes written since the disk was last told to begin
        self._named = False
        self._lock = threading.Lock()
        self._view = threading.Lock()
        self._sync_lock = threading.Lock()

    @property
    def offer(self) -> Offer:
        """What was offered."""
        return self.head.offer

    @classmethod
    def begin(cls, name: str, offer: Offer, *, now: int, place: str, places: Places, disk: Disk) -> Upload:
        """Make the files of a new transfer."""
        data = places.stage(name)
        try:
            head = Head(offer=offer, begun=now, place=_place(place, data))
            journal = Journal(places.stage(name + JOURNAL))
            try:
                journal.begin(head)
            except BaseException:
                journal.close()
                raise
        except BaseException:
            os.close(data)
            with suppress(OSError):
                places.drop(name)
            raise
        return cls(name, head, data=data, journal=journal, disk=disk, staging=places.staging)

    @classmethod
    def load(cls, name: str, *, place: str, places: Places, disk: Disk) -> Upload | None:
        """Take up a transfer from its files; None where they are not a transfer's."""
        data = os.open(name, WRITE, dir_fd=places.staging)
        try:
            here = _place(place, data)
            file = os.open(name + JOURNAL, WRITE, dir_fd=places.staging)
            kept = read_journal(os.pread(file, os.fstat(file).st_size, 0), place=here)
            if kept is None:
                os.close(file)
                os.close(data)
                return None
            size = os.fstat(data).st_size
            chunks = [each for each in kept.chunks if each[0] * CHUNK + each[1] <= size]
            anew = kept.stale or len(chunks) < len(kept.chunks)
            if anew:
                os.close(file)
                disk.sync_data(data)
                head = Head(offer=kept.head.offer, begun=kept.head.begun, place=here)
                journal = _rewrite(name, head, chunks, places=places, disk=disk)
            else:
                head = kept.head
                journal = Journal(file, end=kept.end, total=kept.sum, count=len(chunks))
        except BaseException:
            os.close(data)
            raise
        upload = cls(name, head, data=data, journal=journal, disk=disk, staging=places.staging)
        upload._durable = len(chunks) if anew else kept.durable
        for chunk in chunks:
            upload._took(*chunk)
        if upload.size is None:
            upload.reserved = upload.received
        return upload

    def may(self, holder: object) -> None:
        """Refuse everybody but the holder.

        Raises:
            TakenOver: it is somebody else, or the transfer is over.
        """
        if self.over:
            raise TakenOver(self.id, self.over)
        if self.holder is not holder:
            raise TakenOver(self.id)

    def missing(self) -> list[tuple[int, int]]:
        """The runs of chunks that are not there."""
        with self._view:
            return self.spans.gaps(chunk_count(self.limit if self.size is None else self.size))

    def write_as(self, holder: object, index: int, parts: Sequence[Buffer], digest: bytes | None, free: int) -> bool:
        """Take a chunk; False where it was there. The arguments and errors are those of `Lease.write`.

        `free` bytes of the disk are left free.
        """
        length = sum(memoryview(part).nbytes for part in parts)
        found = chunk_digest(parts)
        if digest is not None and found != digest:
            raise Mismatch(f"chunk {index}", expected=digest.hex(), found=found.hex())
        with self._lock:
            self.may(holder)
            self._check_place(index, length)
            if index in self.spans:
                if (old := bytes(self.digests[index * DIGEST : (index + 1) * DIGEST])) != found:
                    raise Mismatch(f"chunk {index}, which came before", expected=old.hex(), found=found.hex())
                return False
            if (room := self._disk.room() - length) < free:
                raise StoreFull(self.id, f"{max(room, 0):,} bytes of the disk would be free, {free:,} are left free")
            write_all(self._data, parts, index * CHUNK)
            self._journal.wrote(index, length, found)
            self._took(index, length, found)
            self.dirty += length
            self._late += length
            if self._late >= BEGIN_BYTES:
                self._late = 0
                begin_sync(self._data)
        return True

    def _check_place(self, index: int, length: int) -> None:
        check_size(index, length, size=self.size, limit=self.limit)
        if self.size is None and length < CHUNK and self.spans.count and index < self.spans.runs()[-1][1] - 1:
            raise Mismatch(f"chunk {index}", expected=f"{CHUNK:,} bytes, as others follow it", found=f"{length:,}")

    def _took(self, index: int, length: int, digest: bytes) -> None:
        if len(self.digests) < (index + 1) * DIGEST:
            self.digests.extend(bytes((index + 1) * DIGEST - len(self.digests)))
        self.digests[index * DIGEST : (index + 1) * DIGEST] = digest
        with self._view:
            self.spans.add(index)
        self.received += length
        if length < CHUNK:
            self.size = index * CHUNK + length

    def sync(self) -> None:
        """Make all chunks durable, and the journal that says so."""
        with self._sync_lock:
            with self._lock:
                count, dirty = self._journal.count, self.dirty
                if count == self._durable or self.over:
                    return
            try:
                self._disk.sync_data(self._data)
            except StoreFailed:
                self.distrust()
                raise
            with self._lock:
                self._journal.synced(count)
                self._durable = count
                self.dirty -= dirty
            self._disk.sync_data(self._journal.file)
            if not self._named:
                self._disk.sync_folder(self._staging)
                self._named = True

    def distrust(self) -> None:
        """A sync of the data failed: what was written since the one before may be gone."""
        with suppress(OSError), self._lock:
            self._journal.failed()

    def seal(self, holder: object, digest: bytes | None, size: int | None, *, now: int) -> Ready:
        """Verify the whole; from then on nobody writes to it. The errors are those of `FileStore.finish_many`."""
        with self._lock:
            self.may(holder)
            whole = self._whole(size)
            found = file_digest(self.digests, whole)
            if digest is not None and found != digest:
                raise Mismatch("digest", expected=digest.hex(), found=found.hex())
            os.ftruncate(self._data, whole)
            inode, mtime = set_facts(self._data, self.offer)
            self.over = "it is being finished"
        row = ready_row(self.offer, whole, found, now=now, inode=inode, mtime=mtime, transfer=self.id)
        return ready(self.offer, self.id, row, bytes(self.digests))

    def _whole(self, said: int | None) -> int:
        """The size of the file, all of which is there."""
        known = self.size if said is None else said
        if said is not None and self.offer.size not in {None, said}:
            raise Mismatch("size", expected=f"{self.offer.size:,} bytes, as offered", found=f"{said:,} bytes")
        size = self.received if known is None else known
        if self.missing_below(size) or self.received != size:
            found = f"{self.received:,} bytes in {self.spans.count:,} chunks"
            raise Mismatch("size", expected=f"{size:,} bytes without a gap", found=found)
        return size

    def missing_below(self, size: int) -> list[tuple[int, int]]:
        """The runs of chunks that a file of that size lacks."""
        return self.spans.gaps(chunk_count(size))

    def unseal(self) -> None:
        """It did not become a file: writing and finishing go on."""
        self.over = ""

    def close(self) -> None:
        """Close its files, when nobody is writing."""
        with self._sync_lock, self._lock:
            self.over = self.over or "it was let go"
            self._journal.close()
            os.close(self._data)


def _place(run: str, data: int) -> str:
    """Where what was written can be read back without a sync: this run of the system, that very file."""
    return f"{run} {os.fstat(data).st_ino}" if run else ""


def _rewrite(name: str, head: Head, chunks: Sequence[Chunk], *, places: Places, disk: Disk) -> Journal:
    """Write a journal anew, with chunks that are durable."""
    new = f"{name}.new"
    with suppress(FileNotFoundError):
        os.unlink(new, dir_fd=places.staging)
    journal = Journal(os.open(new, NEW, 0o600, dir_fd=places.staging))
    try:
        journal.begin(head, chunks)
        disk.sync_data(journal.file)
        os.replace(new, name + JOURNAL, src_dir_fd=places.staging, dst_dir_fd=places.staging)
        disk.sync_folder(places.staging)
    except BaseException:
        journal.close()
        raise
    return journal


def set_facts(data: int, offer: Offer) -> tuple[int, int]:
    """Give a file its mode and its time; return its inode and the time it has now."""
    if offer.modified is not None and 0 <= offer.modified < _YEAR_2240:
        os.utime(data, ns=(offer.modified, offer.modified))
    facts = os.fstat(data)
    if stat.S_IMODE(facts.st_mode) != FILE_MODE:
        os.fchmod(data, FILE_MODE)
    return facts.st_ino, facts.st_mtime_ns


def ready(offer: Offer, staged: str, row: Row, digests: bytes) -> Ready:
    """A file that lies whole in the staging area under that name."""
    wanted = safe(offer.label)
    return Ready(staged=staged, wanted=wanted.path, key=wanted.key, row=row, digests=digests, replace=offer.replace)


def ready_row(offer: Offer, size: int, digest: bytes, *, now: int, inode: int, mtime: int, transfer: str = "") -> Row:
    """The row of a file that has no name yet."""
    return Row(
        id=0,
        state=0,
        name="",
        label=offer.label,
        size=size,
        digest=digest,
        stored=now,
        modified=offer.modified,
        content_type=offer.content_type,
        sender=offer.sender,
        transfer=transfer,
        inode=inode,
        mtime=mtime,
    )
