"""What a server gives to its services: a store, a clock, a log, a place for what outlives a reload."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from anyplug.errors import Code, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyplug.store import Store

__all__ = ["EventLog", "Facilities"]

S = TypeVar("S")


class EventLog(Protocol):
    """Where services say what happened; `anyplug.server.logs.Log` is one."""

    def info(self, event: str, **fields: object) -> None:
        """Something worth knowing."""

    def warning(self, event: str, **fields: object) -> None:
        """Something that somebody should look at."""

    def failure(self, event: str, error: BaseException, **fields: object) -> None:
        """A failure of our own, with its traceback."""


class _Nowhere:
    """A log that keeps nothing."""

    def info(self, event: str, **fields: object) -> None:
        """Not kept."""

    warning = info

    def failure(self, event: str, error: BaseException, **fields: object) -> None:
        """Not kept."""


class Facilities:
    """What the services of one server share. A service is made with it and uses it when it runs.

    Args:
        log: where events go; by default nowhere.
        clock: the time, nanoseconds since 1970 UTC.
        incarnation: a word that is new each time the server starts.
    """

    __slots__ = ("_shared", "base", "clock", "closers", "folder", "incarnation", "log", "show", "store")

    def __init__(
        self,
        *,
        log: EventLog | None = None,
        clock: Callable[[], int] = time.time_ns,
        incarnation: str = "",
        store: Store | None = None,
    ) -> None:
        self.store = store
        """Where messages and values are kept; None where there is no store, or it is not open yet."""
        self.log: EventLog = log or _Nowhere()
        self.clock = clock
        self.incarnation = incarnation
        self.show: Callable[[str, str], None] | None = None
        """Shows a message on the server's terminal: topic and text, which is not escaped yet. None where nobody
        looks."""
        self.folder: Path | None = None
        """The folder of the store; None where it has none."""
        self.base = Path()
        """What folders in the options of services are relative to: the folder of the configuration."""
        self.closers: list[Callable[[], Awaitable[None]]] = []
        """Called when the server has ended its conversations, by those who opened something of their own."""
        self._shared: dict[str, Any] = {}

    @property
    def durable(self) -> Store:
        """The store.

        Raises:
            Refused: there is none, or it has stopped after a disk error.
        """
        if self.store is None:
            raise Refused(Code.UNSUPPORTED, "this server keeps nothing: it was started without a store")
        return self.store

    def shared(self, name: str, make: Callable[[], S]) -> S:
        """What was made under this name, or what ``make`` makes now. It outlives a reload of the configuration, which
        makes the services anew.
        """
        if name not in self._shared:
            self._shared[name] = make()
        found: S = self._shared[name]
        return found

    def now(self) -> int:
        """The time, nanoseconds since 1970 UTC."""
        return self.clock()
