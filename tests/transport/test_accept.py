"""Accepting, in good times and in bad."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from typing import TYPE_CHECKING, cast

import pytest

from anyplug.transport import Acceptor
from anyplug.transport.accept import BATCH, GONE, PAUSE_MAX
from tests.transport.pairs import listening
from tests.transport.processes import run_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from anyplug.transport import Bound, SockAddr

both_loops = pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])


class Desk:
    """Keeps what an acceptor hands on."""

    def __init__(self) -> None:
        self.taken: list[tuple[socket.socket, SockAddr]] = []
        self.said: list[str] = []
        self.news = asyncio.Event()

    def accept(self, sock: socket.socket, sockaddr: SockAddr) -> None:
        self.taken.append((sock, sockaddr))
        self.news.set()

    def trouble(self, text: str) -> None:
        self.said.append(text)
        self.news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.news.clear()
            await self.news.wait()

    async def has(self, count: int) -> None:
        """Wait until so many connections were handed on."""
        await self.until(lambda: len(self.taken) == count)

    def close(self) -> None:
        for sock, _ in self.taken:
            sock.close()


@pytest.fixture(params=["tcp4", "path", "seqpacket"])
def bound(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bound]:
    with listening(request.param, tmp_path) as bound:
        yield bound


def call(bound: Bound, often: int) -> list[socket.socket]:
    """Clients, connected as far as the kernel does it."""
    clients = []
    for _ in range(often):
        client = socket.socket(bound.sockets[0].family, bound.sockets[0].type)
        client.connect(bound.sockets[0].getsockname())
        clients.append(client)
    return clients


def close(socks: list[socket.socket]) -> None:
    for sock in socks:
        sock.close()


async def turns(often: int = 20) -> None:
    for _ in range(often):
        await asyncio.sleep(0)


@both_loops
async def test_connections_are_handed_on_in_batches(bound: Bound) -> None:
    desk = Desk()
    clients = call(bound, 2 * BATCH + 1)
    acceptor = Acceptor(asyncio.get_running_loop(), bound.sockets[0], desk.accept, desk.trouble)
    await desk.until(lambda: len(desk.taken) == len(clients))
    assert acceptor.wakes == 3
    assert acceptor.accepted == len(clients)
    for sock, sockaddr in desk.taken:
        assert not sock.getblocking()
        assert not sock.get_inheritable()
        assert sockaddr == sock.getpeername()
    assert {sockaddr for _, sockaddr in desk.taken} == {client.getsockname() for client in clients}
    acceptor.close()
    close(clients)
    desk.close()
    assert desk.said == []


@both_loops
async def test_a_pause_leaves_clients_in_the_backlog(bound: Bound) -> None:
    desk = Desk()
    acceptor = Acceptor(asyncio.get_running_loop(), bound.sockets[0], desk.accept, desk.trouble)
    acceptor.pause()
    acceptor.pause()
    clients = call(bound, 2)
    await turns()
    assert desk.taken == []
    acceptor.resume()
    acceptor.resume()
    await desk.has(2)
    acceptor.close()
    acceptor.close()
    acceptor.resume()
    clients += call(bound, 1)
    await turns()
    assert len(desk.taken) == 2
    assert bound.sockets[0].fileno() != -1
    close(clients)
    desk.close()


@both_loops
async def test_a_pause_from_the_callback_holds_at_once(bound: Bound) -> None:
    desk = Desk()

    def one_only(sock: socket.socket, sockaddr: SockAddr) -> None:
        desk.accept(sock, sockaddr)
        acceptor.pause()

    clients = call(bound, 3)
    acceptor = Acceptor(asyncio.get_running_loop(), bound.sockets[0], one_only, desk.trouble)
    for count in (1, 2, 3):
        await desk.has(count)
        await turns()
        assert len(desk.taken) == count
        acceptor.resume()
    acceptor.close()
    close(clients)
    desk.close()


@both_loops
async def test_a_callback_that_fails_costs_its_connection_alone(bound: Bound) -> None:
    loop = asyncio.get_running_loop()
    failures: list[object] = []
    loop.set_exception_handler(lambda _, context: failures.append(context.get("exception")))
    desk = Desk()
    given: list[socket.socket] = []

    def fails_first(sock: socket.socket, sockaddr: SockAddr) -> None:
        given.append(sock)
        if len(given) == 1:
            raise ZeroDivisionError
        desk.accept(sock, sockaddr)

    clients = call(bound, 2)
    acceptor = Acceptor(loop, bound.sockets[0], fails_first, desk.trouble)
    await desk.has(1)
    assert given[0].fileno() == -1
    assert [type(each) for each in failures] == [ZeroDivisionError]
    acceptor.close()
    close(clients)
    desk.close()


class Moody(socket.socket):
    """A listener whose `accept` fails as often as it is told to."""

    moods: list[int]

    def accept(self) -> tuple[socket.socket, object]:
        if self.moods:
            number = self.moods.pop(0)
            raise OSError(number, os.strerror(number))
        return super().accept()


def moody(bound: Bound, moods: list[int]) -> Moody:
    sock = Moody(fileno=bound.sockets[0].detach())
    sock.setblocking(False)
    sock.moods = moods
    bound.sockets[0] = sock
    return sock


@both_loops
@pytest.mark.parametrize("number", sorted(GONE))
async def test_a_client_that_is_gone_already_is_counted_and_forgotten(number: int, bound: Bound) -> None:
    desk = Desk()
    clients = call(bound, 1)
    listener = moody(bound, [number, number])
    acceptor = Acceptor(asyncio.get_running_loop(), listener, desk.accept, desk.trouble)
    await desk.has(1)
    assert acceptor.aborted == 2
    assert acceptor.wakes == 1
    assert desk.said == []
    acceptor.close()
    close(clients)
    desk.close()


@both_loops
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOBUFS, "no memory for sockets"),
        (errno.ENOMEM, "no memory for sockets"),
        (errno.EINVAL, "Invalid argument"),
    ],
)
async def test_trouble_is_told_and_passes(number: int, words: str, bound: Bound) -> None:
    desk = Desk()
    clients = call(bound, 1)
    listener = moody(bound, [number])
    acceptor = Acceptor(asyncio.get_running_loop(), listener, desk.accept, desk.trouble)
    await desk.has(1)
    assert desk.said == [f"no connection can be accepted for now: {words}"]
    assert acceptor.wakes == 2
    assert acceptor.shed == 0
    acceptor.close()
    close(clients)
    desk.close()


@both_loops
async def test_out_of_files_who_waits_is_closed_and_told_so(bound: Bound) -> None:
    desk = Desk()
    clients = call(bound, 3)
    listener = moody(bound, [errno.EMFILE])
    acceptor = Acceptor(asyncio.get_running_loop(), listener, desk.accept, desk.trouble)
    await desk.until(lambda: len(desk.said) == 1)
    assert acceptor.shed == 3
    assert desk.said == [
        (
            "no connection can be accepted for now: too many open files: raise the limit (`ulimit -n`) "
            "or lower the limit on connections; 3 waiting closed"
        )
    ]
    assert [client.recv(1) for client in clients] == [b""] * 3
    clients += call(bound, 1)
    await desk.has(1)
    acceptor.close()
    close(clients)
    desk.close()


@both_loops
async def test_without_a_spare_descriptor_clients_wait_until_there_is_one(bound: Bound) -> None:
    desk = Desk()
    clients = call(bound, 2)
    listener = moody(bound, [errno.EMFILE])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        acceptor = Acceptor(asyncio.get_running_loop(), listener, desk.accept, desk.trouble)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await desk.has(2)
    assert acceptor.shed == 0
    assert len(desk.said) == 1
    listener.moods.append(errno.EMFILE)
    late = call(bound, 2)
    for client in late:  # the first success brought the spare back, so they are closed
        client.setblocking(False)
        assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 1), 10) == b""
    assert acceptor.shed == 2
    clients += late
    acceptor.close()
    close(clients)
    desk.close()


@both_loops
async def test_at_most_a_batch_is_shed_a_wake(bound: Bound) -> None:
    desk = Desk()
    clients = call(bound, BATCH + 1)
    listener = moody(bound, [errno.EMFILE])
    acceptor = Acceptor(asyncio.get_running_loop(), listener, desk.accept, desk.trouble)
    await desk.until(lambda: len(desk.said) == 1)
    assert acceptor.shed == BATCH
    await desk.has(1)
    acceptor.close()
    close(clients)
    desk.close()


@both_loops
async def test_a_pause_during_trouble_stays_a_pause(bound: Bound) -> None:
    desk = Desk()
    clients = call(bound, 1)
    listener = moody(bound, [errno.ENOBUFS])
    acceptor = Acceptor(asyncio.get_running_loop(), listener, desk.accept, desk.trouble)
    await desk.until(lambda: len(desk.said) == 1)
    acceptor.pause()
    await turns()
    assert desk.taken == []
    acceptor.resume()
    await desk.has(1)
    acceptor.close()
    close(clients)
    desk.close()


class Clock:
    """The part of a loop that an acceptor uses, in virtual time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.reader: Callable[[], None] | None = None
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def add_reader(self, _: object, callback: Callable[[], None]) -> None:
        self.reader = callback

    def remove_reader(self, _: object) -> None:
        self.reader = None

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Clock:
        self.timers.append((seconds, callback))
        return self

    def cancel(self) -> None:
        self.timers.clear()

    def rest(self) -> float:
        """Let the one timer run out; how long that takes."""
        [(seconds, callback)] = self.timers
        self.timers.clear()
        self.now += seconds
        callback()
        return seconds

    def wake(self) -> None:
        assert self.reader is not None
        self.reader()


