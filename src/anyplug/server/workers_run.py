"""A program's own services in several processes: `Server.run` with several workers.

The supervisor (`anyplug.server.workers`) forks the program as it is when it calls `run`: each worker has its services,
with all that their functions refer to. The server a worker has is the program's, made one of several.

Only the supervisor returns to the program, so that what comes after `run` happens once. A worker that has ended leaves
without what the program has put around the call (``finally``, ``with``, `atexit`): the temporary folder that is removed
there is that of all.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from anyplug.address import Address
from anyplug.errors import LocalError
from anyplug.server.admission import Admission
from anyplug.server.config import Config, ListenerConfig, ServerConfig
from anyplug.server.lifecycle import new_loop
from anyplug.server.listeners import Want
from anyplug.server.logs import log_to_stderr
from anyplug.server.notify import Notifier
from anyplug.server.worker import obey, sign_log
from anyplug.server.workers import Post, Supervisor
from anyplug.server.workers_config import check_services, share_of
from anyplug.server.workers_places import Places
from anyplug.server.workers_plan import Plan
from anyplug.transport.inherited import inherited_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from anyplug.server.context import Context
    from anyplug.server.listeners import Listeners
    from anyplug.server.logs import Log
    from anyplug.server.server import Server

__all__ = ["Foreman", "run_workers"]


def run_workers(
    server: Server, context: Context, listeners: Listeners, addresses: Sequence[str | Address], *, count: int
) -> None:
    """Serve these addresses in several processes until a signal ends them. Returns in the supervisor alone.

    Args:
        server: with its services; it listens nowhere.
        context: the server's.
        listeners: the server's.
        addresses: where.
        count: how many workers.

    Raises:
        AddressError, BindError: an address cannot be listened on.
        LocalError: workers cannot share this server, or cannot be forked here, or fail again and again.
    """
    check_services(server.services, store=server.store, count=count)
    config = _configured(context, listeners, addresses)
    for each in config.listeners:
        listeners.check(Want(each.address))
    _check_threads(count)
    log_to_stderr()
    inherited = inherited_sockets(os.environ, os.getpid())
    places = Places(config, inherited)
    share = share_of(config, places.rearrange(config).addresses, count=count)
    server.adopt(inherited)
    server.disown()
    with suppress(ImportError):
        import uvloop  # noqa: F401 - once for all workers, which have no loop in common
    foreman = Foreman(context.log, status=lambda: ", ".join(places.addresses))
    notifier = Notifier.from_environment()
    result = Supervisor(Plan(count), foreman, notifier, drain=context.limits.drain, fork=_fork).run()
    if isinstance(result, Post):

        def start() -> None:
            places.leave()
            server.adopt([("", sock) for sock in places.sockets])
            _become_one(context, listeners, share)
            for each in share.listeners:
                server.listen(each.address)

        _work(server, context.log, result, start)
    places.close()
    if result.problem:
        raise LocalError(f"{result.problem}; the log says why")


def _check_threads(count: int) -> None:
    others = [each.name for each in threading.enumerate() if each is not threading.current_thread()]
    if others:
        problem = f"{count} workers are forked, and would not have the threads that run here: {', '.join(others)}"
        raise LocalError(f"{problem}; end them before, start them in handlers, or use 1 worker")


def _configured(context: Context, listeners: Listeners, addresses: Sequence[str | Address]) -> Config:
    """What the whole server is configured as."""
    parsed = [each if isinstance(each, Address) else Address.parse(each) for each in addresses]
    return Config(
        server=ServerConfig(insecure=listeners.insecure),
        limits=context.limits,
        socket=listeners.options,
        services={},
        listeners=tuple(ListenerConfig(address=each) for each in parsed),
        token=context.token,
    )


def _become_one(context: Context, listeners: Listeners, share: Config) -> None:
    """Make the server one of several, which has begun now."""
    context.admission = Admission(share.limits.connections, share.limits.connections_per_address)
    context.incarnation = context.facilities.incarnation = secrets.token_hex(8)
    listeners.options = share.socket


def _work(server: Server, log: Log, post: Post, start: Callable[[], None]) -> NoReturn:
    """Serve from `start` on, and leave."""
    status = 1
    try:
        sign_log(post.number)
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(obey(server, post.line, start=start))
        status = 0
    except BaseException as error:  # noqa: BLE001 - nothing goes further than here
        log.failure("worker_failed", error)
    finally:
        _flush()
        os._exit(status)


def _fork() -> int:
    """As `os.fork`; what is printed but not written yet is not in both."""
    _flush()
    return os.fork()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # none, broken, closed
            stream.flush()


class Foreman:
    """Says in the log what happens: `anyplug.server.workers.Foreman`."""

    def __init__(self, log: Log, *, status: Callable[[], str]) -> None:
        self._log = log
        self.status = status

    def ready(self, pids: list[int]) -> None:
        """All listen."""
        self._log.info("workers_ready", pids=" ".join(map(str, pids)))

    def replaced(self, number: int, pid: int) -> None:
        """A new worker listens."""
        self._log.info("worker_replaced", worker=number, pid=pid)

    def heard(self, number: int, word: str, data: Any) -> None:
        """How it ends; its own events say that."""

    def lost(self, number: int, pid: int, how: str, again: float | None) -> None:
        """A worker has ended."""
        if again is not None:
            self._log.warning("worker_lost", worker=number, pid=pid, how=how, again=f"{again:g} s")
        elif how != "ended with status 0":
            self._log.warning("worker_lost", worker=number, pid=pid, how=how)

    def overdue(self, number: int, pid: int) -> None:
        """A worker is killed."""
        problem = "it did not do in time what it was told, and is killed"
        self._log.warning("worker_overdue", worker=number, pid=pid, problem=problem)

    def reload(self) -> None:
        """There is nothing to read again."""

    def stopping(self, numbers: list[int], problem: str) -> None:
        """Each says so itself."""
