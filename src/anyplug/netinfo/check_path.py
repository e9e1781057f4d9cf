"""The way there: the steps ``route``, ``path`` and ``connect``."""

from __future__ import annotations

import os
import select
import socket
import stat
from errno import EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, ECONNREFUSED, EINPROGRESS, ENETUNREACH, ETIMEDOUT
from ipaddress import ip_address
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Final

from anyplug.netinfo.check_types import Connected, Listeners, Route
from anyplug.netinfo.check_walk import Outcome, failed, ok
from anyplug.netinfo.ends import local_address, own_addresses, own_sockets
from anyplug.netinfo.sockets import Wanted, end_text
from anyplug.netinfo.tcp_info import is_itself, tcp_info
from anyplug.netinfo.tcp_scan import why_not
from anyplug.transport.explain import explain_connect
from anyplug.transport.names import name_of
from anyplug.transport.resolve import SOCKET_TYPES, unix_sockaddr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.netinfo.check_walk import Walk
    from anyplug.netinfo.scan_types import Target
    from anyplug.netinfo.sockets import Protocol, Socket

__all__ = ["again", "connect", "interface_of", "is_own", "listeners", "path", "refusal", "route"]

_TOLD: Final = 8
"""Listeners that are told where none has the port."""
_NO_WAY: Final = frozenset({ENETUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT})
_TIMEVAL: Final = Struct("@ll")
_EVERY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - read, not bound


def route(walk: Walk) -> Outcome:
    """From which own address packets leave; nothing is sent."""
    target = _target(walk)
    try:
        local = local_address(target)
    except OSError as error:
        if error.errno in _NO_WAY:
            return _no_way(walk, target)
        problem, remedy = explain_connect([(walk.where, error)])
        return failed(problem, remedy)
    interface = interface_of(local)
    through = f" on {interface}" if interface else ""
    return ok(f"packets leave from {local}{through}", Route(local, interface))


def _no_way(walk: Walk, target: Target) -> Outcome:
    problem = f"this machine has no way to the IPv{target.family} address {target.address}"
    remedy = f"see what it has with `anyplug addresses -{target.family}`"
    if walk.alone:
        return failed(
            f"{problem}, and {walk.address.host} has IPv{target.family} addresses only",
            f"{remedy}; use a network with IPv{target.family}, or give that host an IPv{10 - target.family} address",
        )
    return failed(problem, f"{remedy}; use another network, or another address of that host")


def interface_of(address: str) -> str:
    """The interface that has an own address; empty where none is known."""
    return own_addresses().get(address.partition("%")[0], "")


def is_own(target: Target) -> bool:
    """Whether the address is one of this machine."""
    return ip_address(target.address).is_loopback or target.address in own_addresses()


def path(walk: Walk) -> Outcome:
    """Whether a unix socket is there, whose it is, and who listens."""
    name = walk.address.path
    found = [each for each in _listening("unix") if each.local == name]
    owners = " ".join(filter(None, map(_owners, found)))
    listening = f"; {owners} listens" if owners else ""
    if walk.address.is_abstract:
        return ok(f"{name} is an abstract name, which has no file{listening}")
    try:
        status = Path(name).stat()
    except OSError as error:
        problem, remedy = explain_connect([(walk.where, error)])
        return failed(problem, remedy)
    if not stat.S_ISSOCK(status.st_mode):
        return failed(f"{name} is there and is no socket", "check the path")
    return ok(f"{name} is a socket of user {status.st_uid}, {stat.filemode(status.st_mode)}{listening}")


def connect(walk: Walk) -> Outcome:
    """The handshake of TCP, or the connection of a unix socket."""
    family, end = _sockaddr(walk)
    sock = socket.socket(family, SOCKET_TYPES[walk.address.kind])
    walk.sock = sock
    if walk.address.kind == "datagram" and family == socket.AF_UNIX:
        sock.bind("")
    error = _connect(sock, end, walk.options.timeout)
    if error is not None:
        return _not_connected(walk, sock, error)
    local, remote = name_of(sock.getsockname(), family), walk.where
    info = tcp_info(sock) if walk.tcp else None
    if info is None:
        datagrams = walk.address.kind == "datagram"
        told = "datagrams have no handshake; the socket is set to that end" if datagrams else "connected"
        return ok(told, Connected(local, remote, None, None, None))
    walk.opened = "established"  # it was, though the peer may have ended its half by now
    resent = f"; {info.resent} lost and sent again" if info.resent else ""
    facts = Connected(local, remote, info.round_trip, info.resent, info.mtu)
    return ok(f"taken; a round trip of {info.round_trip * 1000:.3g} ms{resent}", facts)


