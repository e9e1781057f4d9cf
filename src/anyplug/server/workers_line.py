"""The line between a supervisor and one of its workers: words both ways over a pair of sockets.

One JSON array a line: a word, and what belongs to it. Sockets can be passed along. Neither end waits long for the
other: an end that does not read is told nothing more. The line of a process that ends is closed by the system, however
it ends, so that each end learns of the other's death on any system.
"""

from __future__ import annotations

import select
import socket
from typing import Any, Final

import msgspec

__all__ = ["Line", "Said"]

Said = tuple[str, Any]
"""A word, and what belongs to it."""

_AT_ONCE: Final = 100
"""Sockets passed with one line; Linux takes 253 (SCM_MAX_FD)."""

_PATIENCE: Final = 1.0
"""Seconds that an end whose buffer is full may take to read on."""

_READ: Final = 65536
_DECODER: Final = msgspec.json.Decoder(Said)


class Line:
    """One end.

    Args:
        sock: a stream socket of the unix family, connected to the other end.

    Attributes:
        passed: sockets that came along and that nobody has taken yet, close-on-exec.
        ended: the other end is closed.
    """

    __slots__ = ("_data", "_dumb", "_sock", "ended", "passed")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._data = b""
        self._dumb = False
        self.passed: list[socket.socket] = []
        self.ended = False

    @classmethod
    def pair(cls) -> tuple[Line, Line]:
        """Both ends of a new line."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(ours), cls(theirs)

    def fileno(self) -> int:
        """For those who wait until there is something to `hear`."""
        return self._sock.fileno()

    def tell(self, word: str, data: object = None, *, sockets: list[socket.socket] | None = None) -> bool:
        """Say something. Returns whether it was taken; once it was not, nothing is said any more.

        Args:
            word: what it is about.
            data: what belongs to it, as JSON has it.
            sockets: go along; they stay open here.
        """
        rest = list(sockets or ())
        while len(rest) > _AT_ONCE:
            self._send(b"\n", rest[:_AT_ONCE])
            del rest[:_AT_ONCE]
        self._send(msgspec.json.encode((word, data)) + b"\n", rest)
        return not self._dumb

    def hear(self) -> list[Said]:
        """All that was said meanwhile; does not wait."""
        while not self.ended:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._sock, _READ, _AT_ONCE)
            except BlockingIOError:
                break
            except ConnectionResetError:
                data, descriptors = b"", []
            for each in descriptors:
                sock = socket.socket(fileno=each)
                sock.set_inheritable(False)
                self.passed.append(sock)
            self._data += data
            self.ended = not data
        *lines, self._data = self._data.split(b"\n")
        return [_DECODER.decode(line) for line in lines if line]

    def close(self) -> None:
        """Hang up."""
        self._sock.close()

    def _send(self, data: bytes, sockets: list[socket.socket]) -> None:
        if self._dumb:
            return
        try:
            sent = socket.send_fds(self._sock, [data], [sock.fileno() for sock in sockets])
            while sent < len(data):
                sent += self._send_some(data[sent:])
        except OSError:
            self._dumb = True

    def _send_some(self, data: bytes) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            if select.select([], [self._sock], [], _PATIENCE)[1]:
                return 0
            raise
