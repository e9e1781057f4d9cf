"""The greeter: speaks first, may take a receipt, ends."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

import anyplug
from anyplug import Code, ConnectionClosed
from anyplug.services import GreetOptions, make_greet
from tests.server.serving import LogRecords, RawClient, port_of, serve


async def test_a_greeting_comes_whole_and_then_the_end_even_seven_bytes_at_a_time() -> None:
    service = make_greet("greet", GreetOptions(text="Socket Programming in Python"))
    async with serve("tcp://127.0.0.1:0/greet?framing=raw", services=(service,)) as server:
        client = await RawClient.to(server.addresses[0])
        pieces = []
        while piece := await client.hear(7):
            pieces.append(piece)
        assert b"".join(pieces) == b"Socket Programming in Python"
        await client.close()


async def test_a_receipt_is_taken_before_the_end() -> None:
    records = LogRecords()
    service = make_greet("greet", GreetOptions(text="Welcome to study socket!", receipt=True))
    async with serve("tcp://127.0.0.1:0/greet?framing=raw", services=(service,), records=records) as server:
        client = await RawClient.to(server.addresses[0])
        assert await client.hear() == b"Welcome to study socket!"
        await client.say("有内鬼, 终止交易! Over".encode())
        assert await client.hear_all() == b""
        await client.close()


async def test_a_client_that_gives_no_receipt_is_ended_after_a_while() -> None:
    records = LogRecords()
    service = make_greet("greet", GreetOptions(receipt=True, patience=0.05))
    async with serve("plug://127.0.0.1:0", services=(service,), records=records) as server:
        async with anyplug.connect(f"{server.addresses[0]}/greet") as peer:
            assert await peer.receive(5) == "Welcome to Anyplug!"
            with pytest.raises(ConnectionClosed) as caught:
                await peer.receive(5)
            assert caught.value.code is Code.SLOW
    assert records.events("handler_failed") == []


async def test_clients_that_reset_before_the_greeting_leave_no_trace() -> None:
    failures: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context))
    service = make_greet("greet", GreetOptions())
    async with serve("tcp://127.0.0.1:0/greet?framing=raw", services=(service,)) as server:
        port = port_of(server.addresses[0])
        for _ in range(200):
            with socket.socket() as client:
                client.connect(("127.0.0.1", port))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        async with asyncio.timeout(10):
            while server.connections:
                await asyncio.sleep(0)
        last = await RawClient.to(server.addresses[0])
        assert await last.hear_all() == b"Welcome to Anyplug!"
        await last.close()
    assert failures == []
