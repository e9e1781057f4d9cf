"""Turns: how the connections of one event loop share it.

A loop serves one connection after the other. One that brings much, or asks much at once, would keep it for as long as
there is something to do for it, and all others would wait: the loop reads from one stream up to 32 times before it
looks at the next, 256 KB each time. So where there are others a connection has its turn and then waits for the next
one. A connection that is alone loses nothing by going on.

One that floods others with small messages is read in `Helpings` from then on: so little at once that what one turn has
to do for it takes them no longer than a few answers. Large messages are little work for their size, and are always read
as they come.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

from anyplug.messages import Data, Posts, Replies, Requests
from anyplug.transport.heap import keep_memory
from anyplug.transport.standin import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.messages import Event
    from anyplug.transport.link import Link

__all__ = ["FULL", "HELPING", "LEAST", "MEAN", "MOST", "MUCH", "TURN", "Crowd", "Helpings", "crowded", "rest", "share"]

MUCH: Final = 8 * 1024
"""From so many bytes at once on, a read is looked at more closely."""

FULL: Final = 64 * 1024
"""From so many bytes at once on, the loop would go on reading from the same stream."""

MEAN: Final = 2048
"""Messages up to this size, bytes on the average, are small: what they cost is their number."""

TURN: Final = 50e-6
"""Seconds of answering in one turn: what some dozens of small questions take. What is left waits for the next turn."""

HELPING: Final = 30e-6
"""Seconds that one turn should take with a helping in it, at most."""

LEAST, MOST = 2 * 1024, 32 * 1024
"""The smallest helping and the largest, bytes. With less than the smallest the turns themselves (what is ready, one
read, one write) would cost more than what is done in them."""


class Crowd(set["Link"]):
    """The open links of one server."""

    __slots__ = ("talking",)

    def __init__(self) -> None:
        super().__init__()
        self.talking = 0
        """How many of them were heard in the last second or so, or are that young."""

    def enter(self, link: Link) -> None:
        """A link has opened."""
        self.add(link)
        link.talking = True
        self.talking += 1

    def leave(self, link: Link) -> None:
        """A link is gone."""
        self.discard(link)
        self.note(link, talking=False)

    def note(self, link: Link, *, talking: bool) -> None:
        """Whether a link was heard since it was last asked."""
        self.talking += talking - link.talking
        link.talking = talking


def crowded(link: Link) -> bool:
    """Whether there are other connections, which would wait while this one is served."""
    return link.links is not None and len(link.links) > 1


def share(link: Link, size: int, bodies: list[bytes]) -> None:
    """So many bytes came at once, at least `MUCH`. Where there are others, see to it that they have their turn.

    Args:
        link: who brought them; what else happened to its session was not handed on yet.
        size: how many bytes.
        bodies: the messages among them that are no event.
    """
    if size >= FULL:
        keep_memory()
    if not crowded(link):
        return
    if size >= FULL:
        rest(link)
    if _talkers(link) and link.transport.get_protocol() is link and not link.transport.is_closing():
        count = len(bodies) + sum([_count(event) for event in link.session.happened])
        if count * MEAN >= size:
            link.transport.set_protocol(Helpings(link))


def rest(link: Link, then: Callable[[], None] | None = None) -> None:
    """Read no more from this link in this turn of the loop, and do this at the end of it."""
    if link.resting or link.paused or link.transport.is_closing():
        return
    link.resting = True
    link.transport.pause_reading()
    link.loop.call_soon(_rested, link, then)


def _rested(link: Link, then: Callable[[], None] | None) -> None:
    link.resting = False
    if then is not None:
        then()
    if not link.paused and not link.transport.is_closing():
        link.transport.resume_reading()


def _talkers(link: Link) -> bool:
    """Whether others have said something lately. Those that are silent need no small helpings."""
    return link.links is not None and link.links.talking > link.talking


def _count(event: Event) -> int:
    """How many messages this is."""
    if isinstance(event, (Requests, Replies, Posts)):
        return len(event.items)
    return len(event.bodies) if isinstance(event, Data) else 0


class Helpings(StandIn):
    """Stands between the stream and a link that brings very many small messages, and reads little at once.

    Of how much a helping is, the clock decides: a turn of the loop that takes longer than `HELPING`, with all that it
    did for others, halves it, and one that takes half the time doubles it. After a helping the link rests until the
    next turn. When the others have fallen silent, or a large message comes, the link reads for itself again.
    """

    __slots__ = ("_began", "_clock", "_view", "_whole")

    def __init__(self, link: Link, *, clock: Callable[[], float] = perf_counter) -> None:
        """``clock``: gives seconds."""
        super().__init__(link)
        self._clock = clock
        self._whole = memoryview(bytearray(MOST))
        self._view = self._whole[: 2 * LEAST]
        self._began = 0.0

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next helping goes."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """A helping came. One that is not full was all there is."""
        link, full = self._link, nbytes == len(self._view)
        self._began = self._clock()
        link.data_received(bytes(self._view[:nbytes]))
        if not full or link.transport.is_closing():
            return
        if not _talkers(link) or link.session.pending >= nbytes:
            link.transport.set_protocol(link)
        else:
            rest(link, self._measure)

    def _measure(self) -> None:
        took, size = self._clock() - self._began, len(self._view)
        if took > HELPING:
            self._view = self._whole[: max(size // 2, LEAST)]
        elif took < HELPING / 2:
            self._view = self._whole[: min(size * 2, MOST)]
