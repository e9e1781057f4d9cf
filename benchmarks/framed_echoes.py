"""Servers of other libraries that answer whole messages, over a protocol of their own: ZeroMQ, nng, WebSocket."""

from __future__ import annotations

import asyncio
import logging
from socket import ntohs
from typing import TYPE_CHECKING

from benchmarks.processes import play
from benchmarks.programs import run_on_uvloop

if TYPE_CHECKING:
    from collections.abc import Callable

    from picows import WSFrame, WSTransport, WSUpgradeRequest
    from websockets.asyncio.server import ServerConnection


def zmq_asyncio() -> None:
    import zmq.asyncio

    async def main() -> None:
        socket = zmq.asyncio.Context().socket(zmq.REP)
        print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
        while True:
            await socket.send(await socket.recv())

    run_on_uvloop(main())


def zmq_blocking() -> None:
    import zmq

    socket = zmq.Context().socket(zmq.REP)
    print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    while True:
        socket.send(socket.recv())


def nng_blocking() -> None:
    import pynng

    with pynng.Rep0(listen="tcp://127.0.0.1:0") as socket:
        print(ntohs(socket.listeners[0].local_address.port), flush=True)  # it is as the network writes it
        while True:
            socket.send(socket.recv())


def websockets_echo() -> None:
    from websockets.asyncio.server import serve

    async def echo(peer: ServerConnection) -> None:
        async for message in peer:
            await peer.send(message)

    async def main() -> None:
        logging.disable()  # a load that goes without a farewell is worth a traceback to it
        async with serve(echo, "127.0.0.1", 0, compression=None) as server:
            print(next(iter(server.sockets)).getsockname()[1], flush=True)
            await asyncio.Event().wait()

    run_on_uvloop(main())


def picows_echo() -> None:
    import picows

    class Echo(picows.WSListener):  # type: ignore[misc]
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == picows.WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code(), frame.get_close_message())
                transport.disconnect()
            else:
                transport.send(frame.msg_type, frame.get_payload_as_memoryview())

    def listener(request: WSUpgradeRequest) -> Echo:
        return Echo()

    async def main() -> None:
        server = await picows.ws_create_server(listener, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    run_on_uvloop(main())


ROLES: list[Callable[[], None]] = [zmq_asyncio, zmq_blocking, nng_blocking, websockets_echo, picows_echo]

if __name__ == "__main__":
    play({each.__name__: each for each in ROLES})
