"""Posting, async: messages that the server acknowledges once it has them on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from anyplug.errors import LocalError
from anyplug.intake import expire, room

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Sequence

    from anyplug.intake import Intake
    from anyplug.wire import PlugSession

__all__ = ["chunks", "post"]

GATHER: Final = 64 * 1024
"""Bytes of posts that are said in one go, at most (one alone may be larger)."""

_WHAT: Final = "the acknowledgement of a post"

MANY: Final = 1000
"""Posts that are said in one go, at most: as many as a server commits together."""


async def post(intake: Intake[Any], bodies: Sequence[bytes], timeout: float) -> list[int]:
    """Say messages that are to be kept; return their positions once all of them are.

    Raises:
        PostRefused: one of them was not taken; nothing behind it was.
        Timeout: not all were acknowledged in time. Whether the others are kept is unknown.
        AnyplugError: the conversation ended. Whether they are kept is unknown.
    """
    link = intake.link
    waiting: list[tuple[int, asyncio.Future[list[int]]]] = []
    futures: list[asyncio.Future[list[int]]] = []
    _check(intake, max(map(len, bodies), default=0))
    over = link.loop.time() + timeout
    timer = link.loop.call_at(over, expire, futures, _WHAT, timeout)
    try:
        for chunk in chunks(bodies):
            if futures and futures[-1].done():
                futures[-1].result()  # a refusal or the end: what comes behind would fare no better
            waiting.append(_open(intake, chunk))
            futures.append(waiting[-1][1])
            link.flush_soon()
            if link.writing_paused:
                await room(link, over, _WHAT, timeout)
        return [position for future in futures for position in await future]
    finally:
        timer.cancel()
        for first, future in waiting:
            if not future.done():
                intake.posts.give_up(first)
            elif not future.cancelled():
                future.exception()


def _check(intake: Intake[Any], largest: int) -> None:
    """Raise what posting messages, the largest of so many bytes, would raise now."""
    session = intake.link.session
    if not session.sending or intake.end is not None:
        raise intake.why_closed()
    if intake.welcome is None or not intake.welcome.posts:
        raise LocalError("nothing is kept here: post to a service that keeps messages (an inbox), or use send")
    cast("PlugSession", session).check_message(largest)


def _open(intake: Intake[Any], bodies: Sequence[bytes]) -> tuple[int, asyncio.Future[list[int]]]:
    """Say posts; the sequence of the first, and the future of their positions."""
    future: asyncio.Future[list[int]] = intake.link.loop.create_future()
    first = intake.posts.open(len(bodies), future)
    cast("PlugSession", intake.link.session).send_posts(first, bodies)
    return first, future


def chunks(bodies: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut a sequence of messages into runs to be said in one go."""
    start = size = 0
    for at, body in enumerate(bodies):
        if at > start and (size + len(body) > GATHER or at - start >= MANY):
            yield bodies[start:at]
            start, size = at, 0
        size += len(body)
    if start < len(bodies):
        yield bodies[start:]
