from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import contextmanager, suppress
from itertools import count
from typing import IO, TYPE_CHECKING, Any

import pytest

from tests.cli.commands import PATIENCE, Terminal, anyplug, call, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path


STEPS = count()


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A listener on a port that was not used before and that the kernel gives to no client.

    So nobody else's socket has its number, and none that was closed a moment ago.
    """
    port = 0
    while not port:
        wanted = 10_000 + (os.getpid() * 101 + next(STEPS)) % 20_000
        with suppress(OSError), socket.create_server(("127.0.0.1", wanted)):
            port = wanted
    with socket.create_server(("127.0.0.1", port)) as listener:
        yield listener, str(port)


def events(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_listener_is_one_line_with_its_process() -> None:
    with listening() as (_, port):
        done = call("sockets", "--listening", "--port", port, "--process")
    head, line = done.out.decode().splitlines()
    assert head.split() == ["PROTOCOL", "STATE", "RECEIVING", "SENDING", "LOCAL", "REMOTE", "PROCESS"]
    cells = line.split()
    assert cells[:2] + cells[4:6] == ["tcp", "listen", f"127.0.0.1:{port}", "-"]
    assert f"[{os.getpid()}]" in line
    assert (done.status, done.err) == (0, b"")


def test_processes_are_left_out_where_nobody_asks() -> None:
    with listening() as (_, port):
        assert b"PROCESS" not in call("sockets", "--port", port).out


def test_an_event_has_every_fact() -> None:
    with listening() as (listener, port):
        (event,) = events(call("sockets", "--tcp", "-l", "--port", port, "--json").out)
        number = os.fstat(listener.fileno()).st_ino
    assert event == {
        "type": "socket",
        "protocol": "tcp",
        "family": 4,
        "unix_type": None,
        "state": "listen",
        "local": "127.0.0.1",
        "local_port": int(port),
        "remote": None,
        "remote_port": None,
        "receiving": 0,
        "sending": event["sending"],
        "uid": os.getuid(),
        "inode": number,
        "processes": None,
    }


def test_a_process_may_be_named_by_its_number() -> None:
    with listening() as (_, port):
        (event,) = events(call("sockets", "--port", port, "--process", str(os.getpid()), "--json").out)
        assert call("sockets", "--port", port, "--process", "no such name").err == b"-- there is no such socket\n"
    assert os.getpid() in {each["pid"] for each in event["processes"]}


def test_both_ends_of_a_connection_are_listed() -> None:
    with listening() as (listener, port), socket.create_connection(("127.0.0.1", int(port))) as client:
        with listener.accept()[0]:
            done = call("sockets", "--state", "ESTAB", "--port", port)
        ends = [f"127.0.0.1:{client.getsockname()[1]}", f"127.0.0.1:{port}"]
    lines = [line.split()[-2:] for line in done.out.decode().splitlines()[1:]]
    assert sorted(lines) == sorted([ends, ends[::-1]])


def test_a_path_is_escaped(tmp_path: Path) -> None:
    path = str(tmp_path / "a\x1b[31m")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)
        made.listen()
        done = call("sockets", "--unix", "--listening")
    assert str(tmp_path / "a\\x1b[31m").encode() in done.out
    assert b"\x1b" not in done.out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--state", "lsten"], 2, "error: 'lsten' is no state of a socket; did you mean listen?"),
        (["--port", "65536"], 2, "error: Invalid value for '--port': 65536 is not in the range 1<=x<=65535"),
        (["--port", "0"], 2, "error: Invalid value for '--port': 0 is not in the range 1<=x<=65535"),
        (["--interval", "0"], 2, "error: Invalid value for '--interval': '0' is no time"),
    ],
)
def test_bad_words(words: list[str], status: int, message: str) -> None:
    done = call("sockets", *words)
    assert (done.status, done.out) == (status, b"")
    assert done.err.decode().startswith(message)


def test_an_error_is_an_event_too() -> None:
    (event,) = events(call("sockets", "--state", "x", "--json").out)
    assert (event["type"], event["code"]) == ("error", "usage")


def test_on_a_terminal_it_is_a_table() -> None:
    with listening() as (_, port), Terminal("sockets", "--port", port, env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("PROTOCOL")
        terminal.wait_for("─")
        terminal.wait_for(port[-2:])
        assert terminal.end() == 0


def test_a_closed_pipe_ends_it() -> None:
    near, far = os.pipe()
    os.close(near)
    with start("sockets", stdout=far) as process:
        os.close(far)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (141, b"")


# --watch.


@contextmanager
def watching(*words: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    with start("sockets", "--watch", "--interval", "0.01", *words) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            if process.poll() is None:
                process.kill()


def next_change(out: IO[bytes], new: str | None) -> dict[str, Any]:
    while True:
        event: dict[str, Any] = json.loads(out.readline())
        if event["type"] == "change" and event["new"] == new:
            return event


def test_opening_and_closing_are_seen() -> None:
    with listening() as (listener, port), watching("--port", port, "--tcp", "--json") as (process, out):
        first = json.loads(out.readline())
        assert (first["type"], first["sockets"]) == ("watching", 1)
        client = socket.create_connection(("127.0.0.1", int(port)))
        server = listener.accept()[0]
        assert next_change(out, "established")["old"] is None
        assert next_change(out, "established")["old"] is None
        client.close()
        passed = {json.loads(out.readline())["new"], json.loads(out.readline())["new"]}
        assert passed == {"close-wait", "fin-wait-2"}
        server.close()
        closed = next_change(out, "time-wait")
        assert closed["old"] == "fin-wait-2"
        assert closed["socket"]["remote_port"] == int(port)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        last = events(out.read())[-1]
        assert (last["type"], last["changes"] >= 6) == ("summary", True)


def test_ctrl_c_prints_a_summary() -> None:
    with listening() as (_, port), Terminal("sockets", "--watch", "--port", port) as terminal:
        terminal.wait_for("sockets now; each change is a line")
        with socket.create_connection(("127.0.0.1", int(port))):
            terminal.wait_for("(new) -> established")
        terminal.enter("\x03")
        terminal.wait_for("changes in ")
        assert terminal.end() == 130


def test_a_watch_ends_with_whoever_reads_it() -> None:
    with listening() as (_, port):
        with start("sockets", "--watch", "--port", port, "--json") as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.wait(PATIENCE) == 141


def test_the_command_runs_as_a_process() -> None:
    assert anyplug("sockets", "--port", "1").status == 0
