"""One download: which chunks to ask for, and whether what came is what was stored. Nothing here waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyplug.errors import LocalError, ProtocolError
from anyplug.file_errors import Mismatch
from anyplug.store.chunks import CHUNK, DIGEST, Spans, chunk_count, chunk_digest, file_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from anyplug.messages import Content
    from anyplug.schemas.files import File
    from anyplug.transfers.source import Data

__all__ = ["Download"]


class Download:
    """A file, or a range of it, as far as it has come.

    Args:
        file: what is fetched.
        offset: the first byte that is wanted.
        length: how many; None for all behind.

    Raises:
        LocalError: there is no such range.
    """

    __slots__ = ("_coming", "_digests", "_first", "_have", "end", "file", "length", "offset")

    def __init__(self, file: File, *, offset: int = 0, length: int | None = None) -> None:
        if not 0 <= offset <= file.size or (length is not None and length < 0):
            raise LocalError(f"{file.name!r} has {file.size:,} bytes; there are none from {offset:,} on")
        self.file = file
        self.offset = offset
        self.length = file.size - offset if length is None else min(length, file.size - offset)
        self._first = offset // CHUNK
        self.end = chunk_count(offset + self.length) if self.length else self._first
        self._digests = b""
        self._have = Spans()
        self._coming: set[int] = set()

    @property
    def digests_missing(self) -> int | None:
        """The first chunk whose digest is to be asked for; None where all are here."""
        known = len(self._digests) // DIGEST
        return known if known < chunk_count(self.file.size) else None

    def learn(self, digests: bytes) -> None:
        """The next digests. The last of them prove all, by the digest of the whole.

        Raises:
            ProtocolError: there are none, or too many.
            Mismatch: they are not those of the file.
        """
        self._digests += digests
        count = chunk_count(self.file.size)
        if len(digests) % DIGEST or len(self._digests) > count * DIGEST or (count and not digests):
            raise ProtocolError(f"the server gives {len(self._digests):,} bytes of digests for {count:,} chunks")
        if self.digests_missing is None:
            found = file_digest(self._digests, self.file.size)
            if found != self.file.digest:
                raise Mismatch("digest", expected=self.file.digest.hex(), found=found.hex())

    def digest(self, index: int) -> bytes:
        """What a chunk should be."""
        return self._digests[index * DIGEST : (index + 1) * DIGEST]

    def size(self, index: int) -> int:
        """How many bytes a chunk has."""
        return min(CHUNK, self.file.size - index * CHUNK)

    def had(self, indices: Iterable[int]) -> int:
        """These chunks are here already; how many bytes they are."""
        count = 0
        for index in indices:
            if self._first <= index < self.end and index not in self._have:
                self._have.add(index)
                count += self.size(index)
        return count

    def missing(self) -> list[tuple[int, int]]:
        """The runs of chunks to ask for, on a new connection."""
        self._coming.clear()
        return [(max(first, self._first), end) for first, end in self._have.gaps(self.end) if end > self._first]

    def expects(self, content: Content) -> None:
        """Refuse a chunk that was not asked for.

        Raises:
            ProtocolError: it is none of the missing, or not as long as it should be.
        """
        index = content.index
        known = index in self._have or index in self._coming
        if known or not self._first <= index < self.end or content.size != self.size(index):
            raise ProtocolError(f"chunk {index} of {content.size:,} bytes was not asked for")
        self._coming.add(index)

    def wrote(self, index: int) -> None:
        """A chunk that was expected is here."""
        self._have.add(index)

    def verified(self, index: int, pieces: Sequence[Data]) -> Sequence[Data]:
        """The pieces of a chunk, which are what was stored. Called in threads.

        Raises:
            Mismatch: they are not.
        """
        found = chunk_digest(pieces)
        if found != (expected := self.digest(index)):
            raise Mismatch(f"chunk {index}", expected=expected.hex(), found=found.hex())
        return pieces

    def cut(self, index: int, pieces: Sequence[Data]) -> Sequence[Data]:
        """What of a chunk belongs to the range."""
        start = max(0, self.offset - index * CHUNK)
        end = min(self.size(index), self.offset + self.length - index * CHUNK)
        if start == 0 and end == self.size(index):
            return pieces
        return [memoryview(b"".join(pieces))[start:end]]
