from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from anyplug import Server
from anyplug.address import Address
from anyplug.announcement import Announcement
from anyplug.errors import LocalError
from anyplug.netinfo.announce import Announced, Announcer, Place, places
from anyplug.netinfo.interfaces import HostAddress, Interface
from tests.netinfo.nearby import Telling, deaf, new_name, seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

pytestmark = pytest.mark.may_bind("", "0.0.0.0", "::")

HERE = Place(7584, ("127.0.0.1",))


def link(name: str, *addresses: str, up: bool = True) -> Interface:
    told = tuple(
        HostAddress(
            interface=name,
            family=6 if ":" in each else 4,
            address=each,
            prefix=64 if ":" in each else 24,
            scope="link" if each.startswith("fe80") else "host" if name == "lo" else "global",
        )
        for each in addresses
    )
    return Interface(name=name, index=1, up=up, loopback=name == "lo", mtu=1500, mac=None, addresses=told)


LINKS = [
    link("lo", "127.0.0.1", "::1"),
    link("eth0", "192.168.1.7", "fd00::7", "fe80::7"),
    link("docker0", "172.17.0.1"),
    link("wlan0", "10.0.0.7", up=False),
]


@pytest.mark.parametrize(
    ("listening", "announced"),
    [
        (["plug://127.0.0.1:7584"], [Place(7584, ("127.0.0.1",))]),
        (["plug://localhost:7584"], [Place(7584, ("127.0.0.1",))]),
        (["plug6://localhost:7584"], [Place(7584, ("::1",))]),
        (["plug://[::1]:7584", "plug://127.0.0.1:7584"], [Place(7584, ("::1", "127.0.0.1"))]),
        (["plug://192.168.1.7:7584", "plug://127.0.0.1:7584"], [Place(7584, ("192.168.1.7",))]),
        (["plug://0.0.0.0:7584"], [Place(7584, ("192.168.1.7",))]),
        (["plug://[::]:7584"], [Place(7584, ("fd00::7",))]),
        (["plug://0.0.0.0:1", "plug://[::]:2"], [Place(1, ("192.168.1.7",)), Place(2, ("fd00::7",))]),
        (["plug://elsewhere.example:7584"], [Place(7584, ())]),
        (["tcp://0.0.0.0:80/echo", "udp://0.0.0.0:81/echo", "unix:///run/x", "fd://3?protocol=plug"], []),
        ([], []),
    ],
)
def test_each_port_that_speaks_plug_is_announced_with_the_addresses_that_lead_there(
    listening: Sequence[str], announced: list[Place]
) -> None:
    assert places(map(Address.parse, listening), LINKS) == announced


def test_a_wildcard_is_loopback_where_there_is_nothing_else() -> None:
    (place,) = places([Address.parse("plug://0.0.0.0:1")], LINKS[:1])
    assert place == Place(1, ("127.0.0.1",))
    assert place.local
    assert not Place(1, ("127.0.0.1", "10.0.0.1")).local


def test_what_is_known_on_its_link_alone_is_told_where_there_is_nothing_better() -> None:
    (place,) = places([Address.parse("plug://[::]:1")], [link("eth0", "fe80::7")])
    assert place.addresses == ("fe80::7",)
    assert places([Address.parse("plug://0.0.0.0:1")], LINKS[2:])[0].addresses == ("172.17.0.1",)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server(token="secret") as made:
        made.reply("shout")(str.upper)
        await made.start("plug://127.0.0.1:0")
        yield made


async def test_an_announced_server_is_found_until_it_is_closed(server: Server) -> None:
    announcer = Telling()
    announcer.announce(server)
    found = await seen(announcer.name)
    assert found is not None
    assert f"plug://127.0.0.1:{found.port}" == server.addresses[0] == found.address
    assert (found.how, found.services, found.token, found.addresses) == ("announced", ("shout",), True, ("127.0.0.1",))
    told = await announcer.outcome()
    assert (told.state, told.name, told.place) == ("announced", announcer.name, Place(found.port or 0, ("127.0.0.1",)))
    await announcer.close()
    assert await seen(announcer.name, seconds=0.5) is None
    announcer.announce(server)
    assert announcer.outcomes.empty()


async def test_a_name_that_is_taken_gets_a_number() -> None:
    first = Telling()
    second = Telling(first.name)
    try:
        first.announce_places([HERE], Announcement())
        await first.outcome()
        second.announce_places([HERE], Announcement())
        told = await second.outcome()
        assert (told.name, told.wanted) == (f"{first.name}-2", first.name)
    finally:
        await asyncio.gather(first.close(), second.close())


async def test_what_is_announced_anew_replaces_what_was(server: Server) -> None:
    announcer = Telling()
    try:
        announcer.announce(server)
        announcer.announce(server)  # the same: nothing to do
        server.reply("whisper")(str.lower)
        announcer.announce(server)  # before the first is done
        assert (await announcer.outcome()).name == announcer.name
        found = await seen(announcer.name)
        assert found is not None
        assert found.services == ("shout", "whisper")
        assert announcer.outcomes.empty()
    finally:
        await announcer.close()


