"""The book of a ping: what was sent, what came back, and what that means. Pure: the time is an argument.

Each request has a number. Its outcome is told when it is known: an answer, an error, or silence after a while. An
answer that comes later still counts as one, for the request was not lost; what is silent is lost only once it is over.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from anyplug.netinfo.icmp import SEQUENCES
from anyplug.netinfo.ping_types import PingAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["REMEMBERED", "TIMES_KEPT", "Heard", "PingBook", "quantile"]

REMEMBERED: Final = SEQUENCES // 2
"""Requests that are remembered; an answer to an older one could not be told from one to a newer with that number."""
TIMES_KEPT: Final = 100_000
"""Round trips that median and p99 are made of, the last ones: a day of one a second."""


class Heard(NamedTuple):
    """Something that came back."""

    sequence: int
    """The number of its request, as it came: 16 bits."""
    at: float
    """When it came, seconds."""
    error: bool = False
    source: str = ""
    ttl: int | None = None
    size: int | None = None
    detail: str = ""


class _Request:
    """One request that is remembered."""

    __slots__ = ("at", "state")

    def __init__(self, at: float) -> None:
        self.at = at
        self.state: Literal["waiting", "answered", "silent", "failed"] = "waiting"


class PingBook:
    """What is known so far.

    Args:
        timeout: after how many seconds without an answer a request is called silent.
    """

    __slots__ = (
        "_highest",
        "_requests",
        "_times",
        "_total",
        "_waiting",
        "duplicates",
        "late",
        "maximum",
        "minimum",
        "received",
        "reordered",
        "sent",
        "timeout",
        "unreachable",
        "unsent",
    )

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.sent = self.received = self.late = self.duplicates = 0
        self.reordered = self.unreachable = self.unsent = 0
        self.minimum: float | None = None
        self.maximum: float | None = None
        self._requests: OrderedDict[int, _Request] = OrderedDict()
        self._waiting: deque[int] = deque()
        self._times: deque[float] = deque(maxlen=TIMES_KEPT)
        self._total = 0.0
        self._highest = 0

    @property
    def pending(self) -> int:
        """Requests whose outcome is open."""
        self._drop_decided()
        return sum(self._requests[number].state == "waiting" for number in self._waiting)

    @property
    def loss(self) -> float | None:
        """The share of the decided requests that were not answered."""
        decided = self.sent - self.pending
        return (decided - self.received) / decided if decided else None

    @property
    def mean(self) -> float | None:
        """The mean of all round trips, seconds."""
        return self._total / self.received if self.received else None

    @property
    def times(self) -> Sequence[float]:
        """The last round trips, in the order they came."""
        return self._times

    def send(self, sequence: int, at: float) -> None:
        """A request with that number has gone out at that time; numbers count up from 1."""
        self.sent += 1
        self._requests[sequence] = _Request(at)
        self._waiting.append(sequence)
        while len(self._requests) > REMEMBERED:
            self._requests.popitem(last=False)
        while self._waiting[0] not in self._requests:
            self._waiting.popleft()

    def fail(self, sequence: int, detail: str) -> PingAnswer:
        """The request with that number could not be sent."""
        self.unsent += 1
        return PingAnswer(sequence=sequence, outcome="unsent", detail=detail)

    def hear(self, heard: Heard) -> PingAnswer | None:
        """What came back; None where it belongs to no request that is remembered, or tells nothing new."""
        sequence = self._full(heard.sequence)
        request = self._requests.get(sequence)
        if request is None:
            return None
        seconds = max(heard.at - request.at, 0.0)
        if heard.error:
            return self._hear_error(sequence, request, heard, seconds)
        if request.state == "answered":
            self.duplicates += 1
            return _answer(sequence, "duplicate", heard, seconds)
        if request.state == "failed":
            self.unreachable -= 1
        late = request.state == "silent" or seconds > self.timeout
        request.state = "answered"
        reordered = sequence < self._highest
        self._highest = max(self._highest, sequence)
        self._count(seconds, late=late, reordered=reordered)
        return _answer(sequence, "late" if late else "reply", heard, seconds, reordered=reordered)

    def expire(self, now: float) -> list[PingAnswer]:
        """The requests that have become silent."""
        silent = []
        self._drop_decided()
        while self._waiting and self._requests[self._waiting[0]].at + self.timeout <= now:
            sequence = self._waiting.popleft()
            self._requests[sequence].state = "silent"
            silent.append(
                PingAnswer(sequence=sequence, outcome="silent", detail=f"no answer within {self.timeout:g} s")
            )
            self._drop_decided()
        return silent

    def due(self) -> float | None:
        """When the next request becomes silent; None where none is open."""
        self._drop_decided()
        return self._requests[self._waiting[0]].at + self.timeout if self._waiting else None

    def _hear_error(self, sequence: int, request: _Request, heard: Heard, seconds: float) -> PingAnswer | None:
        if request.state in {"answered", "failed"}:
            return None
        request.state = "failed"
        self.unreachable += 1
        return _answer(sequence, "unreachable", heard, seconds)

    def _count(self, seconds: float, *, late: bool, reordered: bool) -> None:
        self.received += 1
        self.late += late
        self.reordered += reordered
        self._total += seconds
        self._times.append(seconds)
        self.minimum = seconds if self.minimum is None else min(self.minimum, seconds)
        self.maximum = seconds if self.maximum is None else max(self.maximum, seconds)

    def _full(self, number: int) -> int:
        """The whole number that these 16 bits belong to: the newest one that was sent."""
        newest = next(reversed(self._requests), 0)
        return newest - (newest - number) % SEQUENCES

    def _drop_decided(self) -> None:
        waiting, requests = self._waiting, self._requests
        while waiting and requests[waiting[0]].state != "waiting":
            waiting.popleft()


def quantile(times: Sequence[float], share: float) -> float | None:
    """The time that this share of the times does not exceed, by nearest rank; None of no times."""
    if not times:
        return None
    ordered = sorted(times)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def _answer(
    sequence: int,
    outcome: Literal["reply", "late", "duplicate", "unreachable"],
    heard: Heard,
    seconds: float,
    *,
    reordered: bool = False,
) -> PingAnswer:
    return PingAnswer(
        sequence=sequence,
        outcome=outcome,
        seconds=seconds,
        source=heard.source,
        ttl=heard.ttl,
        size=heard.size,
        reordered=reordered,
        detail=heard.detail,
    )
