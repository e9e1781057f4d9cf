"""The ping of a host that loses, delays, doubles and reorders, beside the system's ping."""

from __future__ import annotations

import json
import re
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.netinfo.echoes import answering
from tests.netinfo.namespaces import HOST, HOST6, cable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.netinfo.namespaces import Cable

RULES = """
icmp type echo-request ip length 1000 numgen inc mod 5 == 0 drop
icmpv6 type echo-request ip6 length 980 numgen inc mod 5 == 0 drop
icmp type echo-request ip length 500 reject with icmp type admin-prohibited
icmpv6 type echo-request ip6 length 480 reject with icmpv6 type admin-prohibited
tcp dport 7584 drop
tcp dport 443 drop
tcp dport 90 tcp flags & (syn | ack) == syn numgen inc mod 4 == 0 drop
tcp dport 91 reject with icmpx type admin-prohibited
"""
LOSSY, FORBIDDEN = "972", "472"
"""Sizes of data by which the rules know requests."""
HOSTS = pytest.mark.parametrize("host", [HOST, HOST6])
MEANS = pytest.mark.parametrize("means", ["datagram", "raw"])
_ALLOW = "echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range"


@pytest.fixture(scope="module")
def wire(program: Callable[[str], str]) -> Iterator[Cable]:
    with cable(program, rules=RULES, listening=[80, 90]) as made:
        made.run("sh", "-c", _ALLOW)
        made.run("sh", "-c", f"until {program('ping')} -c 1 -W 1 {HOST6}; do :; done")  # its address is in use now
        yield made


def ours(made: Cable, host: str, *words: str, status: int = 0) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The answers that `anyplug ping` tells of, and its summary."""
    script = f'"$@"; test $? = {status}'
    command = (sys.executable, "-m", "anyplug", "ping", host, "--json", *words)
    events = [json.loads(line) for line in made.run("sh", "-c", script, "sh", *command).splitlines()]
    assert [events[0]["type"], events[-1]["type"]] == ["target", "summary"]
    return events[1:-1], events[-1]


def theirs(made: Cable, host: str, *words: str) -> tuple[int, int, float, float]:
    """What the system's ping tells: sent, received, least and greatest round trip in seconds."""
    out = made.run("sh", "-c", 'ping "$@"; true', "sh", "-n", *words, host)
    counts = re.search(r"(\d+) packets transmitted, (\d+) received", out)
    times = re.search(r"rtt min/avg/max/mdev = ([\d.]+)/[\d.]+/([\d.]+)/", out)
    assert counts is not None, out
    least, most = (float(times[1]) / 1000, float(times[2]) / 1000) if times else (0.0, 0.0)
    return int(counts[1]), int(counts[2]), least, most


@HOSTS
@MEANS
def test_as_much_is_lost_as_ping_finds(wire: Cable, host: str, means: str) -> None:
    sent, received, _, _ = theirs(wire, host, "-c", "20", "-i", "0.01", "-W", "1", "-s", LOSSY)
    words = ("-c", "20", "-i", "0.01", "--timeout", "0.8", "-s", LOSSY, "--via", means)
    answers, summary = ours(wire, host, *words)
    assert (summary["sent"], summary["received"]) == (sent, received) == (20, 16)
    assert (summary["loss"], summary["means"], summary["whole"]) == (0.2, means, True)
    silent = sorted(each["sequence"] for each in answers if each["outcome"] == "silent")
    assert {after - before for before, after in pairwise(silent)} == {5}


@HOSTS
@MEANS
def test_round_trips_are_as_long_as_ping_finds(wire: Cable, host: str, means: str) -> None:
    with answering(wire, json.dumps({0: [[0.1, 0]]})):
        _, _, least, most = theirs(wire, host, "-c", "5", "-i", "0.02")
        _, summary = ours(wire, host, "-c", "5", "-i", "0.02", "--via", means)
    assert least >= 0.1
    assert 0.1 <= summary["minimum"] <= summary["median"] <= summary["p99"] <= summary["maximum"]
    assert summary["minimum"] < 2 * most
    assert least < 2 * summary["maximum"]


