"""Rooms on a server with a store: what was said is there after a restart, and the talk never waits for the disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from anyplug.errors import StoreDamaged, StoreFailed
from anyplug.services import Facilities, TalkOptions, make_talk
from anyplug.store import Batch, Entry, MemoryLog, MemoryStore, Receipt, SqliteStore, Store
from tests.server.serving import LogRecords, RawClient, serve
from tests.services.talking import Remembered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PLUG = "plug://127.0.0.1:0"


class SlowLog(MemoryLog):
    """A log whose writes and reads wait until they are let, and then may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.writes, self.reads = asyncio.Event(), asyncio.Event()
        self.writes.set()
        self.reads.set()
        self.write_error: Exception | None = None
        self.read_error: Exception | None = None
        self.readers = 0

    async def append(self, topic: str, entries: Sequence[Entry], **options: Any) -> Receipt:
        await self.writes.wait()
        if self.write_error is not None:
            raise self.write_error
        return await super().append(topic, entries, **options)

    async def read(self, topic: str, start: int, **options: Any) -> Batch:
        self.readers += 1
        await self.reads.wait()
        if self.read_error is not None:
            raise self.read_error
        return await super().read(topic, start, **options)


def slow_store() -> tuple[MemoryStore, SlowLog]:
    store, log = MemoryStore(), SlowLog()
    store.log = log
    return store, log


def facilities_of(store: Store, records: LogRecords | None = None) -> Facilities:
    return Facilities(store=store, log=(records or LogRecords()).log())


async def enter(address: str, *said: str) -> RawClient:
    client = await RawClient.to(address)
    await client.say("".join(f"{line}\n" for line in ("talk lobby", *said)).encode())
    return client


async def hear(client: RawClient, *lines: str) -> None:
    assert [(await client.hear_line()).decode() for _ in lines] == [f"{line}\n" for line in lines]


async def couple(address: str) -> tuple[RawClient, RawClient]:
    """Two in the room, one after the other."""
    one = await enter(address)
    await hear(one, "* you are guest-1 in lobby, and nobody else is here")
    two = await enter(address)
    await hear(two, "* you are guest-2 in lobby with guest-1")
    return one, two


async def say_and_leave(address: str, *said: str) -> None:
    client = await enter(address, *said, "886")
    await client.hear_all()
    await client.close()


async def test_what_was_said_before_a_restart_is_told_and_counted_on(tmp_path: Path) -> None:
    for run in range(3):
        store = await SqliteStore.open(tmp_path)
        service = make_talk("talk", TalkOptions(history=3), facilities_of(store))
        async with serve(PLUG, services=(service,)) as server:
            client = await enter(server.addresses[0])
            seen = [f"guest-1: {text} {each}" for each in range(run) for text in "ab"][-3:]
            await hear(client, "* you are guest-1 in lobby, and nobody else is here")
            if seen:
                await hear(client, f"* said before ({len(seen)}):", *seen)
            await client.say(f"a {run}\nb {run}\n886\n".encode())
            await client.hear_all()
            await client.close()
            await server.drain(5)
        batch = await store.log.read("talk/lobby", 1)
        assert [each.position for each in batch.messages] == list(range(1, 2 * run + 3))
        assert batch.messages[-1].body == f"b {run}".encode()
        await store.close()


async def test_a_room_is_let_go_when_all_have_left_and_comes_back_from_the_store() -> None:
    facilities = facilities_of(MemoryStore())
    service = make_talk("talk", TalkOptions(), facilities)
    halls = Remembered(facilities)
    async with serve(PLUG, services=(service,)) as server:
        await say_and_leave(server.addresses[0], "hello")
        await halls.gone()
        client = await enter(server.addresses[0])
        await hear(
            client, "* you are guest-1 in lobby, and nobody else is here", "* said before (1):", "guest-1: hello"
        )
        await client.close()


async def test_twins_of_a_room_have_one_topic() -> None:
    store = MemoryStore()
    async with serve(PLUG, services=(make_talk("talk", TalkOptions(), facilities_of(store)),)) as server:
        for name in ("Lobby", "LOBBY"):
            client = await RawClient.to(server.addresses[0])
            await client.say(f"talk {name}\nin {name}\n886\n".encode())
            await client.hear_all()
            await client.close()
    assert {topic: span.last for topic, span in (await store.log.topics()).items()} == {"talk/lobby": 2}


async def test_several_who_come_at_once_wait_for_the_same_reading() -> None:
    store, log = slow_store()
    log.reads.clear()
    async with serve(PLUG, services=(make_talk("talk", TalkOptions(), facilities_of(store)),)) as server:
        clients = [await enter(server.addresses[0]) for _ in range(3)]
        async with asyncio.timeout(5):
            while not log.readers:
                await asyncio.sleep(0)
        await clients[0].close()  # the one who came first does not stay
        log.reads.set()
        for client in clients[1:]:
            assert (await client.hear_line()).startswith(b"* you are guest-")
        assert log.readers == 1
        for client in clients[1:]:
            await client.close()


