"""The options of a socket, each with its unit and its reason, and how they are put on one."""

from __future__ import annotations

import socket
import sys
from typing import Final

import msgspec

__all__ = [
    "DEFAULT_OPTIONS",
    "SocketOptions",
    "apply_buffers",
    "apply_listen_options",
    "apply_stream_options",
    "passes_on",
]


class SocketOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is set on the sockets of a listener or a client. ``DEFAULT_OPTIONS`` holds the defaults.

    With the defaults a host that has vanished is found within 40 s, whether the connection is idle (keepalive) or has
    data under way (``user_timeout``).
    """

    nodelay: bool = True
    """TCP_NODELAY: small messages go out at once. What belongs together is gathered here, before the kernel sees it."""
    keepalive: bool = True
    """SO_KEEPALIVE: an idle connection is asked for a sign of life by the kernel."""
    keepalive_idle: int = 20
    """TCP_KEEPIDLE, seconds of silence before the first probe. Below the 30 s after which the first NATs forget a
    connection."""
    keepalive_interval: int = 5
    """TCP_KEEPINTVL, seconds between probes."""
    keepalive_count: int = 4
    """TCP_KEEPCNT, unanswered probes after which the connection is broken: 20 + 4 * 5 = 40 s."""
    user_timeout: float = 40.0
    """TCP_USER_TIMEOUT, seconds that sent data may stay unacknowledged. Keepalive is silent while data is under way;
    without this the kernel tries for a quarter of an hour. 0 is the system's."""
    send_buffer: int = 0
    """SO_SNDBUF, bytes. 0 leaves it to the system, which grows it as the path needs; a number switches that off."""
    receive_buffer: int = 0
    """SO_RCVBUF, bytes. 0 leaves it to the system, as above. It bounds the burst of datagrams that is not lost."""
    reuse_address: bool = True
    """SO_REUSEADDR on stream listeners: a server restarts while old conversations are in TIME-WAIT. Never set on
    datagram sockets, where it would let two programs have one port."""
    reuse_port: bool = False
    """SO_REUSEPORT: several processes of the same user listen on one port, and the kernel spreads the connections."""
    backlog: int = 4096
    """Connections that wait to be accepted, at most. The kernel takes the smaller of this and
    ``net.core.somaxconn``."""
    mode: int = 0o600
    """Permissions of the path of a unix socket: only the user the server runs as."""


DEFAULT_OPTIONS: Final = SocketOptions()
"""The options where nothing else is said."""


def apply_stream_options(sock: socket.socket, options: SocketOptions) -> None:
    """Set what a connected stream, or one about to connect, should have. Unix sockets have only buffers.

    An option that this system does not know is left out; the system's own errors are raised as `OSError`.
    """
    apply_buffers(sock, options)
    for level, option, value in _tcp_options(sock, options):
        sock.setsockopt(level, option, value)


def apply_listen_options(sock: socket.socket, options: SocketOptions) -> None:
    """Set what a socket needs before it is bound to listen, or to receive datagrams; and what the streams accepted from
    it should have, where the system passes that on.
    """
    apply_stream_options(sock, options)
    internet = sock.family in {socket.AF_INET, socket.AF_INET6}
    if internet and sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, options.reuse_address)
    if internet and options.reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def passes_on(listener: socket.socket, options: SocketOptions) -> bool:
    """Whether what is accepted from this listening socket has these options from the start.

    On Linux a TCP socket takes them over from its listener (tcp(7)): for seven system calls less a connection. A unix
    socket has no options but its buffers, and takes over none.
    """
    if options.send_buffer or options.receive_buffer:
        return False
    wanted = _tcp_options(listener, options)
    return not wanted or (
        sys.platform == "linux" and all(listener.getsockopt(level, option) == value for level, option, value in wanted)
    )


def apply_buffers(sock: socket.socket, options: SocketOptions) -> None:
    """Set the sizes of the kernel's buffers, where the options name any."""
    if options.send_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, options.send_buffer)
    if options.receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer)


def _tcp_options(sock: socket.socket, options: SocketOptions) -> list[tuple[int, int, int]]:
    """Level, option and value of what a TCP stream should have; nothing for other sockets."""
    if sock.family not in {socket.AF_INET, socket.AF_INET6} or sock.type != socket.SOCK_STREAM:
        return []
    rows = [
        (socket.IPPROTO_TCP, "TCP_NODELAY", int(options.nodelay)),
        (socket.SOL_SOCKET, "SO_KEEPALIVE", int(options.keepalive)),
    ]
    if options.keepalive:
        rows += [
            (socket.IPPROTO_TCP, "TCP_KEEPIDLE", options.keepalive_idle),
            (socket.IPPROTO_TCP, "TCP_KEEPINTVL", options.keepalive_interval),
            (socket.IPPROTO_TCP, "TCP_KEEPCNT", options.keepalive_count),
        ]
    if options.user_timeout:
        rows.append((socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", round(options.user_timeout * 1000)))
    return _known(rows)


def _known(rows: list[tuple[int, str, int]]) -> list[tuple[int, int, int]]:
    """Options by number, as far as this system has them."""
    return [(level, getattr(socket, name), value) for level, name, value in rows if hasattr(socket, name)]
