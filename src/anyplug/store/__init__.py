"""Where messages, values and files are kept: the interfaces, one implementation in memory, one on disk."""

from __future__ import annotations

from anyplug.store.alike import Alike
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
from anyplug.store.chunks import CHUNK, chunk_digest, file_digest
from anyplug.store.files import (
    FileLimits,
    FileStore,
    Finding,
    Finish,
    Lease,
    Offer,
    Reader,
    Small,
    StoredFile,
    Transfer,
    Usage,
)
from anyplug.store.folder import FolderFiles
from anyplug.store.memory import MemoryLog, MemoryShelf, MemoryStore
from anyplug.store.memory_files import MemoryFiles
from anyplug.store.sqlite import SqliteStore

__all__ = [
    "CHUNK",
    "Alike",
    "Batch",
    "Cursor",
    "Entry",
    "FileLimits",
    "FileStore",
    "Finding",
    "Finish",
    "FolderFiles",
    "Lease",
    "MemoryFiles",
    "MemoryLog",
    "MemoryShelf",
    "MemoryStore",
    "Message",
    "MessageLog",
    "Offer",
    "Producer",
    "Reader",
    "Receipt",
    "Retention",
    "Shelf",
    "Small",
    "Span",
    "SqliteStore",
    "Store",
    "StoredFile",
    "Transfer",
    "Usage",
    "Value",
    "chunk_digest",
    "file_digest",
]
