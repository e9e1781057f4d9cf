"""Who has which name in a folder of files, as one batch of new ones sees it.

Nearly all names of a batch are free: one question to the index for all of them finds that out. Only for the others, and
for those that two files of the batch want, it is asked one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyplug.names import key_of, sibling
from anyplug.store.folder_rows import below

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from anyplug.store.folder_rows import Ready

__all__ = ["Names"]

HINTS: Final = 10_000
"""Names whose highest number is remembered, so that the next one is found at once; then all are forgotten."""

AT_ONCE: Final = 500
"""Names that one question is about: any SQLite takes so many values."""

_TAKEN: Final = """
    WITH wanted (key) AS (VALUES {places})
    SELECT key FROM wanted
    WHERE EXISTS (SELECT 1 FROM file WHERE file.key = wanted.key)
    OR EXISTS (SELECT 1 FROM file WHERE file.key >= wanted.key || '/' AND file.key < wanted.key || '0')"""


class Names:
    """The names that are taken when a batch begins, and those that it takes.

    Args:
        connection: the index.
        items: the batch.
        hints: the number behind the last one that a name was given, kept from batch to batch.
    """

    __slots__ = ("_connection", "_files", "_folders", "_hints", "_taken")

    def __init__(self, connection: sqlite3.Connection, items: Sequence[Ready], hints: dict[str, int]) -> None:
        self._connection = connection
        self._hints = hints
        self._taken = _taken(connection, [item.key for item in items])
        self._files: set[str] = set()
        """The keys of the files of the batch."""
        self._folders: set[str] = set()
        """The keys of the folders that these are in: no file has one of them."""

    def plain(self, item: Ready) -> bool:
        """Whether the item can simply have the name that it wants: nobody has it, and no file is on the way to it."""
        key = item.key
        if item.avoid or key in self._taken or key in self._files or key in self._folders:
            return False
        folder = key.rpartition("/")[0]
        while folder and folder not in self._folders:
            if folder in self._files or self._is_file(folder):
                return False
            folder = folder.rpartition("/")[0]
        return True

    def take(self, key: str) -> None:
        """A file of the batch gets the name of that key."""
        self._files.add(key)
        while (key := key.rpartition("/")[0]) and key not in self._folders:
            self._folders.add(key)

    def free(self, wanted: str, avoid: set[str]) -> str:
        """A path that nobody has. All that was taken before has to be in the index."""
        parts = wanted.split("/")
        for depth in range(len(parts) - 1):
            path, number = "/".join(parts), 1
            while "/".join(parts[: depth + 1]) in avoid or self._is_file(key_of("/".join(parts[: depth + 1]))):
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

    def _is_file(self, key: str) -> bool:
        return self._connection.execute("SELECT 1 FROM file WHERE key = ?", (key,)).fetchone() is not None

    def _is_taken(self, name: str) -> bool:
        key = key_of(name)
        query = "SELECT 1 FROM file WHERE key = ? UNION ALL SELECT 1 FROM file WHERE key >= ? AND key < ? LIMIT 1"
        return self._connection.execute(query, (key, *below(key))).fetchone() is not None


def _taken(connection: sqlite3.Connection, keys: Sequence[str]) -> set[str]:
    """Those of the keys that a file has, or a folder that a file is in."""
    found: set[str] = set()
    for at in range(0, len(keys), AT_ONCE):
        some = keys[at : at + AT_ONCE]
        query = _TAKEN.format(places=",".join(["(?)"] * len(some)))
        found.update(key for (key,) in connection.execute(query, some))
    return found
