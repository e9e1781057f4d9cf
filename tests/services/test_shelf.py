"""What a shelf answers to anybody who speaks its protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import anyplug
from anyplug import Code, ConnectionClosed, Limits, Refused
from anyplug.errors import StoreFailed, StoreFull
from anyplug.schemas.shelf import Changes, Delete, Found, Get, History, List, News, Put, Stale, Written
from anyplug.services.shelf import POLLS, ShelfOptions, _finished, make_shelf
from anyplug.services.shelf_plain import largest_value
from anyplug.store import MemoryShelf, MemoryStore, SqliteStore
from tests.server.serving import PlugClient, serve
from tests.services.shelves import PLUG, shelf_server
from tests.store.conftest import folder

if TYPE_CHECKING:
    from pathlib import Path

    from anyplug.services.shelf_feed import Feed
    from anyplug.store import Value

__all__ = ["folder"]


def asking(address: str, codec: str = "msgpack", **options: Any) -> Any:
    """A connection whose answers are structs."""
    return anyplug.connect(address, codec=codec, type=Written | Stale | Found | News, **options)


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, folder: Path) -> Any:
    return MemoryStore() if request.param == "memory" else folder


def plain(value: Any) -> Any:
    """An answer as maps, without the times and without how it is kept."""
    made = msgspec.to_builtins(value, builtin_types=(bytes,))
    made.pop("memory", None)
    for entry in [*made.get("entries", ()), *made.get("changes", ())]:
        entry.pop("written", None)
    return made


@pytest.mark.parametrize("codec", ["msgpack", "json"])
async def test_every_question_has_its_answer(store: Any, codec: str) -> None:
    one = {"key": "a", "version": 1, "body": b"1", "content_type": "text/plain"}
    two = {"key": "b", "version": 2, "body": b"2"}
    gone = {"key": "a", "version": 3, "deleted": True, "previous": 1}
    steps: list[tuple[Any, Any]] = [
        (Changes(), {"type": "news", "changes": [], "version": 0}),
        (Changes(after=0), {"type": "news", "changes": [], "version": 0}),
        (Put(key="a", body=b"1", content_type="text/plain"), {"type": "written", "version": 1}),
        (Put(key="b", body=b"2", expected=0), {"type": "written", "version": 2}),
        (Put(key="b", body=b"3", expected=0), {"type": "stale", "key": "b", "expected": 0, "found": 2}),
        (Get(keys=["a", "b"]), {"type": "found", "entries": [one, two]}),
        (Get(keys=[]), {"type": "found", "entries": []}),
        (Get(keys=["a"], bodies=False), {"type": "found", "entries": [{**one, "body": None}]}),
        (List(), {"type": "found", "entries": [one, two], "more": True}),
        (List(after="a"), {"type": "found", "entries": [two], "more": True}),
        (List(prefix="b", bodies=False), {"type": "found", "entries": [{**two, "body": None}], "more": True}),
        (List(prefix="c"), {"type": "found", "entries": []}),
        (List(limit=1), {"type": "found", "entries": [one], "more": True}),
        (Delete(key="a", expected=2), {"type": "stale", "key": "a", "expected": 2, "found": 1}),
        (Delete(key="a"), {"type": "written", "version": 3}),
        (Delete(key="a"), {"type": "written", "version": 0}),
        (History(key="a"), {"type": "found", "entries": [gone, one]}),
        (History(key="a", limit=1), {"type": "found", "entries": [gone], "more": True}),
        (History(key="a", before=3), {"type": "found", "entries": [one]}),
        (Changes(), {"type": "news", "changes": [], "version": 3}),
        (Changes(after=1), {"type": "news", "changes": [two, gone], "version": 3}),
        (Changes(after=0, prefix="a"), {"type": "news", "changes": [one, gone], "version": 3}),
        (Changes(after=0, limit=1), {"type": "news", "changes": [one], "version": 1}),
        (Changes(after=3, wait=0.001), {"type": "news", "changes": [], "version": 3}),
        (Changes(after=2, prefix="x", wait=0.001), {"type": "news", "changes": [], "version": 3}),
    ]
    async with shelf_server(store) as (_, address), asking(address, codec) as peer:
        for question, wanted in steps:
            for entry in wanted.get("entries", ()):
                if entry.get("body", b"") is None:
                    del entry["body"]
            assert plain(await peer.ask(question)) == wanted, question


async def test_the_time_of_a_value_is_the_servers() -> None:
    async with shelf_server() as (server, address), asking(address) as peer:
        server.facilities.clock = lambda: 42
        await peer.ask(Put(key="a", body=b""))
        assert (await peer.ask(Get(keys=["a"]))).entries[0].written == 42


GOOD = ["a", "a/b/c", "/", " ", "有内鬼", "\u202eabc", "k" * 249, "…" * 83]
BAD = ["", "k" * 250, "k" * 10_000, "…" * 84, "a\0b", "\x1b[31m", "a\nb", "\x9b"]


@pytest.mark.parametrize("key", GOOD)
async def test_a_key_is_any_text_of_255_bytes_together_with_the_shelfs_name(store: Any, key: str) -> None:
    async with shelf_server(store) as (_, address), asking(address) as peer:
        assert (await peer.ask(Put(key=key, body=b"1"))).version == 1
        assert (await peer.ask(Get(keys=[key]))).entries[0].body == b"1"
        assert (await peer.ask(List())).entries[0].key == key
        assert (await peer.ask(Changes(after=0))).changes[0].key == key
        assert (await peer.ask(History(key=key))).entries[0].key == key
        assert (await peer.ask(Delete(key=key))).version == 2


@pytest.mark.parametrize("key", BAD, ids=range(len(BAD)))
async def test_a_key_that_is_no_name_is_refused_by_every_question(store: Any, key: str) -> None:
    async with shelf_server(store) as (_, address), asking(address) as peer:
        for question in (Put(key=key, body=b""), Delete(key=key), Get(keys=[key]), History(key=key)):
            with pytest.raises(Refused, match="the name of a key") as caught:
                await peer.ask(question)
            assert caught.value.code is Code.BAD_MESSAGE
            assert len(caught.value.text) < 200
        assert (await peer.ask(Changes())).version == 0


MISTAKES = [
    {"type": "put", "key": "a"},
    {"type": "put", "key": "a", "body": b"", "expecting": 1},
    {"type": "put", "key": "a", "body": b"", "expected": -1},
    {"type": "put", "key": "a", "body": b"", "expected": 2**63},
    {"type": "put", "key": "a", "body": b"", "token": b"t" * 65},
    {"type": "put", "key": "a", "body": b"", "content_type": "t" * 256},
    {"type": "put", "key": 5, "body": b""},
    {"type": "put", "key": "a", "body": "text"},
    {"type": "get", "keys": ["a"] * 1001},
    {"type": "list", "limit": 0},
    {"type": "changes", "wait": -1.0},
    {"type": "drop", "key": "a"},
    {},
    [],
    None,
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=range(len(MISTAKES)))
async def test_a_question_with_a_mistake_is_refused_and_the_conversation_goes_on(store: Any, mistake: Any) -> None:
    async with shelf_server(store) as (_, address), anyplug.connect(address) as peer:
        with pytest.raises(Refused) as caught:
            await peer.ask(mistake)
        assert caught.value.code is Code.BAD_MESSAGE
        assert await peer.ask({"type": "changes"}) == {"type": "news", "changes": [], "version": 0}


@pytest.mark.parametrize("codec", ["bytes", "text"])
async def test_questions_are_written_in_msgpack_or_json(codec: str) -> None:
    async with shelf_server() as (_, address):
        with pytest.raises(Refused, match="a shelf is asked in msgpack or json, not") as caught:
            await anyplug.connect(address, codec=codec)
        assert caught.value.code is Code.UNKNOWN_CODEC


async def test_what_is_said_or_posted_to_a_shelf_is_refused() -> None:
    async with shelf_server() as (_, address), anyplug.connect(address) as peer:
        await peer.send("a")
        with pytest.raises(Refused, match="a shelf is asked") as caught:
            await peer.receive()
        assert caught.value.code is Code.UNSUPPORTED
        with pytest.raises(Refused, match="keeps no messages"):
            await peer.post("a")


async def test_a_server_without_a_store_has_no_shelf() -> None:
    def set_up(server: anyplug.Server) -> None:
        server.add(make_shelf("shelf", ShelfOptions()))

    async with serve(PLUG, set_up=set_up) as server:
        with pytest.raises(Refused, match="started without a store"):
            await anyplug.connect(f"{server.addresses[0]}/shelf")


async def test_shelves_of_one_space_share_their_values_and_others_do_not() -> None:
    def set_up(server: anyplug.Server) -> None:
        for name, space in (("one", "shared"), ("two", "shared"), ("three", "")):
            server.add(make_shelf(name, ShelfOptions(space=space), server.facilities))

    async with serve(PLUG, set_up=set_up, store=MemoryStore()) as server:
        at = server.addresses[0]
        async with asking(f"{at}/one") as one, asking(f"{at}/two") as two, asking(f"{at}/three") as three:
            watching = [asyncio.ensure_future(each.ask(Changes(after=0, wait=5))) for each in (two, three)]
            await one.ask(Put(key="a", body=b"1"))
            assert (await watching[0]).changes[0].key == "a"
            assert (await two.ask(Get(keys=["a"]))).entries[0].body == b"1"
            assert (await three.ask(Get(keys=["a"]))).entries == [None]
            assert (await three.ask(List())).entries == []
            await three.ask(Put(key="b", body=b"2"))
            assert [entry.key for entry in (await watching[1]).changes] == ["b"]


# Sizes.


@pytest.mark.parametrize("codec", ["msgpack", "json"])
async def test_the_largest_value_can_be_put_and_read_and_a_larger_one_is_refused(store: Any, codec: str) -> None:
    limits = Limits(message=100_000)
    most = largest_value(limits.message, 0)
    key, kind = "k" * 249, "t" * 255
    async with shelf_server(store, limits=limits) as (_, address), asking(address) as writer:
        assert (await writer.ask(Put(key=key, body=bytes(most), content_type=kind))).version == 1
        with pytest.raises(Refused, match="at most 73,464 are kept here") as caught:
            await writer.ask(Put(key=key, body=bytes(most + 1)))
        assert caught.value.code is Code.TOO_LARGE
        async with asking(address, codec) as reader:
            for question in (Get(keys=[key]), List(), History(key=key)):
                assert len((await reader.ask(question)).entries[0].body) == most
            assert len((await reader.ask(Changes(after=0))).changes[0].body) == most


async def test_the_option_message_sets_the_largest_value() -> None:
    async with shelf_server(message=5) as (_, address), asking(address) as peer:
        await peer.ask(Put(key="a", body=b"12345"))
        with pytest.raises(Refused, match="a value of 6 bytes; at most 5 are kept here"):
            await peer.ask(Put(key="a", body=b"123456"))


@pytest.mark.parametrize("codec", ["msgpack", "json"])
async def test_an_answer_never_is_larger_than_the_peer_takes(store: Any, codec: str) -> None:
    async with shelf_server(store) as (_, address), asking(address) as writer:
        for n in range(20):
            await writer.ask(Put(key=f"k{n:02}", body=bytes(1000)))
        await writer.ask(Put(key="large", body=bytes(20_000)))
        async with asking(address, codec, limits=Limits(message=10_000)) as reader:
            keys: list[str] = []
            while len(keys) < 20:
                answer = await reader.ask(List(after=keys[-1] if keys else ""))
                assert answer.more
                keys += [entry.key for entry in answer.entries]
            assert keys == [f"k{n:02}" for n in range(20)]
            versions: list[int] = []
            while len(versions) < 20:
                news = await reader.ask(Changes(after=versions[-1] if versions else 0))
                versions += [entry.version for entry in news.changes]
                assert news.version == versions[-1]
            assert versions == list(range(1, 21))
            assert 0 < len((await reader.ask(Get(keys=keys))).entries) < 20
            with pytest.raises(Refused, match="larger than a message that you take") as caught:
                await reader.ask(Get(keys=["large"]))
            assert caught.value.code is Code.TOO_LARGE
            with pytest.raises(Refused, match="larger than a message that you take"):
                await reader.ask(Changes(after=20))


# Watching.


async def test_a_question_waits_for_a_change_and_no_longer(store: Any) -> None:
    async with shelf_server(store) as (_, address), asking(address) as peer:
        waiting = [asyncio.ensure_future(peer.ask(Changes(after=0, prefix=prefix, wait=20))) for prefix in ("", "b")]
        await peer.ask(Put(key="a", body=b"1"))
        assert [entry.key for entry in (await waiting[0]).changes] == ["a"]
        await peer.ask(Put(key="b", body=b"2"))
        news = await waiting[1]
        assert ([entry.key for entry in news.changes], news.version) == (["b"], 2)


async def test_a_connection_has_few_waiting_questions_and_others_are_answered_meanwhile() -> None:
    async with shelf_server() as (_, address), asking(address) as peer:
        waiting = [asyncio.ensure_future(peer.ask(Changes(after=0, wait=20))) for _ in range(POLLS)]
        await peer.ask(Get(keys=["a"]))
        with pytest.raises(Refused, match="wait for changes already") as caught:
            await peer.ask(Changes(after=0, wait=20))
        assert caught.value.code is Code.BUSY
        assert (await peer.ask(Put(key="a", body=b"1"))).version == 1
        assert [(await each).version for each in waiting] == [1] * POLLS


async def test_a_peer_that_says_goodbye_need_not_wait_for_changes(store: Any) -> None:
    async with shelf_server(store) as (_, address), asking(address) as peer:
        waiting = asyncio.ensure_future(peer.ask(Changes(after=0, wait=50)))
        await peer.ask(Get(keys=["a"]))
        await peer.send_eof()
        assert await waiting == News(changes=[], version=0)


async def test_a_peer_that_is_cut_leaves_no_watcher_behind() -> None:
    store = MemoryStore()
    async with shelf_server(store) as (server, address):
        peer = await asking(address)
        waiting = asyncio.ensure_future(peer.ask(Changes(after=0, wait=50)))
        await peer.ask(Get(keys=["a"]))
        feeds: dict[str, Feed] = server.facilities.shared("shelf shelf", dict)
        feed = feeds["shelf"]
        assert feed._watchers == 1
        peer.abort()
        with pytest.raises((anyplug.Broken, ConnectionClosed)):
            await waiting
        while feed._watchers:
            await asyncio.sleep(0)
        assert feed._task is None
        async with asking(address) as another:
            later = asyncio.ensure_future(another.ask(Changes(after=0, wait=50)))
            await another.ask(Get(keys=["a"]))
            await another.ask(Put(key="a", body=b""))
            assert (await later).version == 1


async def test_many_watchers_cost_one_reading_of_the_store() -> None:
    reads = 0

    class Counting(MemoryShelf):
        async def changes(self, after: int, **options: Any) -> Any:
            nonlocal reads
            reads += 1
            return await super().changes(after, **options)

    store = MemoryStore()
    store.shelf = Counting()
    async with shelf_server(store) as (_, address), asking(address) as writer:
        peers = [await asking(address) for _ in range(50)]
        first = [asyncio.ensure_future(peer.ask(Changes(after=0, wait=20))) for peer in peers]
        await asyncio.gather(*(peer.ask(Get(keys=["a"])) for peer in peers))
        reads = 0
        await writer.ask(Put(key="a", body=b"1"))
        assert [(await each).version for each in first] == [1] * 50
        await asyncio.gather(*(peer.ask(Changes(after=0)) for peer in peers))
        assert reads == 1
        reads = 0
        await writer.ask(Put(key="a", body=b"2"))
        await asyncio.gather(*(peer.ask(Changes(after=1, wait=20)) for peer in peers))
        assert reads == 1
        for peer in peers:
            await peer.close()


# Answers at once.


async def test_values_at_hand_and_values_on_the_disk_are_answered_alike(folder: Path) -> None:
    bodies = {"a": b"1", "large": bytes(600_000), "larger": bytes(700_000), "gone": b""}
    async with shelf_server(folder) as (_, address), asking(address) as peer:
        for key, body in bodies.items():
            await peer.ask(Put(key=key, body=body))
        await peer.ask(Delete(key="gone"))
        questions = [
            *(Get(keys=[key]) for key in (*bodies, "never")),
            Get(keys=["a", "gone"], bodies=False),
            Get(keys=["a", "large", "larger"]),
            Get(keys=["large", "larger", "a"]),
            Get(keys=["never", "a", "gone"]),
            Get(keys=["k" * 200] * 30),
        ]
        at_hand = [await peer.ask(question) for question in questions]
        async with asking(address, limits=Limits(message=5000)) as small:
            with pytest.raises(Refused, match="larger than a message that you take"):
                await small.ask(Get(keys=["large"]))
            await peer.ask(Put(key="middle", body=bytes(2490)))
            assert len((await small.ask(Get(keys=["middle"] * 2))).entries) == 1
    async with shelf_server(folder) as (_, address), asking(address) as peer:
        assert [await peer.ask(question) for question in questions] == at_hand
    assert [entry and entry.version for entry in at_hand[8].entries] == [None, 1, None]
    assert [entry.key for entry in at_hand[6].entries] == ["a", "large"]


# The store.


class Faulty(MemoryShelf):
    """Fails as told."""

    fault: Exception | None = None
    waits = False

    def _head(self, key: str) -> Value | None:
        if self.fault is not None:
            raise self.fault
        return super()._head(key)


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize(
    ("fault", "code", "problem"),
    [
        (StoreFull("/secret/path", "no space left"), Code.STORE_FULL, "no room"),
        (StoreFailed("/secret/path", "input/output error"), Code.STORE_FAILED, "has stopped"),
        (ZeroDivisionError("/secret/path"), Code.FAILED, "the service failed"),
    ],
)
async def test_a_store_that_refuses_is_told_without_its_place(
    fault: Exception, code: Code, problem: str, waits: bool
) -> None:
    store, shelf = MemoryStore(), Faulty()
    store.shelf = shelf
    shelf.waits = waits
    async with shelf_server(store) as (_, address), asking(address) as peer:
        shelf.fault = fault
        for question in (Put(key="a", body=b""), Delete(key="a"), Get(keys=["a"]), History(key="a")):
            with pytest.raises(Refused, match=problem) as caught:
                await peer.ask(question)
            assert caught.value.code is code
            assert "secret" not in str(caught.value)
        shelf.fault = None
        assert (await peer.ask(Put(key="a", body=b""))).version == 1


async def test_watchers_are_told_when_the_store_ends() -> None:
    store = MemoryStore()
    async with shelf_server(store) as (_, address), asking(address) as peer:
        waiting = [asyncio.ensure_future(peer.ask(Changes(after=0, wait=50))) for _ in range(2)]
        await peer.ask(Get(keys=["a"]))
        await store.close()
        for each in waiting:
            with pytest.raises(Refused, match="the server is stopping") as caught:
                await each
            assert caught.value.code is Code.GOING_AWAY
        with pytest.raises(Refused):
            await peer.ask(Changes(after=0, wait=50))


async def test_a_full_disk_refuses_writes_while_reads_and_deletions_go_on(folder: Path) -> None:
    store = await SqliteStore.open(folder, free=0, reserve=0)
    async with shelf_server(store) as (_, address), asking(address) as peer:
        await peer.ask(Put(key="a", body=b"1"))
        store._files._free = 1 << 62
        with pytest.raises(Refused, match="no room") as caught:
            await peer.ask(Put(key="b", body=b"2"))
        assert caught.value.code is Code.STORE_FULL
        assert (await peer.ask(Get(keys=["a", "b"]))).entries[1] is None
        assert (await peer.ask(Delete(key="a"))).version == 2
        store._files._free = 0
        assert (await peer.ask(Put(key="b", body=b"2"))).version == 3
    await store.close()


def test_a_store_that_says_it_never_waits_must_not() -> None:
    async def waits() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="did wait"):
        _finished(waits())


async def test_many_questions_in_one_packet_are_all_answered(store: Any) -> None:
    async with shelf_server(store) as (_, address), asking(address) as peer:
        await peer.ask(Put(key="a", body=bytes(10_000)))
        questions = [Get(keys=["a"]), Changes(after=0), Put(key="b", body=b"")] * 300
        answers = await peer.ask_many(questions)
        kinds = [type(answer) for answer in answers]
        assert kinds == [Found, News, Written] * 300


async def test_a_peer_that_takes_no_answers_holds_up_only_itself() -> None:
    async with shelf_server() as (_, address), asking(address) as other:
        await other.ask(Put(key="a", body=bytes(1_000_000)))
        stuck = await PlugClient.to(address)
        await stuck.open("shelf", codec="msgpack")
        question = msgspec.msgpack.encode(Get(keys=["a"]))
        for number in range(1, 65):
            stuck.session.send_request(number, question)
        await stuck.flush()
        assert (await other.ask(Get(keys=["a"]))).entries[0].version == 1
        replies = 0
        while replies < 64:
            for event in await stuck.events():
                replies += len(getattr(event, "items", ()))
        await stuck.close()
