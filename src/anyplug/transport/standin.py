"""A stand-in: what reads a link's stream in its place for a while, into buffers of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyplug.transport.link import Link

__all__ = ["StandIn"]


class StandIn(asyncio.BufferedProtocol):
    """Reads for a link; everything else is passed on to it."""

    __slots__ = ("_link",)

    def __init__(self, link: Link) -> None:
        self._link = link

    def data_received(self, data: bytes) -> None:
        """Bytes came from a stream that knows no buffers."""
        self._link.data_received(data)

    def eof_received(self) -> bool:
        """The peer has ended its half."""
        return self._link.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The stream is gone."""
        self._link.connection_lost(exc)

    def pause_writing(self) -> None:
        """The peer takes nothing for now."""
        self._link.pause_writing()

    def resume_writing(self) -> None:
        """The peer takes bytes again."""
        self._link.resume_writing()
