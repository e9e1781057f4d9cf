"""Who tampers with the folder of a store of files leads it nowhere, and is found out."""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import StoreDamaged, StoreError
from anyplug.store import CHUNK, FileLimits, FolderFiles, Offer, Small

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
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


async def half(store: FolderFiles, *indexes: int) -> Lease:
    lease = await store.begin(Offer(label="half", size=len(DATA)), now=1)
    for index in indexes:
        await lease.write(index, PARTS[index])
    return lease


async def test_links_in_the_folder_are_never_followed(store: FolderFiles, folder: Path) -> None:
    outside = folder / "outside"
    outside.mkdir()
    (outside / "target").write_text("untouched")
    inside = folder / "store"
    (inside / "d").symlink_to(outside)
    (inside / "f").symlink_to(outside / "target")
    (inside / "g").symlink_to(outside / "new")
    assert await put(store, "d/x") == "d (2)/x"
    assert await put(store, "d/y/z") == "d (2)/y/z"
    assert await put(store, "f", replace=True) == "f (2)"
    assert await put(store, "g") == "g (2)"
    for name in ("d (2)/x", "f (2)"):
        (inside / name).unlink()
        (inside / name).symlink_to(outside / "target")
        with pytest.raises(StoreDamaged, match="gone from the folder"):
            await store.reader(name)
    shutil.rmtree(inside / "d (2)" / "y")
    (inside / "d (2)" / "y").symlink_to(outside)
    (outside / "z").write_text("not ours")
    with pytest.raises(StoreDamaged):
        await store.reader("d (2)/y/z")
    await store.delete("d (2)/y/z")
    await store.delete("f (2)")
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"target": "untouched", "z": "not ours"}


async def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(store: FolderFiles, folder: Path) -> None:
    await put(store, "x")
    (folder / "store" / "x").unlink()
    os.mkfifo(folder / "store" / "x")
    with pytest.raises(StoreDamaged):
        await store.reader("x")
    assert [(each.kind, each.name) for each in await store.check()] == [("changed", "x")]


async def test_links_that_come_and_go_while_it_writes_lead_nowhere(store: FolderFiles, folder: Path) -> None:
    outside, inside, over = folder / "outside", folder / "store", threading.Event()
    outside.mkdir()

    def tamper() -> None:
        while not over.is_set():
            for name in ("d", "d/e", "x"):
                try:
                    (inside / "moved").exists() or (inside / name).rename(inside / "moved")
                    (inside / name).symlink_to(outside)
                    (inside / name).unlink()
                    (inside / "moved").rename(inside / name)
                except OSError:
                    continue

    thread = threading.Thread(target=tamper)
    thread.start()
    try:
        for number in range(60):
            smalls = [Small(Offer(label=label), b"%d" % number) for label in (f"d/e/{number}", f"d/{number}", "x")]
            await store.put_many(smalls, now=1)
    finally:
        over.set()
        thread.join()
    assert list(outside.iterdir()) == []


async def test_the_hidden_folder_may_not_be_a_link(folder: Path) -> None:
    (folder / "outside").mkdir()
    (folder / "store").mkdir()
    (folder / "store" / ".anyplug").symlink_to(folder / "outside")
    with pytest.raises(StoreError, match="it is no folder"):
        await FolderFiles.open(folder / "store")
    assert list((folder / "outside").iterdir()) == []


async def test_what_was_changed_by_hand_is_found_and_not_served(store: FolderFiles, folder: Path) -> None:
    inside = folder / "store"
    lease = await store.begin(Offer(label="flipped", size=len(DATA)), now=1)
    for index, part in enumerate(PARTS):
        await lease.write(index, part)
    await lease.finish(now=1)
    for name in ("gone", "longer", "touched", "well", "d/x"):
        await put(store, name, name.encode())
    times = (inside / "flipped").stat()
    with (inside / "flipped").open("r+b") as file:
        file.seek(CHUNK + 5)
        file.write(b"?")
    os.utime(inside / "flipped", ns=(times.st_atime_ns, times.st_mtime_ns))
    (inside / "gone").unlink()
    (inside / "longer").write_bytes(b"longer than that")
    os.utime(inside / "touched", ns=(0, 0))
    (inside / "new\x1b").write_text("who am I")
    (inside / "d" / "pipe").symlink_to("/")
    found = await store.check()
    assert {(each.kind, each.name) for each in found} == {
        ("damaged", "flipped"),
        ("missing", "gone"),
        ("changed", "longer"),
        ("changed", "touched"),
        ("unknown", "new\x1b"),
        ("unknown", "d/pipe"),
    }
    assert "chunk 1" in next(each.problem for each in found if each.kind == "damaged")
    assert "flipped" not in {each.name for each in await store.check(deep=False)}
    reader = await store.reader("flipped")
    assert await reader.chunk(0) == PARTS[0]
    with pytest.raises(StoreDamaged, match="chunk 1"):
        await reader.read(0, len(DATA))
    await reader.close()
    with pytest.raises(StoreError, match="it is closed"):
        await reader.chunk(0)
    for name in ("gone", "longer", "touched"):
        with pytest.raises(StoreDamaged):
            await store.reader(name)
    await store.delete("gone")
    await store.delete("longer")
    assert (inside / "longer").read_bytes() == b"longer than that"


async def test_the_same_again_is_stored_where_the_first_is_gone(store: FolderFiles, folder: Path) -> None:
    await put(store, "x", b"same")
    (folder / "store" / "x").unlink()
    assert await put(store, "x", b"same") == "x (2)"
    assert (folder / "store" / "x (2)").read_bytes() == b"same"


async def test_a_restored_backup_is_as_good_as_the_original(store: FolderFiles, folder: Path) -> None:
    await put(store, "x", b"same")
    await half(store, 0)
    await store.close()
    shutil.copytree(folder / "store", folder / "copy")
    copy = await FolderFiles.open(folder / "copy", limits=FREE, reserve=0)
    assert await copy.check() == []
    assert await put(copy, "x", b"same") == "x"
    assert [each.received for each in await copy.transfers()] == [CHUNK]
    await copy.delete("x")
    assert sorted(path.name for path in (folder / "copy").iterdir()) == [".anyplug"]
    await copy.close()
