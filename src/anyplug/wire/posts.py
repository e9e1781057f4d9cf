"""Posts that wait to be acknowledged, on the client's side.

Posts of one connection have neighbouring sequences. They are said in runs, and each run has one who waits for it: no
object is made per message. An acknowledgement is cumulative, so runs are settled from the oldest on. A refusal takes
back everything from its sequence on, and the next post gets that sequence again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from anyplug.errors import AnyplugError, Code, PostRefused, ProtocolError

if TYPE_CHECKING:
    from anyplug.messages import Acked, Kept, Nacked

__all__ = ["OpenPosts"]

W = TypeVar("W")


class _Run(Generic[W]):
    """Neighbouring posts that somebody waits for together."""

    __slots__ = ("first", "last", "positions", "waiter")

    def __init__(self, first: int, last: int, waiter: W) -> None:
        self.first = first
        self.last = last
        self.waiter: W | None = waiter
        self.positions: list[int] = []


class OpenPosts(Generic[W]):
    """The posts of one connection that are not acknowledged yet; ``W`` is what the shell waits with.

    Args:
        first: the sequence of the connection's first post.
    """

    __slots__ = ("_runs", "kept", "next")

    def __init__(self, first: int = 1) -> None:
        self.next = first
        """The sequence of the next post."""
        self.kept: Kept | None = None
        """How the last acknowledged post is kept; None before the first."""
        self._runs: deque[_Run[W]] | None = (
            None  # made with the first post: a deque takes 760 bytes, and most never post
        )

    def __len__(self) -> int:
        """Posts that are not acknowledged yet."""
        return self.next - self._runs[0].first - len(self._runs[0].positions) if self._runs else 0

    def open(self, count: int, waiter: W) -> int:
        """So many posts are about to be said; returns the sequence of the first of them."""
        first = self.next
        self.next += count
        if self._runs is None:
            self._runs = deque()
        self._runs.append(_Run(first, self.next - 1, waiter))
        return first

    def give_up(self, first: int) -> None:
        """Nobody waits for this run any more. What becomes of it is unknown to them."""
        for run in self._runs or ():
            if run.first == first:
                run.waiter = None

    def acked(self, event: Acked) -> list[tuple[W, list[int]]]:
        """Posts are kept: who waited for them, and the positions of their run.

        Raises:
            ProtocolError: it speaks of posts that were never said.
        """
        last = event.first + event.count - 1
        if last >= self.next:
            raise ProtocolError(f"an ACK of the sequence {last}, and only those below {self.next} were posted")
        self.kept = event.kept
        settled: list[tuple[W, list[int]]] = []
        runs = self._runs
        while runs:
            run = runs[0]
            _extend(run, event, min(last, run.last))
            if run.last > last:
                break
            runs.popleft()
            if run.waiter is not None:
                settled.append((run.waiter, run.positions))
        return settled

    def nacked(self, event: Nacked) -> list[tuple[W, list[int] | AnyplugError]]:
        """A post was refused, and with it everything behind it: who waited, and what became of their run.

        Raises:
            ProtocolError: it speaks of posts that were never said.
        """
        at = event.sequence
        if not 0 < at <= self.next:
            raise ProtocolError(f"a NACK of the sequence {at}, and only those below {self.next} were posted")
        settled: list[tuple[W, list[int] | AnyplugError]] = []
        for run in self._runs or ():
            if run.waiter is None:
                continue
            if run.last < at:
                _fill(run, run.last)
                settled.append((run.waiter, run.positions))
            else:
                settled.append((run.waiter, _refusal(event, behind=run.first > at)))
        self._runs = None
        self.next = at
        return settled

    def end(self) -> list[W]:
        """No acknowledgement will come any more: all who still wait."""
        waiting = [run.waiter for run in self._runs or () if run.waiter is not None]
        self._runs = None
        return waiting


def _refusal(event: Nacked, *, behind: bool) -> PostRefused:
    """Why a run was not kept; one behind the post that was refused may simply come again."""
    code, text = event.refusal.reason, event.refusal.text
    if behind and code is not Code.GAP:
        code, text = Code.GAP, f"not kept, since a post before it was refused ({code.word}: {text}); post it again"
    return PostRefused(code, text, sequence=event.sequence)


def _extend(run: _Run[W], event: Acked, last: int) -> None:
    """Note where the posts of a run up to ``last`` are."""
    _fill(run, event.first - 1)
    known = run.first + len(run.positions)
    if last < known:
        return
    if event.position:
        start = event.position + known - event.first
        run.positions += range(start, start + last - known + 1)
    else:
        _fill(run, last)


def _fill(run: _Run[W], last: int) -> None:
    """Those up to ``last`` are kept, nobody says where."""
    missing = min(last, run.last) - (run.first + len(run.positions)) + 1
    if missing > 0:
        run.positions += [0] * missing
