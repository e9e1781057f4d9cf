"""Signs of life from connections that nobody is using at the moment.

A server takes a peer that is silent for 40 s for dead. A script that computes for a minute between two calls is not
dead, and has no thread on its connection that could say so. One daemon thread for the whole process does: every ten
seconds it has each plug connection send a PING where nothing else was sent, and take in what has come. It never waits
for a connection, it skips those in use, and it ends with the last of them.
"""

from __future__ import annotations

import os
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PULSE", "Beating", "Pulse"]

PERIOD: Final = 10.0
"""Seconds between two beats. Three of them fit into the 40 s after which a server gives up (``limits.dead``)."""


class Beating(Protocol):
    """What a pulse looks after."""

    def beat(self) -> None:
        """Called every `PERIOD` seconds; must not wait, must not raise."""


class Pulse:
    """Beats for its members, which it holds weakly, as long as there are any.

    Args:
        period: seconds between two beats.
        start: runs a function in a thread of its own.
    """

    def __init__(self, *, period: float = PERIOD, start: Callable[[Callable[[], None]], None] | None = None) -> None:
        self._period = period
        self._start = start if start is not None else _start_thread
        self._lock = Lock()
        self._members: WeakSet[Beating] = WeakSet()
        self._changed = Event()
        self._running = False

    def add(self, member: Beating) -> None:
        """Look after this one from now on."""
        with self._lock:
            self._members.add(member)
            if not self._running:
                self._running = True
                self._changed.clear()
                self._start(self._run)

    def discard(self, member: Beating) -> None:
        """Look after this one no more."""
        with self._lock:
            self._members.discard(member)
            if not self._members:
                self._changed.set()

    def beat(self) -> bool:
        """One beat; False when there is nobody left to beat for, and the thread is to end."""
        with self._lock:
            members = list(self._members)
            self._running = bool(members)
        for member in members:
            member.beat()
        return bool(members)

    def forget(self) -> None:
        """Begin anew, in a child process: the threads of the parent are not here, its connections are not ours."""
        self.__init__(period=self._period, start=self._start)  # type: ignore[misc]

    def _run(self) -> None:
        changed = self._changed
        while True:
            changed.wait(self._period)
            changed.clear()
            if not self.beat():
                return


def _start_thread(run: Callable[[], None]) -> None:
    Thread(target=run, name="anyplug-pulse", daemon=True).start()


PULSE: Final = Pulse()
"""The pulse of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PULSE.forget)
