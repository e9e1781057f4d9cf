"""What a server tells the local network of itself, and how it is written: DNS-SD (RFC 6763), ``_anyplug._tcp``.

The TXT record holds one ``key=value`` a string (RFC 6763, section 6):

==============  ====================================================================================
key             value
==============  ====================================================================================
``txtvers``     1, the version of this table
``services``    the names of the services, joined with commas
``more``        how many services had no room there
``version``     the version of Anyplug
``token``       ``yes`` where clients must show a token, ``no`` where they need none
``tls``         ``yes`` where the server speaks TLS
==============  ====================================================================================

Pure. What comes from the network is a stranger's: it is read within bounds, and escaped where it is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from anyplug.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NAME_MOST", "SERVICE_TYPE", "Announcement", "check_name", "name_of_host", "read_text", "write_text"]

SERVICE_TYPE: Final = "_anyplug._tcp.local."
"""The type of service that is announced and looked for."""

NAME_MOST: Final = 60
"""The longest name that a server may have in the network, bytes: a label has 63 (RFC 1035, section 2.3.4), and the name
of a second server may get a number behind it."""

_STRING_MOST: Final = 255
"""The longest string of a TXT record, bytes (RFC 1035, section 3.3)."""


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a server beside where it is."""

    services: tuple[str, ...] = ()
    more: int = 0
    """Services that are offered and had no room in ``services``."""
    version: str = ""
    """The version of Anyplug; empty where it is not told."""
    token: bool | None = None
    """Whether clients must show a token; None where it is not told."""
    tls: bool = False


def write_text(told: Announcement) -> bytes:
    """The TXT record. Services that have no room are counted in ``more``."""
    services, left = _fitting(told.services)
    pairs = {"txtvers": "1", "services": services, "version": told.version}
    if left + told.more:
        pairs["more"] = str(left + told.more)
    if told.token is not None:
        pairs["token"] = "yes" if told.token else "no"
    if told.tls:
        pairs["tls"] = "yes"
    strings = [f"{key}={value}".encode("utf-8", "replace")[:_STRING_MOST] for key, value in pairs.items()]
    return b"".join(bytes([len(each)]) + each for each in strings)


def _fitting(services: tuple[str, ...]) -> tuple[str, int]:
    """As many names as one string holds, and how many are left."""
    text = ""
    for number, name in enumerate(services):
        longer = f"{text},{name}" if text else name
        if len(f"services={longer}".encode("utf-8", "replace")) > _STRING_MOST:
            return text, len(services) - number
        text = longer
    return text, 0


def read_text(data: bytes) -> Announcement:
    """What a TXT record tells. Keys that are not known, and what cannot be read, count as not told."""
    pairs: dict[str, str] = {}
    for string in _strings(data):
        key, _, value = string.partition(b"=")
        pairs.setdefault(key.decode("ascii", "replace").lower(), value.decode("utf-8", "replace"))
    more = pairs.get("more", "")
    return Announcement(
        services=tuple(filter(None, pairs.get("services", "").split(","))),
        more=int(more) if more.isascii() and more.isdecimal() and len(more) < 6 else 0,
        version=pairs.get("version", ""),
        token={"yes": True, "no": False}.get(pairs.get("token", "")),
        tls=pairs.get("tls") == "yes",
    )


def _strings(data: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(data):
        end = place + 1 + data[place]
        yield data[place + 1 : end]
        place = end


def check_name(name: str) -> str:
    """The name that a server is to have in the network, if it can be one.

    Raises:
        LocalError: it is empty, too long, or holds a dot or what cannot be printed.
    """
    if not name.strip() or not name.isprintable() or "." in name:
        problem = "expected printable text without a dot, such as kitchen"
        raise LocalError(f"{name!r} cannot be a server's name in the network: {problem}")
    if (size := len(name.encode("utf-8", "replace"))) > NAME_MOST:
        raise LocalError(f"{name!r} cannot be a server's name in the network: it has {size} bytes, at most {NAME_MOST}")
    return name


def name_of_host(host: str) -> str:
    """The name of a server where nobody gave it one: that of its machine, up to the first dot."""
    label = "".join(filter(str.isprintable, host.partition(".")[0])).strip()
    return label.encode()[:NAME_MOST].decode(errors="ignore") or "anyplug"
