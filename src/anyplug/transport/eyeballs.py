"""Which of several ends to try when: happy eyeballs (RFC 8305). Pure: the time is an argument.

`interleave` orders the ends by section 4: as the resolver ordered them, families in turns. `Race` says when to start
the next by section 5: as soon as one has failed, or `ATTEMPT_DELAY` after the last start while it is still undecided.
What was started keeps running; the first that succeeds wins.
"""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

__all__ = ["ATTEMPT_DELAY", "Race", "interleave"]

T = TypeVar("T")

ATTEMPT_DELAY: Final = 0.25
"""Seconds from one start to the next, where nothing is decided (RFC 8305, section 8)."""

_MISSING: Final = object()


def interleave(ends: Sequence[T], *, family: Callable[[T], Hashable]) -> list[T]:
    """The ends with their families in turns, beginning with that of the first; within a family their order is kept."""
    families: dict[Hashable, list[T]] = {}
    for end in ends:
        families.setdefault(family(end), []).append(end)
    turns = zip_longest(*families.values(), fillvalue=_MISSING)
    return [end for end in chain.from_iterable(turns) if end is not _MISSING]  # type: ignore[misc]


class Race(Generic[T]):
    """The order and the times of attempts. Seconds come from any clock that only goes forward."""

    __slots__ = ("_due", "_waiting", "delay", "failures", "running")

    def __init__(self, ends: Sequence[T], *, delay: float = ATTEMPT_DELAY) -> None:
        self.delay = delay
        """Seconds from one start to the next."""
        self.running: list[T] = []
        """What was started and has not failed."""
        self.failures: list[tuple[T, OSError]] = []
        """What has failed, in that order, with its error."""
        self._waiting = list(reversed(ends))
        self._due = float("-inf")

    def start(self, now: float) -> T | None:
        """The end to start now, or None. Ask again until it is None."""
        if not self._waiting or now < self._due:
            return None
        end = self._waiting.pop()
        self.running.append(end)
        self._due = now + self.delay
        return end

    def fail(self, end: T, error: OSError) -> None:
        """An attempt has failed: the next is due at once."""
        self.running.remove(end)
        self.failures.append((end, error))
        self._due = float("-inf")

    def wait(self, now: float) -> float | None:
        """Seconds until the next start is due; None where nothing is left to start."""
        return max(0.0, self._due - now) if self._waiting else None

    @property
    def lost(self) -> bool:
        """Everything was tried, and has failed."""
        return not self._waiting and not self.running
