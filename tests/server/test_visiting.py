"""Visits: what one connection says, posts and asks reaches its service in order, in batches and within bounds."""

from __future__ import annotations

import asyncio

import pytest

import anyplug
from anyplug import Code, Limits, Refused
from anyplug.errors import Changed, DecodeError, Gap, StoreError, StoreFailed, StoreFull
from anyplug.messages import Acked, Data, Ended, Failed, Nacked, Refusal, Replies
from anyplug.services.base import conversation, reply, visited
from anyplug.services.visits import Visit
from tests.server.serving import PATIENCE, LogRecords, PlugClient, RawClient, serve
from tests.server.visits import PLUG, Keeper, hear, opened, post

PLAIN = "tcp://127.0.0.1:0/keeper?framing=lines"


async def test_posts_are_acknowledged_with_their_positions() -> None:
    keeper = Keeper()
    async with serve(PLUG, services=(keeper.service(),)) as server:
        client = await opened(server)
        await post(client, 1, b"a", b"b")
        assert await hear(client, 1) == [Acked(1, 2, 1)]
        await post(client, 3, b"c")
        assert await hear(client, 1) == [Acked(3, 1, 3)]
        await client.close()
    assert keeper.posted == [[(1, b"a"), (2, b"b")], [(3, b"c")]]
    assert keeper.ended == 1


async def test_a_guest_is_known_by_what_it_has_said_of_itself() -> None:
    keeper = Keeper()
    async with serve(PLUG, PLAIN, services=(keeper.service(),), limits=Limits(message=1000)) as server:
        client = await opened(server, rest="log", producer=b"me", message=500)
        raw = await RawClient.to(server.addresses[1])
        await raw.say(b"hello\n")
        await keeper.until(1, keeper.said)
        plug, plain = keeper.guests
        assert (plug.rest, plug.producer, plug.plug, plug.message, plug.codec.name) == ("log", b"me", True, 500, "text")
        assert (plain.rest, plain.producer, plain.plug, plain.message) == ("", b"", False, 1000)
        assert plug.peer.startswith("127.0.0.1:")
        await client.close()
        await raw.close()


async def test_what_comes_while_a_batch_is_being_kept_is_the_next_batch() -> None:
    keeper = Keeper()
    async with serve(PLUG, services=(keeper.service(),)) as server:
        client = await opened(server)
        keeper.gate.clear()
        await post(client, 1, b"a")
        await keeper.until(1, keeper.posted)
        for sequence in (2, 3, 4):
            await post(client, sequence, b"x")
        client.session.send_data(b"said")
        client.session.send_request(1, b"all here?")
        await client.flush()
        await keeper.until(1, keeper.asked)  # it came behind them
        keeper.gate.set()
        events = await hear(client, 3)
        assert [event for event in events if isinstance(event, Acked)] == [Acked(1, 1, 1), Acked(2, 3, 2)]
        await keeper.until(1, keeper.said)
        assert (keeper.posted[1:], keeper.said) == ([[(2, b"x"), (3, b"x"), (4, b"x")]], [[b"said"]])
        await client.close()


async def test_what_was_said_behind_a_refused_post_is_dropped_until_its_sequence_comes_again() -> None:
    keeper = Keeper()
    keeper.refuse[2] = (Code.TOO_LARGE, "too large")
    async with serve(PLUG, services=(keeper.service(),)) as server:
        client = await opened(server)
        await post(client, 1, b"a", b"b", b"c")
        assert await hear(client, 2) == [Acked(1, 1, 1), Nacked(2, Refusal(Code.TOO_LARGE, "too large"))]
        await post(client, 4, b"behind")
        keeper.refuse.clear()
        await post(client, 2, b"another", b"c")
        assert await hear(client, 1) == [Acked(2, 2, 2)]
        await client.close()
    assert keeper.posted == [[(1, b"a"), (2, b"b"), (3, b"c")], [(2, b"another"), (3, b"c")]]


async def test_a_sequence_that_skips_some_is_refused_with_the_expected_one() -> None:
    keeper = Keeper()
    async with serve(PLUG, services=(keeper.service(),)) as server:
        client = await opened(server)
        await post(client, 1, b"a")
        await post(client, 5, b"e")
        events = await hear(client, 2)
        assert events == [Acked(1, 1, 1), Nacked(2, Refusal(Code.GAP, "the sequence 5 came where 2 is the next"))]
        await client.close()


