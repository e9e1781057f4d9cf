"""The sink of a visit: what came waits here, bounded, until the service takes it.

Messages and posts go to the visit in order, one batch at a time; while one is being kept, the next gathers. Requests
are answered side by side, up to `Visit.at_once`, each after the chunks of files that came before it. What waits is
counted in bytes, and past `limits.queue` the link stops reading. What has come whole is kept even when the stream is
gone meanwhile: who said it may never know, but it was said.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from anyplug.errors import AnyplugError, Broken, Code, ConnectionClosed, Gap, Refused, StoreError
from anyplug.messages import Acked, Content, Ended, Fault, Nacked, Posts, Refusal, Requests
from anyplug.server.arrivals import Arrivals
from anyplug.server.replying import complain
from anyplug.transport.link import GATHER
from anyplug.wire.incoming import MESSAGE_COST
from anyplug.wire.order import PostOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyplug.codec import Codec
    from anyplug.messages import Event
    from anyplug.server.arrivals import Traffic
    from anyplug.server.logs import Log
    from anyplug.services.base import Service
    from anyplug.services.visits import Visit
    from anyplug.transport.link import Link
    from anyplug.wire import PlugSession
    from anyplug.wire.order import Run

__all__ = ["VisitSink"]

_Batch: TypeAlias = "list[bytes] | Posts"

_FAILED: Final = "the service failed on this message"

_STORE: Final = {
    Code.STORE_FULL: (Code.STORE_FULL, "the server has no room to keep anything more; reads go on, try again later"),
    Code.STORE_FAILED: (Code.STORE_FAILED, "the server's store has stopped after a fault of its disk"),
}
"""What peers are told of a store that refuses; where it lies on the server's disk is not for them."""


