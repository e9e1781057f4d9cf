"""Sockets that a service manager opened for us: the protocol of sd_listen_fds(3).

The manager sets ``LISTEN_PID`` to our process, ``LISTEN_FDS`` to how many descriptors it passes, from 3 on, and
``LISTEN_FDNAMES`` to their names with colons between. `anyplug.transport.bind` takes such a socket where it is bound to
the address it is asked for, so that a configuration is the same with a manager and without. Nothing that was inherited
is ever unlinked: it is the manager's.
"""

from __future__ import annotations

import os
import socket
import stat
from errno import ENOTSOCK
from typing import TYPE_CHECKING, Final

from anyplug.errors import BindError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from anyplug.transport.resolve import Candidate

__all__ = ["Inherited", "adopt", "inherited_sockets", "listens", "take", "takes_both"]

Inherited = list[tuple[str, socket.socket]]
"""Sockets that were inherited and not taken yet, each with the name the manager gave it, or ``""``."""

FIRST: Final = 3
"""The first descriptor passed (SD_LISTEN_FDS_START)."""

VARIABLES: Final = ("LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES")
"""What is removed from the environment, so that no child takes our sockets for its own."""


def inherited_sockets(environ: MutableMapping[str, str], pid: int, *, first: int = FIRST) -> Inherited:
    """The sockets a service manager passed to this process, close-on-exec and non-blocking, with their names.

    Removes the variables from `environ`, whatever they say. Without a manager, or where the variables are meant for
    another process, there are none.

    Raises:
        BindError: the variables make no sense, or a descriptor is closed or is no socket.
    """
    values = [environ.pop(name, "") for name in VARIABLES]
    if values[0] != str(pid):
        return []
    count = values[2]
    if not count.isdecimal() or int(count) > 65536:
        raise BindError("LISTEN_FDS", f"it is {count!r}, expected how many sockets were passed")
    names = values[3].split(":") if values[3] else []
    found: Inherited = []
    for index in range(int(count)):
        fd = first + index
        sock = adopt(fd, address=f"fd://{fd}", origin="the service manager passed it")
        found.append((names[index] if index < len(names) else "", sock))
    return found


def adopt(fd: int, *, address: str, origin: str = "") -> socket.socket:
    """Take over a descriptor as a socket, close-on-exec and non-blocking. Where it is none, it is left open.

    Raises:
        BindError: it is closed, or is no socket.
    """
    hint = f" ({origin})" if origin else ""
    try:
        mode = os.fstat(fd).st_mode
    except OSError as error:
        raise BindError(address, f"descriptor {fd} is not open here{hint}", errno=error.errno or 0) from error
    if not stat.S_ISSOCK(mode):
        raise BindError(address, f"descriptor {fd} is not a socket{hint}", errno=ENOTSOCK)
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    sock.set_inheritable(False)
    return sock


def listens(sock: socket.socket) -> bool:
    """Whether a socket accepts connections."""
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def take(inherited: Inherited, end: Candidate) -> socket.socket | None:
    """Remove and return the inherited socket that is bound to `end` and ready to serve, or None."""
    for index, (_, sock) in enumerate(inherited):
        same = (sock.family, sock.type) == (end.family, end.type) and _same(sock.getsockname(), end.sockaddr)
        if same and (end.type == socket.SOCK_DGRAM or listens(sock)):
            del inherited[index]
            return sock
    return None


def takes_both(sock: socket.socket) -> bool:
    """Whether it is an IPv6 socket for every interface that takes IPv4 too."""
    if sock.family != socket.AF_INET6 or sock.getsockname()[0] != "::":
        return False
    return not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def _same(bound: object, wanted: object) -> bool:
    if isinstance(bound, tuple) and isinstance(wanted, tuple):
        return bound[:2] == wanted[:2] and bound[3:] == wanted[3:]
    return bound == wanted
