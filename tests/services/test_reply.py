"""The replier: answers from a table."""

from __future__ import annotations

import anyplug
from anyplug.services import KINDS, ReplyOptions, default_services, make_reply
from tests.server.serving import RawClient, serve


async def test_answers_come_from_the_table_and_else_the_default() -> None:
    service = make_reply("reply", ReplyOptions(answers={"ping": "pong"}, answer="what?"))
    async with serve("plug://127.0.0.1:0", services=(service,)) as server:
        async with anyplug.connect(f"{server.addresses[0]}/reply") as peer:
            assert await peer.ask_many(["ping", "pong", 5, ["ping"]]) == ["pong", "what?", "what?", "what?"]


async def test_once_answers_one_message_and_ends() -> None:
    service = make_reply("reply", ReplyOptions(once=True))
    async with serve("tcp://127.0.0.1:0/reply?framing=raw", services=(service,)) as server:
        client = await RawClient.to(server.addresses[0])
        await client.say(b"I am client.")
        assert await client.hear_all() == b"I am server."
        await client.close()


async def test_a_client_that_says_nothing_is_answered_nothing() -> None:
    service = make_reply("reply", ReplyOptions(once=True))
    async with serve("tcp://127.0.0.1:0/reply?framing=raw", services=(service,)) as server:
        client = await RawClient.to(server.addresses[0])
        client.end()
        assert await client.hear_all() == b""
        await client.close()


def test_every_kind_is_offered_where_nothing_is_configured() -> None:
    assert [service.name for service in default_services()] == list(KINDS)
