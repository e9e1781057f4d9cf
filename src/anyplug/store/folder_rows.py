"""The rows of the index of a folder of files: what is known of each file, and how it is read, sealed and written.

Rows are written many at a time: fifty in one statement cost half of what they cost one by one.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final
from zlib import crc32

import msgspec
from msgspec.structs import astuple

from anyplug.errors import StoreDamaged
from anyplug.names import key_of
from anyplug.store.chunks import DIGEST
from anyplug.store.files import StoredFile
from anyplug.store.sqlite_schema import seal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

__all__ = [
    "GOING",
    "PLACING",
    "THERE",
    "Ready",
    "Row",
    "below",
    "find",
    "insert_files",
    "insert_pieces",
    "pieces",
    "select",
    "set_states",
]

PIECE: Final = 1024
"""Digests in one row: those of a gibibyte."""

PLACING, THERE, GOING = 0, 1, 2

AT_ONCE: Final = 50
"""Rows that one statement writes: with 15 fields each they stay below the 999 values that any SQLite takes."""

_COLUMNS = "id, state, name, label, size, digest, stored, modified, content_type, sender, transfer, inode, mtime"
_ALL = f"{_COLUMNS}, seal, key"


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A file as the index knows it."""

    id: int
    state: int
    name: str
    label: str
    size: int
    digest: bytes
    stored: int
    modified: int | None
    content_type: str
    sender: str
    transfer: str
    inode: int
    mtime: int

    def shown(self) -> StoredFile:
        """As it is told outside."""
        return StoredFile(
            name=self.name,
            label=self.label,
            size=self.size,
            digest=self.digest,
            stored=self.stored,
            modified=self.modified,
            content_type=self.content_type,
            sender=self.sender,
        )


class Ready(msgspec.Struct, kw_only=True):
    """A file that lies whole in the staging area, and what became of it."""

    staged: str
    """Its name there."""
    wanted: str
    """The path it should get."""
    key: str
    """What `anyplug.names.key_of` makes of that."""
    row: Row
    digests: bytes
    replace: bool
    again: bool = False
    """The path turned out to be taken: it needs another one."""
    avoid: set[str] = msgspec.field(default_factory=set)
    """Paths that turned out to be taken by what is not ours."""
    fresh: bool = False
    """A file of the same content is not good enough: it was found to be gone."""
    same: Row | None = None
    """The file that this one is already."""
    replaced: Row | None = None
    """The file whose place it takes."""
    error: Exception | None = None


def sealed(row: Row, state: int) -> int:
    """The seal of a row in that state: `anyplug.store.sqlite_schema.seal` of its fields, but quicker."""
    head = f"{row.id}\0{state}\0{row.name}\0{row.label}\0{row.size}\0{row.stored}\0{row.modified}\0"
    rest = f"{row.content_type}\0{row.sender}\0{row.transfer}\0{row.inode}\0{row.mtime}"
    return crc32(row.digest, crc32((head + rest).encode()))


def insert_files(connection: sqlite3.Connection, items: Sequence[Ready]) -> None:
    """Write the rows of items."""
    found = [
        (*astuple(row), sealed(row, row.state), item.key if row.name == item.wanted else key_of(row.name))
        for item in items
        for row in (item.row,)
    ]
    _insert(connection, f"INSERT INTO file ({_ALL}) VALUES ", found)  # noqa: S608  ours


def insert_pieces(connection: sqlite3.Connection, digests: Sequence[tuple[int, bytes]]) -> None:
    """Write the digests of chunks of files: the id of each file, and all its digests."""
    size = PIECE * DIGEST
    rows = [
        (file, part, kept := all_[at : at + size], seal(kept, file, part))
        for file, all_ in digests
        for part, at in enumerate(range(0, len(all_), size))
    ]
    _insert(connection, "INSERT INTO piece VALUES ", rows)


def _insert(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    for at in range(0, len(rows), AT_ONCE):
        some = rows[at : at + AT_ONCE]
        values = [value for row in some for value in row]
        connection.execute(statement + _places(len(some), len(some[0])), values)


@cache
def _places(rows: int, fields: int) -> str:
    """``(?,?),(?,?),(?,?)``"""
    return ",".join([f"({','.join('?' * fields)})"] * rows)


def set_states(connection: sqlite3.Connection, rows: Sequence[Row], state: int) -> None:
    """The files of these rows are in that state now."""
    changes = [(state, sealed(row, state), row.id) for row in rows]
    connection.executemany("UPDATE file SET state = ?, seal = ? WHERE id = ?", changes)


def select(connection: sqlite3.Connection, path: str, rest: str, *values: object) -> list[Row]:
    """Rows of files, each checked.

    Raises:
        StoreDamaged: one is not what was written.
    """
    rows = []
    for *fields, sealed in connection.execute(f"SELECT {_COLUMNS}, seal FROM file {rest}", values):  # noqa: S608  ours
        if seal(fields[5], *fields[:5], *fields[6:]) != sealed:
            raise StoreDamaged(path, f"the row of file {fields[2]!r} is not what was written")
        rows.append(Row(**dict(zip(Row.__struct_fields__, fields, strict=True))))
    return rows


def find(connection: sqlite3.Connection, path: str, name: str, key: str) -> Row | None:
    """The file of that very name, or else the one that has that key."""
    for rest, value in (("key = ? AND name = ?", (key_of(name), name)), ("key = ?", (key,))):
        if rows := select(connection, path, f"WHERE state = {THERE} AND {rest} LIMIT 1", *value):
            return rows[0]
    return None


def below(key: str) -> tuple[str, str]:
    """The bounds of the keys of all that lies in a folder."""
    return f"{key}/", f"{key}0"


def pieces(connection: sqlite3.Connection, path: str, file: int, first: int, count: int) -> bytes:
    """The digests of chunks of a file, one after another.

    Raises:
        StoreDamaged: they are not what was written.
    """
    parts = range(first // PIECE, -(-(first + count) // PIECE))
    found = connection.execute(
        "SELECT part, digests, seal FROM piece WHERE file = ? AND part >= ? AND part < ? ORDER BY part",
        (file, parts.start, parts.stop),
    ).fetchall()
    if [part for part, _, _ in found] != [*parts] or any(seal(kept, file, part) != sum_ for part, kept, sum_ in found):
        raise StoreDamaged(path, f"the digests of file {file} are not what was written")
    data = b"".join(kept for _, kept, _ in found)
    start = first - parts.start * PIECE
    return data[start * DIGEST : (start + count) * DIGEST]
