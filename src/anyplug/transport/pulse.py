"""One timer for all connections of an event loop.

Each connection wants to be looked at once a second: is the peer alive, does it take what is queued for it, does its
message get finished? A timer a connection would cost more memory than the rest of an idle connection. Instead the
connections are dealt into a few groups, and every turn of the pulse looks at one group, so that ten thousand of them
cause no stutter either. Time is the loop's monotonic clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import asyncio

__all__ = ["Pulse", "Ticking"]

GROUPS = 8
"""Turns a second, and so the fraction of the connections that one turn looks at."""


class Ticking(Protocol):
    """What a pulse can look after."""

    def tick(self, now: float) -> None:
        """Called about once a second with the loop's time."""


class Pulse:
    """The timer of one event loop; it runs while there is something to look after."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._groups: list[set[Ticking]] = [set() for _ in range(GROUPS)]
        self._last = 0
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Pulse:
        """The pulse of this loop."""
        pulse = _PULSES.get(loop)
        if pulse is None:
            pulse = _PULSES[loop] = cls(loop)
        return pulse

    def add(self, member: Ticking) -> None:
        """Look after this one from now on."""
        self._last = (self._last + 1) % GROUPS
        self._groups[self._last].add(member)
        if self._timer is None:
            self._timer = self._loop.call_later(1 / GROUPS, self._turn)

    def discard(self, member: Ticking) -> None:
        """Look after this one no more."""
        for group in self._groups:
            group.discard(member)
        if self._timer is not None and not any(self._groups):
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        self._timer = self._loop.call_later(1 / GROUPS, self._turn)
        group = self._groups[self._next]
        self._next = (self._next + 1) % GROUPS
        now = self._loop.time()
        for member in tuple(group):
            try:
                member.tick(now)
            except Exception as error:  # noqa: BLE001 - one member's failure is not the others'
                self._loop.call_exception_handler({"message": f"the tick of {member!r} failed", "exception": error})


_PULSES: WeakKeyDictionary[asyncio.AbstractEventLoop, Pulse] = WeakKeyDictionary()
