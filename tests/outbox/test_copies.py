"""A copy of an outbox, and a real inbox: the newer takes over; nothing comes twice, or is lost in silence."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

from anyplug.backoff import Backoff
from anyplug.errors import Code
from anyplug.outbox import Outbox
from anyplug.services import KINDS
from anyplug.store import MemoryStore
from tests.outbox.keeping import kept
from tests.server.serving import serve

if TYPE_CHECKING:
    from pathlib import Path

    from anyplug import Server

QUICK = Backoff(first=0.001, most=0.01)


def with_inbox(server: Server) -> None:
    kind = KINDS["inbox"]
    server.add(kind.make("inbox", kind.options(), server.facilities))


async def test_two_copies_that_deliver_at_once_stop_instead_of_mixing(folder: Path) -> None:
    store = MemoryStore()
    async with serve("plug://127.0.0.1:0", set_up=with_inbox, store=store) as server:
        address = f"{server.addresses[0]}/inbox/log"
        async with Outbox(folder / "a.db", deliver=False) as outbox:
            await outbox.post(address, b"0", codec="bytes")
        shutil.copy(folder / "a.db", folder / "b.db")
        names = {"a": [], "b": []}  # type: dict[str, list[bytes]]
        boxes = {name: Outbox(folder / f"{name}.db", backoff=QUICK) for name in names}
        async with boxes["a"], boxes["b"]:

            async def post(name: str) -> None:
                for n in range(40):
                    body = f"{name}{n}".encode()
                    await boxes[name].post(address, body, codec="bytes")
                    names[name].append(body)

            await asyncio.gather(post("a"), post("b"))
            done = await asyncio.gather(*(box.drained(10) for box in boxes.values()), return_exceptions=True)
            stopped = [status.stopped for box in boxes.values() for status in box.status()]
            waiting = sum(status.waiting for box in boxes.values() for status in box.status())
        codes = {Code.CONFLICT, Code.TAKEN_OVER}
        assert codes & {*stopped}
        assert any(isinstance(each, Exception) for each in done)
        (topic,) = await store.log.topics()
        found = await kept(store, topic)
        assert len(found) == len({*found})
        assert found[0] == b"0"
        for name, bodies in names.items():
            mine = [body for body in found if body.startswith(name.encode())]
            assert mine == bodies[: len(mine)]
        assert waiting == 80 - (len(found) - 1)
