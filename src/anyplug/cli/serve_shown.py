"""What services show on the terminal of ``anyplug serve``: written by a thread, so that a terminal that stands still
(Ctrl-S, a closed laptop) never holds up the server.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MANY", "Shown"]

MANY: Final = 1_000
"""Lines that wait for the terminal; what comes beyond that is only counted."""

PATIENCE: Final = 0.5
"""Seconds that the end of the server waits for the terminal."""


class Shown:
    """Lines on their way to a terminal.

    Args:
        write: writes one line, which ends in a line feed, and may take its time.
        many: lines that may wait.
    """

    __slots__ = ("_lines", "_many", "_missing", "_thread", "_write")

    def __init__(self, write: Callable[[str], None], *, many: int = MANY) -> None:
        self._write = write
        self._many = many
        self._missing = 0
        self._lines: SimpleQueue[str | threading.Event] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def show(self, line: str) -> None:
        """Show a line, unless too many wait already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        if self._lines.qsize() >= self._many:
            self._missing += 1
            return
        if self._missing:
            self._lines.put(f"({self._missing:,} more came, too fast to be shown)\n")
            self._missing = 0
        self._lines.put(line)

    def finish(self, seconds: float = PATIENCE) -> None:
        """Wait until everything is shown, but not for long."""
        if self._thread is not None:
            done = threading.Event()
            self._lines.put(done)
            done.wait(seconds)

    def _run(self) -> None:
        while True:
            line = self._lines.get()
            if isinstance(line, threading.Event):
                line.set()
                continue
            try:
                self._write(line)
            except OSError:  # the terminal is gone; the server goes on
                self._many = 0
                self._drop()

    def _drop(self) -> None:
        """Forget what waits, and let go who waits for it."""
        while True:
            try:
                line = self._lines.get_nowait()
            except Empty:
                return
            if isinstance(line, threading.Event):
                line.set()
