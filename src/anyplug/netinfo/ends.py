"""From a host to its addresses, and what this machine has: where packets to one would leave, addresses, sockets."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Literal

from anyplug.errors import ConnectError, LocalError
from anyplug.netinfo.addresses import list_interfaces
from anyplug.netinfo.interfaces import read_interfaces
from anyplug.netinfo.scan_types import Target
from anyplug.netinfo.sockets import SOURCES, list_sockets
from anyplug.transport.explain import explain_lookup
from anyplug.transport.names import host_of
from anyplug.transport.resolve import FAMILIES, known, look_up_blocking, system_lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyplug.netinfo.interfaces import Interface
    from anyplug.netinfo.sockets import Socket, Source, Wanted
    from anyplug.transport.resolve import Candidate, Lookup

__all__ = ["find_ends", "local_address", "own_addresses", "own_sockets"]


def find_ends(
    host: str,
    *,
    family: Literal[0, 4, 6] = 0,
    kind: int = socket.SOCK_STREAM,
    timeout: float = 10.0,
    lookup: Lookup = system_lookup,
) -> list[Target]:
    """Every address of a host, in the order in which they should be tried (RFC 6724).

    Args:
        host: a name or an address, IPv6 with or without brackets.
        family: only this one; 0 is both.
        kind: the type of socket that it is for.
        timeout: how long a name is looked up, seconds.
        lookup: looks up names.

    Raises:
        LocalError: it is no host.
        ConnectError: the name could not be looked up; the step is ``resolve``.
    """
    name = host.strip().removeprefix("[").removesuffix("]")
    if not name or set("/*?#@ ") & set(name) or name.isspace():
        raise LocalError(f"{host!r} names no host; expected a name or an address, such as 192.168.1.7 or example.net")
    number = FAMILIES[family]
    try:
        ends = known(name, 0, number, kind)
        if ends is None:
            ends = look_up_blocking(lookup, name, 0, number, kind, seconds=timeout)
        if not ends:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
    except OSError as error:
        problem, remedy = explain_lookup(name, error)
        raise ConnectError(
            name, step="resolve", problem=problem, remedy=remedy, errno=max(error.errno or 0, 0)
        ) from error
    return [_target(name, end) for end in ends]


def _target(host: str, end: Candidate) -> Target:
    address = end.sockaddr
    assert isinstance(address, tuple)  # noqa: S101 - of a host, never a path
    scope = address[3] if len(address) == 4 else 0
    return Target(host, address[0], 6 if end.family == socket.AF_INET6 else 4, scope)


def own_addresses(read: Callable[[], list[Interface]] = read_interfaces) -> dict[str, str]:
    """The addresses of this machine with their interfaces; none where the system does not tell."""
    try:
        return {each.address: link.name for link in list_interfaces(read) for each in link.addresses}
    except LocalError:
        return {}


def own_sockets(wanted: Wanted, *, processes: bool = False, sources: Sequence[Source] = SOURCES) -> list[Socket]:
    """The sockets of this machine as of `anyplug.netinfo.sockets.list_sockets`; none where the system does not tell."""
    try:
        return list_sockets(wanted, processes=processes, sources=sources)
    except LocalError:
        return []


def local_address(target: Target, port: int = 9) -> str:
    """The own address from which packets to a target leave. Nothing is sent.

    Raises:
        OSError: there is no way there, or the system has no such family.
    """
    family = socket.AF_INET if target.family == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(target.sockaddr(port))
        return host_of(sock.getsockname())
