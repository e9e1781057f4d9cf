"""Interfaces, their addresses and the default routes, from rtnetlink(7)."""

from __future__ import annotations

import socket
from struct import Struct
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from anyplug.netinfo.netlink import NETLINK_ROUTE, attributes, dump, messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "DefaultRoute",
    "HostAddress",
    "Interface",
    "parse_addresses",
    "parse_default_routes",
    "parse_links",
    "read_interfaces",
    "read_routes",
]


class HostAddress(msgspec.Struct, frozen=True, kw_only=True):
    """One address of this machine."""

    interface: str
    family: Literal[4, 6]
    address: str
    prefix: int
    """How many bits of it are the network's."""
    scope: str
    """``global``, ``site``, ``link`` or ``host``: how far it is known."""
    flags: tuple[str, ...] = ()
    """``dynamic``, ``secondary``, ``temporary``, ``deprecated``, ``tentative``, ``dadfailed`` and the like."""
    broadcast: str | None = None


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    """One interface of this machine."""

    name: str
    index: int
    up: bool
    """Whether it is switched on and has a carrier."""
    loopback: bool
    mtu: int | None
    mac: str | None
    """Its address on the link, where it has one."""
    addresses: tuple[HostAddress, ...] = ()


class DefaultRoute(msgspec.Struct, frozen=True, kw_only=True):
    """Where packets for the rest of the world leave."""

    family: Literal[4, 6]
    index: int
    """The number of the interface."""
    metric: int = 0
    """The least counts."""
    source: str | None = None
    """The own address for it, where the route names one."""


_GET_LINK, _NEW_LINK = 18, 16
_GET_ADDRESS, _NEW_ADDRESS = 22, 20
_GET_ROUTE, _NEW_ROUTE = 26, 24

_LINK: Final = Struct("=BxHiII")
"""ifinfomsg: family, type, index, flags, change."""
_ADDRESS: Final = Struct("=BBBBI")
"""ifaddrmsg: family, prefix, flags, scope, index."""
_ROUTE: Final = Struct("=BBBBBBBBI")
"""rtmsg: family, bits of the destination, of the source, service, table, protocol, scope, type, flags."""
_NUMBER: Final = Struct("=I")

_IFF_UP, _IFF_LOOPBACK, _IFF_LOWER_UP = 0x1, 0x8, 0x10000
_LINK_MAC, _LINK_NAME, _LINK_MTU = 1, 3, 4
_ADDRESS_PEER, _ADDRESS_LOCAL, _ADDRESS_BROADCAST, _ADDRESS_FLAGS = 1, 2, 4, 8
_ROUTE_INTERFACE, _ROUTE_METRIC, _ROUTE_SOURCE = 4, 6, 7
_MAIN_TABLE, _UNICAST = 254, 1

_FAMILIES: Final[Mapping[int, tuple[Literal[4, 6], int]]] = {
    int(socket.AF_INET): (4, 4),
    int(socket.AF_INET6): (6, 16),
}
"""The families that are told, and how long their addresses are."""

_SCOPES: Final = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
_PERMANENT: Final = 0x80
_FLAGS: Final = {
    0x02: "nodad",
    0x04: "optimistic",
    0x08: "dadfailed",
    0x10: "home",
    0x20: "deprecated",
    0x40: "tentative",
    0x100: "mngtmpaddr",
    0x200: "noprefixroute",
    0x400: "autojoin",
    0x800: "stable-privacy",
}
"""In the words of ip-address(8)."""


def read_interfaces() -> list[Interface]:
    """The interfaces of this machine.

    Raises:
        OSError: the system has no netlink, or does not answer.
    """
    links = parse_links(dump(NETLINK_ROUTE, _GET_LINK, _LINK.pack(0, 0, 0, 0, 0)))
    found = parse_addresses(dump(NETLINK_ROUTE, _GET_ADDRESS, _ADDRESS.pack(0, 0, 0, 0, 0)), links)
    replace = msgspec.structs.replace
    return [replace(link, addresses=tuple(found.get(link.index, ()))) for link in links]