@pytest.mark.parametrize(
    ("error", "sequence", "code", "text"),
    [
        (StoreFull("/secret", "0 bytes left"), 3, Code.STORE_FULL, "the server has no room to keep anything more"),
        (StoreFailed("/secret", "EIO"), 3, Code.STORE_FAILED, "the server's store has stopped after a fault"),
        (StoreError("/secret", "it is closed"), 3, Code.GOING_AWAY, "the store is closed: the server is stopping"),
        (Gap("ab", expected=2, found=3), 2, Code.GAP, "producer ab: sequence 3 came, expected 2"),
        (DecodeError("text", "half a character"), 3, Code.BAD_MESSAGE, "half a character"),
        (Refused(Code.NOT_ALLOWED, "not you"), 3, Code.NOT_ALLOWED, "not you"),
        (Changed("k", expected=1, found=2), 3, Code.CHANGED, "key 'k' has version 2, expected 1"),
        (RuntimeError("/secret"), 3, Code.FAILED, "the service failed on this message"),
        (anyplug.LocalError("/secret"), 3, Code.FAILED, "the service failed on this message"),
    ],
)
async def test_an_error_of_the_service_is_a_refusal_with_its_code_and_no_secrets(
    error: Exception, sequence: int, code: Code, text: str
) -> None:
    keeper = Keeper()
    records = LogRecords()
    async with serve(PLUG, services=(keeper.service(),), records=records) as server:
        client = await opened(server, producer=b"p")
        keeper.raising = error
        await post(client, 3, b"x")
        (nacked,) = await hear(client, 1)
        assert isinstance(nacked, Nacked)
        assert (nacked.sequence, nacked.refusal.reason) == (sequence, code)
        assert text in nacked.refusal.text
        keeper.raising = error
        client.session.send_request(9, b"q")
        await client.flush()
        (failed,) = await hear(client, 1)
        assert isinstance(failed, Failed)
        assert (failed.id, failed.refusal) == (9, nacked.refusal)
        keeper.raising = error
        client.session.send_data(b"d")
        await client.flush()
        (failed,) = await hear(client, 1)
        assert isinstance(failed, Failed)
        assert (failed.id, failed.refusal) == (0, nacked.refusal)
        assert "/secret" not in nacked.refusal.text
        await client.close()
    logged = {record.getMessage() for record in records.records}
    assert ("store_refused" in logged) is isinstance(error, StoreError)
    assert ("handler_failed" in logged) is (code is Code.FAILED)


async def test_a_plain_peer_is_told_in_a_message() -> None:
    keeper = Keeper()
    async with serve(PLAIN, services=(keeper.service(),)) as server:
        client = await RawClient.to(server.addresses[0])
        keeper.raising = StoreFull("/secret", "")
        await client.say(b"one\n")
        assert (await client.hear_line()).startswith(b"store_full: the server has no room")
        await client.say(b"two\n")
        await keeper.until(2, keeper.said)
        client.end()
        assert await client.hear_all() == b""
        await client.close()
    assert keeper.said == [[b"one"], [b"two"]]
    assert keeper.ended == 1


async def test_requests_are_answered_side_by_side_up_to_a_number() -> None:
    keeper = Keeper()
    async with serve(PLUG, services=(keeper.service(),)) as server:
        client = await opened(server)
        keeper.gate.clear()
        for number in range(1, 6):
            client.session.send_request(number, b"%d" % number)
        await client.flush()
        await keeper.until(2, keeper.asked)
        await post(client, 1, b"a")
        await keeper.until(1, keeper.posted)  # posts do not wait for answers
        assert keeper.asked == [b"1", b"2"]
        keeper.gate.set()
        answers: dict[int, bytes] = {}
        while len(answers) < 5:
            for event in await client.events():
                if isinstance(event, Replies):
                    answers |= dict(event.items)
        assert answers == {number: b"re: %d" % number for number in range(1, 6)}
        await client.close()


async def test_a_peer_that_says_more_than_the_queue_holds_is_held_back_and_nothing_is_lost() -> None:
    keeper = Keeper()
    limits = Limits(queue=64 * 1024)
    async with serve(PLUG, services=(keeper.service(),), limits=limits) as server:
        (client,) = [await opened(server)]
        keeper.gate.clear()
        total, body = 3000, b"x" * 1000
        client.session.send_posts(1, [body] * total)
        saying = asyncio.ensure_future(client.flush())
        await keeper.until(1, keeper.posted)
        (link,) = server._context.links
        async with asyncio.timeout(PATIENCE):
            while not link.paused:
                await asyncio.sleep(0)
        waiting = link.sink._size  # type: ignore[attr-defined]
        assert waiting < limits.queue + 512 * 1024
        keeper.gate.set()
        acked = 0
        while acked < total:
            acked += sum(event.count for event in await client.events() if isinstance(event, Acked))
        await saying
        assert [body for run in keeper.posted for _, body in run] == [body] * total
        await client.close()


async def test_what_came_whole_is_kept_though_its_sender_is_gone() -> None:
    keeper = Keeper()
    async with serve(PLUG, services=(keeper.service(),)) as server:
        client = await opened(server)
        keeper.gate.clear()
        await post(client, 1, b"a")
        await keeper.until(1, keeper.posted)
        await post(client, 2, b"b")
        client.session.send_request(1, b"q")
        await client.flush()
        await keeper.until(1, keeper.asked)
        (link,) = server._context.links
        client.reset()
        async with asyncio.timeout(PATIENCE):
            while server.connections:
                await asyncio.sleep(0)
        assert link.sink._asking == set() or all(task.cancelling() for task in link.sink._asking)  # type: ignore[attr-defined]
        keeper.gate.set()
        await keeper.until(2, keeper.posted)
        assert keeper.posted == [[(1, b"a")], [(2, b"b")]]
    assert keeper.ended == 1


