"""How many messages a second does a server keep that are on its disk before they are acknowledged?

One client posts batches and waits for each; 50 clients post smaller batches; or 50 clients post one message at a time.
The peers are Redis Streams, synced before every answer (``appendfsync always``), through pipelines of the same depth;
and NATS JetStream in a file, which answers *before* it syncs (every two minutes, as it comes). A peer whose server is
not installed is left out. All of them write to one disk: that of ``/var/tmp``, or of the folder in
``ANYPLUG_BENCH_FOLDER``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from functools import partial
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any, NamedTuple

import anyplug
import anyplug.blocking
from anyplug.services import InboxOptions, make_inbox
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import LOAD_CORE, SERVER_CORE, Process, play, role
from benchmarks.programs import port_of, run_on_uvloop, tell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

MESSAGE = b"m" * 100
BATCH = 500
DEPTH = 20
CLIENTS = 50
PATIENCE = 10.0

REDIS, NATS = shutil.which("redis-server"), shutil.which("nats-server") or shutil.which("/usr/sbin/nats-server")


# The servers.


def serve_anyplug(folder: str) -> None:
    async def main() -> None:
        server = anyplug.Server(store=folder)
        server.add(make_inbox("inbox", InboxOptions(), server.facilities))
        await server.start("plug://127.0.0.1:0")
        print(port_of(server.addresses[0]), flush=True)
        await asyncio.Event().wait()

    run_on_uvloop(main())


def serve_redis(folder: str) -> None:
    port = free_port()
    limits = ("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--loglevel", "warning")
    become([str(REDIS), "--bind", "127.0.0.1", "--port", port, "--dir", folder, *limits], port)


def serve_nats(folder: str) -> None:
    port = free_port()
    become([str(NATS), "-a", "127.0.0.1", "-p", port, "-js", "-sd", folder], port)


def become(command: list[str], port: str) -> None:
    """Be this program, which says nothing; its port is said before."""
    print(port, flush=True)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.execv(command[0], command)  # noqa: S606 - a server of the benchmark


def free_port() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return str(sock.getsockname()[1])


def await_port(port: str) -> None:
    """Until something listens there."""
    until = perf_counter() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", int(port))).close()
        except ConnectionRefusedError:
            assert perf_counter() < until, f"nothing listens on {port}"
            sleep(0.01)
        else:
            return


# One client that posts batches.


def count_batches(post: Callable[[], int], seconds: float) -> None:
    post()
    began = perf_counter()
    kept = 0
    while (now := perf_counter()) < began + seconds:
        kept += post()
    tell(kept=kept, seconds=now - began)


def batch_anyplug(port: str, seconds: str) -> None:
    messages = [MESSAGE] * BATCH
    with anyplug.blocking.connect(f"plug://127.0.0.1:{port}/inbox/log", codec="bytes") as peer:
        count_batches(lambda: len(peer.post_many(messages)), float(seconds))


def batch_redis(port: str, seconds: str) -> None:
    import redis

    client = redis.Redis(port=int(port))

    def post() -> int:
        pipeline = client.pipeline(transaction=False)
        for _ in range(BATCH):
            pipeline.xadd("log", {"body": MESSAGE})
        return len(pipeline.execute())

    count_batches(post, float(seconds))


def batch_nats(port: str, seconds: str) -> None:
    async def main() -> None:
        async with jetstream(port) as stream:

            async def post() -> int:
                waiting = [await stream.publish_async("log", MESSAGE) for _ in range(BATCH)]
                return len(await asyncio.gather(*waiting))

            await post()
            began = perf_counter()
            kept = 0
            while (now := perf_counter()) < began + float(seconds):
                kept += await post()
            tell(kept=kept, seconds=now - began)

    asyncio.run(main())


class jetstream:  # noqa: N801 - it is used as a function
    """The stream of a connection to NATS."""

    def __init__(self, port: str) -> None:
        self._port = port

    async def __aenter__(self) -> Any:
        import nats

        self._connection = await nats.connect(f"nats://127.0.0.1:{self._port}")
        stream = self._connection.jetstream(publish_async_max_pending=2 * BATCH)
        await stream.add_stream(name="log", subjects=["log"], storage="file")
        return stream

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()


# Fifty clients, each of which waits for what it has posted.


async def count_posts(posts: list[Callable[[], Awaitable[int]]], seconds: float) -> None:
    async def client(post: Callable[[], Awaitable[int]], until: float) -> int:
        kept = 0
        while perf_counter() < until:
            kept += await post()
        return kept

    await asyncio.gather(*(post() for post in posts))
    began = perf_counter()
    kept = sum(await asyncio.gather(*(client(post, began + seconds) for post in posts)))
    tell(kept=kept, seconds=perf_counter() - began)


def fifty_anyplug(port: str, seconds: str, depth: str) -> None:
    async def main() -> None:
        address = f"plug://127.0.0.1:{port}/inbox/log"
        peers = [await anyplug.connect(address, codec="bytes") for _ in range(CLIENTS)]
        messages = [MESSAGE] * int(depth)

        async def post(peer: anyplug.Connection[Any]) -> int:
            return len(await peer.post_many(messages))

        await count_posts([partial(post, each) for each in peers], float(seconds))
        await asyncio.gather(*(peer.close() for peer in peers))

    run_on_uvloop(main())


def fifty_redis(port: str, seconds: str, depth: str) -> None:
    import redis.asyncio

    async def main() -> None:
        clients = [redis.asyncio.Redis(port=int(port), single_connection_client=True) for _ in range(CLIENTS)]

        async def post(client: Any) -> int:
            if depth == "1":
                await client.xadd("log", {"body": MESSAGE})
                return 1
            pipeline = client.pipeline(transaction=False)
            for _ in range(int(depth)):
                pipeline.xadd("log", {"body": MESSAGE})
            return len(await pipeline.execute())

        await count_posts([partial(post, each) for each in clients], float(seconds))
        await asyncio.gather(*(each.aclose() for each in clients))

    run_on_uvloop(main())


def fifty_nats(port: str, seconds: str, depth: str) -> None:
    async def main() -> None:
        stages = [jetstream(port) for _ in range(CLIENTS)]
        streams = [await each.__aenter__() for each in stages]

        async def post(stream: Any) -> int:
            if depth == "1":
                await stream.publish("log", MESSAGE)
                return 1
            waiting = [await stream.publish_async("log", MESSAGE) for _ in range(int(depth))]
            return len(await asyncio.gather(*waiting))

        await count_posts([partial(post, each) for each in streams], float(seconds))
        for each in stages:
            await each.__aexit__()

    run_on_uvloop(main())


# Measuring.


class folder_on_disk:  # noqa: N801 - it is used as a function
    """An empty folder on a real disk, gone at the end of the block."""

    def __enter__(self) -> str:
        where = os.environ.get("ANYPLUG_BENCH_FOLDER", "/var/tmp")  # noqa: S108 - a folder of its own is made in it
        self._path = tempfile.mkdtemp(prefix="anyplug-posts-", dir=where)
        kind = subprocess.run(["stat", "-f", "-c", "%T", self._path], check=True, capture_output=True, text=True).stdout
        assert kind.strip() != "tmpfs", f"{self._path} is no disk; name a folder in ANYPLUG_BENCH_FOLDER"
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


def measure(peer: str, load: str, arguments: Sequence[object], seconds: float) -> Sample:
    with folder_on_disk() as folder, Process(role("posts", f"serve_{peer}", folder), core=SERVER_CORE) as server:
        port = server.line()
        await_port(port)
        idle = server.cpu()
        with Process(role("posts", f"{load}_{peer}", port, seconds, *arguments), core=LOAD_CORE) as client:
            found = client.json()
            poster = client.cpu()
        busy = server.cpu() - idle
    kept = found["kept"]
    return Sample(kept / found["seconds"], cost=busy / kept * 1e6, facts={"client us each": poster / kept * 1e6})


class Load(NamedTuple):
    """What the clients do."""

    role: str
    arguments: tuple[object, ...]
    shown: str
    least: Mapping[str, float]
    """The target beside each peer."""


LOADS = (
    Load("batch", (), f"1 client, batches of {BATCH}", {"redis": 1.0, "nats": 5.0}),
    Load("fifty", (DEPTH,), f"{CLIENTS} clients, batches of {DEPTH}", {"redis": 1.0, "nats": 5.0}),
    Load("fifty", (1,), f"{CLIENTS} clients, one by one", {"redis": 1.0}),
)
PEERS = {
    "anyplug": "anyplug",
    **({"redis": "redis-py XADD, appendfsync always"} if REDIS else {}),
    **({"nats": "nats-py JetStream, not synced"} if NATS else {}),
}


def contestant(peer: str, load: Load) -> Contestant:
    return Contestant(f"{PEERS[peer]}: {load.shown}", partial(measure, peer, load.role, load.arguments))


QUESTION = Question(
    name="posts",
    asks=f"messages of {len(MESSAGE)} bytes kept on disk, each batch or message acknowledged before the next",
    unit="messages a second",
    contestants=[contestant(peer, load) for load in LOADS for peer in PEERS],
    comparisons=[
        Comparison(contestant("anyplug", load).name, contestant(peer, load).name, least=load.least.get(peer))
        for load in LOADS
        for peer in PEERS
        if peer != "anyplug"
    ],
    rounds=9,
    seconds=1.0,
)

if __name__ == "__main__":
    roles: list[Callable[..., None]] = [serve_anyplug, serve_redis, serve_nats, batch_anyplug, batch_redis, batch_nats]
    roles += [fifty_anyplug, fifty_redis, fifty_nats]
    play({each.__name__: each for each in roles})
