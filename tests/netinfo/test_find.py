from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from anyplug import AddressError, ConnectError, Limits, Refused, Server
from anyplug.announcement import SERVICE_TYPE, Announcement, write_text
from anyplug.netinfo.announce import Place
from anyplug.netinfo.find import ask, askable, best_address, find
from anyplug.netinfo.interfaces import HostAddress, Interface
from anyplug.netinfo.multicast import open_multicast
from tests.netinfo.nearby import LOOPBACK, Telling, deaf, new_name, seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

pytestmark = pytest.mark.may_bind("", "0.0.0.0", "::", "192.0.2.200")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as made:
        made.reply("shout")(str.upper)
        made.reply("whisper")(str.lower)
        await made.start("plug://127.0.0.1:0")
        yield made


# Asked.


async def test_a_server_that_is_asked_says_what_it_offers(server: Server) -> None:
    found = await ask(server.addresses[0])
    assert (found.address, found.how, found.token) == (server.addresses[0], "asked", False)
    assert found.services == ("shout", "whisper")


async def test_a_service_in_the_address_is_not_begun(server: Server) -> None:
    assert (await ask(f"{server.addresses[0]}/shout")).services == ("shout", "whisper")


async def test_a_server_without_services_says_so() -> None:
    async with Server() as empty:
        await empty.start("plug://127.0.0.1:0")
        assert (await ask(empty.addresses[0])).services == ()


async def test_a_server_that_asks_for_a_token_says_no_more_without() -> None:
    async with Server(token="secret") as made:
        made.reply("shout")(str.upper)
        await made.start("plug://127.0.0.1:0")
        found = await ask(made.addresses[0])
        assert (found.token, found.services) == (True, None)
        found = await ask(made.addresses[0], token="secret")
        assert (found.token, found.services) == (None, ("shout",))


async def test_a_server_that_has_no_room_refuses() -> None:
    async with Server(limits=Limits(connections_per_address=1)) as made:
        made.reply("shout")(str.upper)
        await made.start("plug://127.0.0.1:0")
        _, writer = await asyncio.open_connection("127.0.0.1", int(made.addresses[0].rpartition(":")[2]))
        try:
            with pytest.raises(Refused, match="busy"):
                await ask(made.addresses[0])
        finally:
            writer.close()
            await writer.wait_closed()


async def test_nobody_there_is_an_error() -> None:
    with pytest.raises(ConnectError, match="nothing listens"):
        await ask("127.0.0.1:1")


async def test_a_service_without_a_name_is_a_server_too() -> None:
    """Nobody forbids a foreign server to take a HELLO that names no service."""
    from anyplug.messages import Hello, Welcome
    from anyplug.wire.plug import PlugSession
    from anyplug.wire.states import Role

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = PlugSession(Role.SERVER, Limits())
        while data := await reader.read(4096):
            session.receive_data(data)
            if any(isinstance(event, Hello) for event in session.events()):
                session.send_welcome(Welcome())
            writer.write(session.data_to_send())
        writer.close()

    async with await asyncio.start_server(welcome, "127.0.0.1", 0) as made:
        found = await ask(f"127.0.0.1:{made.sockets[0].getsockname()[1]}", timeout=5)
    assert (found.services, found.token) == ((), None)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:80", "udp://127.0.0.1:80", "127.0.0.1:0"])
def test_what_cannot_be_asked_is_a_bad_address(address: str) -> None:
    with pytest.raises(AddressError):
        askable(address)


# Announced.


async def test_nothing_is_found_within_its_time() -> None:
    began = asyncio.get_running_loop().time()
    names = [found.name async for found in find(timeout=0.2, interfaces=LOOPBACK) if found.name == "nobody"]
    assert names == []
    assert asyncio.get_running_loop().time() - began >= 0.2


async def test_a_search_may_be_left_early() -> None:
    announcer = Telling()
    try:
        announcer.announce_places([Place(7584, ("127.0.0.1",), tls=True)], Announcement(services=("a", "b"), more=2))
        found = await seen(announcer.name)
        assert found is not None
        assert (found.address, found.services, found.more) == ("plugs://127.0.0.1:7584", ("a", "b"), 2)
        assert (found.token, found.version, found.port) == (None, "", 7584)
    finally:
        await announcer.close()


async def test_strange_announcements_harm_nobody() -> None:
    """One that has no address, one whose text is rubbish, one that is gone when it is asked."""
    from zeroconf.asyncio import AsyncServiceInfo

    names = [new_name() for _ in range(2)]
    end = await open_multicast(LOOPBACK)
    try:
        for name, addresses, text in (
            (names[0], [], write_text(Announcement())),
            (names[1], ["127.0.0.1", "::1"], b"\xff\x00\xfe"),
        ):
            info = AsyncServiceInfo(
                SERVICE_TYPE,
                f"{name}.{SERVICE_TYPE}",
                port=9,
                parsed_addresses=addresses,
                properties=text,
                server=f"{name}.local.",
            )
            await (await end.async_register_service(info))
        found = await seen(names[1])
        assert found is not None
        assert (found.address, found.services, found.token) == ("plug://127.0.0.1:9", (), None)
        assert found.addresses == ("127.0.0.1", "::1")
        assert await seen(names[0], seconds=0.3) is None
    finally:
        await end.async_close()


async def test_without_multicast_it_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="No such device"):
        await anext(find(open=deaf))
    with pytest.raises(OSError, match="Cannot assign requested address"):
        await open_multicast(["192.0.2.200"])


async def test_a_cancelled_search_leaves_nothing_open() -> None:
    """It is cancelled in each of its first steps; a socket that stays open would keep the loop from ending."""
    for steps in range(12):
        async with aclosing(find(timeout=5, interfaces=LOOPBACK)) as servers:
            task: asyncio.Future[Any] = asyncio.ensure_future(anext(servers))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()


# Which address.


def link(address: str, prefix: int) -> Interface:
    told = HostAddress(
        interface="eth0", family=6 if ":" in address else 4, address=address, prefix=prefix, scope="global"
    )
    return Interface(name="eth0", index=2, up=True, loopback=False, mtu=None, mac=None, addresses=(told,))


@pytest.mark.parametrize(
    ("addresses", "best"),
    [
        (["10.0.0.9"], "10.0.0.9"),
        (["172.17.0.1", "192.168.1.9"], "192.168.1.9"),
        (["fd00::9", "192.168.1.9"], "192.168.1.9"),
        (["10.0.0.9", "fd00::9"], "fd00::9"),
        (["fe80::9%2", "10.0.0.9"], "10.0.0.9"),
        (["fd99::9", "10.0.0.9"], "10.0.0.9"),
        (["fe80::9%2"], "fe80::9%2"),
    ],
)
def test_the_address_in_a_network_of_ours_is_taken(addresses: Sequence[str], best: str) -> None:
    assert best_address(addresses, [link("192.168.1.7", 24), link("fd00::7", 64)]) == best