async def test_a_drain_keeps_what_has_come_and_gives_up_what_waits_for_an_answer() -> None:
    keeper = Keeper()
    async with serve(PLUG, services=(keeper.service(),)) as server:
        client = await opened(server)
        keeper.gate.clear()
        await post(client, 1, b"a")
        client.session.send_request(1, b"q")
        await client.flush()
        await keeper.until(1, keeper.asked)
        draining = asyncio.ensure_future(server.drain())
        async with asyncio.timeout(PATIENCE):
            while not server._context.draining:
                await asyncio.sleep(0)
        keeper.gate.set()
        events = await hear(client, 2)
        assert events == [Acked(1, 1, 1), Ended(Refusal(Code.GOING_AWAY, "the server is stopping"))]
        await client.close()
        assert await draining == 0


async def test_a_service_may_end_the_conversation() -> None:
    keeper = Keeper()
    async with serve(PLUG, services=(keeper.service(),)) as server:
        client = await opened(server)
        keeper.guests[0].end(Code.TAKEN_OVER, "a newer one came")
        assert await hear(client, 1) == [Ended(Refusal(Code.TAKEN_OVER, "a newer one came"))]
        await client.close()


async def test_a_visit_that_is_refused_is_told_in_every_protocol() -> None:
    keeper = Keeper()
    async with serve(PLUG, PLAIN, services=(keeper.service(),)) as server:
        keeper.raising = Refused(Code.NOT_ALLOWED, "no topic of that name")
        with pytest.raises(Refused, match="no topic of that name"):
            await anyplug.connect(f"{server.addresses[0]}/keeper")
        keeper.raising = Refused(Code.NOT_ALLOWED, "no topic of that name")
        client = await RawClient.to(server.addresses[0])
        await client.say(b"keeper\n")
        assert await client.hear_all() == b"not_allowed: no topic of that name\n"
        await client.close()
        keeper.raising = Refused(Code.NOT_ALLOWED, "no topic of that name")
        client = await RawClient.to(server.addresses[1])
        assert await client.hear_all() == b"not_allowed: no topic of that name\n"
        await client.close()


async def test_a_menu_hands_the_lines_behind_the_name_to_the_visit() -> None:
    keeper = Keeper()
    async with serve(PLUG, services=(keeper.service(),)) as server:
        client = await RawClient.to(server.addresses[0])
        await client.say(b"keeper log\none\ntwo\n")
        await keeper.until(1, keeper.said)
        assert (keeper.guests[0].rest, keeper.said) == ("log", [[b"one", b"two"]])
        await client.close()


async def test_a_post_that_is_cancelled_when_the_server_ends_keeps_nothing_waiting() -> None:
    keeper = Keeper()
    async with serve(PLUG, services=(keeper.service(),)) as server:
        client = await opened(server)
        keeper.gate.clear()
        await post(client, 1, b"a")
        await keeper.until(1, keeper.posted)
        assert await server.drain(0) == 1
        await client.close()
    assert keeper.ended == 1


class Listener(Visit):
    """Does nothing but listen."""

    async def say(self, bodies: list[bytes]) -> None:
        """Not kept."""


async def test_a_visit_that_only_listens_refuses_the_rest_clearly() -> None:
    async with serve(PLUG, services=(visited("keeper", lambda _: Listener()),)) as server:
        client = await opened(server)
        client.session.send_request(1, b"q")
        client.session.send_data(b"heard")
        await post(client, 1, b"a")
        events = {type(event): event for event in await hear(client, 2)}
        assert events == {
            Failed: Failed(1, Refusal(Code.UNSUPPORTED, "this service answers no requests")),
            Nacked: Nacked(1, Refusal(Code.UNSUPPORTED, "this service keeps no messages: use send or ask")),
        }
        await client.close()


@pytest.mark.parametrize("name", ["direct", "task", "hold"])
async def test_posts_to_a_service_that_takes_none_are_refused_and_it_goes_on(name: str) -> None:
    async def echo(message: str) -> str:
        return message

    async def hold(peer: anyplug.Connection[str]) -> None:
        async for message in peer:
            await peer.send(message)

    services = (reply("direct", lambda message: message), reply("task", echo), conversation("hold", hold))
    async with serve(PLUG, services=services) as server:
        client = await PlugClient.to(server.addresses[0])
        welcome = await client.open(name, codec="text")
        assert not welcome.posts
        client.session.send_posts(1, [b"a", b"b"])
        client.session.send_data(b"still here")
        await client.flush()
        events = await hear(client, 2)
        refusal = Refusal(Code.UNSUPPORTED, "this service keeps no messages: use send or ask")
        assert events == [Nacked(1, refusal), Data([b"still here"])]
        await client.close()
