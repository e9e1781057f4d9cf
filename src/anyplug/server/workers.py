"""Several processes serve one set of addresses: the supervisor starts them, replaces them, and ends with them.

Workers are forked before any event loop or thread exists: each has everything that was read and checked before,
whatever has happened to the files since, starts in milliseconds, and shares the memory of the imported code. It then
makes a loop of its own. `Supervisor.run` therefore returns in several processes: a `Post` in each worker, the `Finish`
in the supervisor.

Orders go over a line (`anyplug.server.workers_line`), not by signals: a service manager or a terminal signals the whole
group, and a worker must not take one of those for the second that forces. The supervisor waits for signals, words and
deaths in one `poll`, and never for a worker.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from anyplug.server.workers_line import Line
from anyplug.server.workers_plan import TRIES
from anyplug.server.workers_signals import Signals

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from anyplug.server.notify import Notifier
    from anyplug.server.workers_plan import Plan

__all__ = ["Finish", "Foreman", "Post", "Supervisor"]


class Post(NamedTuple):
    """What `Supervisor.run` returns in a worker."""

    number: int
    """From 1 on; its replacement has the same."""
    line: Line
    """To the supervisor. It waits for ``listening``, and says ``stop`` and ``force``; the rest is the foreman's."""


class Finish(NamedTuple):
    """What `Supervisor.run` returns in the supervisor."""

    forced: bool = False
    """A second signal came before all had ended."""
    problem: str = ""
    """Why the server gave up; empty where it was told to stop."""


class Foreman(Protocol):
    """Hears from a supervisor what happens, and tells it on."""

    def ready(self, pids: list[int]) -> None:
        """All listen for the first time."""

    def replaced(self, number: int, pid: int) -> None:
        """A worker listens in the place of another."""

    def heard(self, number: int, word: str, data: Any) -> None:
        """A worker says something of its own."""

    def lost(self, number: int, pid: int, how: str, again: float | None) -> None:
        """A worker has ended; another takes its place in so many seconds, or none does."""

    def overdue(self, number: int, pid: int) -> None:
        """A worker is killed: it did not listen, or did not do what it was told, in time."""

    def reload(self) -> None:
        """The configuration is to be read again."""

    def stopping(self, numbers: list[int], problem: str) -> None:
        """These workers are told to stop, for good; why, where nobody has said so."""

    def status(self) -> str:
        """What is served, for the service manager."""


class _Worker(NamedTuple):
    """One process."""

    pid: int
    line: Line


