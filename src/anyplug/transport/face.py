"""What every transport made here has in common: facts, its protocol, and the water marks of what waits to be
written.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HIGH_WATER", "Face"]

HIGH_WATER: Final = 64 * 1024
"""Bytes queued at which the protocol is asked to pause; asyncio's own default."""


class Face(asyncio.Transport):
    """The half of a transport that touches nothing below it."""

    __slots__ = ("_closing", "_extra", "_high", "_loop", "_lost", "_low", "_paused", "_protocol", "_queued")

    _extra: dict[str, Any]

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, extra: Mapping[str, object]
    ) -> None:
        """Without touching the protocol yet."""
        super().__init__(dict(extra))
        self._loop = loop
        self._protocol = protocol
        self._queued = 0
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._paused = self._closing = self._lost = False

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return f"<{type(self).__name__} {state} queued={self._queued}>"

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol of this end."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol have this end from now on."""
        self._protocol = cast("asyncio.Protocol", protocol)

    def is_closing(self) -> bool:
        """Whether it is closed, or will be once everything queued has gone."""
        return self._closing

    def get_write_buffer_size(self) -> int:
        """Bytes queued."""
        return self._queued

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high water mark, bytes."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set above how many queued bytes the protocol is paused, and at how many it resumes: a quarter by default."""
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"the high water mark ({high}) must be at least the low one ({low}), and that at least 0")
        self._high, self._low = high, low
        self._tell_pause()

    def _tell_pause(self) -> None:
        if self._queued > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def _tell_resume(self) -> None:
        if self._paused and self._queued <= self._low and not self._lost:
            self._paused = False
            self._protocol.resume_writing()
