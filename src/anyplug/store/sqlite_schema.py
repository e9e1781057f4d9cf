"""The tables, their versions, and the checks a database passes before it is used.

A version is one list of statements that turns the version before into it; a new one is appended, an old one is never
changed. ``user_version`` holds the number, and moves in the transaction of its statements.

Every row has a seal, a CRC-32 over what it holds: SQLite detects a broken structure, but not a flipped bit in a value.
A message's key is its topic's number and its position in one integer, so that a topic lies in one piece, in order.
"""

from __future__ import annotations

import sqlite3
from itertools import chain
from typing import Final
from uuid import uuid4
from zlib import crc32

from anyplug.errors import StoreDamaged, StoreError

__all__ = ["APPLICATION", "POSITION_BITS", "VERSIONS", "key_of", "migrate", "seal", "sound"]

APPLICATION: Final = 0x506C7567
"""``Plug``: the application id in the head of the file."""

POSITION_BITS: Final = 40
"""A topic has room for 2**40 messages, the store for 2**23 topics."""

VERSIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID",
        """CREATE TABLE topic (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            first INTEGER NOT NULL,
            last INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            seal INTEGER NOT NULL)""",
        """CREATE TABLE message (
            key INTEGER PRIMARY KEY,
            received INTEGER NOT NULL,
            content_type TEXT NOT NULL,
            sender TEXT NOT NULL,
            name TEXT NOT NULL,
            seal INTEGER NOT NULL,
            body BLOB NOT NULL)""",
        "CREATE TABLE producer (id BLOB PRIMARY KEY, mark BLOB NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID",
        """CREATE TABLE reader (
            topic TEXT NOT NULL,
            name TEXT NOT NULL,
            acknowledged INTEGER NOT NULL,
            delivered INTEGER NOT NULL,
            seal INTEGER NOT NULL,
            PRIMARY KEY (topic, name)) WITHOUT ROWID""",
        """CREATE TABLE value (
            version INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL,
            time INTEGER NOT NULL,
            content_type TEXT NOT NULL,
            deleted INTEGER NOT NULL,
            seal INTEGER NOT NULL,
            body BLOB NOT NULL)""",
        "CREATE INDEX value_key ON value (key, version)",
    ),
    (
        "ALTER TABLE value ADD COLUMN previous INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE value ADD COLUMN token BLOB NOT NULL DEFAULT x''",
    ),
)
"""What each version adds to the one before; the first is version 1."""


def key_of(topic: int, position: int) -> int:
    """The key of a message."""
    return topic << POSITION_BITS | position


def seal(body: bytes, *fields: object) -> int:
    """What a row's seal has to be.

    Raises:
        UnicodeEncodeError: a field holds half a character.
    """
    return crc32(body, crc32("\0".join(map(str, fields)).encode()))


def migrate(connection: sqlite3.Connection, path: str) -> str:
    """Bring the database to the newest version; return the store's generation.

    Raises:
        StoreError: it belongs to another program, or to a later version of this one.
        StoreDamaged: its generation is not what was written.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION and (application or version or tables):
        raise StoreError(path, "it is a database of another program; choose another folder")
    if version > len(VERSIONS):
        raise StoreError(
            path, f"it has version {version}, this program knows {len(VERSIONS)}; use the newer program that wrote it"
        )
    for number, statements in enumerate(VERSIONS[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(statement)
        if number == 1:
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            fields = ("generation", str(uuid4()))
            connection.execute("INSERT INTO about VALUES (?, ?, ?)", (*fields, seal(b"", *fields)))
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    row = connection.execute("SELECT value, seal FROM about WHERE name = 'generation'").fetchone()
    if row is None or seal(b"", "generation", row[0]) != row[1]:
        raise StoreDamaged(path, "the row of its generation is not what was written")
    return str(row[0])


def sound(connection: sqlite3.Connection, path: str) -> None:
    """Check the whole file's structure, its indexes, and the rows that all else hangs on.

    Takes time in proportion to the file. What a message or a value holds is checked when it is read.

    Raises:
        StoreDamaged: something is not what was written.
    """
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise StoreDamaged(path, str(verdict))
    if not _planned(connection, path):
        return
    for producer, mark, sealed in connection.execute("SELECT id, mark, seal FROM producer"):
        if seal(mark, producer.hex()) != sealed:
            raise StoreDamaged(path, f"the row of producer {producer.hex()} is not what was written")
    for *fields, sealed in connection.execute("SELECT topic, name, acknowledged, delivered, seal FROM reader"):
        if seal(b"", *fields) != sealed:
            raise StoreDamaged(path, f"the cursor of reader {fields[1]!r} is not what was written")
    for *fields, sealed in connection.execute("SELECT id, name, first, last, bytes, seal FROM topic"):
        if seal(b"", *fields) != sealed:
            raise StoreDamaged(path, f"the row of topic {fields[1]!r} is not what was written")
        _whole(connection, path, *fields[:4])


def _planned(connection: sqlite3.Connection, path: str) -> int:
    """The database's version, whose tables it has; 0 where it is empty, or not ours."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION or not 0 < version <= len(VERSIONS):
        return 0
    plan = sqlite3.connect(":memory:")
    try:
        for statement in chain.from_iterable(VERSIONS[:version]):
            plan.execute(statement)
        tables = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
        if connection.execute(tables).fetchall() != plan.execute(tables).fetchall():
            raise StoreDamaged(path, "its tables are not what was written")
    finally:
        plan.close()
    return int(version)


def _whole(connection: sqlite3.Connection, path: str, number: int, name: str, first: int, last: int) -> None:
    """Check that a topic's messages begin and end where its row says."""
    low, high = key_of(number, 0), key_of(number + 1, 0)
    found = tuple(
        connection.execute(f"SELECT {which}(key) FROM message WHERE key >= ? AND key < ?", (low, high)).fetchone()[0]  # noqa: S608  a constant
        for which in ("min", "max")
    )
    if found != ((low + first, low + last) if last >= first else (None, None)):
        ends = [end and end - low for end in found]
        raise StoreDamaged(path, f"topic {name!r} holds messages {ends[0]} to {ends[1]}, not {first} to {last}")
