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
from anyplug.names import key_of
from anyplug.store.folder_names import Names
from anyplug.store.folder_rows import GOING, PLACING, THERE, insert_files, insert_pieces, select, set_states
from anyplug.store.sqlite_faults import meaning, told
from anyplug.store.sqlite_files import sync_folder
from anyplug.store.sqlite_readers import open_connection
from anyplug.store.writer import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyplug.store.folder_rows import Ready, Row
    from anyplug.store.sqlite_files import Files

__all__ = ["Index", "open_index"]

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

CHECKPOINT_ROWS: Final = 4_000
"""After about so many rows the write-ahead log is written back."""


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
        first = self._last
        try:
            self._place(items)
        except BaseException:
            self.connection.execute("DELETE FROM file WHERE id > ?", (first,))
            self.connection.execute("DELETE FROM piece WHERE file > ?", (first,))
            raise

    def _place(self, items: Sequence[Ready]) -> None:
        names = Names(self.connection, items, self._hints)
        waiting: list[Ready] = []
        for item in items:
            item.again, item.replaced = False, None
            name = item.wanted
            if not names.plain(item):
                self._insert(waiting)  # what follows asks the database
                old = self._known(name)
                if old is not None and not item.fresh and _alike(old, item.row):
                    item.same = old
                    continue
                if item.replace and old is not None and old.name not in item.avoid:
                    name, item.replaced = old.name, old
                else:
                    name = names.free(name, item.avoid)
            names.take(item.key if name is item.wanted else key_of(name))
            self._last += 1
            item.row = msgspec.structs.replace(item.row, id=self._last, state=PLACING, name=name)
            waiting.append(item)
        self._insert(waiting)
        self._rows += 2 * len(items)

    def _insert(self, items: list[Ready]) -> None:
        """Write the rows of these items, and let go of them."""
        insert_files(self.connection, items)
        insert_pieces(self.connection, [(item.row.id, item.digests) for item in items])
        items.clear()

    def settle(self, items: Sequence[Ready]) -> None:
        """The items have their names, or will not get them: those with an error, and those to be placed again."""
        named: list[Row] = []
        for item in items:
            if item.same is not None:
                continue
            if item.error is not None or item.again:
                self.remove(item.row.id)
                continue
            if item.replaced is not None:
                self.remove(item.replaced.id)
            named.append(item.row)
        set_states(self.connection, named, THERE)
        self._rows += len(items)

    def there(self, row: Row) -> None:
        """The file has its name."""
        set_states(self.connection, [row], THERE)

    def going(self, row: Row) -> None:
        """The file's name is about to be removed."""
        set_states(self.connection, [row], GOING)
        self._rows += 1

    def remove(self, file: int) -> None:
        """Forget a file."""
        self.connection.execute("DELETE FROM file WHERE id = ?", (file,))
        self.connection.execute("DELETE FROM piece WHERE file = ?", (file,))
        self._rows += 2

    def _known(self, name: str) -> Row | None:
        rows = select(self.connection, self.path, f"WHERE state = {THERE} AND key = ? LIMIT 1", key_of(name))
        return rows[0] if rows else None

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
