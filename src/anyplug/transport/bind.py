"""Sockets that listen, from an address.

Every interface, ``localhost`` and names are bound in both families on one port, as two sockets: an IPv6 socket never
takes IPv4 here, so that both ends of a conversation are always named in their own family. Unix paths: see
`anyplug.transport.bind_unix`.
"""

from __future__ import annotations

import socket
from errno import EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL
from typing import TYPE_CHECKING, Final

from anyplug.address import SCHEMES, Address
from anyplug.errors import BindError
from anyplug.transport.bind_unix import bind_unix, unlink_made
from anyplug.transport.explain import explain_bind, explain_bind_unix, explain_lookup
from anyplug.transport.inherited import adopt, listens, take, takes_both
from anyplug.transport.names import name_of
from anyplug.transport.options import DEFAULT_OPTIONS, apply_listen_options
from anyplug.transport.resolve import (
    FAMILIES,
    SOCKET_TYPES,
    Candidate,
    known,
    look_up_blocking,
    system_lookup,
    unix_sockaddr,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from anyplug.address import Kind
    from anyplug.transport.bind_unix import Made
    from anyplug.transport.inherited import Inherited
    from anyplug.transport.options import SocketOptions
    from anyplug.transport.resolve import Lookup

__all__ = ["Bound", "bind"]

ONE_PORT_TRIES: Final = 64
"""How often a free port of one family is tried in the other. Each fails only where that very port is taken there."""

LOOKUP_SECONDS: Final = 10.0
"""How long a listener's name may take to be looked up, seconds."""


class Bound:
    """Open listeners of one address. As a context manager it closes them.

    Attributes:
        sockets: non-blocking; those of streams and packets listen, those of datagrams are bound.
        address: the address as bound, port 0 replaced by the port.
        kind: ``stream``, ``packet`` or ``datagram``.
    """

    __slots__ = ("_made", "address", "kind", "sockets")

    def __init__(self, address: Address, sockets: list[socket.socket], *, made: Made | None = None) -> None:
        self.address = address
        self.sockets = sockets
        self.kind: Kind = next(kind for kind, number in SOCKET_TYPES.items() if number == sockets[0].type)
        self._made = made

    @property
    def names(self) -> list[str]:
        """The name of each socket: ``127.0.0.1:7584``."""
        return [name_of(sock.getsockname(), sock.family) for sock in self.sockets]

    def close(self) -> None:
        """Close the sockets. A path that was made here is unlinked; one that was inherited, or replaced, is not."""
        if self._made is not None:
            unlink_made(self._made)
            self._made = None
        for sock in self.sockets:
            sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def bind(
    address: Address,
    *,
    options: SocketOptions = DEFAULT_OPTIONS,
    inherited: Inherited | None = None,
    lookup: Lookup = system_lookup,
) -> Bound:
    """Open the listeners of an address.

    ``fd://N`` takes over descriptor N. Blocks while a name is looked up.

    Args:
        address: where to listen. Host ``""`` is every interface; port 0 is any free one, the same in both families.
        options: what to set on the sockets.
        inherited: sockets of `anyplug.transport.inherited_sockets`. One bound to this address is used, and removed.
        lookup: how names become addresses.

    Raises:
        BindError: with the reason and the remedy. Nothing stays open.
    """
    shape = SCHEMES[address.scheme].shape
    waiting = [] if inherited is None else inherited
    if shape == "fd":
        return _bind_descriptor(address)
    if shape == "socket":
        return _bind_socket(address, options, waiting)
    return _bind_host(address, options, waiting, lookup)


def _bind_descriptor(address: Address) -> Bound:
    text = str(address)
    sock = adopt(address.fd, address=text)
    problem = ""
    if sock.type not in SOCKET_TYPES.values():
        problem = f"descriptor {address.fd} is a socket of a type that carries no messages here"
    elif sock.type != socket.SOCK_DGRAM and not listens(sock):
        problem = f"descriptor {address.fd} is a socket that does not listen; pass one that was bound and listens"
    elif sock.type == socket.SOCK_DGRAM and not _is_bound(sock):
        problem = f"descriptor {address.fd} is a datagram socket that is not bound"
    if problem:
        sock.detach()
        raise BindError(text, problem, errno=EINVAL)
    return Bound(address, [sock])


def _is_bound(sock: socket.socket) -> bool:
    name = sock.getsockname()
    return bool(name[1] if isinstance(name, tuple) else name)


def _bind_socket(address: Address, options: SocketOptions, inherited: Inherited) -> Bound:
    """A path or an abstract name."""
    kind = SOCKET_TYPES[address.kind]
    try:
        passed = take(inherited, Candidate(int(socket.AF_UNIX), kind, unix_sockaddr(address.path)))
        if passed is not None:
            return Bound(address, [passed])
        sock, made = bind_unix(address.path, kind, address=str(address), options=options)
    except OSError as error:
        raise BindError(str(address), explain_bind_unix(error, path=address.path), errno=error.errno or 0) from error
    return Bound(address, [sock], made=made)


def _bind_host(address: Address, options: SocketOptions, inherited: Inherited, lookup: Lookup) -> Bound:
    ends = _resolve(address, lookup)
    tries = ONE_PORT_TRIES if address.port == 0 and len(ends) > 1 else 1
    while True:
        sockets, failures = _bind_ends(ends, options, inherited)
        fatal = next((each for each in failures if not _may_lack(each, address, sockets)), None)
        if fatal is None:
            return Bound(address.with_port(sockets[0].getsockname()[1]), sockets)
        for sock in sockets:
            sock.close()
        tries -= 1
        if not tries or fatal[1].errno != EADDRINUSE:
            raise _bind_error(address, *fatal)


def _resolve(address: Address, lookup: Lookup) -> list[Candidate]:
    """The ends to bind, IPv4 first: the one that any system has."""
    kind, family = SOCKET_TYPES[address.kind], FAMILIES[address.family]
    try:
        ends = known(address.host, address.port, family, kind)
        if ends is None:
            ends = look_up_blocking(lookup, address.host, address.port, family, kind, seconds=LOOKUP_SECONDS)
    except OSError as error:
        reason = explain_lookup(address.host, error)
        raise BindError(str(address), f"{reason.problem}; {reason.remedy}", errno=max(error.errno or 0, 0)) from error
    return sorted(ends, key=lambda end: end.family != socket.AF_INET)


def _bind_ends(
    ends: Sequence[Candidate], options: SocketOptions, inherited: Inherited
) -> tuple[list[socket.socket], list[tuple[Candidate, OSError]]]:
    """Bind all ends, port 0 to one port for all; what was opened, and what failed."""
    sockets: list[socket.socket] = []
    failures: list[tuple[Candidate, OSError]] = []
    passed = {end: sock for end in ends if (sock := take(inherited, end)) is not None}
    both = any(map(takes_both, passed.values()))
    port = 0
    for end in ends:
        if end in passed:
            sockets.append(passed[end])
        elif not (both and end.family == socket.AF_INET):
            try:
                sockets.append(_open(_with_port(end, port), options))
            except OSError as error:
                failures.append((end, error))
        if sockets:
            port = sockets[0].getsockname()[1]
    return sockets, failures


def _with_port(end: Candidate, port: int) -> Candidate:
    if not port or not isinstance(end.sockaddr, tuple):
        return end
    host, _, *rest = end.sockaddr
    return end._replace(sockaddr=(host, port, *rest))  # type: ignore[arg-type]


def _open(end: Candidate, options: SocketOptions) -> socket.socket:
    sock = socket.socket(end.family, end.type)
    try:
        sock.setblocking(False)
        apply_listen_options(sock, options)
        sock.bind(end.sockaddr)  # type: ignore[arg-type]
        _listen(sock, options)
    except BaseException:
        sock.close()
        raise
    return sock


def _listen(sock: socket.socket, options: SocketOptions) -> None:
    if sock.type != socket.SOCK_DGRAM:
        sock.listen(options.backlog)


def _may_lack(failure: tuple[Candidate, OSError], address: Address, sockets: Sequence[socket.socket]) -> bool:
    """Whether an end may be left out: the IPv6 half of an address that means both, on a system without IPv6."""
    end, error = failure
    absent = error.errno in {EAFNOSUPPORT, EADDRNOTAVAIL} and end.family == socket.AF_INET6
    return bool(sockets) and absent and address.family == 0


def _bind_error(address: Address, end: Candidate, error: OSError) -> BindError:
    host, port = (str(end.sockaddr[0]), address.port) if isinstance(end.sockaddr, tuple) else ("", address.port)
    problem = explain_bind(error, host=host, port=port, datagram=end.type == socket.SOCK_DGRAM)
    failure = BindError(str(address), problem, errno=error.errno or 0)
    failure.__cause__ = error
    return failure
