"""A command that looks again and again waits between two looks, and ends when whoever reads it has gone."""

from __future__ import annotations

import select
import sys
import time

__all__ = ["pause"]


def pause(seconds: float) -> None:
    """Wait so long.

    Raises:
        BrokenPipeError: whoever read standard output has gone meanwhile.
    """
    try:
        fd = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        time.sleep(seconds)
        return
    poll = select.poll()
    poll.register(fd, 0)
    if poll.poll(seconds * 1000):
        raise BrokenPipeError
