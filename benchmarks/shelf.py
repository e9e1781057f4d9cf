"""How many reads and writes a second does one program get from a dictionary that another one holds?

One blocking client, one question at a time: the time is that of a round trip. The value is a tuple of scalars, which
all of them send by value. The peers keep it in a dictionary in memory; so does our store of kind ``memory``. Reads and
writes of our store on disk are told beside: there each write is synced before it is answered, which no peer does.

All speak over TCP; beside it the shelf and `multiprocessing.managers` over a unix socket, which `Manager()` makes.
"""

from __future__ import annotations

import tempfile
from multiprocessing.managers import BaseManager, DictProxy
from time import perf_counter
from typing import TYPE_CHECKING, Any

import anyplug
from anyplug.blocking import Shelf
from anyplug.services.shelf import ShelfOptions, make_shelf
from anyplug.store import MemoryStore
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.processes import LOAD_CORE, SERVER_CORE, Process, play, role
from benchmarks.programs import port_of, run_on_uvloop, tell

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE = ("level", 3, 0.5, True, "x" * 50)
KEY = "config"
BATCH = 20
AUTHKEY = b"benchmark"

# Servers.


def serve_anyplug(kind: str, family: str) -> None:
    import asyncio

    async def main(folder: str) -> None:
        server = anyplug.Server(store=MemoryStore() if kind == "memory" else folder)
        server.add(make_shelf("shelf", ShelfOptions(), server.facilities))
        await server.start("plug://127.0.0.1:0" if family == "tcp" else f"plug+unix://{folder}/socket")
        print(server.addresses[0], flush=True)
        await asyncio.Event().wait()

    with tempfile.TemporaryDirectory(prefix="benchmarks-", dir="/var/tmp") as folder:
        run_on_uvloop(main(folder))


class _Manager(BaseManager):
    """A dictionary behind `multiprocessing.managers`."""


_HELD: dict[str, Any] = {}
_Manager.register("held", callable=lambda: _HELD, proxytype=DictProxy)


def serve_managers(kind: str) -> None:
    address: Any = ("127.0.0.1", 0) if kind == "tcp" else None
    server = _Manager(address, AUTHKEY).get_server()
    bound: Any = server.address
    print(bound[1] if kind == "tcp" else bound, flush=True)
    server.serve_forever()


def serve_rpyc() -> None:
    import rpyc
    from rpyc.utils.server import ThreadedServer

    class Held(rpyc.Service):  # type: ignore[misc]
        def exposed_get(self, key: str) -> Any:
            return _HELD[key]

        def exposed_put(self, key: str, value: Any) -> None:
            _HELD[key] = value

    server = ThreadedServer(Held(), hostname="127.0.0.1", port=0)
    print(server.port, flush=True)
    server.start()


def serve_pyro() -> None:
    import Pyro5.api

    @Pyro5.api.expose
    class Held:
        def get(self, key: str) -> Any:
            return _HELD[key]

        def put(self, key: str, value: Any) -> None:
            _HELD[key] = value

    daemon = Pyro5.api.Daemon(host="127.0.0.1")
    print(port_of(f"x://{daemon.locationStr}"), flush=True)
    daemon.register(Held(), objectId="held")
    daemon.requestLoop()


# Loads.


def count(once: Callable[[], object], seconds: str) -> None:
    """Do it again and again until the time is over."""
    done = 0
    began = perf_counter()
    until = began + float(seconds)
    while perf_counter() < until:
        for _ in range(BATCH):
            once()
        done += BATCH
    tell(done=done, seconds=perf_counter() - began)


def drive(get: Callable[[], object], put: Callable[[], object], seconds: str, what: str) -> None:
    """Put once, look whether it is there, then measure."""
    put()
    assert get() == VALUE
    count(get if what == "get" else put, seconds)


def use_anyplug(address: str, seconds: str, what: str) -> None:
    with Shelf(address) as shelf:
        drive(lambda: shelf[KEY], lambda: shelf.put(KEY, VALUE), seconds, what)


def use_managers(port: str, seconds: str, what: str) -> None:
    manager = _Manager(("127.0.0.1", int(port)) if port.isdigit() else port, AUTHKEY)
    manager.connect()
    held: Any = manager.held()  # type: ignore[attr-defined]
    drive(lambda: held[KEY], lambda: held.__setitem__(KEY, VALUE), seconds, what)


def use_rpyc(port: str, seconds: str, what: str) -> None:
    import rpyc

    held = rpyc.connect("127.0.0.1", int(port)).root
    drive(lambda: held.get(KEY), lambda: held.put(KEY, VALUE), seconds, what)


def use_pyro(port: str, seconds: str, what: str) -> None:
    import Pyro5.api

    with Pyro5.api.Proxy(f"PYRO:held@127.0.0.1:{port}") as held:
        drive(lambda: tuple(held.get(KEY)), lambda: held.put(KEY, VALUE), seconds, what)


def measure(server_role: list[str], load_role: str, what: str, seconds: float) -> Sample:
    with Process(role("shelf", *server_role), core=SERVER_CORE) as server:
        port = server.line()
        idle = server.cpu()
        with Process(role("shelf", load_role, port, seconds, what), core=LOAD_CORE) as load:
            found = load.json()
        busy = server.cpu() - idle
    return Sample(found["done"] / found["seconds"], cost=busy / found["done"] * 1e6)


def contestant(name: str, server_role: list[str], load_role: str, what: str) -> Contestant:
    return Contestant(f"{name}, {what}", lambda seconds: measure(server_role, load_role, what, seconds))


OURS, OURS_UNIX, DISK = "shelf in memory", "shelf in memory, unix socket", "shelf on disk"
TCP, UNIX, RPYC, PYRO = "managers dict", "managers dict, unix socket", "RPyC", "Pyro5"
KINDS = {
    OURS: (["serve_anyplug", "memory", "tcp"], "use_anyplug"),
    OURS_UNIX: (["serve_anyplug", "memory", "unix"], "use_anyplug"),
    DISK: (["serve_anyplug", "disk", "tcp"], "use_anyplug"),
    TCP: (["serve_managers", "tcp"], "use_managers"),
    UNIX: (["serve_managers", "unix"], "use_managers"),
    RPYC: (["serve_rpyc"], "use_rpyc"),
    PYRO: (["serve_pyro"], "use_pyro"),
}
PAIRS = ((OURS, TCP, 1.0), (OURS_UNIX, UNIX, 1.0), (OURS, RPYC, 3.0), (OURS, PYRO, 3.0), (DISK, TCP, None))
QUESTION = Question(
    name="shelf",
    asks="one value got or put at a time by one blocking client, over loopback, a process each side",
    unit="round trips a second",
    contestants=[contestant(name, *roles, what) for what in ("get", "put") for name, roles in KINDS.items()],
    comparisons=[
        Comparison(f"{ours}, {what}", f"{theirs}, {what}", least=least)
        for what in ("get", "put")
        for ours, theirs, least in PAIRS
    ],
)

if __name__ == "__main__":
    play(
        {
            "serve_anyplug": serve_anyplug,
            "serve_managers": serve_managers,
            "serve_rpyc": serve_rpyc,
            "serve_pyro": serve_pyro,
            "use_anyplug": use_anyplug,
            "use_managers": use_managers,
            "use_rpyc": use_rpyc,
            "use_pyro": use_pyro,
        }
    )
