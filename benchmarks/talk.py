"""How many deliveries a second does a room make, one speaker and 200 listeners?

The load is one process with all sockets: it speaks 100-byte messages, at most so many ahead of what all listeners
together have heard, and counts by one byte that stands in each message once. `websockets` has the same room, as its
documentation writes it: each message goes to all but its speaker, behind a name, by ``broadcast``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import selectors
import socket
import sys
from time import perf_counter
from typing import TYPE_CHECKING

import anyplug
from anyplug.limits import Limits
from anyplug.messages import Hello
from anyplug.services import TalkOptions, make_talk
from anyplug.wire import PlugSession, Role
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import LOAD_CORE, SERVER_CORE, Process, play, role
from benchmarks.programs import run_on_uvloop, serve, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import ServerConnection

LISTENERS = 200
AHEAD = 64
"""Messages that the speaker may be ahead of the listeners."""
MARK = b"~"
MESSAGE = b"m" * 99 + MARK
PATIENCE = 30.0


# The rooms.


def serve_anyplug(address: str) -> None:
    server = anyplug.Server()
    server.add(make_talk("talk", TalkOptions()))
    serve(server, address)


def serve_websockets() -> None:
    from websockets.asyncio.server import broadcast
    from websockets.asyncio.server import serve as listen
    from websockets.exceptions import ConnectionClosed

    here: set[ServerConnection] = set()

    async def talk(peer: ServerConnection) -> None:
        here.add(peer)
        name = f"guest-{len(here)}"
        try:
            async for message in peer:
                broadcast(here - {peer}, f"{name}: {message!s}")
        except ConnectionClosed:
            pass
        finally:
            here.discard(peer)

    async def main() -> None:
        async with listen(talk, "127.0.0.1", 0, compression=None) as server:
            print(next(iter(server.sockets)).getsockname()[1], flush=True)
            await asyncio.Event().wait()

    run_on_uvloop(main())


# What each of them wants to hear first, and how a message looks to it.


def _lines() -> tuple[bytes, bytes, bytes]:
    return b"", b"* you are", MESSAGE + b"\n"


def _plug(codec: str) -> tuple[bytes, bytes, bytes]:
    session = PlugSession(Role.CLIENT, Limits())
    session.send_hello(Hello(service="talk", codec=codec))
    body = {"text": MESSAGE, "json": b'"' + MESSAGE + b'"'}[codec]
    return session.data_to_send(), b"guest-", len(body).to_bytes(4, "big") + body


def _websocket() -> tuple[bytes, bytes, bytes]:
    key = base64.b64encode(bytes(16)).decode()
    head = ["GET / HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade"]
    head += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
    return "\r\n".join(head).encode(), b"\r\n\r\n", b"\x81\xe4" + bytes(4) + MESSAGE  # masked with zeros


SPEAKS: dict[str, Callable[[], tuple[bytes, bytes, bytes]]] = {
    "lines": _lines,
    "text": lambda: _plug("text"),
    "json": lambda: _plug("json"),
    "websockets": _websocket,
}


# The load.


def load(port: str, speaks: str, ahead: str, seconds: str) -> None:
    hello, welcome, message = SPEAKS[speaks]()
    listeners = [_enter(int(port), hello, welcome) for _ in range(LISTENERS)]
    speaker = _enter(int(port), hello, welcome)
    with selectors.EpollSelector() as selector:
        for each in listeners:
            each.setblocking(False)
            selector.register(each, selectors.EVENT_READ)
        _run(selector, speaker, message, int(ahead), 0.1)
        print("ready", flush=True)
        sys.stdin.readline()
        tell(**_run(selector, speaker, message, int(ahead), float(seconds)))


def _enter(port: int, hello: bytes, welcome: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hello:
        sock.sendall(hello)
    heard = b""
    while welcome not in heard:
        heard += sock.recv(65536)
    return sock


def _run(
    selector: selectors.BaseSelector, speaker: socket.socket, message: bytes, ahead: int, seconds: float
) -> dict[str, float]:
    """Speak and listen for so long, and hear the rest."""
    said, heard, waited = 0, 0, 0.0
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    began = perf_counter()
    until = began + seconds
    while True:
        now = perf_counter()
        if now < until and (room := heard // LISTENERS + ahead - said) > 0:
            speaker.sendall(message * room)
            said += room
        elif now >= until and heard >= said * LISTENERS:
            return {"deliveries": heard, "seconds": now - began, "idle": waited / (now - began)}
        before = perf_counter()
        ready = selector.select(PATIENCE)
        waited += perf_counter() - before
        assert ready, f"{heard} of {said * LISTENERS} deliveries came"
        for key, _ in ready:
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            heard += bytes(view[: sock.recv_into(buffer)]).count(MARK)


# The measurement.


def measure(server_role: str, speaks: str, ahead: int, seconds: float, *arguments: str) -> Sample:
    with Process(role("talk", server_role, *arguments), core=SERVER_CORE) as server:
        port = server.line()
        with Process(role("talk", "load", port, speaks, ahead, seconds), core=LOAD_CORE) as process:
            process.line()
            idle = server.cpu()
            found = json.loads(process.tell("go"))
            busy = server.cpu() - idle
    return Sample(
        found["deliveries"] / found["seconds"],
        cost=busy / found["deliveries"] * 1e6,
        facts={"load busy": 1 - found["idle"]},
    )


def ours(name: str, speaks: str, address: str, ahead: int = AHEAD) -> Contestant:
    return Contestant(name, lambda seconds: measure("serve_anyplug", speaks, ahead, seconds, address))


def theirs(name: str, ahead: int = AHEAD) -> Contestant:
    return Contestant(name, lambda seconds: measure("serve_websockets", "websockets", ahead, seconds))


PLUG, LINES = "plug://127.0.0.1:0", "tcp://127.0.0.1:0/talk?framing=lines"
TEXT, JSON, PLAIN, THEIRS = "anyplug plug, text", "anyplug plug, json", "anyplug lines", "websockets broadcast"
ONE, THEIR_ONE = "anyplug plug, text, one by one", "websockets broadcast, one by one"
QUESTION = Question(
    name="talk",
    asks=f"a room: one speaker at most {AHEAD} messages of 100 bytes ahead (or one by one), {LISTENERS} listeners",
    unit="deliveries a second",
    contestants=[
        ours(TEXT, "text", PLUG),
        ours(JSON, "json", PLUG),
        ours(PLAIN, "lines", LINES),
        theirs(THEIRS),
        ours(ONE, "text", PLUG, 1),
        theirs(THEIR_ONE, 1),
    ],
    comparisons=[
        Comparison(TEXT, THEIRS, least=3.0),
        Comparison(JSON, THEIRS, least=3.0),
        Comparison(PLAIN, THEIRS, least=3.0),
        Comparison(ONE, THEIR_ONE),
    ],
)

if __name__ == "__main__":
    play({"serve_anyplug": serve_anyplug, "serve_websockets": serve_websockets, "load": load})
