"""Who names a producer learns from the WELCOME how far the store is with it; the store is asked off the loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import anyplug
from anyplug import Code, Limits, Refused
from anyplug.errors import StoreError, StoreFailed
from anyplug.messages import Hello, Producer, Refusal, Welcome
from anyplug.services import KINDS
from anyplug.store import MemoryStore
from anyplug.store.memory import MemoryLog
from tests.server.serving import LogRecords, PlugClient, serve

if TYPE_CHECKING:
    from anyplug import Server

PLUG = "plug://127.0.0.1:0"


class HeldLog(MemoryLog):
    """A log whose watermarks are told when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def watermark(self, producer: bytes) -> int:
        self.asked.set()
        try:
            return await self.told
        except asyncio.CancelledError:
            self.left.set()
            raise


def held() -> tuple[MemoryStore, HeldLog]:
    store, log = MemoryStore(), HeldLog()
    store.log = log
    return store, log


def with_inbox(server: Server) -> None:
    kind = KINDS["inbox"]
    server.add(kind.make("inbox", kind.options(), server.facilities))


async def greeted(address: str) -> PlugClient:
    client = await PlugClient.to(address)
    client.session.send_hello(Hello(service="inbox", producer=b"p"))
    await client.say(client.session.data_to_send())
    return client


async def test_the_welcome_says_how_far_the_store_is() -> None:
    async with serve(PLUG, set_up=with_inbox, store=MemoryStore()) as server:
        address = f"{server.addresses[0]}/inbox/log"
        for first, posted in ((1, 0), (4, 3), (7, 6)):
            async with anyplug.connect(address, producer=Producer(b"p", first)) as peer:
                assert peer.welcome is not None
                assert peer.welcome.posted == posted
                await peer.post_many(["a", "b", "c"])
        async with anyplug.connect(address) as peer:
            assert peer.welcome is not None
            assert peer.welcome.posted == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreFailed("/srv/secret", "the disk is gone"), Code.STORE_FAILED),
        (StoreError("/srv/secret", "it is closed"), Code.GOING_AWAY),
    ],
)
async def test_a_store_that_refuses_is_told_but_not_where_it_lies(error: StoreError, code: Code) -> None:
    store, log = held()
    records = LogRecords()
    async with serve(PLUG, set_up=with_inbox, store=store, records=records) as server:
        log.told.set_exception(error)
        with pytest.raises(Refused, match="store cannot say what it has") as caught:
            await anyplug.connect(f"{server.addresses[0]}/inbox", producer=Producer(b"p", 1))
        assert caught.value.code is code
        assert "secret" not in str(caught.value)
        assert "/srv/secret" in (await records.wait_for("store_refused"))["problem"]


async def test_a_store_that_does_not_answer_in_time_is_told() -> None:
    store, log = held()
    async with serve(PLUG, set_up=with_inbox, store=store, limits=Limits(handshake=0.05)) as server:
        with pytest.raises(Refused, match=r"the store did not answer within 0\.05 s") as caught:
            await anyplug.connect(f"{server.addresses[0]}/inbox", producer=Producer(b"p", 1))
        assert caught.value.code is Code.BUSY
        await log.left.wait()


async def test_a_peer_that_leaves_meanwhile_is_forgotten() -> None:
    store, log = held()
    async with serve(PLUG, set_up=with_inbox, store=store) as server:
        client = await greeted(server.addresses[0])
        await log.asked.wait()
        await client.close()
        await log.left.wait()


async def test_a_peer_that_says_more_meanwhile_is_told_that_it_is_too_early() -> None:
    store, log = held()
    async with serve(PLUG, set_up=with_inbox, store=store) as server:
        client = await greeted(server.addresses[0])
        await log.asked.wait()
        await client.say(b"\x04\x00\x00\x01x")
        await log.left.wait()
        assert not [event for event in await client.events() if isinstance(event, Welcome)]
        await client.close()


async def test_a_server_that_stops_meanwhile_says_so() -> None:
    records, (store, log) = LogRecords(), held()
    async with serve(PLUG, set_up=with_inbox, store=store, records=records) as server:
        client = await greeted(server.addresses[0])
        await log.asked.wait()
        draining = asyncio.create_task(server.drain(1))
        refusals = [event for event in await client.events() if isinstance(event, Refusal)]
        assert [refusal.reason for refusal in refusals] == [Code.GOING_AWAY]
        await client.close()
        await draining
        await log.left.wait()
        assert records.events("refused")[0]["code"] == Code.GOING_AWAY.word
