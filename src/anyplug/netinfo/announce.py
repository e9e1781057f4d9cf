"""Tells the local network of a server, so that `anyplug find` finds it: DNS-SD over multicast DNS.

::

    announcer = Announcer(name="kitchen", told=print)
    announcer.announce(server)
    ...
    await announcer.close()

Each port at which clients that speak plug are taken is announced once, with the addresses of this machine that lead to
it. A server that only this machine can reach is announced on loopback alone: an address of loopback means another
machine to everybody else. A name that is taken gets a number. Nothing that fails here stops the server.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from anyplug._version import __version__
from anyplug.address import Address
from anyplug.announcement import SERVICE_TYPE, Announcement, check_name, name_of_host, write_text
from anyplug.errors import LocalError
from anyplug.netinfo.addresses import for_announcing, list_interfaces
from anyplug.netinfo.multicast import open_multicast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from anyplug.netinfo.interfaces import Interface
    from anyplug.server import Server

__all__ = ["Announced", "Announcer", "Place", "places"]

_PATIENCE: Final = 10.0
"""How long announcing may take, seconds. It takes about two; somebody who answers for every name could hold it up."""
_FAREWELL: Final = 2.0
"""How long taking it back may take, seconds. It takes a quarter of one."""
_LOOPBACK: Final = "127.0.0.1"


class Place(msgspec.Struct, frozen=True):
    """A port that is announced."""

    port: int
    addresses: tuple[str, ...]
    """The own addresses that lead to it; without loopback where there are others. None where none is known."""
    tls: bool = False

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return all(ip_address(each).is_loopback for each in self.addresses)


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """How announcing went."""

    state: Literal["announced", "failed", "nothing"]
    """``nothing``: no listener takes clients that speak plug over TCP."""
    name: str = ""
    """The server's name in the network."""
    wanted: str = ""
    """The name it was to have; another one means that this was taken."""
    place: Place | None = None
    problem: str = ""
    """Why it failed."""


def places(addresses: Iterable[Address], interfaces: Sequence[Interface]) -> list[Place]:
    """What to announce of a server: each port for clients that speak plug, once.

    Args:
        addresses: where it listens, as bound.
        interfaces: of this machine.
    """
    found: dict[tuple[int, bool], dict[str, None]] = {}
    for address in addresses:
        if address.is_plug and address.port:
            hosts = _hosts(address, interfaces)
            found.setdefault((address.port, address.is_tls), {}).update(dict.fromkeys(hosts))
    return [Place(port, _reachable(hosts), tls) for (port, tls), hosts in found.items()]


def _hosts(address: Address, interfaces: Sequence[Interface]) -> list[str]:
    """The own addresses that lead to a listener."""
    if address.host == "localhost":
        return [_LOOPBACK] if address.family != 6 else ["::1"]
    try:
        ip = ip_address(address.host.partition("%")[0]) if address.host else None
    except ValueError:
        return []  # a name; the system knows which of our addresses it is, and others may not
    if ip is not None and not ip.is_unspecified:
        return [str(ip)]
    family = address.family or (0 if ip is None else ip.version)
    return [each for each in for_announcing(interfaces) if family in {0, ip_address(each).version}]


def _reachable(hosts: Iterable[str]) -> tuple[str, ...]:
    """Without loopback where there is something else."""
    given = tuple(hosts)
    return tuple(each for each in given if not ip_address(each).is_loopback) or given


class Announcer:
    """The announcements of one server.

    Args:
        name: the server's name in the network; by default that of this machine.
        told: is told how each announcement went.
        interfaces: own addresses, to announce there alone; by default every interface.
        links: tells the interfaces of this machine.
        open: opens multicast DNS.

    Raises:
        LocalError: it cannot have this name.
    """

    def __init__(
        self,
        *,
        name: str = "",
        told: Callable[[Announced], None] = lambda _: None,
        interfaces: Sequence[str] = (),
        links: Callable[[], list[Interface]] = list_interfaces,
        open: Callable[[Sequence[str]], Awaitable[Any]] = open_multicast,
    ) -> None:
        self.name = check_name(name) if name else name_of_host(socket.gethostname())
        """The name that is asked for."""
        self._told = told
        self._interfaces = interfaces
        self._links = links
        self._open = open
        self._host = f"anyplug-{secrets.token_hex(4)}.local."  # of our own: others announce the machine's
        self._wanted: tuple[list[Place], bytes] | None = None
        self._task: asyncio.Task[None] | None = None
        self._end: Any = None
        self._closed = False

    def announce(self, server: Server) -> None:
        """Announce what the server offers now, in place of what was announced before. Returns at once; the loop of the
        server is to run.
        """
        told = Announcement(
            services=tuple(service.name for service in server.services), version=__version__, token=server.asks_token
        )
        try:
            found = places(map(Address.parse, server.addresses), self._links())
        except LocalError as error:
            self._told(Announced(state="failed", wanted=self.name, problem=str(error)))
            return
        self.announce_places(found, told)

    def announce_places(self, found: list[Place], told: Announcement) -> None:
        """As `announce`, for what was looked up already."""
        wanted = (found, write_text(told))
        if self._closed or wanted == self._wanted:
            return
        self._wanted = wanted
        self._task = asyncio.ensure_future(self._exchange(self._task, found, told))

    async def _exchange(self, before: asyncio.Task[None] | None, found: list[Place], told: Announcement) -> None:
        """Take back what was announced, and announce this."""
        if before is not None:
            before.cancel()
            await asyncio.wait({before})
        await self._take_back()
        if not found:
            self._told(Announced(state="nothing", wanted=self.name))
            return
        found = [place for place in found if place.addresses]
        if not found:
            self._failed("this machine has no address that others could be told")
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._tell(found, told)
        except TimeoutError:
            self._failed(f"the network did not let it within {_PATIENCE:g} s")
        except OSError as error:
            self._failed(f"multicast cannot be used here: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001 - zeroconf's own errors, known once it is imported; the server goes on
            self._failed(f"{type(error).__name__}: {error}".rstrip(": "))

    def _failed(self, problem: str) -> None:
        self._told(Announced(state="failed", wanted=self.name, problem=problem))

    async def _tell(self, found: list[Place], told: Announcement) -> None:
        from zeroconf.asyncio import AsyncServiceInfo

        local = all(place.local for place in found)
        self._end = await self._open(self._interfaces or ([_LOOPBACK] if local else []))
        for number, place in enumerate(found):
            name = self.name if number == 0 else f"{self.name[:50]} {place.port}"
            info = AsyncServiceInfo(
                SERVICE_TYPE,
                f"{name}.{SERVICE_TYPE}",
                port=place.port,
                parsed_addresses=list(place.addresses),
                properties=write_text(msgspec.structs.replace(told, tls=place.tls)),
                server=self._host if number == 0 else f"{place.port}-{self._host}",
            )
            await (await self._end.async_register_service(info, allow_name_change=True))
            given = info.name.removesuffix(f".{SERVICE_TYPE}")
            self._told(Announced(state="announced", name=given, wanted=name, place=place))

    async def _take_back(self) -> None:
        if self._end is not None:
            await self._end.async_unregister_all_services()
            await self._end.async_close()
            self._end = None

    async def close(self) -> None:
        """Take back what was announced: nobody finds the server from now on. Waits two seconds at most."""
        self._closed = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._take_back()
        except (TimeoutError, OSError):
            return  # it runs out in two minutes by itself (RFC 6762, section 10)
