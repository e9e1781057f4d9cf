"""Every transport keeps the contract, on uvloop and on plain asyncio."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import TYPE_CHECKING

import pytest

from anyplug.testing import check_transport
from anyplug.transport import PacketTransport, memory_pair
from tests.transport.pairs import connect_over, listening, needs_ipv6

if TYPE_CHECKING:
    from pathlib import Path

both_loops = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


@both_loops
@pytest.mark.parametrize("kind", ["tcp4", pytest.param("tcp6", marks=needs_ipv6), "path", "abstract", "seqpacket"])
async def test_a_socket_keeps_the_contract(kind: str, tmp_path: Path) -> None:
    with listening(kind, tmp_path) as bound:
        await check_transport(partial(connect_over, bound), packets=bound.kind == "packet")


@both_loops
@pytest.mark.parametrize("piece", [None, 4096])
async def test_a_pair_in_memory_keeps_the_contract(piece: int | None) -> None:
    async def connect(a: asyncio.Protocol, b: asyncio.Protocol) -> tuple[asyncio.Transport, asyncio.Transport]:
        return memory_pair(a, b, piece=piece)

    await check_transport(connect)


@both_loops
async def test_connected_datagrams_keep_what_of_the_contract_they_can() -> None:
    async def connect(a: asyncio.Protocol, b: asyncio.Protocol) -> tuple[asyncio.Transport, asyncio.Transport]:
        loop = asyncio.get_running_loop()
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.setblocking(False)
        other.setblocking(False)
        ends = PacketTransport(loop, one, a), PacketTransport(loop, other, b)
        await asyncio.sleep(0)
        return ends

    await check_transport(connect, packets=True)
