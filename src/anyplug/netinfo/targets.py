"""From what a user names to the hosts to look at: names, addresses, small networks."""

from __future__ import annotations

import socket
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, Literal

from anyplug.errors import ConnectError, LocalError
from anyplug.netinfo.scan_types import Target
from anyplug.transport.explain import explain_lookup
from anyplug.transport.resolve import FAMILIES, known, look_up_blocking, system_lookup

if TYPE_CHECKING:
    from anyplug.transport.resolve import Candidate, Lookup

__all__ = ["FREE_HOSTS", "find_targets"]

FREE_HOSTS: Final = 256
"""Hosts of one network that are looked at without asking: a /24. More is rarely meant, and rarely one's own."""
MOST_HOSTS: Final = 65_536
"""Hosts of one network at most: a /16."""


def find_targets(
    text: str,
    *,
    family: Literal[0, 4, 6] = 0,
    yes: bool = False,
    timeout: float = 10.0,
    lookup: Lookup = system_lookup,
) -> list[Target]:
    """The hosts that a text names: a name or an address, or a network as ``192.168.1.0/24``.

    Of a name the first address of each family is taken, and of a network every host.

    Args:
        text: what the user named.
        family: only this one; 0 is both.
        yes: networks with more than 256 addresses too.
        timeout: how long a name is looked up, seconds.
        lookup: looks up names.

    Raises:
        LocalError: it is no host and no network, or a network that is too large.
        ConnectError: the name could not be looked up; the step is ``resolve``.
    """
    host = text.strip().removeprefix("[").removesuffix("]")
    if "/" in host:
        return _network(host, yes=yes)
    if not host or "*" in host:
        raise LocalError(f"{text!r} names no host; expected a name, an address, or a network such as 192.168.1.0/24")
    number = FAMILIES[family]
    try:
        ends = known(host, 0, number, socket.SOCK_STREAM)
        if ends is None:
            ends = look_up_blocking(lookup, host, 0, number, socket.SOCK_STREAM, seconds=timeout)
    except OSError as error:
        problem, remedy = explain_lookup(host, error)
        raise ConnectError(host, step="resolve", problem=problem, remedy=remedy, errno=error.errno or 0) from error
    return _first_of_each(host, ends)


def _first_of_each(host: str, ends: list[Candidate]) -> list[Target]:
    found: dict[int, Target] = {}
    for end in ends:
        address = end.sockaddr
        if isinstance(address, tuple) and end.family not in found:
            scope = address[3] if len(address) == 4 else 0
            found[end.family] = Target(host, address[0], 6 if end.family == socket.AF_INET6 else 4, scope)
    return sorted(found.values(), key=lambda target: target.family)


def _network(text: str, *, yes: bool) -> list[Target]:
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise LocalError(f"{text!r} is no network: {error}; expected such as 192.168.1.0/24") from error
    many = f"{text} has {network.num_addresses:,} addresses"
    if network.num_addresses > MOST_HOSTS:
        raise LocalError(f"{many}; the most at once is {MOST_HOSTS:,}, such as a /16")
    if network.num_addresses > FREE_HOSTS and not yes:
        remedy = "with --yes they are scanned, if whoever runs these machines has consented"
        raise LocalError(f"{many}, more than {FREE_HOSTS}; {remedy}")
    return [Target(str(host), str(host), 6 if network.version == 6 else 4) for host in network.hosts()]
