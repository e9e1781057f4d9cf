"""The peers of `oneway` and `sizes`: how messages go one way with other libraries.

Each server prints its port, counts messages until an empty one, and prints what it has counted. Then it stays, so that
the harness can see what it computed.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from multiprocessing.connection import Client, Listener
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.oneway import messages
from benchmarks.processes import play
from benchmarks.programs import run_on_uvloop, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from picows import WSFrame, WSTransport, WSUpgradeRequest
    from websockets.asyncio.server import ServerConnection

NO_MORE = b"\0"
"""The end for pynng, which cannot receive an empty message."""


class Count:
    """Counts messages from the first to an empty one, and tells."""

    def __init__(self) -> None:
        self.count = 0
        self.began = 0.0

    def more(self, message: object) -> bool:
        """Whether another one comes."""
        if not self.count:
            self.began = perf_counter()
        self.count += 1
        if not message:
            tell(messages=self.count, seconds=perf_counter() - self.began)
        return bool(message)


def count_all(receive: Callable[[], object]) -> None:
    """For blocking libraries."""
    counter = Count()
    while counter.more(receive()):
        pass
    signal.pause()


# pyzmq and pynng.


def serve_zmq() -> None:
    import zmq

    socket = zmq.Context().socket(zmq.PULL)
    print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    count_all(socket.recv)


def send_zmq(port: str, seconds: str, size: str) -> None:
    import zmq

    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.connect(f"tcp://127.0.0.1:{port}")
        for message in messages(int(size), float(seconds)):
            socket.send(message)


def serve_zmq_asyncio() -> None:
    import zmq.asyncio

    async def main() -> None:
        socket = zmq.asyncio.Context().socket(zmq.PULL)
        print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
        counter = Count()
        while counter.more(await socket.recv()):
            pass
        await asyncio.Event().wait()

    run_on_uvloop(main())


def send_zmq_asyncio(port: str, seconds: str, size: str) -> None:
    import zmq.asyncio

    async def main() -> None:
        with zmq.asyncio.Context() as context, context.socket(zmq.PUSH) as socket:
            socket.connect(f"tcp://127.0.0.1:{port}")
            for message in messages(int(size), float(seconds)):
                await socket.send(message)

    run_on_uvloop(main())


def serve_nng() -> None:
    import pynng

    with pynng.Pull0(listen="tcp://127.0.0.1:0") as sock:
        print(socket.ntohs(sock.listeners[0].local_address.port), flush=True)
        count_all(lambda: sock.recv() != NO_MORE)


def send_nng(port: str, seconds: str, size: str) -> None:
    import pynng

    with pynng.Push0(dial=f"tcp://127.0.0.1:{port}", block_on_dial=True) as sock:
        for message in messages(int(size), float(seconds)):
            sock.send(message or NO_MORE)
        signal.pause()  # it drops what it has queued when it is closed


# WebSocket.


def serve_websockets() -> None:
    from websockets.asyncio.server import serve

    async def sink(peer: ServerConnection) -> None:
        counter = Count()
        async for message in peer:
            counter.more(message)

    async def main() -> None:
        async with serve(sink, "127.0.0.1", 0, compression=None, max_size=None) as server:
            print(next(iter(server.sockets)).getsockname()[1], flush=True)
            await asyncio.Event().wait()

    run_on_uvloop(main())


def send_websockets(port: str, seconds: str, size: str) -> None:
    from websockets.asyncio.client import connect

    async def main() -> None:
        async with connect(f"ws://127.0.0.1:{port}", compression=None) as peer:
            for message in messages(int(size), float(seconds)):
                await peer.send(message)

    run_on_uvloop(main())


def serve_picows() -> None:
    import picows

    class Sink(picows.WSListener):  # type: ignore[misc]
        def on_ws_connected(self, transport: WSTransport) -> None:
            self.counter = Count()

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == picows.WSMsgType.BINARY:
                self.counter.more(frame.get_payload_as_bytes())

    def listener(request: WSUpgradeRequest) -> Sink:
        return Sink()

    async def main() -> None:
        server = await picows.ws_create_server(listener, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    run_on_uvloop(main())


def send_picows(port: str, seconds: str, size: str) -> None:
    import picows

    room = asyncio.Event()
    room.set()

    class Sender(picows.WSListener):  # type: ignore[misc]
        def pause_writing(self) -> None:
            room.clear()

        def resume_writing(self) -> None:
            room.set()

    async def main() -> None:
        transport, _ = await picows.ws_connect(Sender, f"ws://127.0.0.1:{port}")
        for message in messages(int(size), float(seconds)):
            transport.send(picows.WSMsgType.BINARY, message)
            if not room.is_set():
                await room.wait()
        transport.send_close(picows.WSCloseCode.OK)
        await transport.wait_disconnected()

    run_on_uvloop(main())


# The standard library.


def serve_multiprocessing() -> None:
    with Listener(("127.0.0.1", 0)) as listener:
        print(listener.address[1], flush=True)
        count_all(listener.accept().recv_bytes)


def send_multiprocessing(port: str, seconds: str, size: str) -> None:
    with Client(("127.0.0.1", int(port))) as peer:
        for message in messages(int(size), float(seconds)):
            peer.send_bytes(message)


def serve_raw() -> None:
    """Bytes and nothing else: counts mebibytes, no messages."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        sock = listener.accept()[0]
    buffer = bytearray(1 << 20)
    got = sock.recv_into(buffer)
    began = perf_counter()
    while more := sock.recv_into(buffer):
        got += more
    tell(bytes=got, seconds=perf_counter() - began)
    signal.pause()


def send_raw(port: str, seconds: str, size: str) -> None:
    with socket.create_connection(("127.0.0.1", int(port))) as sock:
        for message in messages(int(size), float(seconds)):
            sock.sendall(message)


ROLES: list[Callable[..., None]] = [
    serve_zmq,
    send_zmq,
    serve_zmq_asyncio,
    send_zmq_asyncio,
    serve_nng,
    send_nng,
    serve_websockets,
    send_websockets,
    serve_picows,
    send_picows,
    serve_multiprocessing,
    send_multiprocessing,
    serve_raw,
    send_raw,
]

if __name__ == "__main__":
    play({each.__name__: each for each in ROLES})
