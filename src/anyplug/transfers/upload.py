"""One upload, over all the connections that it takes: what to ask, which chunk to send next, when it is done.

Nothing here waits or touches a file. A shell asks `offer`, gives the answer to `accepted`, sends the chunks that `next`
names, and says `finish` when there are none. After a break it begins with `offer` again: what is missing is what the
server says then, and what was hashed is not hashed again.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from anyplug.errors import ProtocolError
from anyplug.schemas.files import Finish, Offer
from anyplug.store.chunks import DIGEST, Spans, chunk_count, file_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyplug.schemas.files import Transfer

__all__ = ["Upload"]


class Upload:
    """What is known of one upload.

    Args:
        name: what the file is to be called on the server.
        size: bytes; None where they are known at the end.
        modified: when the content was changed last.
        content_type: what it is.
        replace: whether to take the place of a file of that name.
    """

    __slots__ = (
        "_content_type",
        "_digests",
        "_known",
        "_modified",
        "_replace",
        "_todo",
        "id",
        "name",
        "number",
        "resumed",
        "sent",
        "size",
    )

    def __init__(
        self,
        name: str,
        size: int | None,
        *,
        modified: int | None = None,
        content_type: str = "",
        replace: bool = False,
    ) -> None:
        self.name = name
        self.size = size
        """Bytes, once they are known."""
        self.id = ""
        """What the server calls the transfer; empty before the first answer."""
        self.number = -1
        """What the server calls it on this connection."""
        self.sent = 0
        """Bytes that the server has, or that are under way to it."""
        self.resumed = 0
        """Bytes that the server had when this connection began."""
        self._modified = modified
        self._content_type = content_type
        self._replace = replace
        self._digests = bytearray()
        self._known = Spans()
        self._todo: list[tuple[int, int]] = []

    def offer(self, size: int | None) -> Offer:
        """What to ask first on a connection; ``size`` as it was known in the first offer."""
        return Offer(
            name=self.name,
            size=size,
            modified=self._modified,
            content_type=self._content_type,
            replace=self._replace,
            resume=self.id,
        )

    def accepted(self, transfer: Transfer) -> None:
        """The server wants these chunks.

        Raises:
            ProtocolError: it wants what no file has.
        """
        runs = transfer.missing
        if any(not 0 <= first < end for first, end in runs) or any(
            end > after for (_, end), (after, _) in pairwise(runs)
        ):
            raise ProtocolError(f"the server wants chunks that cannot be: {runs[:3]}")
        self.id = transfer.id
        self.number = transfer.number
        self.sent = self.resumed = transfer.received
        self._todo = list(reversed(runs))
        if self.size is not None:
            self.end_at(self.size)

    def next(self) -> int | None:
        """The next chunk to send; None where there is none. It counts as under way from now."""
        while self._todo:
            first, end = self._todo.pop()
            if first < end:
                self._todo.append((first + 1, end))
                return first
        return None

    def wants(self, index: int) -> bool:
        """Whether a chunk is to be sent."""
        return any(first <= index < end for first, end in self._todo)

    @property
    def first(self) -> int | None:
        """The first chunk that is to be sent."""
        return self._todo[-1][0] if self._todo else None

    def end_at(self, size: int) -> None:
        """The file has this size: nothing behind it is to be sent."""
        self.size = size
        count = chunk_count(size)
        self._todo = [(first, min(end, count)) for first, end in self._todo if first < count]

    def learn(self, index: int, digest: bytes) -> None:
        """The digest of a chunk."""
        at = index * DIGEST
        if len(self._digests) < at + DIGEST:
            self._digests.extend(bytes(at + DIGEST - len(self._digests)))
        self._digests[at : at + DIGEST] = digest
        if index not in self._known:
            self._known.add(index)

    def learn_many(self, chunks: Iterable[tuple[int, bytes]]) -> None:
        """The digests of chunks that were hashed before."""
        for index, digest in chunks:
            self.learn(index, digest)

    def knows(self, index: int) -> bytes | None:
        """The digest of a chunk, if it was hashed before."""
        return bytes(self._digests[index * DIGEST : (index + 1) * DIGEST]) if index in self._known else None

    def went(self, length: int) -> None:
        """So many bytes are under way."""
        self.sent += length

    def unknown(self) -> list[int]:
        """Chunks that the server has and that were never hashed here: the whole's digest needs them."""
        count = chunk_count(self.size or 0)
        return [index for first, end in self._known.gaps(count) for index in range(first, end)]

    def finish(self) -> Finish:
        """What to ask when all chunks are sent."""
        size = self.size or 0
        digests = self._digests[: chunk_count(size) * DIGEST]
        return Finish(number=self.number, size=size, digest=file_digest(digests, size))

    def forget(self) -> None:
        """Begin anew: another content, another transfer."""
        self.id = ""
        self.number = -1
        self.sent = self.resumed = 0
        self._digests.clear()
        self._known = Spans()
        self._todo = []
