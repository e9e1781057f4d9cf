"""The reasons that cross the wire: one closed set, for refusals, failed requests and ends."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Code"]


class Code(IntEnum):
    """Why a conversation was refused, or a request failed, or a connection ended (u16 on the wire)."""

    OK = 0
    """An orderly end: nothing is wrong."""
    BUSY = 1
    """A limit on connections or work is reached. Try again after a while."""
    GOING_AWAY = 2
    """The peer is draining: it restarts or stops. Connect again."""
    IDLE = 3
    """Nothing was said for longer than the idle deadline."""
    SLOW = 4
    """A stage was not finished by its deadline, or data was not read fast enough."""
    UNKNOWN_SERVICE = 10
    """No service of that name is offered here."""
    UNKNOWN_VERSION = 11
    """No version of the protocol in common."""
    UNKNOWN_CODEC = 12
    """The service does not speak that codec."""
    NOT_ALLOWED = 13
    """The token, certificate or address is not entitled to this."""
    UNSUPPORTED = 14
    """What was asked for does not fit here: REQUEST to a service that holds a conversation, HTTP or TLS where it is
    not offered."""
    PROTOCOL = 20
    """Bytes that break the protocol: an unknown frame, or a frame in the wrong state."""
    TOO_LARGE = 21
    """A message, part count, nesting or queue above its limit."""
    BAD_MESSAGE = 22
    """A whole message that could not be decoded or has the wrong type."""
    FAILED = 30
    """The service failed on this message. The details are in the log of the server, and only there."""
    STORE_FULL = 40
    """No room to keep anything more. Reads go on; try again after a while."""
    STORE_FAILED = 41
    """The store has stopped after a disk error, and the server with it. What was not acknowledged is unknown: send it
    again, under the same sequence, once the server is back."""
    GAP = 42
    """A producer's sequence skipped some. Send again from the one that is expected."""
    CONFLICT = 43
    """A producer's sequence came before with other content. The producer has gone back in time, as a restored copy
    does: it needs a new identity."""
    CHANGED = 44
    """A shelf value has another version than the write expected. Read it, and decide again."""
    BEYOND_END = 45
    """A position or a cursor that does not exist yet."""
    TAKEN_OVER = 46
    """A newer connection posts as this producer, or carries on this transfer. The older one is told and let go."""
    NOT_FOUND = 50
    """No file or transfer of that name is there."""
    INTEGRITY = 51
    """What came is not what was announced: a size, a chunk or a digest. Nothing of it was kept; send it again."""

    @property
    def word(self) -> str:
        """The code as it is written in logs, JSON and plain text: ``unknown_service``."""
        return self.name.lower()