class Supervisor:
    """Keeps the workers of a plan. For the main thread of a process that has started no other thread and no event loop.

    Args:
        plan: when workers start and end.
        foreman: hears what happens.
        notifier: of the service manager, which hears it too.
        drain: seconds that conversations may go on after the server was told to stop.
        reloads: heed SIGHUP.
        fork: as `os.fork`.
    """

    def __init__(
        self,
        plan: Plan,
        foreman: Foreman,
        notifier: Notifier,
        *,
        drain: float,
        reloads: bool = False,
        fork: Callable[[], int] = os.fork,
    ) -> None:
        self._plan = plan
        self._foreman = foreman
        self._notifier = notifier
        self._drain = drain
        self._signals = Signals(reloads=reloads)
        self._fork = fork
        self._workers: dict[int, _Worker] = {}
        self._poll = selectors.PollSelector()  # with nothing in the kernel that a fork would share
        self._reload_wanted = False
        self._finish = Finish()

    # For the foreman.

    def tell(
        self, word: str, data: object = None, *, sockets: list[socket.socket] | None = None, within: float | None = None
    ) -> list[int]:
        """Say something to every worker there is. Returns the numbers of those who were told.

        Args:
            word: what it is about.
            data: what belongs to it.
            sockets: go along.
            within: seconds until it is to be `answered`; a worker that takes longer is killed.
        """
        told = [number for number in self._plan.alive if self.tell_one(number, word, data, sockets=sockets)]
        if within is not None:
            for number in told:
                self._plan.expect(number, time.monotonic(), within)
        return told

    def answered(self, number: int) -> None:
        """A worker has done what it was told."""
        self._plan.answered(number)

    def tell_one(
        self, number: int, word: str, data: object = None, *, sockets: list[socket.socket] | None = None
    ) -> bool:
        """Say something to one worker. Returns whether it was told; if not, it is killed, for it does not listen."""
        worker = self._workers.get(number)
        if worker is None:
            return False
        told = worker.line.tell(word, data, sockets=sockets)
        if not told:
            os.kill(worker.pid, signal.SIGKILL)
        return told

    def replace(self, number: int) -> None:
        """Let a worker end in order, so that another takes its place."""
        if self.tell_one(number, "stop"):
            self._plan.expect(number, time.monotonic(), self._drain)

    def reloaded(self) -> None:
        """Reading the configuration again is done, however it went."""
        if not self._plan.stopping:
            self._notifier.ready(self._foreman.status())

    # The loop.

    def run(self) -> Post | Finish:
        """Start the workers and go on until all have ended; or be one of them."""
        self._signals.heed()
        self._poll.register(self._signals, selectors.EVENT_READ)
        beat = time.monotonic()
        while not self._plan.over:
            for number in self._plan.due(time.monotonic()):
                post = self._start(number)
                if post is not None:
                    return post
            for number in self._plan.late(time.monotonic()):
                self._overdue(number)
            if self._notifier.interval and time.monotonic() >= beat:
                self._notifier.alive()
                beat = time.monotonic() + self._notifier.interval
            if not self._plan.over:
                self._turn(beat)
        self._poll.close()
        self._signals.disregard()
        return self._finish

    def _turn(self, beat: float) -> None:
        """Wait until something happens, and see to it."""
        wait = self._plan.wait(time.monotonic())
        if self._notifier.interval:
            left = max(0.0, beat - time.monotonic())
            wait = left if wait is None else min(wait, left)
        ready = [key.data for key, _ in self._poll.select(wait)]
        if None in ready:
            for number in self._signals.received():
                self._on_signal(number)
        for number in ready:
            if number is not None:
                self._hear(number)
        self._reap()

    def _start(self, number: int) -> Post | None:
        """Fork a worker. Returns what it is, in the worker alone."""
        ours, theirs = Line.pair()
        with self._signals.held():
            try:
                pid = self._fork()
            except OSError as error:
                self._plan.began(number, time.monotonic())
                ours.close()
                theirs.close()
                self._lose(number, 0, f"could not be started: {(error.strerror or str(error)).lower()}")
                return None
            if not pid:
                self._become_worker()
                ours.close()
                return Post(number, theirs)
        theirs.close()
        self._plan.began(number, time.monotonic())
        self._workers[number] = _Worker(pid, ours)
        self._poll.register(ours, selectors.EVENT_READ, number)
        return None

    def _become_worker(self) -> None:
        """Let go of what is the supervisor's: a line that a worker held open would never end."""
        self._signals.leave()
        self._poll.close()
        for worker in self._workers.values():
            worker.line.close()
        self._workers.clear()

    # What happens.

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            return
        if number == signal.SIGHUP:
            self._reload_wanted = True
            self._reload()
        elif not self._plan.stopping:
            self._stop()
        elif not self._finish.forced:
            self._finish = self._finish._replace(forced=True)
            self._plan.stop(time.monotonic(), 0)
            self.tell("force")

    def _reload(self) -> None:
        """Read the configuration again where that is wanted, as soon as all have started."""
        if self._reload_wanted and self._plan.complete and not self._plan.stopping:
            self._reload_wanted = False
            self._notifier.reloading()
            self._foreman.reload()

    def _stop(self) -> None:
        """Let all end: in order, or without delay where nobody has been served yet."""
        self._plan.stop(time.monotonic(), self._drain if self._plan.complete else 0)
        self._notifier.stopping()
        self._foreman.stopping(self.tell("stop"), self._finish.problem)

    def _hear(self, number: int) -> None:
        pid, line = self._workers[number]
        for word, data in line.hear():
            if word == "listening":
                self._listens(number, pid)
            else:
                self._foreman.heard(number, word, data)
        if line.ended:
            self._hear_no_more(line)

    def _listens(self, number: int, pid: int) -> None:
        known = self._plan.complete
        if self._plan.listens(number):
            self._foreman.ready([self._workers[each].pid for each in sorted(self._workers)])
            self._notifier.ready(self._foreman.status())
            self._reload()
        elif known and not self._plan.stopping:
            self._foreman.replaced(number, pid)

    def _reap(self) -> None:
        for number, worker in tuple(self._workers.items()):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                self._hear(number)
                del self._workers[number]
                self._hear_no_more(worker.line)
                worker.line.close()
                self._lose(number, pid, _how(os.waitstatus_to_exitcode(status)))

    def _hear_no_more(self, line: Line) -> None:
        with suppress(KeyError):  # it had ended before
            self._poll.unregister(line)

    def _lose(self, number: int, pid: int, how: str) -> None:
        complete = self._plan.complete
        loss = self._plan.ended(number, time.monotonic())
        self._foreman.lost(number, pid, how, loss.again)
        if loss.final:
            often = f", the last of {TRIES} times in a row soon after its start"
            why = f"worker {number} {how}{often if complete else ' before it served anybody'}"
            self._finish = Finish(problem=why)
            self._stop()

    def _overdue(self, number: int) -> None:
        pid = self._workers[number].pid
        self._foreman.overdue(number, pid)
        os.kill(pid, signal.SIGKILL)


def _how(status: int) -> str:
    """How a process has ended, by its exit status; a signal's is negative."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
