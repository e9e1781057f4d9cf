"""From a host to the ends that can be tried, without waiting for a name server longer than agreed.

``localhost`` and what ends in ``.localhost`` means loopback of both families, whatever files and name servers say (RFC
6761, section 6.3); IPv6 is tried first, as RFC 6724 orders them, but for datagrams IPv4, because nothing tells whether
anybody hears them and most programs that bind ``localhost`` bind that. A literal address needs no lookup. Other names
are looked up by the system, in a daemon thread of their own: the system's call cannot be interrupted, and neither a
deadline nor the end of the program should wait for it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from errno import ENAMETOOLONG, ETIMEDOUT
from ipaddress import IPv4Address, IPv6Address, ip_address
from os import strerror
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from anyplug.address import SOCKET_PATH_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyplug.address import Kind
    from anyplug.transport.names import SockAddr

__all__ = [
    "FAMILIES",
    "SOCKET_TYPES",
    "Candidate",
    "Lookup",
    "known",
    "look_up",
    "look_up_blocking",
    "system_lookup",
    "unix_sockaddr",
]


class Candidate(NamedTuple):
    """One end that may be tried or bound."""

    family: int
    type: int
    sockaddr: SockAddr


Lookup: TypeAlias = Callable[[str, int, int, int], list[Candidate]]
"""``(host, port, family, type)`` to the ends of that name; raises `OSError`. The family is 0, ``AF_INET`` or
``AF_INET6``."""

FAMILIES: Final = {0: 0, 4: int(socket.AF_INET), 6: int(socket.AF_INET6)}
"""The family that an address pins, as the system numbers it."""

SOCKET_TYPES: Final[Mapping[Kind, int]] = {
    "stream": int(socket.SOCK_STREAM),
    "packet": int(socket.SOCK_SEQPACKET),
    "datagram": int(socket.SOCK_DGRAM),
}
"""The type of socket for each kind of address."""

_WILDCARD: Final = {int(socket.AF_INET6): "::", int(socket.AF_INET): "0.0.0.0"}  # noqa: S104 - asked for by name
_LOOPBACK: Final = {int(socket.AF_INET6): "::1", int(socket.AF_INET): "127.0.0.1"}


def unix_sockaddr(path: str) -> str | bytes:
    """A path or ``@name`` as the system takes it.

    Raises:
        OSError: it is longer than the system takes (ENAMETOOLONG).
    """
    name = path.removeprefix("@").encode("utf-8", "surrogateescape")
    if len(name) > SOCKET_PATH_MAX:
        raise OSError(ENAMETOOLONG, strerror(ENAMETOOLONG))
    return b"\0" + name if path.startswith("@") else path


def known(host: str, port: int, family: int, kind: int) -> list[Candidate] | None:
    """The ends known without a lookup: every interface (``""``), loopback, a literal address. None for other names."""
    if host == "":
        return _each(_WILDCARD, port, family, kind)
    name = host.removesuffix(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        ends = _each(_LOOPBACK, port, family, kind)
        return ends[::-1] if kind == socket.SOCK_DGRAM else ends
    try:
        ip = ip_address(host)
    except ValueError:
        return None
    return [_literal(ip, port, family, kind)]


def system_lookup(host: str, port: int, family: int, kind: int) -> list[Candidate]:
    """All ends of a name, as the system orders them (RFC 6724). Blocks for as long as the system likes."""
    try:
        found = socket.getaddrinfo(host, port, family, kind)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"not a name: {error}") from error
    ends = [Candidate(int(each[0]), kind, each[4]) for each in found if each[0] in _WILDCARD]  # type: ignore[arg-type]
    return list(dict.fromkeys(ends))


def look_up(
    lookup: Lookup, host: str, port: int, family: int, kind: int, *, done: Callable[[list[Candidate] | OSError], None]
) -> None:
    """Start a lookup; `done` is called with its outcome, on another thread."""

    def run() -> None:
        try:
            outcome: list[Candidate] | OSError = lookup(host, port, family, kind)
        except OSError as error:
            outcome = error
        except Exception as error:  # noqa: BLE001 - whatever a lookup raises: who waits for it has to be told
            outcome = OSError(0, f"{type(error).__name__}: {error}")
        done(outcome)

    threading.Thread(target=run, name=f"lookup {host}", daemon=True).start()


def look_up_blocking(
    lookup: Lookup, host: str, port: int, family: int, kind: int, *, seconds: float | None
) -> list[Candidate]:
    """The ends of a name.

    Raises:
        OSError: the lookup failed, or took longer (ETIMEDOUT).
    """
    outcomes: list[list[Candidate] | OSError] = []
    ready = threading.Event()

    def done(outcome: list[Candidate] | OSError) -> None:
        outcomes.append(outcome)
        ready.set()

    look_up(lookup, host, port, family, kind, done=done)
    if not ready.wait(seconds):
        raise TimeoutError(ETIMEDOUT, "the lookup took too long")
    outcome = outcomes[0]
    if isinstance(outcome, OSError):
        raise outcome
    return outcome


def _each(hosts: dict[int, str], port: int, family: int, kind: int) -> list[Candidate]:
    return [
        Candidate(each, kind, (host, port, 0, 0) if each == socket.AF_INET6 else (host, port))
        for each, host in hosts.items()
        if family in {0, each}
    ]


def _literal(ip: IPv4Address | IPv6Address, port: int, family: int, kind: int) -> Candidate:
    own = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    if family not in {0, own}:
        raise socket.gaierror(socket.EAI_FAMILY, "an address of the other family")
    if isinstance(ip, IPv4Address):
        return Candidate(int(own), kind, (str(ip), port))
    return Candidate(int(own), kind, (str(ip).partition("%")[0], port, 0, _zone(ip.scope_id or "")))


def _zone(name: str) -> int:
    """The number of the interface that a zone names, or states itself (RFC 4007, section 11.2)."""
    if not name or name.isdecimal():
        return int(name or 0)
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"no interface {name}") from error
