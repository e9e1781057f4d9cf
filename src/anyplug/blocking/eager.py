"""Looking for an answer for a moment before going to sleep for it.

Where an answer comes within some ten microseconds, being woken for it takes longer than the answer, and costs both ends
more than looking: the sender has to wake another core, the sleeper's core has to come back. So whoever has just asked
looks again and again for at most `LOOK` seconds, and sleeps then. That is worth it only where answers come so soon.
It is begun after a wait that was so short, and given up for ever longer where looking was in vain: behind a look that
failed, twice as many short waits in a row have to come before the next one, up to `RUN_MAX`. A peer that shares our
core, or takes its time, is so looked for in vain a few times only.

Several threads of one connection get on better where the one that waits leaves the interpreter, and the core, to the
others: they never look.
"""

from __future__ import annotations

import os
import time
from threading import get_ident
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ALONE", "LOOK", "RUN_MAX", "Company", "Eager"]

ALONE: Final = 64
"""Waits of one thread, with none of another between them, after which a connection counts as used by one thread."""

LOOK: Final = 100e-6
"""How long to look before sleeping, seconds: what a sleep and its end take on a busy virtual machine."""

RUN_MAX: Final = 1024
"""The most short waits in a row that have to come before the next look."""


class Eager:
    """What one socket has taught.

    Args:
        now: the time in seconds, monotonic.
        cores: of this machine; with one of them the peer cannot answer while we look.
    """

    __slots__ = ("_needed", "_now", "_run")

    def __init__(self, *, now: Callable[[], float] = time.monotonic, cores: int | None = os.cpu_count()) -> None:
        self._now = now
        self._needed = 1 if cores != 1 else RUN_MAX
        self._run = 0

    def wait(self, poll: Callable[[int], object], milliseconds: int) -> None:
        """Wait until `poll` finds something, or for so many milliseconds, of which a part may be spent looking."""
        now = self._now
        began = now()
        if self._run < self._needed:
            poll(milliseconds)
            self._run = self._run + 1 if now() - began < LOOK else 0
            return
        over = began + LOOK
        while now() < over:
            if poll(0):
                self._needed = 1
                return
        self._run = 0
        self._needed = min(2 * self._needed, RUN_MAX)
        poll(milliseconds)


class Company:
    """Who waits on one connection, and whether an answer may be about to come."""

    __slots__ = ("_alone", "_said", "_thread")

    def __init__(self) -> None:
        self._alone = 0
        self._said = -1
        self._thread = 0

    def expects(self, said: int) -> bool:
        """Whether the thread that is about to wait should look first: it has been alone for a while, and this side,
        which has said so many bytes in all, has said something since the last wait.
        """
        thread = get_ident()
        self._alone = self._alone + 1 if thread == self._thread else 0
        asked = said != self._said
        self._said, self._thread = said, thread
        return asked and self._alone >= ALONE

    def come(self) -> None:
        """Another thread waits, too."""
        self._alone = 0
