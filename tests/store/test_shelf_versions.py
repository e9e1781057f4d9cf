"""A shelf that an earlier version of the tables was made for."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from anyplug.store import SqliteStore
from anyplug.store.sqlite_schema import APPLICATION, VERSIONS, seal

if TYPE_CHECKING:
    from pathlib import Path


def make_first_version(folder: Path) -> None:
    """A store of version 1: key ``a`` was put twice, ``b`` once and deleted."""
    connection = sqlite3.connect(folder / "anyplug.db")
    for statement in VERSIONS[0]:
        connection.execute(statement)
    fields = ("generation", "g")
    connection.execute("INSERT INTO about VALUES (?, ?, ?)", (*fields, seal(b"", *fields)))
    rows = [(1, "a", 5, "t", 0, b"1"), (2, "b", 6, "t", 0, b"2"), (3, "a", 7, "t", 0, b"3"), (4, "b", 8, "", 1, b"")]
    for version, key, time, kind, deleted, body in rows:
        sealed = seal(body, key, version, time, kind, deleted)
        connection.execute(
            "INSERT INTO value VALUES (?, ?, ?, ?, ?, ?, ?)", (version, key, time, kind, deleted, sealed, body)
        )
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()


async def test_values_of_version_1_are_read_and_written_on(folder: Path) -> None:
    make_first_version(folder)
    for _ in range(2):
        store = await SqliteStore.open(folder)
        assert store.generation == "g"
        changes = await store.shelf.changes(0)
        found = [(each.version, each.key, each.body, each.deleted, each.previous, each.token) for each in changes]
        assert found[:4] == [
            (1, "a", b"1", False, 0, b""),
            (2, "b", b"2", False, 0, b""),
            (3, "a", b"3", False, 0, b""),
            (4, "b", b"", True, 0, b""),
        ]
        if len(found) == 4:
            assert await store.shelf.put("a", b"4", time=9, expected=3, token=b"t") == 5
        else:
            assert found[4] == (5, "a", b"4", False, 3, b"t")
            assert await store.shelf.put("a", b"4", time=9, expected=3, token=b"t") == 5
        await store.close()
