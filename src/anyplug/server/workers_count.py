"""How many processes serve."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["WORKERS_MAX", "read_workers"]

WORKERS_MAX: Final = 256
"""The most workers: one for each processor of a large machine. More only wait for each other."""


def read_workers(value: object) -> int:
    """A number of workers, as it is written: a whole number, or ``auto`` for one to each processor that this process
    may use; elsewhere than on Linux, which is the only system that spreads connections, that is 1.

    Raises:
        ValueError: it is neither, and what is expected.
    """
    if value == "auto":
        return min(WORKERS_MAX, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= WORKERS_MAX:
        found = f'"{value}"' if isinstance(value, str) else str(value).lower()
        raise ValueError(f'expected a whole number from 1 to {WORKERS_MAX}, or "auto", found {found}')
    return value
