from __future__ import annotations

import json
import socket
import subprocess
from struct import pack
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import LocalError
from anyplug.netinfo.addresses import default_routes, for_peers, list_interfaces
from anyplug.netinfo.interfaces import (
    DefaultRoute,
    HostAddress,
    Interface,
    parse_addresses,
    parse_default_routes,
    parse_links,
)
from anyplug.netinfo.netlink import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable


def attribute(kind: int, value: bytes) -> bytes:
    return pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind: int, body: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, 0, 1, 0) + body


def link(index: int, name: str, flags: int, *more: bytes) -> bytes:
    return message(16, pack("=BxHiII", 0, 1, index, flags, 0) + attribute(3, name.encode() + b"\0") + b"".join(more))


def test_interfaces_are_read() -> None:
    mac, mtu = attribute(1, b"\x02\xfc\0\0\0\x01"), attribute(4, pack("=I", 1400))
    data = link(1, "lo", 0x10049) + link(2, "eth0", 0x11043, mac, mtu)
    data += link(3, "dummy", 0x80) + message(17, b"other") + message(16, b"short")
    assert parse_links([data]) == [
        Interface(name="lo", index=1, up=True, loopback=True, mtu=None, mac=None),
        Interface(name="eth0", index=2, up=True, loopback=False, mtu=1400, mac="02:fc:00:00:00:01"),
        Interface(name="dummy", index=3, up=False, loopback=False, mtu=None, mac=None),
    ]


def v4(*more: bytes, own: bytes = b"\x0a\0\0\x05", flags: int = 0x80, scope: int = 0, index: int = 2) -> bytes:
    return message(20, pack("=BBBBI", socket.AF_INET, 24, flags, scope, index) + attribute(2, own) + b"".join(more))


def address(text: str, **facts: object) -> HostAddress:
    given = {"interface": "eth0", "family": 6 if ":" in text else 4, "prefix": 24, "scope": "global", **facts}
    return HostAddress(address=text, **given)  # type: ignore[arg-type]


ETH0 = Interface(name="eth0", index=2, up=True, loopback=False, mtu=1500, mac=None)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (v4(), address("10.0.0.5")),
        (v4(attribute(4, b"\x0a\0\0\xff")), address("10.0.0.5", broadcast="10.0.0.255")),
        (v4(flags=0x81), address("10.0.0.5", flags=("secondary",))),
        (v4(flags=0), address("10.0.0.5", flags=("dynamic",))),
        (v4(attribute(8, pack("=I", 0x2A0))), address("10.0.0.5", flags=("deprecated", "noprefixroute"))),
        (v4(attribute(1, b"\x0a\0\0\x09")), address("10.0.0.5")),
        (v4(scope=253), address("10.0.0.5", scope="link")),
        (v4(scope=77), address("10.0.0.5", scope="77")),
        (v4(index=9), address("10.0.0.5", interface="9")),
        (
            message(20, pack("=BBBBI", socket.AF_INET6, 64, 0x01, 0, 2) + attribute(1, bytes(15) + b"\x07")),
            address("::7", prefix=64, flags=("dynamic", "temporary")),
        ),
    ],
)
def test_an_address_is_read(data: bytes, expected: HostAddress) -> None:
    (found,) = parse_addresses([data], [ETH0]).values()
    assert found == [expected]


@pytest.mark.parametrize("data", [v4(own=b"abc"), message(20, pack("=BBBBI", 77, 8, 0, 0, 2)), message(20, b"x")])
def test_what_is_no_address_is_left_out(data: bytes) -> None:
    assert parse_addresses([data], [ETH0]) == {}


def route(*more: bytes, family: int = socket.AF_INET, bits: int = 0, table: int = 254, kind: int = 1) -> bytes:
    return message(24, pack("=BBBBBBBBI", family, bits, 0, 0, table, 0, 0, kind, 0) + b"".join(more))


OUT = attribute(4, pack("=I", 2))


def test_default_routes_are_read_the_one_that_counts_first() -> None:
    data = [
        route(OUT, attribute(6, pack("=I", 100))),
        route(attribute(4, pack("=I", 3)), attribute(7, b"\x0a\0\0\x05")),
        route(OUT, bits=24) + route(OUT, table=255) + route(OUT, kind=7) + route() + route(OUT, family=77),
        route(OUT, family=socket.AF_INET6),
    ]
    assert parse_default_routes(data) == [
        DefaultRoute(family=4, index=3, metric=0, source="10.0.0.5"),
        DefaultRoute(family=4, index=2, metric=100),
        DefaultRoute(family=6, index=2),
    ]


def interface(name: str, index: int, *texts: str | HostAddress, up: bool = True, loopback: bool = False) -> Interface:
    found = tuple(address(each, interface=name) if isinstance(each, str) else each for each in texts)
    return Interface(name=name, index=index, up=up, loopback=loopback, mtu=None, mac=None, addresses=found)


LO = interface("lo", 1, address("127.0.0.1", scope="host"), loopback=True)


