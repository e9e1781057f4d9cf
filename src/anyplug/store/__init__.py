"""Where messages and values are kept: the interfaces, one implementation in memory, one on disk."""

from __future__ import annotations

from anyplug.store.base import (
    Batch,
    Cursor,
    Entry,
    Message,
    MessageLog,
    Producer,
    Receipt,
    Retention,
    Shelf,
    Span,
    Store,
    Value,
)
from anyplug.store.memory import MemoryLog, MemoryShelf, MemoryStore
from anyplug.store.sqlite import SqliteStore

__all__ = [
    "Batch",
    "Cursor",
    "Entry",
    "MemoryLog",
    "MemoryShelf",
    "MemoryStore",
    "Message",
    "MessageLog",
    "Producer",
    "Receipt",
    "Retention",
    "Shelf",
    "Span",
    "SqliteStore",
    "Store",
    "Value",
]
