"""Many small files at once: who gets which name, when some of them want the same, and in which rows they are kept."""

from __future__ import annotations

import os
import sqlite3
import stat
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import StoreDamaged
from anyplug.store import FileLimits, FolderFiles, Offer, Small, StoredFile
from anyplug.store.folder_index import TABLES
from anyplug.store.folder_names import HINTS, Names
from anyplug.store.folder_rows import THERE, Ready, Row, insert_files, insert_pieces, pieces, select, set_states

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[FolderFiles]:
    store = await FolderFiles.open(folder / "store", limits=FileLimits(free=0), reserve=0)
    yield store
    await store.close()


async def names_of(store: FolderFiles, *labels: str, first: int = 0, replace: bool = False) -> list[str]:
    """What files of these labels are called, each of other content by its number, put all at once."""
    smalls = [
        Small(Offer(label=label, replace=replace), f"{n} {label}".encode()) for n, label in enumerate(labels, first)
    ]
    found = []
    for small, each in zip(smalls, await store.put_many(smalls, now=1), strict=True):
        assert isinstance(each, StoredFile)
        found.append(each.name)
        async with await store.reader(each.name) as reader:
            assert await reader.chunk(0) == small.data
    return found


BATCHES: list[tuple[Sequence[str], Sequence[str]]] = [
    (["a", "b", "c/d", "c/e"], ["a", "b", "c/d", "c/e"]),
    (["a", "a", "a"], ["a", "a (2)", "a (3)"]),
    (["a", "A", "x", "a"], ["a", "A (2)", "x", "a (3)"]),
    (["a", "a/b"], ["a", "a (2)/b"]),
    (["a/b", "a"], ["a/b", "a (2)"]),
    (["a/b/c", "a/b", "a", "a/b/c/d"], ["a/b/c", "a/b (2)", "a (2)", "a/b/c (2)/d"]),
    (["A/b", "a/c", "a/B"], ["A/b", "a/c", "a/B (2)"]),
    (["a", "a/b", "a/b/c", "x/y", "a/d"], ["a", "a (2)/b", "a (2)/b (2)/c", "x/y", "a (2)/d"]),
    (["a (2)", "a", "a"], ["a (2)", "a", "a (3)"]),
    (["a", "a", "a (2)"], ["a", "a (2)", "a (2) (2)"]),
]


@pytest.mark.parametrize(("labels", "names"), BATCHES)
async def test_files_of_one_batch_get_the_names_they_would_get_one_by_one(
    store: FolderFiles, folder: Path, labels: Sequence[str], names: Sequence[str]
) -> None:
    one_by_one = await FolderFiles.open(folder / "other", limits=FileLimits(free=0), reserve=0)
    try:
        assert [(await names_of(one_by_one, label, first=n))[0] for n, label in enumerate(labels)] == [*names]
    finally:
        await one_by_one.close()
    assert await names_of(store, *labels) == [*names]
    assert list(await store.check()) == []


@pytest.mark.parametrize(("labels", "names"), BATCHES)
async def test_names_that_are_there_before_a_batch_count_as_well(
    store: FolderFiles, labels: Sequence[str], names: Sequence[str]
) -> None:
    half = len(labels) // 2
    before = await names_of(store, *labels[:half], "z/other")
    assert [*before[:half], *await names_of(store, *labels[half:], first=half)] == [*names]


async def test_a_batch_larger_than_any_statement_is_kept_whole(store: FolderFiles) -> None:
    labels = [f"{number % 7}/{number}" for number in range(1_203)]
    assert await names_of(store, *labels) == labels
    again = await names_of(store, *labels)
    assert again == labels  # the same content under the same name is the same file
    listed = await store.list(limit=2_000)
    assert sorted(each.name for each in listed) == sorted(labels)
    assert (await store.usage()).files == len(labels)
    assert list(await store.check()) == []


async def test_files_of_a_batch_that_replace_take_the_places_of_those_that_are_there(store: FolderFiles) -> None:
    assert await names_of(store, "a", "b", "c/d") == ["a", "b", "c/d"]
    assert await names_of(store, "new", "c/d", "a", "other", replace=True) == ["new", "c/d", "a", "other"]
    assert (await store.usage()).files == 5
    assert list(await store.check()) == []