def test_rests_grow_while_the_trouble_lasts_and_reports_keep_their_distance(tmp_path: Path) -> None:
    with listening("path", tmp_path) as bound:
        said: list[float] = []
        taken: list[socket.socket] = []
        clock = Clock()
        listener = moody(bound, [errno.ENOMEM] * 6)
        acceptor = Acceptor(
            cast("asyncio.AbstractEventLoop", clock),
            listener,
            lambda sock, _: taken.append(sock),
            lambda _: said.append(clock.now),
        )
        rests = []
        for _ in range(6):
            clock.wake()
            assert clock.reader is None
            acceptor.resume()
            assert clock.reader is None  # a rest is a rest
            rests.append(clock.rest())
        assert rests == [0.25, 0.5, 1.0, 1.0, 1.0, 1.0]
        assert said == [0.0, 1.75, 2.75, 3.75]
        clients = call(bound, 1)
        clock.wake()
        assert len(taken) == 1
        listener.moods.append(errno.ENOMEM)
        clock.wake()
        acceptor.pause()
        assert clock.timers == []
        acceptor.resume()
        listener.moods.append(errno.ENOMEM)
        clock.wake()
        assert clock.rest() == 0.5
        acceptor.close()
        assert clock.reader is None
        close([*clients, *taken])


