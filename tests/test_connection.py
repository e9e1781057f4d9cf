"""The async end of a conversation: order, deadlines, backpressure, and ends at every byte."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import anyplug
from anyplug import (
    Broken,
    Code,
    Connection,
    ConnectionClosed,
    DecodeError,
    EncodeError,
    Limits,
    LocalError,
    Refused,
    Timeout,
    TooLarge,
)
from anyplug.services.base import conversation, reply
from anyplug.wire.incoming import BATCH, MESSAGE_COST
from tests.joined import Joined

if TYPE_CHECKING:
    from anyplug.transport.memory import Cut


async def mirror(peer: Connection[Any]) -> None:
    async for message in peer:
        await peer.send(message)


async def stay(peer: Connection[Any]) -> None:
    await asyncio.Event().wait()


MIRROR = conversation("mirror", mirror, type=str)
STAY = conversation("stay", stay, type=str)


def up(message: str) -> str:
    return message.upper()


UP = reply("up", up)
CANONICAL = ["", "a", "hello", "世界", "x" * 300, "end"]


async def converse(joined: Joined) -> list[str]:
    """A short session: what came back before it ended."""
    got: list[str] = []
    try:
        await joined.welcomed()
        await joined.peer.send_many(CANONICAL)
        await joined.peer.send_eof()
        async for message in joined.peer:
            got.append(message)  # noqa: PERF401 - what came before an error counts
        got.append("clean end")
    except anyplug.AnyplugError:
        pass
    finally:
        await joined.peer.close()
    return got


@pytest.mark.parametrize("plain", ["", "lines", "header", "prefix"])
@pytest.mark.parametrize("piece", [None, 1, 3])
async def test_a_session_is_the_same_however_it_is_cut_into_pieces(plain: str, piece: int | None) -> None:
    joined = Joined(MIRROR, plain=plain, piece=piece)
    assert await converse(joined) == [*CANONICAL, "clean end"]
    await joined.over()


async def sizes() -> tuple[int, int]:
    """Bytes that the two sides of the canonical session write."""
    joined = Joined(MIRROR)
    await converse(joined)
    return joined.client.bytes_sent, joined.far.bytes_sent


@pytest.mark.parametrize("how", ["reset", "eof"])
@pytest.mark.parametrize("side", ["near", "away"])
async def test_a_cut_at_every_byte_leaves_a_prefix_and_frees_the_server(side: str, how: Cut) -> None:
    said = (await sizes())[side == "away"]
    for after in range(said):
        joined = Joined(MIRROR, cut=(side, after, how))
        async with asyncio.timeout(10):
            got = await converse(joined)
        assert "clean end" not in got, after
        assert got == CANONICAL[: len(got)], after
        await joined.over()
        assert joined.records.events("handler_failed") == []


async def test_messages_of_one_batch_can_be_taken_one_by_one_or_all_at_once() -> None:
    joined = await Joined(MIRROR).welcomed()
    peer = joined.peer
    await peer.send_many([str(n) for n in range(10)])
    assert await peer.receive() == "0"
    assert await anext(aiter(peer)) == "1"
    got = await peer.receive_many()
    while len(got) < 8:
        got += await peer.receive_many()
    assert got == [str(n) for n in range(2, 10)]
    await peer.close()


async def test_breaking_out_of_a_loop_loses_nothing() -> None:
    joined = await Joined(MIRROR).welcomed()
    await joined.peer.send_many(["a", "b", "c"])
    async for message in joined.peer:
        assert message == "a"
        break
    assert [await joined.peer.receive(), await joined.peer.receive()] == ["b", "c"]
    await joined.peer.close()


async def test_a_time_out_leaves_the_conversation_usable() -> None:
    joined = await Joined(MIRROR).welcomed()
    with pytest.raises(Timeout, match=r"a message: no answer within 0\.01 s"):
        await joined.peer.receive(0.01)
    with pytest.raises(Timeout):
        await joined.peer.receive_many(0.01)
    await joined.peer.send("still")
    assert await joined.peer.receive(5) == "still"
    await joined.peer.close()


async def test_two_tasks_cannot_receive_at_once() -> None:
    joined = await Joined(STAY).welcomed()
    waiting = asyncio.create_task(joined.peer.receive())
    await asyncio.sleep(0)
    with pytest.raises(LocalError, match="another task is already receiving"):
        await joined.peer.receive()
    waiting.cancel()
    joined.peer.abort()
    await joined.server.drain(0)


async def test_a_cancelled_receive_takes_no_message() -> None:
    joined = await Joined(MIRROR).welcomed()
    waiting = asyncio.create_task(joined.peer.receive())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await joined.peer.send("kept")
    assert await joined.peer.receive(5) == "kept"
    await joined.peer.close()


async def test_a_bad_message_is_an_error_in_its_place() -> None:
    joined = Joined(conversation("bytes", mirror, type=bytes), plain="lines", codec="bytes", near_codec="text")
    strict = joined.peer
    joined.client.session.send_many([b"good", b"\xff", b"also good"])
    joined.client.flush()
    assert await strict.receive(5) == "good"
    with pytest.raises(DecodeError):
        await strict.receive(5)
    assert await strict.receive(5) == "also good"
    await strict.close()


# Asking.


async def test_answers_find_their_questions() -> None:
    joined = await Joined(UP).welcomed()
    assert await asyncio.gather(*(joined.peer.ask(f"q{n}") for n in range(20))) == [f"Q{n}" for n in range(20)]
    await joined.peer.close()


@pytest.mark.parametrize("plain", ["", "lines"])
async def test_in_a_conversation_the_answer_is_the_next_message(plain: str) -> None:
    joined = await Joined(MIRROR, plain=plain).welcomed()
    assert await asyncio.gather(*(joined.peer.ask(f"q{n}") for n in range(20))) == [f"q{n}" for n in range(20)]
    assert await joined.peer.ask_many(["a", "b"]) == ["a", "b"]
    await joined.peer.send("said")
    assert await joined.peer.receive(5) == "said"
    await joined.peer.close()


@pytest.mark.parametrize("plain", ["", "lines"])
async def test_a_late_answer_is_dropped_and_not_taken_for_the_next(plain: str) -> None:
    release = asyncio.Event()

    async def slow(peer: Connection[str]) -> None:
        async for message in peer:
            if message == "slow":
                await release.wait()
            await peer.send(f"to {message}")

    joined = await Joined(conversation("slow", slow, type=str), plain=plain).welcomed()
    with pytest.raises(Timeout, match="an answer"):
        await joined.peer.ask("slow", timeout=0.01)
    asking = asyncio.create_task(joined.peer.ask("next"))
    await asyncio.sleep(0)
    release.set()
    assert await asking == "to next"
    assert joined.peer.stats.late_answers == 1
    await joined.peer.close()


async def test_a_late_answer_to_a_request_is_dropped_too() -> None:
    release = asyncio.Event()

    async def slow(message: str) -> str:
        if message == "slow":
            await release.wait()
        return message

    joined = await Joined(reply("slow", slow)).welcomed()
    with pytest.raises(Timeout):
        await joined.peer.ask("slow", timeout=0.01)
    with pytest.raises(Timeout):
        await joined.peer.ask_many(["fast", "slow"], timeout=0.01)
    release.set()
    assert await joined.peer.ask("next") == "next"
    assert joined.peer.stats.late_answers == 2
    await joined.peer.close()


async def test_a_question_that_cannot_travel_leaves_no_trace() -> None:
    joined = await Joined(UP, limits=Limits(message=100)).welcomed()
    with pytest.raises(EncodeError):
        await joined.peer.ask(5)
    with pytest.raises(TooLarge, match="the limit is 100 bytes"):
        await joined.peer.ask("x" * 101)
    assert await joined.peer.ask("x" * 100) == "X" * 100
    await joined.peer.close()


async def test_who_waits_hears_of_the_end_whatever_it_waits_for() -> None:
    joined = await Joined(STAY).welcomed()
    works = [joined.peer.ask("x"), joined.peer.receive(), joined.peer.ask_many(["a", "b"])]
    tasks = [asyncio.create_task(work) for work in works]
    await asyncio.sleep(0)
    joined.far.abort()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, Broken)
    with pytest.raises(Broken):
        await joined.peer.ask("more")
    with pytest.raises(Broken):
        await joined.peer.receive()
    await joined.server.drain(0)


# Saying.


async def test_a_peer_that_does_not_read_holds_the_sender_back() -> None:
    joined = await Joined(STAY, limits=Limits(queue=64 * 1024)).welcomed()
    sent = 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            while True:
                await joined.peer.send("x" * 10_000)
                sent += 1
    assert 0 < sent * 10_000 < 1024 * 1024
    joined.far.abort()
    with pytest.raises(Broken):
        while True:
            await joined.peer.send("y" * 10_000)
    await joined.server.drain(0)


async def test_a_handler_that_takes_again_lets_the_peer_go_on() -> None:
    go = asyncio.Event()
    total = 0

    async def late(peer: Connection[str]) -> None:
        nonlocal total
        await go.wait()
        async for message in peer:
            total += len(message)

    joined = await Joined(conversation("late", late, type=str), limits=Limits(queue=64 * 1024)).welcomed()

    async def talk() -> None:
        for _ in range(100):
            await joined.peer.send("x" * 10_000)
        await joined.peer.close()

    talking = asyncio.create_task(talk())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not talking.done()
    assert joined.far.session.received < 300_000
    go.set()
    await talking
    assert total == 1_000_000


async def test_messages_above_one_frame_go_in_parts_and_above_the_limit_not_at_all() -> None:
    joined = await Joined(MIRROR).welcomed()
    large = "x" * (3 * 256 * 1024 + 5)
    assert await joined.peer.ask(large) == large
    with pytest.raises(TooLarge):
        await joined.peer.send("x" * (16 * 1024 * 1024 + 1))
    with pytest.raises(TooLarge):
        await joined.peer.send_many(["fine", "x" * (16 * 1024 * 1024 + 1)])
    assert await joined.peer.ask("still") == "still"
    await joined.peer.close()


async def test_after_the_end_nothing_can_be_said() -> None:
    joined = await Joined(MIRROR).welcomed()
    await joined.peer.close()
    await joined.peer.close()
    assert joined.peer.closed
    for work in (joined.peer.send("x"), joined.peer.send_many(["x"]), joined.peer.ask("x"), joined.peer.receive()):
        with pytest.raises(ConnectionClosed):
            await work


async def test_a_reason_reaches_the_other_end() -> None:
    ends: list[anyplug.AnyplugError] = []

    async def listen(peer: Connection[str]) -> None:
        try:
            await peer.receive()
        except ConnectionClosed as error:
            ends.append(error)

    joined = await Joined(conversation("listen", listen, type=str)).welcomed()
    await joined.peer.close(Code.GOING_AWAY, "back in a minute")
    await joined.over()
    assert [(end.code, str(end)) for end in ends] == [
        (Code.GOING_AWAY, "the connection is closed (going_away): back in a minute")
    ]


async def test_a_refused_message_is_raised_where_answers_are_received() -> None:
    def fail(message: str) -> str:
        raise ValueError

    joined = await Joined(reply("fail", fail)).welcomed()
    await joined.peer.send("x")
    with pytest.raises(Refused) as caught:
        await joined.peer.receive(5)
    assert caught.value.code is Code.FAILED
    await joined.peer.close()


# Facts.


async def test_counters_and_the_form_for_logs() -> None:
    joined = await Joined(MIRROR).welcomed()
    received, sent = joined.client.session.received, joined.client.bytes_sent
    assert repr(joined.peer) == f"<anyplug.Connection memory/mirror, open, {received} bytes in, {sent} out>"
    before = joined.peer.stats
    assert await joined.peer.ask("hello") == "hello"
    after = joined.peer.stats
    assert after.bytes_sent - before.bytes_sent == 9
    assert after.bytes_received - before.bytes_received == 9
    assert (after.bytes_waiting, after.bytes_queued, after.late_answers) == (0, 0, 0)
    await joined.peer.send("waits")
    async with asyncio.timeout(5):
        while not joined.peer.stats.bytes_waiting:
            await asyncio.sleep(0)
    assert joined.peer.stats.bytes_waiting == 5 + MESSAGE_COST
    await joined.peer.close()
    assert "closed" in repr(joined.peer)


async def test_the_block_closes_the_conversation_even_when_it_fails() -> None:
    joined = await Joined(MIRROR).welcomed()
    with pytest.raises(ZeroDivisionError):
        async with joined.peer:
            raise ZeroDivisionError
    assert joined.peer.closed
    await joined.over()


async def test_the_answer_to_a_single_message_leaves_at_once_and_in_order() -> None:
    """The first thing said after one message came does not wait for the end of the turn; the next does, behind it."""
    writes: list[list[bytes]] = []

    async def answer(peer: Connection[Any]) -> None:
        async for message in peer:
            for part in ("1", "2", "3"):
                await peer.send(message + part)
            writes.append(sent.copy())

    joined = Joined(conversation("answer", answer, type=str), plain="lines")
    sent: list[bytes] = []
    write = joined.away.write

    def note(data: bytes | bytearray | memoryview) -> None:
        sent.append(bytes(data))
        write(data)

    joined.away.write = note  # type: ignore[method-assign]
    await joined.peer.send("a")
    assert [await joined.peer.receive(5) for _ in range(3)] == ["a1", "a2", "a3"]
    assert writes == [[b"a1\n"]]
    assert sent == [b"a1\n", b"a2\na3\n"]
    await joined.peer.send_many(["b", "c"])
    assert [await joined.peer.receive(5) for _ in range(6)] == ["b1", "b2", "b3", "c1", "c2", "c3"]
    assert sent[2:] == [b"b1\nb2\nb3\nc1\nc2\nc3\n"]
    await joined.peer.close()


async def test_an_answer_that_is_not_taken_waits_like_any_other() -> None:
    limits = Limits(queue=1000)
    joined = Joined(MIRROR, plain="lines", limits=limits)
    joined.near.pause_reading()
    for _ in range(3):
        await joined.peer.send("x" * 900)
        for _ in range(20):
            await asyncio.sleep(0)
    assert joined.far.writing_paused
    joined.near.resume_reading()
    assert [await joined.peer.receive(5) for _ in range(3)] == ["x" * 900] * 3
    await joined.peer.close()


async def test_a_handler_that_is_flooded_lets_others_have_their_turn() -> None:
    turns: list[int] = []

    async def note(peer: Connection[Any]) -> None:
        while message := await anext(aiter(peer), ""):
            turns.append(passed[0] if message else 0)

    passed = [0]
    joined = Joined(conversation("note", note, type=str), plain="lines")
    other = Joined(STAY, plain="lines")
    joined.context.links.add(other.far)

    def pass_on() -> None:
        passed[0] += 1
        if len(turns) < 10 * BATCH:
            joined.loop.call_soon(pass_on)

    pass_on()
    await joined.peer.send_many(["x"] * (10 * BATCH))
    async with asyncio.timeout(5):
        while len(turns) < 10 * BATCH:
            await asyncio.sleep(0)
    assert turns[-1] - turns[0] >= 8
    joined.context.links.discard(other.far)
    await joined.peer.close()
    await other.peer.close()
