"""The order of posts on one connection, on the server's side.

Sequences follow each other. After a refusal the client learns late that what it has said behind the refused post was
said in vain: all of that is dropped, until the refused sequence comes again.
"""

from __future__ import annotations

from typing import TypeAlias

from anyplug.codes import Code
from anyplug.messages import Nacked, Refusal

__all__ = ["PostOrder", "Run"]

Run: TypeAlias = list[tuple[int, bytes]]
"""Posts with neighbouring sequences: pairs of sequence and body."""


class PostOrder:
    """Which posts of one connection are to be looked at.

    Args:
        producer: the client has said who posts. Then its first sequence may be any, and an earlier one may come again:
            the store knows. Without, the first is 1.
    """

    __slots__ = ("_dropping", "_next", "_producer")

    def __init__(self, *, producer: bool) -> None:
        self._producer = producer
        self._next = 0 if producer else 1  # 0: any
        self._dropping = False

    def admit(self, items: Run) -> list[Run | Nacked]:
        """Posts came: the runs to look at, and the refusals to say between them where some are skipped."""
        begin, end = self._next, self._next + len(items)
        # Most come as they should: that is seen without a look at each.
        if items and [sequence for sequence, _ in items] == list(range(begin, end)):
            self._dropping = False
            self._next = end
            return [items]
        steps: list[Run | Nacked] = []
        run: Run = []
        for item in items:
            sequence = item[0]
            if run and sequence == self._next:
                run.append(item)
            elif self._starts(sequence):
                run = [item]
                steps.append(run)
            elif self._dropping:
                continue
            else:
                steps.append(self._gap(sequence))
                run = []
                self._dropping = True
                continue
            self._dropping = False
            self._next = sequence + 1
        return steps

    def refused(self, sequence: int) -> None:
        """A post was not taken; this sequence is the next that will be."""
        self._next = sequence
        self._dropping = True

    def _gap(self, found: int) -> Nacked:
        text = f"the sequence {found:,} came where {self._next:,} is the next"
        return Nacked(self._next, Refusal(Code.GAP, text))

    def _starts(self, sequence: int) -> bool:
        """Whether a run may begin here."""
        if sequence == self._next:
            return True
        return self._producer and not self._dropping and (self._next == 0 or sequence < self._next)
