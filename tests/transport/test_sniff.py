"""What a client speaks, from its first bytes."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import Timeout
from anyplug.transport import First, classify, sniff
from anyplug.transport.sniff import LONGEST, OPENINGS
from anyplug.wire import PREFACE
from tests.transport.pairs import listening, needs_ipv6, socket_pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

both_loops = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])

CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

OPENING_CASES: list[tuple[bytes, First, int]] = [
    # what a client sends, what it is, and how many bytes it takes to know
    (PREFACE, First.PLUG, 1),
    (CLIENT_HELLO, First.TLS, 2),
    (b"GET / HTTP/1.1\r\n", First.HTTP, 4),
    (b"HEAD / HTTP/1.1\r\n", First.HTTP, 5),
    (b"POST /x HTTP/1.1\r\n", First.HTTP, 5),
    (b"PUT /x HTTP/1.1\r\n", First.HTTP, 4),
    (b"PATCH /x HTTP/1.1\r\n", First.HTTP, 6),
    (b"DELETE /x HTTP/1.1\r\n", First.HTTP, 7),
    (b"OPTIONS * HTTP/1.1\r\n", First.HTTP, 8),
    (b"CONNECT a:1 HTTP/1.1\r\n", First.HTTP, 8),
    (b"TRACE / HTTP/1.1\r\n", First.HTTP, 6),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", First.HTTP, 12),
    (b"echo\n", First.TEXT, 1),
    (b"get / HTTP/1.1\r\n", First.TEXT, 1),
    (b"GETTING there\n", First.TEXT, 4),
    (b"GET\n", First.TEXT, 4),
    (b"PO\n", First.TEXT, 3),
    (b"PRI * HTTP/1", First.TEXT, 12),
    (b"\x16\x04", First.TEXT, 2),
    (b"\x00\x00\x00\x05hello", First.TEXT, 1),
    ("有内鬼\n".encode(), First.TEXT, 1),
    (b"\n", First.TEXT, 1),
]

UNDECIDED = sorted({text[:cut] for text, _, need in OPENING_CASES for cut in range(1, need)})
"""Every beginning that does not tell yet."""


@pytest.mark.parametrize(("text", "kind", "need"), OPENING_CASES)
def test_every_cut_of_every_opening_is_judged_as_soon_as_it_tells(text: bytes, kind: First, need: int) -> None:
    found = [classify(text[:cut]) for cut in range(len(text) + 1)]
    assert found == [None] * need + [kind] * (len(text) + 1 - need)


def test_no_opening_is_the_start_of_another_and_the_longest_is_looked_at() -> None:
    prefixes = [prefix for _, row in OPENINGS for prefix in row]
    for one in prefixes:
        assert [other for other in prefixes if other.startswith(one)] == [one]
        assert len(one) <= LONGEST
    assert {kind for kind, _ in OPENINGS} == {First.PLUG, First.TLS, First.HTTP}


def test_the_first_byte_of_the_preface_begins_no_text() -> None:
    with pytest.raises(UnicodeDecodeError):
        PREFACE[:1].decode()


class CountingSocket(socket.socket):
    """Counts how often it is looked at."""

    looks = 0

    def recv(self, *args: int) -> bytes:
        self.looks += 1
        return super().recv(*args)


Ends = tuple[socket.socket, CountingSocket]


@pytest.fixture(params=["tcp4", pytest.param("tcp6", marks=needs_ipv6), "path"])
async def ends(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ends]:
    """A client, and the socket accepted for it."""
    with listening(request.param, tmp_path) as bound:
        client, accepted = await socket_pair(bound)
        counting = CountingSocket(fileno=accepted.detach())
        with client, counting:
            yield client, counting


def low_water(sock: socket.socket) -> int:
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


async def looked(sock: CountingSocket, often: int) -> None:
    while sock.looks < often:
        await asyncio.sleep(0)


@both_loops
async def test_what_is_there_already_is_judged_at_once_and_stays(ends: Ends) -> None:
    client, server = ends
    for text, kind, _ in OPENING_CASES:
        client.send(text)
        assert await sniff(server, timeout=5) is kind
        assert server.recv(100) == text
        assert low_water(server) == 1


@both_loops
async def test_every_opening_is_judged_byte_by_byte(ends: Ends) -> None:
    client, server = ends
    for text, kind, need in OPENING_CASES:
        server.looks = 0
        judging = asyncio.ensure_future(sniff(server, timeout=5))
        for cut in range(need):
            await looked(server, cut + 1)
            assert not judging.done()
            client.send(text[cut : cut + 1])
        assert await judging is kind
        client.send(text[need:])
        assert server.recv(100) == text
        assert low_water(server) == 1


@both_loops
@pytest.mark.parametrize("kind", ["tcp4", "path"])
async def test_an_end_is_judged_by_what_there_is(kind: str, tmp_path: Path) -> None:
    with listening(kind, tmp_path) as bound:
        for start in UNDECIDED:
            client, accepted = await socket_pair(bound)
            with client, CountingSocket(fileno=accepted.detach()) as server:
                client.send(start)
                judging = asyncio.ensure_future(sniff(server, timeout=5))
                await looked(server, 1)
                client.shutdown(socket.SHUT_WR)
                assert await judging is First.TEXT
                assert server.recv(100) == start
                assert low_water(server) == 1


@both_loops
async def test_an_end_that_came_with_the_bytes_is_judged_at_once(ends: Ends) -> None:
    client, server = ends
    client.send(b"GE")
    client.close()
    assert await sniff(server, timeout=5) is First.TEXT


@both_loops
@pytest.mark.parametrize("when", ["before", "while waiting"])
async def test_a_client_that_says_nothing_and_goes_is_silent(when: str, ends: Ends) -> None:
    client, server = ends
    if when == "before":
        client.close()
    judging = asyncio.ensure_future(sniff(server, timeout=5))
    await looked(server, 1)
    client.close()
    assert await judging is First.SILENT


@both_loops
@pytest.mark.parametrize(("start", "kind"), [(b"", First.SILENT), (b"GE", First.TEXT)])
async def test_a_reset_is_judged_by_what_there_was(start: bytes, kind: First, tmp_path: Path) -> None:
    with listening("tcp4", tmp_path) as bound:
        client, accepted = await socket_pair(bound)
        with CountingSocket(fileno=accepted.detach()) as server:
            client.send(start)
            judging = asyncio.ensure_future(sniff(server, timeout=5))
            await looked(server, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            assert await judging is kind


class Failing(CountingSocket):
    """Loses its connection after the first look, with what it had."""

    def recv(self, *args: int) -> bytes:
        found = super().recv(*args)
        if self.looks > 1:
            raise ConnectionResetError
        return found


@both_loops
async def test_a_reset_that_takes_the_bytes_away_is_judged_by_what_was_seen(tmp_path: Path) -> None:
    """Linux still gives what had arrived; other systems need not."""
    with listening("tcp4", tmp_path) as bound:
        client, accepted = await socket_pair(bound)
        with client, Failing(fileno=accepted.detach()) as server:
            client.send(b"GE")
            judging = asyncio.ensure_future(sniff(server, timeout=5))
            await looked(server, 1)
            client.send(b"T")
            assert await judging is First.TEXT


@both_loops
@pytest.mark.parametrize(("start", "most"), [(b"", 1), (b"GE", 10)])
async def test_waiting_for_more_does_not_spin_and_ends_in_time(start: bytes, most: int, ends: Ends) -> None:
    """On TCP the kernel wakes nobody before there is more; a unix socket is looked at again after growing pauses."""
    client, server = ends
    client.send(start) if start else None
    with pytest.raises(Timeout, match=r"the first bytes of a client: no answer within 0\.2 s"):
        await sniff(server, timeout=0.2)
    assert server.looks <= (most if server.family == socket.AF_UNIX else 2)
    assert low_water(server) == 1
    client.send(b"T /")
    assert server.recv(10) == start + b"T /"


@both_loops
async def test_a_slow_client_costs_one_look_a_byte(tmp_path: Path) -> None:
    with listening("tcp4", tmp_path) as bound:
        client, accepted = await socket_pair(bound)
        with client, CountingSocket(fileno=accepted.detach()) as server:
            judging = asyncio.ensure_future(sniff(server, timeout=5))
            for number, byte in enumerate(b"PRI * HTTP/2"):
                await looked(server, number + 1)
                client.send(bytes((byte,)))
            assert await judging is First.HTTP
            assert server.looks == 13


@both_loops
async def test_cancelling_leaves_the_socket_as_it_was(ends: Ends) -> None:
    client, server = ends
    client.send(b"GE")
    judging = asyncio.ensure_future(sniff(server, timeout=5))
    await looked(server, 1)
    await asyncio.sleep(0)
    judging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await judging
    assert low_water(server) == 1
    assert not asyncio.get_running_loop().remove_reader(server)
    assert await _then(client, server) is First.HTTP


async def _then(client: socket.socket, server: CountingSocket) -> First:
    client.send(b"T /")
    return await sniff(server, timeout=5)


@both_loops
async def test_a_transport_starts_at_byte_0_after_it(ends: Ends) -> None:
    client, server = ends
    client.send(b"GET / HTTP/1.1\r\n")
    assert await sniff(server, timeout=5) is First.HTTP
    sock = socket.socket(fileno=server.detach())
    reader, writer = await asyncio.open_connection(sock=sock)
    assert await reader.readline() == b"GET / HTTP/1.1\r\n"
    writer.close()
    await writer.wait_closed()
