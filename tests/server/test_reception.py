"""The plug listener before a conversation: good openings, bad ones, late ones."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

import anyplug
from anyplug import Code, Limits, Refused
from anyplug.limits import HELLO_MAX
from anyplug.messages import Hello, Refusal, Welcome
from anyplug.services import default_services
from anyplug.services.base import reply
from anyplug.wire import HEADER, PREFACE, Kind, encode_frame
from tests.server.serving import LogRecords, PlugClient, RawClient, serve

PLUG = "plug://127.0.0.1:0"
SERVICES = tuple(each for each in default_services() if each.name in {"greet", "reply", "echo"})


def frames_in(data: bytes) -> list[tuple[int, bytes]]:
    """The preface and then frames."""
    assert data[: len(PREFACE)] == PREFACE
    found, at = [], len(PREFACE)
    while at < len(data):
        head = HEADER.unpack_from(data, at)[0]
        size = head & 0xFFFFFF
        found.append((head >> 24, data[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


def hello(**fields: object) -> bytes:
    return encode_frame(Kind.HELLO, msgspec.msgpack.encode({"version": 1, "service": "echo", **fields}))


async def test_the_welcome_says_what_was_agreed() -> None:
    async with serve(PLUG, services=SERVICES, limits=Limits(message=1000)) as server:
        client = await PlugClient.to(server.addresses[0])
        welcome = await client.open("echo", codec="json", rest="a/b")
        assert (welcome.version, welcome.service, welcome.codec, welcome.message) == (1, "echo", "json", 1000)
        assert welcome.asks
        assert welcome.agent.startswith("anyplug/")
        other = await PlugClient.to(server.addresses[0])
        assert (await other.open("greet")).asks is False
        assert len(welcome.incarnation) == 16
        await client.close()
        await other.close()


async def test_an_opening_works_byte_by_byte() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        client = await PlugClient.to(server.addresses[0])
        client.session.send_hello(Hello(service="echo", codec="text"))
        for byte in client.session.data_to_send():
            await client.say(bytes([byte]))
        events = await client.events()
        assert isinstance(events[0], Welcome)
        await client.close()


REFUSED = [
    ({"service": "ecko"}, Code.UNKNOWN_SERVICE, "no service 'ecko' here; did you mean echo?"),
    ({"service": ""}, Code.UNKNOWN_SERVICE, "no service '' here; offered: echo, greet, reply"),
    ({"codec": "jason"}, Code.UNKNOWN_CODEC, "jason"),
    ({"codec": "pickled"}, Code.UNKNOWN_CODEC, "is for plain sockets; use msgpack or json"),
    ({"version": 2}, Code.UNKNOWN_VERSION, "protocol version 2, known here is 1"),
]


@pytest.mark.parametrize(("fields", "code", "sentence"), REFUSED)
async def test_a_refusal_has_a_code_and_a_sentence(fields: dict[str, object], code: Code, sentence: str) -> None:
    service = reply("echo", lambda message: message, type=str)
    async with serve(PLUG, services=(*SERVICES, service)) as server:
        client = await RawClient.to(server.addresses[0])
        await client.say(PREFACE + hello(**fields))
        kind, payload = frames_in(await client.hear_all())[0]
        assert kind == Kind.REFUSED
        refusal = msgspec.msgpack.decode(payload, type=Refusal)
        assert refusal.reason is code
        assert sentence in refusal.text
        await client.close()


WRONG = [
    ("a DATA frame first", encode_frame(Kind.DATA, b"x"), Code.PROTOCOL),
    ("an unknown kind", HEADER.pack(200 << 24) + b"", Code.PROTOCOL),
    ("a HELLO above its limit", HEADER.pack(Kind.HELLO << 24 | HELLO_MAX + 1), Code.TOO_LARGE),
    ("a HELLO of 2^24-1 bytes", HEADER.pack(Kind.HELLO << 24 | 0xFFFFFF), Code.TOO_LARGE),
    ("data of 2^24-1 bytes", HEADER.pack(0xFFFFFF), Code.TOO_LARGE),
    ("a HELLO that is no map", encode_frame(Kind.HELLO, b"\xc1"), Code.PROTOCOL),
    ("a HELLO with a wrong type", hello(service=5), Code.PROTOCOL),
    ("a HELLO nested 4,000 deep", encode_frame(Kind.HELLO, b"\x81\xa1x" + b"\x91" * 4000), Code.PROTOCOL),
    ("two HELLOs", hello() + hello(), Code.PROTOCOL),
]


@pytest.mark.parametrize(("name", "data", "code"), WRONG, ids=[row[0] for row in WRONG])
async def test_a_wrong_opening_is_told_so_and_closed(name: str, data: bytes, code: Code) -> None:
    async with serve(PLUG, services=SERVICES) as server:
        client = await RawClient.to(server.addresses[0])
        await client.say(PREFACE + data)
        kind, payload = frames_in(await client.hear_all())[-1]
        assert kind in (Kind.REFUSED, Kind.BYE), name
        assert msgspec.msgpack.decode(payload, type=Refusal).reason is code
        await client.close()


async def test_a_preface_and_then_silence_is_ended_by_the_handshake_deadline() -> None:
    async with serve(PLUG, services=SERVICES, limits=Limits(handshake=0.05)) as server:
        client = await RawClient.to(server.addresses[0])
        await client.say(PREFACE)
        refusal = msgspec.msgpack.decode(frames_in(await client.hear_all())[0][1], type=Refusal)
        assert refusal.reason is Code.SLOW
        assert refusal.text == "no service was named within 0.05 s"
        await client.close()


async def test_probes_that_connect_and_close_leave_nothing_behind() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        for data in (b"", PREFACE[:3], PREFACE, PREFACE + hello()[:5]):
            for cut in ("close", "reset"):
                client = await RawClient.to(server.addresses[0])
                await client.say(data)
                client.reset() if cut == "reset" else await client.close()
        client = await RawClient.to(server.addresses[0])
        await client.say(b"echo\nstill here\n")
        assert await client.hear_line() == b"still here\n"
        await client.close()


async def test_tls_and_http_are_recognised_and_get_a_clear_line() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        for opening, word in (
            (b"\x16\x03\x01\x02\x00\x01\x00", b"TLS"),
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP"),
        ):
            client = await RawClient.to(server.addresses[0])
            await client.say(opening)
            answer = await client.hear_all()
            assert b"unsupported: " + word in answer
            assert answer.startswith(b"HTTP/1.1 501 ") is (word == b"HTTP")
            await client.close()


async def test_a_token_is_asked_for_and_compared() -> None:
    async with serve(PLUG, services=SERVICES, token="s3cret") as server:
        where = f"{server.addresses[0]}/echo"
        async with anyplug.connect(where, token="s3cret") as peer:
            assert await peer.ask("in") == "in"
        for wrong in ("", "s3cret ", "S3CRET"):
            with pytest.raises(Refused) as caught:
                await anyplug.connect(where, token=wrong)
            assert caught.value.code is Code.NOT_ALLOWED
        client = await RawClient.to(server.addresses[0])
        await client.say(b"echo\nhello\n")
        assert await client.hear_all() == b"not_allowed: this server asks for a token; connect with anyplug\n"
        await client.close()


async def test_a_frame_out_of_place_ends_the_conversation_with_its_reason() -> None:
    async with serve(PLUG, services=SERVICES) as server:
        client = await PlugClient.to(server.addresses[0])
        await client.open("echo")
        await client.say(encode_frame(Kind.WELCOME, b"\x80"))
        events = await client.events()
        assert "a WELCOME frame in the state 'open' of a server" in str(events[0])
        assert await client.events() == []
        await client.close()


async def test_a_request_to_a_conversation_is_refused_and_the_conversation_goes_on() -> None:
    async def listen(peer: anyplug.Connection[str]) -> None:
        async for message in peer:
            await peer.send(message)

    def set_up(server: anyplug.Server) -> None:
        server.service("listen", type=str)(listen)

    async with serve(PLUG, set_up=set_up) as server:
        client = await PlugClient.to(server.addresses[0])
        await client.open("listen", codec="text")
        client.session.send_request(7, b"?")
        await client.flush()
        failed = (await client.events())[0]
        assert (getattr(failed, "id", None), "send and receive" in str(failed)) == (7, True)
        client.session.send_data(b"on")
        await client.flush()
        assert "on" in str(await client.events())
        await client.close()


async def test_every_refusal_is_logged_without_a_traceback() -> None:
    records = LogRecords()
    async with serve(PLUG, services=SERVICES, records=records) as server:
        with pytest.raises(Refused):
            await anyplug.connect(f"{server.addresses[0]}/nope")
    assert records.events("refused") == [
        {"code": "unknown_service", "problem": "no service 'nope' here; offered: echo, greet, reply"}
    ]
    assert all(record.exc_info is None for record in records.records)


async def test_a_client_that_connects_elsewhere_learns_what_is_there() -> None:
    for banner, remedy in ((b"SSH-2.0-x\r\n", "SSH"), (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP")):

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, banner: bytes = banner) -> None:
            writer.write(banner)
            await writer.drain()
            await reader.read()
            writer.close()

        listener = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(anyplug.ConnectError) as caught:
            await anyplug.connect(f"plug://127.0.0.1:{port}/echo")
        assert caught.value.step == "handshake"
        assert remedy in caught.value.remedy
        listener.close()


async def test_a_server_that_says_nothing_runs_into_the_time_limit() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    with pytest.raises(anyplug.ConnectError, match=r"said nothing within 0\.05 s"):
        await anyplug.connect(f"plug://127.0.0.1:{port}/echo", timeout=0.05)
    listener.close()
