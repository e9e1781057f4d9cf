"""Unix sockets that listen: their paths, and who may unlink them.

A path that exists is asked first. Where somebody answers it is left alone; where the system refuses, the server that
made it is gone and it is unlinked; what is no socket is never touched. On closing, a path is unlinked only while it is
still the one made here. Asking, unlinking, binding and listening happen under a lock on the folder, so that of two
servers that start at once one gets the path and the other is told so, and while the listener exists its inode cannot be
given to another file.

The mode is set on the socket before it is bound: Linux makes the path with it, so that at no moment others may connect
or send. The umask is not touched: it belongs to the whole process. Systems without this set it between bind and listen,
when nobody can connect yet.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from contextlib import contextmanager, suppress
from errno import ECONNREFUSED, EEXIST, ENOENT, EWOULDBLOCK
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final, NamedTuple

from anyplug.errors import BindError
from anyplug.transport.options import apply_listen_options
from anyplug.transport.resolve import unix_sockaddr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyplug.transport.options import SocketOptions

__all__ = ["Made", "bind_unix", "unlink_made"]

LOCK_WAIT: Final = 2.0
"""Seconds to wait for another program that is binding in the same folder. It takes a millisecond."""

LOCK_PAUSE: Final = 0.01
"""Seconds between two attempts at the lock."""


class Made(NamedTuple):
    """A path that was made here: it is unlinked only while it is this file."""

    path: str
    device: int
    inode: int


def bind_unix(path: str, kind: int, *, address: str, options: SocketOptions) -> tuple[socket.socket, Made | None]:
    """A unix socket bound to a path or an ``@name``, listening where its type does, and what to unlink later.

    Raises:
        BindError: the path is taken.
        OSError: the system says no.
    """
    sockaddr = unix_sockaddr(path)
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        sock.setblocking(False)
        apply_listen_options(sock, options)
        if path.startswith("@"):
            sock.bind(sockaddr)
            _listen(sock, options)
            return sock, None
        with _folder_locked(path, address):
            _clear(path, kind, address)
            return sock, _make(sock, path, options)
    except BaseException:
        sock.close()
        raise


def unlink_made(made: Made) -> None:
    """Unlink a path that was made here, unless another file stands there by now. Call it while the socket is open."""
    with suppress(OSError):
        found = os.lstat(made.path)
        if (found.st_dev, found.st_ino) == (made.device, made.inode):
            Path(made.path).unlink()


def _make(sock: socket.socket, path: str, options: SocketOptions) -> Made:
    """Bind and listen. Without the second, another server that asks whether somebody is there would unlink the path."""
    with suppress(OSError):  # systems other than Linux do not know a mode of sockets
        os.fchmod(sock.fileno(), options.mode)
    sock.bind(path)
    found = os.lstat(path)
    made = Made(path, found.st_dev, found.st_ino)
    try:
        if stat.S_IMODE(found.st_mode) != options.mode:  # the umask took something away that was asked for
            Path(path).chmod(options.mode)
        _listen(sock, options)
    except BaseException:
        unlink_made(made)
        raise
    return made


def _listen(sock: socket.socket, options: SocketOptions) -> None:
    if sock.type != socket.SOCK_DGRAM:
        sock.listen(options.backlog)


def _clear(path: str, kind: int, address: str) -> None:
    """Make room at a path, where only what a dead server left stands there."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        problem = "there is something else at this path, not a socket; choose another path"
        raise BindError(address, problem, errno=EEXIST)
    problem = _who_listens(path, kind)
    if problem:
        raise BindError(address, problem, errno=EEXIST)
    Path(path).unlink(missing_ok=True)


def _who_listens(path: str, kind: int) -> str:
    """What keeps a socket's path from being used again, or ``""`` where nobody listens there."""
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except OSError as error:
            if error.errno in {ECONNREFUSED, ENOENT}:
                return ""
            if isinstance(error, PermissionError):
                return "another user's socket is there; choose another path"
    return "a live server listens there; stop it, or choose another path"


@contextmanager
def _folder_locked(path: str, address: str) -> Iterator[None]:
    """Hold the folder's lock. A folder that cannot be read has none; what is wrong with it, the bind finds out."""
    try:
        folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        yield
        return
    try:
        _lock(folder, address)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, address: str, *, wait: float = LOCK_WAIT) -> None:
    until = monotonic() + wait
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if monotonic() >= until:
                problem = "another program holds the lock on its folder; try again, or choose another folder"
                raise BindError(address, problem, errno=EWOULDBLOCK) from None
            sleep(LOCK_PAUSE)
