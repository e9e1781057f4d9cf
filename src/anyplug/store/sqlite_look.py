"""The newest messages and values, looked at before a store is used.

What a message or a value holds is checked whenever it is read, so nothing that is damaged is ever served. What was
written last is what a crash or a failing disk most likely has hurt: that is looked at when the store is opened, so that
it is known before anybody asks. Older parts of a large store are not: that would take a second for each million rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyplug.errors import StoreDamaged
from anyplug.store.base import Value
from anyplug.store.sqlite_schema import POSITION_BITS, key_of, seal
from anyplug.store.sqlite_shelf import seal_of

if TYPE_CHECKING:
    import sqlite3

__all__ = ["LOOKED_AT", "look"]

LOOKED_AT: Final = 50_000
"""Messages that are looked at, the newest of each topic, and as many changes of values: about a tenth of a second."""

_MESSAGES: Final = """SELECT key, received, content_type, sender, name, seal, body
    FROM message WHERE key >= ? AND key <= ? ORDER BY key DESC LIMIT ?"""
_VALUES: Final = """SELECT key, version, body, time, content_type, deleted, previous, token, seal
    FROM value ORDER BY version DESC LIMIT ?"""


def look(connection: sqlite3.Connection, file: str, most: int = LOOKED_AT) -> None:
    """Look at the newest messages and values of a database with all its tables.

    Raises:
        StoreDamaged: one of them is not what was written.
    """
    topics = connection.execute("SELECT id, name, first, last FROM topic ORDER BY id").fetchall()
    left = most
    for place, (number, name, first, last) in enumerate(topics):
        share = max(1, left // (len(topics) - place))
        left -= min(share, last - first + 1)
        between = (key_of(number, first), key_of(number, last))
        for key, *fields, sealed, body in connection.execute(_MESSAGES, (*between, share)):
            if seal(body, key, *fields) != sealed:
                position = key & ((1 << POSITION_BITS) - 1)
                raise StoreDamaged(file, f"topic {name!r}: message {position} is not what was written")
    for key, version, body, time, kind, deleted, previous, token, sealed in connection.execute(_VALUES, (most,)):
        if seal_of(Value(key, version, body, time, kind, bool(deleted), previous, token)) != sealed:
            raise StoreDamaged(file, f"version {version} of key {key!r} is not what was written")
