"""Where several processes listen: what the supervisor holds, so that its workers find it.

A TCP port is *reserved*: the supervisor has a socket that is bound to it and does not listen, so that the port stays
taken, also port 0 once it is chosen; each worker listens with a socket of its own, and the kernel spreads connections
over those that are there (SO_REUSEPORT). When a worker dies, the others get what comes from then on.

Everything else is *shared*: unix sockets, which know no SO_REUSEPORT; datagrams, which a socket that is bound would
take though nobody reads it; and what a service manager has opened. There all workers accept from one socket, which
lives as long as the supervisor.

An address is tried without SO_REUSEPORT first: another server of the same user that is there already is an error, where
it would otherwise get half of the connections.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, NamedTuple

from anyplug.address import SCHEMES
from anyplug.errors import BindError
from anyplug.plan import check_scheme
from anyplug.server.exposure import check_exposure
from anyplug.server.listener import check_descriptor
from anyplug.server.listeners import Changes, placed, spot_of
from anyplug.transport.bind import Bound, bind
from anyplug.transport.explain import explain_bind
from anyplug.transport.names import name_of

if TYPE_CHECKING:
    from anyplug.address import Address
    from anyplug.server.config import Config, ListenerConfig
    from anyplug.transport.inherited import Inherited

__all__ = ["Places", "Rearranged"]


class _Held:
    """One address."""

    __slots__ = ("address", "reserved", "shared", "wanted")

    def __init__(self, wanted: Address, bound: Bound, *, shares: bool) -> None:
        self.wanted = wanted
        self.address = bound.address
        self.shared = bound if shares else None
        self.reserved = [] if shares else _reserve(bound)

    @property
    def sockets(self) -> list[socket.socket]:
        """What workers are to find by its address; not what they find by its number."""
        return [] if self.shared is None or self.wanted.fd >= 0 else self.shared.sockets

    def named(self, wanted: Address) -> Address:
        """The address that is wanted there, with the port as bound."""
        return wanted.with_port(self.address.port) if SCHEMES[wanted.scheme].shape == "host" else wanted

    def close(self) -> None:
        """Let go of it; a path that was made for it is unlinked."""
        if self.shared is not None:
            self.shared.close()
        for sock in self.reserved:
            sock.close()


class Rearranged(NamedTuple):
    """What `Places.rearrange` has changed."""

    addresses: list[Address]
    """Where each listener listens, in order."""
    sockets: list[socket.socket]
    """What is shared from now on."""
    changes: Changes
    gone: list[_Held]
    """What is not wanted any more, to be closed when the workers have been told."""


class Places:
    """The addresses of a server with several workers.

    Args:
        config: the options of its sockets.
        inherited: sockets of a service manager.
    """

    __slots__ = ("_held", "_inherited", "_options")

    def __init__(self, config: Config, inherited: Inherited) -> None:
        self._options = config.socket
        self._inherited = inherited
        self._held: list[_Held] = []

    @property
    def sockets(self) -> list[socket.socket]:
        """Everything that is shared."""
        return [sock for held in self._held for sock in held.sockets]

    @property
    def addresses(self) -> list[str]:
        """Where the server listens, with the ports as bound."""
        return [str(held.address) for held in self._held]

    def rearrange(self, config: Config) -> Rearranged:
        """Hold the addresses of these listeners, and no others. Blocks while a name is looked up.

        Raises:
            AddressError, BindError: one cannot be had. Everything is as it was.
        """
        rest = list(self._held)
        now: list[_Held] = []
        fresh: list[_Held] = []
        try:
            for listener in config.listeners:
                with placed(listener.place):
                    check_scheme(listener.address)
                    check_exposure(listener.address, token=config.token, insecure=config.server.insecure)
                    held = _taken(rest, listener.address)
                    if held is None:
                        held = self._hold(listener)
                        fresh.append(held)
                now.append(held)
        except BaseException:
            for held in fresh:
                held.close()
            raise
        self._held = now
        for listener, held in zip(config.listeners, now, strict=True):
            held.wanted, held.address = listener.address, held.named(listener.address)
        changes = Changes([str(held.address) for held in fresh], [str(held.address) for held in rest])
        sockets = [sock for held in fresh for sock in held.sockets]
        return Rearranged([held.address for held in now], sockets, changes, rest)

    def left_over(self) -> list[str]:
        """Close the sockets of a service manager that no listener has taken; returns their names."""
        names = [name_of(sock.getsockname(), sock.family) for _, sock in self._inherited]
        for _, sock in self._inherited:
            sock.close()
        self._inherited.clear()
        return names

    def leave(self) -> None:
        """Be a worker that was forked: what is reserved stays so for as long as the supervisor wants it."""
        for held in self._held:
            for sock in held.reserved:
                sock.close()

    def close(self) -> None:
        """Let go of everything."""
        for held in self._held:
            held.close()
        self._held.clear()

    def _hold(self, listener: ListenerConfig) -> _Held:
        address = listener.address
        if address.fd >= 0:
            self._let_go(address.fd)
        before = len(self._inherited)
        bound = bind(address, options=self._options, inherited=self._inherited)
        check_descriptor(bound)
        ours = len(self._inherited) == before and address.fd < 0
        try:
            return _Held(address, bound, shares=not ours or address.is_unix or address.is_datagram)
        except OSError as error:
            problem = explain_bind(error, host=address.host, port=address.port)
            raise BindError(str(address), problem, errno=error.errno or 0) from error

    def _let_go(self, fd: int) -> None:
        """An address names this inherited descriptor itself; each worker finds it open."""
        for item in self._inherited:
            if item[1].fileno() == fd:
                item[1].detach()
                self._inherited.remove(item)
                return


def _taken(rest: list[_Held], wanted: Address) -> _Held | None:
    """Remove and return what is held for this spot, if it is."""
    spot = spot_of(wanted)
    found = next((held for held in rest if spot_of(held.wanted) == spot), None)
    if found is not None:
        rest.remove(found)
    return found


def _reserve(bound: Bound) -> list[socket.socket]:
    """Sockets that keep the ports of these listeners taken and do not listen; the listeners are closed."""
    found: list[socket.socket] = []
    try:
        for sock in bound.sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            twin = socket.socket(sock.family, sock.type)
            found.append(twin)
            for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
                twin.setsockopt(socket.SOL_SOCKET, option, 1)
            if sock.family == socket.AF_INET6:
                twin.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            twin.bind(sock.getsockname())
    except BaseException:
        for twin in found:
            twin.close()
        raise
    finally:
        bound.close()
    return found
