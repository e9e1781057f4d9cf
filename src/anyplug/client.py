"""Opening a conversation, for async programs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from anyplug.address import Address
from anyplug.backoff import Backoff
from anyplug.connection import Connection
from anyplug.errors import AnyplugError, ConnectError, Refused
from anyplug.intake import Intake
from anyplug.limits import DEFAULTS
from anyplug.plan import Plan, make_plan
from anyplug.transport.dial import dial
from anyplug.transport.handshake import check_codec, handshake_error
from anyplug.transport.join import join
from anyplug.transport.link import Link
from anyplug.transport.options import DEFAULT_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from anyplug.limits import Limits
    from anyplug.messages import Producer
    from anyplug.reconnecting import Reopened
    from anyplug.transport.options import SocketOptions

__all__ = ["CONNECT_TIMEOUT", "Connecting", "connect"]

T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
"""How long connecting may take, from the name to the handshake, seconds, where nothing else is said."""


class Connecting(Generic[T]):
    """A conversation that is about to be opened: ``async with`` it, or ``await`` it."""

    __slots__ = ("_address", "_connection", "_options", "_plan", "_timeout")

    def __init__(self, address: Address, plan: Plan[T], *, timeout: float, options: SocketOptions) -> None:
        """Made by `connect`."""
        self._address = address
        self._plan = plan
        self._timeout = timeout
        self._options = options
        self._connection: Connection[T] | None = None

    def __await__(self) -> Generator[Any, None, Connection[T]]:
        """The open connection; close it when it is done."""
        return self._open().__await__()

    async def __aenter__(self) -> Connection[T]:
        """The open connection; it is closed at the end of the block."""
        self._connection = await self._open()
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close in order."""
        if self._connection is not None:
            await self._connection.close()

    async def _open(self) -> Connection[T]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        sock = await dial(self._address, timeout=self._timeout, options=self._options)
        intake = Intake(self._plan.codec, first=self._plan.first)
        if self._plan.hello is not None:
            intake.opening = loop.create_future()
        link = Link(self._plan.session(), intake.attach, limits=self._plan.limits, loop=loop)
        await join(loop, sock, link, packets=self._address.is_packet or self._address.is_datagram)
        if intake.opening is not None:
            await self._welcomed(intake, link, deadline)
        peer, local = link.names
        where = self._address
        return Connection(
            link, intake, self._plan.codec, peer=peer, local=local, service=where.service, rest=where.rest
        )

    async def _welcomed(self, intake: Intake[T], link: Link, deadline: float) -> None:
        """Wait for the answer to HELLO."""
        assert intake.opening is not None  # noqa: S101 - for the type checker; the caller has looked
        try:
            async with asyncio.timeout_at(deadline):
                check_codec(await intake.opening, self._plan.codec.name, str(self._address))
        except Refused:
            link.finish()
            raise
        except ConnectError:
            link.abort()
            raise
        except (AnyplugError, TimeoutError) as error:
            link.abort()
            raise handshake_error(str(self._address), error, self._timeout) from error
        except BaseException:
            link.abort()
            raise
        finally:
            intake.opening = None


@overload
def connect(
    address: str | Address,
    *,
    type: type[T],
    codec: str | None = None,
    framing: str | None = None,
    timeout: float = CONNECT_TIMEOUT,
    limits: Limits = DEFAULTS,
    token: str = "",
    producer: Producer | None = None,
    name: str = "",
    reconnect: Literal[False] = False,
    options: SocketOptions = DEFAULT_OPTIONS,
) -> Connecting[T]: ...
@overload
def connect(
    address: str | Address,
    *,
    type: Any = Any,
    codec: str | None = None,
    framing: str | None = None,
    timeout: float = CONNECT_TIMEOUT,
    limits: Limits = DEFAULTS,
    token: str = "",
    producer: Producer | None = None,
    name: str = "",
    reconnect: Literal[False] = False,
    options: SocketOptions = DEFAULT_OPTIONS,
) -> Connecting[Any]: ...
@overload
def connect(
    address: str | Address,
    *,
    type: type[T],
    codec: str | None = None,
    framing: str | None = None,
    timeout: float = CONNECT_TIMEOUT,
    limits: Limits = DEFAULTS,
    token: str = "",
    producer: Producer | None = None,
    name: str = "",
    reconnect: Literal[True] | Backoff,
    options: SocketOptions = DEFAULT_OPTIONS,
) -> Reopened[T]: ...
@overload
def connect(
    address: str | Address,
    *,
    type: Any = Any,
    codec: str | None = None,
    framing: str | None = None,
    timeout: float = CONNECT_TIMEOUT,
    limits: Limits = DEFAULTS,
    token: str = "",
    producer: Producer | None = None,
    name: str = "",
    reconnect: Literal[True] | Backoff,
    options: SocketOptions = DEFAULT_OPTIONS,
) -> Reopened[Any]: ...
def connect(
    address: str | Address,
    *,
    type: Any = Any,
    codec: str | None = None,
    framing: str | None = None,
    timeout: float = CONNECT_TIMEOUT,
    limits: Limits = DEFAULTS,
    token: str = "",
    producer: Producer | None = None,
    name: str = "",
    reconnect: bool | Backoff = False,
    options: SocketOptions = DEFAULT_OPTIONS,
) -> Connecting[Any] | Reopened[Any]:
    """Open a conversation.

    Use it as ``async with connect("plug://127.0.0.1/echo") as peer``, or as ``peer = await connect(...)`` and close the
    peer yourself.

    Args:
        address: where to, as text or as an `Address`.
        type: what messages are; each is checked when it comes. By default anything the codec carries.
        codec: the codec's name; by default msgpack on plug, and on plain connections ``text`` for str, ``bytes`` for
            bytes, else ``json``.
        framing: of a plain connection; by default ``lines`` on streams, and a packet a message elsewhere.
        timeout: seconds for everything until the conversation is open.
        limits: the bounds of this side.
        token: what entitles this client; read it from a file or the environment.
        producer: who posts, for a program that posts again what another connection could not acknowledge.
        name: what this client calls itself, for those who read what it posts.
        reconnect: whether to open the conversation again when it breaks, and when to try: a `Backoff`. The first
            connection is tried once in any case.
        options: of the socket.

    Raises:
        AddressError: the address cannot be used.
        LocalError: the arguments do not fit it.
        ConnectError: no conversation could be opened; says which step failed and what to try.
        Refused: the server said no; its code says why.
    """
    where = address if isinstance(address, Address) else Address.parse(address)
    plan: Plan[Any] = make_plan(
        where, type=type, codec=codec, framing=framing, limits=limits, token=token, producer=producer, name=name
    )
    if not reconnect:
        return Connecting(where, plan, timeout=timeout, options=options)
    from anyplug.reconnecting import Reopened

    backoff = reconnect if isinstance(reconnect, Backoff) else Backoff()
    return Reopened(lambda: Connecting(where, plan, timeout=timeout, options=options), backoff)
