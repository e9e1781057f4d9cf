"""An inbox for plain sockets, for nc, and its farewell."""

from __future__ import annotations

import pytest

import anyplug
from anyplug import Code
from anyplug.messages import Ended, Nacked
from tests.server.serving import PlugClient, RawClient
from tests.services.inboxes import TYPES, hear, keeping, movable, wait_for_posts


async def test_what_a_plain_socket_says_is_kept_and_nobody_is_told() -> None:
    async with keeping("tcp://127.0.0.1:0/inbox/log") as (server, address):
        plain = await RawClient.to(server.addresses[1])
        await plain.say("one\n二\n".encode())
        plain.end()
        assert await plain.hear_all() == b""
        async with anyplug.Inbox(address) as inbox:
            found = await inbox.read()
            assert [(each.value, each.content_type, each.name) for each in found] == [
                ("one", TYPES["text"], ""),
                ("二", TYPES["text"], ""),
            ]
        await plain.close()


async def test_what_is_being_kept_when_the_server_is_cut_is_kept_all_the_same() -> None:
    store, log = movable()
    async with keeping("tcp://127.0.0.1:0/inbox/log", store=store) as (server, _):
        plain = await RawClient.to(server.addresses[1])
        log.gate.clear()
        await plain.say(b"one\n")
        await log.begun.wait()
        closing = log.close
        log.close = log.finish  # type: ignore[method-assign]
        assert await server.drain(0) == 1
        log.gate.set()
        await log.finish()
        assert [each.body for each in (await log.read("inbox/log", 1)).messages] == [b"one"]
        log.close = closing  # type: ignore[method-assign]
        await plain.close()


async def test_a_line_that_is_no_text_is_refused_and_those_around_it_are_kept() -> None:
    async with keeping("tcp://127.0.0.1:0/inbox/log") as (server, address):
        plain = await RawClient.to(server.addresses[1])
        await plain.say(b"one\n\xff\n")
        assert (await plain.hear_line()).startswith(b"bad_message: ")
        await plain.say(b"two\n")
        plain.end()
        await plain.hear_all()
        async with anyplug.Inbox(address) as inbox:
            assert [each.value for each in await inbox.read()] == ["one", "two"]
        await plain.close()


async def test_a_bad_topic_in_the_first_line_of_nc_is_told() -> None:
    async with keeping() as (server, _):
        client = await RawClient.to(server.addresses[0])
        await client.say(b"inbox " + b"x" * 300 + b"\nhello\n")
        assert b"190 bytes at most, not 300" in await client.hear_all()
        await client.close()


@pytest.mark.parametrize("codec", ["text", "bytes", "json"])
async def test_a_farewell_ends_the_conversation_and_is_not_kept(codec: str) -> None:
    said = {"text": b"one\n 886 \ntwo\n", "bytes": b"one\n886\ntwo\n", "json": b'"one"\n"886"\n"two"\n'}[codec]
    async with keeping(f"tcp://127.0.0.1:0/inbox/log?codec={codec}", farewell="886") as (server, address):
        plain = await RawClient.to(server.addresses[1])
        await plain.say(said)
        assert await plain.hear_all() == b""
        async with anyplug.Inbox(address) as inbox:
            assert [each.value for each in await inbox.read()] == [b"one" if codec == "bytes" else "one"]
        await plain.close()


async def test_where_there_is_a_farewell_a_conversation_may_end_without_it() -> None:
    async with keeping("tcp://127.0.0.1:0/inbox/log", farewell="886") as (server, address):
        for said in (b"one\n8866\n", b"886\nnever\n"):
            plain = await RawClient.to(server.addresses[1])
            await plain.say(said)
            if said.startswith(b"one"):
                plain.end()
            assert await plain.hear_all() == b""
            await plain.close()
        async with anyplug.Inbox(address) as inbox:
            assert [each.value for each in await inbox.read()] == ["one", "8866"]


async def test_a_first_line_that_is_no_text_is_refused_and_nothing_is_kept_of_it() -> None:
    async with keeping("tcp://127.0.0.1:0/inbox/log") as (server, address):
        plain = await RawClient.to(server.addresses[1])
        await plain.say(b"\xff\n")
        assert (await plain.hear_line()).startswith(b"bad_message: ")
        await plain.close()
        async with anyplug.Inbox(address) as inbox:
            assert len(await inbox.read()) == 0


async def test_what_is_said_and_posted_behind_the_farewell_is_not_kept() -> None:
    store, log = movable()
    async with keeping(store=store, farewell="886") as (server, _):
        client = await PlugClient.to(server.addresses[0])
        await client.open("inbox", rest="log", codec="text")
        log.gate.clear()
        client.session.send_many([b"one", b"886"])
        await client.flush()
        await log.begun.wait()
        client.session.send_posts(1, [b"posted"])
        await client.flush()
        await wait_for_posts(server, 1)
        client.session.send_many([b"said"])
        await client.flush()
        await wait_for_posts(server, 2)
        log.gate.set()
        events = await hear(client, 2)
        assert isinstance(events[0], Nacked)
        assert events[0].refusal.reason is Code.GOING_AWAY
        assert isinstance(events[1], Ended)
        assert events[1].refusal.reason is Code.OK
        assert (await log.span("inbox/log")).last == 1
        await client.close()


async def test_a_post_of_the_farewell_is_a_message_like_any() -> None:
    async with keeping(farewell="886") as (_, address), anyplug.Inbox(address) as inbox:
        assert await inbox.post("886") == 1
        assert await inbox.post("on") == 2
