from __future__ import annotations

import re
import socket

import pytest

from anyplug.errors import ConnectError, LocalError
from anyplug.netinfo.scan_types import Target
from anyplug.netinfo.targets import find_targets
from anyplug.transport.resolve import Candidate


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("::1", ["::1"]),
        ("[::1]", ["::1"]),
        ("localhost", ["127.0.0.1", "::1"]),
        ("127.0.0.0/30", ["127.0.0.1", "127.0.0.2"]),
        ("127.0.0.9/32", ["127.0.0.9"]),
        ("fd00::/126", ["fd00::1", "fd00::2", "fd00::3"]),
    ],
)
def test_hosts_are_found(text: str, addresses: list[str]) -> None:
    assert [each.address for each in find_targets(text)] == addresses


def test_a_family_can_be_chosen() -> None:
    assert [each.family for each in find_targets("localhost", family=6)] == [6]


def test_of_a_name_the_first_address_of_each_family_is_taken() -> None:
    def lookup(host: str, port: int, family: int, kind: int) -> list[Candidate]:
        assert host == "printer.lan"
        return [
            Candidate(socket.AF_INET6, kind, ("fe80::1", 0, 0, 7)),
            Candidate(socket.AF_INET, kind, ("10.0.0.1", 0)),
            Candidate(socket.AF_INET, kind, ("10.0.0.2", 0)),
        ]

    found = find_targets("printer.lan", lookup=lookup)
    assert found == [Target("printer.lan", "10.0.0.1", 4), Target("printer.lan", "fe80::1", 6, 7)]
    assert [each.sockaddr(80) for each in found] == [("10.0.0.1", 80), ("fe80::1", 80, 0, 7)]


def test_a_name_that_does_not_resolve() -> None:
    def lookup(host: str, port: int, family: int, kind: int) -> list[Candidate]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(ConnectError) as caught:
        find_targets("nosuch.lan", lookup=lookup)
    assert (caught.value.step, caught.value.problem) == ("resolve", "the name nosuch.lan is not known")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' names no host"),
        ("10.0.0.*", "'10.0.0.*' names no host"),
        ("10.0.0.0/33", "'10.0.0.0/33' is no network"),
        ("x/24", "'x/24' is no network"),
        ("10.0.0.0/23", "10.0.0.0/23 has 512 addresses, more than 256; with --yes they are scanned, if whoever runs"),
        ("10.0.0.0/8", "10.0.0.0/8 has 16,777,216 addresses; the most at once is 65,536"),
        ("fd00::/64", "fd00::/64 has 18,446,744,073,709,551,616 addresses; the most at once is"),
    ],
)
def test_what_is_no_host_or_too_many(text: str, problem: str) -> None:
    with pytest.raises(LocalError, match=re.escape(problem)):
        find_targets(text)


def test_a_network_of_256_needs_no_yes_and_a_larger_one_does() -> None:
    assert len(find_targets("10.0.0.0/24")) == 254
    assert len(find_targets("10.0.0.0/23", yes=True)) == 510
