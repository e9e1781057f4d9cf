"""The link: gathering, deadlines, and the order of the end; in virtual time through `tick`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from anyplug import Broken, Code, Limits
from anyplug.framing import make_framing
from anyplug.messages import Data, Ended, Event, Fault
from anyplug.transport.heap import keep_memory
from anyplug.transport.link import GATHER, LARGE, LINGER, Link
from anyplug.transport.memory import MemoryTransport, memory_pair
from anyplug.transport.pulse import GROUPS, Pulse
from anyplug.transport.turns import FULL, Crowd
from anyplug.wire import PlainSession, PlugSession, Role, Session, State

if TYPE_CHECKING:
    from collections.abc import Callable


class Recorder:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.woken = 0
        self.losses = 0

    def attach(self, link: Link) -> Recorder:
        return self

    def messages(self, bodies: list[bytes]) -> None:
        self.events.append(Data(bodies))

    def handle(self, event: Event) -> None:
        self.events.append(event)

    def writable(self) -> None:
        self.woken += 1

    def lost(self) -> None:
        self.losses += 1

    def drain(self, code: Code, text: str) -> None:
        """Nothing to end."""


class Wire(asyncio.Protocol):
    """The other end: what came, and how it ended."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.ended = False
        self.lost: list[Exception | None] = []

    def data_received(self, data: bytes) -> None:
        self.got += data

    def eof_received(self) -> bool:
        self.ended = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


class Setting:
    """A link on a memory transport, with the other end in hand."""

    def __init__(self, session: Session, limits: Limits) -> None:
        self.loop = asyncio.get_running_loop()
        self.sink = Recorder()
        self.left = 0
        self.link = Link(session, self.sink.attach, limits=limits, loop=self.loop, on_lost=self._leave)
        self.wire = Wire()
        self.near, self.away = memory_pair(self.link, self.wire)

    def _leave(self) -> None:
        self.left += 1

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


def plain(limits: Limits | None = None) -> Setting:
    return Setting(PlainSession(make_framing("lines")), limits or Limits())


def plug(limits: Limits | None = None) -> Setting:
    """A client in the open state."""
    session = PlugSession(Role.CLIENT, limits or Limits())
    session._open(State.OPEN)
    session._preface = None
    return Setting(session, limits or Limits())


async def test_what_is_said_in_one_turn_is_one_write() -> None:
    setting = plain()
    writes: list[int] = []
    setting.wire.data_received = lambda data: writes.append(len(data))  # type: ignore[method-assign]
    for _ in range(10):
        setting.link.session.send_data(b"x")
        setting.link.flush_soon()
    await setting.settle()
    assert writes == [20]


async def test_much_is_written_within_the_turn() -> None:
    setting = plain()
    setting.link.session.send_data(b"x" * GATHER)
    setting.link.flush_soon()
    assert setting.link.session.queued == 0
    assert setting.link.bytes_sent == GATHER + 1


async def test_a_finished_link_ends_its_half_and_waits_for_the_other() -> None:
    setting = plain()
    setting.link.session.send_data(b"bye")
    setting.link.finish()
    setting.link.finish()
    await setting.settle()
    assert (bytes(setting.wire.got), setting.wire.ended, setting.left) == (b"bye\n", True, 0)
    setting.away.write(b"unread\n")
    setting.away.write_eof()
    await setting.settle()
    assert (setting.left, setting.sink.losses) == (1, 1)
    assert [type(event) for event in setting.sink.events] == [Ended]


async def test_a_peer_that_never_ends_is_left_after_the_linger() -> None:
    setting = plain()
    setting.link.finish()
    await setting.settle()
    now = setting.loop.time()
    setting.link.tick(now)
    setting.link.tick(now + LINGER - 0.1)
    await setting.settle()
    assert setting.left == 0
    setting.link.tick(now + LINGER)
    await setting.settle()
    assert setting.left == 1


async def test_the_linger_begins_when_everything_was_taken() -> None:
    setting = plain()
    setting.away.pause_reading()
    setting.link.session.send_data(b"x" * 1000)
    setting.link.finish()
    await setting.settle()
    now = setting.loop.time()
    for second in range(LINGER * 3):
        setting.link.tick(now + second)
    await setting.settle()
    assert setting.left == 0
    setting.away.resume_reading()
    await setting.settle()
    setting.link.tick(now + 100)
    setting.link.tick(now + 100 + LINGER)
    await setting.settle()
    assert (setting.left, len(setting.wire.got)) == (1, 1001)


async def test_a_peer_that_takes_nothing_is_cut_after_the_write_deadline() -> None:
    setting = plain(Limits(queue=1000, write=30))
    setting.away.pause_reading()
    setting.link.session.send_data(b"x" * 5000)
    setting.link.flush()
    assert setting.link.writing_paused
    waiting = asyncio.ensure_future(setting.link.room())
    now = setting.loop.time()
    setting.link.tick(now)
    setting.link.tick(now + 29)
    assert not setting.sink.events
    setting.link.tick(now + 30)
    await setting.settle()
    fault = setting.sink.events[0]
    assert isinstance(fault, Fault)
    assert str(fault.error) == "the connection broke: the peer took none of 5,001 queued bytes for 30 s"
    assert (setting.left, waiting.done(), setting.link.writing_paused) == (1, True, False)


