from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import LocalError
from anyplug.netinfo.pacing import Pacer
from anyplug.netinfo.scan import Progress, Scanning, ScanOptions, scan
from anyplug.netinfo.scan_types import Target
from anyplug.netinfo.tcp_scan import Outcome, TcpScan, why_not

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPBACK = Target("127.0.0.1", "127.0.0.1", 4)
LOOPBACK6 = Target("::1", "::1", 6)


def listeners(stack: ExitStack, count: int, target: Target = LOOPBACK) -> list[int]:
    family = socket.AF_INET if target.family == 4 else socket.AF_INET6
    made = [stack.enter_context(socket.create_server((target.address, 0), family=family)) for _ in range(count)]
    return [each.getsockname()[1] for each in made]


def free_port() -> int:
    """A port that is bound and does not listen, so nobody else gets it."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize("target", [LOOPBACK, LOOPBACK6])
def test_open_and_closed_ports_are_told_apart(target: Target) -> None:
    with ExitStack() as stack:
        ports = listeners(stack, 3, target)
        (report,) = scan(target.address, ports=[*ports, 1, 2])
    assert {each.port for each in report.found if each.state == "open"} == set(ports)
    assert report.closed == (1, 2)
    assert (report.asked, report.whole, report.protocol) == (5, True, "tcp")


def test_every_open_port_of_many_is_found() -> None:
    with ExitStack() as stack:
        ports = listeners(stack, 300)
        (report,) = scan("127.0.0.1", ports="all")
    assert set(ports) <= {each.port for each in report.found}
    assert {each.state for each in report.found} == {"open"}
    assert len(report.found) + len(report.closed) == 65535


def test_a_port_that_connects_to_itself_is_closed() -> None:
    def make(family: int) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind(("127.0.0.1", port))
        return sock

    port = free_port()
    work = TcpScan([LOOPBACK], [port], Pacer(most=8, retries=0), make=make)
    (outcome,) = [each for batch in work.run() for each in batch]
    assert (outcome.port, outcome.state) == (port, "closed")


def test_a_full_listener_is_unknown_and_never_closed() -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(3):  # fill its queue: what comes now is dropped
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        work = Scanning([LOOPBACK], [port], options=ScanOptions(retries=1, wait=0.02))
        assert [found for batch in work.run() for found in batch]
    (report,) = work.reports()
    (found,) = report.found
    assert (found.state, found.why, found.tries, found.seconds) == ("unknown", "timed out", 2, None)


def starving(failures: int, number: int) -> Callable[[int], socket.socket]:
    left = failures

    def make(family: int) -> socket.socket:
        nonlocal left
        left -= 1
        if left >= 0:
            raise OSError(number, "none left")
        sock = socket.socket()
        sock.setblocking(False)
        return sock

    return make


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
def test_a_system_without_sockets_is_asked_again(number: int) -> None:
    with ExitStack() as stack:
        ports = listeners(stack, 2)
        work = TcpScan([LOOPBACK], [*ports, 1], Pacer(most=8, retries=0), make=starving(2, number))
        found = {each.port: each.state for batch in work.run() for each in batch}
    assert found == {ports[0]: "open", ports[1]: "open", 1: "closed"}


def test_a_system_that_never_has_a_socket_is_an_error() -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 3.0
        return now

    work = TcpScan([LOOPBACK], [1], Pacer(most=8, retries=0), make=starving(99, errno.EMFILE), clock=clock)
    with pytest.raises(LocalError, match="no socket left for the scan: Too many open files"):
        list(work.run())


def test_a_socket_that_may_not_be_made_is_an_error() -> None:
    work = TcpScan([LOOPBACK], [1], Pacer(most=8, retries=0), make=starving(1, errno.EPERM))
    with pytest.raises(LocalError, match="no socket could be opened for the scan: Operation not permitted"):
        list(work.run())


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_without_ipv6_its_ports_are_unknown(number: int) -> None:
    work = TcpScan([LOOPBACK6], [80], Pacer(most=8, retries=0), make=starving(9, number))
    assert [each for batch in work.run() for each in batch] == [Outcome(0, 80, "unknown", "unreachable", None, 1)]


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.ENETUNREACH, "unreachable"),
        (errno.EACCES, "admin-prohibited"),
        (errno.EPERM, "admin-prohibited"),
        (errno.EPROTO, "Protocol error"),
    ],
)
def test_why_a_port_is_unknown(number: int, why: str) -> None:
    with socket.socket() as sock:
        assert why_not(sock, number) == why


def test_what_is_known_when_it_is_stopped_stays_known() -> None:
    work = Scanning([LOOPBACK], range(1, 5000))
    batches = work.run()
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    (report,) = work.reports()
    assert 0 < len(report.closed) < 4999
    assert not report.whole
    assert work.progress == Progress(done=len(report.closed) + len(report.found), asked=4999, open=len(report.found))


def test_the_rate_bounds_how_fast_it_goes() -> None:
    seen: list[int] = []
    scan("127.0.0.1", ports=range(1, 30), options=ScanOptions(rate=1000), progress=lambda each: seen.append(each.done))
    assert seen[-1] == 29
    assert len(seen) > 1


@pytest.mark.parametrize(("done", "left"), [(0, None), (25, 6.0), (100, 0.0)])
def test_the_time_left_is_estimated(done: int, left: float | None) -> None:
    assert Progress(done=done, asked=100, open=0).left(2.0) == left


def test_two_hosts_are_told_apart() -> None:
    with ExitStack() as stack:
        (port,) = listeners(stack, 1)
        work = Scanning([LOOPBACK, Target("127.0.0.2", "127.0.0.2", 4)], [port])
        list(work.run())
    assert [[each.port for each in report.found] for report in work.reports()] == [[port], []]
