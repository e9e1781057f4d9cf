"""All listeners of one server, and how they become others while it runs.

A listener is known by its spot: what can be listened on only once. When the listeners are rearranged, one whose spot
is still wanted keeps its socket and gets a new door; others are opened or closed. Either all of it happens or nothing:
what can fail is done first, and what cannot, last. No connection comes in between, for nothing here waits.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from anyplug.address import SCHEMES, Address
from anyplug.errors import BindError, LocalError
from anyplug.plan import check_scheme
from anyplug.server.admission import Admission
from anyplug.server.datagrams import DatagramListener
from anyplug.server.exposure import check_exposure
from anyplug.server.listener import Listener
from anyplug.transport.names import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from anyplug.server.context import Context
    from anyplug.transport.inherited import Inherited
    from anyplug.transport.options import SocketOptions

__all__ = ["Changes", "Listeners", "Want", "placed", "spot_of"]


class Want(NamedTuple):
    """A listener that is wanted."""

    address: Address
    """Where, and for a plain listener which service."""
    most: int | None = None
    """Connections at once, beside the server's limit."""
    place: str = ""
    """Where it is configured, for people."""


class Changes(NamedTuple):
    """What rearranging has changed, by address as bound."""

    opened: list[str]
    closed: list[str]


class _Entry:
    """An open listener, what it was asked to be, and its places."""

    __slots__ = ("admission", "listener", "wanted")

    def __init__(self, wanted: Address, listener: Listener | DatagramListener, admission: Admission) -> None:
        self.wanted = wanted
        self.listener = listener
        self.admission = admission

    @property
    def address(self) -> str:
        """Where it listens, with the port as bound."""
        return str(self.listener.address)


class Listeners:
    """The open listeners of one server.

    Args:
        context: what the server's parts share.
        options: of the sockets.
        insecure: listen beyond this machine without a token.
    """

    __slots__ = ("_context", "_entries", "inherited", "insecure", "options")

    def __init__(self, context: Context, options: SocketOptions, *, insecure: bool) -> None:
        self._context = context
        self._entries: list[_Entry] = []
        self.options = options
        """Of the sockets that are opened from now on."""
        self.insecure = insecure
        """Listen beyond this machine without a token."""
        self.inherited: Inherited = []
        """Sockets that a service manager has opened for us, and that no listener has taken yet."""

    def __iter__(self) -> Iterator[Listener | DatagramListener]:
        """The listeners themselves."""
        return (entry.listener for entry in self._entries)

    @property
    def addresses(self) -> list[Address]:
        """Where it listens, with the ports as bound."""
        return [entry.listener.address for entry in self._entries]

    def open(self, want: Want) -> str:
        """Open one; returns its address as bound.

        Raises:
            AddressError: the address cannot be used.
            BindError: it cannot be listened on.
        """
        entry = self._opened(want)
        self._entries.append(entry)
        self._context.log.info("listening", address=entry.address)
        return entry.address

    def check(self, want: Want) -> None:
        """Find what would keep one from being opened, unless that is the system.

        Raises:
            AddressError, BindError: as `open`.
        """
        self._made(want)

    def close(self, address: str) -> None:
        """Close one, by its address as bound; its conversations go on.

        Raises:
            LocalError: there is none.
        """
        entry = next((entry for entry in self._entries if entry.address == address), None)
        if entry is None:
            known = ", ".join(map(str, self.addresses)) or "nothing"
            raise LocalError(f"not listening on {address}; listening on: {known}")
        self._entries.remove(entry)
        self._close(entry)

    def close_all(self) -> None:
        """Close all; their conversations go on."""
        entries, self._entries = self._entries, []
        for entry in entries:
            self._close(entry)

    def rearrange(self, wanted: Sequence[Want]) -> Changes:
        """Have these listeners and no others, by the services of the context as they are now.

        Raises:
            AddressError, BindError: as `open`. Everything is as it was.
        """
        rest = list(self._entries)
        pairs = [(want, _taken(rest, want)) for want in wanted]
        changes = [self._prepared(entry, want) for want, entry in pairs if entry is not None]
        opened: list[_Entry] = []
        try:
            for want, entry in pairs:
                if entry is None:
                    opened.append(self._opened(want))
        except BaseException:
            for entry in opened:
                entry.listener.close()
            raise
        for change in changes:
            change()
        fresh = iter(opened)
        self._entries = [entry or next(fresh) for _, entry in pairs]
        for entry in opened:
            self._context.log.info("listening", address=entry.address)
        for entry in rest:
            self._close(entry)
        return Changes([entry.address for entry in opened], [entry.address for entry in rest])

    def left_over(self) -> list[str]:
        """Close the inherited sockets that no listener has taken; returns their names."""
        names = [name_of(sock.getsockname(), sock.family) for _, sock in self.inherited]
        for _, sock in self.inherited:
            sock.close()
        self.inherited.clear()
        return names

    def _opened(self, want: Want) -> _Entry:
        with placed(want.place):
            entry = self._made(want)
            if want.address.fd >= 0:
                self._let_go(want.address.fd)
            entry.listener.open(self.inherited)
            return entry

    def _made(self, want: Want) -> _Entry:
        context, address = self._context, want.address
        self._check(address)
        admission = Admission(self._most(want), context.limits.connections_per_address)
        listener: Listener | DatagramListener
        if address.is_datagram:
            listener = DatagramListener(address, context, options=self.options)
        else:
            listener = Listener(address, context, options=self.options, admission=admission)
        return _Entry(address, listener, admission)

    def _prepared(self, entry: _Entry, want: Want) -> Callable[[], None]:
        """What makes a listener serve as it is wanted now; everything that can fail has happened."""
        address = want.address
        if SCHEMES[address.scheme].shape == "host":
            address = address.with_port(entry.listener.address.port)
        with placed(want.place):
            self._check(address)
            change = entry.listener.prepare(address)

        def commit() -> None:
            change()
            entry.wanted = want.address
            entry.admission.most = self._most(want)

        return commit

    def _check(self, address: Address) -> None:
        check_scheme(address)
        check_exposure(address, token=self._context.token, insecure=self.insecure)

    def _most(self, want: Want) -> int:
        return self._context.limits.connections if want.most is None else want.most

    def _let_go(self, fd: int) -> None:
        """An address names this inherited descriptor itself."""
        for item in self.inherited:
            if item[1].fileno() == fd:
                item[1].detach()
                self.inherited.remove(item)
                return

    def _close(self, entry: _Entry) -> None:
        address = entry.address
        entry.listener.close()
        self._context.log.info("listener_closed", address=address)


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Say of a listener that fails where it is configured: ``anyplug.toml:12``, or an empty string."""
    try:
        yield
    except BindError as error:
        if not place:
            raise
        raise BindError(error.address, f"{error.problem} ({place})", errno=error.errno) from error


def spot_of(address: Address) -> tuple[Any, ...]:
    """What can be listened on only once: two addresses with one spot need the same socket."""
    return (address.kind, address.host, address.port, address.family, address.path, address.fd)


def _taken(rest: list[_Entry], want: Want) -> _Entry | None:
    """Remove and return the open listener for this spot, if there is one."""
    spot = spot_of(want.address)
    found = next((entry for entry in rest if spot_of(entry.wanted) == spot), None)
    if found is not None:
        rest.remove(found)
    return found
