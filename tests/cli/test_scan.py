from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import PATIENCE, Terminal, call, start

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield str(listener.getsockname()[1])


@contextmanager
def full() -> Iterator[str]:
    """A port that answers nobody any more."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield str(listener.getsockname()[1])


def events(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_an_open_port_is_a_line_and_the_rest_is_counted() -> None:
    with listening() as port:
        done = call("scan", "127.0.0.1", "-p", f"1,2,{port}")
    head, line = done.out.decode().splitlines()
    assert head.split() == ["HOST", "PORT", "STATE", "SERVICE", "WHY"]
    assert line.split()[:3] == ["127.0.0.1", port, "open"]
    assert done.err.decode().startswith("-- 127.0.0.1: 1 open, 2 closed\n-- 3 ports in ")
    assert done.status == 0


def test_a_silent_port_is_unknown_and_says_why() -> None:
    with full() as port:
        done = call("scan", "127.0.0.1", "-p", port, "--timeout", "0.02", "--retries", "1")
    assert done.out.decode().splitlines()[1].split() == ["127.0.0.1", port, "unknown", "-", "timed", "out"]
    assert b"0 open, 0 closed, 1 unknown" in done.err


def test_every_port_that_is_not_closed_is_an_event_and_so_is_the_host() -> None:
    with listening() as port:
        one, host = events(call("scan", "127.0.0.1", "-p", f"1,{port}", "--json", "--all").out)
    seconds, took = one.pop("seconds"), host.pop("seconds")
    assert one == {
        "type": "port",
        "host": "127.0.0.1",
        "address": "127.0.0.1",
        "protocol": "tcp",
        "port": int(port),
        "state": "open",
        "why": None,
        "service": one["service"],
        "tries": 1,
    }
    assert host == {
        "type": "host",
        "host": "127.0.0.1",
        "address": "127.0.0.1",
        "protocol": "tcp",
        "asked": 2,
        "closed": 1,
        "open": 1,
        "unknown": 0,
        "open|unknown": 0,
        "closed_ports": "1",
        "whole": True,
    }
    assert 0 < seconds <= took + 0.01


def test_closed_ports_are_listed_when_asked_for() -> None:
    line = call("scan", "127.0.0.1", "-p", "1-3", "--all").out.decode().splitlines()[1]
    assert line.split() == ["127.0.0.1", "1-3", "closed", "-", "-"]


def test_what_speaks_is_told_and_escaped() -> None:
    from threading import Thread

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            for _ in range(2):  # the scan, and the question
                with listener.accept()[0] as sock, suppress(ConnectionError):  # the scan resets what it has seen
                    sock.sendall(b"hi \x1b[2J\n")

        thread = Thread(target=greet)
        thread.start()
        port = str(listener.getsockname()[1])
        done = call("scan", "127.0.0.1", "-p", port, "--identify")
        thread.join()
    assert done.out.decode().splitlines()[1].endswith("banner hi \\x1b[2J")


def test_an_identity_is_in_the_event() -> None:
    with listening() as port:
        one, _ = events(call("scan", "127.0.0.1", "-p", port, "--identify", "--json", "--timeout", "0.05").out)
    assert one["identity"] == {"protocol": "silent", "detail": ""}


def test_both_families_of_a_name() -> None:
    hosts = [each["address"] for each in events(call("scan", "localhost", "-p", "1", "--json").out)]
    assert hosts == ["127.0.0.1", "::1"]
    assert [each["address"] for each in events(call("scan", "localhost", "-6", "-p", "1", "--json").out)] == ["::1"]


def test_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = str(silent.getsockname()[1])
        done = call("scan", "127.0.0.1", "--udp", "-p", port, "--timeout", "0.05", "--retries", "0")
    assert done.out.decode().splitlines()[1].split()[:3] == ["127.0.0.1", port, "open|unknown"]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["127.0.0.1", "-p", "1024-1"], 2, "error: the range '1024-1' in the ports '1024-1' runs backwards"),
        (["127.0.0.1", "-p", "65536"], 2, "error: 65536 in the ports '65536' is no port; they go from 1 to 65535"),
        (["10.0.0.0/16"], 2, "error: 10.0.0.0/16 has 65,536 addresses, more than 256; with --yes they are scanned"),
        (["127.0.0.1", "--udp", "--identify"], 2, "error: --identify asks over TCP"),
        (["127.0.0.1", "--rate", "0"], 2, "error: Invalid value for '--rate'"),
        ([], 2, "error: Missing argument 'HOST...'"),
        (["no_such..name"], 1, "error: cannot connect to no_such..name: the name no_such..name is not known"),
    ],
)
def test_bad_words(words: list[str], status: int, message: str) -> None:
    if words and ".." in words[0]:
        with start("scan", *words) as process:
            out, err = process.communicate(timeout=PATIENCE)
        done = (process.returncode, out, err)
    else:
        done = call("scan", *words)
    assert done[:2] == (status, b"")
    assert done[2].decode().startswith(message)


def test_ctrl_c_tells_what_is_known() -> None:
    with listening() as port, full() as silent:
        words = ["scan", "127.0.0.1", "-p", f"1,{port},{silent}", "--timeout", "60", "--json"]
        with start(*words) as process:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["port"] == int(port)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=PATIENCE)
    (host,) = events(out)
    assert (process.returncode, host["whole"], host["open"], host["closed"], host["asked"]) == (130, False, 1, 1, 3)


def test_progress_is_shown_on_a_terminal_alone() -> None:
    with (
        full() as silent,
        Terminal("scan", "127.0.0.1", "-p", f"1,{silent}", "--timeout", "0.5", "--retries", "0") as it,
    ):
        it.wait_for("50 % of 2 ports, 0 open")
        it.wait_for("unknown")
        assert it.end() == 0


def test_a_closed_pipe_ends_it() -> None:
    near, far = os.pipe()
    os.close(near)
    with listening() as port, start("scan", "127.0.0.1", "-p", port, stdout=far) as process:
        os.close(far)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 141
