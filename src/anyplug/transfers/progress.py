"""How a transfer goes on: what programs are told, and what a bar is drawn from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

__all__ = ["Phase", "Progress", "Report", "silent"]

Phase: TypeAlias = Literal["beginning", "resuming", "anew", "sending", "receiving", "waiting", "verifying", "done"]
"""``beginning``: asking the other end; ``resuming``: some of it is there already; ``anew``: what was sent of it is of
no use any more, since the file has changed; ``sending`` and ``receiving``: bytes go; ``waiting``: the connection broke,
and is tried again; ``verifying``: all is there, and is verified and synced; ``done``: it has its name."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far one file is."""

    name: str
    phase: Phase
    done: int = 0
    """Bytes that are there, or under way."""
    size: int | None = None
    """Bytes in all; None where nobody knows."""
    resumed: int = 0
    """Bytes that were there before this began."""
    problem: str = ""
    """Why it waits, or begins anew."""


Report: TypeAlias = Callable[[Progress], None]
"""Is told how it goes. Called between two chunks; what it raises ends the transfer, which can be resumed."""


def silent(progress: Progress) -> None:
    """Tell nobody."""
