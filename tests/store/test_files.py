"""What the contract of a store of files does not tell of the one in a folder: its disk, its bounds, and who tampers."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import StoreBusy, StoreError, StoreFull
from anyplug.file_errors import Mismatch, NotThere, TakenOver
from anyplug.names import key_of
from anyplug.store import CHUNK, FileLimits, Finish, FolderFiles, MemoryFiles, Offer, Reader, Small, chunk_digest
from anyplug.store.disk import lacking
from anyplug.store.files import SYNC_BYTES
from tests.hostile import HOSTILE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from anyplug.store import Lease

FREE = FileLimits(free=0)
DATA = b"0" * CHUNK + b"1" * CHUNK + b"2" * 100
PARTS = [DATA[:CHUNK], DATA[CHUNK : 2 * CHUNK], DATA[2 * CHUNK :]]


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[FolderFiles]:
    store = await FolderFiles.open(folder / "store", limits=FREE, reserve=0)
    yield store
    await store.close()


async def put(store: FolderFiles, label: str, data: bytes = b"x", *, replace: bool = False) -> str:
    (result,) = await store.put_many([Small(Offer(label=label, replace=replace), data)], now=1)
    assert not isinstance(result, Exception), result
    return result.name


async def half(store: FolderFiles, *indexes: int, size: int | None = len(DATA)) -> Lease:
    lease = await store.begin(Offer(label="half", size=size), now=1)
    for index in indexes:
        await lease.write(index, PARTS[index])
    return lease


def staged(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "store" / ".anyplug" / "staging").iterdir())


async def reopened(store: FolderFiles, folder: Path, *, run: str | None = None) -> FolderFiles:
    await store.close()
    return await FolderFiles.open(folder / "store", limits=FREE, reserve=0, run=run)


# What people see.


async def test_files_are_plainly_there_with_modes_of_our_own(store: FolderFiles, folder: Path) -> None:
    lease = await store.begin(Offer(label="a/b.txt", modified=1_000_000_000_123_456_789), now=1)
    await lease.write(0, b"text")
    staging = folder / "store" / ".anyplug" / "staging"
    assert {path.stat().st_mode & 0o777 for path in staging.iterdir()} == {0o600}
    assert staging.stat().st_mode & 0o777 == 0o700
    await lease.finish(now=1)
    path = folder / "store" / "a" / "b.txt"
    assert path.read_bytes() == b"text"
    assert path.stat().st_mode & 0o777 == 0o644
    assert path.stat().st_nlink == 1
    assert path.stat().st_mtime_ns == 1_000_000_000_123_456_789
    assert staged(folder) == []


@pytest.mark.parametrize("modified", [-1, -(1 << 63), (1 << 63) - 1])
async def test_a_time_that_no_disk_has_is_kept_in_the_index(store: FolderFiles, modified: int) -> None:
    (file,) = await store.put_many([Small(Offer(label="x", modified=modified), b"x")], now=1)
    assert file == await store.get("x")
    assert (await store.get("x")).modified == modified
    assert (await (await store.reader("x")).read(0, 9)) == b"x"


async def test_the_folder_is_held_by_one_process(store: FolderFiles, folder: Path) -> None:
    with pytest.raises(StoreBusy):
        await FolderFiles.open(folder / "store")


async def test_all_of_the_corpus_is_stored_and_read_back(store: FolderFiles, folder: Path) -> None:
    labels = [each if isinstance(each, str) else each.decode("utf-8", "surrogateescape") for each in HOSTILE]
    smalls = [Small(Offer(label=label), b"%d" % number) for number, label in enumerate(labels)]
    results = await store.put_many(smalls, now=1)
    names = [each.name for each in results if not isinstance(each, Exception)]
    assert len({key_of(name) for name in names}) == len(labels)
    for number, name in enumerate(names):
        assert (folder / "store" / name).read_bytes() == b"%d" % number
        assert (await store.get(name)).name == name
    assert await store.check() == []
    assert os.listdir(folder) == ["store"]  # noqa: PTH208


async def test_a_name_is_counted_up_whoever_took_it(store: FolderFiles, folder: Path) -> None:
    (folder / "store" / "x.txt").write_text("by hand")
    (folder / "store" / "x (2).txt").symlink_to("/nonexistent")
    (folder / "store" / "x (3).txt").mkdir()
    assert await put(store, "x.txt") == "x (4).txt"
    assert (folder / "store" / "x.txt").read_text() == "by hand"


async def test_hundreds_of_one_name(store: FolderFiles) -> None:
    for _ in range(3):
        smalls = [Small(Offer(label="x"), os.urandom(8)) for _ in range(100)]
        assert not [each for each in await store.put_many(smalls, now=1) if isinstance(each, Exception)]
    assert {file.name for file in await store.list()} == {"x", *(f"x ({n})" for n in range(2, 301))}


async def test_a_thousand_names_taken_by_others_end_the_search(store: FolderFiles, folder: Path) -> None:
    (folder / "store" / "d").write_text("in the way")
    for number in range(2, 120):
        (folder / "store" / f"d ({number})").symlink_to(folder)
    (result,) = await store.put_many([Small(Offer(label="d/x"), b"x")], now=1)
    assert isinstance(result, StoreError)
    assert "look into the folder" in str(result)
    assert await put(store, "e") == "e"


async def test_replacing_a_folder_is_no_replacing(store: FolderFiles, folder: Path) -> None:
    await put(store, "d/x")
    assert await put(store, "d", replace=True) == "d (2)"
    await put(store, "e", b"old")
    (folder / "store" / "e").unlink()
    (folder / "store" / "e").mkdir()
    assert await put(store, "e", b"new", replace=True) == "e (2)"


async def test_many_folders_at_once_are_not_all_kept_open(store: FolderFiles) -> None:
    smalls = [Small(Offer(label=f"d{n}/e/f"), b"x") for n in range(200)]
    results = await store.put_many(smalls, now=1)
    assert [getattr(each, "name", each) for each in results] == [f"d{n}/e/f" for n in range(200)]


# What a break costs.


async def test_a_kill_costs_nothing_and_a_loss_of_power_what_was_not_synced(store: FolderFiles, folder: Path) -> None:
    lease = await half(store, 0)
    await lease.sync()
    await lease.write(2, PARTS[2])
    for place, run, missing in (("same", "one", [(1, 2)]), ("other", "two", [(1, 3)]), ("unknown", "", [(1, 3)])):
        # the store was opened in this run of the system; "one" stands for it
        copy = folder / place
        shutil.copytree(folder / "store", copy)
        data = copy / ".anyplug" / "staging" / lease.id
        data.unlink()
        os.link(folder / "store" / ".anyplug" / "staging" / lease.id, data)
        again = await FolderFiles.open(copy, limits=FREE, reserve=0, run=None if run == "one" else run)
        taken = await again.resume(lease.id)
        assert list(taken.missing()) == missing
        await taken.release()
        await again.close()
        again = await FolderFiles.open(copy, limits=FREE, reserve=0, run=None if run == "one" else f"{run} more")
        assert list((await again.resume(lease.id)).missing()) == missing
        await again.close()


async def test_a_journal_that_is_ahead_of_its_data_is_not_believed(store: FolderFiles, folder: Path) -> None:
    lease = await half(store, 0, 1)
    await store.close()
    os.truncate(folder / "store" / ".anyplug" / "staging" / lease.id, CHUNK + 5)
    store = await reopened(store, folder)
    assert list((await store.resume(lease.id)).missing()) == [(1, 3)]
    await store.close()


async def test_a_damaged_journal_is_believed_up_to_the_damage(store: FolderFiles, folder: Path) -> None:
    lease = await half(store, 0, 1)
    await store.close()
    journal = folder / "store" / ".anyplug" / "staging" / f"{lease.id}.journal"
    good = journal.read_bytes()
    os.link(journal.with_suffix(""), folder / "data")
    believed = set()
    for place in range(0, len(good), 3):
        data = bytearray(good)
        data[place] ^= 0x41
        journal.write_bytes(data)
        store = await FolderFiles.open(folder / "store", limits=FREE, reserve=0)
        waiting = await store.transfers()
        believed.add(waiting[0].received if waiting else None)
        await store.close()
        if not waiting:
            os.link(folder / "data", journal.with_suffix(""))
    assert believed == {None, 0, CHUNK, 2 * CHUNK}


@pytest.mark.parametrize("cut", [0, 1, 2, 6, 40])
async def test_a_torn_journal_without_a_head_is_no_transfer(store: FolderFiles, folder: Path, cut: int) -> None:
    lease = await half(store, 0)
    await store.close()
    os.truncate(folder / "store" / ".anyplug" / "staging" / f"{lease.id}.journal", cut)
    store = await reopened(store, folder)
    assert list(await store.transfers()) == []
    assert staged(folder) == []
    with pytest.raises(NotThere):
        await store.resume(lease.id)
    await store.close()


async def test_what_is_no_transfer_is_swept_out(store: FolderFiles, folder: Path) -> None:
    await store.close()
    staging = folder / "store" / ".anyplug" / "staging"
    for name in ("a" * 32, "b" * 32 + ".journal", "x", "c" * 32 + ".new"):
        (staging / name).write_text("left over")
    store = await reopened(store, folder)
    assert staged(folder) == []
    await store.close()


async def test_a_transfer_goes_on_after_a_restart_and_counts_until_then(store: FolderFiles, folder: Path) -> None:
    lease = await half(store, 1)
    unknown = await half(store, 0, size=None)
    before = await store.usage()
    store = await reopened(store, folder)
    after = await store.usage()
    assert (after.transfers, after.reserved) == (before.transfers, before.reserved)
    assert (before.transfers, before.reserved) == (2, len(DATA) + CHUNK)
    again = await store.resume(lease.id)
    for index in (0, 2):
        await again.write(index, PARTS[index], digest=chunk_digest([PARTS[index]]))
    assert (await again.finish(now=2)).size == len(DATA)
    assert (await (await store.resume(unknown.id)).finish(now=2)).size == CHUNK
    assert (await store.usage()).reserved == 0
    await store.close()


async def test_a_long_transfer_is_synced_on_its_way(store: FolderFiles, folder: Path) -> None:
    count = SYNC_BYTES // CHUNK
    lease = await store.begin(Offer(label="long", size=(5 * count + 1) * CHUNK), now=1)
    await asyncio.gather(*(lease.write(index, PARTS[0]) for index in range(5 * count)))
    shutil.copytree(folder / "store" / ".anyplug", folder / "copy" / ".anyplug")
    copy = await FolderFiles.open(folder / "copy", limits=FREE, reserve=0, run="after a loss of power")
    (left,) = await copy.transfers()
    assert left.received >= SYNC_BYTES
    await copy.close()


async def test_who_takes_over_while_the_old_one_lets_go_loses_nothing(store: FolderFiles) -> None:
    lease = await half(store, 0)
    for _ in range(20):
        letting_go = asyncio.ensure_future(lease.release())
        lease = await store.resume(lease.id)
        await letting_go
        assert list(lease.missing()) == [(1, 3)]
    both = await asyncio.gather(*(store.resume(lease.id) for _ in range(4)))
    for old in both[:-1]:
        with pytest.raises(TakenOver):
            await old.write(1, PARTS[1])
    await both[-1].write(1, PARTS[1])


async def test_who_takes_over_finds_what_has_come_and_is_still_being_written(store: FolderFiles) -> None:
    old = await store.begin(Offer(label="half", size=len(DATA)), now=1)
    writes = [asyncio.ensure_future(old.write(index, PARTS[index])) for index in range(3)]
    await asyncio.sleep(0)  # they have begun
    new = await store.resume(old.id)
    assert list(new.missing()) == []
    await asyncio.gather(*writes)
    with pytest.raises(TakenOver):
        await old.write(0, PARTS[0])


async def test_a_cancelled_finish_is_finished_all_the_same(store: FolderFiles) -> None:
    lease = await half(store, 0, 1, 2)
    task = asyncio.ensure_future(lease.finish(now=1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while [file.name for file in await store.list()] != ["half"]:
        await asyncio.sleep(0)


# What fits.


async def test_ten_gibibytes_are_refused_before_a_byte_is_taken(folder: Path) -> None:
    limits = FileLimits(bytes=1 << 30, free=0)
    store = await FolderFiles.open(folder / "store", limits=limits, reserve=0)
    with pytest.raises(StoreFull, match="10,737,418,240 bytes, the limit is 1,073,741,824"):
        await store.begin(Offer(label="sparse", size=10 << 30), now=1)
    assert staged(folder) == []
    assert (await store.usage()).reserved == 0
    await store.close()


async def test_room_that_is_announced_is_not_promised_twice(folder: Path) -> None:
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    limits = FileLimits(file=1 << 60, bytes=1 << 60, free=0)
    store = await FolderFiles.open(folder / "store", limits=limits, reserve=0)
    lease = await store.begin(Offer(label="most", size=free - (256 << 20)), now=1)
    with pytest.raises(StoreFull, match="of the disk would be free"):
        await store.begin(Offer(label="more", size=1 << 30), now=1)
    await lease.abandon()
    await (await store.begin(Offer(label="more", size=1 << 30), now=1)).abandon()
    await store.close()


async def test_room_is_left_free_while_a_transfer_grows(folder: Path) -> None:
    room = os.statvfs(folder)
    store = await FolderFiles.open(folder / "store", limits=FileLimits(free=1 << 60), reserve=0)
    assert (await store.usage()).free <= room.f_bavail * room.f_frsize
    await store.close()


async def test_a_label_that_is_too_long_for_words_is_cut(store: FolderFiles) -> None:
    lease = await store.begin(Offer(label="x" * 100_000), now=1)
    assert len(lease.offer.label) == 4096
    with pytest.raises(Exception, match="too long"):
        await store.begin(Offer(label="x", sender="s" * 1025), now=1)


async def test_a_lease_of_another_store_is_no_lease(store: FolderFiles) -> None:
    other = await MemoryFiles().begin(Offer(label="x"), now=1)
    (result,) = await store.finish_many([Finish(other)], now=1)
    assert isinstance(result, TakenOver)


async def test_a_lying_small_file_is_refused_alone(store: FolderFiles) -> None:
    smalls = [Small(Offer(label="a"), b"a"), Small(Offer(label="b"), b"b", b"\0" * 32), Small(Offer(label="c"), b"c")]
    results = await store.put_many(smalls, now=1)
    assert [getattr(each, "name", type(each)) for each in results] == ["a", Mismatch, "c"]


# More than one at a time.


async def test_folders_that_are_empty_after_a_delete_go_too(store: FolderFiles, folder: Path) -> None:
    for label in ("a/b/c/x", "a/b/y"):
        await put(store, label)
    await store.delete("a/b/c/x")
    assert (folder / "store" / "a" / "b" / "y").exists()
    assert not (folder / "store" / "a" / "b" / "c").exists()
    (folder / "store" / "a" / "by hand").write_text("not ours")
    await store.delete("a/b/y")
    assert [path.name for path in (folder / "store" / "a").iterdir()] == ["by hand"]
    await put(store, "d/x")
    shutil.rmtree(folder / "store" / "d")
    await store.delete("d/x")
    assert await put(store, "d/x") == "d/x"


async def test_two_hundred_at_once_each_broken_off_and_taken_up(store: FolderFiles, folder: Path) -> None:
    async def upload(number: int) -> str:
        data = b"%d" % number * 50 + DATA[: 2 * CHUNK if number % 20 == 0 else 0]
        lease = await store.begin(Offer(label=f"n/{number % 40}", size=len(data)), now=1)
        chunks = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
        for index, chunk in enumerate(chunks):
            await lease.write(index, chunk, digest=chunk_digest([chunk]))
            if number % 3 == 0:
                await lease.release()
            lease = await store.resume(lease.id) if number % 2 == 0 or number % 3 == 0 else lease
        assert list(lease.missing()) == []
        return (await lease.finish(now=1)).name

    names = await asyncio.gather(*map(upload, range(200)))
    assert len(set(names)) == 200
    for number, name in enumerate(names):
        assert (folder / "store" / name).read_bytes().startswith(b"%d" % number * 50)
    assert await store.check() == []
    assert (await store.usage()).reserved == 0
    assert staged(folder) == []


def test_a_system_that_lacks_something_is_told() -> None:
    assert lacking() == ""
    assert "O_NOFOLLOW" in lacking(object())


async def test_a_name_that_is_replaced_again_and_again_is_always_readable(store: FolderFiles) -> None:
    """Each reader gets a whole file that was there; between the rename and the index, too."""
    await put(store, "x", b"0" * 500)
    over = asyncio.Event()

    async def read() -> int:
        seen = set()
        while not over.is_set():
            async with await store.reader("x") as reader:
                data = await reader.read(0, 10_000)
                assert (len(data), set(data)) == (reader.file.size, {data[0]})
                seen.add(data[0])
        return len(seen)

    readers = [asyncio.ensure_future(read()) for _ in range(4)]
    for number in range(60):
        assert await put(store, "x", b"%d" % (number % 10) * (500 + number), replace=True) == "x"
    over.set()
    assert max(await asyncio.gather(*readers)) > 1
    assert await store.check() == []


async def test_two_uploads_of_one_name_both_become_files(store: FolderFiles, folder: Path) -> None:
    one, other = await half(store, 0, 1, 2), await store.begin(Offer(label="half", size=3), now=1)
    await other.write(0, b"abc")
    first, second = await asyncio.gather(one.finish(now=1), other.finish(now=1))
    assert {first.name, second.name} == {"half", "half (2)"}
    assert (folder / "store" / first.name).read_bytes() == DATA
    assert (folder / "store" / second.name).read_bytes() == b"abc"


async def test_a_source_that_changed_is_told_chunk_by_chunk(store: FolderFiles) -> None:
    lease = await half(store, 0, 1)
    await lease.release()
    again = await store.resume(lease.id)
    with pytest.raises(Mismatch, match="chunk 0, which came before"):
        await again.write(0, PARTS[1])
    await again.write(2, PARTS[2])
    with pytest.raises(Mismatch, match="digest"):
        await again.finish(bytes(32), now=1)
    assert await store.list() == []


def open_descriptors() -> list[str]:
    return os.listdir("/proc/self/fd")  # noqa: PTH208


@pytest.mark.parametrize("turns", range(12))
async def test_who_is_cancelled_while_it_gets_something_holds_nothing(store: FolderFiles, turns: int) -> None:
    lease = await half(store, 0)
    await lease.release()
    await put(store, "x")
    descriptors = len(open_descriptors())
    calls: list[Callable[[], Coroutine[object, object, Lease | Reader]]] = [
        lambda: store.begin(Offer(label="y"), now=1),
        lambda: store.resume(lease.id),
        lambda: store.reader("x"),
    ]
    for call in calls:
        task = asyncio.ensure_future(call())
        for _ in range(turns):
            await asyncio.sleep(0)
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        else:
            got: Lease | Reader = task.result()
            await (got.close() if isinstance(got, Reader) else got.release())
        while [each for each in await store.transfers() if each.held]:
            await asyncio.sleep(0)
    # What was cancelled goes on in threads, and may begin late: it comes to this in the end, or the test to its limit.
    while len(open_descriptors()) > descriptors or [
        each.held for each in await store.transfers() if each.offer.label == "half"
    ] != [False]:
        await asyncio.sleep(0)