class Fake:
    """As zeroconf, but all it does is count."""

    def __init__(self, *, error: Exception | None = None, hangs: bool = False) -> None:
        self.registered: list[Any] = []
        self.events: list[str] = []
        self.interfaces: list[Sequence[str]] = []
        self._error = error
        self._hangs = hangs
        self.busy = asyncio.Event()

    async def open(self, interfaces: Sequence[str]) -> Fake:
        self.interfaces.append(interfaces)
        return self

    async def async_register_service(self, info: Any, *, allow_name_change: bool) -> asyncio.Future[None]:
        assert allow_name_change
        if self._error is not None:
            raise self._error
        self.registered.append(info)
        done = asyncio.get_running_loop().create_future()
        if self._hangs:
            self.busy.set()
        else:
            done.set_result(None)
        return done

    async def async_unregister_all_services(self) -> None:
        self.events.append("unregistered")

    async def async_close(self) -> None:
        self.events.append("closed")


async def test_several_ports_have_a_name_each() -> None:
    fake = Fake()
    announcer = Telling("kitchen", interfaces=(), open=fake.open)
    announcer.announce_places([HERE, Place(1, ("10.0.0.1",), tls=True), Place(2, ())], Announcement(services=("a",)))
    told = [await announcer.outcome(), await announcer.outcome()]
    assert [each.name for each in told] == ["kitchen", "kitchen 1"]
    assert fake.interfaces == [[]]
    assert [(info.port, b"tls=yes" in info.text) for info in fake.registered] == [(7584, False), (1, True)]
    assert len({info.server for info in fake.registered}) == 2
    await announcer.close()
    assert fake.events == ["unregistered", "closed"]


async def test_a_server_of_this_machine_alone_is_announced_on_loopback_alone() -> None:
    fake = Fake()
    announcer = Telling(interfaces=(), open=fake.open)
    announcer.announce_places([HERE], Announcement())
    await announcer.outcome()
    assert fake.interfaces == [["127.0.0.1"]]
    await announcer.close()


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (OSError(19, "No such device"), "multicast cannot be used here: No such device"),
        (OSError("odd"), "multicast cannot be used here: odd"),
        (TimeoutError(), "the network did not let it within 10 s"),
        (ValueError(), "ValueError"),
        (ValueError("bad"), "ValueError: bad"),
    ],
)
async def test_what_fails_is_told_and_ends_there(error: Exception, problem: str) -> None:
    fake = Fake(error=error)
    announcer = Telling(open=fake.open)
    announcer.announce_places([HERE], Announcement())
    assert await announcer.outcome() == Announced(state="failed", wanted=announcer.name, problem=problem)
    await announcer.close()
    assert fake.events == ["unregistered", "closed"]


async def test_without_multicast_the_server_goes_on(server: Server) -> None:
    announcer = Telling(open=deaf)
    announcer.announce(server)
    assert (await announcer.outcome()).problem == "multicast cannot be used here: No such device"
    await announcer.close()
    assert server.addresses


async def test_nothing_to_announce_is_said() -> None:
    announcer = Telling()
    announcer.announce_places([], Announcement())
    assert (await announcer.outcome()).state == "nothing"
    announcer.announce_places([Place(1, ())], Announcement())
    assert (await announcer.outcome()).problem == "this machine has no address that others could be told"
    await announcer.close()


async def test_closing_in_the_middle_takes_back_what_was_said() -> None:
    fake = Fake(hangs=True)
    announcer = Telling(open=fake.open)
    announcer.announce_places([HERE], Announcement())
    await fake.busy.wait()
    await announcer.close()
    assert fake.events == ["unregistered", "closed"]
    assert announcer.outcomes.empty()
    await announcer.close()
    assert fake.events == ["unregistered", "closed"]


async def test_a_farewell_that_fails_is_left_to_run_out() -> None:
    fake = Fake()

    async def fails() -> None:
        raise OSError(101, "Network is unreachable")

    announcer = Telling(open=fake.open)
    announcer.announce_places([HERE], Announcement())
    await announcer.outcome()
    fake.async_close = fails  # type: ignore[method-assign]
    await announcer.close()
    assert fake.events == ["unregistered"]


async def test_a_machine_that_tells_no_addresses_fails_the_announcement_alone(server: Server) -> None:
    def untold() -> list[Interface]:
        raise LocalError("nothing is told")

    announcer = Telling(links=untold)
    announcer.announce(server)
    assert (await announcer.outcome()).problem == "nothing is told"
    await announcer.close()


def test_a_name_that_cannot_be_is_refused() -> None:
    with pytest.raises(LocalError, match="cannot be a server's name"):
        Announcer(name="a.b")
    assert Announcer().name
    assert new_name() != new_name()
