"""Frames: the units on the wire of the plug protocol.

A frame is a u32 in network order, ``kind << 24 | length``, and then ``length`` bytes of payload. Kind 0 is data, so
that a data frame's header *is* its length and the hot test of the decoder is one comparison: a header at or below the
limit is data, and small enough.

The decoder gives runs: neighbouring frames of one kind come as one pair ``(kind, payloads)``. It keeps only what is
incomplete, in the pieces in which it came, and knows how much it waits for: a frame that comes byte by byte costs its
length once and not its square, and a large one is copied once. A frame is judged by its header alone, before anything
of its payload is kept.

CONTENT is large and goes to a disk, not to a codec. Its payload is never joined: it comes as the pieces in which the
network brought it, one frame a run; or in a buffer that a shell has read into (`FrameDecoder.room`).
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache, lru_cache
from struct import Struct
from typing import TYPE_CHECKING, cast

from anyplug.errors import ProtocolError, TooLarge
from anyplug.limits import CHUNK_MAX, DEFAULTS, FRAME_MAX, HELLO_MAX
from anyplug.wire.arriving import Arriving

if TYPE_CHECKING:
    from anyplug.wire.arriving import Buffers

__all__ = [
    "ACK",
    "CONTENT",
    "HEADER",
    "ID_SIZE",
    "LENGTH_MAX",
    "PING_MAX",
    "PREFACE",
    "SEQUENCE",
    "SEQUENCE_MAX",
    "FrameDecoder",
    "Kind",
    "Run",
    "encode_frame",
    "number_size",
]

PREFACE = b"\x89PLUG\r\n\n"
"""What both sides send first. The first byte is no text and no other protocol; the line ends show a link that
translates them (as the signature of PNG does: W3C PNG, section 5.2)."""

HEADER = Struct(">I")
"""The frame header."""

_unpack_header = HEADER.unpack_from  # looked up once for the hot path

LENGTH_MAX = (1 << 24) - 1
"""The largest length that a header can state, bytes; its low 24 bits. No frame may be so large: see `FRAME_MAX`."""


class Kind(IntEnum):
    """The kinds of frames (u8).

    A number is never used again for another meaning; 15 to 31 are kept for later services.
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
    """The beginning of the payload of the next DATA, REQUEST, REPLY or POST frame, which goes on in the following
    frame."""
    POST = 11
    """u64 sequence, then a message that is to be kept, and acknowledged once it is."""
    ACK = 12
    """u64 sequence, u32 count, u64 position, u8 how: so many posts from that sequence on are kept."""
    NACK = 13
    """u64 sequence, then why: this post was not taken, nor what came behind it; the sequence is the next that will."""
    CONTENT = 14
    """u32 transfer, u32 chunk, 32 bytes of digest, then the chunk of a file."""


ID_SIZE = 4
"""Bytes of a request's id, which stand before the body of REQUEST, REPLY and ERROR."""

SEQUENCE = Struct(">Q")
"""The sequence of a post, which stands before the body of POST and NACK. Sequences begin at 1."""

SEQUENCE_MAX = (1 << 63) - 1
"""The largest sequence of a post, and the largest position: what every store can count to."""

ACK = Struct(">QIQB")
"""The payload of ACK."""

CONTENT = Struct(">II32s")
"""What stands before the bytes of a chunk: the number of the transfer on this connection, the index of the chunk, and
the BLAKE3 of its bytes."""

PING_MAX = 64
"""The largest PING payload, bytes: enough for a time stamp and a nonce."""

_CONTROL_MAX = {
    Kind.HELLO: HELLO_MAX,
    Kind.WELCOME: HELLO_MAX,
    Kind.REFUSED: HELLO_MAX,
    Kind.ERROR: HELLO_MAX,
    Kind.BYE: HELLO_MAX,
    Kind.NACK: HELLO_MAX,
    Kind.ACK: ACK.size,
    Kind.CONTENT: CONTENT.size + CHUNK_MAX,
    Kind.PING: PING_MAX,
    Kind.PONG: PING_MAX,
}

Run = tuple[int, list[bytes]]
"""Neighbouring frames of one kind: the kind and their payloads. Of CONTENT one frame, and the pieces of its payload."""


