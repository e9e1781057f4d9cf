"""The addresses of this machine, and which one of them a peer should use.

::

    from anyplug.netinfo.addresses import list_interfaces, default_routes, for_peers

    interfaces = list_interfaces()
    print(for_peers(interfaces, default_routes()))
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from anyplug.errors import LocalError
from anyplug.netinfo.interfaces import DefaultRoute, HostAddress, Interface, read_interfaces, read_routes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "DefaultRoute",
    "HostAddress",
    "Interface",
    "default_routes",
    "for_announcing",
    "for_peers",
    "list_interfaces",
]

_UNUSABLE: Final = frozenset({"tentative", "dadfailed", "deprecated"})
"""Addresses with one of these flags are not for new conversations (RFC 4862, section 5.5.4)."""

_VIRTUAL: Final = ("docker", "br-", "veth", "virbr", "cni", "flannel", "vmnet", "vboxnet", "lxc", "lxd", "podman")
"""How interfaces to containers and guests of this machine are named: nobody else is behind them."""


def list_interfaces(read: Callable[[], list[Interface]] = read_interfaces) -> list[Interface]:
    """The interfaces of this machine with their addresses, in the order of the system.

    Raises:
        LocalError: the system does not tell.
    """
    try:
        return read()
    except OSError as error:
        raise _untold(error) from error


def default_routes(read: Callable[[], list[DefaultRoute]] = read_routes) -> list[DefaultRoute]:
    """Where packets for the rest of the world leave; the route that counts first.

    Raises:
        LocalError: the system does not tell.
    """
    try:
        return read()
    except OSError as error:
        raise _untold(error) from error


def for_peers(interfaces: Sequence[Interface], routes: Sequence[DefaultRoute]) -> HostAddress | None:
    """The address by which a peer in the local network reaches this machine; None where there is none but loopback.

    It is the one from which this machine itself speaks to the world, IPv4 first, for it is the shorter one to type.
    Without a default route: an address of an interface that is up, rather not one to containers or guests, rather not
    one that is known on its link alone.
    """
    candidates = [(each, link) for link in interfaces for each in link.addresses if _usable(each, link)]
    if not candidates:
        return None
    return min(candidates, key=lambda pair: _rank(pair[0], pair[1], routes))[0]


def for_announcing(interfaces: Sequence[Interface]) -> list[str]:
    """The addresses by which others may reach this machine, to be told to a whole network; loopback where there are no
    others.

    Addresses of networks to containers and guests, and those that are known on their link alone, are left out where
    there are better ones.
    """
    usable = [(each, link) for link in interfaces for each in link.addresses if _usable(each, link)]
    near = {each.address for each, _ in usable if each.scope == "link" or ip_address(each.address).is_link_local}
    wide = [(each, link) for each, link in usable if each.address not in near] or usable
    real = [(each, link) for each, link in wide if not link.name.startswith(_VIRTUAL)] or wide
    loopback = [each.address for link in interfaces if link.loopback for each in link.addresses]
    return [each.address for each, _ in real] or loopback


def _usable(each: HostAddress, link: Interface) -> bool:
    if link.loopback or not link.up or each.scope in {"host", "nowhere"}:
        return False
    return not _UNUSABLE & set(each.flags) and not ip_address(each.address).is_loopback


def _rank(each: HostAddress, link: Interface, routes: Sequence[DefaultRoute]) -> tuple[int, ...]:
    """The least is the best."""
    ways = [route for route in routes if route.family == each.family]
    way = min(ways, key=lambda route: route.metric, default=None)
    routed = way is not None and (way.source == each.address if way.source else way.index == link.index)
    near = each.scope == "link" or ip_address(each.address).is_link_local
    other = bool({"secondary", "temporary"} & set(each.flags))
    return near, not routed, link.name.startswith(_VIRTUAL), each.family, other


def _untold(error: OSError) -> LocalError:
    why = error.strerror or str(error)
    return LocalError(f"the addresses of this machine cannot be listed ({why}); it takes Linux with rtnetlink")
