"""What a store remembers of a producer: how far it is, and enough of its last sequences to know them again.

A sequence at or below the watermark was taken. Its content is compared for the last `REMEMBERED` sequences, by 8 bytes
of hash each; its position is known for the last `RUNS` appends. Both are bounded, the watermark itself forgets nothing.
The rules are here once, for every store.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from anyplug.errors import Conflict, Gap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.store.base import Entry, Producer

__all__ = ["HASH_SIZE", "REMEMBERED", "RUNS", "Watermark", "digests"]

HASH_SIZE: Final = 8
REMEMBERED: Final = 64
RUNS: Final = 64


def digests(topic: str, entries: Sequence[Entry]) -> bytes:
    """What tells contents apart, `HASH_SIZE` bytes an entry: topic, content type and body; not who sent it and when,
    which differ when it is sent again.
    """
    found = []
    for entry in entries:
        about = f"{topic}\n{len(entry.content_type)}\n{entry.content_type}".encode()
        hashed = blake2b(about, digest_size=HASH_SIZE)
        hashed.update(entry.body)
        found.append(hashed.digest())
    return b"".join(found)


class Watermark(msgspec.Struct, array_like=True):
    """One producer, seen from the store."""

    last: int = 0
    """The last sequence taken."""
    hashes: bytes = b""
    """Hashes of the last sequences, the newest at the end."""
    runs: list[tuple[int, int, int]] = []
    """Sequences that lie in a row: the first of them, its topic, its position."""

    def admit(self, producer: Producer, topic: int, hashes: bytes) -> list[int]:
        """Judge an append: the positions of its first entries, which were stored before. Changes nothing.

        Args:
            producer: who, and the sequence of the first entry.
            topic: the topic's number in the store.
            hashes: `digests` of the entries.

        Raises:
            Gap: the first entry skips some.
            Conflict: one that came before has other content.
        """
        first = producer.first
        if first > self.last + 1:
            raise Gap(producer.id.hex(), expected=self.last + 1, found=first)
        before = range(first, min(self.last + 1, first + len(hashes) // HASH_SIZE))
        oldest = self.last - len(self.hashes) // HASH_SIZE + 1
        for sequence in before:
            known = (sequence - oldest) * HASH_SIZE
            given = (sequence - first) * HASH_SIZE
            if known >= 0 and self.hashes[known : known + HASH_SIZE] != hashes[given : given + HASH_SIZE]:
                raise Conflict(producer.id.hex(), sequence=sequence)
        return [self._position(sequence, topic) for sequence in before]

    def _position(self, sequence: int, topic: int) -> int:
        for first, where, position in reversed(self.runs):
            if first <= sequence:
                return position + sequence - first if where == topic else 0
        return 0

    def take(self, topic: int, position: int, hashes: bytes) -> None:
        """Note that the next sequences are stored from `position` on."""
        first = self.last + 1
        latest = self.runs[-1] if self.runs else None
        if latest is None or latest[1] != topic or latest[2] - latest[0] != position - first:
            self.runs.append((first, topic, position))
            del self.runs[:-RUNS]
        self.last += len(hashes) // HASH_SIZE
        self.hashes = (self.hashes + hashes)[-REMEMBERED * HASH_SIZE :]
