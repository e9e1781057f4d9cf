"""How many questions a second does one process ask another, and get answered?

Over the native protocol one connection carries many questions at once: as a list (``ask_many``), or from 50 tasks that
each ask one and wait. The peer is REQ/REP of pyzmq on the same loop, where a socket has one question outstanding: 50
tasks have 50 sockets.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

import anyplug
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import LOAD_CORE, SERVER_CORE, Process, play, role
from benchmarks.programs import run_on_uvloop, serve, tell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    import zmq.asyncio

MESSAGE = b"q" * 100
TASKS = 50
BATCH = 500


def serve_anyplug() -> None:
    server = anyplug.Server()

    @server.reply("echo")
    def echo(message: bytes) -> bytes:
        return message

    serve(server, "plug://127.0.0.1:0")


def serve_zmq() -> None:
    import zmq.asyncio

    async def main() -> None:
        socket = zmq.asyncio.Context().socket(zmq.REP)
        print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
        while True:
            await socket.send(await socket.recv())

    run_on_uvloop(main())


async def count(ask_once: Callable[[], Awaitable[int]], until: float) -> int:
    """Ask again and again until the time is over; returns how many answers came."""
    answers = 0
    while perf_counter() < until:
        answers += await ask_once()
    return answers


async def tell_rate(works: list[Coroutine[object, object, int]], began: float) -> None:
    answers = sum(await asyncio.gather(*works))
    tell(answers=answers, seconds=perf_counter() - began)


def ask_anyplug(port: str, seconds: str, tasks: str, batch: str) -> None:
    async def main() -> None:
        questions = [MESSAGE] * int(batch)
        async with anyplug.connect(f"plug://127.0.0.1:{port}/echo", type=bytes, codec="bytes") as peer:

            async def one() -> int:
                assert await peer.ask(MESSAGE) == MESSAGE
                return 1

            async def many() -> int:
                return len(await peer.ask_many(questions))

            began = perf_counter()
            ask_once = one if int(batch) == 1 else many
            await tell_rate([count(ask_once, began + float(seconds)) for _ in range(int(tasks))], began)

    run_on_uvloop(main())


def ask_zmq(port: str, seconds: str, tasks: str) -> None:
    import zmq.asyncio

    async def one(socket: zmq.asyncio.Socket) -> int:
        await socket.send(MESSAGE)
        assert await socket.recv() == MESSAGE
        return 1

    async def task(context: zmq.asyncio.Context, until: float) -> int:
        with context.socket(zmq.REQ) as socket:
            socket.connect(f"tcp://127.0.0.1:{port}")
            return await count(lambda: one(socket), until)

    async def main() -> None:
        with zmq.asyncio.Context() as context:
            began = perf_counter()
            await tell_rate([task(context, began + float(seconds)) for _ in range(int(tasks))], began)

    run_on_uvloop(main())


def measure(server_role: str, load_role: str, seconds: float, *arguments: object) -> Sample:
    with Process(role("ask", server_role), core=SERVER_CORE) as server:
        port = server.line()
        idle = server.cpu()
        with Process(role("ask", load_role, port, seconds, *arguments), core=LOAD_CORE) as load:
            found = load.json()
            asker = load.cpu()
        busy = server.cpu() - idle
    answers = found["answers"]
    return Sample(answers / found["seconds"], cost=busy / answers * 1e6, facts={"asker us each": asker / answers * 1e6})


MANY, FIFTY, ONE = f"anyplug ask_many of {BATCH}", f"anyplug ask, {TASKS} tasks", "anyplug ask, 1 task"
ZMQ_FIFTY, ZMQ_ONE = f"zmq.asyncio REQ/REP, {TASKS} tasks", "zmq.asyncio REQ/REP, 1 task"
QUESTION = Question(
    name="ask",
    asks="100-byte questions, answered by a def reply over the native protocol, a process each side",
    unit="answers a second",
    contestants=[
        Contestant(MANY, lambda seconds: measure("serve_anyplug", "ask_anyplug", seconds, 1, BATCH)),
        Contestant(FIFTY, lambda seconds: measure("serve_anyplug", "ask_anyplug", seconds, TASKS, 1)),
        Contestant(ONE, lambda seconds: measure("serve_anyplug", "ask_anyplug", seconds, 1, 1)),
        Contestant(ZMQ_FIFTY, lambda seconds: measure("serve_zmq", "ask_zmq", seconds, TASKS)),
        Contestant(ZMQ_ONE, lambda seconds: measure("serve_zmq", "ask_zmq", seconds, 1)),
    ],
    comparisons=[
        Comparison(MANY, ZMQ_FIFTY),
        Comparison(FIFTY, ZMQ_FIFTY),
        Comparison(ONE, ZMQ_ONE),
    ],
)

if __name__ == "__main__":
    play({"serve_anyplug": serve_anyplug, "serve_zmq": serve_zmq, "ask_anyplug": ask_anyplug, "ask_zmq": ask_zmq})
