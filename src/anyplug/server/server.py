"""The server: services, listeners, and one life.

``start`` opens listeners, ``drain`` ends everything in order within a time. ``run`` does both around signals, for
programs that are nothing but a server; it is in `anyplug.server.lifecycle`.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyplug.address import Address
from anyplug.errors import Code, LocalError
from anyplug.limits import DEFAULTS
from anyplug.server.admission import Admission
from anyplug.server.context import STOPPING, Context
from anyplug.server.lifecycle import check_caller, run
from anyplug.server.listeners import Listeners, Want
from anyplug.server.logs import Log
from anyplug.server.workers_count import read_workers
from anyplug.services import base as services
from anyplug.store import SqliteStore, Store
from anyplug.transport.options import DEFAULT_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Literal, Self

    from anyplug.limits import Limits
    from anyplug.server.listeners import Changes
    from anyplug.services import Facilities
    from anyplug.services.base import ConversationHandler, ReplyHandler, Service
    from anyplug.transport.inherited import Inherited
    from anyplug.transport.options import SocketOptions

__all__ = ["Server"]

CUT_TIME = 1.0
"""How long a conversation that is cut may take to hear so, seconds."""


class Server:
    """Named services, and the addresses they are reached at.

    Args:
        limits: the bounds; `anyplug.Limits` says each with its unit and reason.
        options: of the sockets.
        token: what entitles clients of plug listeners; by default nothing is asked for.
        insecure: listen beyond this machine without a token.
        log: where events go; by default the logger ``anyplug``.
        store: where messages and values are kept: a folder, which is opened at the start and closed by `drain`, or a
            `Store` that is open and stays so. Without one, services that keep something refuse to.
    """

    def __init__(
        self,
        *,
        limits: Limits = DEFAULTS,
        options: SocketOptions = DEFAULT_OPTIONS,
        token: str = "",
        insecure: bool = False,
        log: Log | None = None,
        store: Store | Path | str | None = None,
    ) -> None:
        admission = Admission(limits.connections, limits.connections_per_address)
        self._context = Context(
            limits=limits, log=log or Log(), token=token, incarnation=secrets.token_hex(8), admission=admission
        )
        self._listeners = Listeners(self._context, options, insecure=insecure)
        self._folder = None if store is None or isinstance(store, Store) else Path(store)
        self.facilities.folder = self._folder
        if isinstance(store, Store):
            self.facilities.store = store

    # Services.

    def reply(self, name: str, *, blocking: bool = False, type: Any = None) -> Callable[[ReplyHandler], ReplyHandler]:
        """Decorator: answer each message of the service ``name`` by what the function returns.

        Args:
            name: the service's name.
            blocking: run a ``def`` function in a thread, since it waits or computes for long.
            type: what messages are, where the annotation does not say.
        """

        def add(handler: ReplyHandler) -> ReplyHandler:
            self.add(services.reply(name, handler, blocking=blocking, type=type))
            return handler

        return add

    def service(self, name: str, *, type: Any = None) -> Callable[[ConversationHandler], ConversationHandler]:
        """Decorator: an ``async def`` that holds each conversation of the service ``name``.

        Args:
            name: the service's name.
            type: what messages are, where the annotation ``Connection[int]`` does not say.
        """

        def add(handler: ConversationHandler) -> ConversationHandler:
            self.add(services.conversation(name, handler, type=type))
            return handler

        return add

    def add(self, service: Service) -> None:
        """Offer a service; one of the same name is replaced for conversations that begin from now on."""
        self._context.services[service.name] = service.with_limits(self._context.limits)

    @property
    def services(self) -> Sequence[Service]:
        """What is offered, by name."""
        return sorted(self._context.services.values(), key=lambda service: service.name)

    def replace_services(self, new: Sequence[Service]) -> None:
        """Offer these and no others. Running conversations go on with what they began with."""
        limits = self._context.limits
        self._context.services = {service.name: service.with_limits(limits) for service in new}

    @property
    def facilities(self) -> Facilities:
        """What the services of this server share, for those that are made by hand."""
        return self._context.facilities

    # Life.

    async def open_store(self) -> None:
        """Open the store; `start` does it. A second call does nothing.

        Raises:
            StoreError: it cannot be opened, and why: in use, damaged, no access.
        """
        if self._folder is not None and self.facilities.store is None:
            self.facilities.store = await SqliteStore.open(self._folder)

    @property
    def store(self) -> str:
        """Where messages and values are kept: a folder, ``memory``, or an empty string."""
        if self._folder is not None:
            return str(self._folder)
        return "memory" if self.facilities.store is not None else ""

    async def _close_store(self) -> None:
        for close in self.facilities.closers:
            await close()
        store = self.facilities.store
        if self._folder is not None and store is not None:
            self.facilities.store = None
            await store.close()

    @property
    def addresses(self) -> list[str]:
        """Where it listens, with the ports as bound."""
        return list(map(str, self._listeners.addresses))

    @property
    def connections(self) -> int:
        """Open connections, in all."""
        return self._context.admission.total

    @property
    def asks_token(self) -> bool:
        """Whether clients of plug listeners must show a token."""
        return bool(self._context.token)

    async def start(self, *addresses: str | Address) -> None:
        """Listen on all these addresses, or on none.

        Raises:
            AddressError: an address cannot be used.
            BindError: it cannot be listened on.
            StoreError: the store cannot be opened.
        """
        await self.open_store()
        self._context.draining = False
        opened: list[str] = []
        try:
            for address in addresses:
                opened.append(self.listen(address))  # noqa: PERF401 - those opened so far are closed again
        except BaseException:
            for key in opened:
                self.unlisten(key)
            raise

    def listen(self, address: str | Address, *, most: int | None = None) -> str:
        """Listen on one address; returns the address as bound.

        Args:
            address: where, and for a plain listener which service: ``tcp://127.0.0.1:8080/echo?framing=lines``.
            most: connections of this listener at once, beside the server's limit.
        """
        where = address if isinstance(address, Address) else Address.parse(address)
        return self._listeners.open(Want(where, most))

    def unlisten(self, address: str) -> None:
        """Accept no more on an address (as `listen` returned it); its conversations go on.

        Raises:
            LocalError: the server does not listen there.
        """
        self._listeners.close(address)

    def adopt(self, inherited: Inherited) -> None:
        """Use these sockets of a service manager where a listener is bound to their address
        (`anyplug.transport.inherited.inherited_sockets`). Those that no listener has taken when the last one is open
        are closed by `disown`.
        """
        self._listeners.inherited += inherited

    def disown(self) -> None:
        """Close the sockets of a service manager that no listener has taken, and say so in the log."""
        for name in self._listeners.left_over():
            problem = "the service manager passed a socket that no listener is configured for"
            self._context.log.warning("socket_unused", address=name, problem=problem)

    def rearrange(self, services: Sequence[Service], wanted: Sequence[Want], *, token: str, insecure: bool) -> Changes:
        """Offer these services on these listeners, and no others, from now on; all of it or nothing. Running
        conversations go on with what they began with.

        Args:
            services: what is offered.
            wanted: where. A listener that is open and still wanted keeps its socket.
            token: as when the server was made.
            insecure: as when the server was made.

        Raises:
            LocalError: the server is stopping.
            AddressError, BindError: as `listen`. Everything is as it was.
        """
        context, listeners = self._context, self._listeners
        if context.draining:
            raise LocalError("the server is stopping; nothing is changed any more")
        before = context.services, context.token, listeners.insecure
        self.replace_services(services)
        context.token, listeners.insecure = token, insecure
        try:
            return listeners.rearrange(wanted)
        except BaseException:
            context.services, context.token, listeners.insecure = before
            raise

    async def drain(self, seconds: float | None = None) -> int:
        """Stop: accept no more, let conversations end, cut what is left after a time.

        Args:
            seconds: how long conversations may go on; by default `limits.drain`.

        Returns:
            How many conversations were cut.
        """
        context = self._context
        context.draining = True
        self._listeners.close_all()
        for link in tuple(context.links):
            link.sink.drain(Code.GOING_AWAY, STOPPING)
        limit = context.limits.drain if seconds is None else seconds
        left = 0
        if not await context.ended(limit):
            left = len(context.links)
            context.log.warning("drain_cut", conversations=left, seconds=limit)
            await self._cut()
        await self._close_store()
        return left

    async def _cut(self) -> None:
        """End what is left: say why, give that a moment to arrive, then cut."""
        context = self._context
        for link in tuple(context.links):
            link.finish(Code.GOING_AWAY, STOPPING)
        for task in tuple(context.conversations):
            task.cancel()
        if not await context.ended(CUT_TIME):
            for link in tuple(context.links):
                link.abort()
            await context.ended(CUT_TIME)

    async def __aenter__(self) -> Self:
        """The server itself; it is drained at the end of the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drain; at once where the block failed."""
        await self.drain(0 if error is not None else None)

    def run(self, *addresses: str | Address, workers: int | Literal["auto"] = 1) -> None:
        """Serve until SIGTERM or SIGINT, then drain; a second signal ends at once. For programs that are nothing but
        a server.

        Several workers are processes that are forked here, with everything the program has made so far, and serve the
        same addresses. They share no memory: what a handler changes, others do not see, so services that keep
        something are refused. Each has its part of `limits.connections` and `connections_per_address`. One that ends
        is replaced. The program goes on after this call in the process that made it alone.

        Args:
            addresses: where.
            workers: processes that serve, or ``auto`` for one to each processor; more than 1 on Linux alone.

        Raises:
            AddressError, BindError, StoreError: as `start`.
            LocalError: not in the main thread, or in a running event loop; a service that several workers cannot
                share, or threads, which would not be in them; or workers fail again and again.
        """
        check_caller()
        try:
            count = read_workers(workers)
        except ValueError as error:
            raise LocalError(f"workers: {error}") from error
        if count == 1:
            run(self, addresses)
            return
        from anyplug.server.workers_run import run_workers

        run_workers(self, self._context, self._listeners, addresses, count=count)
