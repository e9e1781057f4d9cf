"""Talking to the service manager: the protocol of sd_notify(3).

One datagram a message to the unix socket that ``NOTIFY_SOCKET`` names; without the variable nothing is said. The
variables are taken out of the environment, so that children do not speak for us.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["Notifier"]


class Notifier:
    """Tells the service manager how the server stands.

    Args:
        path: of the manager's socket, ``@`` in front of an abstract name; empty when there is no manager.
        watchdog: seconds within which the manager wants a sign of life; 0 when it wants none.
    """

    def __init__(self, path: str = "", *, watchdog: float = 0.0) -> None:
        self._path = path
        self._watchdog = watchdog

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] | None = None) -> Notifier:
        """The manager that started this process, if any."""
        variables = os.environ if environment is None else environment
        path = variables.pop("NOTIFY_SOCKET", "")
        microseconds = variables.pop("WATCHDOG_USEC", "0")
        pid = variables.pop("WATCHDOG_PID", str(os.getpid()))
        wanted = microseconds.isdigit() and pid == str(os.getpid())
        return cls(path, watchdog=int(microseconds) / 1e6 if wanted else 0.0)

    def ready(self, status: str = "") -> None:
        """Everything listens; also after a reload."""
        self._tell("READY=1", *([f"STATUS=serving {status}"] if status else []))

    def reloading(self) -> None:
        """The configuration is being read again."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The server drains."""
        self._tell("STOPPING=1", "STATUS=draining")

    async def feed_watchdog(self) -> None:
        """Give a sign of life twice in each watchdog time, for ever; returns at once when none is wanted."""
        while self.interval:
            self.alive()
            await asyncio.sleep(self.interval)

    @property
    def interval(self) -> float:
        """Seconds between two signs of life; 0 where none is wanted."""
        return self._watchdog / 2

    def alive(self) -> None:
        """A sign of life."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self._path:
            return
        name = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto("\n".join(lines).encode(), name)
