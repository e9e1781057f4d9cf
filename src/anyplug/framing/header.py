"""The framing `header`: the length in ASCII decimal digits, left-justified in a field of fixed width, then the payload.

It is the framing of many lessons on sockets: ``f"{len(body):<10}"`` before the body, ``int(header)`` at the other end.
What is read is what such a program would accept by ``int``, as far as it makes sense as a length: digits, with spaces
on either side. Signs, underscores, other white space, spaces between digits and a field without digits are no length.
"""

from __future__ import annotations

from typing import ClassVar

from anyplug.errors import ProtocolError, TooLarge
from anyplug.framing.base import Framing
from anyplug.framing.options import check_number
from anyplug.framing.sized import SizedDecoder, too_large
from anyplug.limits import DEFAULTS

__all__ = ["Header", "HeaderDecoder"]


class Header(Framing):
    """Messages behind their length in decimal digits.

    Args:
        limit: the largest message, bytes, in either direction; more than the field can state counts as all nines.
        width: the width of the length field, bytes, 1 to 20. The lessons use 10.

    Raises:
        LocalError: the limit is less than 1, or the width is out of range.
    """

    __slots__ = ("limit", "width")

    name = "header"
    options: ClassVar[tuple[str, ...]] = ("width",)

    def __init__(self, *, limit: int = DEFAULTS.message, width: int = 10) -> None:
        self.width = check_number("the width of framing header", width, least=1, most=20)
        self.limit = min(check_number("the limit of framing header", limit, least=1), 10**width - 1)

    def decoder(self) -> HeaderDecoder:
        """A new decoder for one stream."""
        return HeaderDecoder(limit=self.limit, width=self.width)

    def encode(self, body: bytes) -> bytes:
        """The message behind its length.

        Raises:
            TooLarge: it is larger than the limit.
        """
        size = len(body)
        if size > self.limit:
            raise TooLarge("message", size=size, limit=self.limit)
        return b"%-*d%b" % (self.width, size, body)


class HeaderDecoder(SizedDecoder):
    """The reading side of `Header`."""

    __slots__ = ()

    def _size(self, field: bytes, at: int) -> int:
        digits = field.strip(b" ")
        if not digits.isdigit():
            raise ProtocolError(
                f"bad length header: {field!r} at byte {at:,} of the stream, expected {self._width} bytes: "
                "decimal digits, padded with spaces; does the peer send a length before each message?"
            )
        size = int(digits)
        if size > self._limit:
            raise too_large(size, self._limit, field=field, at=at)
        return size

    def _cut(self, data: bytes, start: int, messages: list[bytes]) -> int:
        width, limit, end, append = self._width, self._limit, len(data), messages.append
        last = end - width
        while start <= last:
            body = start + width
            digits = data[start:body].strip(b" ")
            if not digits.isdigit():
                break
            size = int(digits)
            stop = body + size
            if stop > end or size > limit:
                break
            append(data[body:stop])
            start = stop
        return start
