"""Looks at a machine that has little: no IPv6, an interface without addresses, processes of others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.netinfo.sockets import Wanted, list_sockets
from tests.cli.commands import PATIENCE, Done, environment
from tests.netinfo.namespaces import HOST, cable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.netinfo.namespaces import Cable


@pytest.fixture(scope="module")
def bare(program: Callable[[str], str]) -> Iterator[Cable]:
    """A machine without IPv6, and with an interface that has no address."""
    with cable(program, rules="", listening=[]) as made:
        made.run("sh", "-c", "echo 1 | tee /proc/sys/net/ipv6/conf/*/disable_ipv6")
        made.run(program("ip"), *["link", "add", "nothing0", "type", "veth", "peer", "name", "nothing1"])
        yield made


def anyplug(bare: Cable, *words: str) -> Done:
    command = ["ip", "netns", "exec", bare.near, sys.executable, "-m", "anyplug", *words]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False, env=environment())
    return Done(done.returncode, done.stdout, done.stderr)


def events(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.out.splitlines()]


def test_an_interface_without_addresses_cannot_be_looked_at(bare: Cable) -> None:
    done = anyplug(bare, "find", "-i", "nothing0")
    assert (done.status, done.out) == (2, b"")
    assert done.err == b"error: the interface 'nothing0' has no address; multicast needs one\n"
    done = anyplug(bare, "addresses", "nothing0")
    assert (done.status, done.out) == (0, b"")
    assert done.err.startswith(b"-- nothing0 has no address; it is down\n")


def test_without_ipv6_the_search_goes_on_over_ipv4(bare: Cable) -> None:
    done = anyplug(bare, "find", "--timeout", "0.2", "--json")
    assert [event["type"] for event in events(done)] == ["error", "summary"]
    assert events(done)[-1]["multicast"] is True


def test_without_ipv6_its_ports_are_unknown_and_the_others_are_told(bare: Cable) -> None:
    done = anyplug(bare, "scan", "::1", "127.0.0.1", "-p", "80", "--json")
    port, six, four = events(done)
    assert (port["address"], port["state"], port["why"]) == ("::1", "unknown", "unreachable")
    assert (six["unknown"], four["closed"]) == (1, 1)
    assert done.status == 0


def test_without_ipv6_everything_else_is_listed(bare: Cable) -> None:
    addresses = [event["address"] for event in events(anyplug(bare, "addresses", "--json"))]
    assert sorted(addresses) == ["10.99.0.1", "127.0.0.1"]
    assert HOST not in addresses
    done = anyplug(bare, "sockets", "--tcp", "--udp")
    assert (done.status, done.out) == (0, b"")
    assert done.err == b"-- there is no such socket\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to become somebody else")
def test_whose_a_socket_is_is_not_told_where_that_is_not_allowed() -> None:
    """It is null, and the socket is listed all the same; who asks for that process alone gets nothing."""
    program = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); "
    program += "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        wanted = Wanted(protocols=("tcp",), ports=frozenset({int(other.stdout.readline())}))
        (known,) = list_sockets(wanted, processes=True)
        os.seteuid(65534)
        try:
            (hidden,) = list_sockets(wanted, processes=True)
            asked = list_sockets(wanted._replace(process=str(other.pid)))
        finally:
            os.seteuid(0)
        other.communicate("")
    assert known.processes is not None
    assert [each.pid for each in known.processes] == [other.pid]
    assert hidden == known._replace(processes=None)
    assert asked == []
