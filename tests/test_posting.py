"""Posting from both faces: a position comes back when it is kept, a refusal says which, anything else is unknown."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import pytest

import anyplug
from anyplug import Broken, Code, ConnectionClosed, Limits, LocalError, PostRefused, Timeout, TooLarge, blocking
from anyplug.messages import Kept, Producer
from anyplug.posting import GATHER, MANY, chunks
from anyplug.services.base import reply
from anyplug.wire.posts import OpenPosts
from tests.server.serving import RawClient, serve
from tests.server.visits import Keeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    Face = Callable[..., Awaitable[Any]]

PLUG = "plug://127.0.0.1:0"


class Async:
    """The async face."""

    def __init__(self, address: str, **options: Any) -> None:
        self.opening = anyplug.connect(address, **options)

    async def __aenter__(self) -> Self:
        self.peer = await self.opening
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.peer.close()

    async def post(self, message: object, **options: Any) -> int:
        position: int = await self.peer.post(message, **options)
        return position

    async def post_many(self, messages: Sequence[object], **options: Any) -> list[int]:
        positions: list[int] = await self.peer.post_many(messages, **options)
        return positions

    async def ask(self, message: object) -> object:
        return await self.peer.ask(message)

    @property
    def kept(self) -> Kept | None:
        kept: Kept | None = self.peer.kept
        return kept


class Blocking(Async):
    """The blocking face, each call in a thread."""

    def __init__(self, address: str, **options: Any) -> None:
        self.dial = partial(blocking.connect, address, **options)

    async def __aenter__(self) -> Self:
        self.far = await asyncio.to_thread(self.dial)
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self.far.close)

    async def post(self, message: object, **options: Any) -> int:
        return await asyncio.to_thread(partial(self.far.post, message, **options))

    async def post_many(self, messages: Sequence[object], **options: Any) -> list[int]:
        return await asyncio.to_thread(partial(self.far.post_many, messages, **options))

    async def ask(self, message: object) -> object:
        return await asyncio.to_thread(self.far.ask, message)

    @property
    def kept(self) -> Kept | None:
        return self.far.kept


FACES = pytest.mark.parametrize("face", [Async, Blocking])


@pytest.fixture
async def keeper() -> AsyncIterator[tuple[Keeper, str]]:
    """A service that keeps posts, and its address."""
    made = Keeper()
    async with serve(PLUG, services=(made.service(type=Any),), limits=Limits(message=2_000_000)) as server:
        yield made, f"{server.addresses[0]}/keeper"


@FACES
async def test_posts_come_back_with_their_positions(face: type[Async], keeper: tuple[Keeper, str]) -> None:
    made, address = keeper
    async with face(address, codec="text") as peer:
        before = peer.kept
        assert await peer.post("one") == 1
        assert (before, peer.kept) == (None, Kept.SYNCED)
        assert await peer.post_many(["two", "three"]) == [2, 3]
        assert await peer.post_many([]) == []
        assert await peer.ask("still there?") == "re: still there?"
    assert [body for run in made.posted for _, body in run] == [b"one", b"two", b"three"]


@FACES
async def test_thousands_are_posted_in_order_and_answered_in_order(
    face: type[Async], keeper: tuple[Keeper, str]
) -> None:
    made, address = keeper
    async with face(address, codec="bytes") as peer:
        bodies = [b"%d" % at for at in range(5000)]
        assert await peer.post_many(bodies) == list(range(1, 5001))
        large = b"x" * 1_500_000
        assert await peer.post(large) == 5001
    posts = [post for run in made.posted for post in run]
    assert posts == list(enumerate([*bodies, large], 1))


@FACES
async def test_a_producer_says_who_it_is_and_where_it_goes_on(face: type[Async], keeper: tuple[Keeper, str]) -> None:
    made, address = keeper
    async with face(address, producer=Producer(b"me", 41)) as peer:
        assert await peer.post_many(["a", "b"]) == [41, 42]
    assert made.guests[0].producer == b"me"


@FACES
async def test_a_refusal_says_what_is_next_and_the_conversation_goes_on(
    face: type[Async], keeper: tuple[Keeper, str]
) -> None:
    made, address = keeper
    made.refuse[2] = (Code.TOO_LARGE, "too large")
    async with face(address, codec="text") as peer:
        with pytest.raises(PostRefused, match="too large") as caught:
            await peer.post_many(["a", "b", "c"])
        assert (caught.value.code, caught.value.sequence) == (Code.TOO_LARGE, 2)
        made.refuse.clear()
        assert await peer.post("smaller") == 2
    assert [sequence for run in made.posted for sequence, _ in run] == [1, 2, 3, 2]


@FACES
async def test_one_that_was_refused_fails_those_that_were_posted_behind_it(
    face: type[Async], keeper: tuple[Keeper, str]
) -> None:
    made, address = keeper
    made.gate.clear()
    made.refuse[2] = (Code.BAD_MESSAGE, "bad")
    async with face(address, codec="text") as peer:
        said = Said(peer)
        first = asyncio.ensure_future(peer.post("a"))
        await said.one()
        await made.until(1, made.posted)
        others = []
        for text in ("b", "c"):
            others.append(asyncio.ensure_future(peer.post(text)))
            await said.one()
        made.gate.set()
        assert await first == 1
        refused, behind = await asyncio.gather(*others, return_exceptions=True)
        assert isinstance(refused, PostRefused)
        assert isinstance(behind, PostRefused)
        assert (refused.code, behind.code) == (Code.BAD_MESSAGE, Code.GAP)
        assert "post it again" in behind.text


class Said(OpenPosts[Any]):
    """The posts of a connection, in place of its own: it tells of each run that is said."""

    def __init__(self, peer: Async) -> None:
        super().__init__()
        if isinstance(peer, Blocking):
            peer.far._pump.line.inbound.posts = self
        else:
            peer.peer._intake.posts = peer.peer._intake._inbound.posts = self
        self._loop = asyncio.get_running_loop()
        self._runs_said = asyncio.Semaphore(0)

    def open(self, count: int, waiter: Any) -> int:
        first = super().open(count, waiter)
        self._loop.call_soon_threadsafe(self._runs_said.release)
        return first

    async def one(self) -> None:
        """Wait until one more is said."""
        async with asyncio.timeout(10):
            await self._runs_said.acquire()


@FACES
async def test_what_is_not_acknowledged_in_time_is_unknown_and_its_place_stays(
    face: type[Async], keeper: tuple[Keeper, str]
) -> None:
    made, address = keeper
    made.gate.clear()
    async with face(address, codec="text") as peer:
        with pytest.raises(Timeout, match="the acknowledgement of a post"):
            await peer.post("a", timeout=0.02)
        made.gate.set()
        assert await peer.post("b") == 2
    assert [body for run in made.posted for _, body in run] == [b"a", b"b"]


@FACES
async def test_nothing_can_be_posted_where_nothing_is_kept(face: type[Async]) -> None:
    services = (reply("echo", lambda message: message),)
    async with serve(PLUG, "tcp://127.0.0.1:0/echo", services=services) as server:
        async with face(f"{server.addresses[0]}/echo") as peer:
            with pytest.raises(LocalError, match=r"nothing is kept here: post to a service .* or use send"):
                await peer.post("a")
            assert await peer.ask("a") == "a"
        async with face(server.addresses[1].partition("/echo")[0]) as peer:
            with pytest.raises(LocalError, match="nothing is kept here"):
                await peer.post("a")


@FACES
async def test_a_producer_needs_the_plug_protocol(face: type[Async]) -> None:
    with pytest.raises(LocalError, match="is a plain connection, which acknowledges nothing; use plug://"):
        async with face("tcp://127.0.0.1:1", producer=Producer(b"me", 1)):
            pass


@FACES
async def test_a_message_above_the_limit_is_refused_here_and_uses_no_sequence(
    face: type[Async], keeper: tuple[Keeper, str]
) -> None:
    made, address = keeper
    async with face(address, codec="bytes") as peer:
        with pytest.raises(TooLarge):
            await peer.post_many([b"fits", b"x" * 2_000_001])
        assert await peer.post(b"next") == 1
    assert made.posted == [[(1, b"next")]]


@FACES
async def test_the_end_of_the_conversation_leaves_posts_unknown(face: type[Async], keeper: tuple[Keeper, str]) -> None:
    made, address = keeper
    made.gate.clear()
    peer = face(address, codec="text")
    await peer.__aenter__()
    posting = asyncio.ensure_future(peer.post("a"))
    await made.until(1, made.posted)
    made_links(made)[0].finish(Code.TAKEN_OVER, "a newer one")
    with pytest.raises(ConnectionClosed, match="a newer one") as caught:
        await posting
    assert caught.value.code is Code.TAKEN_OVER
    made.gate.set()
    with pytest.raises(ConnectionClosed):
        await peer.post("b")
    await peer.__aexit__()


@FACES
async def test_a_server_that_dies_leaves_posts_unknown(face: type[Async], keeper: tuple[Keeper, str]) -> None:
    made, address = keeper
    made.gate.clear()
    async with face(address, codec="text") as peer:
        posting = asyncio.ensure_future(peer.post("a"))
        await made.until(1, made.posted)
        (link,) = made_links(made)
        link.abort()
        with pytest.raises(Broken):
            await posting
        made.gate.set()


def made_links(keeper: Keeper) -> list[Any]:
    """The links of those who came to a keeper, found by the bound method that ends them."""
    return [link for guest in keeper.guests for link in _links_of(guest.end)]


def _links_of(end: Any) -> list[Any]:
    cells = getattr(end, "__closure__", None) or ()
    found = [cell.cell_contents for cell in cells if hasattr(cell.cell_contents, "abort")]
    return found or [end.__self__]


def test_posts_are_said_in_runs_of_a_bounded_size() -> None:
    assert list(chunks([])) == []
    assert list(chunks([b"a"])) == [[b"a"]]
    assert [len(run) for run in chunks([b""] * (2 * MANY + 1))] == [MANY, MANY, 1]
    assert [len(run) for run in chunks([b"x" * GATHER, b"y", b"z"])] == [1, 2]
    assert [len(run) for run in chunks([b"x", b"x" * (GATHER - 1), b"x"])] == [2, 1]
    assert [len(run) for run in chunks([b"x" * 3 * GATHER] * 2)] == [1, 1]


async def test_a_cancelled_post_is_unknown_and_the_next_one_goes_on(keeper: tuple[Keeper, str]) -> None:
    made, address = keeper
    made.gate.clear()
    async with anyplug.connect(address, codec="text") as peer:
        posting = asyncio.ensure_future(peer.post("a"))
        await made.until(1, made.posted)
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        made.gate.set()
        assert await peer.post("b") == 2


async def test_a_raw_client_without_the_protocol_sees_nothing_of_it(keeper: tuple[Keeper, str]) -> None:
    made, address = keeper
    client = await RawClient.to(address.rpartition("/")[0])
    await client.say(b"keeper\nhello\n")
    await made.until(1, made.said)
    client.end()
    assert await client.hear_all() == b""
    await client.close()


@FACES
async def test_a_break_in_the_middle_of_many_is_raised_and_nothing_more_is_said(
    face: type[Async], keeper: tuple[Keeper, str]
) -> None:
    made, address = keeper
    made.gate.clear()
    async with face(address, codec="bytes") as peer:
        posting = asyncio.ensure_future(peer.post_many([b"x" * 50_000] * 400))  # more than the network holds
        await made.until(1, made.posted)
        (link,) = made_links(made)
        link.abort()
        with pytest.raises((Broken, ConnectionClosed)):
            await posting
        made.gate.set()


@FACES
async def test_a_peer_that_takes_nothing_makes_a_post_late(face: type[Async], keeper: tuple[Keeper, str]) -> None:
    made, address = keeper
    made.gate.clear()
    async with face(address, codec="bytes") as peer:
        with pytest.raises(Timeout, match="the acknowledgement of a post"):
            await peer.post_many([b"x" * 50_000] * 400, timeout=0.3)
        made.gate.set()
