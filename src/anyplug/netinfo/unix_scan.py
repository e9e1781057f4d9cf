"""Which unix sockets of this machine take a connection, and whose they are.

Each that listens is connected to and left at once. A service that its manager starts with its first connection is
started by that. Datagram sockets are left alone, for on Linux one that was connected to is told as established ever
after: they are bound, so that somebody may read there, and that is all that can be said.
"""

from __future__ import annotations

import os
import socket
from errno import EACCES, EAGAIN, ECONNREFUSED, ENOENT, EPERM, EPROTOTYPE
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from anyplug.netinfo.sockets import Wanted, list_sockets
from anyplug.transport.resolve import unix_sockaddr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from anyplug.netinfo.socket_types import Process, Socket

__all__ = ["UnixFound", "UnixState", "scan_unix", "try_unix"]

_KINDS: Final = {"seqpacket": socket.SOCK_SEQPACKET, "stream": socket.SOCK_STREAM}

_WHY: Final[Mapping[int, str]] = {
    EAGAIN: "as many wait there as may",
    EACCES: "not allowed",
    EPERM: "not allowed",
    ENOENT: "no such path here",
}
"""Why it is not known whether somebody accepts; a path may be one of another root, as containers have them."""


UnixState: TypeAlias = Literal["open", "open|unknown", "closed", "unknown"]


class UnixFound(NamedTuple):
    """One unix socket."""

    path: str
    """Its path, or ``@name`` where it is abstract."""
    kind: str
    """``stream``, ``seqpacket`` or ``datagram``; empty where nothing is there."""
    state: UnixState
    """``open``: it takes connections; ``open|unknown``: it is bound, for datagrams; ``closed``: nobody listens."""
    why: str = ""
    """Why it is not open."""
    processes: tuple[Process, ...] | None = None
    """Whose it is; None where that is not told."""


def scan_unix(path: str = "", *, listing: Callable[..., list[Socket]] = list_sockets) -> Iterator[UnixFound]:
    """The unix sockets that listen on this machine, each as it was tried.

    Args:
        path: only this one, a path or ``@name``, whether somebody listens there or not.
        listing: lists sockets.

    Raises:
        LocalError: the system does not tell its sockets.
    """
    listed = listing(Wanted(protocols=("unix",)), processes=True)
    found: dict[tuple[str, str], Socket] = {}
    for each in listed:
        if each.local and path in {"", each.local} and (each.state != "established" or each.kind == "datagram"):
            found.setdefault((each.local, each.kind), each)
    for (name, kind), each in sorted(found.items()):
        outcome: tuple[UnixState, str] = ("open|unknown", "not tried")
        if kind != "datagram":
            outcome = try_unix(name, kind)
        yield UnixFound(name, kind, *outcome, each.processes)
    if path and not found:
        yield _unlisted(path)


def _unlisted(path: str) -> UnixFound:
    """A path that nobody is known to listen at: a listener in another network namespace is not told."""
    found = UnixFound(path, "", "unknown")
    for kind in _KINDS:
        state, why = try_unix(path, kind)
        if state == "open":
            return UnixFound(path, kind, state)
        found = UnixFound(path, "", state, why)
    return found


def try_unix(path: str, kind: str) -> tuple[UnixState, str]:
    """Whether somebody takes connections at a path or ``@name``; where not, why.

    Args:
        path: where.
        kind: ``stream`` or ``seqpacket``.
    """
    if not path.startswith(("/", "@")):
        return "unknown", "its path begins in a folder that nobody tells"
    with socket.socket(socket.AF_UNIX, _KINDS[kind]) as sock:
        sock.setblocking(False)
        try:
            sock.connect(unix_sockaddr(path))
        except OSError as error:
            number = error.errno or 0
        else:
            return "open", ""
    if number in {ECONNREFUSED, EPROTOTYPE}:
        return "closed", "nobody listens" if number == ECONNREFUSED else "a socket of another type is there"
    return "unknown", _WHY.get(number) or os.strerror(number)