def again(walk: Walk) -> socket.socket:
    """One more connection to the same end.

    Raises:
        OSError: there is none.
    """
    family, end = _sockaddr(walk)
    sock = socket.socket(family, SOCKET_TYPES[walk.address.kind])
    error = _connect(sock, end, walk.options.timeout)
    if error is not None:
        sock.close()
        raise error
    return sock


def _connect(sock: socket.socket, end: object, seconds: float) -> OSError | None:
    """Why it did not connect."""
    if sock.family == socket.AF_UNIX:
        return _connect_unix(sock, end, seconds)
    sock.setblocking(False)
    number = sock.connect_ex(end)  # type: ignore[arg-type]
    if number == EINPROGRESS:
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        ready = poll.poll(seconds * 1000)
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if ready else ETIMEDOUT
    if not number and is_itself(sock):
        number = ECONNREFUSED
    return OSError(number, os.strerror(number)) if number else None


def _connect_unix(sock: socket.socket, end: object, seconds: float) -> OSError | None:
    """A server that accepts nobody lets others wait, unless they say for how long (SO_SNDTIMEO)."""
    whole, rest = divmod(seconds, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(whole), int(rest * 1e6)))
    number = sock.connect_ex(end)  # type: ignore[arg-type]
    if number == EAGAIN:
        number = ETIMEDOUT
    return OSError(number, os.strerror(number)) if number else None


def _not_connected(walk: Walk, sock: socket.socket, error: OSError) -> Outcome:
    number = error.errno or 0
    if walk.target is not None and number == ECONNREFUSED:
        return refusal(walk, "tcp")
    if walk.target is not None and why_not(sock, number) == "admin-prohibited":
        return failed(
            f"a firewall on the way forbids connections to {walk.where}",
            "ask who runs that network; another port may be allowed (`anyplug scan` shows which)",
        )
    problem, remedy = explain_connect([(walk.where, error)])
    if number == ETIMEDOUT:
        problem = f"{problem} within {walk.options.timeout:g} s"
        if walk.target is not None:
            remedy = f"{remedy}; `anyplug ping {walk.target.address}` tells whether the host is there"
    return failed(problem, remedy)


def refusal(walk: Walk, protocol: Protocol) -> Outcome:
    """The host says that nothing listens there; what does, where it is this machine."""
    target, port = _target(walk), walk.address.port
    problem = f"refused: nothing listens on {walk.where}"
    if not is_own(target):
        remedy = f"start the server, or check the port: `anyplug scan {target.address}` shows the open ones"
        return failed(problem, remedy)
    here = listeners(protocol)
    same = [text for each, text in here if each.local_port == port]
    if same:
        remedy = "connect to an address that it has, or let it listen on this one"
        return failed(f"{problem}, but on {', '.join(same)}", remedy, Listeners(tuple(same)))
    able = [text for each, text in here if each.local in {target.address, *_EVERY}]
    if not able:
        return failed(f"{problem}, and nothing else on that address of this machine", "start the server")
    more = f" and {len(able) - _TOLD} more" if len(able) > _TOLD else ""
    told = f"{', '.join(able[:_TOLD])}{more}"
    return failed(f"{problem}; here listen {told}", "start the server, or check the port", Listeners(tuple(able)))


def listeners(protocol: Protocol) -> list[tuple[Socket, str]]:
    """What listens on this machine, and how that is told; nothing where the system does not say."""
    found = sorted(_listening(protocol), key=lambda each: (each.local_port or 0, each.local))
    return [(each, f"{end_text(each.local, each.local_port)} {_owners(each)}".strip()) for each in found]


def _listening(protocol: Protocol) -> Sequence[Socket]:
    return own_sockets(Wanted(protocols=(protocol,), listening=True), processes=True)


def _owners(each: Socket) -> str:
    return " ".join(f"{process.name}[{process.pid}]" for process in each.processes or ())


def _sockaddr(walk: Walk) -> tuple[int, object]:
    if walk.target is None:
        return int(socket.AF_UNIX), unix_sockaddr(walk.address.path)
    family = socket.AF_INET if walk.target.family == 4 else socket.AF_INET6
    return int(family), walk.target.sockaddr(walk.address.port)


def _target(walk: Walk) -> Target:
    assert walk.target is not None  # noqa: S101 - these steps are for hosts alone
    return walk.target
