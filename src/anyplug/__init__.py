"""Anyplug: a socket that any client can plug into.

::

    import anyplug

    server = anyplug.Server()


    @server.reply("shout")
    def shout(message: str) -> str:
        return message.upper()


    server.run("plug://127.0.0.1:7584")

and from another program::

    async with anyplug.connect("plug://127.0.0.1/shout") as peer:
        print(await peer.ask("hello"))

`anyplug.blocking` has the same without async. Names are loaded when they are first used, so that ``import anyplug``
costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyplug._version import __version__

if TYPE_CHECKING:
    from anyplug.address import Address
    from anyplug.backoff import Backoff
    from anyplug.client import connect
    from anyplug.codec.registry import register
    from anyplug.connection import Connection
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
    from anyplug.files import Files
    from anyplug.inbox import Inbox
    from anyplug.limits import Limits
    from anyplug.outbox import Outbox, OutboxError, OutboxFull, Undeliverable
    from anyplug.reopening import Reconnected
    from anyplug.server.server import Server
    from anyplug.shelf import Shelf
    from anyplug.transport.options import SocketOptions

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
    "Server",
    "Shelf",
    "SocketOptions",
    "Timeout",
    "TooLarge",
    "Undeliverable",
    "__version__",
    "connect",
    "register",
]

_HOMES = {
    "Address": "anyplug.address",
    "Backoff": "anyplug.backoff",
    "Connection": "anyplug.connection",
    "Files": "anyplug.files",
    "Inbox": "anyplug.inbox",
    "Limits": "anyplug.limits",
    "Outbox": "anyplug.outbox",
    "OutboxError": "anyplug.outbox",
    "OutboxFull": "anyplug.outbox",
    "Reconnected": "anyplug.reopening",
    "Server": "anyplug.server.server",
    "Shelf": "anyplug.shelf",
    "SocketOptions": "anyplug.transport.options",
    "Undeliverable": "anyplug.outbox",
    "connect": "anyplug.client",
    "register": "anyplug.codec.registry",
}
"""Where a name lives; all others in `__all__` are errors."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'anyplug' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES.get(name, "anyplug.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
