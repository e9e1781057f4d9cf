"""Questions that wait for their answers.

On a plug connection an answer carries its request's id, so answers come in any order. On a plain one the answer is
simply the next message, so the oldest question gets it. A question given up leaves its place behind: its late answer is
dropped, and is not taken for the next one's.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from anyplug.errors import LocalError
from anyplug.wire.sender import ID_MAX

__all__ = ["Asks"]

W = TypeVar("W")


class Asks(Generic[W]):
    """The open questions of one connection; ``W`` is what the shell waits with (a future, an event).

    Args:
        last: the id before the first one.
        ids: the largest id; 1 follows it.
    """

    __slots__ = ("_ids", "_last", "late", "waiting")

    def __init__(self, *, last: int = 0, ids: int = ID_MAX) -> None:
        self.waiting: OrderedDict[int, W | None] = OrderedDict()  # a dict would take ever longer to give its oldest
        """Questions whose answer is still to come, by id, the oldest first; None for who has given up."""
        self._last = last
        self._ids = ids
        self.late = 0
        """Answers that came after their question was given up, or to no question at all."""

    def __len__(self) -> int:
        """Questions whose answer is still to come, given up or not."""
        return len(self.waiting)

    def open(self, waiter: W) -> int:
        """A new question; returns its id, which no open question has.

        Raises:
            LocalError: every id is in use.
        """
        number = self._last % self._ids + 1
        if number in self.waiting:
            number = self._free_after(number)
        self._last = number
        self.waiting[number] = waiter
        return number

    def give_up(self, number: int) -> None:
        """Nobody waits for this answer any more. Its place stays until the answer comes."""
        if number in self.waiting:
            self.waiting[number] = None

    def forget(self, number: int) -> None:
        """The question was never sent."""
        self.waiting.pop(number, None)

    def answer(self, number: int) -> W | None:
        """The answer to the question ``number`` is here: who waits for it, or None (counted in `late`)."""
        waiter = self.waiting.pop(number, None)
        if waiter is None:
            self.late += 1
        return waiter

    def answer_oldest(self, bodies: list[bytes]) -> tuple[list[tuple[W, bytes]], list[bytes]]:
        """Messages came in order: give each open question one, the oldest first.

        Returns:
            Who gets what, and the messages that nobody asked for.
        """
        pairs: list[tuple[W, bytes]] = []
        waiting = self.waiting
        used = min(len(waiting), len(bodies))
        for body in bodies[:used]:
            _, waiter = waiting.popitem(last=False)
            if waiter is None:
                self.late += 1
            else:
                pairs.append((waiter, body))
        return pairs, bodies[used:]

    def end(self) -> list[W]:
        """No answer will come any more: all who still wait."""
        waiting = [waiter for waiter in self.waiting.values() if waiter is not None]
        self.waiting.clear()
        return waiting

    def _free_after(self, number: int) -> int:
        if len(self.waiting) >= self._ids:
            raise LocalError(f"{len(self.waiting):,} questions are open, and there are no more ids; wait for answers")
        while number in self.waiting:
            number = number % self._ids + 1
        return number
