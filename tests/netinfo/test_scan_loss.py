"""The scan of a host on a bad line, at every speed: 5 % of all packets are lost each way, some ports are limited in how
often they answer, some never do.

Each twentieth packet is lost, and not each with a chance of one in twenty: a test is to fail for a reason.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from tests.netinfo.namespaces import HOST, HOST6, cable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.netinfo.namespaces import Cable

SPEEDS: Final = (
    "",
    "--at-once 1000",
    "--at-once 8",
    "--rate 50000",
    "--rate 200",
    "--timeout 0.3",
    "--at-once 1000 --timeout 0.2",
    "--at-once 1000 --rate 100000 --timeout 0.2",
)
OPEN = frozenset({22, 80, 443, 7584})
MANY = frozenset(range(500, 700, 10))
CLOSED = frozenset({23, 81, 501, 502, 699})
DROPPED = frozenset({100, 101, 102})
STEP = 30
"""Ports of which SYNs are limited, a range for each scan."""
_LOSS = "meta l4proto tcp numgen inc mod 20 0 drop\n"
RULES = (
    _LOSS
    + "tcp dport 100-102 drop\n"
    + "".join(
        f"tcp dport {first}-{first + STEP - 1} tcp flags syn limit rate over 40/second burst 5 packets drop\n"
        for first in range(1000, 1000 + STEP * (len(SPEEDS) + 2), STEP)
    )
)


class Speed(NamedTuple):
    """One scan and the range of limited ports that is its own."""

    number: int
    words: str

    @property
    def first(self) -> int:
        return 1000 + STEP * self.number

    @property
    def limited(self) -> frozenset[int]:
        """Those that are open."""
        return frozenset(range(self.first, self.first + STEP, 3))

    @property
    def ports(self) -> str:
        named = ",".join(map(str, sorted(OPEN | CLOSED | DROPPED)))
        return f"{named},500-699,{self.first}-{self.first + STEP - 1}"


ALL = [Speed(number, words) for number, words in enumerate(SPEEDS)]
FEW_FILES = Speed(len(SPEEDS), "--at-once 1000")
SIX = Speed(len(SPEEDS) + 1, "")


@pytest.fixture(scope="module")
def line(program: Callable[[str], str]) -> Iterator[Cable]:
    limited = frozenset().union(*(speed.limited for speed in (*ALL, FEW_FILES, SIX)))
    with cable(program, rules=RULES, answers=_LOSS, listening=sorted(OPEN | MANY | limited)) as made:
        yield made


@pytest.fixture(scope="module")
def found(line: Cable) -> dict[Speed, dict[int, str]]:
    """What every scan has found; they go on at the same time, since they wait for most of theirs."""
    started = {
        speed: subprocess.Popen(
            [
                *("ip", "netns", "exec", line.near, "sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"),
                *(sys.executable, "-m", "anyplug", "scan", host, "-p", speed.ports, "--json", "--all"),
                *speed.words.split(),
            ],
            stdout=subprocess.PIPE,
        )
        for speed, host, files in [*((each, HOST, 1024) for each in ALL), (FEW_FILES, HOST, 64), (SIX, HOST6, 1024)]
    }
    told = {speed: process.communicate(timeout=28)[0] for speed, process in started.items()}
    return {speed: states(out) for speed, out in told.items()}


def states(out: bytes) -> dict[int, str]:
    """The state of every port."""
    events = [json.loads(each) for each in out.splitlines()]
    known = {each["port"]: each["state"] for each in events if each["type"] == "port"}
    for each in (each for each in events if each["type"] == "host"):
        for part in filter(None, each["closed_ports"].split(",")):
            first, _, last = part.partition("-")
            known |= dict.fromkeys(range(int(first), int(last or first) + 1), "closed")
    return known


@pytest.mark.parametrize("speed", [*ALL, FEW_FILES, SIX], ids=lambda speed: f"{speed.number} {speed.words}".strip())
def test_no_open_port_is_lost_and_none_that_is_silent_is_called_closed(
    found: dict[Speed, dict[int, str]], speed: Speed
) -> None:
    told = found[speed]
    really = OPEN | MANY | speed.limited
    assert {port for port, state in told.items() if state == "open"} == really
    assert {told[port] for port in DROPPED} == {"unknown"}
    assert {told[port] for port in CLOSED} == {"closed"}
    assert not {port for port, state in told.items() if state == "closed"} & (really | DROPPED)


def test_every_port_that_nmap_finds_is_found(
    line: Cable, found: dict[Speed, dict[int, str]], program: Callable[[str], str]
) -> None:
    """On this line nmap may lose some at its greatest speed; none that it finds is lost here, and none that it calls
    filtered is called closed.
    """
    speed = ALL[1]
    out = line.run(program("nmap"), "-sT", "-n", "-Pn", "-T5", "-p", speed.ports, "-v", HOST)
    theirs = {int(port) for port in re.findall(r"^(\d+)/tcp +open", out, re.MULTILINE)}
    ours = {port for port, state in found[speed].items() if state == "open"}
    assert theirs <= ours
    assert len(theirs) > len(ours) / 2
