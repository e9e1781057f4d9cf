"""What is particular to a pair in memory; the rest is in the conformance suite."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from anyplug.transport import memory_pair

if TYPE_CHECKING:
    from anyplug.transport.memory import Cut


class Recorder(asyncio.Protocol):
    """Remembers what it is told."""

    def __init__(self, *, keep_open: bool = False) -> None:
        self.pieces: list[bytes] = []
        self.calls: list[str] = []
        self.error: Exception | None = None
        self.keep_open = keep_open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")
        self.error = exc

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    @property
    def stream(self) -> bytes:
        return b"".join(self.pieces)


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_both_ends_are_made_at_once_and_named() -> None:
    a, b = Recorder(), Recorder()
    to_b, to_a = memory_pair(a, b, loop=asyncio.get_running_loop())
    assert (a.calls, b.calls) == (["made"], ["made"])
    assert to_b.get_extra_info("peername") == to_a.get_extra_info("sockname") == "memory:b"
    assert repr(to_b) == "<MemoryTransport open queued=0>"


async def test_the_loop_delivers_and_never_the_caller() -> None:
    a, b = Recorder(), Recorder()
    to_b, _ = memory_pair(a, b)
    to_b.write(b"hello")
    assert b.pieces == []
    await settle()
    assert b.pieces == [b"hello"]


@pytest.mark.parametrize(
    ("piece", "pieces"),
    [(None, [b"hello", b"world!"]), (1, [bytes((c,)) for c in b"helloworld!"]), (4, [b"hell", b"o", b"worl", b"d!"])],
)
async def test_writes_are_cut_into_pieces(piece: int | None, pieces: list[bytes]) -> None:
    a, b = Recorder(), Recorder()
    to_b, _ = memory_pair(a, b, piece=piece)
    to_b.write(b"hello")
    to_b.write(b"world!")
    await settle()
    assert b.pieces == pieces


async def test_a_later_change_of_a_buffer_does_not_change_what_was_written() -> None:
    a, b = Recorder(), Recorder()
    to_b, _ = memory_pair(a, b)
    data = bytearray(b"hello")
    to_b.write(data)
    data[:] = b"HELLO"
    await settle()
    assert b.stream == b"hello"


SENT = b"0123456789"


@pytest.mark.parametrize("count", range(len(SENT) + 1))
@pytest.mark.parametrize("piece", [None, 1, 3])
@pytest.mark.parametrize("how", ["reset", "eof", "silence"])
async def test_a_cut_at_every_byte(how: Cut, piece: int | None, count: int) -> None:
    """Exactly so many bytes arrive, and then both ends learn of the break in the way it was asked for."""
    a, b = Recorder(), Recorder()
    to_b, to_a = memory_pair(a, b, piece=piece)
    to_b.cut_after(count, how=how)
    to_b.write(SENT)
    await settle()
    assert b.stream == SENT[:count]
    to_a.write(b"too late")
    to_b.write(b"too late")
    await settle()
    assert b.stream == SENT[:count]
    assert a.stream == b""
    expected = {"reset": ["made", "lost"], "eof": ["made", "eof", "lost"], "silence": ["made"]}[how]
    assert (a.calls, b.calls) == (expected, expected)
    assert (type(a.error) is ConnectionResetError, type(b.error) is ConnectionResetError) == ((how == "reset"),) * 2


async def test_a_cut_counts_from_where_it_was_asked_for() -> None:
    a, b = Recorder(), Recorder()
    to_b, _ = memory_pair(a, b)
    to_b.write(b"before")
    await settle()
    to_b.cut_after(3)
    to_b.write(b"after")
    await settle()
    assert b.stream == b"beforeaft"


async def test_in_silence_writes_pile_up_and_closing_still_ends_this_side() -> None:
    a, b = Recorder(), Recorder()
    to_b, _ = memory_pair(a, b)
    to_b.cut_after(0, how="silence")
    to_b.set_write_buffer_limits(high=100)
    await settle()
    to_b.write(bytes(101))
    await settle()
    assert a.calls == ["made", "pause"]
    assert to_b.get_write_buffer_size() == 101
    to_b.close()
    await settle()
    assert a.calls == ["made", "pause", "lost"]
    assert b.calls == ["made"]


async def test_a_half_open_end_learns_of_a_cut_by_writing_on() -> None:
    a, b = Recorder(keep_open=True), Recorder()
    to_b, _ = memory_pair(a, b)
    to_b.set_write_buffer_limits(high=2)
    to_b.cut_after(0, how="eof")
    to_b.write(b"xxxx")
    await settle()
    assert b.calls == ["made", "eof", "lost"]
    assert a.calls == ["made", "pause", "resume", "eof"]
    to_b.abort()
    await settle()
    assert a.calls[-1] == "lost"


async def test_an_abort_resets_the_other_end() -> None:
    a, b = Recorder(), Recorder()
    to_b, to_a = memory_pair(a, b)
    to_b.write(b"lost")
    to_b.abort()
    await settle()
    assert b.pieces == []
    assert a.error is None
    assert type(b.error) is ConnectionResetError
    assert to_a.is_closing()
    assert repr(to_a) == "<MemoryTransport closed queued=0>"


async def test_writing_to_an_end_that_has_closed_is_a_reset() -> None:
    a, b = Recorder(keep_open=True), Recorder()
    to_b, to_a = memory_pair(a, b)
    to_a.write(b"goodbye")
    to_a.close()
    await settle()
    assert a.stream == b"goodbye"
    assert a.calls == ["made", "eof"]
    assert b.calls == ["made", "lost"]
    to_b.write(b"anybody?")
    await settle()
    assert type(a.error) is ConnectionResetError
    assert b.pieces == []


async def test_closing_with_something_unread_does_not_lose_what_was_written() -> None:
    a, b = Recorder(), Recorder()
    to_b, to_a = memory_pair(a, b)
    to_b.write(b"a question that nobody reads")
    to_a.pause_reading()
    to_a.write(b"goodbye")
    to_a.close()
    await settle()
    assert a.stream == b"goodbye"
    assert a.calls == ["made", "eof", "lost"]
    assert a.error is None


async def test_an_end_that_is_lost_is_not_told_to_go_on() -> None:
    class Aborts(Recorder):
        def data_received(self, data: bytes) -> None:
            to_a.abort()

    a, b = Recorder(), Aborts()
    to_b, to_a = memory_pair(a, b)
    to_b.set_write_buffer_limits(high=2)
    to_b.write(b"xxxx")
    await settle()
    assert a.calls == ["made", "pause", "lost"]


async def test_the_end_waits_for_a_reader_that_is_paused() -> None:
    a, b = Recorder(), Recorder()
    to_b, to_a = memory_pair(a, b)
    to_a.pause_reading()
    to_b.write_eof()
    to_b.close()
    await settle()
    assert b.calls == ["made"]
    to_a.resume_reading()
    await settle()
    assert b.calls == ["made", "eof", "lost"]


async def test_the_limits_of_the_write_buffer() -> None:
    to_b, _ = memory_pair(Recorder(), Recorder())
    for given, expected in (
        ((1000, 10), (10, 1000)),
        ((1000, None), (250, 1000)),
        ((None, 10), (10, 40)),
        ((None, None), (16384, 65536)),
    ):
        to_b.set_write_buffer_limits(*given)
        assert to_b.get_write_buffer_limits() == expected
    with pytest.raises(ValueError, match="must be at least"):
        to_b.set_write_buffer_limits(1, 2)


async def test_another_protocol_can_take_over() -> None:
    a, b, c = Recorder(), Recorder(), Recorder()
    to_b, to_a = memory_pair(a, b)
    to_a.set_protocol(c)
    assert to_a.get_protocol() is c
    to_b.write(b"for the new one")
    await settle()
    assert (b.stream, c.stream) == (b"", b"for the new one")
