"""Sinks that answer: one for ``def`` handlers in the loop, one for handlers in tasks and threads.

The direct sink is the fast path. A batch of messages is decoded, handled and encoded in one go, and the answers leave
as one buffer. It stops in the middle of a batch when the peer does not take its answers, and goes on when it does:
the answers to a flood of small questions cannot fill the memory.
"""

from __future__ import annotations

import inspect
from collections import deque
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from anyplug.errors import AnyplugError, Broken, Code, ConnectionClosed, DecodeError
from anyplug.intake import refuse_stray
from anyplug.messages import Content, Ended, Fault, Posts, Requests
from anyplug.services.base import Mode
from anyplug.transport.link import GATHER
from anyplug.transport.turns import TURN, crowded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from anyplug.codec import Codec
    from anyplug.messages import Event
    from anyplug.server.logs import Log
    from anyplug.services.base import Service
    from anyplug.transport.link import Link
    from anyplug.wire import PlugSession

__all__ = ["DirectSink", "TaskSink", "complain"]

Item = tuple[int, bytes]
"""A message and the id of its request; 0 where it is no request."""

_FAILED = "the service failed on this message"


class _Answering:
    """What both sinks share: answers and complaints on their way out."""

    __slots__ = ("_codec", "_link", "_log", "_service")

    def __init__(self, service: Service, codec: Codec[Any], link: Link, log: Log) -> None:
        self._service = service
        self._codec = codec
        self._link = link
        self._log = log

    def _say(self, number: int, answer: Any) -> None:
        """Queue an answer; raises what its encoding raises."""
        session = self._link.session
        if number:
            body = b"" if answer is None and self._codec.name in ("bytes", "text") else self._codec.encode(answer)
            cast("PlugSession", session).send_reply(number, body)
        elif answer is not None:
            session.send_data(self._codec.encode(answer))

    def _note_fault(self, event: Ended | Fault) -> None:
        """An end out of order is worth a line to who looks for it."""
        if isinstance(event, Fault):
            peer, _ = self._link.names
            self._log.info("peer_error", service=self._service.name, peer=peer, problem=str(event.error))

    def _fail(self, number: int, error: Exception) -> None:
        """A message could not be handled: log it here, tell the peer its code."""
        if isinstance(error, (ConnectionClosed, Broken)):
            return
        if isinstance(error, DecodeError):
            code, text = Code.BAD_MESSAGE, str(error)
            self._log.info("bad_message", service=self._service.name, problem=text)
        else:
            code, text = Code.FAILED, _FAILED
            self._log.failure("handler_failed", error, service=self._service.name)
        if self._link.session.sending:
            complain(self._link, self._codec, code, text, number=number)


class DirectSink(_Answering):
    """Answers by a ``def`` handler, in the loop."""

    __slots__ = ("_ended", "_rest")

    def __init__(self, service: Service, codec: Codec[Any], link: Link, log: Log) -> None:
        super().__init__(service, codec, link, log)
        self._rest: list[Iterator[Item]] | None = None
        self._ended = False

    def messages(self, bodies: list[bytes]) -> None:
        """Messages came: answer them. A single one, the commonest case, goes the short way."""
        link = self._link
        if len(bodies) > 1 or link.writing_paused or self._rest is not None:
            self._take((0, body) for body in bodies)
            return
        codec = self._codec
        started = perf_counter()
        try:
            answer = self._service.handler(codec.decode(bodies[0]))
            if answer is not None:
                link.say_now(codec.encode(answer))
        except Exception as error:  # noqa: BLE001 - whatever a handler raises ends here
            self._fail(0, error)
        if perf_counter() - started > link.limits.slow_handler:
            self._check_time(started)

    def handle(self, event: Event) -> None:
        """Requests came, or the end."""
        if isinstance(event, Requests):
            items = event.items
            if len(items) > 1 or self._link.session.queued or self._link.writing_paused or self._rest is not None:
                self._take(iter(items))
            else:
                self._reply(*items[0])
        elif isinstance(event, (Posts, Content)):
            refuse_stray(self._link, event)
        elif isinstance(event, (Ended, Fault)):
            self._note_fault(event)
            self._ended = True
            if self._rest is None:
                self._link.finish()

    def _reply(self, number: int, body: bytes) -> None:
        """Answer a single request, the short way, where nothing waits to be said before."""
        link, codec = self._link, self._codec
        session: Any = link.session
        started = perf_counter()
        try:
            answer = self._service.handler(codec.decode(body))
            if answer is None:
                self._say(number, None)
            else:
                data = session.encode_numbered(number, codec.encode(answer))
                link.bytes_sent += len(data)
                link.transport.write(data)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises ends here
            self._fail(number, error)
        if perf_counter() - started > link.limits.slow_handler:
            self._check_time(started)

    def writable(self) -> None:
        """The peer takes answers again: go on where it stopped."""
        rest, self._rest = self._rest, None
        if rest is None:
            return
        for items in rest:
            self._take(items)
        self._link.flush_soon()
        if self._rest is None:
            self._link.resume_reading()
            if self._ended:
                self._link.finish()

    def drain(self, code: Code, text: str) -> None:
        """End as soon as what has arrived is answered."""
        self._ended = True
        if self._rest is None:
            self._link.finish(code, text)

    def lost(self) -> None:
        """The stream is gone; what was not answered never will be."""
        self._rest = None
        self._ended = True

    def _take(self, items: Iterator[Item]) -> None:
        """Answer these as far as the peer takes the answers, and others need not wait; keep the rest, and stop reading
        until that is so.
        """
        link = self._link
        if self._rest is not None:
            self._rest.append(items)
            return
        before = perf_counter()
        until = before + TURN if crowded(link) else inf
        while not link.writing_paused and before < until:
            item = next(items, None)
            if item is None:
                break
            self._answer(*item)
            before = self._check_time(before)
            if link.session.queued >= GATHER:
                link.flush()
        else:
            self._rest = [items]
            link.pause_reading()
            if not link.writing_paused:
                link.loop.call_soon(self.writable)

    def _answer(self, number: int, body: bytes) -> None:
        try:
            self._say(number, self._service.handler(self._codec.decode(body)))
        except Exception as error:  # noqa: BLE001 - whatever a handler raises ends here
            self._fail(number, error)

    def _check_time(self, started: float) -> float:
        """Name a handler that took too long for one message; returns the time."""
        now = perf_counter()
        took = now - started
        if took > self._link.limits.slow_handler:
            advice = "other connections waited; use blocking=True or async def"
            self._log.warning("slow_handler", service=self._service.name, seconds=round(took, 3), advice=advice)
        return now


