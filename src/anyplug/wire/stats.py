"""What one connection has counted."""

from __future__ import annotations

import msgspec

__all__ = ["Stats"]


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of the counters of one connection."""

    bytes_received: int
    """Bytes that came from the network."""
    bytes_sent: int
    """Bytes given to the network."""
    bytes_waiting: int
    """What messages take that have arrived and were not decoded yet, bytes; a little more than their own bytes for each."""
    bytes_queued: int
    """Bytes that this side has said and the network has not taken yet."""
    late_answers: int
    """Answers that came after their question was given up; they were dropped."""
