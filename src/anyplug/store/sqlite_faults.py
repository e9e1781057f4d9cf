"""What an error of SQLite means for the store."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from anyplug.errors import StoreDamaged, StoreError, StoreFailed, StoreFull

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["meaning", "told"]

_SHM_SIZE = sqlite3.SQLITE_IOERR_SHMSIZE
"""The index of the write-ahead log could not grow: there is no room for it, and nothing was written yet."""


def meaning(error: sqlite3.Error, path: str) -> StoreError:
    """The error of the store that `error` is: full, damaged, or an end to writing."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # The module's own: a text that is no UTF-8 is one that was written as such.
        return StoreDamaged(path, str(error)) if "decode" in str(error) else StoreFailed(path, str(error))
    if code & 0xFF == sqlite3.SQLITE_FULL or code == _SHM_SIZE:
        return StoreFull(path, str(error))
    if code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StoreDamaged(path, str(error))
    return StoreFailed(path, f"{error} ({getattr(error, 'sqlite_errorname', code)})")


@contextmanager
def told(path: str) -> Iterator[None]:
    """Errors of SQLite, raised within, come out as errors of the store at `path`."""
    try:
        yield
    except sqlite3.Error as error:
        raise meaning(error, path) from error
    except UnicodeDecodeError as error:
        # SQLite quotes a broken schema in its error, and Python cannot read that as text.
        raise StoreDamaged(path, str(error.object, "utf-8", "replace")) from error
