"""What the kernel knows of a TCP socket: TCP_INFO (tcp(7))."""

from __future__ import annotations

import socket
from struct import Struct
from typing import Final, NamedTuple

from anyplug.netinfo.states import TCP_STATES

__all__ = ["TcpInfo", "is_itself", "parse_tcp_info", "tcp_info"]

_INFO: Final = Struct("=B15xI40xI4xII24xI")
"""The part of struct tcp_info that is told here: state, largest segment to send, path MTU, smoothed round trip and its
variation in microseconds, segments that were sent again."""


class TcpInfo(NamedTuple):
    """A part of what TCP_INFO tells."""

    state: str
    """A word of `anyplug.netinfo.states.WORDS`."""
    segment: int
    """The most that is sent in one segment, bytes."""
    mtu: int
    """The largest packet of the path as far as it is known, bytes."""
    round_trip: float
    """Smoothed, seconds; 0.0 before one was measured."""
    variation: float
    """How much round trips vary, seconds."""
    resent: int
    """Segments that were sent again, the opening SYN too."""


def tcp_info(sock: socket.socket) -> TcpInfo | None:
    """What the kernel knows of the socket; None where it is no TCP socket, or the system does not tell."""
    try:
        return parse_tcp_info(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size))
    except (AttributeError, OSError):
        return None


def parse_tcp_info(data: bytes) -> TcpInfo | None:
    """The facts in struct tcp_info; None where it is shorter than they are."""
    if len(data) < _INFO.size:
        return None
    state, segment, mtu, round_trip, variation, resent = _INFO.unpack_from(data)
    word = TCP_STATES.get(state) or f"state-{state}"
    return TcpInfo(word, segment, mtu, round_trip / 1e6, variation / 1e6, resent)


def is_itself(sock: socket.socket) -> bool:
    """Whether TCP has connected the socket to itself: nobody listens, and it was given the port that it calls."""
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:  # the peer has reset it meanwhile
        return False
