"""Filling: a large chunk of a file is read from the stream right into the buffer that it is written from.

A loop reads into memory of its own and copies what came into an object for the link, 256 KB at a time. For chunks of a
mebibyte that copy, and the many turns, cost as much as hashing. While one is on its way to a session that has room for
it (`anyplug.wire.Session.room`), this stands between the stream and its link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyplug.transport.standin import StandIn
from anyplug.transport.turns import FULL, crowded, rest

if TYPE_CHECKING:
    from anyplug.transport.link import Link

__all__ = ["LOOK", "SHARE", "Filling", "fill"]

SHARE: Final = 256 * 1024
"""Bytes that are read at once where there are other connections; else as much as there is room."""

LOOK: Final = 4 * 1024
"""Bytes that are read at once to see what follows a chunk."""


def fill(link: Link) -> None:
    """The session of this link has room: read into that, where the stream is a socket's."""
    transport = link.transport
    if transport.get_protocol() is link and transport.get_extra_info("socket") and not transport.is_closing():
        transport.set_protocol(Filling(link))


class Filling(StandIn):
    """Stands between the stream and a link whose session has room, until something else than a chunk comes."""

    __slots__ = ("_look", "_room")

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self._room: memoryview | None = None
        self._look = memoryview(b"")

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        link = self._link
        # Who has said goodbye drops what still comes; that is the link's business.
        self._room = room = link.session.room if link.session.sending else None
        if room is None:
            self._look = memoryview(bytearray(LOOK))
            return self._look
        return room[:SHARE] if crowded(link) else room

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came."""
        link = self._link
        filled, self._room = self._room is not None, None
        if filled:
            link.session.receive_filled(nbytes)
            link.data_received(b"")  # which hands over what happened
            if nbytes >= FULL and crowded(link):
                rest(link)
            return
        link.data_received(bytes(self._look[:nbytes]))
        if (link.session.room is None or not link.session.sending) and not link.transport.is_closing():
            link.transport.set_protocol(link)
