"""A server is killed at every write and sync of a post: no acknowledgement means unknown, posting again is safe."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import anyplug
from anyplug import AnyplugError
from anyplug.messages import Producer
from tests.crash.process import Victim
from tests.crash.test_server_kills import left
from tests.store.test_crash import injected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VALUES = [f"walk-{at}" for at in range(1, 11)]


async def post(victim: Victim) -> list[int]:
    """Post all, as a producer whose first sequence is 1; their positions."""
    address = f"{victim.address}?service=inbox/log"
    async with anyplug.connect(address, codec="text", producer=Producer(b"walker", 1), timeout=10) as peer:
        return await peer.post_many(VALUES, timeout=20)


async def attempt(victim: Victim) -> list[int] | None:
    """Start it, post, stop it: the positions that were acknowledged, or None where it was killed before that."""
    try:
        await asyncio.to_thread(victim.start)
    except AssertionError:  # killed while it opened its store
        return None
    try:
        positions = await post(victim)
    except AnyplugError:
        positions = None
        await asyncio.to_thread(victim.wait)
    else:
        await asyncio.to_thread(victim.stop)
    return positions


@pytest.mark.timeout(200)
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
async def test_a_server_killed_at_any_call_of_a_post_keeps_its_word(
    tmp_path: Path, program: Callable[[str], str], call: str
) -> None:
    number, outcomes = 0, set()
    while True:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        calm = Victim(folder)
        await asyncio.to_thread(calm.start)
        await asyncio.to_thread(calm.stop)
        strace, *options = injected(program, call, f"signal=KILL:when={number}", folder=calm.store)
        under = [strace, "-D", *options]  # it stands behind the server, so that signals reach the server
        acknowledged = await attempt(Victim(folder, under=under))
        found = await left(calm.store)
        assert list(found.values()) in ([], VALUES)  # one commit: all or nothing
        assert acknowledged is None or list(found) == acknowledged
        outcomes.add((acknowledged is not None, bool(found)))
        await asyncio.to_thread(calm.start)
        assert await post(calm) == list(range(1, 11))
        await asyncio.to_thread(calm.stop)
        assert list((await left(calm.store)).values()) == VALUES
        if acknowledged is not None:
            break
    assert (False, False) in outcomes
    assert ((False, True) in outcomes) is (call == "fdatasync")  # written, and not synced: unknown
    assert number > 1
