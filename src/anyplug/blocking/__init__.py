"""The public face for threads and scripts: the same names as `anyplug`, without ``async``.

::

    from anyplug.blocking import connect

    with connect("plug://127.0.0.1/shout") as peer:
        print(peer.ask("hello"))
"""

from __future__ import annotations

from anyplug.address import Address
from anyplug.blocking.client import connect
from anyplug.blocking.connection import Connection
from anyplug.errors import (
    AddressError,
    AnyplugError,
    BindError,
    Broken,
    Code,
    ConfigError,
    ConnectError,
    ConnectionClosed,
    DecodeError,
    EncodeError,
    LocalError,
    PeerError,
    ProtocolError,
    Refused,
    Timeout,
    TooLarge,
)
from anyplug.limits import Limits
from anyplug.transport.options import SocketOptions

__all__ = [
    "Address",
    "AddressError",
    "AnyplugError",
    "BindError",
    "Broken",
    "Code",
    "ConfigError",
    "ConnectError",
    "Connection",
    "ConnectionClosed",
    "DecodeError",
    "EncodeError",
    "Limits",
    "LocalError",
    "PeerError",
    "ProtocolError",
    "Refused",
    "SocketOptions",
    "Timeout",
    "TooLarge",
    "connect",
]
