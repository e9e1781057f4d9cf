"""What `header` and `prefix` have in common: a length of fixed width, then that many bytes.

A `SizedDecoder` holds bytes only while a message is incomplete, and then knows how many it needs: first the width of
the header, then header and payload. So the cost of a message does not depend on the pieces it comes in, and a declared
size takes no memory: only bytes that came do. Messages that lie whole in one piece never pass through that store. The
subclass cuts them straight out of the piece in `_cut`, one tight loop that stops at anything else: too few bytes, a bad
length, one above the limit. All judgement of lengths is in `_size`, which is asked once for a header the loop stopped
at.
"""

from __future__ import annotations

from abc import abstractmethod

from anyplug.errors import Broken, ProtocolError, TooLarge
from anyplug.framing.base import Decoder

__all__ = ["SizedDecoder", "too_large"]


def too_large(size: int, limit: int, *, field: bytes, at: int) -> TooLarge:
    """The error of a length above the limit; shows the header as it came and its place in the stream."""
    error = TooLarge("message", size=size, limit=limit)
    error.problem += f" (the length header {field!r} at byte {at:,} of the stream)"
    return error


class SizedDecoder(Decoder):
    """Messages behind a length of `width` bytes; the subclass says how the length is written.

    A declared length above `limit` is an error at once, from the header alone.
    """

    __slots__ = ("_at", "_held", "_limit", "_need", "_offset", "_width")

    def __init__(self, *, limit: int, width: int) -> None:
        self.error = None
        self._limit = limit
        self._width = width
        self._held = bytearray()  # header and payload of the message that is not whole yet, as far as they came
        self._need = width  # the length `_held` has to reach next
        self._at = 0  # where in the stream `_held` begins
        self._offset = 0  # where in the stream the next piece begins

    @abstractmethod
    def _size(self, field: bytes, at: int) -> int:
        """The length in a whole header that begins at byte `at` of the stream.

        Raises:
            ProtocolError: it is no length, or one above the limit.
        """

    @abstractmethod
    def _cut(self, data: bytes, start: int, messages: list[bytes]) -> int:
        """Append all messages that lie whole in `data` from `start` on; return where the first other one begins."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream; return all messages that are whole now, in order.

        Raises:
            ProtocolError: an earlier call found a fault; the stream cannot go on.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        messages: list[bytes] = []
        try:
            start = self._cut(data, self._finish(data, messages) if self._held else 0, messages)
            if start < len(data):
                self._hold(data, start)
        except ProtocolError as error:
            self.error = error.with_traceback(None)
            self._held = bytearray()
        self._offset += len(data)
        return messages

    def feed_eof(self) -> list[bytes]:
        """The stream has ended; that is in order only between two messages.

        Raises:
            ProtocolError: an earlier call found a fault.
            Broken: the stream ended inside a message; says how many bytes of how many came.
        """
        if self.error is not None:
            raise self.error.with_traceback(None)
        if not self._held:
            return []
        came, width = len(self._held), self._width
        if came < width:
            found = bytes(self._held)
            raise Broken(f"the stream ended inside a length header, {came} of {width} bytes came: {found!r}")
        raise Broken(f"the stream ended inside a message, {came - width:,} of {self._need - width:,} bytes came")

    @property
    def pending(self) -> int:
        """Bytes held of a message that is not whole yet, its header among them."""
        return len(self._held)

    def _finish(self, data: bytes, messages: list[bytes]) -> int:
        """Add to the message that is held what `data` has of it; return where in `data` it ends."""
        held, width, start = self._held, self._width, 0
        if len(held) < width:
            start = width - len(held)
            held += data[:start]
            if len(held) < width:
                return len(data)
            self._need = width + self._size(bytes(held), self._at)
        stop = start + self._need - len(held)
        held += data[start:stop]
        if len(held) < self._need:
            return len(data)
        messages.append(bytes(memoryview(held)[width:]))
        self._held = bytearray()
        return stop

    def _hold(self, data: bytes, start: int) -> None:
        """Keep the rest of `data`, which is the beginning of a message."""
        width, at = self._width, self._offset + start
        if len(data) - start >= width:
            self._need = width + self._size(data[start : start + width], at)
        self._held = bytearray(memoryview(data)[start:])
        self._at = at
