"""Which Anyplug servers there are: those at addresses that somebody names, and those that announce themselves nearby.

::

    from anyplug.netinfo.find import ask, find

    async for each in find(timeout=3.0):
        print(each.address, each.services)
    print(await ask("192.168.1.7"))

An address that is named always works, where the network leads there. An announcement reaches the same network alone,
and only where it lets multicast pass.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from anyplug.address import Address
from anyplug.announcement import SERVICE_TYPE, read_text
from anyplug.client import connect
from anyplug.errors import AddressError, Code, Refused
from anyplug.netinfo.addresses import list_interfaces
from anyplug.netinfo.multicast import open_multicast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from anyplug.netinfo.interfaces import Interface

__all__ = ["CAUSES", "LISTEN", "MOST", "Found", "ask", "askable", "best_address", "find"]

LISTEN: Final = 3.0
"""How long answers are waited for where nothing else is said, seconds. Most come within a tenth of one."""

MOST: Final = 1000
"""Servers that are looked at in one search at most: anybody can announce any number of names."""

CAUSES: Final = (
    "the server was not started with --announce",
    "it listens on 127.0.0.1 alone, so that only its own machine can reach it",
    "multicast is blocked: by a firewall (UDP port 5353), or a Wi-Fi that keeps its guests apart",
    "it is in another subnet: multicast DNS does not pass routers",
)
"""Why a server that runs is not found, the usual causes first."""

_OFFERED: Final = re.compile(r"; offered: (.+)$")
"""How a server says what it offers where nobody named a service."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A server. What it says of itself is a stranger's word, to be escaped before it is shown."""

    address: str
    """Where to connect to: ``plug://192.168.1.7:7584``."""
    how: Literal["asked", "announced"]
    """Whether it answered at an address that was named, or announced itself."""
    name: str = ""
    """Its name in the network; empty where it was asked."""
    addresses: tuple[str, ...] = ()
    """Every address that it announces."""
    port: int | None = None
    services: tuple[str, ...] | None = None
    """What it offers; None where it does not say to somebody without a token."""
    more: int = 0
    """Services that it offers beside those."""
    version: str = ""
    """The version of Anyplug there; empty where it is not told."""
    token: bool | None = None
    """Whether clients must show a token; None where it is not told."""


async def ask(address: str | Address, *, timeout: float = LISTEN, token: str = "") -> Found:
    """The server at an address, asked what it offers.

    Args:
        address: where; a bare host means ``plug://host:7584``.
        timeout: how long it may take, seconds.
        token: what entitles us to know.

    Raises:
        AddressError: as `askable`.
        ConnectError: no Anyplug server answers there.
        Refused: it answers, and is too busy or about to stop.
    """
    where = askable(address)
    services: tuple[str, ...] | None = None
    needs: bool | None = None
    try:
        async with connect(where, timeout=timeout, token=token):
            services = ()
    except Refused as refused:
        if refused.code not in {Code.UNKNOWN_SERVICE, Code.NOT_ALLOWED}:
            raise
        needs = refused.code is Code.NOT_ALLOWED or (None if token else False)
        offered = _OFFERED.search(refused.text)
        if offered is not None:
            services = () if offered[1] == "none" else tuple(offered[1].split(", "))
    return Found(address=str(where), how="asked", port=where.port, services=services, token=needs)


def askable(address: str | Address) -> Address:
    """The address of a server, without a service.

    Raises:
        AddressError: nothing can be asked there.
    """
    where = (address if isinstance(address, Address) else Address.parse(address)).connectable()
    if not where.is_plug:
        raise AddressError(
            str(where),
            part="scheme",
            found=f"{where.scheme}://",
            expected="a server that speaks plug",
            nearest="plug://",
        )
    return msgspec.structs.replace(where, service="", rest="")


async def find(
    *,
    timeout: float = LISTEN,
    interfaces: Sequence[str] = (),
    open: Callable[[Sequence[str]], Awaitable[Any]] = open_multicast,
) -> AsyncGenerator[Found, None]:
    """The servers that announce themselves, as they answer; each name once.

    Args:
        timeout: how long to listen, seconds.
        interfaces: own addresses, to look there alone; by default every interface.
        open: opens multicast DNS.

    Raises:
        OSError: no multicast can be sent or heard here.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    heard: asyncio.Queue[Found] = asyncio.Queue()
    links = list_interfaces()
    async with _browsing(interfaces, open, heard, links, deadline):
        while (left := deadline - loop.time()) > 0:
            try:
                async with asyncio.timeout(left):
                    found = await heard.get()
            except TimeoutError:
                return
            yield found


@asynccontextmanager
async def _browsing(
    interfaces: Sequence[str],
    open: Callable[[Sequence[str]], Awaitable[Any]],
    heard: asyncio.Queue[Found],
    links: Sequence[Interface],
    deadline: float,
) -> AsyncIterator[None]:
    """Put every server that answers into the queue, for a block of code."""
    from zeroconf.asyncio import AsyncServiceBrowser

    end = await open(interfaces)
    tasks: dict[str, asyncio.Task[None]] = {}

    def seen(*, name: str, state_change: Any, **_: Any) -> None:
        if state_change.name != "Removed" and name not in tasks and len(tasks) < MOST:
            tasks[name] = asyncio.ensure_future(_look_at(end, name, heard, links, deadline))

    browser = AsyncServiceBrowser(end.zeroconf, SERVICE_TYPE, handlers=[seen])
    try:
        yield
    finally:
        await browser.async_cancel()
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        await end.async_close()


async def _look_at(
    end: Any, name: str, heard: asyncio.Queue[Found], links: Sequence[Interface], deadline: float
) -> None:
    """Where a server of that name is, and what it offers; nothing where nobody answers for it."""
    from zeroconf.asyncio import AsyncServiceInfo

    info = AsyncServiceInfo(SERVICE_TYPE, name)
    left = deadline - asyncio.get_running_loop().time()
    known = await info.async_request(end.zeroconf, max(left, 0.05) * 1000)
    addresses = tuple(info.parsed_scoped_addresses()) if known else ()
    if not addresses or not info.port:
        return
    told = read_text(info.text or b"")
    host = best_address(addresses, links)
    heard.put_nowait(
        Found(
            address=f"{'plugs' if told.tls else 'plug'}://{f'[{host}]' if ':' in host else host}:{info.port}",
            how="announced",
            name=name.removesuffix(f".{SERVICE_TYPE}"),
            addresses=addresses,
            port=info.port,
            services=told.services,
            more=told.more,
            version=told.version,
            token=told.token,
        )
    )


def best_address(addresses: Iterable[str], interfaces: Sequence[Interface]) -> str:
    """The one of a server's addresses to connect to: one in a network of ours, rather IPv4 for it is shorter to type.

    Args:
        addresses: at least one.
        interfaces: of this machine.
    """
    networks = [
        ip_network(f"{each.address}/{each.prefix}", strict=False) for link in interfaces for each in link.addresses
    ]

    def rank(text: str) -> tuple[bool, bool, int]:
        ip = ip_address(text.partition("%")[0])
        return not any(ip in network for network in networks), ip.is_link_local, ip.version

    return min(addresses, key=rank)
