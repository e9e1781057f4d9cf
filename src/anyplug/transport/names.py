"""What the two ends of a socket are called: for people, and as the key that admission counts by."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address
from typing import TypeAlias

__all__ = ["SockAddr", "host_of", "name_of"]

SockAddr: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | str | bytes | None
"""What the `socket` module calls an address: ``(host, port)``, ``(host, port, flow, scope)``, a path, or an abstract
name."""


def name_of(sockaddr: SockAddr, family: int) -> str:
    """One end of a socket, for people: ``127.0.0.1:5000``, ``[::1]:5000``, ``unix:/path``, ``unix:@name``, or ``unix``
    without a name.

    An IPv4 address that came over an IPv6 socket is written as IPv4. A path may be a stranger's choice: what could not
    be seen of it is written as ``%XX``, so that the name can go to a terminal or a log.
    """
    if family == socket.AF_UNIX:
        return _unix_name(sockaddr)
    if not isinstance(sockaddr, tuple):
        return "unknown"
    host = _host(sockaddr)
    return f"[{host}]:{sockaddr[1]}" if ":" in host else f"{host}:{sockaddr[1]}"


def host_of(sockaddr: SockAddr) -> str:
    """The key under which connections of one peer are counted: its IP address; ``unix`` for all unix sockets.

    An IPv4 address counts as itself, whether it came over an IPv4 or an IPv6 socket. An IPv6 address counts as the
    whole address and not as its /64: all machines of one network share a /64, and one of them must not take the place
    of all; what a whole /64 can take is bounded by the limit on connections in all. A link-local address keeps its
    zone: on another link it is another machine.
    """
    if not isinstance(sockaddr, tuple):
        return "unix"
    return _host(sockaddr)


def _host(sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """The IP address: IPv4 out of IPv6 (RFC 4291, section 2.5.5.2), and link-local with its zone (RFC 4007, section
    11).
    """
    host = sockaddr[0]
    if host.startswith("::ffff:"):
        mapped = IPv6Address(host.partition("%")[0]).ipv4_mapped
        return str(mapped) if mapped is not None else host
    if len(sockaddr) == 4 and sockaddr[3] and "%" not in host:
        return f"{host}%{_zone(sockaddr[3])}"
    return host


def _zone(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # the interface is gone meanwhile
        return str(index)


def _unix_name(sockaddr: SockAddr) -> str:
    raw = sockaddr.encode("utf-8", "surrogateescape") if isinstance(sockaddr, str) else sockaddr
    if not isinstance(raw, bytes) or not raw:
        return "unix"
    mark, name = ("@", raw[1:]) if raw[0] == 0 else ("", raw)
    text = name.decode("utf-8", "surrogateescape")
    return f"unix:{mark}" + "".join(c if c.isprintable() else _percent(c) for c in text)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))
