"""When workers start, and when all is over: pure, time is an argument.

Each worker has a number from 1 on, which its replacements keep::

    WAITING --began--> STARTING --listens--> LISTENING
       ^                   |                     |
       +------ ended ------+------ ended --------+        stopping, or final: --> GONE

A worker that ends is replaced at once. One that ends soon after its start, again and again, waits longer each time.
After `TRIES` of these in a row the server gives up, unless another worker serves steadily: half a server is better than
none. Until all listen for the first time nothing is tried twice, for what fails then is a mistake of whoever starts it.
"""

from __future__ import annotations

import enum
import math
from typing import Final, NamedTuple

from anyplug.backoff import Backoff

__all__ = ["BACKOFF", "GRACE", "START_TIME", "STEADY", "TRIES", "Loss", "Plan", "Stage"]

STEADY: Final = 5.0
"""A worker that lives for so long, seconds, has started well."""

TRIES: Final = 5
"""Starts of one worker in a row that fail, before the server gives up."""

START_TIME: Final = 30.0
"""Seconds that a worker may take from its start until it listens; then it is killed."""

GRACE: Final = 5.0
"""Seconds beyond those it was told after which a worker that has not done so is killed."""

BACKOFF: Final = Backoff(first=0.5, most=30.0)
"""How long the third start in a row waits, and how long any. Nothing is spread: there is one starter."""


class Stage(enum.Enum):
    """How a worker stands."""

    WAITING = "waiting"
    STARTING = "starting"
    LISTENING = "listening"
    GONE = "gone"


class Loss(NamedTuple):
    """What the end of a worker means."""

    again: float | None
    """Seconds until it is replaced; None where it is not."""
    final: bool = False
    """The server is to give up."""


class _Place:
    """One worker, whichever process it is."""

    __slots__ = ("deadline", "failures", "since", "stage")

    def __init__(self) -> None:
        self.stage = Stage.WAITING
        self.since = -math.inf  # when its process began; for WAITING: when one may
        self.deadline = math.inf
        self.failures = 0

    @property
    def alive(self) -> bool:
        """Whether there is a process."""
        return self.stage in {Stage.STARTING, Stage.LISTENING}


class Plan:
    """The workers of one server.

    Args:
        count: how many.
        backoff: how long starts wait that follow ones that failed.
        start_time: seconds that a worker may take until it listens.
        grace: seconds that it may take beyond those it was told.
    """

    def __init__(
        self, count: int, *, backoff: Backoff = BACKOFF, start_time: float = START_TIME, grace: float = GRACE
    ) -> None:
        self._backoff = backoff
        self._start_time = start_time
        self._grace = grace
        self._places = {number: _Place() for number in range(1, count + 1)}
        self.complete = False
        """All have listened at once."""
        self.stopping = False
        """Nothing is started any more."""

    def __getitem__(self, number: int) -> Stage:
        """How a worker stands."""
        return self._places[number].stage

    @property
    def alive(self) -> list[int]:
        """Those that are processes now."""
        return [number for number, place in self._places.items() if place.alive]

    @property
    def over(self) -> bool:
        """Whether all have ended, for good."""
        return self.stopping and not self.alive

    def wait(self, now: float) -> float | None:
        """Seconds until something is to be done though nothing happens; None where nothing is."""
        times = [place.deadline for place in self._places.values() if place.alive]
        times += [place.since for place in self._places.values() if place.stage is Stage.WAITING]
        first = min(times, default=math.inf)
        return None if first == math.inf else max(0.0, first - now)

    def due(self, now: float) -> list[int]:
        """Those that are to be started now."""
        places = self._places.items()
        return [number for number, place in places if place.stage is Stage.WAITING and place.since <= now]

    def late(self, now: float) -> list[int]:
        """Those that are to be killed now; each is told once."""
        found = [number for number, place in self._places.items() if place.alive and place.deadline <= now]
        for number in found:
            self._places[number].deadline = math.inf
        return found

    def began(self, number: int, now: float) -> None:
        """Its process was started."""
        place = self._places[number]
        place.stage, place.since, place.deadline = Stage.STARTING, now, now + self._start_time

    def listens(self, number: int) -> bool:
        """It listens. Returns whether all do, for the first time, and are to go on."""
        place = self._places[number]
        place.stage = Stage.LISTENING
        self.answered(number)
        if self.complete or self.stopping or any(each.stage is not Stage.LISTENING for each in self._places.values()):
            return False
        self.complete = True
        return True

    def ended(self, number: int, now: float) -> Loss:
        """Its process has ended, or could not be started."""
        place = self._places[number]
        place.failures = place.failures + 1 if now - place.since < STEADY else 0
        place.stage, place.deadline = Stage.GONE, math.inf
        if self.stopping:
            return Loss(None)
        if not self.complete or (place.failures >= TRIES and not self._steady(now)):
            return Loss(None, final=True)
        again = self._backoff.bound(place.failures - 2) if place.failures > 1 else 0.0
        place.stage, place.since = Stage.WAITING, now + again
        return Loss(again)

    def expect(self, number: int, now: float, seconds: float) -> None:
        """It was told to do something within so many seconds."""
        self._places[number].deadline = now + seconds + self._grace

    def answered(self, number: int) -> None:
        """It has done what it was told, unless that was to stop."""
        if not self.stopping:
            self._places[number].deadline = math.inf

    def stop(self, now: float, seconds: float) -> None:
        """All were told to end within so many seconds; nothing is started any more."""
        self.stopping = True
        for place in self._places.values():
            if place.alive:
                place.deadline = min(place.deadline, now + seconds + self._grace)
            else:
                place.stage = Stage.GONE

    def _steady(self, now: float) -> bool:
        return any(place.stage is Stage.LISTENING and now - place.since >= STEADY for place in self._places.values())
