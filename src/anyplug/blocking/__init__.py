"""The public face for threads and scripts: the same names as `anyplug`, without ``async``.

::

    from anyplug.blocking import connect

    with connect("plug://127.0.0.1/shout") as peer:
        print(peer.ask("hello"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyplug.address import Address
from anyplug.backoff import Backoff
from anyplug.blocking.client import connect
from anyplug.blocking.connection import Connection
from anyplug.blocking.inbox import Inbox
from anyplug.blocking.shelf import Shelf
from anyplug.codec.registry import register
from anyplug.errors import (
    AddressError,
    AnyplugError,
    BindError,
    Broken,
    Changed,
    Code,
    ConfigError,
    ConnectError,
    ConnectionClosed,
    DecodeError,
    EncodeError,
    LocalError,
    PeerError,
    PostRefused,
    ProtocolError,
    Refused,
    Timeout,
    TooLarge,
)
from anyplug.limits import Limits
from anyplug.reopening import Reconnected
from anyplug.transport.options import SocketOptions

if TYPE_CHECKING:
    from anyplug.blocking.files import Files
    from anyplug.blocking.outbox import Outbox
    from anyplug.outbox import OutboxError, OutboxFull, Undeliverable

__all__ = [
    "Address",
    "AddressError",
    "AnyplugError",
    "Backoff",
    "BindError",
    "Broken",
    "Changed",
    "Code",
    "ConfigError",
    "ConnectError",
    "Connection",
    "ConnectionClosed",
    "DecodeError",
    "EncodeError",
    "Files",
    "Inbox",
    "Limits",
    "LocalError",
    "Outbox",
    "OutboxError",
    "OutboxFull",
    "PeerError",
    "PostRefused",
    "ProtocolError",
    "Reconnected",
    "Refused",
    "Shelf",
    "SocketOptions",
    "Timeout",
    "TooLarge",
    "Undeliverable",
    "connect",
    "register",
]


_LATER = {
    "Files": "anyplug.blocking.files",
    "Outbox": "anyplug.blocking.outbox",
    "OutboxError": "anyplug.outbox",
    "OutboxFull": "anyplug.outbox",
    "Undeliverable": "anyplug.outbox",
}
"""What is loaded when it is first used: with it come a database and an event loop."""


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'anyplug.blocking' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_LATER[name]), name)
    globals()[name] = value
    return value
