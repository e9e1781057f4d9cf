"""``anyplug find``: which servers there are."""

from __future__ import annotations

import asyncio
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import click

from anyplug.cli.conversation import run
from anyplug.cli.faults import FAILURE, OK, Fault, explain
from anyplug.cli.flags import json_option, timeout_option
from anyplug.cli.output import Output
from anyplug.errors import AnyplugError, LocalError
from anyplug.escape import escape
from anyplug.netinfo.addresses import list_interfaces
from anyplug.netinfo.find import CAUSES, LISTEN, Found, ask, askable, find

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from anyplug.address import Address

__all__ = ["command"]

_FORM: Final = "{:<28}  {:<16}  {:<8}  {:<6}  {}"
_HEADS: Final = ("ADDRESS", "NAME", "VERSION", "TOKEN", "SERVICES")
_TOKEN: Final = {True: "asked", False: "none", None: "-"}


@click.command(
    "find",
    short_help="Find servers in the local network.",
    epilog="""\b
    Examples:
    anyplug find
    anyplug find 192.168.1.7
    anyplug find --timeout 10 --json""",
)
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@click.option("--interface", "-i", multiple=True, metavar="NAME|ADDRESS", help="Look on this interface; repeatable.")
@timeout_option("How long to listen, and to wait for each HOST; 3.")
@json_option
def command(hosts: tuple[str, ...], interface: tuple[str, ...], timeout: float | None, json: bool) -> int:
    """Find servers that announce themselves in the local network (anyplug serve --announce).

    Each HOST, an address such as 192.168.1.7 or plug://192.168.1.7:7584, is asked directly and told first: that works
    where announcements do not get through.
    """
    output = Output(json=json)
    targets = list(map(askable, hosts))
    search = _Search(output, timeout or LISTEN, _own_addresses(interface))
    return run(lambda: search.run(targets), output)


def _own_addresses(names: Sequence[str]) -> list[str]:
    """The own addresses that the options name.

    Raises:
        LocalError: one is no interface and no address of this machine, or an interface without addresses.
    """
    if not names:
        return []
    links = list_interfaces()
    found: list[str] = []
    for name in names:
        some = [each.address for link in links for each in link.addresses if name in {link.name, each.address}]
        if not some:
            if any(link.name == name for link in links):
                raise LocalError(f"the interface {name!r} has no address; multicast needs one")
            known = ", ".join(link.name for link in links)
            raise LocalError(f"{name!r} is no interface and no address of this machine; there are {known}")
        found += [each for each in some if ip_address(each).version == 4] or some
    return found


class _Search:
    """A search, and how it is told.

    Args:
        output: where to.
        seconds: how long to listen, and to wait for each that is asked.
        interfaces: own addresses, to look there alone.
        look: finds those that announce themselves.
    """

    def __init__(
        self,
        output: Output,
        seconds: float,
        interfaces: Sequence[str],
        look: Callable[..., AsyncIterator[Found]] = find,
    ) -> None:
        self._look = look
        self._output = output
        self._seconds = seconds
        self._interfaces = interfaces
        self._began = time.monotonic()
        self._told: list[Found] = []
        self._missing = 0
        self._deaf = ""

    async def run(self, targets: Sequence[Address]) -> int:
        """Ask those that were named, and listen meanwhile; the exit status."""
        announced: asyncio.Queue[Found | None] = asyncio.Queue()
        listening = asyncio.ensure_future(self._listen(announced))
        try:
            asked = [asyncio.ensure_future(ask(target, timeout=self._seconds)) for target in targets]
            for each in asked:
                await self._tell_asked(each)
            while (found := await announced.get()) is not None:
                await self._tell(found)
        finally:
            listening.cancel()
            await asyncio.wait({listening})
        return self._tell_end()

    async def _listen(self, announced: asyncio.Queue[Found | None]) -> None:
        try:
            async for found in self._look(timeout=self._seconds, interfaces=self._interfaces):
                announced.put_nowait(found)
        except OSError as error:
            self._deaf = error.strerror or str(error)
        except LocalError as error:
            self._deaf = str(error)
        finally:
            announced.put_nowait(None)

    async def _tell_asked(self, asked: asyncio.Future[Found]) -> None:
        try:
            found = await asked
        except AnyplugError as error:
            self._missing += 1
            self._output.error(explain(error))
        else:
            await self._tell(found)

    async def _tell(self, found: Found) -> None:
        if not self._output.json:
            if not self._told:
                await self._output.put(f"{_FORM.format(*_HEADS)}\n".encode())
            await self._output.put(_line(found).encode("utf-8", "surrogateescape"))
        else:
            await self._output.put(self._output.event("server", **_fields(found, self._passed())))
        self._told.append(found)

    def _passed(self) -> float:
        return round(time.monotonic() - self._began, 3)

    def _tell_end(self) -> int:
        """What came of it."""
        if self._deaf:
            self._output.note(f"announcements cannot be heard here: multicast does not work ({escape(self._deaf)})")
        if not self._told and not self._missing:
            self._output.error(_nothing(self._seconds, self._deaf))
        if self._output.json:
            causes = {} if self._told else {"causes": list(CAUSES)}
            facts: dict[str, Any] = {"servers": len(self._told), "multicast": not self._deaf, **causes}
            self._output.write(self._output.event("summary", **facts, seconds=self._passed()))
        elif not self._told:
            self._output.note("a server that runs is not found where")
            for cause in CAUSES:
                self._output.note(f"  {cause}")
        return OK if self._told and not self._missing else FAILURE


def _nothing(seconds: float, deaf: str) -> Fault:
    why = "nobody could be heard" if deaf else f"no server announced itself within {seconds:g} s"
    return Fault("nothing_found", why, "an address always works: anyplug find HOST")


def _line(found: Found) -> str:
    services = "-" if found.services is None else ", ".join(map(escape, found.services)) or "none"
    if found.more:
        services += f", and {found.more:,} more"
    cells = (found.address, found.name or "-", found.version or "-")
    return f"{_FORM.format(*map(escape, cells), _TOKEN[found.token], services)}\n"


def _fields(found: Found, seconds: float) -> dict[str, Any]:
    return {
        "address": found.address,
        "how": found.how,
        "name": found.name or None,
        "addresses": list(found.addresses),
        "port": found.port,
        "services": None if found.services is None else list(found.services),
        "more": found.more,
        "version": found.version or None,
        "token": found.token,
        "seconds": seconds,
    }
