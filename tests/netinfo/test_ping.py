from __future__ import annotations

import errno
import os
import socket
import struct
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from anyplug.errors import ConnectError, LocalError
from anyplug.netinfo.ends import find_ends, local_address, own_addresses, own_sockets
from anyplug.netinfo.ping import TCP_PORTS, PingAnswer, Pinging, PingMeans, PingOptions, not_opened, ping
from anyplug.netinfo.ping_icmp import IcmpProbe, age, offender
from anyplug.netinfo.ping_tcp import TcpProbe, answering_port
from anyplug.netinfo.scan_types import Target
from anyplug.netinfo.sockets import Wanted
from anyplug.netinfo.tcp_info import is_itself, parse_tcp_info, tcp_info
from anyplug.transport.resolve import Candidate

if TYPE_CHECKING:
    from anyplug.netinfo.interfaces import Interface

V4, V6 = Target("127.0.0.1", "127.0.0.1", 4), Target("::1", "::1", 6)
BROADCAST = Target("127.255.255.255", "127.255.255.255", 4)
"""An address of loopback that nothing may be sent to."""
TARGETS = pytest.mark.parametrize("target", [V4, V6], ids=["4", "6"])
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets take root")


def quick(**changes: object) -> PingOptions:
    return msgspec.structs.replace(PingOptions(count=3, interval=0.002), **changes)


@needs_root
@TARGETS
def test_over_icmp_every_request_is_answered(target: Target) -> None:
    answers: list[PingAnswer] = []
    summary = ping(target.host, options=quick(means="raw"), count=2, told=answers.append)
    assert [(each.sequence, each.outcome, each.source, each.ttl, each.size) for each in answers] == [
        (1, "reply", target.address, 64, 64),
        (2, "reply", target.address, 64, 64),
    ]
    assert (summary.sent, summary.received, summary.loss, summary.whole, summary.means) == (2, 2, 0.0, True, "raw")
    assert summary.minimum is not None
    assert summary.median is not None
    assert summary.maximum is not None
    assert 0 < summary.minimum <= summary.median <= summary.maximum
    assert summary.mean == pytest.approx(summary.median)


@needs_root
@TARGETS
@pytest.mark.parametrize("size", [0, 5, 1, 65507])
def test_any_size_comes_back(target: Target, size: int) -> None:
    pinging = Pinging(target.host, options=quick(count=1, means="raw", size=size))
    assert [(each.outcome, each.size, each.detail) for each in pinging.run()] == [("reply", size + 8, "")]


@needs_root
@TARGETS
def test_answers_to_others_are_not_ours(target: Target) -> None:
    with ExitStack() as stack:

        def probe(identifier: int, token: bytes) -> IcmpProbe:
            made = IcmpProbe(target, means="raw", identifier=identifier, token=token, size=8)
            stack.callback(made.close)
            return made

        ours = probe(7, b"our word")
        for other in (probe(7, b"another "), probe(8, b"our word")):
            other.send(1)
            assert [heard.sequence for heard in other.wait(5)] == [1]
        at = ours.send(2)
        heard = ours.wait(5)
        while not heard:
            heard = ours.wait(5)
        assert [each.sequence for each in heard] == [2]
        assert at <= heard[0].at <= time.monotonic()
        assert ours.wait(0) == []
        ours.forget(2)


@needs_root
def test_what_is_too_large_is_not_sent_and_not_lost() -> None:
    with closing(IcmpProbe(V4, means="raw", identifier=1, token=b"", size=70_000)) as probe:
        with pytest.raises(OSError) as raised:
            probe.send(1)
    assert raised.value.errno == errno.EMSGSIZE


@needs_root
def test_an_error_that_this_machine_made_itself_is_told_by_sending_alone() -> None:
    with closing(IcmpProbe(V6, means="raw", identifier=1, token=b"", size=70_000)) as probe:
        with pytest.raises(OSError):
            probe.send(1)
        assert probe.wait(0) == []


@needs_root
def test_a_broadcast_address_is_not_asked() -> None:
    with pytest.raises(PermissionError):
        IcmpProbe(BROADCAST, means="raw", identifier=1, token=b"", size=0)


@pytest.mark.parametrize(
    ("means", "number", "problem"),
    [
        ("raw", errno.EPERM, "this user may not send ICMP through a raw socket (it takes root, or CAP_NET_RAW)"),
        ("datagram", errno.EACCES, "this user may not send ICMP through a datagram socket (net.ipv4.ping_group_range"),
        ("datagram", errno.ENETUNREACH, "cannot connect to 127.0.0.1: there is no route to 127.0.0.1 (step: connect)"),
    ],
)
def test_sockets_that_cannot_be_opened(means: PingMeans, number: int, problem: str) -> None:
    assert str(not_opened(V4, means, OSError(number, os.strerror(number)))).startswith(problem)


