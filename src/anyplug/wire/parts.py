"""What lies inside the frames of messages: ids, and messages larger than a frame.

A message whose payload does not fit one frame goes as PART frames and a last frame of its own kind (DATA, REQUEST,
REPLY or POST); the payload is all of them joined. Parts of one message are not mixed with other messages; PING,
PONG, ERROR, ACK and NACK may come between. The receiver counts bytes and parts and stops at the first too many: the
message as a whole takes no more memory than its limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyplug.errors import ProtocolError, TooLarge
from anyplug.limits import FRAME_MAX
from anyplug.wire.frames import HEADER, SEQUENCE, SEQUENCE_MAX, Kind, number_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from struct import Struct

    from anyplug.limits import Limits

__all__ = ["Assembly", "cut_ids", "cut_sequences", "split"]


class Assembly:
    """The parts of one message as they come."""

    __slots__ = ("_message", "_most", "_parts", "size")

    def __init__(self, limits: Limits) -> None:
        self._message = limits.message
        # A message in full frames is taken whatever the limit of parts says: that one is against tiny parts.
        self._most = max(limits.parts, (limits.message + SEQUENCE.size) // FRAME_MAX)
        self._parts: list[bytes] = []
        self.size = 0
        """Bytes held."""

    def add(self, payload: bytes) -> None:
        """Take the payload of a PART frame.

        Raises:
            TooLarge: too many bytes or parts.
        """
        if len(self._parts) >= self._most:
            raise TooLarge("message", size=len(self._parts) + 1, limit=self._most, unit="parts")
        self._grow(payload, SEQUENCE.size)
        self._parts.append(payload)

    def finish(self, kind: int, payload: bytes) -> bytes:
        """The whole payload, now that its last frame is here.

        Raises:
            TooLarge: the message is above the limit.
        """
        self._grow(payload, number_size(kind))
        return b"".join([*self._parts, payload])

    def _grow(self, payload: bytes, spare: int) -> None:
        self.size += len(payload)
        if self.size - spare > self._message:
            raise TooLarge("message", size=self.size - spare, limit=self._message)


def split(kind: Kind, prefix: bytes, body: bytes) -> Iterator[bytes | memoryview]:
    """The frames of a payload that is larger than one frame takes, as pieces to be joined; the body is not copied.

    Args:
        kind: DATA, REQUEST, REPLY or POST.
        prefix: what stands before the body: the id, the sequence, or nothing.
        body: the message.
    """
    rest = memoryview(body)
    while len(prefix) + len(rest) > FRAME_MAX:
        yield HEADER.pack(Kind.PART << 24 | FRAME_MAX) + prefix
        room = FRAME_MAX - len(prefix)
        yield rest[:room]
        rest = rest[room:]
        prefix = b""
    yield HEADER.pack(kind << 24 | len(prefix) + len(rest)) + prefix
    yield rest


def cut_ids(payloads: list[bytes]) -> tuple[list[tuple[int, bytes]], ProtocolError | None]:
    """Payloads of REQUEST or REPLY as pairs of id and body.

    Returns:
        The pairs up to the first payload that has no valid id, and what is wrong with that one.
    """
    return _cut(payloads, HEADER, "request id", "ids")


def cut_sequences(payloads: list[bytes]) -> tuple[list[tuple[int, bytes]], ProtocolError | None]:
    """Payloads of POST as pairs of sequence and body; as `cut_ids`."""
    return _cut(payloads, SEQUENCE, "sequence", "sequences")


def _cut(
    payloads: list[bytes], number: Struct, what: str, several: str
) -> tuple[list[tuple[int, bytes]], ProtocolError | None]:
    unpack, size = number.unpack_from, number.size
    items: list[tuple[int, bytes]] = []
    for payload in payloads:
        if len(payload) < size:
            return items, ProtocolError(f"a {what} of {len(payload)} bytes, expected {size}")
        (found,) = unpack(payload)
        if not 0 < found <= SEQUENCE_MAX:
            return items, ProtocolError(f"the {what} {found}; {several} begin at 1 and end below 2^63")
        items.append((found, payload[size:]))
    return items, None
