"""The command ``anyplug`` as a user has it: a process with its streams, or a process on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from contextlib import redirect_stderr, redirect_stdout
from itertools import count
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from anyplug.cli import main

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

__all__ = ["PATIENCE", "Done", "Terminal", "anyplug", "call", "environment", "start"]

PATIENCE = 20.0
"""Seconds until a test that waits for the command gives up."""

_PERSONAL = ("ANYPLUG_TOKEN", "CLICOLOR_FORCE", "NO_COLOR", "XDG_STATE_HOME")


class Done(NamedTuple):
    """A command that has ended."""

    status: int
    out: bytes
    err: bytes


_STATES: Final = TemporaryDirectory(prefix="anyplug-tests-")
_NUMBERS: Final = count()


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command, without what this user has set for it, and with a state of its own to keep."""
    state = {"XDG_STATE_HOME": f"{_STATES.name}/{next(_NUMBERS)}"}
    kept = {name: value for name, value in os.environ.items() if name not in _PERSONAL}
    return {**kept, "TERM": "xterm", **state, **(changes or {})}


def start(*words: str, under: Sequence[str] = (), **options: object) -> subprocess.Popen[bytes]:
    """A running command; its standard streams are pipes where nothing else is said. `under` runs it, as strace does."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a job in the background; its children would ignore it too
        signal.signal(signal.SIGINT, signal.default_int_handler)
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()}
    return subprocess.Popen([*under, sys.executable, "-m", "anyplug", *words], **{**streams, **options})  # type: ignore[call-overload,no-any-return]


def anyplug(*words: str, given: bytes = b"", env: Mapping[str, str] | None = None) -> Done:
    """Run a command to its end, with this on standard input."""
    with start(*words, env=environment(env)) as process:
        out, err = process.communicate(given, timeout=PATIENCE)
    return Done(process.returncode, out, err)


def call(*words: str, given: bytes = b"") -> Done:
    """Run a command to its end in this process, which is much quicker. Its streams are files."""
    with TemporaryFile() as stdin, TemporaryFile() as out, TemporaryFile() as err:
        stdin.write(given)
        stdin.seek(0)
        kept = os.dup(0)
        os.dup2(stdin.fileno(), 0)
        try:
            with _text(out) as talk, _text(err) as errors, redirect_stdout(talk), redirect_stderr(errors):
                status = main(words)
        finally:
            os.dup2(kept, 0)
            os.close(kept)
        return Done(status, _all_of(out), _all_of(err))


def _text(file: IO[bytes]) -> IO[str]:
    return open(file.fileno(), "w", closefd=False, encoding="utf-8")


def _all_of(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


class Terminal:
    """A command on a terminal of its own, where Ctrl-C is a signal unless the command takes it as a key. What it writes
    is gathered in `seen`.
    """

    def __init__(self, *words: str, env: Mapping[str, str] | None = None, output: int | None = None) -> None:
        self._near, far = pty.openpty()
        termios.tcsetwinsize(far, (24, 80))
        self.seen = b""
        self.process = start(
            *words,
            stdin=far,
            stdout=far if output is None else output,
            stderr=far,
            env=environment(env),
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(far)

    def enter(self, text: str) -> None:
        """Type this."""
        os.write(self._near, text.encode())

    def wait_for(self, text: str) -> None:
        """Wait until this was written, behind what was waited for before."""
        while text.encode() not in self.seen:
            if not self._read():
                raise AssertionError(f"the command ended before it wrote {text!r}: {self.seen!r}")
        self.seen = self.seen.partition(text.encode())[2]

    def end(self) -> int:
        """Wait until the command ends; its status. The rest of what it wrote is in `seen` then."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        if not select.select([self._near], [], [], PATIENCE)[0]:
            raise AssertionError(f"the command wrote no more than {self.seen!r}")
        try:
            data = os.read(self._near, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            return False
        self.seen += data
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._near)


def _take_terminal() -> None:
    """Make standard input the controlling terminal of this process."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
