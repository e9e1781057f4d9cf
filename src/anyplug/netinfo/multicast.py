"""Multicast DNS (RFC 6762) over the package zeroconf, which is imported when it is needed and not before.

Its sockets are opened for some interfaces or for all; where this machine has no multicast, an `OSError` says so.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from errno import ENODEV
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zeroconf.asyncio import AsyncZeroconf

__all__ = ["open_multicast"]


_QUIET: Final = logging.NullHandler()


async def open_multicast(interfaces: Sequence[str] = (), *, make: Callable[..., Any] | None = None) -> AsyncZeroconf:
    """An open end of multicast DNS; close it with ``async_close``.

    Args:
        interfaces: own addresses; by default every interface, IPv6 too where this machine has it.
        make: makes it; by default zeroconf's own.

    Raises:
        OSError: no multicast can be sent or heard here.
    """
    from zeroconf import InterfaceChoice, IPVersion
    from zeroconf.asyncio import AsyncZeroconf

    make = make or AsyncZeroconf
    logging.getLogger("zeroconf").addHandler(_QUIET)  # what it warns of is told as an error, or harmless
    if interfaces:
        for each in filter(_is_ipv4, interfaces):
            _check_own(each)
        versions = {ip_address(each.partition("%")[0]).version for each in interfaces}
        only = IPVersion.V4Only if versions == {4} else IPVersion.V6Only if versions == {6} else IPVersion.All
        return await _opened(make, list(interfaces), only)
    with suppress(OSError):
        return await _opened(make, InterfaceChoice.All, IPVersion.All)
    return await _opened(make, InterfaceChoice.All, IPVersion.V4Only)  # no IPv6 here


def _is_ipv4(address: str) -> bool:
    return ":" not in address


def _check_own(address: str) -> None:
    """Raise `OSError` where no interface has this IPv4 address; zeroconf would find it out with sockets open."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))


async def _opened(make: Callable[..., Any], interfaces: Any, version: Any) -> AsyncZeroconf:
    from zeroconf import Error

    try:
        made: AsyncZeroconf = make(interfaces=interfaces, ip_version=version)
    except RuntimeError as error:
        raise OSError(ENODEV, "no interface that is up has an address") from error
    start = asyncio.ensure_future(made.zeroconf.async_wait_for_start())
    try:
        await asyncio.wait({start})  # which is not cancelled with us: zeroconf cannot be closed before it has started
        start.result()
        if not made.zeroconf.engine.senders:
            raise OSError(ENODEV, "no interface takes part in multicast")
    except BaseException as error:  # a cancellation too: its sockets are open
        await asyncio.wait({start})
        await made.async_close()
        if isinstance(error, Error):
            raise OSError(ENODEV, f"multicast did not start ({type(error).__name__})") from error
        raise
    return made
