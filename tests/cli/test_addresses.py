from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from anyplug.cli.addresses import qr_text
from anyplug.netinfo.addresses import default_routes, for_peers, list_interfaces
from tests.cli.commands import PATIENCE, Terminal, call, start

if TYPE_CHECKING:
    from collections.abc import Callable


def test_loopback_is_a_line() -> None:
    done = call("addresses", "lo")
    head, *lines = done.out.decode().splitlines()
    assert head.split() == ["INTERFACE", "FAMILY", "ADDRESS", "PREFIX", "SCOPE", "UP", "FLAGS"]
    assert ["lo", "IPv4", "127.0.0.1", "8", "host", "yes"] in [line.split()[:6] for line in lines]
    assert (done.status, done.err.decode()) == (
        0,
        "-- no peer can reach this machine: it has no address beside loopback on an interface that is up\n",
    )


def test_an_event_has_every_fact() -> None:
    events = [json.loads(line) for line in call("addresses", "lo", "-4", "--json").out.splitlines()]
    assert {
        "type": "address",
        "interface": "lo",
        "up": True,
        "mac": None,
        "family": 4,
        "address": "127.0.0.1",
        "prefix": 8,
        "scope": "host",
        "flags": [],
        "broadcast": None,
        "for_peers": False,
    } in events
    assert {each["family"] for each in events} == {4}


def test_every_address_is_listed_and_one_is_for_peers() -> None:
    events = [json.loads(line) for line in call("addresses", "--json").out.splitlines()]
    links = list_interfaces()
    assert {each["address"] for each in events} == {each.address for link in links for each in link.addresses}
    best = for_peers(links, default_routes())
    assert [each["address"] for each in events if each["for_peers"]] == ([best.address] if best else [])


def test_an_unknown_interface_is_named_with_the_nearest() -> None:
    done = call("addresses", "loo")
    assert (done.status, done.out) == (2, b"")
    assert done.err == b"error: this machine has no interface 'loo'; did you mean lo?\n"
    assert b"there are lo" in call("addresses", "xyzzy").err


def test_an_interface_without_addresses_says_so(program: Callable[[str], str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("it takes root to make a network namespace")
    words = ["unshare", "--net", "--", *_python("addresses", "lo")]
    done = _run(words)
    assert done == (0, b"", done[2])
    assert done[2].startswith(b"-- lo has no address; it is down\n-- no peer can reach")


def test_without_an_address_there_is_no_code() -> None:
    done = call("addresses", "lo", "--qr")
    assert (done.status, done.out) == (2, b"")
    assert done.err.startswith(b"error: there is no address to show")


def test_a_code_is_drawn_of_half_blocks() -> None:
    lines = qr_text("plug://192.0.2.2:7584").splitlines()
    assert len({len(line) for line in lines}) == 1
    assert set("".join(lines)) == set(" ▀▄█")
    assert len(lines[0]) >= 25


def test_the_code_and_its_url_are_of_the_best_address() -> None:
    best = for_peers(list_interfaces(), default_routes())
    if best is None:
        pytest.skip("this machine has no address beside loopback")
    host = best.address if best.family == 4 else f"[{best.address}]"
    (event,) = [json.loads(line) for line in call("addresses", "--qr", "--port", "80", "--json").out.splitlines()]
    assert event == {"type": "url", "url": f"plug://{host}:80"}
    done = call("addresses", "--qr")
    assert done.out.decode() == qr_text(f"plug://{host}:7584")
    assert done.err.decode() == f"-- plug://{host}:7584\n"


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_bad_port(port: str) -> None:
    done = call("addresses", "--port", port)
    assert (done.status, done.out) == (2, b"")
    assert re.match(rb"error: Invalid value for '--port'", done.err)


def test_on_a_terminal_it_is_a_table() -> None:
    with Terminal("addresses", "lo", env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("INTERFACE")
        terminal.wait_for("127.0.0.1")
        assert terminal.end() == 0


def test_a_closed_pipe_ends_it() -> None:
    near, far = os.pipe()
    os.close(near)
    with start("addresses", stdout=far) as process:
        os.close(far)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 141


def _python(*words: str) -> list[str]:
    import sys

    return [sys.executable, "-m", "anyplug", *words]


def _run(words: list[str]) -> tuple[int, bytes, bytes]:
    import subprocess

    done = subprocess.run(words, capture_output=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stdout, done.stderr
