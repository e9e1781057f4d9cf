"""``anyplug serve`` with several workers: the supervisor tells people and programs what one process would."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypedDict

import msgspec

from anyplug.address import Address
from anyplug.cli.faults import INTERRUPTED, OK, Fault, explain
from anyplug.cli.serve_talk import Standing
from anyplug.errors import AnyplugError
from anyplug.server.config_reader import ConfigText, read_text
from anyplug.server.lifecycle import End, new_loop
from anyplug.server.logs import Log
from anyplug.server.notify import Notifier
from anyplug.server.reload import Outcome, Reloader, apply, build
from anyplug.server.worker import obey, sign_log
from anyplug.server.workers import Post, Supervisor
from anyplug.server.workers_config import check_workers, share_of
from anyplug.server.workers_places import Places
from anyplug.server.workers_plan import Plan
from anyplug.transport.inherited import inherited_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyplug.cli.output import Output
    from anyplug.cli.serve_talk import Talk
    from anyplug.netinfo.announce import Announcer
    from anyplug.server.config import Config
    from anyplug.server.listeners import Changes
    from anyplug.server.server import Server
    from anyplug.server.workers_line import Line

__all__ = ["Foreman", "serve_workers"]

RELOAD_TIME: Final = 10.0
"""Seconds that a worker may take to do as the configuration says that was read again; then it is killed."""

_ANNOUNCES: Final = 1
"""The worker that announces the server."""


def serve_workers(
    config: Config,
    talk: Talk,
    announcer: Announcer | None,
    output: Output,
    *,
    path: str,
    read: Callable[[ConfigText], Config],
) -> int:
    """Serve in as many processes as the configuration says.

    Args:
        config: checked, also for several workers.
        talk: tells people and programs.
        announcer: announces the server, where that is wanted.
        output: where errors are told.
        path: of the configuration file, or an empty string.
        read: makes a configuration of its text, with what the command line says.

    Returns:
        The exit status, in each of the processes.

    Raises:
        AddressError, BindError: an address cannot be listened on.
    """
    with suppress(ImportError):
        import uvloop  # noqa: F401 - once for all workers, which have no loop in common
    foreman = Foreman(config, talk, path=path, read=read, announces=announcer is not None)
    result = foreman.supervisor.run()
    if isinstance(result, Post):
        worker = _Worker(foreman, result.line, talk, announcer if result.number == _ANNOUNCES else None)
        return worker.run(result.number)
    foreman.places.close()
    if result.problem:
        fault = foreman.fault or Fault("failed", f"{result.problem}; what it said is above")
        output.error(fault)
        return fault.status
    talk.stopped(End(result.forced, foreman.cut))
    return INTERRUPTED if result.forced else OK


class _Order(TypedDict):
    """What a worker is told when the configuration was read again."""

    text: str
    addresses: list[str]
    """Where each listener listens, with the ports as bound."""


class Foreman:
    """Holds what the workers share, and tells what happens to them: `anyplug.server.workers.Foreman`."""

    def __init__(
        self, config: Config, talk: Talk, *, path: str, read: Callable[[ConfigText], Config], announces: bool
    ) -> None:
        self.count = config.workers
        self.path = path
        self.places = Places(config, inherited_sockets(os.environ, os.getpid()))
        self.fault: Fault | None = None
        """Why a worker could not start."""
        self._start = config
        self._config = config
        self._share = config
        self._talk = talk
        self._read = read
        self._announces = announces
        self._log = Log()
        self._text = ConfigText(path, "")
        self._is_ready = False
        self._stopping: set[int] | None = None
        """Workers that were told to stop and have not said how many conversations they have."""
        self._conversations: dict[int, int] = {}
        """Those of each worker that has begun to stop."""
        self._cut: dict[int, int] = {}
        """How many of them were cut."""
        self._reloading: Counter[int] = Counter()
        self._outcomes: list[Outcome] = []
        self._reloader = Reloader(self._make, path, config, read=self._read_again, log=self._log, told=self._reloaded)
        self.supervisor = Supervisor(
            Plan(self.count), self, Notifier.from_environment(), drain=config.limits.drain, reloads=bool(path)
        )
        self._share = self.share(config, self.places.rearrange(config).addresses)
        for name in self.places.left_over():
            problem = "the service manager passed a socket that no listener is configured for"
            self._log.warning("socket_unused", address=name, problem=problem)

    @property
    def cut(self) -> int:
        """Conversations that were cut at the end."""
        return sum(self._cut.values())

    # What a worker is forked with.

    @property
    def config(self) -> Config:
        """What one worker is configured as."""
        return self._share

    def share(self, config: Config, addresses: Sequence[Address]) -> Config:
        """What one worker is configured as, of a configuration of all; with the limits of the start, now and later."""
        begun = msgspec.structs.replace(config, limits=self._start.limits, socket=self._start.socket)
        return share_of(begun, addresses, count=self.count)

    def read(self, text: ConfigText) -> Config:
        """A configuration that these workers can share.

        Raises:
            ConfigError: a mistake in it.
        """
        config = self._read(text)
        check_workers(config, text, count=self.count)
        return config

    # What the supervisor says.

    def ready(self, pids: list[int]) -> None:
        """All listen."""
        services = sorted((each.make(name) for name, each in self._config.services.items()), key=lambda each: each.name)
        kinds = {name: service.kind for name, service in self._config.services.items()}
        standing = Standing(self.places.addresses, services, "", pids)
        self._talk.ready(standing, kinds, token=bool(self._config.token))
        self._is_ready = True
        self._announce()

    def replaced(self, number: int, pid: int) -> None:
        """A new worker listens."""
        self.fault = None
        self._log.info("worker_replaced", worker=number, pid=pid)
        self._talk.worker_replaced(number, pid)
        if number == _ANNOUNCES:
            self._announce()

    def heard(self, number: int, word: str, data: Any) -> None:
        """A worker says something of its own."""
        if word == "failed":
            self.fault = Fault(*data)
            if self._is_ready:
                self._log.warning("worker_failed", worker=number, problem=self.fault.message)
        elif word == "stopping":
            self._conversations[number] = data
            self._stops(number)
        elif word == "stopped":
            self._cut[number] = data
        else:
            self._answers_reload(number, data)

    def lost(self, number: int, pid: int, how: str, again: float | None) -> None:
        """A worker has ended."""
        if again is not None:
            self._conversations.pop(number, None)
            self._cut.pop(number, None)
            self._log.warning("worker_lost", worker=number, pid=pid, how=how, again=f"{again:g} s")
            self._talk.worker_lost(number, pid, how, again)
        elif self._stopping is not None and how != "ended with status 0":
            self._log.warning("worker_lost", worker=number, pid=pid, how=how)
        self._reloading.pop(number, None)
        self._tell_outcomes()
        self._stops(number)

    def overdue(self, number: int, pid: int) -> None:
        """A worker is killed."""
        problem = "it did not do in time what it was told, and is killed"
        self._log.warning("worker_overdue", worker=number, pid=pid, problem=problem)

    def reload(self) -> None:
        """SIGHUP."""
        self._reloader()

    def stopping(self, numbers: list[int], problem: str) -> None:
        """SIGTERM, or a problem, which is told at the end."""
        if not problem:
            self._stopping = set(numbers) | {0}
            for each in (0, *self._conversations):
                self._stops(each)

    def status(self) -> str:
        """What is served."""
        return ", ".join(self.places.addresses)

    # Behind it.

    def _announce(self) -> None:
        if self._announces:
            self.supervisor.tell_one(_ANNOUNCES, "announce")

    def _stops(self, number: int) -> None:
        """A worker has said how many conversations it has, or has ended."""
        if self._stopping and number in self._stopping:
            self._stopping.discard(number)
            if not self._stopping:
                self._talk.stopping(sum(self._conversations.values()), self._config.limits.drain)

    def _read_again(self) -> Config:
        self._text = ConfigText(self.path, read_text(self.path))
        return self.read(self._text)

    def _make(self, config: Config) -> Changes:
        """Make the workers be as a configuration says."""
        rearranged = self.places.rearrange(config)
        self._config = config
        self._share = self.share(config, rearranged.addresses)
        order: _Order = {"text": self._text.text, "addresses": [str(each) for each in rearranged.addresses]}
        self._reloading.update(self.supervisor.tell("reload", order, sockets=rearranged.sockets, within=RELOAD_TIME))
        for held in rearranged.gone:
            held.close()
        return rearranged.changes

    def _reloaded(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._tell_outcomes()

    def _answers_reload(self, number: int, problem: str) -> None:
        """A worker has changed, or says why it could not; one that begins now can."""
        self._reloading -= Counter([number])
        self.supervisor.answered(number)
        if problem:
            self._log.warning("worker_reload_failed", worker=number, problem=problem, remedy="it is replaced")
            self.supervisor.replace(number)
        self._tell_outcomes()

    def _tell_outcomes(self) -> None:
        """Tell how reloading went, once every worker has done it."""
        if self._outcomes and not self._reloading:
            for outcome in self._outcomes:
                self._talk.reloaded(outcome, self.path)
            self._outcomes.clear()
            self.supervisor.reloaded()


class _Worker:
    """What one worker does."""

    def __init__(self, foreman: Foreman, line: Line, talk: Talk, announcer: Announcer | None) -> None:
        self._foreman = foreman
        self._line = line
        self._talk = talk
        self._announcer = announcer
        self._announces = False
        self._farewell: list[asyncio.Task[None]] = []
        self._order: _Order = {"text": "", "addresses": []}

    def run(self, number: int) -> int:
        """Serve; the exit status."""
        sign_log(number)
        self._foreman.places.leave()
        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(self._serve())
        except AnyplugError as error:
            fault = explain(error)
            self._line.tell("failed", fault)
            return fault.status
        return OK

    async def _serve(self) -> None:
        config = self._foreman.config
        server = build(config)
        server.facilities.show = self._talk.show
        server.adopt([("", sock) for sock in self._foreman.places.sockets])
        quiet = logging.getLogger("anyplug.reload")
        quiet.setLevel(logging.ERROR)  # the supervisor tells what is to be told; failures of our own are told here
        reloader = Reloader(
            partial(apply, server), self._foreman.path, config, read=self._read, log=Log(quiet), told=self._reloaded
        )

        def reload(order: _Order) -> None:
            server.adopt([("", sock) for sock in self._line.passed])
            self._line.passed.clear()
            self._order = order
            reloader()
            self._announce(server)

        def start() -> None:
            apply(server, config)

        orders = {"announce": lambda _: self._announce(server, first=True), "reload": reload}
        await obey(server, self._line, start=start, orders=orders, stopping=self._stopping)
        await asyncio.gather(*self._farewell)

    def _read(self) -> Config:
        """What the supervisor has read and found good."""
        foreman = self._foreman
        config = foreman.read(ConfigText(foreman.path, self._order["text"]))
        return foreman.share(config, [Address.parse(each) for each in self._order["addresses"]])

    def _reloaded(self, outcome: Outcome) -> None:
        self._line.tell("reloaded", "" if outcome.error is None else str(outcome.error))

    def _announce(self, server: Server, *, first: bool = False) -> None:
        """Announce the server where that is ours to do: when all listen, and then again when it has changed."""
        self._announces = self._announces or first
        if self._announcer is not None and self._announces:
            self._announcer.announce(server)

    def _stopping(self) -> None:
        if self._announcer is not None:
            self._farewell.append(asyncio.ensure_future(self._announcer.close()))
