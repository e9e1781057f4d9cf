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
    from anyplug.client import connect
    from anyplug.connection import Connection
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
    from anyplug.server.server import Server
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
    "Server",
    "SocketOptions",
    "Timeout",
    "TooLarge",
    "__version__",
    "connect",
]

_HOMES = {
    "Address": "anyplug.address",
    "Connection": "anyplug.connection",
    "Limits": "anyplug.limits",
    "Server": "anyplug.server.server",
    "SocketOptions": "anyplug.transport.options",
    "connect": "anyplug.client",
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
