"""A clock that the test turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.blocking.far import Far


class Clock:
    """Each look takes `step` seconds; the far end, where it lives, hears and answers in between."""

    def __init__(self, step: float = 1.0) -> None:
        self.now = 0.0
        self.step = step
        self.far: Far | None = None
        self.then: dict[float, Callable[[], object]] = {}

    def __call__(self) -> float:
        self.now += self.step
        for time in [time for time in self.then if time <= self.now]:
            self.then.pop(time)()
        if self.far is not None and self.far.sock.fileno() != -1:
            self.far.sock.setblocking(False)
            try:
                self.far.read()
            except BlockingIOError:
                pass
            else:
                self.far.flush()
        return self.now
