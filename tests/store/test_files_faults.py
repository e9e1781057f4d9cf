"""What the store of files makes of each error of the system, and of a journal that is not what it should be."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import StoreDamaged, StoreError, StoreFailed, StoreFull
from anyplug.file_errors import TakenOver
from anyplug.store import CHUNK, FileLimits, Finish, FolderFiles, Offer, Small
from anyplug.store.chunks import Spans, chunk_count, file_digest
from anyplug.store.disk import boot, told, write_all
from anyplug.store.journal import Head, Journal, read_journal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from anyplug.store.folder_transfer import Upload

FREE = FileLimits(free=0)
DATA = os.urandom(CHUNK)


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[FolderFiles]:
    store = await FolderFiles.open(folder / "store", limits=FREE, reserve=0)
    yield store
    await store.close()


@contextmanager
def limited(which: int, most: int) -> Iterator[None]:
    old = resource.getrlimit(which)
    resource.setrlimit(which, (most, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(which, old)


ERRORS = [
    (errno.ENOSPC, StoreFull),
    (errno.EDQUOT, StoreFull),
    (errno.EFBIG, StoreFull),
    (errno.EMFILE, StoreError),
    (errno.ENOMEM, StoreError),
    (errno.EACCES, StoreError),
    (errno.EIO, StoreFailed),
    (errno.EROFS, StoreFailed),
    (errno.ENOENT, StoreFailed),
]


@pytest.mark.parametrize(("number", "kind"), ERRORS)
def test_what_an_error_of_the_system_means(number: int, kind: type[StoreError]) -> None:
    with pytest.raises(StoreError) as caught, told("there"):
        raise OSError(number, os.strerror(number), "file")
    assert type(caught.value) is kind
    assert caught.value.path == "there"
    assert errno.errorcode[number] in str(caught.value)


def test_this_run_of_the_system_has_a_name_that_stays() -> None:
    assert boot() == boot()
    assert len(boot()) == 36


async def test_a_chunk_that_fits_only_in_part_is_written_again(store: FolderFiles, folder: Path) -> None:
    """The largest file of this process ends in the middle of the chunk: part of it is written, then no more."""
    lease = await store.begin(Offer(label="x", size=2 * CHUNK), now=1)
    await lease.write(0, DATA)
    with limited(resource.RLIMIT_FSIZE, CHUNK + 4096):
        with pytest.raises(StoreFull):
            await lease.write(1, [DATA[:5000], DATA[5000:]])
        assert store.state == "open"
        assert list(lease.missing()) == [(1, 2)]
        (small,) = await store.put_many([Small(Offer(label="s"), DATA + DATA)], now=1)
        assert isinstance(small, StoreFull)
    await lease.write(1, [DATA[:5000], b"", DATA[5000:]])
    await lease.finish(now=1)
    assert (folder / "store" / "x").read_bytes() == DATA + DATA
    assert list((folder / "store" / ".anyplug" / "staging").iterdir()) == []
    assert (await store.usage()).reserved == 0


async def test_a_transfer_that_cannot_begin_leaves_nothing(store: FolderFiles, folder: Path) -> None:
    with limited(resource.RLIMIT_FSIZE, 0), pytest.raises(StoreFull):
        await store.begin(Offer(label="x"), now=1)
    assert list((folder / "store" / ".anyplug" / "staging").iterdir()) == []
    assert (await store.usage()).transfers == 0


async def test_a_lack_of_descriptors_passes(store: FolderFiles, folder: Path) -> None:
    lease = await store.begin(Offer(label="x", size=1), now=1)
    await lease.write(0, b"x")
    (free, taken) = os.pipe()
    with limited(resource.RLIMIT_NOFILE, taken):
        with pytest.raises(StoreError, match="try again"):
            await store.begin(Offer(label="y", size=1), now=1)
        (small,) = await store.put_many([Small(Offer(label="s"), b"s")], now=1)
        assert "try again" in str(small)
        (result,) = await store.finish_many([Finish(lease)], now=1)
        assert "try again" in str(result)
    os.close(free)
    os.close(taken)
    assert store.state == "open"
    await lease.finish(now=1)
    assert (folder / "store" / "x").read_bytes() == b"x"


async def test_what_is_missing_can_be_asked_while_it_is_written(store: FolderFiles) -> None:
    lease = await store.begin(Offer(label="x", size=400), now=1)
    assert isinstance(lease.offer, Offer)
    spans, over, errors = Spans(), threading.Event(), []
    upload = await asyncio.to_thread(lambda: lease.upload)  # type: ignore[attr-defined]
    upload.size, upload.spans = 3000 * CHUNK, spans

    def look() -> None:
        while not over.is_set():
            try:
                upload.missing()
            except ValueError as error:
                errors.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    for index in [*range(0, 3000, 2), *range(1, 3000, 2)]:
        upload._took(index, CHUNK, bytes(32))
    over.set()
    thread.join()
    assert errors == []
    assert upload.missing() == []


async def test_a_journal_that_cannot_be_read_when_it_is_needed_is_told(store: FolderFiles, folder: Path) -> None:
    lease = await store.begin(Offer(label="x", size=1), now=1)
    await lease.release()
    journal = folder / "store" / ".anyplug" / "staging" / f"{lease.id}.journal"
    journal.write_bytes(b"")
    with pytest.raises(StoreDamaged):
        await store.resume(lease.id)
    assert store.state == "open"


async def test_a_sync_that_failed_is_remembered_by_the_journal(tmp_path: Path) -> None:
    head = Head(offer=Offer(label="x"), begun=1, place="here")
    path = tmp_path / "journal"
    journal = Journal(os.open(path, os.O_RDWR | os.O_CREAT))
    journal.begin(head)
    for index in range(3):
        journal.wrote(index, CHUNK, bytes(32))
    journal.synced(2)
    kept = read_journal(path.read_bytes(), place="here")
    assert kept is not None
    assert (len(kept.chunks), kept.durable, kept.stale) == (3, 2, False)
    journal.failed()
    kept = read_journal(path.read_bytes(), place="here")
    assert kept is not None
    assert (len(kept.chunks), kept.durable, kept.stale) == (2, 2, True)
    journal.close()


def test_a_head_that_is_not_one_is_no_journal(tmp_path: Path) -> None:
    class Odd(Journal):
        def begin_with(self, kind: int, payload: bytes) -> None:
            self._append(kind, payload)

    for kind, payload in ((ord("H"), b"\xc1"), (ord("H"), b"\x81\xa5begun\xa1x"), (ord("C"), bytes(44))):
        path = tmp_path / "journal"
        path.unlink(missing_ok=True)
        journal = Odd(os.open(path, os.O_RDWR | os.O_CREAT))
        journal.begin_with(kind, payload)
        journal.close()
        assert read_journal(path.read_bytes(), place="here") is None


async def test_a_lease_that_is_being_finished_is_nobodys(store: FolderFiles) -> None:
    lease = await store.begin(Offer(label="x", size=1), now=1)
    await lease.write(0, b"x")
    first, second = await store.finish_many([Finish(lease), Finish(lease)], now=1)
    assert not isinstance(first, Exception)
    assert isinstance(second, TakenOver)
    lease = await store.begin(Offer(label="y", size=1), now=1)
    await lease.write(0, b"y")
    task = asyncio.ensure_future(lease.finish(now=1))
    upload: Upload = lease.upload  # type: ignore[attr-defined]
    while not upload.over:
        await asyncio.sleep(0)
    for call in (store.resume(lease.id), lease.abandon(), lease.write(0, b"z")):
        with pytest.raises(TakenOver, match="being finished"):
            await call
    await lease.release()
    assert (await task).name == "y"


def test_a_short_write_is_carried_on(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w+b") as file:
        write_all(file.fileno(), [b"ab", b"", memoryview(b"cd"), bytearray(b"ef")], 3)
        write_all(file.fileno(), [], 3)
        assert (tmp_path / "x").read_bytes() == b"\0\0\0abcdef"


def test_spans_join() -> None:
    spans = Spans()
    for number in (5, 3, 9, 4, 0, 8):
        spans.add(number)
    assert spans.runs() == [(0, 1), (3, 6), (8, 10)]
    assert spans.gaps(12) == [(1, 3), (6, 8), (10, 12)]
    assert spans.gaps(4) == [(1, 3)]
    assert spans.gaps(0) == []
    assert [number for number in range(12) if number in spans] == [0, 3, 4, 5, 8, 9]
    assert spans.count == 6


def test_the_digest_of_a_file_is_the_one_that_is_written_down() -> None:
    """Vectors: a file that was stored has to be found good for ever."""
    assert file_digest(b"", 0).hex() == "82f9a48416378d307a175811eb42f5d39eef803129e67b808b8455698b49481d"
    assert file_digest(bytes(range(32)), 1).hex() == "e3fc29ca443773234902d4a6918288cc4e0e628e36caa69e069ab6b874d38ffd"
    assert file_digest(bytes(range(32)), 2) != file_digest(bytes(range(32)), 1)
    assert [chunk_count(size) for size in (0, 1, CHUNK, CHUNK + 1)] == [0, 1, 1, 2]


async def test_a_lack_of_descriptors_while_names_are_given_takes_no_name(store: FolderFiles, folder: Path) -> None:
    """The second time the file is there already, and looking at it fails; the third time it is found."""
    smalls = [Small(Offer(label="d/x"), b"x"), Small(Offer(label="e/y"), b"y")]
    (first,) = await store.put_many(smalls[:1], now=1)
    read, write = os.pipe()
    with limited(resource.RLIMIT_NOFILE, write + 2):
        looked, named = await store.put_many(smalls, now=1)
        assert "try again" in str(looked)
        assert not isinstance(named, Exception)
    os.close(read)
    os.close(write)
    again = await store.put_many(smalls, now=1)
    assert again[0] == first
    assert [getattr(each, "name", each) for each in again] == ["d/x", "e/y"]
    assert list((folder / "store" / ".anyplug" / "staging").iterdir()) == []
