"""What speaks at an open port: who speaks first is heard, then it is asked in the tongues that most servers know.

Each question is a connection of its own, since a server that was asked wrongly often closes: Anyplug's HELLO, a TLS
ClientHello, an HTTP request. Nothing that is heard is obeyed; it is shown escaped, and only so much of it is read.
"""

from __future__ import annotations

import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from anyplug.errors import AnyplugError
from anyplug.limits import DEFAULTS
from anyplug.messages import Hello, Welcome
from anyplug.netinfo.scan_types import Identity
from anyplug.wire.plug import PlugSession
from anyplug.wire.states import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anyplug.netinfo.scan_types import Target

__all__ = ["identify", "identify_all"]

_READ: Final = 4096
"""Bytes that are read of an answer at most."""
_SHOWN: Final = 200
"""Characters that are kept of it."""
_AT_ONCE: Final = 16
_FIRST_WORDS: Final = 0.5
"""How long a server has to speak first, seconds. Those that do, do so at once."""
_SILENT: Final = Identity(protocol="silent")


def identify_all(places: Sequence[tuple[Target, int]], *, wait: float = 1.0) -> Iterator[tuple[Target, int, Identity]]:
    """What speaks at each of the open ports, in their order, several at a time.

    Args:
        places: hosts and ports.
        wait: how long each answer is waited for, seconds.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda place: identify(place[0], place[1], wait=wait), places)
        for (target, port), identity in zip(places, found, strict=True):
            yield target, port, identity


def identify(target: Target, port: int, *, wait: float = 1.0) -> Identity:
    """What speaks at an open port. Never an error: what does not answer is ``silent``."""
    banner = _exchange(target, port, b"", min(wait, _FIRST_WORDS))
    if banner:
        return Identity(protocol="banner", detail=_text(banner))
    for ask in (_anyplug, _tls, _http):
        found = ask(target, port, wait)
        if found is not None:
            return found
    return _SILENT


def _connected(target: Target, port: int, wait: float) -> socket.socket:
    sock = socket.socket(socket.AF_INET if target.family == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        sock.settimeout(wait)
        sock.connect(target.sockaddr(port))
    except OSError:
        sock.close()
        raise
    return sock


def _exchange(target: Target, port: int, said: bytes, wait: float) -> bytes:
    """The first bytes that come for what was said; nothing where none come in time."""
    try:
        with _connected(target, port, wait) as sock:
            sock.sendall(said)
            return sock.recv(_READ)
    except OSError:
        return b""


def _anyplug(target: Target, port: int, wait: float) -> Identity | None:
    session = PlugSession(Role.CLIENT, DEFAULTS)
    session.send_hello(Hello(service="echo", agent="anyplug scan"))
    deadline = time.monotonic() + wait
    try:
        with _connected(target, port, wait) as sock:
            sock.sendall(session.data_to_send())
            while (left := deadline - time.monotonic()) > 0:
                sock.settimeout(left)
                data = sock.recv(_READ)
                if not data:
                    return None
                session.receive_data(data)
                events = session.events()
                for event in events:
                    if isinstance(event, Welcome):
                        return Identity(protocol="anyplug", detail=_text(event.agent.encode()))
                if events:
                    return _refused(data)
    except (OSError, AnyplugError):
        return None
    return None


def _refused(data: bytes) -> Identity | None:
    """A refusal is an answer of Anyplug too, once its preface was right."""
    own = PlugSession(Role.CLIENT, DEFAULTS)
    own.send_hello(Hello())
    preface = own.data_to_send()[:4]
    return Identity(protocol="anyplug", detail="refused the service echo") if data.startswith(preface) else None


def _tls(target: Target, port: int, wait: float) -> Identity | None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # who it is is not asked here, only what it speaks
    try:
        with _connected(target, port, wait) as sock, context.wrap_socket(sock) as tls:
            return Identity(protocol="tls", detail=tls.version() or "")
    except ssl.SSLError as error:
        told = error.reason or ""
        return Identity(protocol="tls", detail=told) if "ALERT" in told else None
    except (OSError, ValueError):
        return None


def _http(target: Target, port: int, wait: float) -> Identity | None:
    data = _exchange(target, port, b"HEAD / HTTP/1.0\r\n\r\n", wait)
    if data.startswith(b"HTTP/"):
        lines = data.split(b"\r\n")
        server = next((line[7:].strip() for line in lines if line.lower().startswith(b"server:")), b"")
        return Identity(protocol="http", detail=_text(b" ".join(filter(None, (server, lines[0])))))
    return Identity(protocol="answers", detail=_text(data)) if data else None


def _text(data: bytes) -> str:
    """The first line, as text."""
    return data.strip().split(b"\n")[0].decode("utf-8", "backslashreplace").strip()[:_SHOWN]