def number_size(kind: int) -> int:
    """Bytes of what stands, or may stand, before the body of a message of this kind: an id, a sequence or nothing."""
    return _NUMBER_SIZE.get(kind, 0)


_NUMBER_SIZE: dict[int, int] = {
    Kind.REQUEST: ID_SIZE,
    Kind.REPLY: ID_SIZE,
    Kind.POST: SEQUENCE.size,
    Kind.PART: SEQUENCE.size,
}


def encode_frame(kind: Kind, payload: bytes) -> bytes:
    """One frame. The caller has seen to it that the payload fits (`FRAME_MAX`)."""
    return HEADER.pack(kind << 24 | len(payload)) + payload


@cache
def _most_of(message: int) -> tuple[int, ...]:
    """The largest payload of each kind, where messages have this limit; one tuple for all connections."""
    most = {
        **{kind: min(FRAME_MAX, message + number_size(kind)) for kind in Kind},
        **_CONTROL_MAX,
    }
    return tuple(most[kind] for kind in Kind)


_CONTENT = int(Kind.CONTENT)
_POST = int(Kind.POST)

_unpack_post = Struct(">IQ").unpack_from  # what stands before the body of a POST frame
_POST_HEAD = HEADER.size + SEQUENCE.size


@lru_cache(maxsize=256)
def _post_frame(size: int) -> Struct:
    """A POST frame with a body of so many bytes: its header, its sequence, its body."""
    return Struct(f">IQ{size}s")


_SMALL = 4096
"""Pieces that together are smaller, bytes, are kept as one."""


