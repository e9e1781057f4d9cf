"""Standard input, read without holding up the event loop."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from anyplug.cli.hand import Hand
from anyplug.errors import LocalError, TooLarge
from anyplug.framing import make_framing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Stdin"]

PIECE = 64 * 1024
"""Bytes of one read: what a pipe holds by default."""


class Stdin:
    """Standard input of this process.

    Args:
        limit: the longest line, and the most that `whole` reads, bytes.
    """

    __slots__ = ("_hand", "_limit", "terminal")

    def __init__(self, limit: int) -> None:
        self._hand = Hand()
        self._limit = limit
        self.terminal = sys.stdin is not None and sys.stdin.isatty()
        """Whether somebody types it."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """What comes, as it comes.

        Raises:
            LocalError: it cannot be read.
        """
        while data := await self._hand.do(_read):
            yield data

    async def lines(self) -> AsyncIterator[list[bytes]]:
        """All lines that have come, without their ends; LF or CRLF ends one, and so does the end of the input.

        Raises:
            LocalError: it cannot be read.
            TooLarge: a line is longer than the limit.
        """
        decoder = make_framing("lines", limit=self._limit).decoder()
        async for data in self.pieces():
            lines = decoder.feed(data)
            if lines:
                yield lines
            if decoder.error is not None:
                raise decoder.error
        lines = decoder.feed_eof()
        if lines:
            yield lines

    async def whole(self) -> bytes:
        """All of it.

        Raises:
            LocalError: it cannot be read.
            TooLarge: it is more than the limit.
        """
        held = bytearray()
        async for data in self.pieces():
            held += data
            if len(held) > self._limit:
                raise TooLarge("message", size=None, limit=self._limit)
        return bytes(held)


def _read() -> bytes:
    try:
        return os.read(0, PIECE)
    except OSError as error:
        raise LocalError(f"standard input cannot be read: {error.strerror}") from error
