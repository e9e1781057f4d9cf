"""What one says, all hear: events told to many listeners, and none of them waits for another.

What is told within one turn of the loop is gathered. At its end each event is written once for each *voice* (a framing
with a codec: the same bytes for everybody who hears by it), all of them are joined, and each listener is given the
whole by one write. There is no task, queue or timer per message or listener.

A listener that does not read has its own bounded queue, the transport's. Where that is full the listener is left out
until it reads again: then it hears how much it missed. The order is the same for everybody: that of the calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeVar

from anyplug.errors import AnyplugError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

__all__ = ["GATHER", "Fanout", "Listener", "Voice"]

E = TypeVar("E")

GATHER: Final = 64 * 1024
"""Bytes of events that are gathered within a turn of the loop, about. More would only add latency."""

EVENT_COST: Final = 64
"""What an event counts beside its size, bytes: its frame, a name, a time."""


class Voice(NamedTuple, Generic[E]):
    """How events become bytes for a group of listeners."""

    key: Hashable
    """Voices of the same key give the same bytes."""
    frames: Callable[[E], Sequence[bytes]]
    """The event as it goes on the network; raises `AnyplugError` where it cannot."""


class Listener(Protocol[E]):
    """Somebody who hears."""

    voice: Voice[E]
    missed: int | None
    """How many events that count were left out since it stopped reading; None while it hears all."""

    @property
    def ready(self) -> bool:
        """Whether it takes bytes now."""

    @property
    def gone(self) -> bool:
        """Whether it takes none any more."""

    def put(self, frames: Sequence[bytes], joined: bytes, largest: int) -> bool:
        """Write the frames, which are ``joined``. False, and nothing is written, where the ``largest`` is too large for
        this listener.
        """


class _Item(NamedTuple, Generic[E]):
    """One event, and whose ears it is for."""

    event: E
    only: Listener[E] | None
    but: Listener[E] | None
    counts: bool


class Fanout(Generic[E]):
    """Tells events to listeners.

    Args:
        soon: calls a function at the end of this turn of the loop.
        later: calls a function after a moment.
        missed: makes the event that tells how many were missed.
        stuck: called with a listener that begins to miss something, after everybody else was told.
    """

    __slots__ = (
        *("_apart", "_due", "_due_later", "_groups", "_items", "_later", "_missed", "_size", "_soon", "_stuck"),
        *("_written", "delivered", "skipped"),
    )

    def __init__(
        self,
        soon: Callable[[Callable[[], None]], object],
        later: Callable[[Callable[[], None]], object],
        *,
        missed: Callable[[int], E],
        stuck: Callable[[Listener[E]], None],
    ) -> None:
        self._soon = soon
        self._later = later
        self._missed = missed
        self._stuck = stuck
        self._groups: dict[Hashable, dict[Listener[E], None]] = {}
        self._items: list[_Item[E]] = []
        self._size = 0
        self._due = self._due_later = False
        # Listeners that do not hear just what everybody hears this turn, and from which item on they hear.
        self._apart: dict[Listener[E], int] = {}
        # The items of this turn as far as they were written already, by voice and number.
        self._written: dict[Hashable, dict[int, Sequence[bytes]]] = {}
        self.delivered = 0
        """Events that count, times the listeners that they were written to."""
        self.skipped = 0
        """Events that count, times the listeners that they were left out for."""

    def add(self, listener: Listener[E], greeting: Sequence[E] = ()) -> None:
        """A listener comes: it hears the greeting at once, and then what is told from now on."""
        self._put_each(listener, [(self._written_by(listener.voice, event, 1), 1) for event in greeting])
        self._groups.setdefault(listener.voice.key, {})[listener] = None
        if self._items:
            self._apart[listener] = len(self._items)

    def remove(self, listener: Listener[E]) -> None:
        """A listener hears nothing any more, but what was told until now."""
        group = self._groups.get(listener.voice.key, {})
        if listener not in group:
            return
        if self._items and not listener.gone:
            self._put_apart(listener, self._apart.get(listener, 0))
        self._apart.pop(listener, None)
        del group[listener]
        if not group:
            del self._groups[listener.voice.key]

    def tell(
        self,
        event: E,
        *,
        only: Listener[E] | None = None,
        but: Listener[E] | None = None,
        counts: bool = False,
        size: int = 0,
        lazy: bool = False,
    ) -> None:
        """Tell an event, at the end of this turn.

        Args:
            event: what to tell.
            only: the one listener that hears it, though it reads slowly.
            but: the one that does not.
            counts: it is counted where it is missed.
            size: about how large it is, bytes.
            lazy: it may wait a moment for company.
        """
        self._items.append(_Item(event, only, but, counts))
        apart = but or only
        if apart is not None:
            self._apart.setdefault(apart, 0)
        self._size += EVENT_COST + size
        if self._size >= GATHER:
            self.flush()
        elif lazy and not self._due and not self._due_later:
            self._due_later = True
            self._later(self._flush_later)
        elif not lazy and not self._due:
            self._due = True
            self._soon(self._flush_soon)

    def flush(self) -> None:
        """Write everything that was told."""
        if not self._items:
            return
        stuck: list[Listener[E]] = []
        for group in self._groups.values():
            self._put_to(group, stuck)
        for listener, start in self._apart.items():
            if listener in self._groups.get(listener.voice.key, ()) and self._put_apart(listener, start):
                stuck.append(listener)
        self._items, self._apart, self._written, self._size = [], {}, {}, 0
        for listener in stuck:
            self._stuck(listener)

    def relieved(self, listener: Listener[E]) -> int | None:
        """A listener reads again: tell it how much it missed; returns that, None where it missed nothing."""
        missed, listener.missed = listener.missed, None
        if missed is not None and not listener.gone:
            self._put(listener, [self._instead(listener.voice, missed)])
        return missed

    # Inside.

    def _flush_soon(self) -> None:
        self._due = False
        self.flush()

    def _flush_later(self) -> None:
        self._due_later = False
        self.flush()

    def _put_to(self, group: Iterable[Listener[E]], stuck: list[Listener[E]]) -> None:
        """Write what everybody hears to those of a group that hear nothing else."""
        shared = [number for number, item in enumerate(self._items) if item.only is None]
        apart = self._apart
        counted = sum(self._items[number].counts for number in shared)
        frames: list[bytes] | None = None
        joined, largest = b"", 0
        for listener in group:
            if listener in apart:
                continue
            if frames is None:
                frames = [frame for number in shared for frame in self._frames(listener.voice, number)]
                joined, largest = b"".join(frames), max(map(len, frames), default=0)
                if not joined:
                    return
            if listener.missed is None and listener.ready:
                if listener.put(frames, joined, largest):
                    self.delivered += counted
                else:
                    self._put_items(listener, shared)
            elif self._leave_out(listener, counted):
                stuck.append(listener)

    def _put_apart(self, listener: Listener[E], start: int) -> bool:
        """Write what one listener hears, from an item on; whether it begins to miss something by that."""
        hears = listener.missed is None and listener.ready
        numbers: list[int] = []
        left_out, counted = 0, 0
        for number in range(start, len(self._items)):
            _, only, but, counts = self._items[number]
            if but is listener or (only is not None and only is not listener):
                continue
            if only is None and not hears:
                left_out += 1
                counted += counts
            else:
                numbers.append(number)
        if numbers and not listener.gone:
            self._put_items(listener, numbers)
        return bool(left_out) and self._leave_out(listener, counted)

    def _leave_out(self, listener: Listener[E], counted: int) -> bool:
        """A listener that does not read misses so much; whether it begins to."""
        if listener.gone:
            return False
        begins = listener.missed is None
        listener.missed = (listener.missed or 0) + counted
        self.skipped += counted
        return begins

    def _put_items(self, listener: Listener[E], numbers: Sequence[int]) -> None:
        """Write these items to a listener."""
        counted = sum(self._items[number].counts for number in numbers)
        voice, items = listener.voice, self._items
        too_large = self._put_each(
            listener, [(self._frames(voice, number), int(items[number].counts)) for number in numbers]
        )
        self.delivered += counted - too_large
        self.skipped += too_large

    def _put_each(self, listener: Listener[E], written: Sequence[tuple[Sequence[bytes], int]]) -> int:
        """Write frames to a listener; in the place of what is too large for it, that it missed so many. Returns how
        many.
        """
        if self._put(listener, [frames for frames, _ in written]):
            return 0
        missed = 0
        for frames, counts in written:
            if not self._put(listener, [frames]):
                missed += counts
                self._put(listener, [self._instead(listener.voice, counts)])
        return missed

    @staticmethod
    def _put(listener: Listener[E], written: Sequence[Sequence[bytes]]) -> bool:
        """Write all of these to a listener, or nothing where one is too large for it."""
        frames = [frame for each in written for frame in each]
        return not frames or listener.put(frames, b"".join(frames), max(map(len, frames)))

    def _frames(self, voice: Voice[E], number: int) -> Sequence[bytes]:
        """An item as a voice writes it; written once."""
        written = self._written.setdefault(voice.key, {})
        frames = written.get(number)
        if frames is None:
            event, _, _, counts = self._items[number]
            frames = written[number] = self._written_by(voice, event, int(counts))
        return frames

    def _written_by(self, voice: Voice[E], event: E, counts: int) -> Sequence[bytes]:
        """An event as a voice writes it; in the place of one that it cannot write, that so many were missed."""
        try:
            return voice.frames(event)
        except AnyplugError:
            return self._instead(voice, counts)

    def _instead(self, voice: Voice[E], count: int) -> Sequence[bytes]:
        """That so many were missed, as a voice writes it; nothing where not even that can be written."""
        try:
            return voice.frames(self._missed(count))
        except AnyplugError:
            return ()
