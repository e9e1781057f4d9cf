"""The conformance suite of transports: a connection of any kind, seen through two asyncio protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from anyplug.errors import TooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Connect", "check_transport"]

Connect: TypeAlias = Callable[
    [asyncio.Protocol, asyncio.Protocol], Awaitable[tuple[asyncio.Transport, asyncio.Transport]]
]
"""Opens one connection: the first transport is that of the first protocol, the second of the second."""

PATIENCE: Final = 10.0
"""How long the suite waits for something that has to happen, seconds, where nothing else is said."""

TURNS: Final = 20
"""How many turns of the loop it gives something that must not happen."""

PILE: Final = 64 * 1024 * 1024
"""How much it writes to an end that does not read, until it must have been told to pause, bytes."""

BODIES: Final = tuple(bytes((n % 251,)) * (1 + n * 7 % 400) for n in range(200))
"""Messages of many lengths, each of its own letter."""


async def check_transport(connect: Connect, *, packets: bool = False, patience: float = PATIENCE) -> None:
    """Check that the transports of a connection keep the contract of `asyncio.Transport`.

    Args:
        connect: opens a connection; called once for each check.
        packets: each ``write`` has to come out as one ``data_received``.
        patience: how long to wait for something that has to happen, seconds.

    Raises:
        AssertionError: they do not; says what was done, what came and what was expected.
    """
    checks = (
        _check_opening,
        _check_order,
        _check_backpressure,
        _check_pause_reading,
        _check_half_close,
        _check_close_delivers,
        _check_close_is_final,
        _check_abort,
        _check_sizes,
    )
    for check in checks:
        pair = _Pair(packets, patience)
        await pair.open(connect)
        try:
            await check(pair)
        except BaseException:
            pair.abort()
            raise
        await pair.end()


class _End(asyncio.Protocol):
    """A protocol that remembers all that it is told."""

    def __init__(self, name: str, patience: float) -> None:
        self.name = name
        self.patience = patience
        self.calls: list[str] = []
        self.pieces: list[bytes] = []
        self.transport: asyncio.BaseTransport | None = None
        self.error: Exception | None = None
        self.keep_open = False
        self._news = asyncio.Event()

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self._news.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._note("connection_made")

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self._note("data_received")

    def eof_received(self) -> bool:
        self._note("eof_received")
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self._note("connection_lost")

    def pause_writing(self) -> None:
        self._note("pause_writing")

    def resume_writing(self) -> None:
        self._note("resume_writing")

    @property
    def stream(self) -> bytes:
        return b"".join(self.pieces)

    async def until(self, condition: Callable[[], bool], told: str) -> None:
        """Wait until something has happened at this end."""
        try:
            async with asyncio.timeout(self.patience):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            _fail(f"waited {self.patience:g} s for {told} at end {self.name}", got=self.heard(), expected=told)

    async def lost(self) -> None:
        await self.until(lambda: "connection_lost" in self.calls, "connection_lost")

    def heard(self) -> str:
        calls = [call for call, after in pairwise([*self.calls, ""]) if call != after]
        return f"{', '.join(calls)}; {len(self.stream)} bytes"


class _Pair:
    """A connection under test."""

    def __init__(self, packets: bool, patience: float) -> None:
        self.packets = packets
        self.ends = _End("a", patience), _End("b", patience)
        self.a, self.b = self.ends

    async def open(self, connect: Connect) -> None:
        self.to_b, self.to_a = await connect(*self.ends)

    async def end(self) -> None:
        """Whatever happened before: both ends end, and each call came as often and in the order it has to."""
        self.abort()
        for each in self.ends:
            await each.lost()
        await _turns()
        for each in self.ends:
            calls = each.calls
            _expect(f"connection_made at end {each.name}", calls.count("connection_made"), 1)
            _expect(f"the first call at end {each.name}", calls[0], "connection_made")
            _expect(f"connection_lost at end {each.name}", calls.count("connection_lost"), 1)
            _expect(f"the last call at end {each.name}", calls[-1], "connection_lost")
            _expect(f"eof_received twice at end {each.name}", calls.count("eof_received") > 1, False)
            writing = [call for call in calls if call.endswith("_writing")]
            turns = [first != second for first, second in pairwise(["resume_writing", *writing])]
            _expect(f"pause_writing and resume_writing in turns at end {each.name}", all(turns), True)

    def abort(self) -> None:
        for each, transport in zip(self.ends, (self.to_b, self.to_a), strict=True):
            if "connection_lost" not in each.calls:
                transport.abort()

    async def arrived(self, end: _End, bodies: Sequence[bytes], told: str) -> None:
        """Wait for all bodies at an end, and compare."""
        whole = b"".join(bodies)
        await end.until(lambda: sum(map(len, end.pieces)) >= len(whole), f"{len(whole)} bytes {told}")
        if self.packets:
            _expect(f"packets {told}", end.pieces, list(bodies))
        else:
            _expect(f"bytes {told}", end.stream, whole)


def _fail(what: str, *, got: object, expected: object) -> NoReturn:
    raise AssertionError(f"{what}:\n     got {_short(got)}\nexpected {_short(expected)}")


def _expect(what: str, got: object, expected: object) -> None:
    if got != expected:
        _fail(what, got=got, expected=expected)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 600 else f"{text[:300]} … {text[-300:]}"


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def _check_opening(pair: _Pair) -> None:
    """Both protocols have their transports, and these have names."""
    for end, transport in zip(pair.ends, (pair.to_b, pair.to_a), strict=True):
        _expect(f"calls at end {end.name} once it is connected", end.calls, ["connection_made"])
        _expect(f"the transport given to end {end.name}", end.transport, transport)
        _expect(f"get_protocol at end {end.name}", transport.get_protocol(), end)
        _expect(f"is_closing at end {end.name}", transport.is_closing(), False)
        for name in ("peername", "sockname"):
            _expect(f"get_extra_info({name!r}) is there", transport.get_extra_info(name) is not None, True)
        _expect("get_extra_info of an unknown name", transport.get_extra_info("no such name", "default"), "default")


async def _check_order(pair: _Pair) -> None:
    """What is written arrives, whole and in order, both ways at once; as packets where they are packets."""
    for number, body in enumerate(BODIES):
        pair.to_b.write(body)
        pair.to_a.write(body[::-1])
        if number % 16 == 0:
            await asyncio.sleep(0)
    if not pair.packets:
        pair.to_b.write(b"")
    pair.to_b.writelines([b"one", b"two"])
    pair.to_b.write(bytearray(b"three"))
    pair.to_b.write(memoryview(b"four"))
    await pair.arrived(pair.b, [*BODIES, b"one", b"two", b"three", b"four"], "from a to b")
    await pair.arrived(pair.a, [body[::-1] for body in BODIES], "from b to a")
    _expect("the type of what data_received gets", {type(piece) for piece in pair.b.pieces}, {bytes})


async def _pile_up(pair: _Pair) -> list[bytes]:
    """Write to an end that does not read until a pause is asked for; all that was written."""
    pair.to_a.pause_reading()
    bodies: list[bytes] = []
    size = 4000 if pair.packets else 65536
    pauses = pair.a.calls.count("pause_writing")
    while pair.a.calls.count("pause_writing") == pauses:
        bodies.append(bytes((len(bodies) % 251,)) * size)
        pair.to_b.write(bodies[-1])
        await asyncio.sleep(0)
        if len(bodies) * size > PILE:
            _fail(f"wrote {PILE} bytes to an end that does not read", got=pair.a.heard(), expected="pause_writing")
    return bodies


async def _check_backpressure(pair: _Pair) -> None:
    """A writer that is too fast is paused, and goes on once the reader does; nothing is lost."""
    bodies = await _pile_up(pair)
    _expect("get_write_buffer_size while paused is above 0", pair.to_b.get_write_buffer_size() > 0, True)
    bodies.append(b"written while paused")
    pair.to_b.write(bodies[-1])
    await _turns()
    _expect("resume_writing while nothing is read", "resume_writing" in pair.a.calls, False)
    pair.to_a.resume_reading()
    await pair.a.until(lambda: "resume_writing" in pair.a.calls, "resume_writing")
    await pair.arrived(pair.b, bodies, "after a pause of writing")
    await pair.a.until(lambda: pair.to_b.get_write_buffer_size() == 0, "an empty write buffer")
    pair.to_b.set_write_buffer_limits(high=1000, low=10)
    await _pile_up(pair)


async def _check_pause_reading(pair: _Pair) -> None:
    """Nothing is delivered while reading is paused, and everything afterwards."""
    pair.to_b.write(b"before")
    await pair.arrived(pair.b, [b"before"], "before a pause of reading")
    pair.to_a.pause_reading()
    pair.to_a.pause_reading()
    _expect("is_reading while paused", pair.to_a.is_reading(), False)
    pair.to_b.write(b"during")
    pair.to_a.write(b"the other way")
    await pair.arrived(pair.a, [b"the other way"], "from an end that does not read")
    await _turns()
    _expect("what is delivered while reading is paused", pair.b.stream, b"before")
    pair.to_a.resume_reading()
    pair.to_a.resume_reading()
    _expect("is_reading after it was resumed", pair.to_a.is_reading(), True)
    pair.to_b.write(b"after")
    await pair.arrived(pair.b, [b"before", b"during", b"after"], "after a pause of reading")


async def _check_half_close(pair: _Pair) -> None:
    """One end has said everything, the other still speaks; where there is no such thing, it is told."""
    if not pair.to_b.can_write_eof():
        try:
            pair.to_b.write_eof()
        except NotImplementedError:
            return
        _fail("write_eof where can_write_eof is False", got="nothing", expected="NotImplementedError")
    pair.b.keep_open = True
    pair.to_b.write(b"the last words")
    pair.to_b.write_eof()
    await pair.b.until(lambda: "eof_received" in pair.b.calls, "eof_received")
    await pair.arrived(pair.b, [b"the last words"], "before the end of the stream")
    try:
        pair.to_b.write(b"more")
    except RuntimeError:
        pass
    else:
        _fail("write after write_eof", got="nothing", expected="RuntimeError")
    pair.to_a.write(b"an answer")
    await pair.arrived(pair.a, [b"an answer"], "to an end that has said everything")
    pair.to_a.close()
    for end in pair.ends:
        await end.lost()
        _expect(f"the error of connection_lost after both ends closed, end {end.name}", end.error, None)
    _expect("calls at the end that heard it", pair.b.calls[-2:], ["eof_received", "connection_lost"])


async def _check_close_delivers(pair: _Pair) -> None:
    """Everything written before `close` arrives, and then the end of the stream.

    A write between `close` and `connection_lost` may still arrive or not; a later one may raise, and does not arrive.
    """
    bodies = await _pile_up(pair)
    pair.to_b.close()
    pair.to_b.close()
    _expect("is_closing after close", pair.to_b.is_closing(), True)
    pair.to_a.resume_reading()
    await pair.arrived(pair.b, bodies, "before close")
    await pair.a.lost()
    with suppress(Exception):
        pair.to_b.write(b"after the end")
    _expect("the error of connection_lost after close", pair.a.error, None)
    if pair.to_b.can_write_eof():
        await pair.b.lost()
        _expect("the error of connection_lost after the other end has closed", pair.b.error, None)
        _expect("calls at the other end", pair.b.calls[-2:], ["eof_received", "connection_lost"])
    await _turns()
    await pair.arrived(pair.b, bodies, "after close")


async def _check_close_is_final(pair: _Pair) -> None:
    """Nothing is delivered to an end that has closed, and it is told of its end by the loop, not by the call."""
    pair.to_b.close()
    try:
        pair.to_b.write(b"after close")
    except Exception as error:
        raise AssertionError(
            f"write after close raised {error!r}; until connection_lost it has to be ignored"
        ) from error
    _expect("calls during close", pair.a.calls, ["connection_made"])
    pair.to_a.write(b"too late")
    await pair.a.lost()
    await _turns()
    _expect("what is delivered after close", pair.a.stream, b"")


async def _check_abort(pair: _Pair) -> None:
    """An abort ends it at once, for both ends; what had not arrived may be lost, what had is a beginning."""
    bodies = await _pile_up(pair)
    pair.to_b.abort()
    _expect("connection_lost during abort", "connection_lost" in pair.a.calls, False)
    _expect("is_closing after abort", pair.to_b.is_closing(), True)
    pair.to_b.abort()
    pair.to_b.close()
    await pair.a.lost()
    _expect("get_write_buffer_size after an abort", pair.to_b.get_write_buffer_size(), 0)
    pair.to_a.resume_reading()
    if pair.to_b.can_write_eof():
        await pair.b.lost()
    else:
        await _turns()
    _expect("what arrives before an abort begins what was sent", b"".join(bodies).startswith(pair.b.stream), True)


async def _check_sizes(pair: _Pair) -> None:
    """The largest packet arrives whole; a larger one is refused, and hurts nobody. Streams carry any size."""
    most = pair.to_b.get_extra_info("packet_max") if pair.packets else 4 * 1024 * 1024
    if most is None:
        _fail("get_extra_info('packet_max')", got=None, expected="the largest packet, bytes")
    largest = bytes(range(256)) * (most // 256) + bytes(most % 256)
    pair.to_b.write(largest)
    await pair.arrived(pair.b, [largest], "of the largest write")
    if not pair.packets:
        return
    try:
        pair.to_b.write(largest + b"x")
    except TooLarge:
        pair.to_b.write(b"still there")
    else:
        _fail(f"write of {most + 1} bytes with a packet_max of {most}", got="nothing", expected="TooLarge")
    await pair.arrived(pair.b, [largest, b"still there"], "after a packet that was refused")
