"""A listener: one address that is listened on, and the way in for who connects to it.

Every connection takes a place before anything of it is read. Who gets none is told so, in the protocol it speaks, and
closed; telling is bounded too.
"""

from __future__ import annotations

import asyncio
import inspect
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from anyplug.errors import BindError, Code
from anyplug.server.context import STOPPING
from anyplug.server.doors import Door, PlainDoor, PlugDoor
from anyplug.transport.accept import Acceptor
from anyplug.transport.bind import Bound, bind
from anyplug.transport.link import Link
from anyplug.transport.names import SockAddr, host_of
from anyplug.transport.options import SocketOptions, apply_stream_options, passes_on
from anyplug.transport.packets import PacketTransport

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine

    from anyplug.address import Address
    from anyplug.server.admission import Admission
    from anyplug.server.context import Context
    from anyplug.transport.inherited import Inherited

__all__ = ["Listener", "check_descriptor"]

TURN_AWAY_MOST = 128
"""Peers that are being told ``busy`` at once. More are closed without a word, for each costs a descriptor for a
moment."""


class Listener:
    """One address of a server, for streams and connected packets.

    Args:
        address: where, and for a plain listener which service, framing and codec.
        context: what the server's parts share.
        options: of the sockets.
        admission: places of this listener alone, beside those of the server; None for no bound of its own.

    Raises:
        BindError: a plain listener whose service, framing or codec is not there or does not fit.
    """

    def __init__(
        self, address: Address, context: Context, *, options: SocketOptions, admission: Admission | None = None
    ) -> None:
        self.address = address
        """Where; after `open` with the port that was given."""
        self._context = context
        self._options = options
        self._admissions = [context.admission, *([admission] if admission is not None else [])]
        self._door = self._make_door(address)
        self._acceptors: list[Acceptor] = []
        self._bound: Bound | None = None
        self._opening: dict[asyncio.Task[None], tuple[socket.socket, partial[None]]] = {}
        self._turning_away = 0
        self._passes_on = False

    def open(self, inherited: Inherited | None = None) -> None:
        """Bind and accept.

        Args:
            inherited: sockets of a service manager; one that is bound to this address is taken.

        Raises:
            BindError: the address cannot be listened on.
        """
        self._bound = bind(self.address, options=self._options, inherited=inherited)
        check_descriptor(self._bound)
        self.address = self._bound.address
        self._passes_on = all(passes_on(sock, self._options) for sock in self._bound.sockets)
        loop = asyncio.get_running_loop()
        accept = partial(self._accept, loop)
        self._acceptors = [Acceptor(loop, sock, accept, self._trouble) for sock in self._bound.sockets]

    def prepare(self, address: Address) -> Callable[[], None]:
        """What makes new connections meet another service, framing or codec at this socket.

        Raises:
            BindError: as when a listener is made. Nothing has changed.
        """
        door = self._make_door(address)

        def commit() -> None:
            self.address = address
            self._door = door

        return commit

    def _make_door(self, address: Address) -> Door:
        return PlugDoor(self._context) if address.is_plug else PlainDoor(address, self._context)

    def close(self) -> None:
        """Accept no more; open conversations go on."""
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors.clear()
        if self._bound is not None:
            self._bound.close()
            self._bound = None
        for task, (sock, leave) in tuple(self._opening.items()):
            if (
                inspect.getcoroutinestate(cast("Coroutine[object, object, None]", task.get_coro()))
                == inspect.CORO_CREATED
            ):
                self._abandon(sock, leave)  # it has not begun, and then never does
            task.cancel()

    def _accept(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, name: SockAddr) -> None:
        host = host_of(name)
        busy = self._enter(host)
        if busy:
            self._context.log.info("busy", address=str(self.address), peer=host, problem=busy)
            if self._turning_away >= TURN_AWAY_MOST:
                sock.close()
                return
            self._turning_away += 1
        leave = partial(self._leave, host, turned_away=bool(busy))
        task = loop.create_task(self._receive(loop, sock, busy, leave))
        self._opening[task] = (sock, leave)
        task.add_done_callback(self._leave_door)

    async def _receive(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, busy: str, leave: partial[None]
    ) -> None:
        """From an accepted socket to an open link."""
        try:
            entrance = await self._door.identify(sock, busy)
            if entrance is not None:
                context = self._context
                link = Link(
                    entrance.session,
                    entrance.opener,
                    limits=context.limits,
                    loop=loop,
                    links=context.links,
                    on_lost=leave,
                )
                self._leave_door(asyncio.current_task())
                await self._attach(loop, sock, link)
                if context.draining:
                    link.sink.drain(Code.GOING_AWAY, STOPPING)
                return
        except OSError as error:
            self._context.log.info("lost_at_the_door", address=str(self.address), problem=str(error))
        except BaseException:
            self._abandon(sock, leave)
            raise
        self._abandon(sock, leave)

    def _leave_door(self, task: asyncio.Task[Any] | None) -> None:
        """The loop gets the socket: to cancel this task would close it below a link, which then would never end."""
        self._opening.pop(cast("asyncio.Task[None]", task), None)

    async def _attach(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, link: Link) -> None:
        if self.address.is_packet:
            PacketTransport(loop, sock, link)
            return
        if not self._passes_on:
            apply_stream_options(sock, self._options)
        await loop.connect_accepted_socket(lambda: link, sock)

    def _abandon(self, sock: socket.socket, leave: partial[None]) -> None:
        with suppress(OSError):
            sock.close()
        leave()

    def _enter(self, host: str) -> str:
        """Take places for a peer; returns why there are none, or an empty string."""
        taken: list[Admission] = []
        for admission in self._admissions:
            why = admission.enter(host)
            if why:
                for earlier in taken:
                    earlier.leave(host)
                return why
            taken.append(admission)
        return ""

    def _leave(self, host: str, *, turned_away: bool) -> None:
        if turned_away:
            self._turning_away -= 1
        else:
            for admission in self._admissions:
                admission.leave(host)
        self._context.changed()

    def _trouble(self, problem: str) -> None:
        self._context.log.warning("accept_trouble", address=str(self.address), problem=problem)


def check_descriptor(bound: Bound) -> None:
    """Close an inherited descriptor of another kind than its address can say.

    Raises:
        BindError: it is one.
    """
    if bound.address.fd >= 0 and bound.kind != "stream":
        bound.close()
        problem = f"it is a {bound.kind} socket; name the address it is bound to, and it is taken from there"
        raise BindError(str(bound.address), problem)
