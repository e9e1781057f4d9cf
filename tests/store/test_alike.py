"""Entries that differ in their bodies alone are entries like any others, and go in and out as they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from anyplug.errors import LocalError
from anyplug.store import Alike, Entry, Producer, SqliteStore
from anyplug.store.alike import size_of
from anyplug.store.sqlite_rows import FEW, LARGE, ROWS, insert_runs, runs_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

ABOUT: dict[str, Any] = {"content_type": "text/%d", "sender": "127.0.0.1:7", "name": "é 100%"}


def alike(*bodies: bytes) -> Alike:
    return Alike(bodies, 7, **ABOUT)


def entries(*bodies: bytes) -> list[Entry]:
    return [Entry(body, 7, **ABOUT) for body in bodies]


def test_they_are_a_sequence_of_entries() -> None:
    given = alike(b"a", b"b", b"c")
    assert len(given) == 3
    assert list(given) == entries(b"a", b"b", b"c")
    assert (given[0], given[-1]) == (Entry(b"a", 7, **ABOUT), Entry(b"c", 7, **ABOUT))
    assert list(given[1:]) == entries(b"b", b"c")
    assert isinstance(given[1:], Alike)
    with pytest.raises(IndexError):
        _ = given[3]


@pytest.mark.parametrize("make", [alike, entries])
def test_the_size_is_that_of_the_bodies(make: Callable[..., Sequence[Entry]]) -> None:
    assert size_of(make()) == 0
    assert size_of(make(b"a", b"", b"bcd")) == 4


@pytest.mark.parametrize(
    ("bodies", "about", "problem"),
    [
        ((b"a", "b"), {}, "a body is bytes, not str"),
        ((b"a", bytearray(b"b")), {}, "a body is bytes, not bytearray"),
        ((b"a",), {"received": 1 << 63}, "nanoseconds in 64 bits"),
        ((b"a",), {"sender": "\ud800"}, "half a character"),
        ((b"a",), {"name": "\ud800"}, "half a character"),
        ((b"a",), {"content_type": "\ud800"}, "half a character"),
    ],
)
def test_what_cannot_be_kept_is_refused_as_it_is_of_any_entries(bodies: Any, about: Any, problem: str) -> None:
    fields = {"received": 1, **about}
    with pytest.raises(LocalError, match=problem):
        _ = size_of(Alike(bodies, **fields))
    with pytest.raises(LocalError, match=problem):
        _ = size_of([Entry(body, **fields) for body in bodies])


def test_entries_are_cut_into_runs_where_they_differ() -> None:
    given = [
        *entries(b"a", b"b"),
        Entry(b"c", 8, **ABOUT),
        Entry(b"d", 8, "x", ABOUT["sender"], ABOUT["name"]),
        Entry(b"e", 8, "x", "y", ABOUT["name"]),
        Entry(b"f", 8, "x", "y", "z"),
        Entry(b"g", 8, "x", "y", "z"),
    ]
    runs = runs_of(given, 100)
    assert [(run.key, list(run.bodies)) for run in runs] == [
        (100, [b"a", b"b"]),
        (102, [b"c"]),
        (103, [b"d"]),
        (104, [b"e"]),
        (105, [b"f", b"g"]),
    ]
    assert runs_of([], 100) == []


SIZES: list[tuple[str, list[int]]] = [
    ("one", [100]),
    ("one empty", [0]),
    ("few", [5] * (FEW - 1)),
    ("just enough", [5] * FEW),
    ("of one size", [100] * 500),
    ("of one byte", [1] * 300),
    ("all empty", [0] * 50),
    ("of many sizes", list(range(1, 200))),
    ("with an empty one", [3] * 20 + [0] + [3] * 20),
    ("with an empty one first", [0] + [3] * 20),
    ("one is much larger", [1] * 50 + [70_000]),
    ("more than a statement takes", [0] * (ROWS + 3)),
    ("large", [LARGE // FEW + 1] * FEW),
]


@pytest.mark.parametrize("sizes", [sizes for _, sizes in SIZES], ids=[name for name, _ in SIZES])
async def test_what_goes_in_comes_out(sizes: list[int], tmp_path: Path) -> None:
    bodies = [bytes([at % 256, 0, 255, 0x27] * (size // 4 + 1))[:size] for at, size in enumerate(sizes)]
    store = await SqliteStore.open(tmp_path)
    await store.log.append("first", entries(b"x"))
    for make in (alike, entries):
        await store.log.append(make.__name__, make(b"before"))
        receipt = await store.log.append(make.__name__, make(*bodies))
        assert list(receipt.positions) == list(range(2, 2 + len(bodies)))
        await store.log.append(make.__name__, make(b"behind"))
    await store.close()
    again = await SqliteStore.open(tmp_path)  # which looks at the seals
    for make in (alike, entries):
        found = (await again.log.read(make.__name__, 1, limit=len(bodies) + 2, most=1 << 30)).messages
        assert [each.body for each in found] == [b"before", *bodies, b"behind"]
        assert {(each.received, each.content_type, each.sender, each.name) for each in found} == {
            (7, ABOUT["content_type"], ABOUT["sender"], ABOUT["name"])
        }
    await again.close()


async def test_those_of_a_producer_that_came_before_are_kept_once(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    first = [b"%d" % number for number in range(20)]
    await store.log.append("a", alike(*first), producer=Producer(b"p", 1))
    receipt = await store.log.append("a", alike(*first[10:], b"new"), producer=Producer(b"p", 11))
    assert (list(receipt.positions), receipt.duplicates) == ([*range(11, 22)], 10)
    assert [each.body for each in (await store.log.read("a", 1)).messages] == [*first, b"new"]
    await store.close()


class Counting:
    """Stands where a connection would, and counts statements."""

    def __init__(self) -> None:
        self.statements = 0

    def execute(self, *_: object) -> None:
        self.statements += 1


@pytest.mark.parametrize(
    ("sizes", "statements"),
    [([9] * 5000, 1), (list(range(50, 100)), 1), ([1] * 50 + [70_000], 4), ([9] * (FEW - 1), 3), ([], 0)],
)
def test_many_go_in_by_one_statement_unless_that_is_a_waste(sizes: list[int], statements: int) -> None:
    connection = Counting()
    given: sqlite3.Connection = connection  # type: ignore[assignment]
    insert_runs(given, runs_of(alike(*(b"x" * size for size in sizes)), 1) if sizes else [])
    assert connection.statements == statements
