"""A worker's part: it serves, and does what its supervisor says, until that says stop or is gone."""

from __future__ import annotations

import asyncio
import logging
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

from anyplug.server.lifecycle import End, end_in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anyplug.server.server import Server
    from anyplug.server.workers_line import Line

__all__ = ["obey", "sign_log"]


async def obey(
    server: Server,
    line: Line,
    *,
    start: Callable[[], None],
    orders: Mapping[str, Callable[[Any], None]] | None = None,
    stopping: Callable[[], None] | None = None,
) -> End:
    """Go on until the supervisor says ``stop``, then drain, and end at once on ``force``; returns how that went.

    A supervisor that is gone, however it ended, has said ``stop``. SIGTERM stops this worker alone.

    Args:
        server: listening from `start` on.
        line: to the supervisor.
        start: called once; what it raises is raised here.
        orders: what else the supervisor may say, and what is to be done then. Nothing once it is to stop.
        stopping: called once when it is to stop.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    force = asyncio.Event()

    def hear() -> None:
        for word, data in line.hear():
            if word in {"stop", "force"}:
                (stop if word == "stop" else force).set()
            elif not stop.is_set():
                (orders or {})[word](data)
        if line.ended:
            loop.remove_reader(line.fileno())
            stop.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    start()
    loop.add_reader(line.fileno(), hear)
    line.tell("listening")
    await stop.wait()
    line.tell("stopping", server.connections)
    if stopping is not None:
        stopping()
    end = await end_in_order(server, force)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # it has done what that asks for
    line.tell("stopped", end.cut)
    return end


def sign_log(number: int) -> None:
    """Say from now on in every event of the log ``anyplug`` which worker it is of; they write one log."""
    logger = logging.getLogger("anyplug")
    for each in (logger, *logger.handlers):
        each.addFilter(partial(_sign, number))


def _sign(number: int, record: logging.LogRecord) -> bool:
    record.fields = {"worker": number, **getattr(record, "fields", {})}
    return True
