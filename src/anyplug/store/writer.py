"""Group commit: one thread writes, in batches, and says so only after each batch is durable.

Jobs queue up while the disk is busy with the batch before; all that wait share the next commit, up to `BATCH_MANY`
messages or `BATCH_BYTES`. A lone job is committed at once. Where the batch before had company, the writer gives the
same company `GATHER` seconds to come back: its members are just now being told of their commit. It waits for no more
where `ENOUGH` messages have come: what a commit costs is little beside them, and the disk need not stand still.

A job refuses itself (a gap, a conflict) before it changes anything, and the rest of its batch goes on. A full disk
refuses the whole batch, and the next batch tries again. Any other error stops the writer for good: a later commit could
succeed over a write that the system has already forgotten.
"""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from anyplug.errors import StoreError, StoreFailed, StoreFull
from anyplug.store.followers import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["BATCH_BYTES", "BATCH_MANY", "ENOUGH", "GATHER", "QUEUE_BYTES", "QUEUE_MANY", "Target", "Writer"]

BATCH_MANY: Final = 1_000
"""Messages of one commit."""

ENOUGH: Final = BATCH_MANY // 4
"""Messages for which a commit waits for no more company: the others gather while these are being synced."""

BATCH_BYTES: Final = 1024 * 1024
"""Bytes of one commit, but at least one job."""

GATHER: Final = 0.002
"""How long a commit waits for company, seconds: less than a sync takes."""

QUEUE_MANY: Final = 16 * BATCH_MANY
"""Messages that wait for their commit. At the bound a caller waits before it enters the queue, in order."""

QUEUE_BYTES: Final = 32 * BATCH_BYTES
"""Bytes that wait for their commit, as `QUEUE_MANY`."""

T = TypeVar("T")


class Target(ABC):
    """What is written to. Only the writer's thread calls it."""

    path: str

    @abstractmethod
    def begin(self) -> StoreFull | None:
        """Begin a batch. The error, where only essential jobs may write: there is too little room."""

    @abstractmethod
    def run(self, apply: Callable[[], object]) -> object:
        """Let a job change the batch; return what it returns.

        Raises:
            StoreFull, StoreFailed: the batch cannot be had. Whatever else it raises is the job's own, and the job has
                changed nothing.
        """

    @abstractmethod
    def commit(self) -> None:
        """Make the batch durable."""

    @abstractmethod
    def rollback(self) -> None:
        """Forget the batch."""

    @abstractmethod
    def make_room(self) -> bool:
        """Give up what is held in reserve for essential jobs; False where there is nothing left to give."""

    @abstractmethod
    def tidy(self) -> None:
        """Do what is due after a batch, when all who waited for it have been told."""

    @abstractmethod
    def failed(self, error: StoreFailed) -> None:
        """Nothing will be written any more."""

    @abstractmethod
    def close(self) -> None:
        """The end, in order."""


class _Call:
    """Stands where a future would, for who is told by a call: nothing is made, woken or queued for it."""

    __slots__ = ("_done", "_loop")

    def __init__(self, done: Callable[[Any], None], loop: asyncio.AbstractEventLoop) -> None:
        self._done = done
        self._loop = loop

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def done(self) -> bool:
        return False

    cancelled = done

    def set_result(self, result: object) -> None:
        try:
            self._done(result)
        except Exception as error:  # noqa: BLE001  the others of its batch are told all the same
            self._loop.call_exception_handler({"message": "who was told of a commit has failed", "exception": error})

    set_exception = set_result


class _Job:
    __slots__ = ("apply", "essential", "future", "messages", "size")

    def __init__(
        self,
        apply: Callable[[], object],
        future: asyncio.Future[Any] | _Call,
        *,
        messages: int,
        size: int,
        essential: bool,
    ) -> None:
        self.apply = apply
        self.future = future
        self.messages = messages
        self.size = size
        self.essential = essential