EXHAUSTED = """
    import asyncio, json, os, resource, socket, sys
    import uvloop
    from anyplug.address import Address
    from anyplug.transport import Acceptor, bind

    async def main():
        loop = asyncio.get_running_loop()
        said, taken = [], []
        with bind(Address.parse("tcp://127.0.0.1:0")) as bound:
            where = bound.sockets[0].getsockname()
            clients = [socket.socket() for _ in range(40)]
            arrived = asyncio.Event()

            def on_accept(sock, _):
                taken.append(sock)
                arrived.set()

            acceptor = Acceptor(loop, bound.sockets[0], on_accept, lambda text: said.append((loop.time(), text)))
            await loop.sock_connect(nonblocking(clients[0]), where)
            await arrived.wait()
            used = len(os.listdir("/proc/self/fd")) - 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + 10, 4096))
            for client in clients[1:]:
                nonblocking(client).connect_ex(where)
            start = loop.time()
            wakes = acceptor.wakes
            while len(said) < 2:
                if acceptor.shed >= 29:  # all of the first wave were told: more of them
                    clients[-1].close()
                    clients[-1] = nonblocking(socket.socket())
                    clients[-1].connect_ex(where)
                await asyncio.sleep(0.05)
            seconds = loop.time() - start
            wakes = acceptor.wakes - wakes
            served = len(taken)
            shed = acceptor.shed
            told = sum(1 for client in clients[1:] if ended(client))
            # Files come free: the next client is accepted within a second.
            for sock in taken:
                sock.close()
            arrived.clear()
            fresh = nonblocking(socket.socket())
            await loop.sock_connect(fresh, where)
            try:
                async with asyncio.timeout(10):
                    await arrived.wait()
                recovered = True
            except TimeoutError:
                recovered = False
            acceptor.close()
            gaps = [after[0] - before[0] for before, after in zip(said, said[1:])]
            for sock in (*clients, *taken, fresh):
                sock.close()
            print(json.dumps(dict(served=served, shed=shed, told=told, wakes=wakes, seconds=seconds, gaps=gaps,
                                  said=[text for _, text in said], recovered=recovered)))

    def nonblocking(sock):
        sock.setblocking(False)
        return sock

    def ended(sock):
        try:
            return sock.recv(1) == b""
        except OSError:
            return False

    (uvloop.run if sys.argv[1] == "uvloop" else asyncio.run)(main())
"""


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_process_out_of_files_rests_sheds_says_so_and_recovers(loop: str) -> None:
    found = run_python(EXHAUSTED, loop)
    assert found["served"] >= 5
    assert found["shed"] >= 29
    assert found["told"] >= 28
    assert found["wakes"] <= 3 + 2 * found["seconds"] / 0.25  # it rests between two looks
    assert all(gap >= 1.0 for gap in found["gaps"])
    assert "too many open files" in found["said"][0]
    assert found["recovered"]


def test_it_accepts_again_within_a_second() -> None:
    assert PAUSE_MAX <= 1.0
