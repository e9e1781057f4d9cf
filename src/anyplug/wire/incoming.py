"""Messages that have arrived and were not taken yet, and how they become objects.

Bodies wait as they came, in batches with their size; a batch is decoded when its first message is wanted, in one go.
Where a message of a batch cannot be decoded, the ones before it are given first, then its error once, then the ones
after it: nothing is lost and the order is kept. The queue itself has no bound. It tells its size, and its owner stops
reading from the network at `limits.queue`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from anyplug.errors import AnyplugError, DecodeError

if TYPE_CHECKING:
    from anyplug.codec import Codec

__all__ = ["BATCH", "ERROR_COST", "MESSAGE_COST", "Incoming"]

T = TypeVar("T")

BATCH = 128
"""The most messages that are decoded in one go. After so many a receiver lets other connections have their turn."""

MESSAGE_COST = 48
"""What a waiting message counts beside its bytes: about what Python takes for the object and its place in a list,
bytes. Without it a flood of empty messages would wait in a queue of size 0."""

ERROR_COST = 512
"""What a waiting error counts beside its text, bytes."""


class Incoming(Generic[T]):
    """A queue of message bodies in, objects out."""

    __slots__ = ("_batches", "_codec", "_error", "_mixed", "ready", "size")

    def __init__(self, codec: Codec[T]) -> None:
        self._codec = codec
        self._batches: deque[list[bytes] | AnyplugError] = deque()
        # What is left of a batch with a bad message, decoded one by one; made when needed, for a deque takes 760 bytes.
        self._mixed: deque[bytes] | None = None
        self._error: AnyplugError | None = None
        self.ready: deque[T] = deque()
        """Decoded messages. The hot path takes from its left directly; `refill` fills it when it is empty."""
        self.size = 0
        """What the bodies that are not decoded yet take, bytes; each counts `MESSAGE_COST` beside its own bytes."""

    def __bool__(self) -> bool:
        """Whether there is something to take: a message, or the error of one."""
        return bool(self.ready or self._error or self._mixed or self._batches)

    def push(self, bodies: list[bytes]) -> None:
        """Put a batch at the end."""
        if len(bodies) > BATCH:
            self._batches += (bodies[at : at + BATCH] for at in range(0, len(bodies), BATCH))
        elif bodies:
            self._batches.append(bodies)
        self.size += _cost(bodies)

    def push_ready(self, body: bytes) -> bool:
        """Put a single message where nothing waits, decoded at once. False where it cannot be; then `push` it."""
        try:
            self.ready.append(self._codec.decode(body))
        except DecodeError:
            return False
        return True

    def push_error(self, error: AnyplugError) -> None:
        """Put an error at the end; it is raised once, when the messages before it are taken."""
        self._batches.append(error)
        self.size += _cost(error)

    def refill(self) -> bool:
        """Decode the next batch into `ready`, which is empty. False when nothing waits.

        Raises:
            DecodeError: of the next message; the one after it comes next.
            AnyplugError: what `push_error` put here.
        """
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if not self._mixed:
            if not self._batches:
                return False
            bodies = self._batches.popleft()
            self.size -= _cost(bodies)
            if isinstance(bodies, AnyplugError):
                raise bodies
            try:
                self.ready.extend(self._codec.decode_many(bodies))
            except DecodeError:
                self._mixed = deque(bodies)
                self.size += _cost(bodies)
            else:
                return True
        self._refill_singly(self._mixed)
        return True

    def _refill_singly(self, mixed: deque[bytes]) -> None:
        """Decode up to the next bad message, whose error comes after them; each message is looked at once."""
        ready = self.ready
        while mixed:
            body = mixed.popleft()
            self.size -= len(body) + MESSAGE_COST
            try:
                ready.append(self._codec.decode(body))
            except DecodeError as error:
                if not ready:
                    raise
                self._error = error
                return

    def take(self) -> T:
        """The next message.

        Raises:
            IndexError: nothing waits.
            DecodeError: the next message cannot be decoded.
        """
        if not self.ready and not self.refill():
            raise IndexError("nothing waits")
        return self.ready.popleft()

    def take_many(self) -> list[T]:
        """All messages of the next batch or batches, at least one; an empty list when nothing waits.

        Raises:
            DecodeError: the next message cannot be decoded. An error further back is raised by a later call.
        """
        if not self.ready and not self.refill():
            return []
        taken = list(self.ready)
        self.ready.clear()
        while self._batches and not self._mixed and self._error is None:
            more = self._next_if_good()
            if more is None:
                break
            taken += more
        return taken

    def _next_if_good(self) -> list[T] | None:
        """The next batch decoded, or None where it is an error or holds a bad message (it stays)."""
        bodies = self._batches[0]
        if isinstance(bodies, AnyplugError):
            return None
        try:
            decoded = self._codec.decode_many(bodies)
        except DecodeError:
            return None
        self._batches.popleft()
        self.size -= _cost(bodies)
        return decoded


def _cost(batch: list[bytes] | AnyplugError) -> int:
    if isinstance(batch, AnyplugError):
        return ERROR_COST + len(str(batch))
    return sum(map(len, batch)) + MESSAGE_COST * len(batch)
