"""A disk that takes half a second for a sync holds up the posts that wait for it, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyplug
from tests.crash.process import Victim

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def test_questions_are_answered_while_the_disk_syncs(tmp_path: Path, program: Callable[[str], str]) -> None:
    delay = "inject=fdatasync:delay_enter=500000"  # microseconds
    under = [program("strace"), "-D", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", delay]
    victim = Victim(tmp_path, under=under)
    await asyncio.to_thread(victim.start)
    try:
        async with (
            anyplug.connect(f"{victim.address}?service=inbox/log", codec="text") as inbox,
            anyplug.connect(f"{victim.address}?service=echo") as echo,
        ):
            posting = asyncio.create_task(inbox.post("slowly"))
            answered = 0
            while not posting.done():
                assert await echo.ask(answered) == answered
                answered += 1
            assert await posting == 1
    finally:
        await asyncio.to_thread(victim.kill)
    assert answered > 100  # a loop that waited for the disk would have answered once or twice
