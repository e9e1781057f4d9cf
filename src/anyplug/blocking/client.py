"""Opening a conversation, for threads and scripts."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, overload

from anyplug.address import Address
from anyplug.backoff import Backoff
from anyplug.blocking.connection import FOR_EVER, Connection
from anyplug.blocking.line import Line
from anyplug.blocking.outlet import Outlet
from anyplug.blocking.pump import TICK, Pump
from anyplug.blocking.stream import Stream
from anyplug.errors import AnyplugError, Broken, LocalError, ProtocolError, Refused
from anyplug.limits import DEFAULTS
from anyplug.messages import Fault, Refusal, Welcome
from anyplug.plan import make_plan
from anyplug.transport.blocking_dial import dial_blocking
from anyplug.transport.handshake import check_codec, handshake_error
from anyplug.transport.options import DEFAULT_OPTIONS
from anyplug.wire import Inbound

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from anyplug.blocking.reconnecting import Reconnecting
    from anyplug.limits import Limits
    from anyplug.messages import Event, Producer
    from anyplug.plan import Plan
    from anyplug.transport.options import SocketOptions
    from anyplug.wire import Session

__all__ = ["CONNECT_TIMEOUT", "connect", "converse"]

T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
"""How long connecting may take, from the name to the handshake, seconds, where nothing else is said."""


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
) -> Connection[T]: ...
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
) -> Connection[Any]: ...
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
) -> Reconnecting[T]: ...
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
) -> Reconnecting[Any]: ...
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
) -> Connection[Any] | Reconnecting[Any]:
    """Open a conversation with what listens at an address.

    ``with connect("plug://127.0.0.1/echo") as peer`` closes it at the end of the block.

    Args:
        address: where to, as text or as an `Address`.
        type: what messages are; each is checked when it comes. By default anything the codec carries.
        codec: the codec's name; by default msgpack on plug, and what suits the type on plain connections.
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
    if not timeout > 0:
        raise LocalError(f"timeout is {timeout!r}, expected seconds above 0")
    where = address if isinstance(address, Address) else Address.parse(address)
    plan: Plan[Any] = make_plan(
        where, type=type, codec=codec, framing=framing, limits=limits, token=token, producer=producer, name=name
    )
    opener = partial(_open, where, plan, min(timeout, FOR_EVER), options)
    if not reconnect:
        return opener()
    from anyplug.blocking.reconnecting import Line, Reconnecting

    return Reconnecting(Line(opener(), opener, reconnect if isinstance(reconnect, Backoff) else Backoff()))


def _open(where: Address, plan: Plan[T], timeout: float, options: SocketOptions) -> Connection[T]:
    deadline = time.monotonic() + timeout
    sock = dial_blocking(where, timeout=timeout, options=options)
    return converse(sock, where, plan, timeout=timeout, deadline=deadline)


def converse(
    sock: socket.socket,
    where: Address,
    plan: Plan[T],
    *,
    timeout: float = CONNECT_TIMEOUT,
    deadline: float | None = None,
    now: Callable[[], float] = time.monotonic,
    tick: float = TICK,
) -> Connection[T]:
    """Open a conversation on a connected socket.

    Args:
        sock: the socket; it belongs to the connection from here, and is closed where none comes about.
        where: where it leads to, for people.
        plan: what to speak.
        timeout: seconds for the handshake.
        deadline: when these are over; by default counted from now.
        now: the time in seconds, monotonic.
        tick: seconds between two looks at heartbeats and deadlines while a thread waits.

    Raises:
        ConnectError: the peer does not answer as it should.
        Refused: the server said no.
    """
    deadline = now() + timeout if deadline is None else deadline
    stream = Stream(sock)
    try:
        session = plan.session()
        welcome: Welcome | None = None
        rest: Sequence[Event] = ()
        if plan.hello is not None:
            within = _Deadline(deadline, timeout, now)
            welcome, rest = _shake_hands(stream, session, str(where), within)
            check_codec(welcome, plan.hello.codec, str(where))
        inbound: Inbound[T, Any] = Inbound(plan.codec, numbered=welcome is not None and welcome.asks, first=plan.first)
        line = Line(stream, session, inbound, plan.limits, now())
        if rest:
            line.hear(rest)
    except BaseException:
        stream.close()
        raise
    pump = Pump(line, now=now, tick=tick)
    return Connection(pump, plan.codec, address=str(where), service=where.service, rest=where.rest, welcome=welcome)


class _Deadline(NamedTuple):
    at: float
    timeout: float
    now: Callable[[], float]

    def left(self) -> float:
        """Seconds until then."""
        return self.at - self.now()


def _shake_hands(stream: Stream, session: Session, where: str, deadline: _Deadline) -> tuple[Welcome, Sequence[Event]]:
    """Say HELLO and hear the answer; returns the welcome, and what came right behind it.

    Where HELLO does not reach the peer, its answer may have come all the same: a full server refuses at once.
    """
    outlet = Outlet(stream)
    lost = _write(outlet, session.data_to_send())
    while not (events := session.events()):
        if lost is None:
            left = deadline.left()
            if left <= 0:
                raise handshake_error(where, TimeoutError(), deadline.timeout)
            stream.wait(read=True, write=len(outlet) > 0, seconds=left)
            lost = _write(outlet)
        try:
            data = stream.receive()
        except Broken as error:
            raise handshake_error(where, error, deadline.timeout) from error
        if data:
            session.receive_data(data)
        elif lost is not None:
            raise handshake_error(where, lost, deadline.timeout) from lost
        elif data is not None:
            session.receive_eof()
    answer = events[0]
    if isinstance(answer, Welcome):
        return answer, events[1:]
    if isinstance(answer, Refusal):
        raise Refused(answer.reason, answer.text)
    fault: AnyplugError = answer.error if isinstance(answer, Fault) else ProtocolError("no WELCOME")
    raise handshake_error(where, fault, deadline.timeout) from fault


def _write(outlet: Outlet, data: bytes = b"") -> Broken | None:
    """Send this and what waits; the error where nothing can be sent any more."""
    try:
        if data:
            outlet.put(data)
        else:
            outlet.flush()
    except Broken as error:
        return error
    return None
