"""The scan of a host with open, closed, dropped, forbidden and rate-limited ports, beside nmap."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import pytest

from tests.netinfo.namespaces import HOST, HOST6, cable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.netinfo.namespaces import Cable

OPEN = frozenset({22, 80, 250, 301, 302, 303, 304, 305, 339})
LOSSY = frozenset(range(500, 700, 10))
"""Open ports, of which each tenth packet is lost: as much as 5 % both ways."""
DROPPED = frozenset(range(100, 103))
FORBIDDEN = frozenset({120})
RULES = """
tcp dport 100-102 drop
tcp dport 120 reject with icmpx type admin-prohibited
tcp dport 300-339 tcp flags syn limit rate over 50/second burst 10 packets drop
tcp dport 500-699 numgen random mod 100 < 10 drop
"""


@pytest.fixture(scope="module")
def wire(program: Callable[[str], str]) -> Iterator[Cable]:
    with cable(program, rules=RULES, listening=sorted(OPEN | LOSSY)) as made:
        yield made


def states(out: str) -> dict[int, tuple[str, str | None]]:
    events = [json.loads(line) for line in out.splitlines()]
    return {each["port"]: (each["state"], each["why"]) for each in events if each["type"] == "port"}


def of(found: dict[int, tuple[str, str | None]], state: str) -> set[int]:
    return {port for port, (each, _) in found.items() if each == state}


@pytest.mark.parametrize("host", [HOST, HOST6])
def test_open_closed_dropped_forbidden_and_limited(wire: Cable, host: str) -> None:
    found = states(wire.anyplug("scan", host, "-p", "1-340", "--json"))
    assert of(found, "open") == OPEN
    assert {port: found.get(port) for port in DROPPED} == dict.fromkeys(DROPPED, ("unknown", "timed out"))
    assert found[120] == ("unknown", "admin-prohibited")


@pytest.mark.parametrize("words", [["--at-once", "1000"], ["--rate", "2000"], ["--at-once", "2", "--timeout", "0.3"]])
def test_no_open_port_is_lost_at_any_speed(wire: Cable, words: list[str]) -> None:
    found = states(wire.anyplug("scan", HOST, "-p", "1-130,200-260", "--json", "--retries", "1", *words))
    assert of(found, "open") == {port for port in OPEN if port < 300}
    assert of(found, "unknown") == DROPPED | FORBIDDEN


def test_with_64_descriptors(wire: Cable) -> None:
    script = 'ulimit -n 64; exec "$@"'
    words = (sys.executable, "-m", "anyplug", "scan", HOST, "-p", "1-340", "--json", "--at-once", "1000")
    found = states(wire.run("sh", "-c", script, "sh", *words))
    assert of(found, "open") == OPEN
    assert of(found, "unknown") >= DROPPED


def test_with_loss(wire: Cable) -> None:
    found = states(wire.anyplug("scan", HOST, "-p", "100,500-699", "--json"))
    assert of(found, "open") == set(LOSSY)
    assert found[100] == ("unknown", "timed out")


def test_the_same_open_ports_as_nmap(wire: Cable, program: Callable[[str], str]) -> None:
    out = wire.run(program("nmap"), "-sT", "-n", "-Pn", "-T5", "-p", "1-130,200-260", "-v", HOST)
    theirs = {int(port) for port in re.findall(r"^(\d+)/tcp +open", out, re.MULTILINE)}
    found = states(wire.anyplug("scan", HOST, "-p", "1-130,200-260", "--json", "--retries", "1"))
    assert of(found, "open") == theirs


def test_nobody_at_an_address_is_unknown(wire: Cable) -> None:
    found = states(wire.anyplug("scan", "10.99.0.77", "-p", "80,81", "--json", "--retries", "0", "--timeout", "5"))
    assert found == {80: ("unknown", "unreachable"), 81: ("unknown", "unreachable")}


def test_no_route_is_unknown(wire: Cable) -> None:
    assert states(wire.anyplug("scan", "10.1.1.1", "-p", "80", "--json")) == {80: ("unknown", "unreachable")}
