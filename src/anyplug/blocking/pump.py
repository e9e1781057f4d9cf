"""The pump behind a blocking connection: the threads that wait on its line.

There is no thread of its own. Whoever has to wait becomes the *leader*, if there is none: it waits for the socket
outside of the lock, reads and writes for everybody, and hands out what came. All others follow, each with a bell of
its own. When the leader has what it wanted, it rings the bell of a follower, which leads on.

The lock is held for moments only, never while something waits: the socket does not block.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from itertools import repeat
from threading import Lock
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from anyplug.blocking.eager import Company
from anyplug.blocking.waiter import Waiter, take
from anyplug.errors import AnyplugError, Broken, Code, ConnectionClosed, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyplug.blocking.line import Line

__all__ = ["LINGER", "TICK", "Pump"]

T = TypeVar("T")

TICK: Final = 1.0
"""Seconds between two looks at heartbeats and deadlines while a thread waits."""

SLICE: Final = 0.05
"""Seconds that a writer waits for the socket beside a leader who does not look for room to write."""

LINGER: Final = 1.0
"""Seconds that closing waits for what was said to go out, and for the peer's end."""


class Pump(Generic[T]):
    """Moves one line. Methods marked (locked) want `lock` held, and hold it again when they return.

    Args:
        line: the conversation.
        now: the time in seconds, monotonic.
        tick: seconds between two looks at heartbeats and deadlines.
    """

    __slots__ = (
        "__weakref__",
        "_beat_sent",
        "_company",
        "_error",
        "_followers",
        "_leading",
        "_now",
        "_tick",
        "_to_close",
        "_users",
        "_writes",
        "gone",
        "line",
        "lock",
        "ready",
    )

    def __init__(self, line: Line[T], *, now: Callable[[], float] = time.monotonic, tick: float = TICK) -> None:
        self.line = line
        self.lock = Lock()
        """Guards the line and everything here, but for taking from `ready`."""
        self.ready: deque[T] = deque()
        """Decoded messages. Threads take from its left without the lock; `refill` fills it."""
        self.gone = False
        """Whether this side has closed."""
        self._error: AnyplugError | None = None
        self._now = now
        self._tick = tick
        self._followers: deque[Waiter] = deque()
        self._leading = False
        self._company = Company()
        self._writes = False
        self._users = 0
        self._to_close: bool | None = None
        self._beat_sent = -1

    def deadline(self, timeout: float | None) -> float | None:
        """The time at which `timeout` seconds from now have passed."""
        return None if timeout is None else self._now() + timeout

    def state(self) -> str:
        """How the conversation stands, in a word or two."""
        line = self.line
        if self.gone:
            return "closed"
        if isinstance(line.inbound.end, ConnectionClosed):
            return "ended by the peer"
        return "broken" if line.broken is not None else "open"

    # Taking what has come.

    def refill(self, timeout: float | None) -> None:
        """Have at least one message in `ready`, unless another thread is quicker.

        Raises:
            Timeout: nothing came in time.
            AnyplugError: what stands in the place of the next message, or the end.
        """
        deadline = self.deadline(timeout)
        with self.lock:
            try:
                while not self.ready and not self._decode():
                    self._await_arrival(deadline, timeout)
            finally:
                self._hand_out()

    def take_many(self, timeout: float | None) -> list[T]:
        """All that has come, at least one; waits and raises as `refill`.

        An error further back is raised by a later call.
        """
        deadline = self.deadline(timeout)
        taken: list[T] = []
        while not taken:
            with self.lock:
                try:
                    while not self.ready and not self._decode():
                        self._await_arrival(deadline, timeout)
                    with contextlib.suppress(IndexError):
                        taken.extend(map(deque.popleft, repeat(self.ready)))
                    if taken:
                        self._take_rest(taken)
                finally:
                    self._hand_out()
        return taken

    def _take_rest(self, taken: list[T]) -> None:
        """All that waits behind; an error there is kept for the next call."""
        try:
            taken += self.line.inbound.incoming.take_many()
        except AnyplugError as error:
            self._error = error

    def _hand_out(self) -> None:
        """What this thread leaves may be for another, and there may be room again for what is asked."""
        if self.ready or self._error is not None or self.line.inbound.incoming:
            self.line.arrived()
        self._hand_on()

    def _decode(self) -> bool:
        """Move the next batch to `ready`, or raise what stands there; False where nothing has come."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        incoming = self.line.inbound.incoming
        if not incoming or not incoming.refill():
            return False
        self.ready.extend(incoming.ready)
        incoming.ready.clear()
        return True

    def _await_arrival(self, deadline: float | None, timeout: float | None) -> None:
        line = self.line
        if line.inbound.end is not None:
            raise line.inbound.end.with_traceback(None)
        waiter = Waiter()
        line.receivers.append(waiter)
        try:
            if not self.wait(waiter, deadline):
                raise Timeout("a message", timeout or 0)
        finally:
            if not waiter.done:
                line.receivers.remove(waiter)

    # Saying.

    def say(self, deadline: float | None = None) -> bool:
        """Send what the session has to say, and wait until the system has taken it (locked).

        Returns False at the deadline; what is left goes out before what is said next.

        Raises:
            Timeout: the peer took nothing for ``limits.write`` seconds. The connection is broken then.
            AnyplugError: the connection ended or broke.
        """
        line = self.line
        if line.session.queued:
            line.push()
        return line.outlet.written == line.outlet.queued or self._drain(deadline)

    def _drain(self, deadline: float | None) -> bool:
        line, outlet = self.line, self.line.outlet
        waiter = Waiter()
        mark = outlet.await_all(waiter)
        written, patience = outlet.written, self._now() + line.limits.write
        try:
            while not waiter.done:
                self._await_room(waiter, patience if deadline is None else min(patience, deadline))
                now = self._now()
                if outlet.written != written:
                    written, patience = outlet.written, now + line.limits.write
                elif now >= patience and line.broken is None:
                    raise self._stuck()
                if deadline is not None and now >= deadline:
                    break
        finally:
            outlet.forget(waiter)
        if outlet.written >= mark:
            return True
        line.check()
        return False

    def _await_room(self, waiter: Waiter, until: float) -> None:
        """Wait for bytes to be taken: as leader, behind a leader that writes, or beside one that does not."""
        if not self._leading or self._writes:
            self.wait(waiter, until)
            return
        seconds = max(0.0, min(SLICE, until - self._now()))
        self._outside(self.line.stream.wait_writable, seconds=seconds)
        self.line.turn(read=False)

    def _stuck(self) -> Timeout:
        line = self.line
        left, waiting, seconds = len(line.outlet), line.inbound.incoming.size, line.limits.write
        if waiting >= line.limits.queue:
            remedy = f"it may wait until the {waiting:,} bytes of messages that have come are received here"
        else:
            remedy = "it is stuck or overloaded: connect again"
        line.fail(
            Broken(f"the peer took none of the last {left:,} bytes for {seconds:g} s; this side gave up in the middle")
        )
        self._dispose(abort=True)
        return Timeout(
            f"sending to {line.stream.peer}, which takes none of the last {left:,} bytes ({remedy})", seconds
        )

    # Waiting.

    def wait(self, waiter: Waiter, deadline: float | None) -> bool:
        """Wait until `waiter` is done; False at the deadline (locked). What has come already is read in any case."""
        try:
            while not waiter.done:
                if self._leading or not self.line.can_move():
                    self._follow(waiter, deadline)
                else:
                    self._lead(waiter, deadline)
                if deadline is not None and self._now() >= deadline:
                    break
            return waiter.done
        finally:
            if self._followers:
                self._hand_on()

    def read_now(self) -> None:
        """Read what has come already, unless somebody does so anyway (locked)."""
        if not self._leading and self.line.may_read():
            self.line.read_all()

    def _hand_on(self) -> None:
        """Let a follower lead, where nobody does."""
        if self._followers and not self._leading:
            self._followers[0].ring()

    def _lead(self, waiter: Waiter, deadline: float | None) -> None:
        line = self.line
        self._leading = True
        try:
            now = self._now()
            if now - line.looked_at > 2 * self._tick:
                line.look(now, reading=False)
            while not waiter.done:
                read, write = line.may_read(), line.outlet.queued > line.outlet.written
                if not (read or write):
                    return
                self._writes = write
                eager = self._company.expects(line.stream.sent) and not write
                seconds = self._tick if deadline is None else max(0.0, min(self._tick, deadline - now))
                self._outside(line.stream.wait, read=read, write=write, seconds=seconds, eager=eager)
                line.turn(read=read)
                now = self._now()
                if now - line.looked_at >= self._tick:
                    line.look(now, reading=read)
                if deadline is not None and now >= deadline:
                    return
        finally:
            self._leading = False

    def _follow(self, waiter: Waiter, deadline: float | None) -> None:
        """Sleep until the bell rings.

        Where nobody leads, since nothing may be read or written now, heartbeats go on.
        """
        seconds = None if deadline is None else max(0.0, deadline - self._now())
        if not self._leading:
            seconds = self._tick if seconds is None else min(seconds, self._tick)
        self._company.come()
        self._followers.append(waiter)
        try:
            waiter.sleep(self.lock, seconds)
        finally:
            self._followers.remove(waiter)
        now = self._now()
        if not self._leading and now - self.line.looked_at >= self._tick:
            self.line.look(now, reading=False)

    def _outside(self, wait: Callable[..., None], **how: float) -> None:
        """Wait for the socket with the lock released.

        The last to come back closes a socket that was given up meanwhile.
        """
        self._users += 1
        try:
            self.lock.release()
            wait(**how)
        finally:
            take(self.lock)
            self._users -= 1
            if not self._users and self._to_close is not None:
                self.line.stream.close(abort=self._to_close)

    # The end.

    def close(self, code: Code, text: str, *, linger: float = LINGER) -> None:
        """Say goodbye, give the last bytes and the peer's end so many seconds, and give the socket back. Never raises
        for the peer.

        While another thread waits on this connection, the peer's end is not awaited.
        """
        with self.lock:
            if self.gone:
                return
            self.gone = True
            line = self.line
            over = isinstance(line.inbound.end, ConnectionClosed)
            try:
                if not line.lost:
                    line.goodbye(code, text)
                    self._linger(self._now() + linger, over=over)
            finally:
                self._dispose(abort=len(line.outlet) > 0)

    def _linger(self, until: float, *, over: bool) -> None:
        """Let the last bytes go out, and the peer end.

        A socket closed with unread bytes resets the peer (RFC 1122, section 4.2.2.13).
        """
        line = self.line
        shut = False
        over = over or line.stream.datagrams
        while not line.lost and not self._users:
            if not line.outlet and not shut:
                line.stream.shut_write()
                shut = True
            now = self._now()
            if (shut and over) or now >= until:
                return
            self._outside(line.stream.wait, read=not over, write=not shut, seconds=until - now)
            over = line.discard() or over

    def abort(self) -> None:
        """Cut the connection at once; the peer sees a reset."""
        with self.lock:
            if self._to_close is None and not (self.gone and self.line.lost):
                self.gone = True
                self.line.fail(ConnectionClosed(Code.OK, "it was aborted on this side"))
                self._dispose(abort=True)

    def abandon(self) -> bool:
        """Nobody holds the connection any more: give the socket back. False where it was closed before.

        The collector may call this in any thread at any place, so it must not wait for the lock. Only a beat can hold
        it; then the socket is given back when it is collected itself.
        """
        if self.gone:
            return False
        self.gone = True
        if self.lock.acquire(blocking=False):
            try:
                self._dispose(abort=False)
            finally:
                self.lock.release()
        return True

    def _dispose(self, *, abort: bool) -> None:
        """Give the socket back, as soon as nobody waits on it."""
        self.line.lost = True
        self.line.outlet.drop()
        if self._users:
            self._to_close = abort
            self.line.stream.wake()
        else:
            self.line.stream.close(abort=abort)

    # Between calls.

    def beat(self) -> None:
        """Show the peer that this side lives, if nothing was sent since the last beat, and hear what it says.

        Never waits.
        """
        if not self.lock.acquire(blocking=False):
            return
        try:
            line = self.line
            if line.broken is None:
                self.read_now()
                line.keep_alive(ping=line.stream.sent == self._beat_sent)
                self._beat_sent = line.stream.sent
        finally:
            self.lock.release()
