"""One conversation of a command: opened as the options say, run with all its exit statuses, and ended in order."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from anyplug.cli.faults import INTERRUPTED, PIPE_CLOSED, Fault, OutputError, explain
from anyplug.client import CONNECT_TIMEOUT, connect
from anyplug.errors import AnyplugError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from anyplug.cli.options import Settings
    from anyplug.cli.output import Output
    from anyplug.connection import Connection

__all__ = ["GOODBYE", "Interrupted", "goodbye", "linger", "opened", "run"]

GOODBYE = 0.25
"""How long a conversation that has served its purpose waits for the peer's end, seconds."""


class Interrupted(Exception):
    """Somebody typed Ctrl-C where the terminal gives it as a key."""


@asynccontextmanager
async def opened(settings: Settings, **options: str) -> AsyncIterator[Connection[Any]]:
    """The conversation that the settings mean; it is ended at the end of the block.

    Args:
        settings: where to, and how to speak there.
        options: of the address, beside its own.

    Raises:
        AnyplugError: as `anyplug.connect`.
    """
    address = settings.address
    if options:
        address = msgspec.structs.replace(address, options={**address.options, **options})
    peer: Connection[Any] = await connect(
        address,
        framing=settings.framing,
        codec=settings.codec_name,
        timeout=settings.timeout or CONNECT_TIMEOUT,
        token=settings.token,
    )
    try:
        yield peer
    finally:
        await goodbye(peer)


async def goodbye(peer: Connection[Any]) -> None:
    """End a conversation in order, but do not wait for a peer that stays."""
    try:
        async with asyncio.timeout(GOODBYE):
            await peer.close()
    except TimeoutError:
        peer.abort()
        await asyncio.sleep(0)  # the loop closes the socket in its next turn


async def linger(end: asyncio.Task[Any], busy: Callable[[], bool], seconds: float) -> None:
    """Wait until the task is done: as long as this side is busy, and then for a while.

    Args:
        end: waits for the peer's end.
        busy: whether there is still something that must go out.
        seconds: how long the end is waited for after that.
    """
    more = True
    while more and not end.done():
        more = busy()
        await asyncio.wait({end}, timeout=seconds)


def run(
    work: Callable[[], Coroutine[Any, Any, int]],
    output: Output,
    *,
    advise: Callable[[Fault], Fault] = lambda fault: fault,
) -> int:
    """Run the work of a command to its exit status.

    Args:
        work: does it; returns the status.
        output: where errors are told.
        advise: may put a better hint to an error.
    """
    try:
        return asyncio.run(_unless_reader_gone(work, output))
    except AnyplugError as error:
        fault = advise(explain(error))
    except BrokenPipeError:
        return PIPE_CLOSED
    except (KeyboardInterrupt, Interrupted):
        return INTERRUPTED
    with suppress(BrokenPipeError, OutputError):
        output.error(fault)
    return fault.status


async def _unless_reader_gone(work: Callable[[], Awaitable[int]], output: Output) -> int:
    """What the work returns; `BrokenPipeError` when whoever reads standard output goes away meanwhile."""
    task = asyncio.ensure_future(work())
    gone = False

    def stop() -> None:
        nonlocal gone
        gone = True
        task.cancel()

    with output.watch_reader(stop):
        try:
            return await task
        except asyncio.CancelledError:
            if gone:
                raise BrokenPipeError from None
            task.cancel()
            raise