async def test_the_talk_does_not_wait_for_the_disk() -> None:
    store, log = slow_store()
    log.writes.clear()
    async with serve(PLUG, services=(make_talk("talk", TalkOptions(), facilities_of(store)),)) as server:
        one, two = await couple(server.addresses[0])
        for number in range(100):
            await one.say(f"{number}\n".encode())
            await hear(two, f"guest-1: {number}")
        assert (await log.span("talk/lobby")).last == 0
        log.writes.set()
        await one.close()
        await two.close()
    assert (await log.span("talk/lobby")).last == 100


async def test_a_store_that_fails_stops_no_talk_and_is_told_once() -> None:
    store, log = slow_store()
    records = LogRecords()
    log.write_error = StoreFailed("data", "the disk is gone")
    async with serve(PLUG, services=(make_talk("talk", TalkOptions(), facilities_of(store, records)),)) as server:
        one, two = await couple(server.addresses[0])
        for text in ("a", "b"):
            await one.say(f"{text}\n".encode())
            await hear(two, f"guest-1: {text}")
        await records.wait_for("talk_not_kept")
        await one.close()
        await two.close()
    assert len(records.events("talk_not_kept")) == 1


async def test_a_store_that_cannot_be_read_opens_a_room_without_a_past() -> None:
    store, log = slow_store()
    records = LogRecords()
    log.read_error = StoreDamaged("data/log.db", "page 7")
    async with serve(PLUG, services=(make_talk("talk", TalkOptions(), facilities_of(store, records)),)) as server:
        client = await enter(server.addresses[0], "hello", "/who")
        await hear(client, "* you are guest-1 in lobby, and nobody else is here", "* 1 here: guest-1")
        await client.close()
    (event,) = records.events("talk_not_loaded")
    assert event["room"] == "lobby"
    assert "page 7" in event["problem"]
    assert (await log.span("talk/lobby")).last == 0


async def test_a_store_that_never_answers_opens_a_room_without_a_past() -> None:
    store, log = slow_store()
    records = LogRecords()
    log.reads.clear()
    service = make_talk("talk", TalkOptions(patience=0.01), facilities_of(store, records))
    async with serve(PLUG, services=(service,)) as server:
        client = await enter(server.addresses[0])
        await hear(client, "* you are guest-1 in lobby, and nobody else is here")
        await client.close()
    assert records.events("talk_not_loaded") == [{"room": "lobby", "problem": "nothing came within 0.01 s"}]


async def test_a_room_whose_words_are_not_on_disk_yet_is_not_let_go() -> None:
    store, log = slow_store()
    log.writes.clear()
    facilities = facilities_of(store)
    service = make_talk("talk", TalkOptions(patience=0.01, keep=0.01, rooms=1), facilities)
    halls = Remembered(facilities)
    async with serve(PLUG, services=(service,)) as server:
        await say_and_leave(server.addresses[0], "hello")
        async with asyncio.timeout(5):
            while halls["lobby"].forgetting is None:  # it was to be let go, and could not
                await asyncio.sleep(0.001)
        other = await RawClient.to(server.addresses[0])
        await other.say(b"talk other\n")
        await hear(other, "* there are 1 rooms already; come into one of them")
        await other.close()
        client = await enter(server.addresses[0])
        await hear(
            client, "* you are guest-2 in lobby, and nobody else is here", "* said before (1):", "guest-1: hello"
        )
        log.writes.set()
        await client.close()
        await halls.gone()
    assert (await log.span("talk/lobby")).last == 1


async def test_who_leaves_last_does_not_wait_for_the_disk_and_others_may_come_and_go_meanwhile() -> None:
    store, log = slow_store()
    log.writes.clear()
    facilities = facilities_of(store)
    service = make_talk("talk", TalkOptions(), facilities)
    halls = Remembered(facilities)
    async with serve(PLUG, services=(service,)) as server:
        for _ in range(3):
            await say_and_leave(server.addresses[0], "hello")
        stays = await enter(server.addresses[0])
        await hear(stays, "* you are guest-4 in lobby, and nobody else is here", "* said before (3):")
        log.writes.set()
        async with asyncio.timeout(5):
            while (await log.span("talk/lobby")).last < 3:
                await asyncio.sleep(0)
        assert len(halls) == 1
        await stays.close()
        await halls.gone()


async def test_several_who_leave_while_the_disk_is_slow_let_go_of_the_room_once() -> None:
    store, log = slow_store()
    records = LogRecords()
    log.writes.clear()
    facilities = facilities_of(store, records)
    service = make_talk("talk", TalkOptions(), facilities)
    halls = Remembered(facilities)
    async with serve(PLUG, services=(service,), records=records) as server:
        for _ in range(3):
            await say_and_leave(server.addresses[0], "hello")
        log.writes.set()
        await server.drain(5)
    assert len(halls) == 0
    assert records.events("handler_failed") == []


async def test_a_server_that_stops_while_a_room_is_being_opened_says_so() -> None:
    store, log = slow_store()
    log.reads.clear()
    records = LogRecords()
    service = make_talk("talk", TalkOptions(), facilities_of(store))
    async with serve(PLUG, services=(service,), records=records) as server:
        client = await enter(server.addresses[0])
        async with asyncio.timeout(5):
            while not log.readers:
                await asyncio.sleep(0)
        draining = asyncio.create_task(server.drain(5))
        assert await client.hear_all() == b"* the server is stopping\n"
        log.reads.set()
        await client.close()
        assert await draining == 0
    assert records.events("handler_failed") == []
