"""The async outbox: what is put in is on this machine's disk, and reaches its server once, sooner or later."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from anyplug.address import Address
from anyplug.backoff import Backoff
from anyplug.client import CONNECT_TIMEOUT, Connecting
from anyplug.errors import LocalError, Timeout, TooLarge
from anyplug.limits import DEFAULTS
from anyplug.outbox.courier import Courier, Means
from anyplug.outbox.faults import OutboxError, Undeliverable, counted, of_outbox
from anyplug.outbox.plan import LINGER
from anyplug.outbox.queue import Queue
from anyplug.plan import make_plan
from anyplug.transport.options import DEFAULT_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from anyplug.codec import Codec
    from anyplug.connection import Connection
    from anyplug.errors import Code
    from anyplug.limits import Limits
    from anyplug.outbox.rows import Refusal, Target
    from anyplug.plan import Plan
    from anyplug.transport.options import SocketOptions

__all__ = ["BACKOFF", "BYTES_MOST", "MANY_MOST", "Outbox", "Status"]

MANY_MOST: Final = 1_000_000
"""Messages that an outbox takes where nothing else is said, waiting and refused ones together."""

BYTES_MOST: Final = 1024 * 1024 * 1024
"""Bytes of messages that an outbox takes where nothing else is said: days offline for most, and no full disk."""

BACKOFF: Final = Backoff(first=0.1, most=30.0)
"""How long a target is left alone after failures, where nothing else is said."""

REFUSALS: Final = 1_000
"""Refused messages that are told in one go, at most."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How one target stands."""

    address: str
    waiting: int
    """Messages that wait to be delivered."""
    size: int
    """Their bytes."""
    delivered: int
    """Messages delivered since the outbox was made."""
    refused: int
    """Messages that the server refused for good since then."""
    kept: str
    """How the server keeps them: ``disk``, or ``memory`` where it was configured so; empty before the first one."""
    renumbered: int
    """How often the server had forgotten messages that it had acknowledged: its store was replaced or restored."""
    problem: str
    """What went wrong last; empty once something was delivered after it. Partly the server's words: escape it before it
    goes to a terminal."""
    stopped: Code | None
    """Why nothing is tried any more: waiting does not help. None where deliveries go on."""
    connected: bool
    """Whether there is a connection now."""
    next_attempt: float | None
    """Seconds until the next attempt after a failure."""


