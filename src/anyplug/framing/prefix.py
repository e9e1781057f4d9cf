"""The framing `prefix`: the length as u32 in network byte order (big-endian), then the payload.

For programs that speak to programs: any bytes can travel, and a message costs four bytes more.
"""

from __future__ import annotations

import struct
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from anyplug.errors import TooLarge
from anyplug.framing.base import Framing
from anyplug.framing.options import check_number
from anyplug.framing.sized import SizedDecoder, too_large
from anyplug.limits import DEFAULTS, PREFIX_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Prefix", "PrefixDecoder"]

_U32 = struct.Struct(">I")


class Prefix(Framing):
    """Messages behind their length, u32 big-endian.

    Args:
        limit: the largest message, bytes, in either direction; more than a u32 can state counts as `PREFIX_MAX`.

    Raises:
        LocalError: the limit is less than 1.
    """

    __slots__ = ("limit",)

    name = "prefix"
    options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, limit: int = DEFAULTS.message) -> None:
        self.limit = min(check_number("the limit of framing prefix", limit, least=1), PREFIX_MAX)

    def decoder(self) -> PrefixDecoder:
        """A new decoder for one stream."""
        return PrefixDecoder(limit=self.limit)

    def encode(self, body: bytes) -> bytes:
        """The message behind its length.

        Raises:
            TooLarge: it is larger than the limit.
        """
        size = len(body)
        if size > self.limit:
            raise TooLarge("message", size=size, limit=self.limit)
        return _U32.pack(size) + body

    def encode_many(self, bodies: Sequence[bytes]) -> bytes:
        """Several messages, each behind its length; the errors of `encode`, then nothing is encoded."""
        sizes = list(map(len, bodies))
        largest = max(sizes, default=0)
        if largest > self.limit:
            raise TooLarge("message", size=largest, limit=self.limit)
        return b"".join(chain.from_iterable(zip(map(_U32.pack, sizes), bodies, strict=True)))


class PrefixDecoder(SizedDecoder):
    """The reading side of `Prefix`."""

    __slots__ = ()

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit, width=_U32.size)

    def _size(self, field: bytes, at: int) -> int:
        (size,) = _U32.unpack(field)
        if size > self._limit:
            raise too_large(size, self._limit, field=field, at=at)
        return int(size)

    def _cut(self, data: bytes, start: int, messages: list[bytes]) -> int:
        limit, end, append, unpack = self._limit, len(data), messages.append, _U32.unpack_from
        last = end - 4
        while start <= last:
            (size,) = unpack(data, start)
            body = start + 4
            stop = body + size
            if stop > end or size > limit:
                break
            append(data[body:stop])
            start = stop
        return start
