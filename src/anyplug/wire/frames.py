"""Frames: the units on the wire of the plug protocol.

A frame is a u32 in network order, ``kind << 24 | length``, and then ``length`` bytes of payload. Kind 0 is data, so
that a data frame's header *is* its length and the hot test of the decoder is one comparison: a header at or below the
limit is data, and small enough.

The decoder gives runs: neighbouring frames of one kind come as one pair ``(kind, payloads)``. It buffers only what is
incomplete and knows how much it waits for, so that a frame which comes byte by byte costs its length once and not its
square. A frame is judged by its header alone, before anything of its payload is kept.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from struct import Struct

from anyplug.errors import ProtocolError, TooLarge
from anyplug.limits import DEFAULTS, FRAME_MAX, HELLO_MAX

__all__ = ["HEADER", "ID_SIZE", "LENGTH_MAX", "PING_MAX", "PREFACE", "FrameDecoder", "Kind", "Run", "encode_frame"]

PREFACE = b"\x89PLUG\r\n\n"
"""What both sides send first. The first byte is no text and no other protocol; the line ends show a link that
translates them (as the signature of PNG does: W3C PNG, section 5.2)."""

HEADER = Struct(">I")
"""The frame header."""

LENGTH_MAX = (1 << 24) - 1
"""The largest length that a header can state, bytes; its low 24 bits. No frame may be so large: see `FRAME_MAX`."""


class Kind(IntEnum):
    """The kinds of frames (u8).

    A number is never used again for another meaning; 11 to 31 are kept for later services.
    """

    DATA = 0
    """A message of the conversation."""
    HELLO = 1
    """Client to server, first: the service wanted."""
    WELCOME = 2
    """Server to client: yes."""
    REFUSED = 3
    """Server to client: no, and why. The last frame."""
    REQUEST = 4
    """u32 id, then a message that wants an answer."""
    REPLY = 5
    """u32 id of the request, then the answer."""
    ERROR = 6
    """u32 id of the request (0: of no request), then why the message was not handled."""
    PING = 7
    """Up to 64 bytes that come back in a PONG."""
    PONG = 8
    """The bytes of the PING."""
    BYE = 9
    """The last frame of its sender, and why it ends."""
    PART = 10
    """The beginning of the payload of the next DATA, REQUEST or REPLY frame, which goes on in the following frame."""


ID_SIZE = 4
"""Bytes of a request's id, which stand before the body of REQUEST, REPLY and ERROR."""

PING_MAX = 64
"""The largest PING payload, bytes: enough for a time stamp and a nonce."""

_CONTROL_MAX = {
    Kind.HELLO: HELLO_MAX,
    Kind.WELCOME: HELLO_MAX,
    Kind.REFUSED: HELLO_MAX,
    Kind.ERROR: HELLO_MAX,
    Kind.BYE: HELLO_MAX,
    Kind.PING: PING_MAX,
    Kind.PONG: PING_MAX,
}

Run = tuple[int, list[bytes]]
"""Neighbouring frames of one kind: the kind and their payloads."""


def encode_frame(kind: Kind, payload: bytes) -> bytes:
    """One frame. The caller has seen to it that the payload fits (`FRAME_MAX`)."""
    return HEADER.pack(kind << 24 | len(payload)) + payload


@cache
def _most_of(message: int) -> tuple[int, ...]:
    """The largest payload of each kind, where messages have this limit; one tuple for all connections."""
    most = {
        **dict.fromkeys(Kind, min(FRAME_MAX, message + ID_SIZE)),
        **_CONTROL_MAX,
        Kind.DATA: min(FRAME_MAX, message),
    }
    return tuple(most[kind] for kind in Kind)


class FrameDecoder:
    """Bytes in, runs of frames out. The contract of errors is that of `anyplug.framing.Decoder`.

    Args:
        message: the largest message taken, bytes. A frame that alone holds more is refused by its header.
    """

    __slots__ = ("_held", "_message", "_most", "_need", "error")

    def __init__(self, message: int = DEFAULTS.message) -> None:
        self._held = bytearray()
        self._need = 0
        self._message = message
        self._most = _most_of(message)
        self.error: ProtocolError | None = None
        """The fault that ended this stream, or None. Look at it after each `feed`."""

    @property
    def pending(self) -> int:
        """Bytes held of a frame that is not whole yet."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Run]:
        """Take the next bytes; return all frames that are whole now.

        Raises:
            ProtocolError: an earlier call found a fault.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        held = self._held
        if held:
            held += data
            if len(held) < self._need:
                return []
            data = bytes(held)
            held.clear()
        runs, at = self._cut(data)
        if at < len(data) and self.error is None:
            self._keep(data[at:] if at else data)
        return runs

    def drop(self) -> None:
        """Give up what is held: the rest of it will not be fed."""
        self._held = bytearray()

    def _cut(self, data: bytes) -> tuple[list[Run], int]:
        """All whole frames of ``data`` as runs, and the offset of the first byte that is not in one."""
        runs: list[Run] = []
        most = self._most
        limit, kinds, size = most[0], len(most), len(data)
        unpack = HEADER.unpack_from
        last = size - 4
        at = 0
        kind = -1
        payloads: list[bytes] = []
        while at <= last:
            (head,) = unpack(data, at)
            if head <= limit:
                found = 0
            else:
                found = head >> 24
                head &= LENGTH_MAX
                if found >= kinds or head > most[found]:
                    self.error = self._fault(found, head)
                    break
            start = at + 4
            end = start + head
            if end > size:
                break
            if found != kind:
                payloads = []
                kind = found
                runs.append((kind, payloads))
            payloads.append(data[start:end])
            at = end
        return runs, at

    def _fault(self, number: int, length: int) -> ProtocolError:
        """What is wrong with a frame, told from its header."""
        if number >= len(Kind):
            return ProtocolError(f"unknown frame kind {number}; known are 0 to {len(Kind) - 1}")
        kind = Kind(number)
        most = _CONTROL_MAX.get(kind, FRAME_MAX)
        if length > most:
            return TooLarge(f"{kind.name} frame", size=length, limit=most)
        return TooLarge("message", size=length if kind is Kind.DATA else length - ID_SIZE, limit=self._message)

    def _keep(self, rest: bytes) -> None:
        self._held += rest
        self._need = 4 + (HEADER.unpack_from(rest)[0] & LENGTH_MAX) if len(rest) >= 4 else 4
