"""The life of a server process: signals, the service manager, the event loop.

SIGTERM and SIGINT drain; a second one ends at once. SIGHUP reloads, where there is something to reload. The service
manager is told READY, RELOADING and STOPPING by the protocol of sd_notify(3), when it asked to be told.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING, NamedTuple

from anyplug.errors import LocalError
from anyplug.server.logs import log_to_stderr
from anyplug.server.notify import Notifier
from anyplug.transport.inherited import inherited_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from anyplug.address import Address
    from anyplug.server.server import Server

__all__ = ["End", "check_caller", "end_in_order", "live", "new_loop", "run"]


class End(NamedTuple):
    """How a server has ended."""

    forced: bool
    """A second signal came before it was done."""
    cut: int
    """Conversations that were cut."""


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop of uvloop, where there is one for this system, else of asyncio."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def check_caller() -> None:
    """Refuse to run where that cannot be.

    Raises:
        LocalError: an event loop runs here, or this is not the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        name = threading.current_thread().name
        problem = f"run heeds signals, which the main thread alone can, and this is the thread {name!r}"
    elif _runs_loop():
        problem = "run makes an event loop of its own, and one runs here already"
    else:
        return
    raise LocalError(f"{problem}; use `await server.start(...)`, and `await server.drain()` at the end")


def _runs_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def run(server: Server, addresses: Sequence[str | Address]) -> None:
    """Serve these addresses in a new event loop until a signal ends it."""

    async def main() -> None:
        server.adopt(inherited_sockets(os.environ, os.getpid()))
        await server.start(*addresses)
        server.disown()
        await live(server)

    log_to_stderr()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


async def live(
    server: Server,
    *,
    start: Callable[[], None] | None = None,
    reload: Callable[[], None] | None = None,
    stopping: Callable[[], None] | None = None,
) -> End:
    """Go on until a signal says stop, then drain; returns how that went.

    Args:
        server: listening already, or from `start` on.
        start: called once, when signals are heeded, before the service manager is told; what it raises is raised here.
        reload: called on SIGHUP; whatever it raises is its own to report.
        stopping: called once when the first signal has come.
    """
    loop = asyncio.get_running_loop()
    notifier = Notifier.from_environment()
    stop = asyncio.Event()
    force = asyncio.Event()

    def on_stop() -> None:
        (force if stop.is_set() else stop).set()

    def on_reload() -> None:
        if stop.is_set():
            return
        notifier.reloading()
        if reload is not None:
            reload()
        notifier.ready(_status(server))

    handlers: dict[signal.Signals, Callable[[], None]] = {signal.SIGTERM: on_stop, signal.SIGINT: on_stop}
    if reload is not None:
        handlers[signal.SIGHUP] = on_reload
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    watchdog = loop.create_task(notifier.feed_watchdog())
    try:
        if start is not None:
            start()
        notifier.ready(_status(server))
        await stop.wait()
        notifier.stopping()
        if stopping is not None:
            stopping()
        return await end_in_order(server, force)
    finally:
        watchdog.cancel()
        for number in handlers:
            loop.remove_signal_handler(number)


async def end_in_order(server: Server, force: asyncio.Event) -> End:
    """Drain, but end at once when `force` is set."""
    cut = await _first(server.drain(), force.wait())
    if force.is_set():
        cut = await server.drain(0)
    return End(forced=force.is_set(), cut=cut if isinstance(cut, int) else 0)


def _status(server: Server) -> str:
    return ", ".join(server.addresses)


async def _first(*works: Coroutine[object, object, object]) -> object:
    """Wait until one of them is done, and cancel the others; returns what it returned."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
