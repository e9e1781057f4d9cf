"""The newest changes of the keys of a shelf that were used last, so that most reads need no disk and no thread.

What is here is on disk: a change comes when its batch is committed. While a batch is being committed its keys are not
here, so nobody reads a value here that is older than one already read from the disk.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyplug.store.base import Value

__all__ = ["HEADS_BYTES", "HEADS_MANY", "Heads"]

HEADS_MANY: Final = 10_000
"""Keys that are remembered, at most."""

HEADS_BYTES: Final = 16 * 1024 * 1024
"""Bytes of bodies that are remembered, at most."""


class Heads:
    """What is remembered, for any thread."""

    __slots__ = ("_closed", "_committing", "_lock", "_most", "_size", "_values", "moves")

    def __init__(self, *, many: int = HEADS_MANY, size: int = HEADS_BYTES) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._size = 0
        self._most = many, size
        self._closed = False
        self._committing = False
        self.moves = 0
        """Grows with every commit: who reads the disk looks at it before, and gives it to `offer`."""

    def get(self, key: str) -> Value | None:
        """The newest change of a key, a deletion too, or None where it is not known."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def offer(self, value: Value, moves: int) -> None:
        """This was read from the disk as the newest change of its key, when `moves` was so. While a batch is being
        committed it is not taken: others may have read what is newer.
        """
        with self._lock:
            if moves == self.moves and not self._committing:
                self._put(value)

    def committing(self, keys: Iterable[str]) -> None:
        """Changes of these keys are about to be committed."""
        with self._lock:
            self.moves += 1
            self._committing = True
            for key in keys:
                self._drop(key)

    def abandoned(self) -> None:
        """They were not."""
        with self._lock:
            self._committing = False

    def committed(self, values: Iterable[Value]) -> None:
        """These changes are durable now, the newest of their keys."""
        with self._lock:
            self.moves += 1
            self._committing = False
            for value in values:
                self._put(value)

    def close(self) -> None:
        """Know nothing any more."""
        with self._lock:
            self._closed = True
            self._values.clear()

    def _put(self, value: Value) -> None:
        many, size = self._most
        self._drop(value.key)
        if self._closed or len(value.body) > size // 4:
            return
        self._values[value.key] = value
        self._size += len(value.body)
        while len(self._values) > many or self._size > size:
            self._drop(next(iter(self._values)))

    def _drop(self, key: str) -> None:
        value = self._values.pop(key, None)
        if value is not None:
            self._size -= len(value.body)
