"""What an inbox keeps, and what it refuses to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import anyplug
from anyplug import Broken, Code, ConnectionClosed, Limits, PostRefused, Refused
from anyplug.errors import StoreFailed, StoreFull
from anyplug.messages import Acked, Ended, Kept, Nacked, Producer, Refusal
from anyplug.services import Facilities, InboxOptions, make_inbox
from anyplug.services.inbox import _acked
from anyplug.services.inbox_reading import largest_body
from anyplug.store import SqliteStore
from tests.server.serving import LogRecords, PlugClient, RawClient, serve
from tests.services.inboxes import PLUG, TYPES, hear, keeping, movable, wait_for_posts

if TYPE_CHECKING:
    from pathlib import Path


VALUES: dict[str, Any] = {
    "msgpack": {"a": [1, b"\0"]},
    "json": {"a": [1, None]},
    "text": "有内鬼",
    "bytes": b"\xff\0",
    "objects": {1: ({2}, 3 + 4j)},
}


@pytest.mark.parametrize("codec", list(VALUES))
async def test_a_post_is_read_back_with_all_that_is_known_of_it(codec: str) -> None:
    async with keeping() as (server, address):
        server.facilities.clock = lambda: 1_700_000_000_123_456_789
        async with anyplug.Inbox(address, codec=codec, name="ann") as inbox:
            assert await inbox.post(VALUES[codec]) == 1
            (message,) = await inbox.read()
            assert (message.position, message.received, message.value) == (1, 1_700_000_000_123_456_789, VALUES[codec])
            assert (message.content_type, message.name) == (TYPES[codec], "ann")
            assert message.sender == inbox.connection.local
            assert message.time.isoformat() == "2023-11-14T22:13:20.123456+00:00"


async def test_posts_have_neighbouring_positions_and_a_store_in_memory_is_named_as_such() -> None:
    async with keeping() as (_, address), anyplug.connect(address) as peer:
        assert await peer.post_many(["a"] * 3000) == list(range(1, 3001))
        assert peer.kept is Kept.MEMORY


async def test_a_post_to_a_store_on_disk_is_acknowledged_as_synced(tmp_path: Path) -> None:
    def set_up(server: anyplug.Server) -> None:
        server.add(make_inbox("inbox", InboxOptions(), server.facilities))

    async with serve(PLUG, set_up=set_up, store=tmp_path) as server:
        async with anyplug.Inbox(f"{server.addresses[0]}/inbox/log") as inbox:
            assert await inbox.post_many(["a", "b"]) == [1, 2]
            assert inbox.kept is Kept.SYNCED
    store = await SqliteStore.open(tmp_path)
    assert [each.body for each in (await store.log.read("inbox/log", 1)).messages] == [b"\xa1a", b"\xa1b"]
    await store.close()


async def test_without_a_topic_in_the_address_the_default_one_is_meant() -> None:
    async with keeping(topic="news") as (server, _):
        async with anyplug.Inbox(f"{server.addresses[0]}/inbox") as inbox:
            await inbox.post("a")
            assert (await inbox.info()).topic == "news"
            assert [each.name for each in await inbox.topics()] == ["news"]


async def test_services_of_one_space_share_their_topics_and_others_do_not() -> None:
    def set_up(server: anyplug.Server) -> None:
        for name, space in (("one", "shared"), ("two", "shared"), ("three", "")):
            server.add(make_inbox(name, InboxOptions(space=space), server.facilities))

    store, _ = movable()
    async with serve(PLUG, set_up=set_up, store=store) as server:
        where = server.addresses[0]
        async with anyplug.Inbox(f"{where}/one/log") as one, anyplug.Inbox(f"{where}/two/log") as two:
            await one.post("from one")
            assert [each.value for each in await two.read()] == ["from one"]
        async with anyplug.Inbox(f"{where}/three/log") as three:
            assert len(await three.read()) == 0
            assert await three.topics() == []


# Bad names.

BAD_TOPICS = [
    ("x" * 191, "190 bytes at most, not 191"),
    ("ü" * 96, "190 bytes at most, not 192"),
    ("x" * 3000, "190 bytes at most, not 3,000: xxx"),
    ("a\0b", "only what can be seen"),
    ("a\x1b[31mb", "only what can be seen"),
    ("a\nb", "only what can be seen"),
    ("a\u202eb", "only what can be seen"),
    ("a\u200bb", "only what can be seen"),
    ("a\\b", "no backslash"),
    ("\ud800", "only what can be seen"),
    ("/a", "the parts of a topic"),
    ("a/", "the parts of a topic"),
    ("a//b", "the parts of a topic"),
    ("a/../b", "the parts of a topic"),
    (".", "the parts of a topic"),
    (" a", "no space at its ends"),
]


@pytest.mark.parametrize(("topic", "problem"), BAD_TOPICS[:9] + BAD_TOPICS[10:])
async def test_a_topic_that_cannot_be_is_refused_before_the_conversation_begins(topic: str, problem: str) -> None:
    async with keeping() as (server, _):
        client = await PlugClient.to(server.addresses[0])
        (refusal,) = await client.hello("inbox", rest=topic)
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Code.BAD_MESSAGE
        assert problem in refusal.text
        assert len(refusal.text) < 200
        await client.close()


@pytest.mark.parametrize("topic", ["log", "a/b", "日誌", "x" * 190, "a b", "a.b", "..."])
async def test_a_topic_that_can_be_is_kept_under_its_name(topic: str) -> None:
    async with keeping() as (server, _):
        client = await PlugClient.to(server.addresses[0])
        await client.open("inbox", rest=topic)
        client.session.send_posts(1, [b"\x01"])
        await client.flush()
        assert await client.events() == [Acked(1, 1, 1, Kept.MEMORY)]
        store = server.facilities.durable
        assert list(await store.log.topics()) == [f"inbox/{topic}"]
        await client.close()


async def test_two_ways_to_write_one_character_are_one_topic() -> None:
    async with keeping() as (server, _):
        for topic in ("caf\u00e9", "cafe\u0301"):
            client = await PlugClient.to(server.addresses[0])
            await client.open("inbox", rest=topic)
            client.session.send_posts(1, [b"\x01"])
            await client.flush()
            assert isinstance((await client.events())[0], Acked)
            await client.close()
        assert list(await server.facilities.durable.log.topics()) == ["inbox/caf\u00e9"]


async def test_an_address_of_10_kilobytes_is_no_address() -> None:
    with pytest.raises(anyplug.AddressError):
        _ = anyplug.Inbox(f"plug://127.0.0.1/inbox/{'x' * 10_000}")


async def test_a_name_that_cannot_be_is_refused() -> None:
    async with keeping() as (_, address):
        with pytest.raises(Refused, match="name of a sender holds only what can be seen"):
            _ = await anyplug.Inbox(address, name="a\u202eb")
        with pytest.raises(Refused, match="128 bytes at most"):
            _ = await anyplug.Inbox(address, name="a" * 129)
        with pytest.raises(anyplug.LocalError, match="carries no name"):
            _ = anyplug.connect("tcp://127.0.0.1:1", name="ann")


async def test_a_server_without_a_store_says_so_when_the_conversation_begins() -> None:
    inbox = make_inbox("inbox", InboxOptions())
    async with serve(PLUG, services=(inbox,)) as server:
        with pytest.raises(Refused, match="was started without a store") as caught:
            _ = await anyplug.Inbox(f"{server.addresses[0]}/inbox/log")
        assert caught.value.code is Code.UNSUPPORTED


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"topic": ""}, "topic: the name of a topic is empty"),
        ({"topic": "a//b"}, "topic: the parts of a topic"),
        ({"space": "a/b"}, "space is 'a/b'; expected a name as services have"),
        ({"keep_count": -1}, "keep_count is -1; expected at least 0"),
        ({"keep_age": -1.0}, "keep_age is -1.0; expected at least 0"),
        ({"keep_bytes": -1}, "keep_bytes is -1"),
        ({"message": -1}, "message is -1"),
    ],
)
def test_options_that_cannot_be_are_named(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match="^" + problem.replace("(", r"\(")):
        InboxOptions(**options)


# Bad messages.


async def test_a_message_that_is_not_of_its_codec_is_refused_and_those_before_it_are_kept() -> None:
    async with keeping() as (server, address):
        client = await PlugClient.to(server.addresses[0])
        await client.open("inbox", rest="log")
        client.session.send_posts(1, [b"\x01", b"\x02", b"\xc1", b"\x04"])
        await client.flush()
        assert await hear(client, 2) == [
            Acked(1, 2, 1, Kept.MEMORY),
            Nacked(
                3,
                Refusal(
                    Code.BAD_MESSAGE,
                    "not a valid msgpack message: MessagePack data is malformed: invalid opcode '\\xc1' (byte 0)",
                ),
            ),
        ]
        client.session.send_posts(3, [b"\x05"])
        await client.flush()
        assert await client.events() == [Acked(3, 1, 3, Kept.MEMORY)]
        async with anyplug.Inbox(address) as inbox:
            assert [each.value for each in await inbox.read()] == [1, 2, 5]
        await client.close()


async def test_a_message_that_no_answer_could_hold_is_refused_and_the_largest_comes_back() -> None:
    limits = Limits(message=10_000)
    most = largest_body(10_000)
    async with keeping(limits=limits) as (_, address):
        for codec in ("bytes", "msgpack"):
            async with anyplug.Inbox(address, codec="bytes") as inbox:
                assert (await inbox.info()).message == most
                at = await inbox.post(b"x" * most)
                with pytest.raises(PostRefused) as caught:
                    await inbox.post_many([b"fits", b"x" * (most + 1)])
                assert caught.value.code is Code.TOO_LARGE
                assert f"{most + 1:,} bytes, and {most:,} can be kept" in str(caught.value)
            async with anyplug.Inbox(address, codec=codec) as inbox:
                found = await inbox.read(at)
                assert [len(each.body) for each in found] == [most, 4]
        async with anyplug.Inbox(address, codec="json") as inbox:
            assert [len(each.body) for each in await inbox.read()] == [most, 4, most, 4]


async def test_the_largest_message_can_be_set() -> None:
    async with keeping(message=10) as (_, address), anyplug.Inbox(address, codec="bytes") as inbox:
        assert await inbox.post(b"x" * 10) == 1
        with pytest.raises(PostRefused, match="11 bytes, and 10 can be kept"):
            await inbox.post(b"x" * 11)
        with pytest.raises(anyplug.TooLarge):  # above the limit of a message: that never leaves
            await inbox.post(b"x" * (Limits().message + 1))
        assert await inbox.post(b"goes on") == 2


# Producers.


async def test_a_sequence_that_comes_again_is_kept_once_and_gets_its_position() -> None:
    async with keeping() as (_, address):
        async with anyplug.connect(address, producer=Producer(b"p", 1)) as peer:
            assert await peer.post_many(["a", "b"]) == [1, 2]
        async with anyplug.connect(address) as other:
            assert await other.post("between") == 3
        async with anyplug.connect(address, producer=Producer(b"p", 1)) as peer:
            assert await peer.post_many(["a", "b", "c"]) == [1, 2, 4]


async def test_a_gap_in_the_sequence_is_told_with_the_one_that_is_expected() -> None:
    async with keeping() as (_, address), anyplug.connect(address, producer=Producer(b"p", 7)) as peer:
        with pytest.raises(PostRefused) as caught:
            await peer.post("a")
        assert (caught.value.code, caught.value.sequence) == (Code.GAP, 1)
        assert await peer.post("a") == 1


async def test_a_sequence_with_other_content_is_a_conflict_and_what_stands_before_it_is_kept() -> None:
    async with keeping() as (_, address):
        async with anyplug.connect(address, producer=Producer(b"p", 1)) as peer:
            await peer.post_many(["a", "b"])
        async with anyplug.connect(address, producer=Producer(b"p", 1)) as peer:
            with pytest.raises(PostRefused) as caught:
                await peer.post_many(["a", "other", "c"])
            assert (caught.value.code, caught.value.sequence) == (Code.CONFLICT, 2)
        async with anyplug.connect(address, producer=Producer(b"p", 2)) as peer:
            with pytest.raises(PostRefused) as caught:
                await peer.post("other")
            assert (caught.value.code, caught.value.sequence) == (Code.CONFLICT, 2)
        async with anyplug.Inbox(address) as inbox:
            assert [each.value for each in await inbox.read()] == ["a", "b"]


async def test_what_stands_before_a_conflict_is_acknowledged() -> None:
    async with keeping() as (server, address):
        async with anyplug.connect(address, codec="bytes", producer=Producer(b"p", 1)) as peer:
            await peer.post_many([b"a", b"b", b"c"])
        client = await PlugClient.to(server.addresses[0])
        await client.open("inbox", rest="log", codec="bytes", producer=b"p")
        client.session.send_posts(1, [b"a", b"b", b"other", b"d"])
        await client.flush()
        acked, nacked = await hear(client, 2)
        assert acked == Acked(1, 2, 1, Kept.MEMORY)
        assert isinstance(nacked, Nacked)
        assert (nacked.sequence, nacked.refusal.reason) == (3, Code.CONFLICT)
        await client.close()


async def test_an_identity_above_64_bytes_is_refused() -> None:
    async with keeping() as (_, address):
        with pytest.raises(Refused, match="64 bytes at most, not 65"):
            await anyplug.connect(address, producer=Producer(b"p" * 65, 1))


async def test_the_newer_of_two_connections_of_a_producer_wins_and_the_older_is_told() -> None:
    async with keeping() as (_, address):
        older = await anyplug.connect(address, producer=Producer(b"p", 1))
        assert await older.post("a") == 1
        async with anyplug.connect(address, producer=Producer(b"p", 2)) as newer:
            with pytest.raises(ConnectionClosed) as caught:
                await older.receive(10)
            assert caught.value.code is Code.TAKEN_OVER
            with pytest.raises(ConnectionClosed):
                await older.post("late")
            assert await newer.post("b") == 2
        await older.close()


async def test_what_the_older_connection_still_wanted_to_post_is_refused_before_its_end() -> None:
    store, log = movable()
    async with keeping(store=store) as (server, _):
        client = await PlugClient.to(server.addresses[0])
        await client.open("inbox", rest="log", producer=b"p")
        log.gate.clear()
        client.session.send_posts(1, [b"\x01"])
        await client.flush()
        await log.begun.wait()
        client.session.send_posts(2, [b"\x02"])
        await client.flush()
        await wait_for_posts(server, 1)
        newer = await PlugClient.to(server.addresses[0])
        await newer.open("inbox", rest="log", producer=b"p")
        log.gate.set()
        events = await hear(client, 3)
        assert events[0] == Acked(1, 1, 1, Kept.MEMORY)
        assert isinstance(events[1], Nacked)
        assert (events[1].sequence, events[1].refusal.reason) == (2, Code.TAKEN_OVER)
        assert isinstance(events[2], Ended)
        assert events[2].refusal.reason is Code.TAKEN_OVER
        newer.session.send_posts(2, [b"\x02"])
        await newer.flush()
        assert await newer.events() == [Acked(2, 1, 2, Kept.MEMORY)]
        for each in (client, newer):
            await each.close()


async def test_a_producer_whose_connection_has_ended_takes_nothing_over() -> None:
    records = LogRecords()
    async with keeping(records=records) as (server, address):
        for first in (1, 2):
            async with anyplug.connect(address, producer=Producer(b"p", first)) as peer:
                assert await peer.post("a") == first
        posting: dict[bytes, object] = server.facilities.shared("producers", dict)
        async with asyncio.timeout(10):
            while posting:
                await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("positions", "acked"),
    [
        ([5, 6, 7], [Acked(1, 3, 5)]),
        ([9], [Acked(1, 1, 9)]),
        ([0], [Acked(1, 1, 0)]),
        ([0, 0, 5, 6], [Acked(1, 2, 0), Acked(3, 2, 5)]),
        ([1, 2, 9, 11], [Acked(1, 2, 1), Acked(3, 1, 9), Acked(4, 1, 11)]),
        ([0, 1], [Acked(1, 1, 0), Acked(2, 1, 1)]),
    ],
)
def test_each_run_of_positions_is_one_acknowledgement(positions: list[int], acked: list[Acked]) -> None:
    assert _acked(1, positions, Kept.SYNCED) == acked


# The store.


@pytest.mark.parametrize(
    ("fault", "code", "problem"),
    [
        (StoreFull("/secret/path", "no space left"), Code.STORE_FULL, "no room"),
        (StoreFailed("/secret/path", "input/output error"), Code.STORE_FAILED, "has stopped"),
    ],
)
async def test_a_store_that_refuses_is_told_without_its_place(fault: Exception, code: Code, problem: str) -> None:
    store, log = movable()
    async with keeping("tcp://127.0.0.1:0/inbox/log", store=store) as (server, address):
        log.fault = fault
        async with anyplug.Inbox(address) as inbox:
            with pytest.raises(PostRefused, match=problem) as caught:
                await inbox.post("a")
            assert caught.value.code is code
            assert "secret" not in str(caught.value)
            plain = await RawClient.to(server.addresses[1])
            await plain.say(b"a\n")
            assert (await plain.hear_line()).startswith(f"{code.word}: ".encode())
            log.fault = None
            assert await inbox.post("a") == 1
            await plain.say(b"b\n")
            plain.end()
            assert await plain.hear_all() == b""
            assert [each.value for each in await inbox.read()] == ["a", "b"]
        await plain.close()


# Retention.


async def test_a_topic_is_trimmed_in_the_background_and_the_log_says_how_much() -> None:
    records = LogRecords()
    async with keeping(records=records, keep_count=3) as (_, address), anyplug.Inbox(address) as inbox:
        await inbox.post_many(list(range(10)))
        assert await records.wait_for("trimmed") == {"topic": "inbox/log", "messages": 7, "first": 8}
        found = await inbox.read()
        assert ([each.value for each in found], found.missed, found.first) == ([7, 8, 9], 7, 8)


# What the server shows.


async def test_new_messages_are_shown_with_their_positions_and_not_all_of_a_flood() -> None:
    shown: list[tuple[str, str]] = []
    async with keeping("tcp://127.0.0.1:0/inbox/log?framing=raw", show=True) as (server, address):
        server.facilities.show = lambda topic, message: shown.append((topic, message))
        async with anyplug.Inbox(address, name="ann") as inbox:
            await inbox.post({"a": 1})
            who = f"{inbox.connection.local} (ann)"
            assert shown == [("inbox/log 1", f"{who}: {{'a': 1}}")]
            await inbox.post_many(["x" * 2000] * 30)
        assert shown[1] == ("inbox/log 2", f"{who}: {'x' * 1000}…")
        assert shown[-1] == ("inbox/log 22", f"{who}: and 10 more")
        shown.clear()
        plain = await RawClient.to(server.addresses[1])
        await plain.say(b"text\r\n")
        plain.end()
        await plain.hear_all()
        assert [message.partition(": ")[2] for _, message in shown] == ["text"]
        async with anyplug.Inbox(address, codec="bytes") as inbox:
            await inbox.post(b"\xff\n")
        assert shown[-1][1].endswith(": \\xff")
        await plain.close()


async def test_a_duplicate_is_not_shown_again() -> None:
    shown: list[str] = []
    async with keeping(show=True) as (server, address):
        server.facilities.show = lambda _, message: shown.append(message.rpartition(" ")[2])
        for messages in (["a", "b"], ["a", "b", "c"]):
            async with anyplug.connect(address, producer=Producer(b"p", 1)) as peer:
                await peer.post_many(messages)
        assert shown == ["a", "b", "c"]


async def test_where_nobody_looks_nothing_is_shown() -> None:
    async with keeping(show=True) as (_, address), anyplug.Inbox(address) as inbox:
        assert await inbox.post("a") == 1


def test_an_inbox_can_be_made_to_be_looked_at_without_a_server() -> None:
    service = make_inbox("inbox", InboxOptions(), Facilities())
    assert (service.posts, service.asks) == (True, True)
    assert service.about == "Keeps every message; name a topic, as in: inbox log"


async def test_a_connection_that_breaks_after_its_posts_leaves_them_kept() -> None:
    async with keeping() as (server, address):
        client = await PlugClient.to(server.addresses[0])
        await client.open("inbox", rest="log")
        client.session.send_posts(1, [b"\x01"] * 100)
        await client.flush()
        assert isinstance((await client.events())[0], Acked)
        client.reset()
        async with anyplug.Inbox(address) as inbox:
            assert len(await inbox.read()) == 100


async def test_a_server_that_is_cut_leaves_a_post_unknown() -> None:
    store, log = movable()
    async with keeping(store=store) as (server, address):
        peer = await anyplug.connect(address)
        log.gate.clear()
        posting = asyncio.create_task(peer.post("a"))
        await log.begun.wait()
        draining = asyncio.create_task(server.drain(0))
        with pytest.raises((ConnectionClosed, Broken)):
            await posting
        log.gate.set()
        await draining
        await peer.close()