@TARGETS
def test_over_tcp_an_open_port_answers(target: Target) -> None:
    family = socket.AF_INET if target.family == 4 else socket.AF_INET6
    with socket.create_server((target.address, 0), family=family) as listener:
        port = listener.getsockname()[1]
        pinging = Pinging(target.host, options=quick(port=port))
        answers = list(pinging.run())
    assert [(each.outcome, each.detail, each.source) for each in answers] == [
        ("reply", f"port {port} open", target.address)
    ] * 3
    assert (pinging.summary().port, pinging.summary().means, len(pinging.times)) == (port, "tcp", 3)


@TARGETS
def test_over_tcp_a_refusal_is_an_answer(target: Target) -> None:
    answers = list(Pinging(target.host, options=quick(port=1)).run())
    assert [(each.outcome, each.detail) for each in answers] == [("reply", "port 1 closed")] * 3


def full(stack: ExitStack) -> int:
    """A port that answers nobody any more."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(3):
        filler = stack.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
    return int(listener.getsockname()[1])


def test_over_tcp_silence_is_silent() -> None:
    with ExitStack() as stack:
        pinging = Pinging("127.0.0.1", options=quick(count=2, port=full(stack), timeout=0.02))
        answers = list(pinging.run())
    assert [(each.sequence, each.outcome, each.detail) for each in answers] == [
        (1, "silent", "no answer within 0.02 s"),
        (2, "silent", "no answer within 0.02 s"),
    ]
    summary = pinging.summary()
    assert (summary.loss, summary.median, summary.p99, summary.mean) == (1.0, None, None, None)


def test_an_interruption_closes_what_is_open_and_keeps_what_is_known() -> None:
    with ExitStack() as stack:
        pinging = Pinging("127.0.0.1", options=quick(count=0, port=full(stack), timeout=0.01))
        asking = pinging.run()
        assert next(asking).outcome == "silent"
        asking.close()  # type: ignore[attr-defined]
    summary = pinging.summary()
    assert not summary.whole
    assert summary.sent == summary.pending + 1


def test_the_port_that_answers_first_is_found() -> None:
    with ExitStack() as stack:
        silent = full(stack)
        assert answering_port(V4, (silent, 1), 5) == 1
        assert answering_port(V4, (silent,), 0.01) == silent


def test_without_a_way_there_is_no_port_to_find() -> None:
    assert answering_port(BROADCAST, (5, 6), 0.01) == 5
    with pytest.raises(OSError), closing(TcpProbe(BROADCAST, 5)) as probe:
        probe.send(1)


def test_by_itself_it_takes_the_first_means_that_is_allowed() -> None:
    pinging = Pinging("127.0.0.1", options=quick(count=1))
    assert [each.outcome for each in pinging.run()] == ["reply"]
    assert pinging.means in {"datagram", "raw", "tcp"}
    assert pinging.port in {0, *TCP_PORTS}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"count": -1}, "the count is -1, expected 0 or more"),
        ({"interval": 0.001}, "the interval is 0.001 s, expected at least 0.002 s"),
        ({"timeout": 0.0}, "the timeout is 0 s, expected more than 0"),
        ({"timeout": float("nan")}, "the timeout is nan s, expected more than 0"),
        ({"size": -1}, "the size is -1 bytes, expected from 0 to 65,507"),
        ({"size": 65_508}, "the size is 65508 bytes, expected from 0 to 65,507"),
        ({"port": 65_536}, "65536 is no port; they go from 1 to 65535"),
        ({"port": 80, "means": "raw"}, "ICMP has no ports; leave out the port, or ask by TCP in place of raw"),
    ],
)
def test_options_that_make_no_sense(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(LocalError) as raised:
        Pinging("127.0.0.1", options=quick(**changes))
    assert str(raised.value) == problem


def test_a_count_of_nothing_would_never_end() -> None:
    with pytest.raises(LocalError, match="the count is 0, expected at least 1"):
        ping("127.0.0.1", count=0)


# Whom, and from where.


@pytest.mark.parametrize("host", ["", " ", "10.0.0.0/24", "a b", "*", "me@home"])
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(LocalError, match="names no host; expected a name or an address"):
        find_ends(host)


def test_every_address_of_a_name_in_its_order() -> None:
    ends = (
        Candidate(int(socket.AF_INET6), 1, ("fe80::5", 0, 0, 3)),
        Candidate(int(socket.AF_INET), 1, ("127.0.0.9", 0)),
    )
    found = find_ends("two.example", lookup=lambda *_: list(ends))
    assert found == [Target("two.example", "fe80::5", 6, 3), Target("two.example", "127.0.0.9", 4)]


def test_a_name_without_addresses_is_not_known() -> None:
    with pytest.raises(ConnectError, match=r"the name no\.example is not known") as raised:
        find_ends("no.example", lookup=lambda *_: [])
    assert (raised.value.step, raised.value.errno) == ("resolve", 0)


def test_brackets_go() -> None:
    assert find_ends("[::1]") == [V6]


@TARGETS
def test_loopback_is_reached_from_loopback(target: Target) -> None:
    assert local_address(target) == target.address


def test_a_system_that_tells_nothing() -> None:
    def read() -> list[Interface]:
        raise OSError(errno.ENOSYS, "no")

    assert own_addresses(read) == {}
    assert own_addresses()["127.0.0.1"] == "lo"
    assert own_sockets(Wanted(), sources=()) == []


def test_an_address_without_a_way_is_passed_over() -> None:
    nowhere = Candidate(int(socket.AF_INET), 1, (BROADCAST.address, 0))
    here = Candidate(int(socket.AF_INET), 1, ("127.0.0.1", 0))
    pinging = Pinging("two.example", options=quick(port=1), lookup=lambda *_: [nowhere, here])
    assert pinging.target.address == "127.0.0.1"
    with pytest.raises(ConnectError) as raised:
        Pinging("one.example", options=quick(port=1), lookup=lambda *_: [nowhere])
    assert raised.value.step == "connect"
    assert raised.value.problem == "this machine forbids connections to 127.255.255.255"


# What the kernel tells.


def stamp(nanoseconds: int) -> list[tuple[int, int, bytes]]:
    return [(socket.SOL_SOCKET, 35, struct.pack("@ll", *divmod(nanoseconds, 10**9)))]


@pytest.mark.parametrize(
    ("control", "seconds"),
    [
        (stamp(5_000_000_000), 0.5),
        (stamp(5_500_000_000), 0.0),
        (stamp(5_500_000_001), 0.0),  # of the future: the wall clock was set back
        (stamp(6_000_000), 5.494),
        ([], 0.0),
        ([(socket.SOL_SOCKET, 35, b"short")], 0.0),
        ([(0, 35, struct.pack("@ll", 5, 0))], 0.0),
    ],
)
def test_the_age_of_a_packet(control: list[tuple[int, int, bytes]], seconds: float) -> None:
    assert age(control, 5_500_000_000) == pytest.approx(seconds)


def test_an_age_of_years_means_that_the_wall_clock_was_set() -> None:
    assert age(stamp(0), 60 * 10**9) == 0.0


RECORD = struct.pack("=IBBBBII", 113, 2, 3, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("end", "source"),
    [
        (struct.pack("=HH4s8x", socket.AF_INET, 0, bytes([10, 0, 0, 1])), "10.0.0.1"),
        (struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, bytes(15) + b"\1", 0), "::1"),
        (struct.pack("=HH12x", socket.AF_INET6, 0), ""),
        (struct.pack("=HH12x", 0, 0), ""),
        (b"", ""),
    ],
)
def test_who_sent_an_error(end: bytes, source: str) -> None:
    assert offender(RECORD + end) == source


def test_tcp_info_tells_of_tcp_sockets_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as sock:
        info = tcp_info(sock)
        other = tcp_info(listener)
    assert info is not None
    assert other is not None
    assert (info.state, info.resent, other.state) == ("established", 0, "listen")
    assert 0 < info.round_trip < 5
    assert 536 <= info.segment <= info.mtu
    with socket.socket(socket.AF_UNIX) as unix:
        assert tcp_info(unix) is None


def test_tcp_info_of_a_kernel_that_tells_less() -> None:
    assert parse_tcp_info(bytes(103)) is None
    assert parse_tcp_info(b"\x63" + bytes(103)) == ("state-99", 0, 0, 0.0, 0.0, 0)


def test_a_socket_that_is_connected_to_itself_is_known() -> None:
    with socket.socket() as sock:
        assert not is_itself(sock)
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        assert is_itself(sock)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as sock:
        assert not is_itself(sock)