class VisitSink:
    """Hands what one connection brings to its visit.

    Args:
        visit: the service's side.
        service: the service, for logs.
        codec: in which complaints are said.
        link: the connection.
        log: where events go.
        producer: whether the peer has said who posts.
        hold: has the server wait for something when it ends.
        traffic: chunks of files under way on the server.
    """

    __slots__ = (
        "_arrivals",
        "_asking",
        "_codec",
        "_concluding",
        "_end",
        "_ended",
        "_going",
        "_gone",
        "_hold",
        "_keeping",
        "_link",
        "_log",
        "_order",
        "_questions",
        "_service",
        "_size",
        "_steps",
        "_under_way",
        "_visit",
        "_waiting",
        "_whole",
    )

    def __init__(
        self,
        visit: Visit,
        service: Service,
        codec: Codec[Any],
        link: Link,
        log: Log,
        *,
        producer: bool,
        hold: Callable[[asyncio.Future[None]], None],
        traffic: Traffic,
    ) -> None:
        self._visit = visit
        self._service = service
        self._codec = codec
        self._link = link
        self._log = log
        self._order = PostOrder(producer=producer)
        self._waiting: deque[_Batch] = deque()
        self._questions: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._steps: list[Run | Nacked] = []
        self._keeping = False
        self._under_way: asyncio.Future[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._hold = hold
        self._arrivals = Arrivals(traffic, self._start, self._pace)
        self._end: tuple[Code, str] | None = None
        self._ended = False
        self._going = False
        self._gone = False
        self._whole = False
        self._concluding = visit.concludes

    # For the link.

    def messages(self, bodies: list[bytes]) -> None:
        """Messages came."""
        self._put(bodies, _cost(bodies))

    def handle(self, event: Event) -> None:
        """Posts came, or requests, or the end."""
        if isinstance(event, Posts):
            if self._keeping or self._waiting or self._steps:
                self._put(event, _cost([body for _, body in event.items]))
            else:
                self._steps = self._order.admit(event.items)
                self._go_on()
        elif isinstance(event, Requests):
            left = self._answer_now(event.items)
            if left:
                self._questions += left
                self._count(_cost([body for _, body in left]))
                self._ask()
        elif isinstance(event, Content):
            self._arrivals.add(self._write(event))
            self._pace()
        elif isinstance(event, (Ended, Fault)):
            if isinstance(event, Fault):
                peer, _ = self._link.names
                self._log.info("peer_error", service=self._service.name, peer=peer, problem=str(event.error))
            self._whole = isinstance(event, Ended)
            self._visit.closing()
            self._finish_when_done(Code.OK, "")

    def writable(self) -> None:
        """The peer takes answers again; who waits for it is woken by the link."""

    def drain(self, code: Code, text: str) -> None:
        """Keep what has come, answer what can be answered at once, then end."""
        self._link.pause_reading()
        self._questions.clear()
        for task in self._asking:
            task.cancel()
        self._finish_when_done(code, text)

    def lost(self) -> None:
        """The stream is gone: nobody waits for answers. What has come is kept all the same."""
        self._gone = True
        self._questions.clear()
        for task in self._asking:
            task.cancel()
        self._finish_when_done(Code.OK, "")
        if not self._ended:
            self._under_way = self._link.loop.create_future()
            self._hold(self._under_way)

    # What waits.

    def _put(self, batch: _Batch, cost: int) -> None:
        self._waiting.append(batch)
        self._count(cost)
        self._go_on()

    def _count(self, cost: int) -> None:
        """So much more waits, or less."""
        self._size += cost
        self._pace()

    def _pace(self) -> None:
        """Read on, or not, as there is room."""
        queue = self._link.limits.queue
        if self._size > queue or self._arrivals.full:
            self._link.pause_reading()
        elif self._size <= queue // 2 and self._end is None:
            self._link.resume_reading()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._link.loop.create_task(work)
        self._hold(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.result()
        self._go_on()
        self._ask()
        self._finish_when_done()

    # Messages and posts.

    def _go_on(self) -> None:
        """Hand over what waits, batch by batch, until the visit takes its time for one."""
        if self._going:
            return  # called back from below, where the visit has kept something at once
        self._going = True
        try:
            while not self._keeping and (self._steps or self._waiting):
                if self._steps:
                    self._keep_step(self._steps.pop(0))
                elif isinstance(batch := self._take(), Posts):
                    self._steps = self._order.admit(batch.items)
                else:
                    self._keeping = True
                    _ = self._start(self._keep_messages(batch))
        finally:
            self._going = False

    def _take(self) -> _Batch:
        """All neighbouring batches of one kind that wait, as one."""
        first = self._waiting.popleft()
        posts = isinstance(first, Posts)
        items: list[Any] = list(first.items) if isinstance(first, Posts) else list(first)
        while self._waiting and isinstance(self._waiting[0], Posts) is posts:
            more = self._waiting.popleft()
            items += more.items if isinstance(more, Posts) else more
        self._count(-_cost([body for _, body in items] if posts else items))
        return Posts(items) if posts else items

    async def _keep_messages(self, bodies: list[bytes]) -> None:
        try:
            await self._visit.say(bodies)
        except Exception as error:  # noqa: BLE001 - whatever a service raises ends here
            code, text = _reason(error, self._service.name, self._log)
            self._complain(0, code, text)
        finally:
            self._keeping = False

    def _keep_step(self, step: Run | Nacked) -> None:
        """Posts with neighbouring sequences, or the refusal of what stands between them."""
        if isinstance(step, Nacked):
            self._verdict(step)
            self._link.flush_soon()
            return
        self._keeping = True
        kept = partial(self._kept, step[0][0])
        try:
            if not self._visit.post_soon(step, kept):
                _ = self._start(self._post(step, kept))
        except Exception as error:  # noqa: BLE001 - whatever a service raises ends here
            kept(error)

    async def _post(self, run: Run, kept: Callable[[list[Acked | Nacked] | Exception], None]) -> None:
        try:
            verdicts = await self._visit.post(run)
        except asyncio.CancelledError:
            self._keeping = False
            raise
        except Exception as error:  # noqa: BLE001 - whatever a service raises ends here
            kept(error)
        else:
            kept(verdicts)

    def _kept(self, first: int, verdicts: list[Acked | Nacked] | Exception) -> None:
        """The visit has said what became of a run of posts."""
        if isinstance(verdicts, Exception):
            sequence = verdicts.expected if isinstance(verdicts, Gap) else first
            verdicts = [Nacked(sequence, Refusal(*_reason(verdicts, self._service.name, self._log)))]
        self._keeping = False
        for verdict in verdicts:
            self._verdict(verdict)
            if isinstance(verdict, Nacked):
                self._order.refused(verdict.sequence)
                self._steps.clear()  # what came behind it was said before its refusal could be heard
                break
        self._link.flush()
        if self._waiting or self._steps:
            self._go_on()
        if self._end is not None:
            self._finish_when_done()

    def _verdict(self, verdict: Acked | Nacked) -> None:
        session = cast("PlugSession", self._link.session)
        if self._gone or not session.sending:
            return
        if isinstance(verdict, Nacked):
            session.send_nack(verdict.sequence, verdict.refusal.reason, verdict.refusal.text)
        else:
            session.send_ack(verdict)

    async def _write(self, event: Content) -> None:
        try:
            await self._visit.content(event)
        except Exception as error:  # noqa: BLE001 - whatever a service raises ends here
            self._complain(0, *_reason(error, self._service.name, self._log))

    # Requests.

    def _answer_now(self, items: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """Answer what needs no waiting; the others are left."""
        link, visit = self._link, self._visit
        session = cast("PlugSession", link.session)
        left: list[tuple[int, bytes]] = []
        for number, body in items:
            if link.writing_paused or self._arrivals or self._questions or left:
                left.append((number, body))
                continue
            try:
                answer = visit.answer_now(body)
                if answer is None:
                    left.append((number, body))
                elif session.sending:
                    session.send_reply(number, answer)
            except Exception as error:  # noqa: BLE001 - whatever a service raises ends here
                self._complain(number, *_reason(error, self._service.name, self._log))
            if session.queued >= GATHER:
                link.flush()
        return left

    def _ask(self) -> None:
        while self._questions and len(self._asking) < self._visit.at_once:
            number, body = self._questions.popleft()
            self._count(-_cost([body]))
            self._asking.add(self._start(self._answer(number, body)))

    async def _answer(self, number: int, body: bytes) -> None:
        link = self._link
        try:
            await self._arrivals.settled()
            answer = await self._visit.answer(body)
            if link.writing_paused:
                await link.room()
            if not self._gone and link.session.sending:
                cast("PlugSession", link.session).send_reply(number, answer)
        except Exception as error:  # noqa: BLE001 - whatever a service raises ends here
            code, text = _reason(error, self._service.name, self._log)
            self._complain(number, code, text)
        link.flush_soon()

    # The end.

    def _finish_when_done(self, code: Code | None = None, text: str = "") -> None:
        """End the conversation when nothing is under way any more; a code says that it is to end."""
        if self._end is None and code is not None:
            self._end = code, text
        busy = self._keeping or self._asking or self._waiting or self._questions or self._arrivals
        if self._end is None or busy or self._ended:
            return
        if self._concluding:
            self._concluding = False
            self._keeping = True
            _ = self._start(self._conclude())
            return
        self._ended = True
        if self._under_way is not None and not self._under_way.done():
            self._under_way.set_result(None)
        self._visit.ended()
        self._link.finish(*self._end)

    async def _conclude(self) -> None:
        try:
            await self._visit.conclude(whole=self._whole)
        except Exception as error:  # noqa: BLE001 - whatever a service raises ends here
            self._complain(0, *_reason(error, self._service.name, self._log))
        finally:
            self._keeping = False

    def _complain(self, number: int, code: Code, text: str) -> None:
        session = self._link.session
        if self._gone or not session.sending:
            return
        try:
            complain(self._link, self._codec, code, text, number=number)
        except (ConnectionClosed, Broken):
            return
        self._link.flush_soon()


def _cost(bodies: list[bytes]) -> int:
    return sum(map(len, bodies)) + MESSAGE_COST * len(bodies)


def _reason(error: Exception, service: str, log: Log) -> tuple[Code, str]:
    """What the peer is told of an error; what is not for it goes to the log."""
    if isinstance(error, StoreError):
        log.warning("store_refused", service=service, problem=str(error))
        return _STORE.get(error.code, (Code.GOING_AWAY, "the store is closed: the server is stopping"))
    if isinstance(error, Refused):
        return error.code, error.text
    if isinstance(error, AnyplugError) and error.code is not Code.OK:
        return error.code, str(error)
    log.failure("handler_failed", error, service=service)
    return Code.FAILED, _FAILED