class Writer:
    """The thread that writes to a target, and the queue before it.

    Args:
        target: what is written to.
        gather: how long a commit waits for the company that the one before it had, seconds.
    """

    def __init__(self, target: Target, *, gather: float = GATHER) -> None:
        self._target = target
        self._gather_time = gather
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._queue: deque[_Job] = deque()
        self._paused: deque[_Job] = deque()
        self._messages = 0
        self._bytes = 0
        self._wanted = 1
        self._closing = False
        self._over: StoreError | None = None
        self.commits = 0
        """Batches made durable."""
        self.full = False
        """The last batch found too little room."""
        self._thread = threading.Thread(target=self._run, name="anyplug-store", daemon=True)
        self._thread.start()

    @property
    def over(self) -> StoreError | None:
        """Why nothing is written any more, or None."""
        return self._over

    @property
    def queued(self) -> tuple[int, int]:
        """Messages and bytes that wait for their commit."""
        return self._messages, self._bytes

    async def submit(self, apply: Callable[[], T], *, messages: int = 1, size: int = 0, essential: bool = False) -> T:
        """Run `apply` in a batch; return its result once the batch is durable.

        Args:
            apply: changes the target, in the writer's thread; raises before its first change or not at all.
            messages: how many messages it writes.
            size: how many bytes.
            essential: it makes room, or needs hardly any: it may write when the disk is nearly full.

        Raises:
            StoreFull: there is no room; nothing was written.
            StoreFailed: the writer has stopped; whether this was written is unknown.
            StoreError: the store is closed.
        """
        future = asyncio.get_running_loop().create_future()
        self._queue_up(_Job(apply, future, messages=messages, size=size, essential=essential))
        return cast("T", await future)

    def enter(
        self, apply: Callable[[], T], done: Callable[[T | Exception], None], *, messages: int = 1, size: int = 0
    ) -> None:
        """`submit` for who does not wait in a task: ``done`` is called with what it would return or raise, later, from
        the event loop.

        Raises:
            StoreError: as `submit`; ``done`` is not called then.
        """
        call = _Call(done, asyncio.get_running_loop())
        self._queue_up(_Job(apply, call, messages=messages, size=size, essential=False))

    def _queue_up(self, job: _Job) -> None:
        with self._lock:
            if self._over is not None:
                raise copy.copy(self._over)
            if self._closing:
                raise StoreError(self._target.path, "it is closed")
            if self._paused or not self._fits(job):
                self._paused.append(job)
            else:
                self._enter(job)

    def _fits(self, job: _Job) -> bool:
        return not self._queue or (
            self._messages + job.messages <= QUEUE_MANY and self._bytes + job.size <= QUEUE_BYTES
        )

    def _enter(self, job: _Job) -> None:
        self._queue.append(job)
        self._messages += job.messages
        self._bytes += job.size
        if len(self._queue) >= self._wanted or self._messages >= ENOUGH or self._bytes >= BATCH_BYTES:
            self._news.notify()

    async def close(self) -> None:
        """Write what is queued, close the target, end the thread."""
        with self._lock:
            self._closing = True
            self._news.notify()
        await asyncio.to_thread(self._thread.join)

    # From here on: the writer's thread.

    def _run(self) -> None:
        try:
            while jobs := self._gather():
                self._write(jobs)
                self._target.tidy()
            self._target.close()
        except BaseException as error:  # noqa: BLE001  whatever it is, nobody may wait for ever
            self._fail(error)

    def _gather(self) -> list[_Job]:
        with self._lock:
            company = self._wanted
            self._wanted = 1
            while not self._queue and not self._closing:
                self._news.wait()
            self._wait_for(company)
            jobs = self._take()
            self._wanted = len(jobs)
            return jobs

    def _wait_for(self, company: int) -> None:
        over = time.monotonic() + self._gather_time
        self._wanted = company
        while not self._closing and len(self._queue) < company and self._messages < ENOUGH:
            if (left := over - time.monotonic()) <= 0 or self._bytes >= BATCH_BYTES:
                break
            self._news.wait(left)

    def _take(self) -> list[_Job]:
        jobs: list[_Job] = []
        messages = size = 0
        while self._queue:
            job = self._queue[0]
            if jobs and (messages + job.messages > BATCH_MANY or size + job.size > BATCH_BYTES):
                break
            jobs.append(self._queue.popleft())
            messages += job.messages
            size += job.size
        self._messages -= messages
        self._bytes -= size
        while self._paused and (self._paused[0].future.cancelled() or self._fits(self._paused[0])):
            job = self._paused.popleft()
            if not job.future.cancelled():
                self._enter(job)
        return jobs

    def _write(self, jobs: list[_Job]) -> None:
        try:
            self._commit(jobs)
        except StoreFull as error:
            self._target.rollback()
            self.full = True
            essential = [job for job in jobs if job.essential]
            _settle((job, error) for job in jobs if not job.essential)
            if essential:
                self._write_essential(essential, error)
        except BaseException as error:
            failure = self._failure(error)
            with self._lock:
                self._over = failure
            _settle((job, failure) for job in jobs)
            raise failure from error

    def _write_essential(self, jobs: list[_Job], error: StoreFull) -> None:
        if self._target.make_room():
            self._write(jobs)
        else:
            _settle((job, error) for job in jobs)

    def _commit(self, jobs: list[_Job]) -> None:
        full = self._target.begin()
        self.full = full is not None
        results: list[tuple[_Job, object]] = []
        for job in jobs:
            if full is not None and not job.essential:
                results.append((job, full))
                continue
            try:
                results.append((job, self._target.run(job.apply)))
            except (StoreFull, StoreFailed):
                raise
            except Exception as refusal:  # noqa: BLE001  it is the job's own, and goes to its caller
                results.append((job, refusal))
        self._target.commit()
        self.commits += 1
        _settle(results)

    def _failure(self, error: BaseException) -> StoreFailed:
        return error if isinstance(error, StoreFailed) else StoreFailed(self._target.path, str(error) or repr(error))

    def _fail(self, error: BaseException) -> None:
        failure = self._failure(error)
        with self._lock:
            self._over = failure
            left = [*self._queue, *self._paused]
            self._queue.clear()
            self._paused.clear()
            self._messages = self._bytes = 0
        _settle((job, failure) for job in left)
        self._target.failed(failure)


def _settle(results: Iterable[tuple[_Job, object]]) -> None:
    """Tell each job's caller its own copy of an error, or the result."""
    settle([(job.future, copy.copy(each) if isinstance(each, StoreError) else each) for job, each in results])
