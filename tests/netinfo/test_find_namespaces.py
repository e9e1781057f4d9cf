"""Announcements between two machines of network namespaces; what they say stays in them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import PATIENCE, environment
from tests.netinfo.namespaces import HOST, HOST6, cable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.netinfo.namespaces import Cable

LISTEN = ("--json", "--insecure", "--announce-name", "far away", "--listen")


@contextmanager
def serving(wire: Cable, *words: str) -> Iterator[list[dict[str, Any]]]:
    """`anyplug serve` in the far machine, with what it has said until its announcement."""
    command = ["ip", "netns", "exec", wire.far, sys.executable, "-m", "anyplug", "serve", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()) as process:
        assert process.stdout is not None
        told: list[dict[str, Any]] = []
        while not told or not told[-1]["type"].startswith("announce"):
            told.append(json.loads(process.stdout.readline()))
        try:
            yield told
        finally:
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=PATIENCE)
    assert json.loads(out.splitlines()[-1]) == {"type": "stopped", "cut": 0, "forced": False}
    assert process.returncode == 0


def look(wire: Cable, *words: str, status: int = 0) -> list[dict[str, Any]]:
    command = ["ip", "netns", "exec", wire.near, sys.executable, "-m", "anyplug", "find", "--json", *words]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False, env=environment())
    assert (done.returncode, done.stderr) == (status, b"")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def wire(program: Callable[[str], str]) -> Iterator[Cable]:
    with cable(program, rules="", listening=[]) as made:
        yield made


@pytest.fixture(scope="module")
def walled(program: Callable[[str], str]) -> Iterator[Cable]:
    """A network that lets no multicast pass, as a Wi-Fi for guests."""
    with cable(program, rules="udp dport 5353 drop", listening=[]) as made:
        yield made


def test_a_server_on_another_machine_is_found_with_no_option(wire: Cable) -> None:
    with serving(wire, *LISTEN, "0.0.0.0:7584") as told:
        assert (told[-1]["addresses"], told[-1]["local"]) == ([HOST], False)
        server, summary = look(wire, "--timeout", "2")
    assert (server["address"], server["name"], server["how"]) == (f"plug://{HOST}:7584", "far away", "announced")
    assert summary["servers"] == 1
    assert look(wire, "--timeout", "0.5", status=1)[-1]["servers"] == 0


def test_a_server_on_ipv6_alone_is_found(wire: Cable) -> None:
    with serving(wire, *LISTEN, "[::]:7584") as told:
        assert told[-1]["addresses"] == [HOST6]
        server, _ = look(wire, "--timeout", "2")
    assert server["address"] == f"plug://[{HOST6}]:7584"


def test_one_for_its_own_machine_alone_is_not_told_to_others(wire: Cable) -> None:
    with serving(wire, *LISTEN, "127.0.0.1:7584") as told:
        assert told[-1]["local"]
        assert look(wire, "--timeout", "1", status=1)[-1]["servers"] == 0


def test_a_typed_address_works_where_multicast_is_blocked(walled: Cable) -> None:
    with serving(walled, *LISTEN, "0.0.0.0:7584"):
        error, summary = look(walled, "--timeout", "0.5", status=1)
        assert (error["type"], error["code"]) == ("error", "nothing_found")
        assert any("multicast is blocked" in cause for cause in summary["causes"])
        server, _ = look(walled, "--timeout", "0.5", HOST)
    assert (server["address"], server["how"]) == (f"plug://{HOST}:7584", "asked")


def test_without_any_network_the_server_goes_on_and_the_search_says_why(program: Callable[[str], str]) -> None:
    with cable(program, rules="", listening=[], up=False) as dark:
        with serving(dark, *LISTEN, "0.0.0.0:7584") as told:
            problem = "this machine has no address that others could be told"
            assert told[-1] == {"type": "announce_failed", "problem": problem}
            assert "ready" in {event["type"] for event in told}
        error, summary = look(dark, "--timeout", "0.2", status=1)
    assert error["message"] == "nobody could be heard"
    assert (summary["servers"], summary["multicast"]) == (0, False)