@pytest.mark.parametrize(
    ("links", "routes", "best"),
    [
        ([LO], [], None),
        ([LO, interface("eth0", 2)], [], None),
        ([LO, interface("eth0", 2, "10.0.0.5", up=False)], [], None),
        ([LO, interface("eth0", 2, "10.0.0.5")], [], "10.0.0.5"),
        ([interface("eth0", 2, "10.0.0.5"), interface("wlan0", 3, "10.0.1.5")], [(4, 3, 0)], "10.0.1.5"),
        ([interface("eth0", 2, "10.0.0.5"), interface("wlan0", 3, "10.0.1.5")], [(4, 3, 600), (4, 2, 100)], "10.0.0.5"),
        ([interface("docker0", 2, "172.17.0.1"), interface("eth0", 3, "10.0.0.5")], [], "10.0.0.5"),
        ([interface("eth0", 3, "fd00::5", "10.0.0.5")], [(4, 3, 0), (6, 3, 0)], "10.0.0.5"),
        ([interface("eth0", 3, "fd00::5", "10.0.0.5")], [(6, 3, 0)], "fd00::5"),
        ([interface("eth0", 3, "fd00::5")], [], "fd00::5"),
        ([interface("eth0", 3, address("fe80::5", scope="link"), "fd00::5")], [(6, 3, 0)], "fd00::5"),
        ([interface("eth0", 3, address("fe80::5", scope="link"))], [], "fe80::5"),
        ([interface("eth0", 3, "169.254.3.4"), interface("tun0", 4, "10.8.0.2")], [(4, 3, 0)], "10.8.0.2"),
        ([interface("eth0", 3, address("fd00::5", flags=("deprecated",)), "fd00::6")], [], "fd00::6"),
        ([interface("eth0", 3, address("fd00::5", flags=("temporary",)), "fd00::6")], [], "fd00::6"),
        ([interface("eth0", 3, address("10.0.0.4", flags=("secondary",)), "10.0.0.5")], [(4, 3, 0)], "10.0.0.5"),
        ([interface("eth0", 3, address("10.0.0.4", flags=("tentative",)))], [], None),
    ],
)
def test_which_address_a_peer_should_use(
    links: list[Interface], routes: list[tuple[int, int, int]], best: str | None
) -> None:
    ways = [DefaultRoute(family=family, index=index, metric=metric) for family, index, metric in routes]  # type: ignore[arg-type]
    found = for_peers(links, ways)
    assert (found and found.address) == best


def test_the_source_that_a_route_names_is_the_one() -> None:
    links = [interface("eth0", 2, "10.0.0.4", "10.0.0.5")]
    found = for_peers(links, [DefaultRoute(family=4, index=2, source="10.0.0.5")])
    assert found is not None
    assert found.address == "10.0.0.5"


def test_a_system_that_does_not_tell_is_an_error() -> None:
    def deaf() -> list[Interface]:
        raise OSError(0, "this system has no netlink")

    with pytest.raises(LocalError, match=r"cannot be listed \(this system has no netlink\); it takes Linux"):
        list_interfaces(deaf)
    with pytest.raises(LocalError, match="it takes Linux"):
        default_routes(deaf)  # type: ignore[arg-type]


def test_the_same_as_ip(program: Callable[[str], str]) -> None:
    out = subprocess.run([program("ip"), "-json", "addr"], capture_output=True, check=True).stdout
    theirs = {
        (link["ifname"], each["family"], each["local"], each["prefixlen"], each["scope"], each.get("broadcast"))
        for link in json.loads(out)
        for each in link["addr_info"]
    }
    families = {4: "inet", 6: "inet6"}
    ours = {
        (link.name, families[each.family], each.address, each.prefix, each.scope, each.broadcast)
        for link in list_interfaces()
        for each in link.addresses
    }
    assert ours == theirs


def test_the_same_interfaces_and_flags_as_ip(program: Callable[[str], str]) -> None:
    out = subprocess.run([program("ip"), "-json", "addr"], capture_output=True, check=True).stdout
    theirs = {each["ifname"]: each for each in json.loads(out)}
    ours = {each.name: each for each in list_interfaces()}
    assert set(ours) == set(theirs)
    for name, each in ours.items():
        flags = theirs[name]["flags"]
        assert (each.index, each.mtu) == (theirs[name]["ifindex"], theirs[name]["mtu"])
        assert (each.up, each.loopback) == ("UP" in flags and "LOWER_UP" in flags, "LOOPBACK" in flags)
        for one, other in zip(each.addresses, theirs[name]["addr_info"], strict=True):
            assert {word for word in one.flags if word in other} == set(one.flags)


def test_the_same_default_routes_as_ip(program: Callable[[str], str]) -> None:
    for family, option in ((4, "-4"), (6, "-6")):
        words = [program("ip"), "-json", option, "route", "show", "default", "table", "main"]
        theirs = json.loads(subprocess.run(words, capture_output=True, check=True).stdout or b"[]")
        ours = [each for each in default_routes() if each.family == family]
        assert [each.metric for each in ours] == sorted(each.get("metric", 0) for each in theirs if "dev" in each)
