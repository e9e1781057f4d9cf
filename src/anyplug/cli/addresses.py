"""``anyplug addresses``: the addresses of this machine, and which one to tell others."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import click

from anyplug.address import DEFAULT_PORT
from anyplug.cli.faults import OK
from anyplug.cli.flags import json_option
from anyplug.cli.output import Output
from anyplug.cli.table import Column, put_table
from anyplug.errors import LocalError
from anyplug.escape import escape
from anyplug.netinfo.addresses import default_routes, for_peers, list_interfaces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.netinfo.addresses import HostAddress, Interface

__all__ = ["command", "qr_text"]

_COLUMNS: Final = (
    Column("INTERFACE"),
    Column("FAMILY"),
    Column("ADDRESS"),
    Column("PREFIX", right=True),
    Column("SCOPE"),
    Column("UP"),
    Column("FLAGS"),
)


@click.command(
    "addresses",
    short_help="Show the addresses of this machine.",
    epilog="""\b
    Examples:
    anyplug addresses
    anyplug addresses --qr
    anyplug addresses --json eth0""",
)
@click.argument("interface", required=False)
@click.option("--ipv4", "-4", "family", flag_value=4, type=int, help="Only IPv4.")
@click.option("--ipv6", "-6", "family", flag_value=6, type=int, help="Only IPv6.")
@click.option("--qr", is_flag=True, help="Show the address that others should use as a QR code, for a phone.")
@click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, help="The port in the QR code; 7584.")
@json_option
def command(interface: str | None, family: int | None, qr: bool, port: int, json: bool) -> int:
    """Show the addresses of this machine, and the one that others in the local network should use.

    With INTERFACE only those of that one. The scope says how far an address is known: host is this machine alone, link
    the network on that cable or radio, global everywhere that routes lead to it.
    """
    output = Output(json=json)
    links = _named(list_interfaces(), interface)
    best = for_peers(_of_family(links, family), default_routes())
    if qr:
        return _show_qr(best, port, output)
    found = [(link, each) for link in _of_family(links, family) for each in link.addresses]
    if json:
        output.write(b"".join([output.event("address", **_fields(link, each, best)) for link, each in found]))
        return OK
    if found:
        put_table(output, _COLUMNS, [_row(link, each) for link, each in found])
    for link in links:
        if interface is not None and not link.addresses:
            output.note(f"{escape(link.name)} has no address{'' if link.up else '; it is down'}")
    _tell_best(best, output)
    return OK


def _named(links: list[Interface], name: str | None) -> list[Interface]:
    """The interface of that name; all of them where none is named.

    Raises:
        LocalError: there is none; says which is nearest.
    """
    if name is None:
        return links
    found = [link for link in links if link.name == name]
    if not found:
        names = [link.name for link in links]
        near = get_close_matches(name, names, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise LocalError(f"this machine has no interface {name!r}; {remedy}")
    return found


def _of_family(links: Sequence[Interface], family: int | None) -> list[Interface]:
    if family is None:
        return list(links)
    from msgspec.structs import replace

    return [replace(link, addresses=tuple(each for each in link.addresses if each.family == family)) for link in links]


def _row(link: Interface, each: HostAddress) -> tuple[str, ...]:
    up = "yes" if link.up else "no"
    name = escape(link.name)
    return name, f"IPv{each.family}", each.address, str(each.prefix), each.scope, up, " ".join(each.flags) or "-"


def _fields(link: Interface, each: HostAddress, best: HostAddress | None) -> dict[str, Any]:
    return {
        "interface": link.name,
        "up": link.up,
        "mac": link.mac,
        "family": each.family,
        "address": each.address,
        "prefix": each.prefix,
        "scope": each.scope,
        "flags": list(each.flags),
        "broadcast": each.broadcast,
        "for_peers": each == best,
    }


def _tell_best(best: HostAddress | None, output: Output) -> None:
    if best is None:
        output.note("no peer can reach this machine: it has no address beside loopback on an interface that is up")
    else:
        output.note(f"others in the local network reach this machine at {_host(best)}")


def _host(best: HostAddress) -> str:
    """The address as it stands in a URL; one that is known on its link alone needs the peer's own zone."""
    return best.address if best.family == 4 else f"[{best.address}]"


def _show_qr(best: HostAddress | None, port: int, output: Output) -> int:
    """Print the code, or the URL alone in JSON.

    Raises:
        LocalError: there is no address to show.
    """
    if best is None:
        raise LocalError("there is no address to show: no interface that is up has one beside loopback")
    url = f"plug://{_host(best)}:{port}"
    if output.json:
        output.write(output.event("url", url=url))
        return OK
    output.write(qr_text(url).encode())
    output.note(url)
    return OK


def qr_text(text: str) -> str:
    """The text as a QR code (ISO/IEC 18004) of half blocks, light on dark as most terminals are."""
    from io import StringIO

    import segno

    drawing = StringIO()
    segno.make(text, micro=False).terminal(drawing, compact=True)
    return drawing.getvalue()
