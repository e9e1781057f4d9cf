"""Real connections of ten kilobytes are cut in earnest, many side by side: FIN, RST, or nothing is heard any more.

Few bytes of many: `tests/outbox/test_cut_everywhere.py` has each of them, without sockets. ``make cuts`` has more here.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from anyplug.backoff import Backoff
from anyplug.errors import Code
from anyplug.limits import DEFAULTS
from anyplug.outbox import Outbox
from anyplug.store import MemoryStore
from anyplug.transport.link import Link
from anyplug.transport.pulse import Pulse
from tests.outbox.cutting import CuttingRelay
from tests.outbox.keeping import Keeper, kept, serve
from tests.outbox.piped import Cut
from tests.server.serving import port_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.outbox.piped import Kind, Side

MORE = os.environ.get("ANYPLUG_CUT_STRIDE")
STRIDES: dict[Side, int] = {"client": int(MORE or 149), "server": int(MORE or 7)}
"""Bytes between two cuts."""
AT_ONCE = 150 if MORE else 40
"""Connections that are cut side by side."""
BODIES = [b"%d " % n + bytes(400) for n in range(25)]
BAD = b"24 " + bytes(400)
"""What the server refuses."""


def let_time_pass(client: object, server: object) -> None:
    """For these two ends of a connection time passes at once, so that they find out that they hear nothing."""
    loop = asyncio.get_running_loop()
    for group in Pulse.of(loop)._groups:
        for link in tuple(group):
            assert isinstance(link, Link)
            info = link.transport.get_extra_info
            if info("sockname") == client or info("peername") == server:
                for turn in range(1, 6):
                    link.tick(loop.time() + turn * DEFAULTS.ping)


async def deliver(folder: Path, cuts: list[Cut | None]) -> list[CuttingRelay]:
    """Deliver the same messages over so many connections, each cut in its own way; what came of each."""
    keeper = Keeper(MemoryStore())
    keeper.refuses = {BAD: Code.BAD_MESSAGE}
    box = Outbox(folder / "o.db", deliver=False, backoff=Backoff(first=0.0001, most=0.001), linger=0)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve(keeper))
        relays = [CuttingRelay(port_of(server), cut, let_time_pass) for cut in cuts]
        ports = [await stack.enter_async_context(relay.listening()) for relay in relays]
        outbox = await stack.enter_async_context(box)
        for port in ports:
            await outbox.post_many(f"plug://127.0.0.1:{port}/inbox/{port}", BODIES, codec="bytes")
        await outbox.deliver(25)
        for port, cut in zip(ports, cuts, strict=True):
            assert await kept(keeper.store, str(port)) == [body for body in BODIES if body != BAD], cut
        assert [(each.waiting, each.renumbered) for each in outbox.status()] == [(0, 0)] * len(cuts)
        assert len(await outbox.refusals(0)) == len(cuts)
    return relays


@pytest.mark.timeout(0 if MORE else 30)
@pytest.mark.parametrize("how", ["reset", "eof", "silence"])
@pytest.mark.parametrize("side", ["client", "server"])
async def test_connections_are_cut_all_over_a_session(tmp_path: Path, side: Side, how: Kind) -> None:
    (tmp_path / "calm").mkdir()
    (calm,) = await deliver(tmp_path / "calm", [None])
    end = calm.carried[side] - 20  # but for the goodbye
    assert calm.carried["client"] > 10_000
    places = range(0, end, STRIDES[side])
    relays: list[CuttingRelay] = []
    for number, first in enumerate(range(0, len(places), AT_ONCE)):
        folder = tmp_path / str(number)
        folder.mkdir()
        relays += await deliver(folder, [Cut(side, after, how) for after in places[first : first + AT_ONCE]])
    for relay, after in zip(relays, places, strict=True):
        # how many acknowledgements there are depends on what comes together: the server may say less than before
        assert relay.connections > relay.cuts == 1 or relay.carried[side] < after, after
    assert sum(relay.cuts for relay in relays) > len(places) * 3 // 4
