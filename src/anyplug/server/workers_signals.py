"""Signals as a supervisor takes them: bytes on a socket, which a `poll` waits for together with everything else."""

from __future__ import annotations

import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Signals"]

_ALWAYS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_ORDERS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Signals that are heeded. For the main thread.

    Args:
        reloads: SIGHUP too.
    """

    __slots__ = ("_before", "_numbers", "_reader", "_writer")

    def __init__(self, *, reloads: bool) -> None:
        self._numbers = (*_ALWAYS, signal.SIGHUP) if reloads else _ALWAYS
        self._before: dict[signal.Signals, Any] = {}

    def fileno(self) -> int:
        """For those who wait until there is something to be `received`."""
        return self._reader.fileno()

    def heed(self) -> None:
        """From now on."""
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _nothing) for number in self._numbers}

    def received(self) -> bytes:
        """The numbers of the signals that came meanwhile; there is at least one."""
        return self._reader.recv(4096)

    @contextmanager
    def held(self) -> Iterator[None]:
        """None comes in this block; they come after it."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def disregard(self) -> None:
        """Be as before."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()

    def leave(self) -> None:
        """Be a worker that was forked: its orders do not come as signals, until it says otherwise."""
        self.disregard()
        for number in _ORDERS:
            signal.signal(number, signal.SIG_IGN)


def _nothing(number: int, frame: object) -> None:
    """A signal that is heeded elsewhere; without a handler there would be none."""
