"""A thread that waits, and the locks it waits with."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyplug.wire.inbound import Outcome

__all__ = ["Waiter", "take"]


class Waiter:
    """A thread that waits: for an answer, for a message, or for its bytes to be taken.

    All but `sleep` wants the pump's lock held.
    """

    __slots__ = ("_bell", "done", "outcome")

    def __init__(self) -> None:
        self.done = False
        """Whether it has what it waits for."""
        self.outcome: Outcome | None = None
        """What became of its question."""
        self._bell: Lock | None = None

    def finish(self, outcome: Outcome | None = None) -> None:
        """It has what it waits for."""
        self.outcome = outcome
        self.done = True
        if self._bell is not None:
            self.ring()

    def ring(self) -> None:
        """Have its thread look again."""
        bell = self._bell
        if bell is not None and bell.locked():
            bell.release()

    def sleep(self, lock: Lock, seconds: float | None) -> None:
        """Wait, with `lock` released, for the next `ring`, or for so many seconds."""
        self._bell = bell = Lock()
        bell.acquire()
        try:
            lock.release()
            bell.acquire(timeout=-1 if seconds is None else seconds)
        finally:
            take(lock)
            self._bell = None


def take(lock: Lock) -> None:
    """Take a lock for certain: an interrupt that comes meanwhile is raised afterwards, with the lock held."""
    try:
        lock.acquire()
    except BaseException:
        lock.acquire()
        raise
