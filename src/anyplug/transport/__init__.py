"""Sockets to bytes and back: listeners and connections, accepting, packets, and what the first bytes say."""

from __future__ import annotations

from anyplug.transport.accept import Acceptor
from anyplug.transport.bind import Bound, bind
from anyplug.transport.blocking_dial import dial_blocking
from anyplug.transport.datagrams import DatagramPort
from anyplug.transport.dial import dial
from anyplug.transport.inherited import Inherited, inherited_sockets
from anyplug.transport.memory import MemoryTransport, memory_pair
from anyplug.transport.names import SockAddr, host_of, name_of
from anyplug.transport.options import DEFAULT_OPTIONS, SocketOptions, apply_listen_options, apply_stream_options
from anyplug.transport.packets import PACKET_MAX, PacketTransport
from anyplug.transport.sniff import First, classify, sniff

__all__ = [
    "DEFAULT_OPTIONS",
    "PACKET_MAX",
    "Acceptor",
    "Bound",
    "DatagramPort",
    "First",
    "Inherited",
    "MemoryTransport",
    "PacketTransport",
    "SockAddr",
    "SocketOptions",
    "apply_listen_options",
    "apply_stream_options",
    "bind",
    "classify",
    "dial",
    "dial_blocking",
    "host_of",
    "inherited_sockets",
    "memory_pair",
    "name_of",
    "sniff",
]
