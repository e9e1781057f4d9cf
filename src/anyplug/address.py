"""Addresses: one line of text that says where.

======================================================  ==============================================================
``plug://host[:7584]/service[/rest]``                   the native protocol; ``plugs://`` the same over TLS
``plug+unix:///path?service=echo``                      the native protocol over a unix socket
``tcp://host:port[/service]`` ``tls://…``               plain streams; a listener says by the path which service answers
``unix:///path`` ``unix://@abstract``                   a plain stream over a unix socket (``ipc://`` is read as ``unix://``)
``udp://host:port`` ``unix+dgram:///path``              datagrams
``unix+seqpacket:///path``                              a connection that keeps the bounds of messages
``ws://host/service`` ``wss://…``                       WebSocket
``fd://3`` ``fd://3?protocol=plug``                     a socket that this process inherited
======================================================  ==============================================================

- ``4`` or ``6`` behind ``plug``, ``plugs``, ``tcp``, ``tls`` or ``udp`` pins the address family: ``tcp6://``.
- IPv6 stands in brackets, with its zone where it needs one: ``[fe80::1%eth0]``.
- ``*`` or no host means every interface, which is for listeners: ``plug://*:7584``, ``tcp://:1234``. The host is ``""``
  then.
- Port 0 asks a listener for any free port. ``plug`` and ``plugs`` have port 7584 where none is given; ``tcp``, ``tls``
  and ``udp`` need one.
- Where the path is that of a socket, the service stands among the options: ``?service=talk/lobby``.
- A text without ``://`` begins with a host: ``127.0.0.1/echo`` is ``plug://127.0.0.1:7584/echo``.
- ``%XX`` is decoded in paths, services and options. What cannot be seen, ``?``, ``#``, ``&``, ``%`` and spaces are
  written so. ``%2F`` means the same as ``/``.

Names are not looked up here: nothing in this module touches the network.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec looks at the types of fields when the program runs
from types import MappingProxyType
from typing import Self

import msgspec

from anyplug._address.host import PORT_MAX, host_text, read_host
from anyplug._address.parts import (
    SERVICE_NAME,
    SOCKET_PATH_MAX,
    check_service_name,
    read_fd,
    read_options,
    read_service,
    read_socket,
)
from anyplug._address.text import ADDRESS_MAX, DEFAULT_PORT, OPTIONS, SCHEMES, Kind, quote, split
from anyplug.errors import AddressError

__all__ = [
    "ADDRESS_MAX",
    "DEFAULT_PORT",
    "OPTIONS",
    "PORT_MAX",
    "SCHEMES",
    "SERVICE_NAME",
    "SOCKET_PATH_MAX",
    "Address",
    "Kind",
    "check_service_name",
]


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where something listens, or is to listen.

    `parse` makes one from text, and ``str()`` gives the canonical text, which parses back to the same. Fields given by
    hand are taken as they are: a transport knows what the system told it.
    """

    scheme: str
    """One of `SCHEMES`, without the family: ``plug``, ``tcp``, ``unix+dgram``."""
    host: str = ""
    """A name in lower case, an IPv4 address, or an IPv6 address without brackets; ``""`` is every interface."""
    port: int = 0
    """0 to 65535. 0 is any free port, which is for listeners."""
    family: int = 0
    """4 or 6 where the address is pinned to it, 0 for both."""
    path: str = ""
    """The path of a unix socket. An abstract name begins with ``@``."""
    fd: int = -1
    """The number of an inherited file descriptor, or -1."""
    service: str = ""
    """The name of the service, or ``""`` where none is named."""
    rest: str = ""
    """What follows the service, for the service to read: ``lobby`` of ``talk/lobby``."""
    options: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The options, without ``service``: see `OPTIONS`. Read-only."""

    def __post_init__(self) -> None:
        """Put the options in order and make them read-only."""
        msgspec.structs.force_setattr(self, "options", MappingProxyType(dict(sorted(self.options.items()))))

    @classmethod
    def parse(cls, text: str, *, default_scheme: str = "plug") -> Self:
        """Read an address.

        Args:
            text: the address.
            default_scheme: what is meant where the text has no scheme.

        Raises:
            AddressError: where the text is not an address. Its ``nearest`` is one, or a scheme (``tcp://``), or ``""``.
        """
        try:
            return cls._parse(text, default_scheme)
        except AddressError as error:
            nearest = cls._confirmed(error, default_scheme)
            raise AddressError(
                error.address, part=error.part, found=error.found, expected=error.expected, nearest=nearest
            ) from None

    @classmethod
    def _parse(cls, text: str, default_scheme: str) -> Self:
        pieces = split(text, default_scheme=default_scheme)
        shape = SCHEMES[pieces.scheme].shape
        host, port = read_host(pieces) if shape == "host" else ("", 0)
        path = read_socket(pieces) if shape == "socket" else ""
        fd = read_fd(pieces) if shape == "fd" else -1
        options = read_options(pieces)
        service, rest = read_service(pieces, options.pop("service", ""))
        return cls(
            scheme=pieces.scheme,
            host=host,
            port=port,
            family=pieces.family,
            path=path,
            fd=fd,
            service=service,
            rest=rest,
            options=options,
        )

    @classmethod
    def _confirmed(cls, error: AddressError, default_scheme: str) -> str:
        """The error's candidate with all its own mistakes put right, or ``""`` where that needs guessing."""
        candidate = error.nearest
        for _ in range(4):
            if not candidate:
                break
            try:
                cls._parse(candidate, default_scheme)
            except AddressError as another:
                candidate = another.nearest
            else:
                return candidate
        scheme, sep, _ = error.nearest.partition("://")
        return scheme + sep if error.part == "scheme" and sep else ""

    def __str__(self) -> str:
        """The canonical text: every part that matters, in one form."""
        shape = SCHEMES[self.scheme].shape
        name = f"{self.service}/{self.rest}" if self.rest else self.service
        options = dict(self.options)
        if shape == "host":
            main = f"{host_text(self.host)}:{self.port}"
            main += f"/{quote(name)}" if name else ""
        else:
            main = quote(self.path) if shape == "socket" else str(self.fd)
            options = {"service": name, **options} if name else options
        query = "&".join(f"{key}={quote(value)}" for key, value in options.items())
        return f"{self.scheme}{self.family or ''}://{main}{'?' if query else ''}{query}"

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def is_plug(self) -> bool:
        """The native protocol is spoken there: ``plug``, ``plugs``, ``plug+unix``, or ``fd`` with ``protocol=plug``."""
        return SCHEMES[self.scheme].plug or self.options.get("protocol") == "plug"

    @property
    def is_tls(self) -> bool:
        """TLS is spoken there: ``plugs``, ``tls``, ``wss``."""
        return SCHEMES[self.scheme].tls

    @property
    def is_unix(self) -> bool:
        """It is a unix socket, with a `path`."""
        return SCHEMES[self.scheme].shape == "socket"

    @property
    def is_abstract(self) -> bool:
        """It is a unix socket without a file: its `path` begins with ``@``."""
        return self.path.startswith("@")

    @property
    def kind(self) -> Kind:
        """How it is carried: ``stream``, ``packet`` (a connection that keeps the bounds of messages), or ``datagram``.

        ``inherited`` is known only by asking the socket.
        """
        return SCHEMES[self.scheme].kind

    @property
    def is_packet(self) -> bool:
        """A connection that keeps the bounds of messages: ``unix+seqpacket``."""
        return self.kind == "packet"

    @property
    def is_datagram(self) -> bool:
        """Messages without a connection: ``udp``, ``unix+dgram``."""
        return self.kind == "datagram"

    def with_port(self, port: int) -> Self:
        """The same with another port, such as the one a listener was given for 0.

        Raises:
            AddressError: where the address has no port, or `port` is not one.
        """
        if SCHEMES[self.scheme].shape != "host":
            raise AddressError(str(self), part="port", found=str(port), expected=f"none: {self.scheme}:// has no port")
        if not 0 <= port <= PORT_MAX:
            raise AddressError(str(self), part="port", found=str(port), expected=f"a number from 0 to {PORT_MAX}")
        return msgspec.structs.replace(self, port=port)

    def with_service(self, service: str, rest: str = "") -> Self:
        """The same for another service; ``""`` for none.

        Raises:
            AddressError: where no service can have that name.
        """
        if service or rest:
            check_service_name(service)
        return msgspec.structs.replace(self, service=service, rest=rest)

    def connectable(self) -> Self:
        """The address itself, where a client can connect to it.

        Raises:
            AddressError: where it means every interface or any free port: that is for listeners.
        """
        if SCHEMES[self.scheme].shape != "host":
            return self
        if not self.host:
            nearest = str(msgspec.structs.replace(self, host="::1" if self.family == 6 else "127.0.0.1"))
            expected = "the host to connect to: every interface is for listeners"
            raise AddressError(
                str(self), part="host", found="*", expected=expected, nearest=nearest if self.port else ""
            )
        if not self.port:
            expected = f"the port to connect to, from 1 to {PORT_MAX}: any free port is for listeners"
            raise AddressError(str(self), part="port", found="0", expected=expected)
        return self
