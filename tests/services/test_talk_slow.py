"""Members that do not read, and servers that stop: nobody else waits."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from anyplug import Code, ConnectionClosed, Limits
from anyplug.schemas.talk import Missed, Notice
from anyplug.services import Facilities, TalkOptions, make_talk
from anyplug.services.talk import SLICE
from tests.joined import Joined as Both
from tests.server.serving import LogRecords, serve
from tests.services.talking import NOW, PLUG, enter, enter_lines, hear, rooms

# Who does not read.


def joined(service: Any, **options: Any) -> Both:
    return Both(service, plain="lines", **options)


async def receive(both: Both, count: int) -> list[str]:
    return [await both.peer.receive(5) for _ in range(count)]


@pytest.mark.parametrize("plain", ["lines", ""])
async def test_who_does_not_read_is_left_out_and_told_how_much_it_missed(plain: str) -> None:
    records = LogRecords()
    service = rooms(Facilities(clock=lambda: NOW, log=records.log()), queue=200)
    stuck = await Both(service, plain=plain).welcomed()
    speaker = joined(service)
    listener = joined(service)
    await receive(listener, 1)
    await stuck.peer.receive_many(5)
    stuck.near.pause_reading()
    for number in range(100):
        await speaker.peer.send(f"message {number}")
        assert await listener.peer.receive(5) == f"guest-2: message {number}"
    assert stuck.away.get_write_buffer_size() < 1_000
    stuck.near.resume_reading()
    heard = 0
    while "missed" not in (line := await stuck.peer.receive(5)):
        assert "joined" in line or line == f"guest-2: message {heard}"
        heard += "joined" not in line
    assert 0 < heard < 50
    assert line == f"* you missed {100 - heard} messages"
    assert records.events("talk_missed") == [{"room": "lobby", "nick": "guest-1", "missed": 100 - heard}]
    await speaker.peer.send("again")
    assert await stuck.peer.receive(5) == "guest-2: again"
    for both in (stuck, speaker, listener):
        await both.peer.close()
        await both.over()


@pytest.mark.parametrize("plain", ["lines", ""])
async def test_who_does_not_read_is_cut_where_the_policy_says_so(plain: str) -> None:
    records = LogRecords()
    service = rooms(Facilities(clock=lambda: NOW, log=records.log()), queue=200, slow="disconnect")
    stuck = await Both(service, plain=plain).welcomed()
    speaker = joined(service)
    await receive(speaker, 1)
    await stuck.peer.receive_many(5)
    stuck.near.pause_reading()
    await speaker.peer.send("x" * 300)
    async with asyncio.timeout(5):
        while not stuck.far.writing_paused:
            await asyncio.sleep(0)
    assert stuck.far.session.sending
    await speaker.peer.send("this is too much")
    assert await speaker.peer.receive(5) == "* guest-1 left (1 here): too slow"
    assert records.events("talk_cut") == [{"room": "lobby", "nick": "guest-1"}]
    async with asyncio.timeout(5):
        while stuck.context.conversations:  # its handler does not wait for a peer that reads nothing
            await asyncio.sleep(0)
    assert stuck.context.links
    stuck.near.resume_reading()
    lines = []
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            lines.append(await stuck.peer.receive(5))
    if plain:
        assert lines[-1] == "* you did not read what was said: goodbye"
    else:
        assert (caught.value.code, caught.value.text) == (Code.SLOW, "you did not read what was said")
    for both in (stuck, speaker):
        await both.peer.close()
        await both.over()


async def test_who_asks_and_does_not_read_the_answers_is_heard_no_further() -> None:
    service = rooms(queue=500)
    stuck = joined(service)
    await receive(stuck, 1)
    stuck.near.pause_reading()
    for _ in range(4):
        await stuck.peer.send_many(["/who"] * 2_000)
    async with asyncio.timeout(5):
        while not stuck.far.writing_paused:
            await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert stuck.away.get_write_buffer_size() < 5_000
    stuck.near.resume_reading()
    assert await receive(stuck, 8_000) == ["* 1 here: guest-1"] * 8_000
    await stuck.peer.close()
    await stuck.over()


async def test_who_is_cut_while_it_waits_to_be_heard_says_no_more() -> None:
    service = rooms(queue=200, slow="disconnect")
    stuck, other = joined(service), joined(service)
    await receive(other, 1)
    await receive(stuck, 2)
    stuck.near.pause_reading()
    await stuck.peer.send_many([*["/help"] * 2_000, "last words"])
    async with asyncio.timeout(5):
        while not stuck.far.writing_paused:
            await asyncio.sleep(0)
    await other.peer.send("hello")
    assert await receive(other, 1) == ["* guest-1 left (1 here): too slow"]
    stuck.near.resume_reading()
    await stuck.peer.close()
    await stuck.over()
    assert stuck.records.events("handler_failed") == []
    await other.peer.send("/who")
    assert await receive(other, 1) == ["* 1 here: guest-2"]
    await other.peer.close()
    await other.over()


async def test_a_flood_lets_others_speak() -> None:
    service = rooms()
    flood, calm, listener = joined(service), joined(service), joined(service)
    await receive(listener, 1)
    count = 20 * SLICE
    await flood.peer.send_many([f"number {number}" for number in range(count)])
    await calm.peer.send("calm")
    heard = await receive(listener, count + 1)
    assert heard.index("guest-2: calm") < count / 2
    for both in (flood, calm, listener):
        await both.peer.close()
        await both.over()


async def test_in_a_small_room_comings_and_goings_are_heard_at_once() -> None:
    service = rooms()
    one = joined(service)
    await receive(one, 1)
    two = joined(service)
    await receive(two, 1)
    for _ in range(10):
        await asyncio.sleep(0)
    assert one.intake.incoming
    assert await receive(one, 1) == ["* guest-2 joined (2 here)"]
    for both in (one, two):
        await both.peer.close()
        await both.over()


async def test_what_came_before_a_cut_is_heard() -> None:
    service = rooms(queue=200)
    stuck, other = joined(service), joined(service)
    await receive(other, 1)
    await receive(stuck, 2)
    stuck.near.pause_reading()
    await stuck.peer.send_many([*["/help"] * 2_000, "last words"])
    async with asyncio.timeout(5):
        while not stuck.far.writing_paused:
            await asyncio.sleep(0)
    stuck.client.abort()
    assert await receive(other, 2) == ["guest-1: last words", "* guest-1 left (1 here): the connection broke"]
    await other.peer.close()
    await other.over()


async def test_a_peer_with_a_small_limit_is_told_that_it_missed_what_it_cannot_take() -> None:
    service = rooms()
    small = await Both(service, limits=Limits(message=200)).welcomed()
    large = await Both(service).welcomed()
    await small.peer.receive_many(5)
    await large.peer.send("x" * 300)
    await large.peer.send("short")
    heard = [await small.peer.receive(5) for _ in range(3)]
    assert heard == ["* guest-2 joined (2 here)", "* you missed 1 message", "guest-2: short"]
    for both in (small, large):
        await both.peer.close()
        await both.over()


async def test_what_the_link_has_to_say_itself_keeps_its_place() -> None:
    service = rooms()
    one, other = await Both(service).welcomed(), await Both(service).welcomed()
    await other.peer.receive_many(5)
    other.far.session.send_ping()
    await one.peer.send("hello")
    assert await other.peer.receive(5) == "guest-1: hello"
    assert other.far.session.queued == 0
    assert other.far.bytes_sent == other.client.session.received
    for both in (one, other):
        await both.peer.close()
        await both.over()


async def test_messages_larger_than_a_frame_go_in_parts() -> None:
    service = rooms(message=2_000_000)
    one, other = await Both(service).welcomed(), await Both(service).welcomed()
    await other.peer.receive_many(5)
    await one.peer.send("x" * 1_000_000)
    assert await other.peer.receive(5) == "guest-1: " + "x" * 1_000_000
    for both in (one, other):
        await both.peer.close()
        await both.over()


async def test_limits_too_small_for_any_word_end_a_conversation_and_harm_no_room() -> None:
    both = joined(rooms(), limits=Limits(message=4))
    await asyncio.sleep(0)  # the handler begins
    assert both.far.session.sending
    both.far.sink.drain(Code.GOING_AWAY, "stopping")
    with pytest.raises(ConnectionClosed):
        await both.peer.receive(5)
    await both.peer.close()
    await both.over()


# The life of the server.


async def test_a_server_that_stops_says_so_and_does_not_wait() -> None:
    async with serve(PLUG, services=(rooms(),)) as server:
        nc, program = await enter_lines(server.addresses[0], "talk\n"), await enter(server.addresses[0])
        await hear(nc, "* you are guest-1 in lobby, and nobody else is here", "* guest-2 joined (2 here)")
        await program.receive(5)
        draining = asyncio.create_task(server.drain(5))
        await hear(nc, "* the server is stopping")
        with pytest.raises(ConnectionClosed) as caught:
            await program.receive(5)
        assert caught.value.code is Code.GOING_AWAY
        await program.close()
        await nc.close()
        assert await draining == 0


async def test_what_was_told_before_the_end_comes_before_it() -> None:
    facilities = Facilities()
    both = joined(rooms(facilities))
    await receive(both, 1)
    halls: Any = facilities.shared("talk talk", lambda: None)
    halls._halls["lobby"].fanout.tell(Notice(text="before"))
    both.far.sink.drain(Code.GOING_AWAY, "stopping")
    assert await receive(both, 2) == ["* before", "* stopping"]
    await both.peer.close()
    await both.over()


async def test_a_reload_keeps_the_rooms_and_changes_the_rules() -> None:
    facilities = Facilities(clock=lambda: NOW)
    async with serve(PLUG, services=(rooms(facilities),)) as server:
        before = await enter_lines(server.addresses[0], "talk\nhello\n")
        await before.hear_line()
        server.replace_services([rooms(facilities, farewell="bye", members=2)])
        after = await enter_lines(server.addresses[0], "talk\n")
        await hear(after, "* you are guest-2 in lobby with guest-1", "* said before (1):", "guest-1: hello")
        third = await enter_lines(server.addresses[0], "talk\n")
        await hear(third, "* the room lobby is full: 2 are in it")
        await before.say(b"886\nbye\n")
        await hear(after, "guest-1: 886", "* guest-1 left (1 here): bye")
        for client in (before, after, third):
            await client.close()


async def test_services_of_two_names_have_rooms_of_their_own() -> None:
    facilities = Facilities()
    services = (make_talk("talk", TalkOptions(), facilities), make_talk("other", TalkOptions(), facilities))
    async with serve(PLUG, services=services) as server:
        one = await enter_lines(server.addresses[0], "talk\n")
        await hear(one, "* you are guest-1 in lobby, and nobody else is here")
        two = await enter_lines(server.addresses[0], "other\n")
        await hear(two, "* you are guest-1 in lobby, and nobody else is here")
        await one.close()
        await two.close()


@pytest.mark.parametrize(("name", "value"), [("queue", 0), ("history", -1), ("keep", -0.5), ("members", 0)])
def test_options_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}; expected at least"):
        TalkOptions(**dict[str, Any]({name: value}))


def test_missed_is_an_event() -> None:
    assert msgspec.to_builtins(Missed(count=2)) == {"type": "missed", "count": 2}
