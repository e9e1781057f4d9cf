"""What one connection has counted."""

from __future__ import annotations

import msgspec

__all__ = ["Stats", "amount"]


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of the counters of one connection."""

    bytes_received: int
    """Bytes that came from the network."""
    bytes_sent: int
    """Bytes given to the network."""
    bytes_waiting: int
    """What messages take that have arrived and were not decoded yet, bytes; a little more than their bodies."""
    bytes_queued: int
    """Bytes that this side has said and the network has not taken yet."""
    late_answers: int
    """Answers that came after their question was given up; they were dropped."""


def amount(size: int) -> str:
    """A number of bytes for people and logs: ``512 B``, ``3 KiB``, ``1.5 GiB``."""
    number, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1023.5:
            break
        number, unit = number / 1024, larger
    return f"{number:.1f}".removesuffix(".0") + f" {unit}" if number < 9.95 else f"{number:.0f} {unit}"
