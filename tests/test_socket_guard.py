"""The guard stops what leaves loopback, whatever does it, and lets the rest through."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.socket_guard import OutsideError, SocketGuard, is_local

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OUTSIDE = "192.0.2.1"  # RFC 5737: belongs to nobody

BOTH_LOOPS = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


@pytest.mark.parametrize(
    ("verb", "host", "local"),
    [
        ("connect", "127.0.0.1", True),
        ("connect", "127.9.9.9", True),
        ("connect", "::1", True),
        ("connect", "::ffff:127.0.0.1", True),
        ("connect", "localhost", True),
        ("connect", "0.0.0.0", False),
        ("connect", "::ffff:192.0.2.1", False),
        ("connect", "example.org", False),
        ("bind", "127.0.0.1", True),
        ("bind", "0.0.0.0", False),
        ("bind", "::", False),
        ("bind", "", False),
        ("lookup", "", True),
        ("lookup", "192.0.2.1", True),
        ("lookup", "localhost", True),
        ("lookup", "example.org", False),
    ],
)
def test_only_loopback_is_local(verb: str, host: str, local: bool) -> None:
    assert is_local(verb, host) is local


@pytest.mark.parametrize(
    ("act", "word"),
    [
        (lambda s: s.connect((OUTSIDE, 9)), "connects to"),
        (lambda s: s.connect_ex((OUTSIDE, 9)), "connects to"),
        (lambda s: s.bind(("0.0.0.0", 0)), "binds"),
        (lambda s: s.bind(("", 0)), "binds"),
        (lambda s: s.sendto(b"x", (OUTSIDE, 9)), "sends to"),
        (lambda s: s.sendmsg([b"x"], [], 0, (OUTSIDE, 9)), "sends to"),
        (lambda _: socket.getaddrinfo("example.org", 9), "looks up"),
        (lambda _: socket.getaddrinfo(b"example.org", 9), "looks up"),
    ],
)
def test_a_socket_cannot_leave_loopback(
    act: Callable[[socket.socket], object], word: str, loopback_only: SocketGuard
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(OutsideError, match=word):
        act(sock)
    assert len(loopback_only.take()) == 1  # remembered, so the test would have failed had it swallowed the error


def test_loopback_and_unix_sockets_work(tmp_path: Path, loopback_only: SocketGuard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as two,
    ):
        one.bind(str(tmp_path / "one"))
        two.connect(str(tmp_path / "one"))
        two.sendmsg([b"x"])
    assert loopback_only.take() == []


@pytest.mark.may_bind("0.0.0.0")
def test_a_marked_test_binds_everywhere(loopback_only: SocketGuard) -> None:
    with socket.create_server(("0.0.0.0", 0)), socket.socket() as sock:
        with pytest.raises(OutsideError, match="connects to"):
            sock.connect(("0.0.0.0", 9))
        with pytest.raises(OutsideError, match="binds"):
            sock.bind(("192.0.2.1", 0))
    assert len(loopback_only.take()) == 2


@BOTH_LOOPS
@pytest.mark.parametrize(
    "act",
    [
        lambda loop: loop.create_connection(asyncio.Protocol, OUTSIDE, 9),
        lambda loop: loop.create_connection(asyncio.Protocol, "127.0.0.1", 9, local_addr=("0.0.0.0", 0)),
        lambda loop: loop.create_server(asyncio.Protocol, "0.0.0.0", 0),
        lambda loop: loop.create_server(asyncio.Protocol, ["0.0.0.0"], 0),
        lambda loop: loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("0.0.0.0", 0)),
        lambda loop: loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(OUTSIDE, 9)),
        lambda loop: loop.getaddrinfo("example.org", 9),
    ],
)
async def test_a_loop_cannot_leave_loopback(
    act: Callable[[asyncio.AbstractEventLoop], Awaitable[object]], loopback_only: SocketGuard
) -> None:
    with pytest.raises(OutsideError):
        await act(asyncio.get_running_loop())
    assert loopback_only.take() != []


def test_a_test_that_swallows_the_error_fails_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import *", encoding="utf-8")
    (tmp_path / "test_it.py").write_text(
        "import contextlib, socket\n"
        "def test_it():\n"
        "    with socket.socket() as sock, contextlib.suppress(Exception):\n"
        f"        sock.connect(({OUTSIDE!r}, 9))\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    ran = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)
    assert f"the test connects to '{OUTSIDE}', which is not loopback" in ran.stdout
    assert ran.returncode == 1


async def test_the_guarded_loop_serves_and_connects_on_loopback(loopback_only: SocketGuard) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        transport, _ = await loop.create_connection(asyncio.Protocol, "localhost", port, family=socket.AF_INET)
        transport.close()
        endpoint, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        endpoint.close()
    assert loopback_only.take() == []
