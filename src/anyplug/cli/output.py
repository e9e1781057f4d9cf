"""The two streams of a command: data on standard output, everything else that is said on standard error.

With ``--json`` everything is data: one JSON object a line, each with a stable ``type``. Errors are then events of type
``error`` with a ``code`` (`anyplug.cli.faults` lists them), and standard error is left alone.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from _thread import allocate_lock  # as threading.Lock, without the import of threading
from functools import partial
from typing import TYPE_CHECKING, Any

from anyplug.cli.colour import paint, wants_colour

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from anyplug.cli.faults import Fault
    from anyplug.cli.hand import Hand

__all__ = ["PIPE_ATOM", "Output", "leave_stdout"]

PIPE_ATOM = 4096
"""Bytes that a pipe which is writable takes without blocking (PIPE_BUF of Linux)."""


class Output:
    """Where a command speaks.

    Args:
        json: whether everything is said as JSON events.
    """

    __slots__ = ("_colour", "_fd", "_hand", "_kind", "_lock", "json", "terminal")

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        """Whether everything is said as JSON events."""
        self._fd = _descriptor()
        self._kind = stat.S_IFMT(os.fstat(self._fd).st_mode) if self._fd >= 0 else 0
        self.terminal = self._fd >= 0 and os.isatty(self._fd)
        """Whether standard output is a terminal."""
        self._hand: Hand | None = None
        self._lock = allocate_lock()  # an event is never written into the middle of another
        self._colour = wants_colour(os.environ, terminal=sys.stderr is not None and sys.stderr.isatty())

    # Data.

    async def put(self, data: bytes) -> None:
        """Write data as it is. Waits where whoever reads it is slow, and lets everything else go on meanwhile.

        Raises:
            BrokenPipeError: whoever read it has gone.
            OutputError: it cannot be written.
        """
        if not data:
            return
        if self._may_block(len(data)):
            if self._hand is None:
                from anyplug.cli.hand import Hand

                self._hand = Hand()
            await self._hand.do(partial(self.write, data))
        else:
            self.write(data)

    def write(self, data: bytes) -> None:
        """As `put`, but everything waits."""
        with self._lock:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._fd < 0:
            _write_to_object(data)
            return
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:  # somebody else set the open file to non-blocking
                select.select([], [self._fd], [])
            except BrokenPipeError:
                raise
            except OSError as error:
                from anyplug.cli.faults import OutputError

                raise OutputError(error.strerror or str(error)) from error

    def event(self, kind: str, **fields: Any) -> bytes:
        """One event as a line of JSON. It is printable throughout, so it is the same on a terminal and in a file."""
        from anyplug.cli.shown import json_text

        return f"{json_text({'type': kind, **fields})}\n".encode()

    # Talk.

    def error(self, fault: Fault) -> None:
        """Tell an error: a sentence and a hint, or an event."""
        if self.json:
            hint = {"hint": fault.hint} if fault.hint else {}
            self.write(self.event("error", code=fault.code, message=fault.message, **hint))
            return
        self._say("error:", "red", fault.message)
        if fault.hint:
            self._say("hint:", "cyan", fault.hint)

    def note(self, sentence: str) -> None:
        """Tell how things stand; programs are not told."""
        if not self.json:
            self._say("--", "dim", sentence)

    def _say(self, word: str, colour: str, sentence: str) -> None:
        if sys.stderr is not None:
            print(paint(word, colour, on=self._colour), sentence, file=sys.stderr, flush=True)

    # Whoever reads.

    def watch_reader(self, gone: Callable[[], None]) -> AbstractContextManager[None]:
        """Call ``gone`` when whoever reads the pipe goes away, though nothing is written; for a block of code."""
        return _Watch(self._fd if self._is_pipe() else -1, gone)

    def _is_pipe(self) -> bool:
        if self._kind != stat.S_IFIFO:
            return False
        import fcntl

        return fcntl.fcntl(self._fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY

    def _may_block(self, size: int) -> bool:
        if self._kind in {0, stat.S_IFREG}:
            return False
        return size > PIPE_ATOM or not select.select([], [self._fd], [], 0)[1]


class _Watch:
    """The end of a pipe shows as an error on the side that writes, and a reader callback is called for errors too."""

    __slots__ = ("_fd", "_gone")

    def __init__(self, fd: int, gone: Callable[[], None]) -> None:
        self._fd = fd
        self._gone = gone

    def __enter__(self) -> None:
        if self._fd >= 0:
            _loop().add_reader(self._fd, self._tell)

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            _loop().remove_reader(self._fd)

    def _tell(self) -> None:
        _loop().remove_reader(self._fd)
        self._gone()


def _loop() -> AbstractEventLoop:
    """The loop that runs; commands without one do not pay for the import."""
    from asyncio import get_running_loop

    return get_running_loop()


def leave_stdout() -> None:
    """Point standard output nowhere, so that the interpreter's last flush finds no closed pipe."""
    fd = _descriptor()
    if fd >= 0:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, fd)
        os.close(nowhere)


def _descriptor() -> int:
    """The descriptor of standard output; -1 where it is none: closed, or exchanged by the program around."""
    try:
        return sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return -1


def _write_to_object(data: bytes) -> None:
    stream = getattr(sys.stdout, "buffer", None)
    if stream is not None:
        stream.write(data)
        stream.flush()