async def test_nothing_is_nothing(store: FolderFiles) -> None:
    assert await store.put_many([], now=1) == []
    assert await store.finish_many([], now=1) == []


@pytest.mark.parametrize("mask", [0o022, 0o077, 0])
async def test_the_mode_of_a_file_is_ours_whatever_the_process_masks(
    store: FolderFiles, folder: Path, mask: int
) -> None:
    old = os.umask(mask)
    try:
        assert await names_of(store, "a") == ["a"]
    finally:
        os.umask(old)
    path = folder / "store" / "a"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


# The rows.


@pytest.fixture
def index() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in TABLES:
        connection.execute(statement)
    yield connection
    connection.close()


def row(number: int, name: str, modified: int | None = None) -> Row:
    return Row(
        id=number,
        state=THERE,
        name=name,
        label=f"label of {name}",
        size=5,
        digest=bytes([number % 256]) * 32,
        stored=7,
        modified=modified,
        content_type="text/plain",
        sender="ünd\0so",
        transfer="",
        inode=11,
        mtime=13,
    )


def item(name: str, number: int = 1) -> Ready:
    return Ready(staged="", wanted=name, key=name.lower(), row=row(number, name), digests=bytes(32), replace=False)


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 150, 151])
def test_rows_written_together_are_those_that_are_read(index: sqlite3.Connection, count: int) -> None:
    """With the seals that reading asks for."""
    items = [item(f"N{number}", number) for number in range(1, count + 1)]
    for each in items[::2]:
        each.row = row(each.row.id, each.wanted, -5)
    insert_files(index, items)
    assert select(index, "", "ORDER BY id") == [each.row for each in items]
    assert [key for (key,) in index.execute("SELECT key FROM file ORDER BY id")] == [each.key for each in items]
    set_states(index, [each.row for each in items], 2)
    assert [each.state for each in select(index, "", "ORDER BY id")] == [2] * count


def test_a_row_of_another_name_than_the_wanted_has_the_key_of_its_own(index: sqlite3.Connection) -> None:
    other = item("a")
    other.row = row(1, "A (2)")
    insert_files(index, [other])
    assert index.execute("SELECT key FROM file").fetchone() == ("a (2)",)


@pytest.mark.parametrize("counts", [[0], [1], [0, 1, 0, 3], [1024], [1025, 1], [5000], [1] * 120])
def test_digests_written_together_are_those_that_are_read(index: sqlite3.Connection, counts: list[int]) -> None:
    written = [(file, os.urandom(32 * count)) for file, count in enumerate(counts, 1)]
    insert_pieces(index, written)
    for (file, digests), count in zip(written, counts, strict=True):
        assert pieces(index, "", file, 0, count) == digests


def test_the_numbers_of_many_names_are_not_remembered_for_ever(index: sqlite3.Connection) -> None:
    hints = {f"{number}": 2 for number in range(HINTS)}
    insert_files(index, [item("a")])
    assert Names(index, [], hints).free("a", set()) == "a (2)"
    assert hints == {"a": 2}


async def test_a_batch_that_cannot_be_named_leaves_no_row(folder: Path) -> None:
    """One of its names belongs to a row that is not what was written; the first of the batch was in the index then."""
    path = folder / "store"
    store = await FolderFiles.open(path, limits=FileLimits(free=0), reserve=0)
    await names_of(store, "b")
    await store.close()
    database = sqlite3.connect(path / ".anyplug" / "anyplug.db")
    database.execute("UPDATE file SET seal = seal + 1")
    database.commit()
    database.close()
    store = await FolderFiles.open(path, limits=FileLimits(free=0), reserve=0)
    try:
        smalls = [Small(Offer(label=label), b"new") for label in ("a", "b")]
        assert [type(each) for each in await store.put_many(smalls, now=2)] == [StoreDamaged] * 2
        assert list((path / ".anyplug" / "staging").iterdir()) == []
        (again,) = await store.put_many(smalls[:1], now=3)
        assert isinstance(again, StoredFile)
        assert again.name == "a"
    finally:
        await store.close()
    database = sqlite3.connect(path / ".anyplug" / "anyplug.db")
    assert database.execute("SELECT count(*) FROM file").fetchone() == (2,)
    assert database.execute("SELECT count(*) FROM piece").fetchone() == (2,)
    database.close()
