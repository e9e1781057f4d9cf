"""What an inbox answers, question by question."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import anyplug
from anyplug import Code, ConnectionClosed, Limits, Refused
from anyplug.messages import Ended, Replies
from anyplug.schemas.inbox import Acknowledged, Answer, Facts, Found, Read, Topics
from anyplug.schemas.speech import Speech
from anyplug.services.inbox_reading import largest_body
from anyplug.store import MemoryStore, Retention
from tests.server.serving import PlugClient
from tests.services.inboxes import keeping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anyplug.connection import Connection

CODECS = ["msgpack", "json", "text", "bytes"]


@pytest.fixture
async def log() -> AsyncIterator[tuple[anyplug.Server, str]]:
    """An inbox whose topic ``log`` holds the texts 1 to 10, received at these seconds."""
    async with keeping() as (server, address):
        for number in range(1, 11):
            server.facilities.clock = lambda number=number: number * 1_000_000_000  # type: ignore[misc]
            async with anyplug.connect(address) as peer:
                await peer.post(str(number))
        yield server, address


async def asked(address: str, question: dict[str, Any], codec: str = "msgpack") -> Any:
    """The answer to a question, given as any program could give it."""
    async with anyplug.connect(address, codec=codec) as peer:
        return await ask(peer, question, codec)


async def ask(peer: Connection[Any], question: dict[str, Any], codec: str = "msgpack") -> Any:
    if codec in {"msgpack", "json"}:
        return await peer.ask(question)
    text = msgspec.json.encode(question)
    answer = await peer.ask(text.decode() if codec == "text" else text)
    return msgspec.json.decode(answer)


def values(found: Found) -> list[Any]:
    return [each.value for each in found]


# From where.

PLACES = [
    ({}, range(1, 11)),
    ({"start": 4}, range(4, 11)),
    ({"start": 10}, [10]),
    ({"start": 11}, []),
    ({"last": 3}, [8, 9, 10]),
    ({"last": 100}, range(1, 11)),
    ({"last": 0}, []),
    ({"since": 4_000_000_000}, range(4, 11)),
    ({"since": 4_000_000_001}, range(5, 11)),
    ({"since": -5}, range(1, 11)),
    ({"since": 11_000_000_000}, []),
    ({"start": 2, "limit": 3}, [2, 3, 4]),
    ({"start": 2, "most": 4}, [2, 3]),
    ({"start": 2, "most": 1}, [2]),
    ({"start": None, "last": None, "reader": "", "later": "a field of another version"}, range(1, 11)),
]


@pytest.mark.parametrize(("question", "numbers"), PLACES)
async def test_where_a_read_begins_and_ends(
    log: tuple[anyplug.Server, str], question: dict[str, Any], numbers: Sequence[int]
) -> None:
    found = await asked(log[1], {"type": "read", **question})
    assert [each["position"] for each in found["messages"]] == list(numbers)
    assert (found["first"], found["last"]) == (1, 10)
    assert found["next"] == (numbers[-1] + 1 if len(numbers) else found["next"])
    assert "missed" not in found


@pytest.mark.parametrize("codec", CODECS)
async def test_questions_and_answers_travel_in_every_codec(log: tuple[anyplug.Server, str], codec: str) -> None:
    address = log[1]
    speech: Speech[Answer] = Speech(codec, Answer)

    async def answer(question: dict[str, Any]) -> Answer:
        async with anyplug.connect(address, type=speech.type, codec=codec) as peer:
            said = question if codec in {"msgpack", "json"} else msgspec.json.encode(question)
            return speech.heard(await peer.ask(said.decode() if codec == "text" else said))  # type: ignore[union-attr]

    found = await answer({"type": "read", "start": 10, "reader": "r"})
    assert isinstance(found, Found)
    assert (values(found), found.messages[0].body) == (["10"], b"\xa210")
    assert await answer({"type": "acknowledge", "reader": "r", "position": 3}) == Acknowledged(position=3)
    topics = await answer({"type": "list"})
    assert isinstance(topics, Topics)
    assert [(each.name, each.first, each.last, each.count) for each in topics.topics] == [("log", 1, 10, 10)]
    facts = await answer({"type": "info"})
    generation = log[0].facilities.durable.generation
    most = largest_body(Limits().message)
    assert facts == Facts(topic="log", first=1, last=10, message=most, generation=generation)


BAD_QUESTIONS: list[tuple[dict[str, Any], Code, str]] = [
    ({"type": "read", "start": 12}, Code.BEYOND_END, "position 12 does not exist yet, the last one is 10"),
    ({"type": "read", "start": 0}, Code.BAD_MESSAGE, r">= 1 - at `\$.start`"),
    ({"type": "read", "last": -1}, Code.BAD_MESSAGE, r">= 0 - at `\$.last`"),
    ({"type": "read", "limit": 0}, Code.BAD_MESSAGE, r"\$.limit"),
    ({"type": "read", "most": 0}, Code.BAD_MESSAGE, r"\$.most"),
    ({"type": "read", "wait": -1}, Code.BAD_MESSAGE, r"\$.wait"),
    ({"type": "read", "wait": math.nan}, Code.BAD_MESSAGE, r"\$.wait"),
    ({"type": "read", "start": "1"}, Code.BAD_MESSAGE, "Expected `int | null`, got `str`"),
    ({"type": "read", "start": 1, "last": 1}, Code.BAD_MESSAGE, "one place: start, last or since"),
    ({"type": "read", "last": 1, "since": 1}, Code.BAD_MESSAGE, "one place: start, last or since"),
    ({"type": "read", "reader": "a\0b"}, Code.BAD_MESSAGE, "name of a reader holds only what can be seen"),
    ({"type": "read", "reader": "x" * 129}, Code.BAD_MESSAGE, "name of a reader has 128 bytes at most"),
    ({"type": "acknowledge", "reader": "", "position": 1}, Code.BAD_MESSAGE, "name of a reader is empty"),
    ({"type": "acknowledge", "reader": "r", "position": 11}, Code.BEYOND_END, "position 11 does not exist yet"),
    ({"type": "acknowledge", "reader": "r"}, Code.BAD_MESSAGE, "missing required field `position`"),
    ({"type": "write"}, Code.BAD_MESSAGE, "Invalid value 'write'"),
    ({"start": 1}, Code.BAD_MESSAGE, "missing required field `type`"),
]


@pytest.mark.parametrize(("question", "code", "problem"), BAD_QUESTIONS)
async def test_a_question_that_cannot_be_is_refused_and_the_conversation_goes_on(
    log: tuple[anyplug.Server, str], question: dict[str, Any], code: Code, problem: str
) -> None:
    async with anyplug.connect(log[1]) as peer:
        with pytest.raises(Refused, match=problem) as caught:
            await peer.ask(question)
        assert caught.value.code is code
        assert (await peer.ask({"type": "read", "last": 1}))["next"] == 11


async def test_a_text_that_is_no_question_is_refused(log: tuple[anyplug.Server, str]) -> None:
    async with anyplug.connect(log[1], codec="text") as peer:
        with pytest.raises(Refused, match="not a valid json message"):
            await peer.ask("hello")
    async with anyplug.connect(log[1], codec="bytes") as peer:
        with pytest.raises(Refused, match="not a valid json message"):
            await peer.ask(b"\xff")


async def test_an_empty_topic_has_nothing_to_give_and_nothing_behind_it(log: tuple[anyplug.Server, str]) -> None:
    address = log[1].replace("/log", "/empty")
    assert await asked(address, {"type": "read"}) == {
        "type": "found", "messages": [], "first": 1, "last": 0, "next": 1,
    }  # fmt: skip
    with pytest.raises(Refused, match="position 2 does not exist yet, the last one is 0"):
        await asked(address, {"type": "read", "start": 2})


async def test_what_retention_took_is_told_as_missed() -> None:
    store = MemoryStore()
    async with keeping(store=store) as (_, address), anyplug.Inbox(address) as inbox:
        await inbox.post_many(list(range(1, 11)))
        await store.log.trim("inbox/log", Retention(count=3), now=0)
        found = await inbox.read(2)
        assert (values(found), found.missed, found.first, found.next) == ([8, 9, 10], 6, 8, 11)
        assert (await inbox.last(100)).missed == 0
        await store.log.trim("inbox/log", Retention(count=0), now=0)
        found = await inbox.read(2)
        assert (values(found), found.missed, found.first, found.last, found.next) == ([], 9, 11, 10, 11)


async def test_an_answer_fits_what_the_reader_takes() -> None:
    async with keeping() as (_, address):
        async with anyplug.Inbox(address, codec="bytes", name="n" * 128) as inbox:
            await inbox.post_many([b"x" * 100] * 2000)
            at = await inbox.post(b"x" * 60_000)
        small = Limits(message=16_384)
        for codec in CODECS:
            async with anyplug.Inbox(address, codec=codec, limits=small) as inbox:
                assert len(await inbox.read(limit=2000)) == 2000
                with pytest.raises(Refused, match=f"message {at} has 60,000 bytes") as caught:
                    await inbox.read(at)
                assert caught.value.code is Code.TOO_LARGE
                assert f"read on from {at + 1}" in caught.value.text


async def test_one_answer_holds_a_thousand_messages_or_a_mebibyte_and_the_next_goes_on() -> None:
    async with keeping() as (_, address), anyplug.connect(address, codec="bytes") as peer:
        await peer.post_many([b"x"] * 1500)
        await peer.post_many([b"x" * 300_000] * 5)
        first = await ask(peer, {"type": "read", "limit": 10**9}, "bytes")
        assert (len(first["messages"]), first["next"], first["last"]) == (1000, 1001, 1505)
        large = await ask(peer, {"type": "read", "start": 1501, "most": 10**12}, "bytes")
        assert (len(large["messages"]), large["next"]) == (3, 1504)


# Named readers.


async def test_a_named_reader_begins_behind_what_it_has_acknowledged(log: tuple[anyplug.Server, str]) -> None:
    async with anyplug.Inbox(log[1]) as inbox:
        assert len(await inbox.read(reader="r")) == 10
        assert await inbox.acknowledge("r", 7) == 7
        assert await inbox.acknowledge("r", 3) == 7
        assert values(await inbox.read(reader="r")) == ["8", "9", "10"]
        assert len(await inbox.read(reader="another")) == 10


async def test_what_a_reader_was_given_before_is_marked(log: tuple[anyplug.Server, str]) -> None:
    async with anyplug.Inbox(log[1]) as inbox:
        assert [each.redelivered for each in await inbox.read(reader="r", limit=3)] == [False] * 3
        assert [each.redelivered for each in await inbox.read(reader="r", limit=5)] == [True] * 3 + [False] * 2
        assert [each.redelivered for each in await inbox.read(4, reader="r", limit=1)] == [True]
        assert [each.redelivered for each in await inbox.read(limit=1)] == [False]


async def test_the_mark_is_set_before_the_messages_are_given_away(log: tuple[anyplug.Server, str]) -> None:
    server, address = log
    async with anyplug.Inbox(address) as inbox:
        await inbox.read(reader="r", limit=4)
        cursor = await server.facilities.durable.log.cursor("inbox/log", "r")
        assert (cursor.acknowledged, cursor.delivered) == (0, 4)


async def test_an_answer_without_messages_moves_no_cursor() -> None:
    async with keeping() as (server, address), anyplug.Inbox(address) as inbox:
        assert len(await inbox.read(reader="r")) == 0
        assert (await server.facilities.durable.log.cursor("inbox/log", "r")).delivered == 0


# Waiting.


async def waiting(server: anyplug.Server, count: int) -> None:
    """Until so many questions wait for a message."""
    followers = server.facilities.durable.log._followers  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        while sum(map(len, followers._waiting.values())) != count:
            await asyncio.sleep(0)


@pytest.mark.parametrize("wait", [60, 1e300, math.inf])
async def test_a_read_waits_for_a_message_and_is_answered_as_soon_as_it_comes(wait: float) -> None:
    async with keeping() as (server, address):
        async with anyplug.connect(address) as peer, anyplug.connect(address) as poster:
            asking = [asyncio.create_task(peer.ask({"type": "read", "wait": wait})) for _ in range(2)]
            await waiting(server, 2)
            await poster.post("new")
            for each in asking:
                assert [message["position"] for message in (await each)["messages"]] == [1]


async def test_a_read_that_waits_in_vain_is_answered_without_messages() -> None:
    async with keeping() as (server, address), anyplug.connect(address) as peer:
        found = await peer.ask({"type": "read", "wait": 0.01})
        assert (found["messages"], found["next"]) == ([], 1)
        await waiting(server, 0)


async def test_a_wait_goes_on_past_messages_of_other_topics() -> None:
    async with keeping() as (server, address), anyplug.connect(address) as peer:
        asking = asyncio.create_task(peer.ask({"type": "read", "wait": 60}))
        await waiting(server, 1)
        async with anyplug.connect(address.replace("/log", "/other")) as other:
            await other.post("elsewhere")
        async with anyplug.connect(address) as same:
            await same.post("here")
        assert [each["position"] for each in (await asking)["messages"]] == [1]


async def test_who_says_goodbye_while_a_read_waits_is_let_go_at_once() -> None:
    async with keeping() as (server, _):
        client = await PlugClient.to(server.addresses[0])
        await client.open("inbox", rest="log")
        client.session.send_request(1, msgspec.msgpack.encode(Read(wait=60)))
        await client.flush()
        await waiting(server, 1)
        client.session.send_request(2, msgspec.msgpack.encode(Read(wait=60)))
        client.session.send_eof()
        await client.flush()
        async with asyncio.timeout(10):
            events = []
            while more := await client.events():
                events += more
        replies = [
            msgspec.msgpack.decode(body) for each in events if isinstance(each, Replies) for _, body in each.items
        ]
        assert [each["messages"] for each in replies] == [[], []]
        assert isinstance(events[-1], Ended)
        await waiting(server, 0)
        await client.close()


async def test_a_server_that_stops_ends_a_read_that_waits() -> None:
    async with keeping() as (server, address), anyplug.connect(address) as peer:
        asking = asyncio.create_task(peer.ask({"type": "read", "wait": 60}))
        await waiting(server, 1)
        assert await server.drain() == 0
        with pytest.raises(ConnectionClosed) as caught:
            await asking
        assert caught.value.code is Code.GOING_AWAY


async def test_a_store_that_closes_while_a_read_waits_is_told() -> None:
    async with keeping() as (server, address), anyplug.connect(address) as peer:
        asking = asyncio.create_task(peer.ask({"type": "read", "wait": 60}))
        await waiting(server, 1)
        await server.facilities.durable.close()
        with pytest.raises(Refused, match="closed"):
            await asking


async def test_questions_beyond_sixteen_wait_for_their_turn_and_all_are_answered() -> None:
    async with keeping() as (server, address), anyplug.connect(address) as peer:
        asking = [asyncio.create_task(peer.ask({"type": "read", "wait": 60})) for _ in range(40)]
        await waiting(server, 16)
        async with anyplug.connect(address) as poster:
            await poster.post("new")
        assert {len((await each)["messages"]) for each in asking} == {1}


# Topics.


async def test_topics_are_listed_in_order_and_in_pieces() -> None:
    async with keeping(spaces=("inbo",)) as (server, address):
        for topic in ("b", "a/2", "日", "a"):
            async with anyplug.connect(address.replace("/log", f"/{topic}")) as peer:
                await peer.post("x")
        await server.facilities.durable.log.append("inbox2/c", [])
        async with anyplug.Inbox(address) as inbox:
            assert [each.name for each in await inbox.topics()] == ["a", "a/2", "b", "日"]
        piece = await asked(address, {"type": "list", "after": "a", "limit": 2})
        assert ([each["name"] for each in piece["topics"]], piece["more"]) == (["a/2", "b"], True)
        rest = await asked(address, {"type": "list", "after": "b", "limit": 2})
        assert ([each["name"] for each in rest["topics"]], "more" in rest) == (["日"], False)


async def test_the_retention_of_a_topic_is_told() -> None:
    async with keeping(keep_age=60.0, keep_count=5, keep_bytes=100, message=9) as (_, address):
        async with anyplug.Inbox(address) as inbox:
            facts = await inbox.info()
            assert (facts.keep_age, facts.keep_count, facts.keep_bytes, facts.message) == (60.0, 5, 100, 9)
