"""A shelf for the plain clients of tutorials: a header of 10 bytes and a pickle, both ways."""

from __future__ import annotations

import asyncio
import pickle
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

import anyplug
from anyplug import Limits
from anyplug.errors import ConfigError, StoreFull
from anyplug.server.config import read_config
from anyplug.server.config_reader import ConfigText
from anyplug.services.shelf import ShelfOptions
from anyplug.services.shelf_plain import literal
from anyplug.store import MemoryShelf, MemoryStore
from tests.codec.pickles import P4, stack_global
from tests.server.serving import LogRecords, RawClient, port_of
from tests.services.shelves import shelf_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PORT = "tcp://127.0.0.1:0/shelf?framing=header&codec=pickled"
VALUE = "{1: 'Client', 2: 'Server'}"


def framed(body: bytes) -> bytes:
    return f"{len(body):<10}".encode() + body


async def read_object(client: RawClient) -> Any:
    """One object, as the lesson's own client reads it."""
    async with asyncio.timeout(10):
        size = int(await client.reader.readexactly(10))
        return pickle.loads(await client.reader.readexactly(size))


@asynccontextmanager
async def client_of(address: str) -> AsyncIterator[RawClient]:
    """A plain client, closed with the block."""
    client = await RawClient.to(address)
    try:
        yield client
    finally:
        await client.close()


async def kept(shelf: anyplug.Shelf, version: int) -> Any:
    """The newest object that plain clients sent, once it has this version."""
    return (await anext(shelf.watch(after=version - 1))).value


async def test_a_client_is_sent_the_object_and_sends_others_back() -> None:
    async with shelf_server(None, PORT, value=VALUE) as (server, address), anyplug.Shelf(address) as shelf:
        async with client_of(server.addresses[1]) as client:
            assert await read_object(client) == {1: "Client", 2: "Server"}
            values: list[Any] = [{3: ("a", [1.5, None])}, {"x", b"y"}, "有内鬼"]
            for version, value in enumerate(values, 1):
                await client.say(framed(pickle.dumps(value)))
                assert await kept(shelf, version) == value
            assert await shelf.get("received") == "有内鬼"
            assert [entry.value for entry in await shelf.history("received")] == values[::-1]


async def test_the_lessons_own_client_works() -> None:
    def lesson(port: int) -> Any:
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.connect(("127.0.0.1", port))
        full, new, size = b"", True, 0
        while True:
            piece = client.recv(16)
            if new:
                size = int(piece[:10])
                new = False
            full += piece
            if len(full) - 10 == size:
                break
        body = pickle.dumps({"thanks": True})
        client.send(bytes(f"{len(body):<10}", "utf-8") + body)
        client.close()
        return pickle.loads(full[10:])

    async with shelf_server(None, PORT, value=VALUE) as (server, address), anyplug.Shelf(address) as shelf:
        found = await asyncio.to_thread(lesson, port_of(server.addresses[1]))
        assert found == {1: "Client", 2: "Server"}
        assert await kept(shelf, 1) == {"thanks": True}


async def test_many_clients_at_once_are_all_kept() -> None:
    async with (
        AsyncExitStack() as stack,
        shelf_server(MemoryStore(history=100), PORT, value=VALUE, key="from/lesson") as (server, address),
        anyplug.Shelf(address) as shelf,
    ):
        clients = [await stack.enter_async_context(client_of(server.addresses[1])) for _ in range(20)]
        for n, client in enumerate(clients):
            await client.say(framed(pickle.dumps(n)) + framed(pickle.dumps(n + 100)))
        changes = shelf.watch("from/", after=0)
        seen = [(await anext(changes)).value for _ in range(40)]
        assert sorted(seen) == [*range(20), *range(100, 120)]
        for n in range(20):
            assert seen.index(n) < seen.index(n + 100)


