"""An outbox and real servers: once, in order, through restarts; what is refused is told; what waits is safe."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from anyplug import Address, Limits
from anyplug.backoff import Backoff
from anyplug.errors import AddressError, Code, EncodeError, LocalError, Refused, Timeout, TooLarge
from anyplug.outbox import Outbox, OutboxBusy, OutboxError, OutboxFailed, OutboxFull, Undeliverable
from anyplug.services.base import reply
from anyplug.store import MemoryStore
from tests.outbox.keeping import Keeper, kept, serve
from tests.outbox.test_queue import fail
from tests.server.serving import serve as serve_any

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Backoff(first=0.001, most=0.01)
NOBODY = "plug://127.0.0.1:1/inbox/log"


@pytest.fixture
async def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def keeper(store: MemoryStore) -> Keeper:
    return Keeper(store)


def box(folder: Path, **options: Any) -> Outbox:
    return Outbox(folder / "o.db", **{"backoff": QUICK, **options})


async def until_told(outbox: Outbox, word: str) -> None:
    """Wait until a target's status names a problem."""
    async with asyncio.timeout(10):
        while not any(word in status.problem for status in outbox.status()):
            outbox._change.clear()
            await outbox._change.wait()


# The way of a message.


async def test_what_is_posted_is_delivered_in_order_and_counted(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address, box(folder) as outbox:
        numbers = [await outbox.post(address, n, codec="json") for n in range(5)]
        numbers += await outbox.post_many(address, ["a", [1]], codec="json")
        await outbox.drained(10)
        assert numbers == [1, 2, 3, 4, 5, 6, 7]
        assert await kept(keeper.store) == [b"0", b"1", b"2", b"3", b"4", b'"a"', b"[1]"]
        (status,) = outbox.status()
        assert (status.address, status.waiting, status.delivered, status.refused) == (address, 0, 7, 0)
        assert (status.kept, status.problem, status.stopped, status.connected) == ("disk", "", None, True)
    assert len({guest.producer for guest in keeper.guests}) == 1


async def test_many_posts_at_once_go_in_few_batches(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address, box(folder) as outbox:
        await asyncio.gather(*(outbox.post(address, b"%d" % n, codec="bytes") for n in range(500)))
        await outbox.drained(10)
        assert await kept(keeper.store) == [b"%d" % n for n in range(500)]
        assert len(keeper.batches) < 50


async def test_what_waits_is_delivered_by_the_next_process(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address:
        async with box(folder, deliver=False) as outbox:
            await outbox.post_many(address, [b"1", b"2"], codec="bytes")
            assert [status.waiting for status in outbox.status()] == [2]
        assert keeper.guests == []
        async with box(folder) as outbox:
            await outbox.drained(10)
        async with box(folder) as outbox:
            await outbox.post(address, b"3", codec="bytes")
            await outbox.drained(10)
    assert await kept(keeper.store) == [b"1", b"2", b"3"]
    assert len({guest.producer for guest in keeper.guests}) == 1


async def test_it_delivers_through_restarts_of_the_server_under_load(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address:
        where = str(Address.parse(address).with_service(""))
    async with box(folder) as outbox:
        posting = asyncio.create_task(stream(outbox, address, 600))
        for _ in range(4):
            async with serve(keeper, where):
                before = len(keeper.batches)
                async with asyncio.timeout(10):
                    while len(keeper.batches) < before + 3 and not posting.done():
                        await asyncio.sleep(0)
        await posting
        async with serve(keeper, where):
            await outbox.drained(10)
    assert await kept(keeper.store) == [b"%d" % n for n in range(600)]
    assert len(keeper.guests) > 3


async def stream(outbox: Outbox, address: str, many: int) -> None:
    """Post one after the other."""
    for n in range(many):
        await outbox.post(address, b"%d" % n, codec="bytes")


async def test_a_server_that_goes_and_comes_back_gets_everything_once(folder: Path, keeper: Keeper) -> None:
    async with box(folder) as outbox:
        async with serve(keeper) as address:
            await outbox.post(address, b"1", codec="bytes")
            await outbox.drained(10)
        for n in (2, 3):
            await outbox.post(address, b"%d" % n, codec="bytes")
            if n == 2:
                await until_told(outbox, "nothing listens")
            async with serve(keeper, str(Address.parse(address).with_service(""))):
                await outbox.drained(10)
    assert await kept(keeper.store) == [b"1", b"2", b"3"]


async def test_messages_for_one_target_do_not_wait_for_another(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address, box(folder) as outbox:
        await outbox.post(NOBODY, "x")
        await outbox.post(address, "y", codec="text")
        await until_told(outbox, "nothing listens")
        await outbox.drained(10, address=address)
        waiting, done = outbox.status()
        assert (waiting.address, waiting.waiting, waiting.connected) == (NOBODY, 1, False)
        assert waiting.next_attempt is None or 0 <= waiting.next_attempt <= QUICK.most
        assert done.delivered == 1
        with pytest.raises(Timeout, match="the delivery of 1 message"):
            await outbox.drained(0.01)


async def test_a_codec_is_kept_with_the_message_and_order_among_codecs_too(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address, box(folder, deliver=False) as outbox:
        for message, codec in (("1", "text"), (2, "json"), (3, None), ("4", "text")):
            await outbox.post(address, message, codec=codec)
        await outbox.deliver(10)
        found = (await keeper.store.log.read("log", 1)).messages
        assert [(each.body, each.content_type) for each in found] == [
            (b"1", "text"),
            (b"2", "json"),
            (b"\x03", "msgpack"),
            (b"4", "text"),
        ]
        assert [guest.codec.name for guest in keeper.guests] == ["text", "json", "msgpack", "text"]


async def test_one_target_has_one_name(folder: Path) -> None:
    async with box(folder, deliver=False) as outbox:
        await outbox.post("plug://HOST/inbox/log", 1)
        await outbox.post(Address.parse("host:7584/inbox/log?codec=json"), 2)
        (status,) = outbox.status()
        assert (status.address, status.waiting) == ("plug://host:7584/inbox/log", 2)


async def test_where_a_server_keeps_in_memory_alone_it_is_said(folder: Path, keeper: Keeper) -> None:
    keeper.weak = True
    async with serve(keeper) as address, box(folder) as outbox:
        await outbox.post(address, "x")
        await outbox.drained(10)
        assert [status.kept for status in outbox.status()] == ["memory"]


async def test_an_unused_connection_is_closed_after_a_while(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address, box(folder, linger=0.01) as outbox:
        for count in (1, 2):
            await outbox.post(address, "x")
            await outbox.drained(10)
            async with asyncio.timeout(10):
                while outbox._couriers:
                    outbox._change.clear()
                    await outbox._change.wait()
            assert len(keeper.guests) == count
            assert [status.connected for status in outbox.status()] == [False]
    assert len(await kept(keeper.store)) == 2


# What is put in.


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://127.0.0.1:80", "acknowledges nothing; .* plug://127.0.0.1/inbox"),
        ("unix:///s", "acknowledges nothing"),
        ("plug://:0/inbox", "the host to connect to"),
        ("plugs://host/inbox", "does not speak them yet"),
    ],
)
async def test_an_address_that_cannot_be_posted_to_is_refused_at_once(folder: Path, address: str, words: str) -> None:
    async with box(folder) as outbox:
        with pytest.raises(LocalError, match=words):
            await outbox.post(address, "x")
        assert outbox.status() == []


async def test_a_value_that_cannot_travel_is_refused_at_once(folder: Path) -> None:
    async with box(folder, limits=Limits(message=10)) as outbox:
        with pytest.raises(EncodeError):
            await outbox.post(NOBODY, object())
        with pytest.raises(LocalError, match="no codec is named"):
            await outbox.post(NOBODY, 1, codec="nope")
        with pytest.raises(TooLarge, match="message too large: 11 bytes"):
            await outbox.post(NOBODY, "x" * 11, codec="text")
        with pytest.raises(AddressError):
            await outbox.post("plug://[", "x")
        assert await outbox.post_many(NOBODY, []) == []
        assert outbox.status() == []


async def test_a_full_outbox_says_so_and_takes_more_once_some_is_delivered(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address:
        async with box(folder, deliver=False, many=2, size=100) as outbox:
            await outbox.post_many(address, [1, 2])
            with pytest.raises(OutboxFull, match="it takes 2 of 100 bytes"):
                await outbox.post(address, 3)
            await outbox.deliver(10)
            await outbox.post(address, 3)
            await outbox.deliver(10)
        assert len(await kept(keeper.store)) == 3


async def test_a_post_whose_caller_is_cancelled_is_delivered_or_not_and_never_disturbs_the_others(
    folder: Path, keeper: Keeper
) -> None:
    async with serve(keeper) as address, box(folder) as outbox:
        tasks = [asyncio.create_task(outbox.post(address, b"%d" % n, codec="bytes")) for n in range(40)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        await outbox.drained(10)
        found = await kept(keeper.store)
        sure = [b"%d" % n for n, each in enumerate(done) if isinstance(each, int)]
        assert [body for body in found if body in sure] == sure
        assert len(found) == len({*found})
        assert found == sorted(found, key=int)


# Life.


async def test_it_is_used_in_a_block(folder: Path) -> None:
    outbox = box(folder)
    for call in (outbox.post(NOBODY, 1), outbox.drained(), outbox.deliver(), outbox.refusals()):
        with pytest.raises(OutboxError, match="it is not open"):
            await call
    async with outbox:
        with pytest.raises(OutboxError, match="it was opened before"):
            await outbox.open()
        with pytest.raises(OutboxBusy):
            await box(folder).open()
    await outbox.close()
    with pytest.raises(OutboxError, match="it is closed"):
        await outbox.post(NOBODY, 1)
    await box(folder / "never").close()


async def test_without_delivering_nobody_waits_for_it(folder: Path) -> None:
    async with box(folder, deliver=False) as outbox:
        await outbox.drained()
        await outbox.post(NOBODY, 1)
        with pytest.raises(LocalError, match=r"call deliver\(\)"):
            await outbox.drained()
        with pytest.raises(Timeout):
            await outbox.deliver(0.01)
        assert outbox._couriers == {}


async def test_to_deliver_what_is_being_delivered_is_to_wait(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address, box(folder) as outbox:
        await outbox.post(address, 1)
        await outbox.deliver(10)
        await outbox.post(address, 2)
        await outbox.drained(10)


async def test_a_problem_is_kept_for_who_looks_when_the_process_has_ended(folder: Path) -> None:
    async with box(folder) as outbox:
        await outbox.post(NOBODY, 1)
        await until_told(outbox, "nothing listens")
        async with asyncio.timeout(10):
            while not outbox._queue.targets[NOBODY].mark.problem:  # type: ignore[union-attr]
                await asyncio.sleep(0)
    async with box(folder, deliver=False) as outbox:
        (status,) = outbox.status()
        assert "nothing listens" in status.problem
        assert status.next_attempt is None


async def test_a_disk_that_fails_ends_everything_that_waits(folder: Path) -> None:
    async with box(folder) as outbox:
        await outbox.post(NOBODY, 1)
        waiting = asyncio.create_task(outbox.drained())
        await asyncio.sleep(0)
        await fail(outbox._queue)  # type: ignore[arg-type]
        with pytest.raises(OutboxFailed):
            await outbox.post(NOBODY, 2)
        with pytest.raises(OutboxFailed):
            await waiting
    assert outbox._queue is not None
    outbox._queue._held.release()


async def test_a_disk_that_fails_is_told_where_nothing_waits(folder: Path) -> None:
    async with box(folder) as outbox:
        await outbox.drained()
        await fail(outbox._queue)  # type: ignore[arg-type]
        with pytest.raises(OutboxFailed):
            await outbox.drained()
    assert outbox._queue is not None
    outbox._queue._held.release()


# Refusals.


async def test_a_message_that_is_refused_for_good_holds_nothing_up(folder: Path, keeper: Keeper) -> None:
    keeper.refuses[b"2"] = Code.BAD_MESSAGE
    async with serve(keeper) as address, box(folder) as outbox:
        await outbox.post_many(address, [b"1", b"2", b"3"], codec="bytes")
        await outbox.drained(10)
        assert await kept(keeper.store) == [b"1", b"3"]
        (refusal,) = await outbox.refusals()
        assert (refusal.id, refusal.address, refusal.code, refusal.body) == (2, address, Code.BAD_MESSAGE, b"2")
        assert refusal.text == "the test says so"
        (status,) = outbox.status()
        assert (status.waiting, status.delivered, status.refused) == (0, 2, 1)
        keeper.refuses.clear()
        assert await outbox.retry(2) == 4
        await outbox.drained(10)
        assert await kept(keeper.store) == [b"1", b"3", b"2"]
        for call in (outbox.retry(2), outbox.forget(2)):
            with pytest.raises(LocalError, match="no refused message has the number 2"):
                await call


async def test_a_refused_message_can_be_forgotten(folder: Path, keeper: Keeper) -> None:
    keeper.refuses[b"x"] = Code.TOO_LARGE
    async with serve(keeper) as address, box(folder) as outbox:
        await outbox.post(address, b"x", codec="bytes")
        await outbox.drained(10)
        await outbox.forget(1)
        assert await outbox.refusals() == []


async def test_what_the_server_would_find_too_large_is_refused_without_sending_it(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper, limits=Limits(message=100)) as address, box(folder) as outbox:
        await outbox.post_many(address, [b"1", bytes(101), b"2"], codec="bytes")
        await outbox.drained(10)
        assert await kept(keeper.store) == [b"1", b"2"]
        (refusal,) = await outbox.refusals()
        assert (refusal.code, refusal.text) == (Code.TOO_LARGE, "it has 101 bytes, the server takes 100")


async def test_a_full_store_only_means_later(folder: Path, keeper: Keeper) -> None:
    keeper.refusal = Code.STORE_FULL
    async with serve(keeper) as address, box(folder) as outbox:
        await outbox.post(address, b"1", codec="bytes")
        await until_told(outbox, "store_full")
        keeper.refusal = None
        await outbox.drained(10)
        assert await kept(keeper.store) == [b"1"]
        assert await outbox.refusals() == []


async def test_a_wrong_token_stops_the_target_and_the_right_one_goes_on(folder: Path, keeper: Keeper) -> None:
    tokens = {"127.0.0.1": "wrong"}
    async with serve(keeper, token="right") as address:
        async with box(folder, token=lambda where: tokens[where.host]) as outbox:
            await outbox.post(address, b"1", codec="bytes")
            with pytest.raises(Undeliverable, match=r"1 message for plug.* cannot be delivered \(not_allowed: ") as e:
                await outbox.drained(10)
            assert isinstance(e.value, Refused)
            assert (e.value.code, e.value.address, e.value.waiting) == (Code.NOT_ALLOWED, address, 1)
            assert [status.stopped for status in outbox.status()] == [Code.NOT_ALLOWED]
            tokens["127.0.0.1"] = "right"
            await outbox.resume(address)
            await outbox.drained(10)
        assert await kept(keeper.store) == [b"1"]
        assert b"right" not in (folder / "o.db").read_bytes()


async def test_a_service_that_keeps_nothing_stops_the_target(folder: Path) -> None:
    async with serve_any("plug://127.0.0.1:0", services=(reply("echo", lambda message: message),)) as server:
        for service, code in (("echo", Code.UNSUPPORTED), ("nope", Code.UNKNOWN_SERVICE)):
            async with box(folder / service) as outbox:
                await outbox.post(f"{server.addresses[0]}/{service}", 1)
                with pytest.raises(Undeliverable) as caught:
                    await outbox.drained(10)
                assert caught.value.code is code


async def test_a_server_that_has_forgotten_sequences_gets_what_waits_and_it_is_counted(
    folder: Path, keeper: Keeper
) -> None:
    async with serve(keeper) as address, box(folder) as outbox:
        await outbox.post_many(address, [b"1", b"2"], codec="bytes")
        await outbox.drained(10)
        keeper.store = MemoryStore()
        await outbox.post_many(address, [b"3", b"4"], codec="bytes")
        await outbox.drained(10)
        assert await kept(keeper.store) == [b"3", b"4"]
        assert [status.renumbered for status in outbox.status()] == [1]
        await outbox.post(address, b"5", codec="bytes")
        await outbox.drained(10)
        assert await kept(keeper.store) == [b"3", b"4", b"5"]


async def test_a_copy_of_an_outbox_stops_and_can_go_on_under_a_new_identity(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address:
        async with box(folder, deliver=False) as outbox:
            await outbox.post(address, b"1", codec="bytes")
        (folder / "copy").mkdir()
        (folder / "copy" / "o.db").write_bytes((folder / "o.db").read_bytes())
        async with box(folder) as outbox:
            await outbox.post(address, b"2", codec="bytes")
            await outbox.drained(10)
        async with box(folder / "copy") as copy:
            await copy.post(address, b"3", codec="bytes")
            with pytest.raises(Undeliverable, match="conflict") as caught:
                await copy.drained(10)
            assert caught.value.code is Code.CONFLICT
            assert [status.waiting for status in copy.status()] == [1]
            with pytest.raises(LocalError, match="nothing was ever posted to"):
                await copy.resume(NOBODY, anew=True)
            await copy.resume(address, anew=True)
            await copy.drained(10)
        assert await kept(keeper.store) == [b"1", b"2", b"3"]


async def test_one_that_delivers_nothing_can_be_given_a_new_identity(folder: Path) -> None:
    async with box(folder, deliver=False) as outbox:
        await outbox.post(NOBODY, 1)
        before = outbox._queue.targets[NOBODY].mark.producer  # type: ignore[union-attr]
        await outbox.resume(NOBODY)
        await outbox.resume(NOBODY, anew=True)
        assert outbox._queue.targets[NOBODY].mark.producer != before  # type: ignore[union-attr]


async def test_a_damaged_message_is_named_and_stops_its_target_alone(folder: Path, keeper: Keeper) -> None:
    async with serve(keeper) as address:
        async with box(folder, deliver=False) as outbox:
            await outbox.post(address, b"good", codec="bytes")
            await outbox.post(address, b"damaged here", codec="bytes")
            await outbox.post(f"{address}2", b"other", codec="bytes")
        data = (folder / "o.db").read_bytes()
        assert data.count(b"damaged here") == 1
        (folder / "o.db").write_bytes(data.replace(b"damaged here", b"damaged hair"))
        async with box(folder) as outbox:
            with pytest.raises(Undeliverable, match=r"message 2 for .* is not what was put in"):
                await outbox.drained(10)
            assert await kept(keeper.store) == [b"good"]
            assert await kept(keeper.store, "log2") == [b"other"]
            await outbox.post(address, b"later", codec="bytes")
            await outbox.resume(address, anew=True)
            await outbox.drained(10)
            (refusal,) = await outbox.refusals()
            assert (refusal.id, refusal.text) == (2, "it was damaged on this disk")
        assert await kept(keeper.store) == [b"good", b"later"]
