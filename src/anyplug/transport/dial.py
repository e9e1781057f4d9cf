"""Connecting from an event loop."""

from __future__ import annotations

import asyncio
from errno import ETIMEDOUT
from typing import TYPE_CHECKING

from anyplug.transport.connecting import connecting, lookup_error, plan
from anyplug.transport.options import DEFAULT_OPTIONS
from anyplug.transport.resolve import Candidate, known, look_up, system_lookup

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from anyplug.address import Address
    from anyplug.transport.connecting import Plan, Wait
    from anyplug.transport.options import SocketOptions
    from anyplug.transport.resolve import Lookup

__all__ = ["dial"]


async def dial(
    address: Address,
    *,
    timeout: float = 10.0,
    options: SocketOptions = DEFAULT_OPTIONS,
    local: tuple[str, int] | None = None,
    lookup: Lookup = system_lookup,
) -> socket.socket:
    """A socket connected to an address, non-blocking, with its options set.

    Names and ``localhost`` are tried in both families (RFC 8305). Datagram sockets are connected too: they hear from
    that end alone. Works on any loop with ``add_writer``. Cancelling it closes what was opened.

    Args:
        address: where to.
        timeout: seconds for the lookup and all attempts together.
        options: what to set on the socket.
        local: ``(host, port)`` of this side, or None for any.
        lookup: how names become addresses.

    Raises:
        AddressError: no client can connect there: every interface, port 0, an inherited socket.
        ConnectError: it failed; says in which step, why, and what to try.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    tried = plan(address, known)
    ends = tried.ends
    if ends is None:
        try:
            ends = await _look_up(loop, lookup, tried, seconds=timeout)
        except OSError as error:
            raise lookup_error(address, error) from error
    steps = connecting(address, ends, deadline=deadline, timeout=timeout, options=options, local=local, clock=loop.time)
    try:
        wait = next(steps)
        while True:
            wait = steps.send(await _writable(loop, wait))
    except StopIteration as end:
        sock: socket.socket = end.value
        return sock
    finally:
        steps.close()


async def _look_up(loop: asyncio.AbstractEventLoop, lookup: Lookup, tried: Plan, *, seconds: float) -> list[Candidate]:
    """The ends of a name; raises `OSError`."""
    outcome: asyncio.Future[list[Candidate] | OSError] = loop.create_future()

    def settle(result: list[Candidate] | OSError) -> None:
        if not outcome.done():
            outcome.set_result(result)

    def done(result: list[Candidate] | OSError) -> None:
        try:
            loop.call_soon_threadsafe(settle, result)
        except RuntimeError:  # the loop was closed meanwhile: nobody waits any more
            return

    timer = loop.call_later(seconds, settle, TimeoutError(ETIMEDOUT, "the lookup took too long"))
    look_up(lookup, tried.host, tried.port, tried.family, tried.type, done=done)
    try:
        result = await outcome
    finally:
        timer.cancel()
    if isinstance(result, OSError):
        raise result
    return result


async def _writable(loop: asyncio.AbstractEventLoop, wait: Wait) -> Sequence[socket.socket]:
    """Those of the sockets that are writable, or none when the time is over."""
    ready: dict[socket.socket, None] = {}
    woken: asyncio.Future[None] = loop.create_future()

    def wake(sock: socket.socket | None = None) -> None:
        if sock is not None:
            ready[sock] = None
        if not woken.done():
            woken.set_result(None)

    timer = loop.call_later(wait.seconds, wake)
    for sock in wait.sockets:
        loop.add_writer(sock, wake, sock)
    try:
        await woken
    finally:
        timer.cancel()
        for sock in wait.sockets:
            loop.remove_writer(sock)
    return list(ready)
