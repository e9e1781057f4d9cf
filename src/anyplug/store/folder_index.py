"""The index of a folder of files: which file has which name, in SQLite, in one database with one writer.

A row is there before its file has its name, and after that is gone again: the row says what is being done, and what it
was done with (the inode), so that after a crash it is known whether it was done. `PLACING` becomes `THERE` when the
file has its name and the folder is synced; `GOING` is removed when the name is.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from anyplug.errors import StoreDamaged, StoreError, StoreFailed, StoreFull
from anyplug.names import key_of, sibling
from anyplug.store.chunks import DIGEST
from anyplug.store.files import StoredFile
from anyplug.store.sqlite_faults import meaning, told
from anyplug.store.sqlite_files import sync_folder
from anyplug.store.sqlite_readers import open_connection
from anyplug.store.sqlite_schema import seal
from anyplug.store.writer import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyplug.store.sqlite_files import Files

__all__ = ["GOING", "PLACING", "THERE", "Index", "Ready", "Row", "below", "find", "open_index", "pieces", "select"]

APPLICATION: Final = 0x506C7546
"""``PluF``: the application id in the head of the database."""

VERSION: Final = 1

TABLES: Final = (
    """CREATE TABLE file (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        state INTEGER NOT NULL,
        key TEXT NOT NULL,
        name TEXT NOT NULL,
        label TEXT NOT NULL,
        size INTEGER NOT NULL,
        digest BLOB NOT NULL,
        stored INTEGER NOT NULL,
        modified INTEGER,
        content_type TEXT NOT NULL,
        sender TEXT NOT NULL,
        transfer TEXT NOT NULL,
        inode INTEGER NOT NULL,
        mtime INTEGER NOT NULL,
        seal INTEGER NOT NULL)""",
    "CREATE INDEX file_key ON file (key)",
    "CREATE INDEX file_transfer ON file (transfer) WHERE transfer != ''",
    "CREATE INDEX file_state ON file (state) WHERE state != 1",
    """CREATE TABLE piece (
        file INTEGER NOT NULL,
        part INTEGER NOT NULL,
        digests BLOB NOT NULL,
        seal INTEGER NOT NULL,
        PRIMARY KEY (file, part)) WITHOUT ROWID""",
)

PIECE: Final = 1024
"""Digests in one row: those of a gibibyte."""

PLACING, THERE, GOING = 0, 1, 2

CHECKPOINT_ROWS: Final = 4_000
"""After about so many rows the write-ahead log is written back."""

HINTS: Final = 10_000
"""Names whose highest number is remembered, so that the next one is found at once; then all are forgotten."""

_COLUMNS = "id, state, name, label, size, digest, stored, modified, content_type, sender, transfer, inode, mtime"


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


def open_index(files: Files) -> sqlite3.Connection:
    """The connection that writes: the database is checked, made where it is new, and set to be durable.

    Raises:
        StoreDamaged: a row or the file is not what was written.
        StoreError: it belongs to another program, or to a later version of this one.
    """
    path = str(files.database)
    connection = open_connection(files.database, mode="rwc")
    try:
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise StoreDamaged(path, str(verdict))
        for setting, wanted in (("journal_mode", "wal"), ("synchronous", 2), ("wal_autocheckpoint", 0)):
            connection.execute(f"PRAGMA {setting} = {wanted}")
            (found,) = connection.execute(f"PRAGMA {setting}").fetchone()
            if found != wanted:
                raise StoreError(path, f"{setting} is {found}, it has to be {wanted}; is this a network disk?")
        _make_tables(connection, path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sync_folder(files.folder)
        files.keep_reserve()
    except BaseException:
        connection.close()
        raise
    return connection


def _make_tables(connection: sqlite3.Connection, path: str) -> None:
    facts = tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if facts == (APPLICATION, VERSION):
        return
    if facts[0] == APPLICATION:
        raise StoreError(path, f"it has version {facts[1]}, this program knows {VERSION}; use the one that wrote it")
    if tables or facts != (0, 0):
        raise StoreError(path, "it is a database of another program; choose another folder")
    connection.execute("BEGIN IMMEDIATE")
    for statement in TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


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


class Index(Target):
    """What the writer's thread writes to, and the jobs it does there."""

    def __init__(self, connection: sqlite3.Connection, files: Files) -> None:
        self.connection = connection
        self.path = str(files.database)
        self._files = files
        self._rows = 0
        self._hints: dict[str, int] = {}
        self._last: int
        (self._last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()

    # The jobs.

    def place(self, items: Sequence[Ready]) -> None:
        """Give each item a path, and write its row: it is being placed."""
        try:
            self._place(items)
        except BaseException:
            for item in items:
                if item.row.id:
                    self.remove(item.row.id)
            raise

    def _place(self, items: Sequence[Ready]) -> None:
        for item in items:
            item.again, item.row = False, msgspec.structs.replace(item.row, id=0)
        for item in items:
            old = self._known(item.wanted)
            if old is not None and not item.fresh and _alike(old, item.row):
                item.same = old
                continue
            if item.replace and old is not None and old.name not in item.avoid:
                name, item.replaced = old.name, old
            else:
                name, item.replaced = self._free(item.wanted, item.avoid), None
            row = msgspec.structs.replace(item.row, state=PLACING, name=name)
            item.row = msgspec.structs.replace(row, id=self._insert(row))
            self._insert_pieces(item.row.id, item.digests)
        self._rows += 2 * len(items)

    def settle(self, items: Sequence[Ready]) -> None:
        """The items have their names, or will not get them: those with an error, and those to be placed again."""
        for item in items:
            if item.same is not None:
                continue
            if item.error is not None or item.again:
                self.remove(item.row.id)
            else:
                self.there(item.row, item.replaced.id if item.replaced is not None else None)
        self._rows += len(items)

    def there(self, row: Row, replaced: int | None) -> None:
        """The file has its name."""
        if replaced is not None:
            self.remove(replaced)
        self._state(row, THERE)

    def going(self, row: Row) -> None:
        """The file's name is about to be removed."""
        self._state(row, GOING)
        self._rows += 1

    def remove(self, file: int) -> None:
        """Forget a file."""
        self.connection.execute("DELETE FROM file WHERE id = ?", (file,))
        self.connection.execute("DELETE FROM piece WHERE file = ?", (file,))
        self._rows += 2

    def _known(self, name: str) -> Row | None:
        rows = select(self.connection, self.path, f"WHERE state = {THERE} AND key = ? LIMIT 1", key_of(name))
        return rows[0] if rows else None

    def _free(self, wanted: str, avoid: set[str]) -> str:
        """A path that nobody has."""
        parts = wanted.split("/")
        for depth in range(len(parts) - 1):
            path, number = "/".join(parts), 1
            while "/".join(parts[: depth + 1]) in avoid or self._is_file("/".join(parts[: depth + 1])):
                number += 1
                parts = sibling(path, number, depth=depth).split("/")
        path = "/".join(parts)
        if path not in avoid and not self._is_taken(path):
            return path
        key = key_of(path)
        number = self._hints.get(key, 2)
        while (name := sibling(path, number)) in avoid or self._is_taken(name):
            number += 1
        if len(self._hints) >= HINTS:
            self._hints.clear()
        self._hints[key] = number
        return name

    def _is_file(self, name: str) -> bool:
        return self.connection.execute("SELECT 1 FROM file WHERE key = ?", (key_of(name),)).fetchone() is not None

    def _is_taken(self, name: str) -> bool:
        key = key_of(name)
        query = "SELECT 1 FROM file WHERE key = ? UNION ALL SELECT 1 FROM file WHERE key >= ? AND key < ? LIMIT 1"
        return self.connection.execute(query, (key, *below(key))).fetchone() is not None

    def _insert(self, row: Row) -> int:
        self._last += 1
        fields = (self._last, *msgspec.structs.astuple(row)[1:])
        sealed = seal(row.digest, *fields[:5], *fields[6:])
        places = ",".join("?" * (len(fields) + 2))
        self.connection.execute(
            f"INSERT INTO file ({_COLUMNS}, seal, key) VALUES ({places})",  # noqa: S608  ours
            (*fields, sealed, key_of(row.name)),
        )
        return self._last

    def _insert_pieces(self, file: int, digests: bytes) -> None:
        size = PIECE * DIGEST
        rows = [
            (file, part, digests[at : at + size], seal(digests[at : at + size], file, part))
            for part, at in enumerate(range(0, len(digests), size))
        ]
        self.connection.executemany("INSERT INTO piece VALUES (?, ?, ?, ?)", rows)

    def _state(self, row: Row, state: int) -> None:
        fields = (row.id, state, *msgspec.structs.astuple(row)[2:])
        sealed = seal(row.digest, *fields[:5], *fields[6:])
        self.connection.execute("UPDATE file SET state = ?, seal = ? WHERE id = ?", (state, sealed, row.id))

    # For the writer.

    def begin(self) -> StoreFull | None:
        """Begin a transaction."""
        with told(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
        return self._files.short()

    def run(self, apply: Callable[[], object]) -> object:
        """Let a job work; an error of the database under it is one of the batch."""
        try:
            return apply()
        except sqlite3.Error as error:
            told_as = meaning(error, self.path)
            raise told_as if isinstance(told_as, StoreFull) else StoreFailed(self.path, str(told_as)) from error

    def commit(self) -> None:
        """Commit, which syncs."""
        with told(self.path):
            self.connection.execute("COMMIT")

    def rollback(self) -> None:
        """Forget the batch."""
        with told(self.path):
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def make_room(self) -> bool:
        """Give up the reserve file."""
        return self._files.drop_reserve()

    def tidy(self) -> None:
        """Write the log back when it has grown."""
        if self._rows >= CHECKPOINT_ROWS:
            self._rows = 0
            with suppress(StoreFull), told(self.path):
                self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._files.keep_reserve()

    def failed(self, error: StoreFailed) -> None:
        """Leave the files as they are, for the next start to look at: readers that are open keep the log from being
        written back.
        """
        self.connection.close()

    def close(self) -> None:
        """Close. Nobody else has the database any more: that writes the log back."""
        self.connection.close()


def _alike(old: Row, new: Row) -> bool:
    return (old.label, old.size, old.digest) == (new.label, new.size, new.digest)