def read_routes() -> list[DefaultRoute]:
    """The default routes of this machine, both families.

    Raises:
        OSError: the system has no netlink, or does not answer.
    """
    return parse_default_routes(dump(NETLINK_ROUTE, _GET_ROUTE, _ROUTE.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)))


def parse_links(datagrams: Iterable[bytes]) -> list[Interface]:
    """The interfaces in the answer to RTM_GETLINK, without addresses."""
    found = []
    for body in _bodies(datagrams, _NEW_LINK, _LINK.size):
        _, _, index, flags, _ = _LINK.unpack_from(body)
        facts = attributes(body, _LINK.size)
        mac = facts.get(_LINK_MAC, b"")
        found.append(
            Interface(
                name=facts.get(_LINK_NAME, b"").rstrip(b"\0").decode("utf-8", "surrogateescape"),
                index=index,
                up=bool(flags & _IFF_UP and flags & _IFF_LOWER_UP),
                loopback=bool(flags & _IFF_LOOPBACK),
                mtu=_number(facts, _LINK_MTU),
                mac=mac.hex(":") if any(mac) else None,
            )
        )
    return found


def parse_addresses(datagrams: Iterable[bytes], links: Iterable[Interface]) -> dict[int, list[HostAddress]]:
    """The addresses in the answer to RTM_GETADDR, by the number of their interface."""
    names = {link.index: link.name for link in links}
    found: dict[int, list[HostAddress]] = {}
    for body in _bodies(datagrams, _NEW_ADDRESS, _ADDRESS.size):
        family, prefix, short_flags, scope, index = _ADDRESS.unpack_from(body)
        facts = attributes(body, _ADDRESS.size)
        own = facts.get(_ADDRESS_LOCAL, facts.get(_ADDRESS_PEER, b""))
        if family not in _FAMILIES or len(own) != _FAMILIES[family][1]:
            continue
        version, _ = _FAMILIES[family]
        broadcast = facts.get(_ADDRESS_BROADCAST)
        flags = _number(facts, _ADDRESS_FLAGS)
        address = HostAddress(
            interface=names.get(index, str(index)),
            family=version,
            address=socket.inet_ntop(family, own),
            prefix=prefix,
            scope=_SCOPES.get(scope, str(scope)),
            flags=_flag_words(short_flags if flags is None else flags, version),
            broadcast=socket.inet_ntop(family, broadcast) if broadcast is not None else None,
        )
        found.setdefault(index, []).append(address)
    return found


def parse_default_routes(datagrams: Iterable[bytes]) -> list[DefaultRoute]:
    """The default routes in the answer to RTM_GETROUTE; the one that counts comes first, for each family."""
    found = []
    for body in _bodies(datagrams, _NEW_ROUTE, _ROUTE.size):
        family, bits, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
        facts = attributes(body, _ROUTE.size)
        index = _number(facts, _ROUTE_INTERFACE)
        if bits or index is None or family not in _FAMILIES or (table, kind) != (_MAIN_TABLE, _UNICAST):
            continue
        source = facts.get(_ROUTE_SOURCE)
        found.append(
            DefaultRoute(
                family=_FAMILIES[family][0],
                index=index,
                metric=_number(facts, _ROUTE_METRIC) or 0,
                source=socket.inet_ntop(family, source) if source is not None else None,
            )
        )
    return sorted(found, key=lambda route: (route.family, route.metric))


def _bodies(datagrams: Iterable[bytes], kind: int, size: int) -> list[bytes]:
    return [body for data in datagrams for each, body in messages(data) if each == kind and len(body) >= size]


def _number(facts: dict[int, bytes], kind: int) -> int | None:
    value = facts.get(kind, b"")
    number: int | None = _NUMBER.unpack(value)[0] if len(value) == _NUMBER.size else None
    return number


def _flag_words(flags: int, family: int) -> tuple[str, ...]:
    words = [] if flags & _PERMANENT else ["dynamic"]
    if flags & 0x01:
        words.append("secondary" if family == 4 else "temporary")
    return (*words, *(word for bit, word in _FLAGS.items() if flags & bit))
