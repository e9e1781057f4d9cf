"""`Server.run` in a process of its own: what it does on signals, and with the sockets of a service manager."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvloop

from anyplug.server.lifecycle import new_loop

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 20.0

PROGRAM = """
import os, sys
import anyplug

if sys.argv[1:] and sys.argv[1].isdigit():
    os.dup2(int(sys.argv.pop(1)), 3)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}

server = anyplug.Server()

@server.service("guest")
async def guest(peer: anyplug.Connection[str]) -> None:
    async for message in peer:
        await peer.send(message)
        if message == "bye":
            return

server.run(*sys.argv[1:])
print("ended in order")
"""


@contextmanager
def running(*words: str, fds: tuple[int, ...] = ()) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The program, ready, and the port of its first address."""
    name = f"anyplug-test-{os.getpid()}-{id(words)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(PATIENCE)
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            env={**os.environ, "NOTIFY_SOCKET": f"@{name}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=fds,
        )
        try:
            status = manager.recv(4096).decode()
            assert status.startswith("READY=1\nSTATUS=serving ")
            yield process, int(status.split("127.0.0.1:")[1].split("/")[0].split(",")[0])
            assert process.poll() is not None
        finally:
            process.kill()
            process.communicate()


def guest_of(port: int) -> socket.socket:
    """A conversation that has begun."""
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    sock.sendall(b"hello\n")
    assert sock.recv(1024) == b"hello\n"
    return sock


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes, list[str]]:
    """How it ended: its status, what it printed, and the events of its log."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, [line.split()[2] for line in err.decode().splitlines()]


def test_a_signal_lets_conversations_end() -> None:
    with running("tcp://127.0.0.1:0/guest") as (process, port), guest_of(port) as guest:
        process.send_signal(signal.SIGTERM)
        guest.sendall(b"bye\n")
        assert guest.recv(1024) == b"bye\n"
        assert guest.recv(1024) == b""
        guest.close()
        assert ended(process) == (0, b"ended in order\n", ["listening", "listener_closed"])


def test_a_second_signal_ends_at_once() -> None:
    with running("tcp://127.0.0.1:0/guest") as (process, port), guest_of(port) as guest:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert guest.recv(1024) == b""
        guest.close()
        assert ended(process) == (0, b"ended in order\n", ["listening", "listener_closed", "drain_cut"])


def test_an_address_that_is_taken_is_raised() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}/guest"
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, address], capture_output=True, timeout=PATIENCE, check=False
        )
    assert done.returncode == 1
    assert f"BindError: cannot listen on {address}: ".encode() in done.stderr


def test_a_socket_of_the_service_manager_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        fd = os.dup2(passed.fileno(), 100)
        port = passed.getsockname()[1]
    try:
        with running("100", f"tcp://127.0.0.1:{port}/guest", fds=(fd,)) as (process, found):
            os.close(fd)
            assert found == port
            guest_of(port).close()
            process.send_signal(signal.SIGTERM)
            assert ended(process) == (0, b"ended in order\n", ["listening", "listener_closed"])
    finally:
        passed.close()


def test_the_loop_is_uvloop() -> None:
    loop = new_loop()
    assert isinstance(loop, uvloop.Loop)
    loop.close()
