"""The tables of an outbox, their versions, and the checks its file passes before it is used.

Every row has a seal, a CRC-32 over what it holds, as in a store: SQLite detects a broken structure, but not a flipped
bit in a value.
"""

from __future__ import annotations

import sqlite3
from itertools import chain
from typing import Final
from zlib import crc32

from anyplug.errors import StoreDamaged, StoreError

__all__ = ["APPLICATION", "VERSIONS", "migrate", "seal", "sound"]

APPLICATION: Final = 0x506C754F
"""``PluO``: the application id in the head of the file."""

VERSIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE target (
            id INTEGER PRIMARY KEY,
            address TEXT NOT NULL UNIQUE,
            state BLOB NOT NULL,
            seal INTEGER NOT NULL)""",
        """CREATE TABLE message (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            target INTEGER NOT NULL,
            codec TEXT NOT NULL,
            posted INTEGER NOT NULL,
            seal INTEGER NOT NULL,
            body BLOB NOT NULL)""",
        "CREATE INDEX message_target ON message (target, id)",
        """CREATE TABLE refused (
            id INTEGER PRIMARY KEY,
            target INTEGER NOT NULL,
            codec TEXT NOT NULL,
            posted INTEGER NOT NULL,
            time INTEGER NOT NULL,
            code INTEGER NOT NULL,
            text TEXT NOT NULL,
            seal INTEGER NOT NULL,
            body BLOB NOT NULL)""",
    ),
)
"""What each version adds to the one before; the first is version 1."""


def seal(body: bytes, *fields: object) -> int:
    """What a row's seal has to be. A body that is no bytes any more has none: damage can change a value's type."""
    if type(body) is not bytes:
        return -1
    return crc32(body, crc32("\0".join(map(str, fields)).encode()))


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the database to the newest version.

    Raises:
        StoreError: it belongs to another program, or to a later version of this one.
        StoreDamaged: it says that it has a version that never was.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION and (application or version or tables):
        raise StoreError(path, "it is a file of another program; choose another path")
    if application == APPLICATION and version < 1:
        raise StoreDamaged(path, f"its version is {version}, which never was")
    if version > len(VERSIONS):
        raise StoreError(
            path, f"it has version {version}, this program knows {len(VERSIONS)}; use the newer program that wrote it"
        )
    for number, statements in enumerate(VERSIONS[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")


def sound(connection: sqlite3.Connection, path: str) -> None:
    """Check the whole file's structure and its indexes. Takes time in proportion to the file.

    What a row holds is checked when it is read.

    Raises:
        StoreDamaged: something is not what was written.
    """
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise StoreDamaged(path, str(verdict))
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION or not 0 < version <= len(VERSIONS):
        return
    plan = sqlite3.connect(":memory:")
    try:
        for statement in chain.from_iterable(VERSIONS[:version]):
            plan.execute(statement)
        tables = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
        if connection.execute(tables).fetchall() != plan.execute(tables).fetchall():
            raise StoreDamaged(path, "its tables are not what was written")
    finally:
        plan.close()