async def test_a_peer_that_takes_a_little_is_not_cut() -> None:
    setting = plain(Limits(queue=1000, write=30))
    setting.away.pause_reading()
    now = setting.loop.time()
    setting.link.session.send_data(b"x" * 20_000)
    setting.link.flush()
    for second in range(0, 300, 20):
        setting.near._queued -= 1000
        setting.link.tick(now + second)
    assert not setting.sink.events


async def test_a_peer_that_takes_nothing_is_cut_though_more_is_said() -> None:
    setting = plain(Limits(queue=1000, write=30))
    setting.away.pause_reading()
    now = setting.loop.time()
    for second in range(0, 40, 10):
        setting.link.session.send_data(b"x" * 1000)
        setting.link.flush()
        setting.link.tick(now + second)
    assert isinstance(setting.sink.events[0], Fault)


async def test_a_silent_peer_is_asked_and_then_broken() -> None:
    setting = plug()
    now = setting.loop.time()
    for second in range(17):
        setting.link.tick(now + second)
    await setting.settle()
    assert bytes(setting.wire.got) == b"\x07\x00\x00\x00"
    for second in range(17, 40):
        setting.link.tick(now + second)
    assert not setting.sink.events
    setting.link.tick(now + 41)
    fault = setting.sink.events[0]
    assert isinstance(fault, Fault)
    assert isinstance(fault.error, Broken)
    await setting.settle()
    assert setting.left == 1


async def test_an_answer_to_ping_keeps_it_alive() -> None:
    setting = plug()
    now = setting.loop.time()
    for second in range(0, 400, 10):
        setting.link.tick(now + second)
        await setting.settle()
        if setting.wire.got:
            setting.wire.got.clear()
            setting.away.write(b"\x08\x00\x00\x00")
            await setting.settle()
    assert not any(isinstance(event, Fault) for event in setting.sink.events)


async def test_a_peer_that_takes_a_large_message_slowly_lives() -> None:
    setting = plug(Limits(queue=1000))
    setting.away.pause_reading()
    setting.link.session.send_data(b"x" * 100_000)
    setting.link.flush()
    now = setting.loop.time()
    for second in range(60):
        setting.near._queued -= 1000  # the peer takes a little
        setting.link.tick(now + second)
    assert not setting.sink.events
    for second in range(60, 95):
        setting.link.tick(now + second)
    assert isinstance(setting.sink.events[0], Fault)


async def test_a_message_that_does_not_get_finished_is_cut() -> None:
    setting = plain()
    now = setting.loop.time()
    setting.away.write(b"half")
    await setting.settle()
    for second in range(32):
        setting.link.tick(now + second)
    await setting.settle()
    fault = setting.sink.events[0]
    assert isinstance(fault, Fault)
    assert isinstance(fault.error, Broken)
    assert "the rest of a message of the peer" in str(fault.error)
    assert setting.left == 1


async def test_an_idle_conversation_is_ended_where_that_is_set() -> None:
    setting = plain(Limits(idle=5))
    setting.link.tick(setting.loop.time() + 6)
    fault = setting.sink.events[0]
    assert isinstance(fault, Fault)
    assert "a message of the peer" in str(fault.error)
    await setting.settle()
    assert setting.wire.ended


async def test_reading_pauses_and_goes_on() -> None:
    setting = plain()
    setting.link.pause_reading()
    setting.link.pause_reading()
    setting.away.write(b"a\nb\n")
    await setting.settle()
    assert setting.sink.events == []
    setting.link.resume_reading()
    setting.link.resume_reading()
    await setting.settle()
    assert setting.sink.events == [Data([b"a", b"b"])]


async def test_the_half_that_is_open_can_be_used_after_the_peers_end() -> None:
    setting = plain()
    setting.away.write(b"last")
    setting.away.write_eof()
    await setting.settle()
    assert [type(event) for event in setting.sink.events] == [Data, Ended]
    setting.link.session.send_data(b"answer")
    setting.link.flush()
    await setting.settle()
    assert bytes(setting.wire.got) == b"answer\n"
    setting.link.finish()
    await setting.settle()
    assert setting.left == 1


async def test_send_eof_ends_one_half_once() -> None:
    setting = plain()
    setting.link.send_eof()
    setting.link.send_eof()
    await setting.settle()
    assert setting.wire.ended
    setting.away.write(b"still heard\n")
    await setting.settle()
    assert setting.sink.events == [Data([b"still heard"])]


def resets() -> list[Callable[[MemoryTransport], None]]:
    return [MemoryTransport.abort, lambda end: end.cut_after(0, how="reset")]


