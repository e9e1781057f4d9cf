"""Turns: how the connections of one event loop share it.

A loop serves one connection after the other. One that brings much, or asks much at once, would keep it for as long as
there is something to do for it, and all others would wait: the loop reads from one stream up to 32 times before it
looks at the next. So where there are others a connection has its turn and then waits for the next one. A connection
that is alone loses nothing by going on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyplug.transport.link import Link

__all__ = ["FULL", "TURN", "crowded", "rest"]

FULL = 64 * 1024
"""From so many bytes at once on, the loop would go on reading from the same stream."""

TURN = 50e-6
"""Seconds of answering in one turn: what some dozens of small questions take. What is left waits for the next turn."""


def crowded(link: Link) -> bool:
    """Whether there are other connections, which wait while this one is served."""
    return link.links is not None and len(link.links) > 1


def rest(link: Link) -> None:
    """Read no more from this link in this turn of the loop."""
    if link.resting or link.paused or link.transport.is_closing():
        return
    link.resting = True
    link.transport.pause_reading()
    link.loop.call_soon(_rested, link)


def _rested(link: Link) -> None:
    link.resting = False
    if not link.paused and not link.transport.is_closing():
        link.transport.resume_reading()
