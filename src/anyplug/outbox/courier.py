"""The task that delivers to one target: it does what its `Delivery` says, and reports what came of it."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from anyplug.address import Address
from anyplug.codec import Codec
from anyplug.connection import POST_TIMEOUT
from anyplug.errors import AnyplugError
from anyplug.messages import Kept, Producer
from anyplug.outbox.faults import OutboxDamaged, OutboxError, OutboxFull
from anyplug.outbox.plan import Delivery
from anyplug.outbox.steps import Load, Open, Post, Refuse, Renumber, Rest, Settle, Shut
from anyplug.plan import Plan, make_plan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyplug.backoff import Backoff
    from anyplug.connection import Connection
    from anyplug.limits import Limits
    from anyplug.outbox.queue import Queue

__all__ = ["Courier", "Means"]

KEPT: Final = {Kept.SYNCED: "disk", Kept.MEMORY: "memory"}
"""How people say it."""


class Means(NamedTuple):
    """How an outbox reaches its targets."""

    limits: Limits
    backoff: Backoff
    linger: float
    token: Callable[[Address], str]
    connect: Callable[[Address, Plan[Any]], Awaitable[Connection[Any]]]


class _Encoded(Codec[bytes]):
    """Messages that were encoded when they were put in."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]  # one class for the messages of all codecs

    def encode(self, message: bytes) -> bytes:
        """The message, as it is."""
        return message

    def decode(self, body: bytes) -> bytes:
        """The body, as it is."""
        return body


class Courier:
    """Delivers to one target.

    Args:
        address: the target, in its canonical form.
        queue: where its messages wait.
        means: how it is reached.
        changed: called when something has changed that somebody may wait for.
    """

    def __init__(self, address: str, queue: Queue, means: Means, changed: Callable[[], None]) -> None:
        self._address = address
        self._queue = queue
        self._means = means
        self._changed = changed
        self._wake = asyncio.Event()
        self._connection: Connection[Any] | None = None
        self._noted = ""
        self.delivery = Delivery(queue.targets[address].mark.sequence, backoff=means.backoff, linger=means.linger)
        """How it stands."""

    def news(self) -> None:
        """There are more messages."""
        self.delivery.news()
        self._wake.set()

    def resume(self) -> None:
        """Try again at once."""
        self.delivery.resume()
        self._wake.set()

    async def run(self) -> None:
        """Deliver until nothing waits any more, and nothing came for a while.

        Raises:
            OutboxError: the disk holds no more.
        """
        try:
            while await self._step():
                pass
        finally:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()
            with suppress(OutboxError):
                await self._note()

    async def _step(self) -> bool:
        """Do the next thing; False where there is none."""
        step = self.delivery.next(self._now())
        if isinstance(step, Rest):
            if step.until is None:
                return False
            await self._rest(step.until)
        elif isinstance(step, Load):
            await self._load(step)
        elif isinstance(step, Open):
            await self._open(step)
        elif isinstance(step, Post):
            await self._post(step)
        elif isinstance(step, Shut):
            await self._shut()
        elif isinstance(step, (Settle, Refuse, Renumber)):
            await self._record(step)
        else:
            await self._rest(None)
        return True

    # The steps.

    async def _rest(self, until: float | None) -> None:
        await self._note()
        self._changed()
        try:
            async with asyncio.timeout_at(until):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _load(self, step: Load) -> None:
        delivery = self.delivery
        try:
            parcels = await self._queue.load(self._address, step.after, many=step.many, size=step.size)
        except OutboxDamaged as error:
            delivery.damaged(error)
        except OutboxFull as error:
            delivery.unrecorded(error, self._now(), random.random())  # noqa: S311  not for secrets
        else:
            delivery.loaded(parcels)

    async def _open(self, step: Open) -> None:
        try:
            self._connection = connection = await self._connecting(step)
        except AnyplugError as error:
            self._failed(error)
            return
        theirs = connection.welcome.message if connection.welcome is not None else 0
        ours = self._means.limits.message
        posted = connection.welcome.posted if connection.welcome is not None else 0
        self.delivery.opened(step.codec, limit=min(ours, theirs) if theirs else ours, posted=posted)
        self._changed()

    def _connecting(self, step: Open) -> Awaitable[Connection[Any]]:
        means = self._means
        where = Address.parse(self._address)
        producer = Producer(self._queue.targets[self._address].mark.producer, step.first)
        made: Plan[Any] = make_plan(
            where, codec=step.codec, limits=means.limits, token=means.token(where), producer=producer
        )
        encoded = Plan(_Encoded(step.codec), framing=None, hello=made.hello, limits=means.limits, first=made.first)
        return means.connect(where, encoded)

    async def _post(self, step: Post) -> None:
        connection = self._connection
        assert connection is not None  # noqa: S101 - for the type checker: posts come when it is open
        bodies = [parcel.body for parcel in step.parcels]
        try:
            await connection.post_many(bodies, POST_TIMEOUT + sum(map(len, bodies)) / self._means.limits.rate)
        except AnyplugError as error:
            self._failed(error)
        else:
            self.delivery.posted()

    async def _shut(self) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None  # noqa: S101 - for the type checker: what is shut was open
        if self.delivery.failures:
            connection.abort()
        else:
            await connection.close()
        self.delivery.shut()

    async def _record(self, step: Settle | Refuse | Renumber) -> None:
        delivery, queue, address = self.delivery, self._queue, self._address
        try:
            if isinstance(step, Settle):
                kept = self._kept()
                await queue.settle(address, step.last, many=step.many, sequence=step.sequence, kept=kept)
                self._noted = ""
            elif isinstance(step, Refuse):
                await queue.refuse(address, step.id, step.code, step.text)
            else:
                await queue.renumber(address, step.sequence)
        except OutboxFull as error:
            delivery.unrecorded(error, self._now(), random.random())  # noqa: S311  not for secrets
        else:
            delivery.recorded()
            self._changed()

    def _kept(self) -> str:
        """How the server keeps what it has acknowledged; empty where it has only refused something behind it."""
        kept = self._connection.kept if self._connection is not None else None
        return "" if kept is None else KEPT[kept]

    def _failed(self, error: AnyplugError) -> None:
        self.delivery.failed(error, self._now(), random.random())  # noqa: S311  not for secrets
        self._changed()

    async def _note(self) -> None:
        """Keep what went wrong, for people who look when this process has ended."""
        problem, stop = self.delivery.problem, self.delivery.stopped
        if problem and problem != self._noted:
            self._noted = problem
            try:
                await self._queue.note(self._address, problem, stopped=stop.code if stop is not None else 0)
            except OutboxFull:
                self._noted = ""

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