@HOSTS
@MEANS
def test_doubled_reordered_late_changed_and_lost_answers(wire: Cable, host: str, means: str) -> None:
    script = {0: [[0, 0]], 2: [[0, 0], [0.02, 0]], 3: [[0.4, 0]], 5: [[1.6, 0]], 6: [[0, 1]], 7: []}
    with answering(wire, json.dumps(script)):
        words = ("-c", "15", "-i", "0.2", "--timeout", "1.2", "--via", means)
        answers, summary = ours(wire, host, *words)
    told = [(each["sequence"], each["outcome"], each["reordered"]) for each in answers]
    assert told.count((2, "duplicate", False)) == 1
    assert [each for each in told if each[0] == 3] == [(3, "reply", True)]
    assert [each for each in told if each[0] == 5] == [(5, "silent", False), (5, "late", True)]
    assert [each["detail"] for each in answers if each["sequence"] == 6] == ["its data came back changed"]
    assert [each for each in told if each[0] == 7] == [(7, "silent", False)]
    counts = {name: summary[name] for name in ("sent", "received", "late", "duplicates", "reordered")}
    assert counts == {"sent": 15, "received": 14, "late": 1, "duplicates": 1, "reordered": 2}


@HOSTS
@MEANS
def test_what_is_forbidden_is_unreachable_and_says_why(wire: Cable, host: str, means: str) -> None:
    words = ("-c", "2", "-i", "0.02", "-s", FORBIDDEN, "--via", means)
    answers, summary = ours(wire, host, *words, status=1)
    facts = [(each["outcome"], each["detail"], each["source"]) for each in answers]
    assert facts == [("unreachable", "admin-prohibited", host)] * 2
    assert (summary["unreachable"], summary["received"], summary["loss"]) == (2, 0, 1.0)


@pytest.mark.parametrize("means", ["datagram", "raw", "tcp"])
def test_nobody_at_an_address_is_unreachable(wire: Cable, means: str) -> None:
    answers, summary = ours(wire, "10.99.0.77", "-c", "1", "--timeout", "8", "--via", means, status=1)
    assert [each["outcome"] for each in answers] == ["unreachable"]
    assert answers[0]["detail"] == ("no route to host" if means == "tcp" else "host unreachable")
    assert summary["unreachable"] == 1


def test_over_tcp_a_port_is_found_that_no_firewall_drops(wire: Cable) -> None:
    answers, summary = ours(wire, HOST, "-c", "3", "-i", "0.02", "--via", "tcp")
    assert (summary["port"], summary["received"]) == (80, 3)
    assert {each["detail"] for each in answers} == {"port 80 open"}


def test_over_tcp_a_lost_packet_is_no_slow_answer(wire: Cable) -> None:
    answers, summary = ours(wire, HOST, "-c", "8", "-i", "0.02", "--port", "90", "--timeout", "1.5")
    assert (summary["sent"], summary["received"]) == (8, 6)
    assert summary["maximum"] < 1
    assert [each["outcome"] for each in answers].count("silent") == 2


def test_over_tcp_a_forbidden_port_is_unreachable(wire: Cable) -> None:
    answers, _ = ours(wire, HOST, "-c", "1", "--port", "91", status=1)
    assert [(each["outcome"], each["detail"]) for each in answers] == [("unreachable", "admin-prohibited")]


def test_whom_nobody_allows_icmp_asks_by_tcp(wire: Cable, program: Callable[[str], str]) -> None:
    made = wire.run("sh", "-c", "cat /proc/sys/net/ipv4/ping_group_range")
    wire.run("sh", "-c", "echo 1 0 > /proc/sys/net/ipv4/ping_group_range")
    try:
        words = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")
        command = (*words, sys.executable, "-m", "anyplug", "ping", HOST, "-c", "1", "--json")
        events = [json.loads(line) for line in wire.run(*command).splitlines()]
        script = '"$@"; test $? = 2'
        refused = json.loads(wire.run("sh", "-c", script, "sh", *command, "--via", "raw"))
    finally:
        wire.run("sh", "-c", f"echo {made.strip()} > /proc/sys/net/ipv4/ping_group_range")
    assert (events[0]["means"], events[-1]["means"], events[-1]["port"]) == ("tcp", "tcp", 80)
    assert refused["message"].startswith("this user may not send ICMP through a raw socket")


def test_no_route(wire: Cable) -> None:
    script = '"$@" 2>&1; test $? = 1'
    out = wire.run("sh", "-c", script, "sh", sys.executable, "-m", "anyplug", "ping", "10.1.1.1")
    assert out.startswith("error: cannot connect to 10.1.1.1: there is no route to 10.1.1.1")


def test_no_ipv6(wire: Cable) -> None:
    script = 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; "$@" 2>&1; test $? = 1'
    words = ("unshare", "--net", "sh", "-c", script, "sh", sys.executable, "-m", "anyplug", "ping", "::1")
    assert "::1" in wire.run(*words)
