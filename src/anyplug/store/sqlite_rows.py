"""Messages on their way into the database: as few and as large statements as possible.

Each call of SQLite lets go of the interpreter, and takes it again only after a busy loop is ready to give it; and each
parameter is copied by itself. Messages that came together differ in little: their position, their seal, their body. So
such a *run* goes in by one statement with eight parameters, however long it is: the bodies in one piece, and their
sizes and seals as a list of numbers. What came in ones and twos goes in many rows at a time.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

import msgspec

from anyplug.store.alike import Alike

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from anyplug.store.base import Entry

__all__ = ["Row", "Run", "insert", "insert_runs", "runs_of"]

Row = tuple[object, ...]

ROWS: Final = 256
"""Rows of the longest statement. Shorter ones have powers of two, so that there are few."""

FEW: Final = 8
"""A run of fewer messages goes row by row: the statement for many costs more than it saves."""

LARGE: Final = 4 * 1024 * 1024
"""Bytes of a run, above which it goes row by row: what is copied once more then costs more than a parameter."""

_FIELDS: Final = 7
_json = msgspec.json.Encoder().encode
_SEAL_BITS: Final = 32
_EQUAL: Final = (
    "INSERT INTO message SELECT ?1 + key, ?2, ?3, ?4, ?5, value, substr(?6, key * ?7 + 1, ?7) FROM json_each(?8)"
)
"""A run of bodies of one size; the numbers are the seals."""
_UNEQUAL: Final = (
    "INSERT INTO message SELECT ?1 + key, ?2, ?3, ?4, ?5, value & 0xffffffff,"
    " substr(?6, key * ?7 + 1, value >> 32) FROM json_each(?8)"
)
"""A run of any; the numbers are sizes and seals."""


class Run(NamedTuple):
    """Messages of one topic that came together: neighbours, alike but for their bodies."""

    key: int
    """Of the first; those of the others follow."""
    received: int
    content_type: str
    sender: str
    name: str
    bodies: Sequence[bytes]

    @property
    def seals(self) -> list[int]:
        """What `anyplug.store.sqlite_schema.seal` says of each row: the CRC of two pieces is that of both together."""
        about = f"\0{self.received}\0{self.content_type}\0{self.sender}\0{self.name}".encode()
        return [crc32(b"%d%b%b" % (key, about, body)) for key, body in enumerate(self.bodies, self.key)]


def runs_of(entries: Sequence[Entry], key: int) -> list[Run]:
    """Entries as runs; ``key`` is that of the first."""
    if isinstance(entries, Alike):
        return [Run(key, entries.received, entries.content_type, entries.sender, entries.name, entries.bodies)]
    runs: list[Run] = []
    about: tuple[int, str, str, str] | None = None
    bodies: list[bytes] = []
    for at, entry in enumerate(entries, key):
        found = (entry.received, entry.content_type, entry.sender, entry.name)
        if found != about:
            about, bodies = found, []
            runs.append(Run(at, *found, bodies))
        bodies.append(entry.body)
    return runs


def insert_runs(connection: sqlite3.Connection, runs: Sequence[Run]) -> None:
    """Insert messages."""
    fields: list[object] = []
    for run in runs:
        if len(run.bodies) < FEW or not _insert_run(connection, run):
            key, received, content_type, sender, name, bodies = run
            for each, seal, body in zip(count(key), run.seals, bodies):
                fields += (each, received, content_type, sender, name, seal, body)
    _insert_fields(connection, "INSERT INTO message VALUES", fields, _FIELDS)


def _insert_run(connection: sqlite3.Connection, run: Run) -> bool:
    """Insert a run by one statement, which cuts the bodies from fields of one width; False where that is a waste."""
    key, received, content_type, sender, name, bodies = run
    sizes = list(map(len, bodies))
    size, width = sum(sizes), max(sizes)
    if not 0 < width * len(bodies) <= min(2 * size, LARGE):
        return False
    statement, numbers = _EQUAL, run.seals
    if size == width * len(bodies):
        joined = b"".join(bodies)
    else:
        statement, joined = _UNEQUAL, b"".join([body.ljust(width) for body in bodies])
        numbers = [size << _SEAL_BITS | seal for size, seal in zip(sizes, numbers, strict=True)]
    connection.execute(statement, (key, received, content_type, sender, name, joined, width, _json(numbers).decode()))
    return True


def insert(connection: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    """Insert many rows with few statements; ``statement`` ends with ``VALUES``."""
    if rows:
        _insert_fields(connection, statement, [field for row in rows for field in row], len(rows[0]))


def _insert_fields(connection: sqlite3.Connection, statement: str, fields: list[object], width: int) -> None:
    done, left = 0, len(fields) // width
    while left:
        many = min(ROWS, 1 << (left.bit_length() - 1))
        connection.execute(f"{statement} {_places(width, many)}", fields[done * width : (done + many) * width])
        done += many
        left -= many


@cache
def _places(width: int, many: int) -> str:
    """The places of so many rows with so many fields."""
    return ",".join(["(" + ",".join("?" * width) + ")"] * many)
