"""Multicast DNS on loopback alone, for tests; names are of this process, for others may be looking there too."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from itertools import count
from typing import TYPE_CHECKING, Any

from anyplug.netinfo.announce import Announced, Announcer
from anyplug.netinfo.find import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyplug.netinfo.find import Found

__all__ = ["LOOPBACK", "Telling", "deaf", "new_name", "seen"]

LOOPBACK = ["127.0.0.1"]
_NUMBERS = count()


def new_name() -> str:
    """A name that no other server has."""
    return f"test {os.getpid()} {next(_NUMBERS)}"


class Telling(Announcer):
    """An announcer on loopback, whose outcomes can be waited for."""

    def __init__(self, name: str = "", **options: Any) -> None:
        self.outcomes: asyncio.Queue[Announced] = asyncio.Queue()
        options.setdefault("interfaces", LOOPBACK)
        super().__init__(name=name or new_name(), told=self.outcomes.put_nowait, **options)

    async def outcome(self) -> Announced:
        async with asyncio.timeout(15):
            return await self.outcomes.get()


async def seen(name: str, *, seconds: float = 5.0) -> Found | None:
    """The server of that name, as soon as it is found; None when the time is over."""
    async with aclosing(find(timeout=seconds, interfaces=LOOPBACK)) as servers:
        async for found in servers:
            if found.name == name:
                return found
    return None


async def deaf(interfaces: Sequence[str]) -> Any:
    """As `open_multicast` on a machine that has none."""
    raise OSError(19, "No such device")
