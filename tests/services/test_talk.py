"""Rooms, as their members have them: over plug, over plain sockets, and with nc."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import anyplug
from anyplug import Code, ConnectionClosed
from anyplug.schemas.talk import Here, Joined, Left, Notice, Said, Welcome
from anyplug.services import Facilities
from anyplug.services.talk import SLICE
from tests.server.serving import LogRecords, serve
from tests.services.talking import LINES, NOW, PLUG, Remembered, enter, enter_lines, hear, rooms

# Who is here.


async def test_programs_hear_events_and_people_lines_of_the_same_room() -> None:
    async with serve(PLUG, LINES, services=(rooms(),)) as server:
        plug, plain = server.addresses
        nc = await enter_lines(plug, "talk lobby\r\n")
        await hear(nc, "* you are guest-1 in lobby, and nobody else is here")
        program = await enter(plug)
        welcome = Welcome(room="lobby", nick="guest-2", nicks=("guest-1",), here=2, position=0, history=0)
        assert await program.receive(5) == welcome
        await hear(nc, "* guest-2 joined (2 here)")
        socket = await enter_lines(plain)
        await hear(socket, "* you are guest-3 in lobby with guest-1, guest-2")
        assert await program.receive(5) == Joined(nick="guest-3", here=3, time=NOW)
        await hear(nc, "* guest-3 joined (3 here)")
        await program.send("hello")
        await hear(nc, "guest-2: hello")
        await hear(socket, "guest-2: hello")
        await nc.say("世界\r\n".encode())
        await hear(socket, "guest-1: 世界")
        assert await program.receive(5) == Said(position=2, nick="guest-1", text="世界", time=NOW)
        await socket.close()
        assert await program.receive(5) == Left(nick="guest-3", here=2, time=NOW)
        await hear(nc, "* guest-3 left (2 here)")
        await program.close()
        await hear(nc, "* guest-2 left (1 here)")
        await nc.close()


async def test_a_cut_is_told_as_a_break() -> None:
    async with serve(PLUG, services=(rooms(),)) as server:
        program, nc = await enter(server.addresses[0]), await enter_lines(server.addresses[0], "talk\n")
        await program.receive(5)
        await hear(nc, "* you are guest-2 in lobby with guest-1")
        program.abort()
        await hear(nc, "* guest-1 left (1 here): the connection broke")
        await nc.close()


async def test_the_blocking_face_is_in_the_same_room() -> None:
    from anyplug.blocking import connect

    async with serve(PLUG, services=(rooms(),)) as server:
        nc = await enter_lines(server.addresses[0], "talk\n")
        await hear(nc, "* you are guest-1 in lobby, and nobody else is here")

        def visit() -> list[str]:
            with connect(f"{server.addresses[0]}/talk/lobby") as peer:
                peer.send({"nick": "ann"})
                peer.send("hello")
                return [peer.receive(5)["type"] for _ in range(3)]

        task = asyncio.create_task(asyncio.to_thread(visit))
        await hear(nc, "* guest-2 joined (2 here)", "* guest-2 is now ann", "ann: hello")
        await nc.say(b"hi\n")
        assert await task == ["welcome", "renamed", "said"]
        await nc.close()


@pytest.mark.parametrize("codec", ["text", "bytes", "json", "msgpack"])
async def test_any_codec_hears_and_says(codec: str) -> None:
    async with serve(PLUG, services=(rooms(),)) as server:
        nc = await enter_lines(server.addresses[0], "talk\n")
        await hear(nc, "* you are guest-1 in lobby, and nobody else is here")
        async with anyplug.connect(f"{server.addresses[0]}/talk/lobby?codec={codec}") as peer:
            await peer.send("hällo" if codec != "bytes" else "hällo".encode())
            await hear(nc, "* guest-2 joined (2 here)", "guest-2: hällo")
            await nc.say(b"hi\n")
            await peer.receive(5)
            line = {"text": "guest-1: hi", "bytes": b"guest-1: hi"}
            as_map = {"type": "said", "position": 2, "nick": "guest-1", "text": "hi", "time": NOW}
            assert await peer.receive(5) == line.get(codec, as_map)
        await nc.close()


async def test_pickled_objects_over_a_header_are_in_the_room_too() -> None:
    async with serve(f"{LINES}?framing=header&codec=pickled", LINES, services=(rooms(),)) as server:
        objects, plain = server.addresses
        nc = await enter_lines(plain)
        await hear(nc, "* you are guest-1 in lobby, and nobody else is here")
        async with anyplug.connect(objects, framing="header", codec="pickled") as peer:
            assert (await peer.receive(5))["nicks"] == ("guest-1",)
            await peer.send({"say": "hällo"})
            await hear(nc, "* guest-2 joined (2 here)", "guest-2: hällo")
            await nc.say(b"hi\n")
            assert (await peer.receive(5))["text"] == "hi"
        await nc.close()


async def test_a_raw_stream_hears_lines_and_says_what_arrives() -> None:
    async with serve(f"{LINES}?framing=raw", services=(rooms(),)) as server:
        one, other = await enter_lines(server.addresses[0]), await enter_lines(server.addresses[0])
        await one.hear_line()
        await hear(other, "* you are guest-2 in lobby with guest-1")
        await hear(one, "* guest-2 joined (2 here)")
        await one.say(b"one\ntwo\n\nthree")
        await hear(other, "guest-1: one", "guest-1: two", "guest-1: three")
        await one.say(b"886\nnot heard\n")
        assert (await one.hear_all()) == b"* bye, guest-1\n"
        await hear(other, "* guest-1 left (1 here): 886")
        await one.close()
        await other.close()


async def test_packets_are_a_line_each(tmp_path: Any) -> None:
    import socket

    async with serve(f"unix+seqpacket://{tmp_path}/s?service=talk", services=(rooms(),)) as server:
        loop = asyncio.get_running_loop()
        path = server.addresses[0].removeprefix("unix+seqpacket://").partition("?")[0]
        socks = []
        for _ in range(2):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            sock.setblocking(False)
            await loop.sock_connect(sock, path)
            socks.append(sock)
            assert (await loop.sock_recv(sock, 4096)).startswith(b"* you are guest-")
        one, other = socks
        assert await loop.sock_recv(one, 4096) == b"* guest-2 joined (2 here)"
        for text in (b"a", b"b"):
            await loop.sock_sendall(other, text)
        assert [await loop.sock_recv(one, 4096) for _ in range(2)] == [b"guest-2: a", b"guest-2: b"]
        for sock in socks:
            sock.close()


# Rooms and names.


async def test_rooms_are_apart_and_twins_are_one() -> None:
    async with serve(PLUG, services=(rooms(),)) as server:
        here = await enter_lines(server.addresses[0], "talk Zoë\n")
        await hear(here, "* you are guest-1 in Zoë, and nobody else is here")
        elsewhere = await enter_lines(server.addresses[0], "talk/zoo\n")
        await hear(elsewhere, "* you are guest-1 in zoo, and nobody else is here")
        twin = await enter_lines(server.addresses[0], "talk ZOE\u0308\n")
        await hear(twin, "* you are guest-2 in Zoë with guest-1")
        await elsewhere.say(b"x\n886\n")
        await elsewhere.hear_all()
        await twin.say(b"hello\n")
        await hear(here, "* guest-2 joined (2 here)", "guest-2: hello")
        for client in (here, elsewhere, twin):
            await client.close()


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ("x" * 3000, "the name of a room has 64 characters at most, not 3,000"),
        ("a/b", "the name of a room has no / or ?"),
        ("lobby/", "the name of a room has no / or ?"),
        ("a\x00", "the name of a room holds only what can be seen"),
        ("a\u202eb", "the name of a room holds only what can be seen"),
        ("\x1b[2J", "the name of a room holds only what can be seen"),
        (" ", "the name of a room has no / or ?, and no space at its ends"),
    ],
)
async def test_a_room_that_cannot_be_is_refused_with_the_reason(rest: str, problem: str) -> None:
    async with serve(PLUG, services=(rooms(),)) as server:
        peer = await enter(server.addresses[0], rest)
        with pytest.raises(ConnectionClosed) as caught:
            await peer.receive(5)
        assert caught.value.code is Code.BAD_MESSAGE
        assert caught.value.text.startswith(problem)
        await peer.close()


async def test_with_nc_the_reason_is_a_line() -> None:
    async with serve(PLUG, services=(rooms(),)) as server:
        nc = await enter_lines(server.addresses[0], f"talk \x1b[2J{'x' * 10_000}\n")
        line = (await nc.hear_all()).decode()
        assert line.startswith("* the name of a room has 64 characters at most, not 10,004: \\x1b[2Jxxx")
        assert line.count("\n") == 1
        assert "\x1b" not in line
        await nc.close()


async def test_without_a_name_one_is_in_the_room_of_the_house() -> None:
    async with serve(PLUG, LINES, services=(rooms(room="hall"),)) as server:
        peer = await enter(server.addresses[0], "")
        welcome = await peer.receive(5)
        assert isinstance(welcome, Welcome)
        assert welcome.room == "hall"
        await peer.close()


@pytest.mark.parametrize("rest", ["lobby?nick=ann", "?nick=ann"])
async def test_a_name_may_come_with_the_room(rest: str) -> None:
    async with serve(PLUG, services=(rooms(),)) as server:
        nc = await enter_lines(server.addresses[0], f"talk {rest}\n")
        await hear(nc, "* you are ann in lobby, and nobody else is here")
        other = await enter(server.addresses[0], "lobby?nick=ANN")
        await other.receive(5)
        assert await other.receive(5) == Notice(text="somebody here is called ANN already")
        await other.close()
        await nc.close()


async def test_too_many_rooms_are_busy_and_empty_ones_make_room() -> None:
    async with serve(PLUG, services=(rooms(rooms=2),)) as server:
        one = await enter(server.addresses[0], "one")
        two = await enter(server.addresses[0], "two")
        for peer in (one, two):
            await peer.receive(5)
        third = await enter(server.addresses[0], "three")
        with pytest.raises(ConnectionClosed, match="there are 2 rooms already") as caught:
            await third.receive(5)
        assert caught.value.code is Code.BUSY
        await two.close()
        async with asyncio.timeout(5):
            while server.connections > 1:
                await asyncio.sleep(0)
        third = await enter(server.addresses[0], "three")
        assert isinstance(await third.receive(5), Welcome)
        await one.close()
        await third.close()


async def test_a_full_room_is_busy() -> None:
    async with serve(PLUG, services=(rooms(members=1),)) as server:
        one, two = await enter(server.addresses[0]), await enter(server.addresses[0])
        await one.receive(5)
        with pytest.raises(ConnectionClosed, match="the room lobby is full: 1 are in it"):
            await two.receive(5)
        await one.send("/who")
        assert await one.receive(5) == Here(nicks=("guest-1",), here=1)
        await one.close()


# What is said.


async def test_programs_say_what_they_like_and_what_is_neither_is_told() -> None:
    async with serve(PLUG, services=(rooms(),)) as server:
        nc = await enter_lines(server.addresses[0], "talk\n")
        peer: anyplug.Connection[Any] = await anyplug.connect(f"{server.addresses[0]}/talk")
        await peer.receive(5)
        said = [{"nick": "ann"}, {"say": "/quit"}, {"say": "886"}, {"say": "a\n* b\x1b"}, b"bytes", {"nick": "a b"}]
        wrong: list[Any] = [5, None, [], {"say": 5}, {"other": "x"}, {"say": "x", "nick": "y"}, b"\xff"]
        await peer.send_many([*said, *wrong])
        await hear(nc, "* you are guest-1 in lobby, and nobody else is here", "* guest-2 joined (2 here)")
        await hear(nc, "* guest-2 is now ann", "ann: /quit", "ann: 886", "ann: a\\n* b\\x1b", "ann: bytes")
        assert (await peer.receive(5))["type"] == "renamed"
        notices = [(await peer.receive(5))["text"] for _ in range(1 + len(wrong))]
        assert notices[0].startswith("a name has no spaces")
        assert notices[1:-1] == ['say a text, {"say": text}, or {"nick": name}'] * (len(wrong) - 1)
        assert notices[-1] == "that was not understood, it is no UTF-8: invalid start byte"
        await peer.close()
        await nc.close()


async def test_what_is_no_text_is_told_and_the_talk_goes_on() -> None:
    async with serve(LINES, services=(rooms(),)) as server:
        one, other = await enter_lines(server.addresses[0]), await enter_lines(server.addresses[0])
        await hear(other, "* you are guest-2 in lobby with guest-1")
        await one.hear_line()
        await one.hear_line()
        await one.say(b"\xff\xfe\nhello\n")
        assert (await one.hear_line()).startswith(b"* that was not understood: not a valid text message: byte 0xff")
        await hear(other, "guest-1: hello")
        await one.close()
        await other.close()


async def test_nobody_can_write_on_the_terminals_of_others() -> None:
    async with serve(PLUG, services=(rooms(),)) as server:
        nc = await enter_lines(server.addresses[0], "talk\n")
        await nc.hear_line()
        evil = await enter_lines(server.addresses[0], "talk lobby?nick=\x1b[2J\n")
        await evil.say("\x1b[2J\u202e\x9b\n/nick a\u200fb\n/quit \x07\u2066\n".encode())
        told = (await evil.hear_all()).decode()
        heard = [(await nc.hear_line()).decode() for _ in range(3)]
        assert heard == [
            "* guest-2 joined (2 here)\n",
            "guest-2: \\x1b[2J\\u202e\\x9b\n",
            "* guest-2 left (1 here): \\x07\\u2066\n",
        ]
        assert all(line.isprintable() for line in told.splitlines())
        await nc.close()
        await evil.close()


async def test_the_farewell_ends_that_conversation_in_order_and_no_other() -> None:
    records = LogRecords()
    async with serve(PLUG, LINES, services=(rooms(),), records=records) as server:
        stays, goes = await enter(server.addresses[0]), await enter(server.addresses[0])
        await goes.receive(5)
        await goes.send_many(["x", "886", "not heard", {"say": "not heard"}])
        assert await goes.receive(5) == Notice(text="bye, guest-2")
        with pytest.raises(ConnectionClosed) as caught:
            await goes.receive(5)
        assert caught.value.code is Code.OK
        events = [await stays.receive(5) for _ in range(4)][1:]
        assert events == [
            Joined(nick="guest-2", here=2, time=NOW),
            Said(position=1, nick="guest-2", text="x", time=NOW),
            Left(nick="guest-2", here=1, time=NOW, why="886"),
        ]
        await stays.close()
        await goes.close()
        await server.drain(5)
    assert records.events("handler_failed") == []


async def test_newcomers_hear_what_was_said_before_and_then_go_on() -> None:
    async with serve(PLUG, services=(rooms(history=2),)) as server:
        one = await enter_lines(server.addresses[0], "talk\na\nb\nc\n")
        await one.hear_line()
        two = await enter_lines(server.addresses[0], "talk\n")
        await hear(two, "* you are guest-2 in lobby with guest-1", "* said before (2):", "guest-1: b", "guest-1: c")
        await one.say(b"d\n")
        await hear(two, "guest-1: d")
        await one.close()
        await two.close()


async def test_a_room_that_everybody_left_is_remembered_for_a_while_or_not_at_all() -> None:
    for keep, history in ((3600.0, 1), (0.0, 0)):
        async with serve(PLUG, services=(rooms(keep=keep),)) as server:
            one = await enter_lines(server.addresses[0], "talk\nhello\n886\n")
            await one.hear_all()
            await one.close()
            two = await enter(server.addresses[0])
            welcome = await two.receive(5)
            assert isinstance(welcome, Welcome)
            assert (welcome.history, welcome.position) == (history, history)
            await two.close()


async def test_a_room_is_forgotten_when_its_time_is_over() -> None:
    facilities = Facilities()
    service = rooms(facilities, keep=0.1)
    halls = Remembered(facilities)
    async with serve(PLUG, services=(service,)) as server:
        for _ in range(2):
            one = await enter_lines(server.addresses[0], "talk\n")
            await one.hear_line()
            assert halls["lobby"].forgetting is None
            await one.say(b"886\n")
            await one.hear_all()
            await one.close()
        assert len(halls) == 1
        await halls.gone()


async def test_a_flood_is_heard_whole() -> None:
    async with serve(PLUG, services=(rooms(),)) as server:
        flood, calm = await enter(server.addresses[0]), await enter(server.addresses[0])
        await flood.receive(5)
        await calm.receive(5)
        count = 20 * SLICE + 1
        await flood.send_many([f"number {number}" for number in range(count)])
        await calm.send("calm")
        heard: list[str] = []
        while len(heard) < count:
            event = await calm.receive(5)
            if isinstance(event, Said):
                heard.append(event.text)
        assert heard == [f"number {number}" for number in range(count)]
        said = next(event for event in [await flood.receive(5), await flood.receive(5)] if isinstance(event, Said))
        assert said.text == "calm"
        await flood.close()
        await calm.close()


async def test_who_says_more_than_the_rate_allows_waits() -> None:
    loop = asyncio.get_running_loop()
    async with serve(LINES, services=(rooms(per_second=100),)) as server:
        one, other = await enter_lines(server.addresses[0]), await enter_lines(server.addresses[0])
        await other.hear_line()
        began = loop.time()
        await one.say(b"x\n" * 110)
        for _ in range(110):
            await hear(other, "guest-1: x")
        assert loop.time() - began >= 0.09  # a lower bound: the wait itself is what is asked for
        await one.close()
        await other.close()
