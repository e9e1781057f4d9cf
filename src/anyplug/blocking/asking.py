"""Questions and their answers, one or many, from any number of threads.

Where the server answers requests, an answer carries the id of its question. Elsewhere it is the next message that
comes after the question was said, so what has come before is read first.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, TypeVar, cast

from anyplug.blocking.waiter import Waiter
from anyplug.errors import AnyplugError, EncodeError, Timeout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.blocking.pump import Pump
    from anyplug.wire import PlugSession

__all__ = ["ask", "ask_many"]

T = TypeVar("T")

IN_FLIGHT: Final = 512
"""Questions of one `ask_many` that wait for their answers at once, at most: half of what a server takes by default
(`limits.requests`)."""

GATHER: Final = 64 * 1024
"""Bytes of questions that are given to the system together."""


def ask(pump: Pump[T], body: bytes, timeout: float | None) -> bytes:
    """Say a question; the body of its answer.

    Raises:
        Timeout: no answer in time; a late one is dropped.
        AnyplugError: the peer refused, or the connection ended.
    """
    deadline = pump.deadline(timeout)
    with pump.lock:
        number, waiter = _open(pump, body, at_once=True)
        try:
            if not (pump.say(deadline) and pump.wait(waiter, deadline)):
                raise _late(pump, timeout)
        except BaseException as error:
            _give_up(pump, number, error)
            raise
    return _body(waiter)


def ask_many(pump: Pump[T], bodies: Sequence[bytes], timeout: float | None) -> list[bytes]:
    """Say many questions without waiting for each answer; the bodies of the answers, in the order of the questions.

    Raises as `ask`, for the first question that failed; `timeout` is for all together.
    """
    deadline = pump.deadline(timeout)
    most = max(1, min(IN_FLIGHT, pump.line.limits.requests // 2))
    waiting: deque[tuple[int, Waiter]] = deque()
    answers: list[bytes] = []
    at = 0
    with pump.lock:
        try:
            while at < len(bodies) or waiting:
                while at < len(bodies) and len(waiting) < most and pump.line.session.queued < GATHER:
                    waiting.append(_open(pump, bodies[at]))
                    at += 1
                if pump.line.session.queued and not pump.say(deadline):
                    raise _late(pump, timeout)
                if at < len(bodies) and len(waiting) < most:
                    continue
                for _ in range((len(waiting) + 1) // 2):
                    if not pump.wait(waiting[0][1], deadline):
                        raise _late(pump, timeout)
                    answers.append(_body(waiting.popleft()[1]))
        except BaseException as error:
            for number, _ in waiting:
                _give_up(pump, number, error if number == waiting[-1][0] else None)
            raise
    return answers


def _open(pump: Pump[T], body: bytes, *, at_once: bool = False) -> tuple[int, Waiter]:
    """Put a question in order; its number and who waits. ``at_once``: where it can, it goes out here."""
    line = pump.line
    line.check()
    inbound, session = line.inbound, line.session
    if not inbound.numbered and not session.queued:
        pump.read_now()
    if inbound.end is not None:
        raise inbound.end.with_traceback(None)
    waiter = Waiter()
    number = inbound.asks.open(waiter)
    try:
        if not inbound.numbered:
            session.send_data(body)
        elif at_once and not session.queued:
            line.put(cast("PlugSession", session).encode_numbered(number, body))
        else:
            cast("PlugSession", session).send_request(number, body)
    except BaseException:
        inbound.asks.forget(number)
        raise
    return number, waiter


def _give_up(pump: Pump[T], number: int, error: BaseException | None) -> None:
    """Nobody waits for this answer any more, for this reason.

    Its place is kept for a late answer; but not where it was never asked, nor on datagrams, where none may come.
    """
    asks = pump.line.inbound.asks
    if isinstance(error, EncodeError) or pump.line.stream.datagrams:
        asks.forget(number)
    else:
        asks.give_up(number)


def _late(pump: Pump[T], timeout: float | None) -> Timeout:
    waiting = pump.line.inbound.incoming.size
    full = waiting >= pump.line.limits.queue
    return Timeout(
        f"an answer (behind {waiting:,} bytes of messages that nobody receives)" if full else "an answer", timeout or 0
    )


def _body(waiter: Waiter) -> bytes:
    outcome = waiter.outcome
    if isinstance(outcome, AnyplugError):
        raise outcome.with_traceback(None)
    return cast("bytes", outcome)
