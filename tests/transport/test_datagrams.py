"""Unconnected datagrams of a server."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.transport import PACKET_MAX, DatagramPort, dial
from anyplug.transport.datagrams import FAULTS_MAX
from anyplug.transport.packets import BATCH
from tests.transport.pairs import listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anyplug.transport import Bound, SockAddr

both_loops = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])

Batch = list[tuple[bytes, "SockAddr"]]


class Hearer:
    """Keeps what a port hands on."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self._news = asyncio.Event()

    def __call__(self, batch: Batch) -> None:
        self.batches.append(batch)
        self._news.set()

    @property
    def heard(self) -> list[bytes]:
        return [data for batch in self.batches for data, _ in batch]

    async def has(self, count: int) -> None:
        while len(self.heard) < count:
            self._news.clear()
            await self._news.wait()


@pytest.fixture(params=["udp", "dgram"])
async def bound(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bound]:
    with listening(request.param, tmp_path) as bound:
        yield bound


async def client(bound: Bound) -> socket.socket:
    sock = await dial(bound.address)
    sock.setblocking(True)
    sock.settimeout(5)
    return sock


@both_loops
async def test_datagrams_are_heard_in_batches_and_answered(bound: Bound) -> None:
    hearer = Hearer()
    batches = [BATCH, 3] if bound.address.scheme == "udp" else [5]  # a unix socket keeps few that were not read
    count = sum(batches)
    with await client(bound) as sock:
        for number in range(count):
            sock.send(b"%d" % number)
        port = DatagramPort(asyncio.get_running_loop(), bound.sockets[0], hearer)
        await hearer.has(count)
        assert hearer.heard == [b"%d" % number for number in range(count)]
        assert [len(batch) for batch in hearer.batches] == batches
        assert port.received == count
        sender = hearer.batches[0][0][1]
        assert sender == sock.getsockname()
        assert port.send(b"an answer", sender)
        assert sock.recv(100) == b"an answer"
        assert (port.sent, port.dropped, port.oversized, port.faults) == (1, 0, 0, 0)
    port.close()


@both_loops
async def test_an_empty_datagram_is_heard(bound: Bound) -> None:
    hearer = Hearer()
    port = DatagramPort(asyncio.get_running_loop(), bound.sockets[0], hearer)
    with await client(bound) as sock:
        sock.send(b"")
        await hearer.has(1)
    assert hearer.heard == [b""]
    port.close()


@both_loops
async def test_what_cannot_be_sent_is_dropped_and_counted(tmp_path: Path) -> None:
    with listening("dgram", tmp_path) as bound:
        port = DatagramPort(asyncio.get_running_loop(), bound.sockets[0], Hearer())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
            deaf.bind(str(tmp_path / "deaf"))
            while port.send(b"x" * 1000, str(tmp_path / "deaf")):
                pass
        assert port.dropped == 1
        assert port.sent > 1
        assert not port.send(b"x", str(tmp_path / "deaf"))  # it is gone
        assert not port.send(b"x", str(tmp_path / "never was"))
        assert not port.send(b"x", None)  # it has no name
        assert not port.send(b"x", "")
        assert not port.send(bytes(8 * PACKET_MAX), str(tmp_path / "deaf"))
        assert port.dropped == 6
        port.close()
        assert not port.send(b"x", str(tmp_path / "deaf"))
        assert port.dropped == 7


@both_loops
async def test_a_pause_leaves_datagrams_in_the_kernel(bound: Bound) -> None:
    hearer = Hearer()
    port = DatagramPort(asyncio.get_running_loop(), bound.sockets[0], hearer)
    port.pause()
    port.pause()
    with await client(bound) as sock:
        sock.send(b"x")
        for _ in range(20):
            await asyncio.sleep(0)
        assert hearer.heard == []
        port.resume()
        port.resume()
        await hearer.has(1)
    port.close()
    port.close()
    port.resume()
    assert bound.sockets[0].fileno() == -1


@both_loops
async def test_a_datagram_above_the_largest_is_dropped_and_counted(tmp_path: Path) -> None:
    hearer = Hearer()
    with listening("dgram", tmp_path) as bound, await client(bound) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_SNDBUFFORCE", 32), 4 * PACKET_MAX)
        except PermissionError:
            pytest.skip("only a privileged program can send datagrams so large")
        port = DatagramPort(asyncio.get_running_loop(), bound.sockets[0], hearer)
        sock.send(bytes(PACKET_MAX + 1))
        sock.send(b"a small one")
        await hearer.has(1)
        assert hearer.heard == [b"a small one"]
        assert port.oversized == 1
        port.close()


class Moody(socket.socket):
    """A socket whose reading fails as often as it is told to."""

    moods = 0

    def recvfrom_into(self, *args: Any) -> tuple[int, Any]:
        if self.moods:
            self.moods -= 1
            raise ConnectionRefusedError(111, "of a datagram sent before")
        return super().recvfrom_into(*args)


@both_loops
async def test_errors_of_earlier_datagrams_do_not_end_it(tmp_path: Path) -> None:
    hearer = Hearer()
    with listening("udp", tmp_path) as bound, await client(bound) as sock:
        sock.send(b"x")
        with Moody(fileno=bound.sockets[0].detach()) as moody:
            moody.setblocking(False)
            moody.moods = 1 << 60
            port = DatagramPort(asyncio.get_running_loop(), moody, hearer)
            while port.faults == 0:  # one wake ends, however many errors there are
                await asyncio.sleep(0)
            assert port.faults == FAULTS_MAX
            moody.moods = 1
            await hearer.has(1)
            assert port.faults == FAULTS_MAX + 1
            port.close()
