"""What is set on sockets."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from anyplug.transport import DEFAULT_OPTIONS, SocketOptions, apply_listen_options, apply_stream_options
from anyplug.transport.options import _known, passes_on
from tests.transport.pairs import needs_ipv6

if TYPE_CHECKING:
    from collections.abc import Iterator

TCP = socket.IPPROTO_TCP
SOL = socket.SOL_SOCKET


@pytest.fixture
def tcp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        yield sock


def test_a_stream_gets_what_the_defaults_say(tcp: socket.socket) -> None:
    apply_stream_options(tcp, DEFAULT_OPTIONS)
    assert tcp.getsockopt(TCP, socket.TCP_NODELAY) == 1
    assert tcp.getsockopt(SOL, socket.SO_KEEPALIVE) == 1
    assert tcp.getsockopt(TCP, socket.TCP_KEEPIDLE) == 20
    assert tcp.getsockopt(TCP, socket.TCP_KEEPINTVL) == 5
    assert tcp.getsockopt(TCP, socket.TCP_KEEPCNT) == 4
    assert tcp.getsockopt(TCP, socket.TCP_USER_TIMEOUT) == 40_000


def test_a_dead_host_is_found_within_forty_seconds() -> None:
    options = DEFAULT_OPTIONS
    assert options.keepalive_idle + options.keepalive_interval * options.keepalive_count <= 40
    assert 0 < options.user_timeout <= 40


def test_what_is_switched_off_stays_off(tcp: socket.socket) -> None:
    apply_stream_options(tcp, SocketOptions(nodelay=False, keepalive=False, user_timeout=0.0))
    assert tcp.getsockopt(TCP, socket.TCP_NODELAY) == 0
    assert tcp.getsockopt(SOL, socket.SO_KEEPALIVE) == 0
    assert tcp.getsockopt(TCP, socket.TCP_USER_TIMEOUT) == 0


def test_an_option_this_system_does_not_know_is_left_out() -> None:
    assert _known([(TCP, "TCP_NO_SUCH_OPTION", 1), (TCP, "TCP_NODELAY", 1)]) == [(TCP, socket.TCP_NODELAY, 1)]


def test_what_is_accepted_has_the_options_from_the_start_where_that_is_said(tcp: socket.socket) -> None:
    options = SocketOptions(keepalive_idle=17, keepalive_interval=3, keepalive_count=2, user_timeout=7.0)
    assert not passes_on(tcp, options)
    apply_listen_options(tcp, options)
    assert not passes_on(tcp, DEFAULT_OPTIONS)
    tcp.bind(("127.0.0.1", 0))
    tcp.listen()
    with socket.create_connection(tcp.getsockname()) as peer:
        accepted, _ = tcp.accept()
        with accepted:
            numbers = [
                accepted.getsockopt(TCP, socket.TCP_NODELAY),
                accepted.getsockopt(SOL, socket.SO_KEEPALIVE),
                accepted.getsockopt(TCP, socket.TCP_KEEPIDLE),
                accepted.getsockopt(TCP, socket.TCP_KEEPINTVL),
                accepted.getsockopt(TCP, socket.TCP_KEEPCNT),
                accepted.getsockopt(TCP, socket.TCP_USER_TIMEOUT),
            ]
        assert peer.recv(1) == b""
    assert (numbers == [1, 1, 17, 3, 2, 7000]) is passes_on(tcp, options)
    assert passes_on(tcp, options) is (sys.platform == "linux")


def test_buffers_are_set_on_each_connection_and_a_unix_listener_has_nothing_to_pass_on(tcp: socket.socket) -> None:
    for options in (SocketOptions(send_buffer=20_000), SocketOptions(receive_buffer=20_000)):
        apply_listen_options(tcp, options)
        assert not passes_on(tcp, options)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        assert passes_on(sock, DEFAULT_OPTIONS)
        assert not passes_on(sock, SocketOptions(send_buffer=20_000))


def test_buffers_are_the_systems_unless_a_number_is_given(tcp: socket.socket) -> None:
    before = tcp.getsockopt(SOL, socket.SO_SNDBUF), tcp.getsockopt(SOL, socket.SO_RCVBUF)
    apply_stream_options(tcp, DEFAULT_OPTIONS)
    assert (tcp.getsockopt(SOL, socket.SO_SNDBUF), tcp.getsockopt(SOL, socket.SO_RCVBUF)) == before
    apply_stream_options(tcp, SocketOptions(send_buffer=20_000, receive_buffer=30_000))
    assert tcp.getsockopt(SOL, socket.SO_SNDBUF) == 40_000  # Linux reports what it sets aside: twice as much
    assert tcp.getsockopt(SOL, socket.SO_RCVBUF) == 60_000


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM])
def test_a_unix_socket_gets_its_buffers_and_nothing_of_tcp(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_UNIX, kind) as sock:
        apply_stream_options(sock, SocketOptions(send_buffer=20_000))
        apply_listen_options(sock, SocketOptions(send_buffer=20_000))
        assert sock.getsockopt(SOL, socket.SO_SNDBUF) == 40_000
        assert sock.getsockopt(SOL, socket.SO_REUSEADDR) == 0


def test_a_listener_may_take_its_address_again_at_once(tcp: socket.socket) -> None:
    apply_listen_options(tcp, DEFAULT_OPTIONS)
    assert tcp.getsockopt(SOL, socket.SO_REUSEADDR) == 1
    assert tcp.getsockopt(SOL, socket.SO_REUSEPORT) == 0
    apply_listen_options(tcp, SocketOptions(reuse_address=False, reuse_port=True))
    assert tcp.getsockopt(SOL, socket.SO_REUSEADDR) == 0
    assert tcp.getsockopt(SOL, socket.SO_REUSEPORT) == 1


def test_a_datagram_socket_never_shares_its_port_unasked() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        apply_stream_options(sock, DEFAULT_OPTIONS)
        apply_listen_options(sock, DEFAULT_OPTIONS)
        assert sock.getsockopt(SOL, socket.SO_REUSEADDR) == 0
        assert sock.getsockopt(SOL, socket.SO_REUSEPORT) == 0


@needs_ipv6
def test_an_ipv6_listener_takes_no_ipv4() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        apply_listen_options(sock, DEFAULT_OPTIONS)
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="nodely"):
        msgspec.convert({"nodely": True}, SocketOptions)
