"""Connections of every kind for the tests: both ends in this process, made with `bind` and `dial`."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from anyplug.address import Address
from anyplug.transport import PacketTransport, bind, dial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anyplug.transport import Bound

__all__ = ["accept", "address", "connect_over", "has_ipv6", "listening", "needs_ipv6", "socket_pair"]


def has_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        sock.bind(("::1", 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
"""For a test that is about IPv6."""


def address(kind: str, folder: Path) -> Address:
    """An address of this kind that nobody else has."""
    texts = {
        "tcp4": "tcp://127.0.0.1:0",
        "tcp6": "tcp://[::1]:0",
        "udp": "udp://127.0.0.1:0",
        "path": f"unix://{folder}/stream.sock",
        "abstract": f"unix://@{folder}/stream",
        "seqpacket": f"unix+seqpacket://{folder}/packets.sock",
        "dgram": f"unix+dgram://{folder}/datagrams.sock",
    }
    return Address.parse(texts[kind])


@contextmanager
def listening(kind: str, folder: Path) -> Iterator[Bound]:
    with bind(address(kind, folder)) as bound:
        yield bound


async def accept(bound: Bound) -> socket.socket:
    """The next connection to the first socket of a listener."""
    sock, _ = await asyncio.get_running_loop().sock_accept(bound.sockets[0])
    sock.setblocking(False)
    return sock


async def socket_pair(bound: Bound) -> tuple[socket.socket, socket.socket]:
    """A client's socket and the accepted one."""
    client = await dial(bound.address, timeout=5)
    return client, await accept(bound)


async def connect_over(
    bound: Bound, a: asyncio.Protocol, b: asyncio.Protocol
) -> tuple[asyncio.Transport, asyncio.Transport]:
    """A connection over a listener: `a` at the client's end, `b` at the server's."""
    loop = asyncio.get_running_loop()
    client, server = await socket_pair(bound)
    if bound.kind == "packet":
        ends = PacketTransport(loop, client, a), PacketTransport(loop, server, b)
        await asyncio.sleep(0)
        return ends
    to_b, _ = await loop.create_connection(lambda: a, sock=client)
    to_a, _ = await loop.connect_accepted_socket(lambda: b, sock=server)
    return to_b, to_a
