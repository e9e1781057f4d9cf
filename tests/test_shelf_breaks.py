"""Both faces of a shelf, when something breaks, ends, or is not what it should be."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

import anyplug
from anyplug import ConnectionClosed, DecodeError, LocalError, Timeout
from anyplug.blocking import Shelf as BlockingShelf
from anyplug.schemas import shelving
from anyplug.schemas.shelf import Put
from anyplug.store import MemoryStore
from tests.server.serving import serve
from tests.services.shelves import PLUG, shelf_server
from tests.store.conftest import folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


__all__ = ["folder"]

T = TypeVar("T")


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, folder: Path) -> Any:
    """What a server keeps values in."""
    return MemoryStore() if request.param == "memory" else folder


async def threaded(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)


# Breaks.


@asynccontextmanager
async def restarting(folder: Path) -> AsyncIterator[tuple[str, Callable[[], Any]]]:
    """A shelf's address, and what ends its server and starts it anew."""
    held: list[Any] = []

    async def start(at: str) -> str:
        context = shelf_server(folder, at=at)
        server, address = await context.__aenter__()
        held[:] = [context, server.addresses[0]]
        return address

    async def restart() -> None:
        context, at = held
        await context.__aexit__(None, None, None)
        await start(at)

    address = await start(PLUG)
    yield address, restart
    await held[0].__aexit__(None, None, None)


async def test_a_call_survives_a_restart_of_the_server(folder: Path) -> None:
    async with restarting(folder) as (address, restart):
        async with anyplug.Shelf(address) as shelf:
            for n in range(1, 4):
                assert await shelf.put("a", n) == n
                await restart()
                assert await shelf.get("a") == n


async def test_threads_that_share_a_shelf_survive_a_restart_together(folder: Path) -> None:
    async with restarting(folder) as (address, restart):
        shelf = await threaded(lambda: BlockingShelf(address))
        assert await threaded(lambda: shelf.put("n", 0)) == 1
        await restart()

        def count() -> int:
            found: int = shelf.update_with("n", lambda n: n + 1)
            return found

        assert sorted(await asyncio.gather(*(threaded(count) for _ in range(8)))) == list(range(1, 9))
        await threaded(shelf.close)


async def test_tasks_that_share_a_shelf_survive_a_restart_together(folder: Path) -> None:
    async with restarting(folder) as (address, restart):
        async with anyplug.Shelf(address) as shelf:
            await shelf.put("n", 0)
            work = [asyncio.ensure_future(shelf.put(f"k{n}", n)) for n in range(50)]
            await restart()
            await asyncio.gather(*work)
            assert len([key async for key in shelf.keys("k")]) == 50
            assert await shelf.version() == 51


async def test_a_write_that_is_asked_again_is_made_once(store: Any) -> None:
    async with shelf_server(store) as (_, address), anyplug.connect(address) as peer:
        writer = shelving.Writing(b"12345678", anyplug.Limits())
        first = writer.put("a", 1, expected=0)
        for _ in range(3):
            assert (await peer.ask(first))["version"] == 1
        assert (await peer.ask(writer.put("a", 2, expected=1)))["version"] == 2
        assert (await peer.ask(first))["version"] == 1
        gone = writer.delete("a", 2)
        assert (await peer.ask(gone))["version"] == 3
        assert (await peer.ask(gone))["version"] == 3
        assert (await peer.ask(writer.put("a", 3, None)))["version"] == 4


async def test_without_a_server_a_call_ends_with_its_time() -> None:
    async with shelf_server() as (_, address):
        shelf = await anyplug.Shelf(address, timeout=0.2)
        blocking = await threaded(lambda: BlockingShelf(address, timeout=0.2))
    with pytest.raises(anyplug.ConnectError):
        await shelf.get("a")
    with pytest.raises(anyplug.ConnectError):
        await threaded(lambda: blocking.get("a"))
    await shelf.close()
    await threaded(blocking.close)


async def test_an_answer_that_does_not_come_is_a_timeout() -> None:
    over = asyncio.Event()

    def set_up(server: anyplug.Server) -> None:
        @server.reply("shelf")
        async def late(_: Any) -> None:
            await over.wait()

    async with serve(PLUG, set_up=set_up) as server, anyplug.Shelf(server.addresses[0], timeout=0.05) as shelf:
        with pytest.raises(Timeout):
            await shelf.get("a")
        over.set()


async def test_a_closed_shelf_says_so() -> None:
    async with shelf_server() as (_, address):
        shelf = await anyplug.Shelf(address)
        await shelf.close()
        await shelf.close()
        with pytest.raises(ConnectionClosed, match="the shelf was closed on this side"):
            await shelf.get("a")

        def work() -> None:
            same = BlockingShelf(address)
            same.close()
            with pytest.raises(ConnectionClosed, match="the shelf was closed on this side"):
                same.get("a")

        await threaded(work)


async def test_a_shelf_that_is_closed_while_it_connects_again_leaves_nothing_open(folder: Path) -> None:
    async with restarting(folder) as (address, restart):
        shelf = await anyplug.Shelf(address)
        await restart()
        asked = asyncio.ensure_future(shelf.get("a"))
        await asyncio.sleep(0)
        await shelf.close()
        with pytest.raises(ConnectionClosed):
            await asked
        assert shelf._peer is None


# Mistakes.


async def test_a_plain_address_is_no_shelf() -> None:
    for kind in (anyplug.Shelf, BlockingShelf):
        with pytest.raises(LocalError, match="use plug:// for a shelf"):
            kind("tcp://127.0.0.1:1")


async def test_the_service_is_called_shelf_where_the_address_names_none() -> None:
    async with shelf_server() as (server, _), anyplug.Shelf(server.addresses[0]) as shelf:
        assert await shelf.put("a", 1) == 1


async def test_another_service_is_no_shelf() -> None:
    def set_up(server: anyplug.Server) -> None:
        @server.reply("echo")
        def echo(message: Any) -> Any:
            return message

        @server.reply("liar")
        def liar(_: Any) -> dict[str, Any]:
            return {"type": "written", "version": 1}

        @server.reply("poor")
        def poor(_: Any) -> dict[str, Any]:
            return {"type": "found", "entries": []}

    async with serve(PLUG, set_up=set_up) as server:
        async with anyplug.Shelf(f"{server.addresses[0]}/echo") as shelf:
            with pytest.raises(DecodeError):
                await shelf.get("a")
        async with anyplug.Shelf(f"{server.addresses[0]}/liar") as shelf:
            with pytest.raises(anyplug.ProtocolError, match="answers with Written where Found was expected"):
                await shelf.get("a")
        async with anyplug.Shelf(f"{server.addresses[0]}/poor") as shelf:
            with pytest.raises(anyplug.ProtocolError, match="none of the entries"):
                await shelf.get_many(["a"])


async def test_a_value_that_is_not_what_its_content_type_says_names_its_key() -> None:
    async with shelf_server() as (_, address), anyplug.connect(address) as peer:
        kind = "application/vnd.anyplug.objects"
        await peer.ask(Put(key="a", body=b"\xc1\xff\xff", content_type=kind))
        await peer.ask(Put(key="b", body=b"anything", content_type="image/png"))
        await peer.ask(Put(key="c", body=b'{"a":1}', content_type="application/json"))
        async with anyplug.Shelf(address) as shelf:
            with pytest.raises(DecodeError, match=r"\(key 'a', version 1\)"):
                await shelf.get("a")
            assert await shelf.get("b") == b"anything"
            assert await shelf.get("c") == {"a": 1}