HOSTILE = {
    "a global": P4 + stack_global("os", "system") + b".",
    "a call": b"cos\nsystem\n(S'echo x'\ntR.",
    "no pickle": b"hello",
    "cut": pickle.dumps([1, 2])[:-1],
    "empty": b"",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_pickle_is_refused_with_a_word_and_what_is_around_it_is_kept(body: bytes) -> None:
    records = LogRecords()
    async with shelf_server(None, PORT, value=VALUE, records=records) as (server, address):
        async with client_of(server.addresses[1]) as client:
            assert await read_object(client) == {1: "Client", 2: "Server"}
            await client.say(framed(pickle.dumps("before")) + framed(body) + framed(pickle.dumps("after")))
            assert str(await read_object(client)).startswith("bad_message: not a valid pickled message")
            async with anyplug.Shelf(address) as shelf:
                assert [entry.value for entry in await shelf.history("received")] == ["after", "before"]
    assert not records.events("handler_failed")


async def test_what_a_shelf_cannot_hold_is_refused_with_a_word() -> None:
    limits = Limits(message=100_000)
    async with shelf_server(None, PORT, value=VALUE, limits=limits) as (server, address):
        async with client_of(server.addresses[1]) as client:
            await read_object(client)
            await client.say(framed(pickle.dumps(bytes(90_000))))
            assert str(await read_object(client)).startswith("too_large: an object of 90,")
            await client.say(framed(pickle.dumps(1 << 20_000)))
            assert str(await read_object(client)).startswith("too_large: not a valid pickled message")
            await client.say(b"100001    ")
            async with anyplug.Shelf(address) as shelf:
                assert await shelf.version() == 0


async def test_a_full_store_is_told() -> None:
    class Full(MemoryShelf):
        async def put(self, *args: Any, **options: Any) -> int:
            raise StoreFull("/secret", "no space left")

    store = MemoryStore()
    store.shelf = Full()
    async with shelf_server(store, PORT, value=VALUE) as (server, _):
        async with client_of(server.addresses[1]) as client:
            await read_object(client)
            await client.say(framed(pickle.dumps(1)))
            assert str(await read_object(client)).startswith("store_full: the server has no room")


@pytest.mark.parametrize("show", [True, False])
async def test_objects_are_shown_on_the_servers_terminal_if_wanted(show: bool) -> None:
    shown: list[tuple[str, str]] = []
    news = asyncio.Event()

    def take(topic: str, text: str) -> None:
        shown.append((topic, text))
        news.set()

    async with shelf_server(None, PORT, value=VALUE, show=show) as (server, address):
        server.facilities.show = take
        async with client_of(server.addresses[1]) as client:
            for value in ({1: "a"}, "x" * 5000):
                await client.say(framed(pickle.dumps(value)))
            async with anyplug.Shelf(address) as shelf:
                await kept(shelf, 2)
            if show:
                async with asyncio.timeout(10):
                    while len(shown) < 2:
                        news.clear()
                        await news.wait()
                assert shown[0][0] == "shelf"
                assert shown[0][1].endswith(": {1: 'a'}")
                assert len(shown[1][1]) < 1100
            assert bool(shown) is show


async def test_a_shelf_without_a_value_is_not_for_plain_clients() -> None:
    async with shelf_server(None, PORT) as (server, _):
        async with client_of(server.addresses[1]) as client:
            assert "this shelf speaks plug" in await read_object(client)
            assert await client.hear_all() == b""


# Options.


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{1: 'Client', 2: 'Server'}", {1: "Client", 2: "Server"}),
        ("(1, [2.5, -3j], {4}, b'5', None, True)", (1, [2.5, -3j], {4}, b"5", None, True)),
        ("'text'", "text"),
    ],
)
def test_a_value_is_written_as_a_python_literal(text: str, value: Any) -> None:
    assert literal(text) == value


NO_LITERALS: list[str] = ["{1: Client}", "__import__('os')", "1 +", "...", "[" * 5000, "1" * 5000, "{[]: 1}", "\0"]


@pytest.mark.parametrize("text", NO_LITERALS, ids=range(len(NO_LITERALS)))
def test_what_is_no_literal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no Python literal, such as"):
        ShelfOptions(value=text)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"key": ""}, "the name of a key is empty"),
        ({"key": "a\0"}, "control character"),
        ({"key": "k" * 256}, "at most 255"),
        ({"key": "k" * 191}, "key has 191 bytes; at most 190"),
        ({"space": "a/b"}, "expected a name as services have"),
        ({"message": -1}, "expected at least 0"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ShelfOptions(**options)


def test_a_mistake_in_the_configuration_is_named_with_its_line() -> None:
    text = '[services.object]\nkind = "shelf"\nvalue = "{1: Client}"\n'
    with pytest.raises(ConfigError, match="is no Python literal") as caught:
        read_config(ConfigText("anyplug.toml", text))
    assert (caught.value.file, caught.value.where) == ("anyplug.toml", "services.object")