@pytest.mark.parametrize("reset", resets())
async def test_a_reset_is_a_fault_and_a_loss_once(reset: Callable[[MemoryTransport], None]) -> None:
    setting = plain()
    reset(setting.away)
    setting.away.write(b"x")
    await setting.settle()
    assert [type(event) for event in setting.sink.events] == [Fault]
    assert (setting.sink.losses, setting.left) == (1, 1)
    setting.link.tick(0)


# The pulse.


class Member:
    def __init__(self) -> None:
        self.ticks: list[float] = []
        self.seen = asyncio.Event()

    def tick(self, now: float) -> None:
        self.ticks.append(now)
        self.seen.set()


async def test_a_pulse_looks_at_everybody_and_rests_when_nobody_is_there() -> None:
    loop = asyncio.get_running_loop()
    pulse = Pulse(loop)
    members = [Member() for _ in range(GROUPS * 2)]
    for member in members:
        pulse.add(member)
    assert {len(group) for group in pulse._groups} == {2}
    for _ in range(GROUPS):
        pulse._turn()
    assert [len(member.ticks) for member in members] == [1] * len(members)
    for member in members:
        pulse.discard(member)
        pulse.discard(member)
    assert pulse._timer is None


async def test_the_timer_really_runs() -> None:
    pulse = Pulse.of(asyncio.get_running_loop())
    assert pulse is Pulse.of(asyncio.get_running_loop())
    member = Member()
    pulse.add(member)
    async with asyncio.timeout(5):
        await member.seen.wait()
    pulse.discard(member)


async def test_a_member_that_fails_does_not_stop_the_others() -> None:
    loop = asyncio.get_running_loop()
    failures: list[object] = []
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
    pulse = Pulse(loop)

    class Failing(Member):
        def tick(self, now: float) -> None:
            raise ZeroDivisionError

    members = [Failing(), *(Member() for _ in range(GROUPS * 2 - 1))]
    for member in members:
        pulse.add(member)
    for _ in range(GROUPS):
        pulse._turn()
    assert [len(member.ticks) for member in members] == [0] + [1] * (GROUPS * 2 - 1)
    assert [type(each) for each in failures] == [ZeroDivisionError]
    for member in members:
        pulse.discard(member)


def crowd(*links: Link) -> Crowd:
    found = Crowd()
    for link in links:
        found.enter(link)
    return found


def beside_another() -> Setting:
    """A link that is not the only one of its server."""
    setting = plain()
    setting.link.links = crowd(setting.link, plain().link)
    return setting


async def test_beside_others_a_full_read_is_followed_by_a_rest_of_one_turn() -> None:
    setting = beside_another()
    setting.link.data_received(b"x" * (FULL - 1))
    assert setting.near.is_reading()
    setting.link.data_received(b"x" * FULL)
    assert not setting.near.is_reading()
    setting.link.data_received(b"x" * FULL)  # no second rest
    await setting.settle()
    assert setting.near.is_reading()


async def test_alone_nothing_rests() -> None:
    setting = plain()
    setting.link.links = crowd(setting.link)
    setting.link.data_received(b"x" * FULL)
    assert setting.near.is_reading()


async def test_a_rest_and_a_pause_end_when_both_are_over() -> None:
    setting = beside_another()
    setting.link.data_received(b"x" * FULL)
    setting.link.pause_reading()
    await setting.settle()
    assert not setting.near.is_reading()
    setting.link.resume_reading()
    assert setting.near.is_reading()
    setting.link.pause_reading()
    setting.link.data_received(b"x" * FULL)  # what a sink paused needs no rest
    await setting.settle()
    assert not setting.near.is_reading()
    setting.link.resume_reading()
    setting.link.data_received(b"x" * FULL)
    setting.link.pause_reading()
    setting.link.resume_reading()
    assert not setting.near.is_reading()
    await setting.settle()
    assert setting.near.is_reading()


async def test_a_link_that_is_closed_while_it_rests_reads_no_more() -> None:
    setting = beside_another()
    setting.link.data_received(b"x" * FULL)
    setting.link.abort()
    await setting.settle()
    assert setting.sink.losses == 1
    assert not setting.near.is_reading()


async def test_what_is_said_at_once_goes_behind_what_was_said_before() -> None:
    setting = plain()
    setting.link.session.send_data(b"first")
    setting.link.say_now(b"second")
    await setting.settle()
    assert bytes(setting.wire.got) == b"first\nsecond\n"
    assert setting.link.bytes_sent == len(setting.wire.got)


async def test_memory_is_kept_at_hand_from_the_first_large_read_or_write_on() -> None:
    setting = plain()
    keep_memory.cache_clear()
    setting.link.data_received(b"x" * (FULL - 1))
    setting.link.session.send_data(b"x" * (LARGE - 2))
    setting.link.flush()
    assert keep_memory.cache_info().currsize == 0
    setting.link.data_received(b"x" * FULL)
    assert keep_memory.cache_info().currsize == 1
    keep_memory.cache_clear()
    setting.link.session.send_data(b"x" * LARGE)
    setting.link.flush()
    assert keep_memory.cache_info().currsize == 1
