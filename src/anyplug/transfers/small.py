"""Small files, which travel within a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyplug.schemas.files import Small
from anyplug.store.chunks import file_digest

if TYPE_CHECKING:
    from anyplug.transfers.source import Source

__all__ = ["small_of"]


def small_of(source: Source, name: str, replace: bool, content_type: str = "") -> Small:
    """A whole small file. Called in threads.

    Raises:
        SourceError: it cannot be read, or changes.
    """
    digests, data = source.read(0) if source.size else (b"", b"")
    source.check()
    return Small(
        name=name,
        data=bytes(data),
        digest=file_digest(digests, source.size),
        modified=source.modified,
        content_type=content_type,
        replace=replace,
    )
