"""Reply services: answers in order, errors without details, backpressure."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import anyplug
from anyplug import Code, DecodeError, Limits, LocalError, Refused, Server
from anyplug.services.base import Mode, conversation, reply
from anyplug.wire.frames import HEADER, FrameDecoder, Kind, encode_frame
from tests.joined import Joined
from tests.server.serving import LogRecords, RawClient, serve

if TYPE_CHECKING:
    from collections.abc import Callable

PLUG = "plug://127.0.0.1:0"


def upper(message: str) -> str:
    return message.upper()


async def upper_async(message: str) -> str:
    await asyncio.sleep(0)
    return message.upper()


KINDS: list[Callable[[], Any]] = [
    lambda: reply("up", upper),
    lambda: reply("up", upper_async),
    lambda: reply("up", upper, blocking=True),
]


@pytest.mark.parametrize("make", KINDS, ids=["def", "async", "blocking"])
async def test_every_kind_of_handler_answers_in_order_on_every_way_in(make: Callable[[], Any]) -> None:
    async with serve(PLUG, "tcp://127.0.0.1:0/up?framing=lines", services=(make(),)) as server:
        plug, plain = server.addresses
        async with anyplug.connect(f"{plug}/up") as peer:
            assert await asyncio.gather(*(peer.ask(f"q{i}") for i in range(50))) == [f"Q{i}" for i in range(50)]
            assert await peer.ask_many(["a", "b", "c"]) == ["A", "B", "C"]
            await peer.send_many(["x", "y", "z"])
            assert [await peer.receive(5) for _ in range(3)] == ["X", "Y", "Z"]
        client = await RawClient.to(plain)
        await client.say(b"one\r\ntwo\nthr")
        await client.say(b"ee\nlast")
        client.end()
        assert await client.hear_all() == b"ONE\nTWO\nTHREE\nLAST\n"
        await client.close()


@pytest.mark.parametrize("make", KINDS, ids=["def", "async", "blocking"])
async def test_a_message_of_the_wrong_type_is_refused_and_the_next_is_answered(make: Callable[[], Any]) -> None:
    records = LogRecords()
    async with serve(PLUG, services=(make(),), records=records) as server:
        async with anyplug.connect(f"{server.addresses[0]}/up") as peer:
            with pytest.raises(Refused, match="Expected `str`, got `int`") as caught:
                await peer.ask(5)
            assert caught.value.code is Code.BAD_MESSAGE
            assert await peer.ask("fine") == "FINE"
            await peer.send_many([1, "fine"])
            with pytest.raises(Refused, match="Expected `str`"):
                await peer.receive(5)
            assert await peer.receive(5) == "FINE"
    assert records.events("bad_message")[0]["service"] == "up"


def fails(message: str) -> str:
    raise ValueError(f"secret of {message}")


async def fails_async(message: str) -> str:
    raise ValueError(f"secret of {message}")


@pytest.mark.parametrize(
    "make",
    [lambda: reply("up", fails), lambda: reply("up", fails_async), lambda: reply("up", fails, blocking=True)],
    ids=["def", "async", "blocking"],
)
async def test_a_failure_is_logged_here_and_is_a_code_there(make: Callable[[], Any]) -> None:
    records = LogRecords()
    async with serve(PLUG, "tcp://127.0.0.1:0/up", services=(make(),), records=records) as server:
        async with anyplug.connect(f"{server.addresses[0]}/up") as peer:
            with pytest.raises(Refused) as caught:
                await peer.ask("x")
            assert (caught.value.code, caught.value.text) == (Code.FAILED, "the service failed on this message")
        client = await RawClient.to(server.addresses[1])
        await client.say(b"y\n")
        assert await client.hear_line() == b"failed: the service failed on this message\n"
        await client.close()
    record = next(r for r in records.records if r.getMessage() == "handler_failed")
    assert record.exc_info is not None
    assert "secret of x" in str(record.exc_info[1])


class Said(asyncio.Protocol):
    """All that a server says."""

    def __init__(self) -> None:
        self.all = b""

    def data_received(self, data: bytes) -> None:
        self.all += data


async def test_no_answer_overtakes_those_that_wait_for_their_turn() -> None:
    """What comes behind a flood, as a batch of its own or with an id, is answered behind it."""
    joined, other = await Joined(reply("up", upper)).welcomed(), Joined(reply("up", upper))
    joined.context.links.add(other.far)
    flood = [f"q{number}" for number in range(5000)]
    stream = b"".join(encode_frame(Kind.DATA, each.encode()) for each in flood)
    stream += encode_frame(Kind.PONG, b"") + encode_frame(Kind.DATA, b"last")
    stream += encode_frame(Kind.REQUEST, HEADER.pack(7) + b"really")
    said = Said()
    joined.near.set_protocol(said)
    joined.far.data_received(stream)
    while b"REALLY" not in said.all:
        await asyncio.sleep(0)
    runs = FrameDecoder().feed(said.all)
    answers = [each.upper().encode() for each in flood]
    assert runs == [(Kind.DATA, [*answers, b"LAST"]), (Kind.REPLY, [HEADER.pack(7) + b"REALLY"])]
    joined.context.links.discard(other.far)
    joined.near.abort()
    other.client.abort()
    await joined.over()


async def test_a_single_request_is_answered_behind_what_was_said_before() -> None:
    joined = await Joined(reply("up", upper)).welcomed()
    said = Said()
    joined.near.set_protocol(said)
    joined.far.session.send_ping()
    joined.far.data_received(encode_frame(Kind.REQUEST, HEADER.pack(7) + b"x"))
    while b"X" not in said.all:
        await asyncio.sleep(0)
    assert FrameDecoder().feed(said.all) == [(Kind.PING, [b""]), (Kind.REPLY, [HEADER.pack(7) + b"X"])]
    joined.near.abort()
    await joined.over()


async def test_none_is_no_answer_to_a_message_and_an_empty_one_to_a_request() -> None:
    heard = []

    def note(message: str) -> None:
        heard.append(message)

    async with serve(PLUG, "tcp://127.0.0.1:0/note", services=(reply("note", note),)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/note") as peer:
            assert await peer.ask("a") is None
        async with anyplug.connect(f"{server.addresses[0]}/note?codec=text") as peer:
            assert await peer.ask("b") == ""
        client = await RawClient.to(server.addresses[1])
        await client.say(b"c\n")
        client.end()
        assert await client.hear_all() == b""
        await client.close()
    assert heard == ["a", "b", "c"]


async def test_an_answer_that_cannot_travel_is_a_failure_of_the_service() -> None:
    service = reply("odd", lambda message: object(), type=str)
    async with serve(PLUG, services=(service,)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/odd") as peer:
            with pytest.raises(Refused, match="failed"):
                await peer.ask("x")


class Point(msgspec.Struct):
    x: int
    y: int = 0


async def test_types_come_from_annotations_and_are_checked() -> None:
    def mirror(point: Point) -> Point:
        return Point(point.y, point.x)

    service = reply("mirror", mirror, type=Point)
    async with serve(PLUG, "tcp://127.0.0.1:0/mirror", services=(service,)) as s:
        async with anyplug.connect(f"{s.addresses[0]}/mirror", type=Point) as peer:
            assert await peer.ask(Point(1, 2)) == Point(2, 1)
        async with anyplug.connect(f"{s.addresses[0]}/mirror") as untyped:
            with pytest.raises(Refused, match=r"\$\.x"):
                await untyped.ask({"x": "no"})
        client = await RawClient.to(s.addresses[1])
        await client.say(b'{"x":5}\n')
        assert await client.hear_line() == b'{"x":0,"y":5}\n'
        await client.close()


async def test_requests_overtake_each_other_and_messages_do_not() -> None:
    gates = {"slow": asyncio.Event(), "fast": asyncio.Event()}

    async def wait(message: str) -> str:
        await gates[message].wait()
        return message

    async with serve(PLUG, services=(reply("wait", wait),)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/wait") as peer:
            slow = asyncio.create_task(peer.ask("slow"))
            gates["fast"].set()
            assert await peer.ask("fast") == "fast"
            assert not slow.done()
            gates["slow"].set()
            assert await slow == "slow"
            gates["slow"].clear()
            await peer.send_many(["slow", "fast"])
            gates["slow"].set()
            assert [await peer.receive(5), await peer.receive(5)] == ["slow", "fast"]


async def test_a_peer_that_takes_no_answers_is_held_back_and_loses_none() -> None:
    limits = Limits(queue=64 * 1024)
    calls = 0

    def grow(message: str) -> str:
        nonlocal calls
        calls += 1
        return message * 5000

    async with serve("tcp://127.0.0.1:0/grow", services=(reply("grow", grow),), limits=limits) as server:
        client = await RawClient.to(server.addresses[0])
        asked = 20_000
        await client.say(b"x\n" * asked)
        client.end()
        assert await client.hear_line() == b"x" * 5000 + b"\n"
        assert calls < asked  # the others wait for us to read
        got = 1
        while line := await client.hear_line():
            assert len(line) == 5001
            got += 1
        assert (got, calls) == (asked, asked)
        await client.close()


async def test_too_many_requests_at_once_wait_their_turn() -> None:
    running, most = 0, 0

    async def count(message: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return message

    async with serve(PLUG, services=(reply("count", count),), limits=Limits(requests=10)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/count") as peer:
            assert await peer.ask_many(list(range(5000))) == list(range(5000))
    assert 1 < most <= 10


async def test_a_handler_that_holds_the_loop_is_named() -> None:
    records = LogRecords()
    limits = Limits(slow_handler=0.0)
    async with serve(PLUG, services=(reply("up", upper),), records=records, limits=limits) as server:
        async with anyplug.connect(f"{server.addresses[0]}/up") as peer:
            await peer.ask("x")
    warning = records.events("slow_handler")[0]
    assert warning["service"] == "up"
    assert "blocking=True" in warning["advice"]


async def test_blocking_handlers_run_beside_the_loop() -> None:
    loop_thread = threading.get_ident()
    service = reply("where", lambda message: threading.get_ident() != loop_thread, blocking=True, type=str)
    async with serve(PLUG, services=(service,)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/where") as peer:
            assert await peer.ask("x") is True


async def test_what_is_being_answered_is_cancelled_when_the_peer_is_gone() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(message: str) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return message

    async with serve(PLUG, services=(reply("hang", hang),)) as server:
        peer = await anyplug.connect(f"{server.addresses[0]}/hang")
        asking = asyncio.create_task(peer.ask("x"))
        await started.wait()
        peer.abort()
        async with asyncio.timeout(5):
            await cancelled.wait()
        with pytest.raises(anyplug.Broken):
            await asking


def nothing() -> None:
    """Takes no message."""


def two(a: str, b: str) -> None:
    """Takes two."""


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (nothing, {}, "takes exactly one argument, but nothing takes nothing"),
    (two, {}, "takes a, b"),
    (upper_async, {"blocking": True}, "blocking=True is for def handlers"),
]


@pytest.mark.parametrize(("handler", "options", "sentence"), WRONG)
def test_a_handler_of_the_wrong_shape_is_refused_at_once(handler: Any, options: Any, sentence: str) -> None:
    with pytest.raises(LocalError, match=sentence):
        reply("x", handler, **options)


def test_a_conversation_is_a_coroutine_function_under_a_good_name() -> None:
    handler: Any = upper
    with pytest.raises(LocalError, match="a conversation handler is an async def"):
        conversation("x", handler)
    with pytest.raises(LocalError, match="service"):
        reply("no good", upper)


def test_an_annotation_that_cannot_be_read_asks_for_a_type() -> None:
    def odd(message: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821
        """Never called."""

    with pytest.raises(LocalError, match="give type= instead"):
        reply("x", odd)
    assert reply("x", odd, type=int).type is int


def test_a_service_knows_its_mode_and_its_line_for_menus() -> None:
    def shout(message: str) -> str:
        """Says it louder.

        Much louder.
        """
        return message.upper()

    service = reply("shout", shout)
    assert (service.mode, service.asks, service.about, service.type) == (Mode.DIRECT, True, "Says it louder.", str)
    assert repr(service) == "<Service shout, direct>"


async def test_the_decorators_give_the_function_back_and_take_types_from_it() -> None:
    server = Server()

    @server.reply("shout")
    def shout(message: str) -> str:
        return message.upper()

    @server.service("count")
    async def count(peer: anyplug.Connection[int]) -> None:
        async for n in peer:
            await peer.send(n + 1)

    assert shout("a") == "A"
    assert [(s.name, s.type) for s in server.services] == [("count", int), ("shout", str)]
    await server.start(PLUG)
    async with anyplug.connect(f"{server.addresses[0]}/count", type=int) as peer:
        assert await peer.ask(1) == 2
    await server.drain(0)


async def test_a_reply_that_is_not_valid_for_the_client_is_its_error() -> None:
    async with serve(PLUG, services=(reply("up", upper),)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/up", type=str) as peer:
            assert await peer.ask("a") == "A"
        peer_int: Any
        async with anyplug.connect(f"{server.addresses[0]}/up", type=int) as peer_int:
            with pytest.raises(DecodeError, match="Expected `int`, got `str`"):
                await peer_int.ask("a")
            await peer_int.send("b")
            with pytest.raises(DecodeError):
                await peer_int.receive(5)


async def test_who_floods_does_not_hold_up_others() -> None:
    """The answers to many questions that came at once are given over several turns of the loop while another peer is
    there; none is lost, and their order is kept.
    """
    flood = [str(number) for number in range(5000)]
    turns: list[int] = []

    def note(message: str) -> str:
        turns.append(passed[0])
        return message

    passed = [0]
    joined = Joined(reply("note", note), plain="lines")
    other = Joined(reply("note", note), plain="lines")
    await joined.peer.ask("hello")
    joined.context.links.add(other.far)

    def pass_on() -> None:
        passed[0] += 1
        if len(turns) <= len(flood):
            joined.loop.call_soon(pass_on)

    pass_on()
    await joined.peer.send_many(flood)
    assert [await joined.peer.receive(5) for _ in flood] == flood
    assert turns[-1] - turns[1] >= 2
    joined.context.links.discard(other.far)
    await joined.peer.close()
    await other.peer.close()