class TaskSink(_Answering):
    """Answers by handlers in tasks or threads.

    Messages are answered one after the other, in order; requests side by side, up to `limits.requests`.
    """

    __slots__ = ("_ended", "_queue", "_running", "_tasks", "_waiting")

    def __init__(self, service: Service, codec: Codec[Any], link: Link, log: Log) -> None:
        super().__init__(service, codec, link, log)
        self._queue: deque[bytes] = deque()
        self._running = False
        self._waiting: deque[Item] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = False

    def messages(self, bodies: list[bytes]) -> None:
        """Messages came: answer them one after the other."""
        self._queue += bodies
        if not self._running:
            self._running = True
            self._start(self._answer_queue())
        self._pause_if_full()

    def handle(self, event: Event) -> None:
        """Requests came, or the end."""
        if isinstance(event, Requests):
            self._waiting += event.items
            self._start_waiting()
        elif isinstance(event, (Posts, Content)):
            refuse_stray(self._link, event)
        elif isinstance(event, Ended):
            self._ended = True
            self._finish_if_done()
        elif isinstance(event, Fault):
            self._note_fault(event)
            self.lost()
        self._pause_if_full()

    def _pause_if_full(self) -> None:
        if self._full:
            self._link.pause_reading()

    @property
    def _full(self) -> bool:
        return len(self._tasks) + len(self._queue) + len(self._waiting) >= self._link.limits.requests

    def writable(self) -> None:
        """The peer takes answers again; tasks that wait for it are woken by the link."""

    def drain(self, code: Code, text: str) -> None:
        """Answer what is being answered, then end."""
        self._ended = True
        self._link.pause_reading()
        if not self._tasks:
            self._link.finish(code, text)

    def lost(self) -> None:
        """The stream is gone: cancel what was being answered."""
        self._ended = True
        self._queue.clear()
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()

    def _start_waiting(self) -> None:
        """One read can bring more requests than may be answered at once: the others wait here."""
        while self._waiting and len(self._tasks) < self._link.limits.requests:
            self._start(self._answer(*self._waiting.popleft()))

    def _start(self, work: Any) -> None:
        task = self._link.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()
        self._start_waiting()
        if not self._full:
            self._link.resume_reading()
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._ended and not self._tasks and not self._waiting:
            self._link.finish()

    async def _answer_queue(self) -> None:
        try:
            while self._queue:
                await self._answer(0, self._queue.popleft())
        finally:
            self._running = False

    async def _answer(self, number: int, body: bytes) -> None:
        link = self._link
        try:
            answer = await self._call(self._codec.decode(body))
            if link.writing_paused:
                await link.room()
            if link.session.sending:
                self._say(number, answer)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises ends here
            self._fail(number, error)
        link.flush_soon()

    async def _call(self, message: Any) -> Any:
        handler = self._service.handler
        if self._service.mode is Mode.THREAD:
            return await self._link.loop.run_in_executor(None, handler, message)
        answer = handler(message)
        return await answer if inspect.isawaitable(answer) else answer


def complain(link: Link, codec: Codec[Any], code: Code, text: str, *, number: int = 0) -> None:
    """Tell the peer that something could not be done: an ERROR frame on plug, one message ``code: text`` on a plain
    stream.
    """
    session = link.session
    if session.has_requests:
        cast("PlugSession", session).send_error(number, code, text)
        return
    sentence = f"{code.word}: {text}"
    try:
        session.send_data(sentence.encode() if codec.name == "bytes" else codec.encode(sentence))
    except AnyplugError:
        link.finish(code, text)