class FrameDecoder:
    """Bytes in, runs of frames out. The contract of errors is that of `anyplug.framing.Decoder`.

    Args:
        message: the largest message taken, bytes. A frame that alone holds more is refused by its header.
    """

    __slots__ = ("_content", "_have", "_held", "_message", "_most", "_need", "buffers", "error")

    def __init__(self, message: int = DEFAULTS.message) -> None:
        self._held: list[bytes] = []  # the pieces of a frame that is not whole yet; the first holds its header
        self._have = 0
        self._need = 0
        self._content: Arriving | None = None  # of a CONTENT frame whose header is here: what came of its payload
        self._message = message
        self._most = _most_of(message)
        self.buffers: Buffers | None = None
        """Where chunks of files may go."""
        self.error: ProtocolError | None = None
        """The fault that ended this stream, or None. Look at it after each `feed`."""

    @property
    def pending(self) -> int:
        """Bytes held of a frame that is not whole yet."""
        if self._content is not None:
            return HEADER.size + self._content.here
        return self._have

    @property
    def room(self) -> memoryview | None:
        """Where the next bytes of the stream may be put instead of being fed; say `filled` then."""
        return None if self._content is None else self._content.room

    def feed(self, data: bytes) -> list[Run]:
        """Take the next bytes; return all frames that are whole now.

        Raises:
            ProtocolError: an earlier call found a fault.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        if self._content is not None:
            return self._fill(self._content, data)
        at = 0
        runs: list[Run] = []
        if self._held:
            have = self._have + len(data)
            if have < self._need:
                self._hold(data)
                return runs
            if self._need == HEADER.size:
                data = b"".join((*self._held, data))
            else:
                at = self._need - self._have
                runs.append(self._join(data, at))
            self._held.clear()
            self._have = 0
        at = self._cut(data, at, runs)
        if at < len(data) and self.error is None:
            self._keep(data[at:] if at else data)
        return runs

    def whole(self, data: bytes) -> int:
        """The kind of the frame that ``data`` is, where it is one frame, whole, within its limit, and nothing is held;
        else -1. Nothing is taken: who does not take the payload feeds the bytes.
        """
        size = len(data) - 4
        if size < 0 or self._have or self._content is not None:
            return -1
        (head,) = _unpack_header(data)
        kind: int = head >> 24
        if head & LENGTH_MAX != size or kind >= len(self._most) or size > self._most[kind]:
            return -1
        return kind

    def posts(self, data: bytes) -> list[tuple[int, bytes]] | None:
        """The sequences and bodies of the POST frames that ``data`` is, where it is nothing else, they are whole, of
        one size, within their limit, their sequences valid and each the next, and nothing is held; else None. Nothing
        is taken: as `whole`.
        """
        if self._have or self._content is not None or len(data) < _POST_HEAD:
            return None
        head, sequence = _unpack_post(data)
        size = (head & LENGTH_MAX) - SEQUENCE.size
        if head >> 24 != _POST or not 0 <= size <= self._most[_POST] - SEQUENCE.size:
            return None
        count, rest = divmod(len(data), _POST_HEAD + size)
        if rest or not 0 < sequence <= SEQUENCE_MAX - count + 1:
            return None
        items: list[tuple[int, bytes]] = []
        for header, found, body in _post_frame(size).iter_unpack(data):
            if header != head or found != sequence:
                return None
            items.append((found, body))
            sequence += 1
        return items

    def drop(self) -> None:
        """Give up what is held: the rest of it will not be fed."""
        self._held = []
        self._have = 0
        self._content = None

    def filled(self, count: int) -> list[Run]:
        """So many bytes were put into `room`; the same as to feed them."""
        content = self._content
        assert content is not None  # noqa: S101 - there was room
        rest = content.fill(count)
        if content.missing:
            return []
        self._content = None
        return [_whole(content), *self.feed(rest)]

    def _fill(self, content: Arriving, data: bytes) -> list[Run]:
        """Take more of a CONTENT frame, and what comes behind it."""
        missing = content.missing
        if len(data) < missing:
            content.add(data)
            return []
        self._content = None
        if len(data) == missing:
            content.add(data)
            return [_whole(content)]
        content.add(data[:missing])
        return [_whole(content), *self.feed(data[missing:])]

    def _cut(self, data: bytes, at: int, runs: list[Run]) -> int:
        """Put all whole frames of ``data``, from an offset on, behind these runs; returns where the rest begins."""
        most = self._most
        limit, kinds, size = most[0], len(most), len(data)
        unpack = HEADER.unpack_from
        last = size - 4
        kind, payloads = runs[-1] if runs else (-1, [])
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
            if found == _CONTENT:
                kind = -1
                runs.append((found, [data[start:end]]))
                at = end
                continue
            if found != kind:
                payloads = []
                kind = found
                runs.append((kind, payloads))
            payloads.append(data[start:end])
            at = end
        return at

    def _join(self, data: bytes, missing: int) -> Run:
        """The frame that is held, with what was missing of it: each byte is copied once."""
        held = self._held
        (head,) = HEADER.unpack_from(held[0])
        return head >> 24, [b"".join((memoryview(held[0])[HEADER.size :], *held[1:], memoryview(data)[:missing]))]

    def _fault(self, number: int, length: int) -> ProtocolError:
        """What is wrong with a frame, told from its header."""
        if number >= len(Kind):
            return ProtocolError(f"unknown frame kind {number}; known are 0 to {len(Kind) - 1}")
        kind = Kind(number)
        most = _CONTROL_MAX.get(kind, FRAME_MAX)
        if length > most:
            return TooLarge(f"{kind.name} frame", size=length, limit=most)
        return TooLarge("message", size=length - number_size(kind), limit=self._message)

    def _keep(self, rest: bytes) -> None:
        head = HEADER.unpack_from(rest)[0] if len(rest) >= HEADER.size else 0
        if head >> 24 == _CONTENT:
            size = head & LENGTH_MAX
            self._content = Arriving(rest[HEADER.size :], size, head=CONTENT.size, buffers=self.buffers)
            return
        self._hold(rest)
        self._need = HEADER.size + (head & LENGTH_MAX)

    def _hold(self, data: bytes) -> None:
        """Keep a piece. Small ones are joined, so that a frame that comes byte by byte takes no object for each."""
        held = self._held
        if held and (len(held[-1]) + len(data) < _SMALL or len(held[-1]) < HEADER.size):
            held[-1] += data
        else:
            held.append(data)
        self._have += len(data)


def _whole(content: Arriving) -> Run:
    return Kind.CONTENT, cast("list[bytes]", content.pieces)  # views go where bytes go, to who reads CONTENT
