"""Connecting from a thread or a script."""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING

from anyplug.transport.connecting import connecting, lookup_error, plan
from anyplug.transport.options import DEFAULT_OPTIONS
from anyplug.transport.resolve import known, look_up_blocking, system_lookup

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from anyplug.address import Address
    from anyplug.transport.connecting import Wait
    from anyplug.transport.options import SocketOptions
    from anyplug.transport.resolve import Lookup

__all__ = ["dial_blocking"]

_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""poll needs no descriptor of its own and takes descriptors above 1023."""


def dial_blocking(
    address: Address,
    *,
    timeout: float = 10.0,
    options: SocketOptions = DEFAULT_OPTIONS,
    local: tuple[str, int] | None = None,
    lookup: Lookup = system_lookup,
) -> socket.socket:
    """A socket connected to an address, in blocking mode without a timeout; arguments and errors as of
    `anyplug.transport.dial`.
    """
    deadline = time.monotonic() + timeout
    tried = plan(address, known)
    ends = tried.ends
    if ends is None:
        try:
            ends = look_up_blocking(lookup, tried.host, tried.port, tried.family, tried.type, seconds=timeout)
        except OSError as error:
            raise lookup_error(address, error) from error
    steps = connecting(
        address, ends, deadline=deadline, timeout=timeout, options=options, local=local, clock=time.monotonic
    )
    try:
        wait = next(steps)
        while True:
            wait = steps.send(_writable(wait))
    except StopIteration as end:
        sock: socket.socket = end.value
        sock.setblocking(True)
        return sock
    finally:
        steps.close()


def _writable(wait: Wait) -> Sequence[socket.socket]:
    """Those of the sockets that are writable, or none when the time is over."""
    if not wait.sockets:
        time.sleep(wait.seconds)
        return ()
    with _Selector() as selector:
        for sock in wait.sockets:
            selector.register(sock, selectors.EVENT_WRITE)
        return [key.fileobj for key, _ in selector.select(wait.seconds)]  # type: ignore[misc]
