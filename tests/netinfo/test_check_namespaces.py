"""The check of a host whose firewall drops and forbids, of hosts that are not there, and of a machine without IPv6."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.netinfo.namespaces import HOST, HOST6, cable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.netinfo.namespaces import Cable

RULES = """
tcp dport 81 drop
tcp dport 82 reject with icmpx type admin-prohibited
udp dport 83 drop
"""


@pytest.fixture(scope="module")
def wire(program: Callable[[str], str]) -> Iterator[Cable]:
    with cable(program, rules=RULES, listening=[80]) as made:
        yield made


def steps_of(made: Cable, *words: str, status: int) -> dict[str, dict[str, Any]]:
    """The steps of `anyplug check` in the near machine, by their names; the last end counts."""
    command = (sys.executable, "-m", "anyplug", "check", "--json", *words)
    out = made.run("sh", "-c", f'"$@"; test $? = {status}', "sh", *command)
    events = [json.loads(line) for line in out.splitlines()]
    assert events[-1]["type"] == "result"
    return {each["step"]: each for each in events[:-1]}


@pytest.mark.parametrize("host", [HOST, f"[{HOST6}]"])
def test_the_route_and_the_round_trip(wire: Cable, host: str) -> None:
    steps = steps_of(wire, f"tcp://{host}:80", "--no-echo", status=0)
    own = {HOST: "10.99.0.1"}.get(host, "fd99::1")
    assert steps["route"]["facts"] == {"local": own, "interface": "cable"}
    assert steps["connect"]["state"] == "ok"
    assert 0 < steps["connect"]["facts"]["round_trip"] < 5
    assert steps["connect"]["facts"]["mtu"] == 1500


def test_dropped_is_no_answer(wire: Cable) -> None:
    step = steps_of(wire, f"tcp://{HOST}:81", "--timeout", "0.5", status=1)["connect"]
    assert step["message"] == f"no answer from {HOST}:81 within 0.5 s"
    assert step["remedy"].startswith("packets are dropped on the way: a firewall, or a wrong address")


def test_forbidden_is_told_from_dropped(wire: Cable) -> None:
    step = steps_of(wire, f"tcp://{HOST}:82", status=1)["connect"]
    assert step["message"] == f"a firewall on the way forbids connections to {HOST}:82"


def test_refused_by_another_machine_points_to_a_scan(wire: Cable) -> None:
    step = steps_of(wire, f"tcp://{HOST}:84", status=1)["connect"]
    assert step["message"] == f"refused: nothing listens on {HOST}:84"
    assert step["remedy"] == f"start the server, or check the port: `anyplug scan {HOST}` shows the open ones"


def test_refused_by_an_own_address_that_is_not_loopback(wire: Cable) -> None:
    step = steps_of(wire, "tcp://10.99.0.1:84", status=1)["connect"]
    assert (
        step["message"] == "refused: nothing listens on 10.99.0.1:84, and nothing else on that address of this machine"
    )
    assert step["remedy"] == "start the server"


def test_nobody_at_an_address(wire: Cable) -> None:
    step = steps_of(wire, "tcp://10.99.0.77:80", status=1)["connect"]
    assert step["message"] == "no host answers for 10.99.0.77:80"


def test_no_route(wire: Cable) -> None:
    steps = steps_of(wire, "tcp://10.1.1.1:80", status=1)
    assert steps["route"]["message"] == "this machine has no way to the IPv4 address 10.1.1.1"
    assert steps["connect"]["message"] == "not reached"


def test_datagrams_that_are_dropped_are_unknown(wire: Cable) -> None:
    steps = steps_of(wire, f"udp://{HOST}:83", "--timeout", "0.3", status=0)
    assert steps["echo"]["state"] == "unknown"


def test_datagrams_that_are_refused(wire: Cable) -> None:
    assert steps_of(wire, f"udp://{HOST}:85", status=1)["echo"]["message"] == f"refused: nothing listens on {HOST}:85"


def test_a_machine_without_ipv6(wire: Cable) -> None:
    script = f"""
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
{sys.executable} - <<'END'
import socket
from anyplug.netinfo.check import Checking
from anyplug.transport.resolve import Candidate

ends = [Candidate(socket.AF_INET6, socket.SOCK_STREAM, ("fd99::2", 0, 0, 0))]
for step in Checking("tcp://six.example:80", lookup=lambda *_: ends).run():
    print(step.step, step.state, step.message, step.remedy, sep="|")
END
"""
    lines = [line.split("|") for line in wire.run("unshare", "--net", "sh", "-c", script).splitlines()]
    assert lines[0][:3] == ["resolve", "ok", "six.example is fd99::2; IPv6 only"]
    assert lines[1][:3] == [
        "route",
        "failed",
        "this machine has no way to the IPv6 address fd99::2, and six.example has IPv6 addresses only",
    ]
    assert lines[1][3].endswith("use a network with IPv6, or give that host an IPv4 address")
    assert lines[2][1] == "skipped"


def test_listening_at_the_address_of_another_machine(wire: Cable) -> None:
    steps = steps_of(wire, "--listen", f"tcp://{HOST}:80", status=1)
    assert steps["address"]["message"] == f"{HOST} is not an address of this machine, so nothing can listen there"
    assert "10.99.0.1" in steps["address"]["remedy"]
    assert steps_of(wire, "--listen", "tcp://10.99.0.1:80", status=0)["address"]["message"].startswith(
        "this machine has 10.99.0.1 on cable"
    )


def test_a_connection_to_itself_is_a_refusal(wire: Cable) -> None:
    """Where a program is given the port that it calls, TCP connects it to itself though nobody listens."""
    ports = "/proc/sys/net/ipv4/ip_local_port_range"
    before = wire.run("cat", ports).strip()
    wire.run("sh", "-c", f"echo 40000 40000 > {ports}")
    try:
        step = steps_of(wire, "tcp://127.0.0.1:40000", status=1)["connect"]
        wire.run("sh", "-c", f"echo 40002 40002 > {ports}")  # the other one is in TIME-WAIT now
        words = (sys.executable, "-m", "anyplug", "ping", "127.0.0.1", "--port", "40002", "-c", "1", "--json")
        answer = json.loads(wire.run(*words).splitlines()[1])
    finally:
        wire.run("sh", "-c", f"echo {before} > {ports}")
    assert step["message"].startswith("refused: nothing listens on 127.0.0.1:40000")
    assert (answer["outcome"], answer["detail"]) == ("reply", "port 40002 closed")
