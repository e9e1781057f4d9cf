"""Posting, for threads: messages that the server acknowledges once it has them on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from anyplug.blocking.waiter import Waiter
from anyplug.errors import AnyplugError, LocalError, Timeout
from anyplug.posting import chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.blocking.pump import Pump
    from anyplug.wire import PlugSession

__all__ = ["post"]


def post(pump: Pump[Any], bodies: Sequence[bytes], timeout: float | None, *, posts: bool) -> list[int]:
    """Say messages that are to be kept; return their positions once all of them are.

    Raises as `anyplug.posting.post`. ``posts`` is whether the server takes any.
    """
    if not posts:
        raise LocalError("nothing is kept here: post to a service that keeps messages (an inbox), or use send")
    deadline = pump.deadline(timeout)
    waiting: list[tuple[int, Waiter]] = []
    positions: list[int] = []
    with pump.lock:
        pump.line.check()
        cast("PlugSession", pump.line.session).check_message(max(map(len, bodies), default=0))
        try:
            for chunk in chunks(bodies):
                if waiting and waiting[-1][1].done:
                    _positions(waiting[-1][1])  # a refusal or the end: what comes behind would fare no better
                waiting.append(_open(pump, chunk))
                if not pump.say(deadline):
                    raise _late(timeout)
            for _, waiter in waiting:
                if not pump.wait(waiter, deadline):
                    raise _late(timeout)
                positions += _positions(waiter)
        except BaseException:
            for first, waiter in waiting:
                if not waiter.done:
                    pump.line.inbound.posts.give_up(first)
            raise
    return positions


def _open(pump: Pump[Any], bodies: Sequence[bytes]) -> tuple[int, Waiter]:
    waiter = Waiter()
    first = pump.line.inbound.posts.open(len(bodies), waiter)
    cast("PlugSession", pump.line.session).send_posts(first, bodies)
    return first, waiter


def _late(timeout: float | None) -> Timeout:
    return Timeout("the acknowledgement of a post", timeout or 0)


def _positions(waiter: Waiter) -> list[int]:
    outcome = waiter.outcome
    if isinstance(outcome, AnyplugError):
        raise outcome.with_traceback(None)
    return cast("list[int]", outcome)
