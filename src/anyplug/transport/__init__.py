"""Sockets to bytes and back: opening listeners and connections, accepting, packets, and what the first bytes say."""

from __future__ import annotations

from anyplug.transport.bind import Bound, bind
from anyplug.transport.blocking_dial import dial_blocking
from anyplug.transport.dial import dial
from anyplug.transport.inherited import inherited_sockets
from anyplug.transport.names import SockAddr, host_of, name_of
from anyplug.transport.options import DEFAULT_OPTIONS, SocketOptions, apply_listen_options, apply_stream_options

__all__ = [
    "DEFAULT_OPTIONS",
    "Bound",
    "SockAddr",
    "SocketOptions",
    "apply_listen_options",
    "apply_stream_options",
    "bind",
    "dial",
    "dial_blocking",
    "host_of",
    "inherited_sockets",
    "name_of",
]
