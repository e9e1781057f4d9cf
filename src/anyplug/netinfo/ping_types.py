"""What a ping tells."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = ["Outcome", "PingAnswer", "PingMeans", "PingSummary"]

Outcome: TypeAlias = Literal["reply", "late", "duplicate", "silent", "unreachable", "unsent"]
"""What became of one request.

``reply`` came in time, and ``late`` after ``silent`` was told of it; ``duplicate`` is one more answer to a request that
had one; ``silent`` is no answer in time; ``unreachable`` an error that somebody on the way sent in place of an answer;
``unsent`` what this machine could not send."""

PingMeans: TypeAlias = Literal["datagram", "raw", "tcp"]
"""How it is asked: ICMP through a datagram socket, ICMP through a raw socket, or TCP connections."""


class PingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one request, as far as it is known now."""

    sequence: int
    """Its number, from 1."""
    outcome: Outcome
    seconds: float | None = None
    """From the request to this answer or error; None where there is none."""
    source: str = ""
    """Who sent it."""
    ttl: int | None = None
    """How many hops it had left when it came."""
    size: int | None = None
    """Bytes of its ICMP message, with the header of 8 bytes."""
    reordered: bool = False
    """Whether the answer to a later request came before it."""
    detail: str = ""
    """More, in words: why it is unreachable, or how TCP answered."""


class PingSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A ping as a whole. Times are seconds, and None where nothing was answered."""

    host: str
    """As it was named."""
    address: str
    family: Literal[4, 6]
    means: PingMeans
    port: int | None
    """Of a ping over TCP."""
    sent: int
    received: int
    """Requests that were answered, in time or late."""
    late: int
    duplicates: int
    reordered: int
    unreachable: int
    """Requests for which an error came, and no answer."""
    unsent: int
    """Requests that this machine could not send; they are not among `sent`."""
    pending: int
    """Requests that were still to be answered when it ended."""
    loss: float | None
    """The share of the requests that are decided, and were not answered: from 0 to 1; None where none is decided."""
    minimum: float | None
    median: float | None
    p99: float | None
    """99 of 100 answers took at most this long (nearest rank)."""
    maximum: float | None
    mean: float | None
    seconds: float
    """How long it took in all."""
    whole: bool
    """Whether it came to its end; False after an interruption."""