class Outbox:
    """A durable queue of messages on this machine, for servers that keep them.

    ``async with Outbox("outbox.db") as outbox: await outbox.post("plug://127.0.0.1/inbox/log", "hello")``

    What `post` returned for is on this disk, synced. From there each message reaches its server once, in the order of
    its target: through broken connections, restarts of either side and days offline. A target is an address; messages
    for different ones do not wait for each other. One process at a time holds the file.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        deliver: bool = True,
        token: str | Callable[[Address], str] = "",
        many: int = MANY_MOST,
        size: int = BYTES_MOST,
        backoff: Backoff = BACKOFF,
        linger: float = LINGER,
        limits: Limits = DEFAULTS,
        options: SocketOptions = DEFAULT_OPTIONS,
    ) -> None:
        """Nothing is opened before ``async with``, or `open`.

        Args:
            path: the file; made when it is not there.
            deliver: whether to deliver in the background from the start. If not, `deliver` does so when it is called.
            token: what entitles this client, or a function that tells it for an address. It is never written down.
            many: how many messages it takes, waiting and refused ones together.
            size: how many bytes of messages.
            backoff: how long to leave a target alone after failures; its patience is not used.
            linger: how long a connection with nothing to deliver is kept for more, seconds.
            limits: the bounds of this side; ``message`` bounds one message.
            options: of the sockets.
        """
        self._path = Path(path)
        self._delivering = deliver
        self._bounds = many, size
        tell = token if callable(token) else lambda _: token
        self._means = Means(limits, backoff, linger, tell, partial(_connect, options))
        self._queue: Queue | None = None
        self._couriers: dict[str, tuple[Courier, asyncio.Task[None]]] = {}
        self._fault: BaseException | None = None
        self._change = asyncio.Event()
        self._encoding = lru_cache(256)(self._find)

    async def open(self) -> Self:
        """Open the file and begin to deliver what waits.

        Raises:
            OutboxBusy: another process holds it.
            OutboxDamaged: it does not hold what was written.
            OutboxError: it cannot be used, or was opened before.
            OutboxFull, OutboxFailed: the disk has no room, or an error.
        """
        if self._queue is not None:
            raise OutboxError(str(self._path), "it was opened before; make another one")
        arrived = partial(_tell, asyncio.get_running_loop(), self._arrived)
        self._queue = await Queue.open(self._path, many=self._bounds[0], size=self._bounds[1], news=arrived)
        if self._delivering:
            self._start()
        return self

    async def close(self) -> None:
        """Stop delivering and close the file. What waits stays for the next time. Closing twice is no mistake."""
        await self._stop()
        if self._queue is not None:
            await self._queue.close()
        self._change.set()

    async def __aenter__(self) -> Self:
        """Open it."""
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it. What waits stays for the next time."""
        await self.close()

    # Putting in.

    async def post(self, address: str | Address, message: Any, *, codec: str | None = None) -> int:
        """Put a message in. Returns its number once it is on this machine's disk, synced.

        Messages that many tasks put in at the same time share one sync.

        Args:
            address: the server, the service that keeps it, and the rest: ``plug://host/inbox/topic``.
            message: what to deliver; it is encoded now.
            codec: the codec's name; by default that of the address, or msgpack.

        Raises:
            AddressError, LocalError: the address is none to post to.
            EncodeError: the value cannot travel.
            TooLarge: it is above ``limits.message``.
            OutboxFull: there is no room, in the outbox or on the disk. It was not put in; the others are safe.
            OutboxFailed: the disk failed. Whether it was put in is unknown.
        """
        return (await self.post_many(address, [message], codec=codec))[0]

    async def post_many(
        self, address: str | Address, messages: Sequence[Any], *, codec: str | None = None
    ) -> list[int]:
        """Put several messages for one target in, all or none; their numbers. Raises as `post`."""
        queue = self._opened()
        target, name, coder = self._encoding(address, codec)
        bodies = list(map(coder.encode, messages))
        most = self._means.limits.message
        for body in bodies:
            if len(body) > most:
                raise TooLarge("message", size=len(body), limit=most)
        return await queue.put(target, name, bodies) if bodies else []

    def _find(self, address: str | Address, codec: str | None) -> tuple[str, str, Codec[Any]]:
        """The target of an address in its one form, the codec's name and the codec."""
        where = (address if isinstance(address, Address) else Address.parse(address)).connectable()
        if not where.is_plug:
            plug = f"plug://{where.host or 'HOST'}/{where.service or 'inbox'}"
            raise LocalError(f"{where} acknowledges nothing; an outbox delivers to plug addresses such as {plug}")
        made: Plan[Any] = make_plan(where, codec=codec, limits=self._means.limits)
        options = {name: value for name, value in where.options.items() if name != "codec"}
        return str(msgspec.structs.replace(where, options=options)), made.codec.name, made.codec

    # Looking.

    async def drained(self, timeout: float | None = None, *, address: str | Address | None = None) -> None:
        """Wait until nothing waits any more: each message is delivered, or refused for good (see `refusals`).

        Args:
            timeout: seconds, or None to wait without end.
            address: wait for the messages of this target alone; by default for all.

        Raises:
            Timeout: some still wait. They stay, and are delivered later.
            Undeliverable: all that still wait are for servers that take none of them, and waiting does not help.
            OutboxFailed: the disk failed.
            LocalError: nothing is being delivered.
        """
        wanted = None if address is None else self._encoding(address, None)[0]
        try:
            async with asyncio.timeout(timeout):
                while not self._settled(wanted):
                    await self._change.wait()
        except TimeoutError:
            waiting = sum(target.waiting for target in self._waiting(wanted))
            raise Timeout(f"the delivery of {counted(waiting)}", timeout or 0) from None

    def _waiting(self, wanted: str | None) -> list[Target]:
        targets = self._opened().targets.values()
        return [target for target in targets if target.waiting and wanted in {None, target.address}]

    def _settled(self, wanted: str | None) -> bool:
        queue = self._opened()
        if self._fault is not None:
            raise self._fault
        if queue.over is not None:
            raise of_outbox(queue.over)
        waiting = self._waiting(wanted)
        if waiting and not self._delivering:
            raise LocalError("nothing is being delivered here; call deliver()")
        if waiting and all(self._stopped(target.address) for target in waiting):
            first = waiting[0]
            stop = self._couriers[first.address][0].delivery.stopped
            assert stop is not None  # noqa: S101 - for the type checker; it has just been looked at
            raise Undeliverable(first.address, stop.code, stop.text, waiting=first.waiting)
        self._change.clear()
        return not waiting

    def _stopped(self, address: str) -> bool:
        courier = self._couriers.get(address)
        return courier is not None and courier[0].delivery.stopped is not None

    async def deliver(self, timeout: float | None = None, *, address: str | Address | None = None) -> None:
        """Deliver now, until nothing waits any more: for an outbox that does not do so in the background.

        Arguments and errors are those of `drained`.
        """
        self._opened()
        if self._delivering:
            await self.drained(timeout, address=address)
            return
        self._delivering = True
        self._start()
        try:
            await self.drained(timeout, address=address)
        finally:
            self._delivering = False
            await self._stop()

    def status(self) -> list[Status]:
        """How each target stands, in the order in which they were first posted to."""
        return [self._status(target) for target in self._opened().targets.values()]

    def _status(self, target: Target) -> Status:
        courier = self._couriers.get(target.address)
        delivery = courier[0].delivery if courier is not None else None
        next_attempt = None
        stopped = target.mark.stop
        if delivery is not None:
            stopped = delivery.stopped.code if delivery.stopped is not None else None
        if delivery is not None and delivery.retry_at is not None and delivery.stopped is None:
            next_attempt = max(0.0, delivery.retry_at - asyncio.get_running_loop().time())
        return Status(
            address=target.address,
            waiting=target.waiting,
            size=target.size,
            delivered=target.mark.delivered,
            refused=target.mark.refused,
            kept=target.mark.kept,
            renumbered=target.mark.renumbered,
            problem=(delivery.problem if delivery is not None else "") or target.mark.problem,
            stopped=stopped,
            connected=delivery is not None and delivery.connected,
            next_attempt=next_attempt,
        )

    # Messages that were refused, targets that have stopped.

    async def refusals(self, after: int = 0, *, many: int = REFUSALS) -> list[Refusal]:
        """Messages that servers refused for good, each with its reason, past number `after`; `many` at most."""
        return await self._opened().refusals(after, many)

    async def retry(self, number: int) -> int:
        """Deliver a refused message after all. It goes behind all that wait for its target, with the number returned.

        Raises:
            LocalError: no message of that number was refused.
        """
        new = await self._opened().retry(number)
        if not new:
            raise LocalError(f"no refused message has the number {number}; refusals() tells those that have")
        return new

    async def forget(self, number: int) -> None:
        """Throw a refused message away. Raises as `retry`."""
        if not await self._opened().forget(number):
            raise LocalError(f"no refused message has the number {number}; refusals() tells those that have")

    async def resume(self, address: str | Address, *, anew: bool = False) -> None:
        """Try a target again at once that has stopped, or waits after a failure.

        Args:
            address: the target.
            anew: post under a new identity from now on. That is the way on where a copy of this outbox has posted under
                the old one (the codes ``conflict`` and ``taken_over``), or a waiting message is damaged: it is put to
                the refused ones. What was under way, or what the copy has posted too, may come twice then.

        Raises:
            LocalError: there is no such target.
        """
        queue = self._opened()
        target = self._encoding(address, None)[0]
        if target not in queue.targets:
            raise LocalError(f"nothing was ever posted to {target}")
        courier = self._couriers.get(target)
        if anew:
            await self._end([target])
            await queue.rename(target)
            if self._delivering:
                self._arrived([target])
        elif courier is not None:
            courier[0].resume()

    # Inside.

    def _opened(self) -> Queue:
        if self._queue is None:
            raise OutboxError(str(self._path), "it is not open; use it in an async with block")
        return self._queue

    def _start(self) -> None:
        self._arrived([target.address for target in self._opened().targets.values() if target.waiting])

    def _arrived(self, addresses: list[str]) -> None:
        """There is something to deliver there; or, where there is no address, something else has happened."""
        self._change.set()
        queue = self._queue
        if queue is None or not self._delivering:
            return
        for address in addresses:
            if address in self._couriers:
                self._couriers[address][0].news()
                continue
            courier = Courier(address, queue, self._means, self._change.set)
            task = asyncio.create_task(courier.run(), name=f"anyplug-outbox {address}")
            task.add_done_callback(partial(self._ended, address))
            self._couriers[address] = courier, task

    def _ended(self, address: str, task: asyncio.Task[None]) -> None:
        """A courier has nothing to do, or cannot go on."""
        del self._couriers[address]
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self._fault = error
            elif self._queue is not None and self._queue.targets[address].waiting:
                self._arrived([address])
        self._change.set()

    async def _end(self, addresses: Sequence[str]) -> None:
        tasks = [self._couriers[address][1] for address in addresses if address in self._couriers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _stop(self) -> None:
        self._delivering = False
        await self._end([*self._couriers])


async def _connect(options: SocketOptions, where: Address, plan: Plan[Any]) -> Connection[Any]:
    return await Connecting(where, plan, timeout=CONNECT_TIMEOUT, options=options)


def _tell(loop: asyncio.AbstractEventLoop, arrived: Callable[[list[str]], None], addresses: list[str]) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody delivers any more
        loop.call_soon_threadsafe(arrived, addresses)
