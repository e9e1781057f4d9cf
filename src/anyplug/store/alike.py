"""Entries that came together and differ in their bodies alone, without an object for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from anyplug.store.base import Entry, check_entries, check_value

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Alike", "size_of"]


class Alike(Sequence[Entry]):
    """A sequence of entries, to be appended.

    Args:
        bodies: of each of them.
        received: as the fields of `Entry`, and so are the others.
    """

    __slots__ = ("bodies", "content_type", "name", "received", "sender")

    def __init__(
        self, bodies: Sequence[bytes], received: int, *, content_type: str = "", sender: str = "", name: str = ""
    ) -> None:
        self.bodies = bodies
        self.received = received
        self.content_type = content_type
        self.sender = sender
        self.name = name

    def __len__(self) -> int:
        """How many they are."""
        return len(self.bodies)

    @overload
    def __getitem__(self, at: int) -> Entry: ...

    @overload
    def __getitem__(self, at: slice) -> Alike: ...

    def __getitem__(self, at: int | slice) -> Entry | Alike:
        """One of them, or some, which are alike as well."""
        if isinstance(at, int):
            return Entry(self.bodies[at], self.received, self.content_type, self.sender, self.name)
        about = {"content_type": self.content_type, "sender": self.sender, "name": self.name}
        return Alike(self.bodies[at], self.received, **about)

    def __iter__(self) -> Iterator[Entry]:
        """All of them."""
        received, content_type, sender, name = self.received, self.content_type, self.sender, self.name
        return (Entry(body, received, content_type, sender, name) for body in self.bodies)


def size_of(entries: Sequence[Entry]) -> int:
    """The bytes of all bodies.

    Raises:
        LocalError: as `check_entries`.
    """
    if not isinstance(entries, Alike):
        return check_entries(entries)
    bodies = entries.bodies
    if set(map(type, bodies)) - {bytes}:
        return check_entries(entries)  # which says what it is
    check_value(b"", entries.received, entries.content_type, entries.sender, entries.name)
    return sum(map(len, bodies))
