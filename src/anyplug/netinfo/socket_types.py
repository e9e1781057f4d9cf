"""What is told of a socket. Named tuples: there can be many thousands, and they are made and read at once."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

__all__ = ["Process", "Protocol", "Socket", "end_text"]

Protocol: TypeAlias = Literal["tcp", "udp", "unix"]
"""The protocols that are listed."""


class Process(NamedTuple):
    """A process that has a socket open."""

    pid: int
    name: str
    """What it calls itself: `comm` of proc(5), 15 bytes at most. Any process can call itself anything."""


class Socket(NamedTuple):
    """One socket of this machine, as the kernel tells it."""

    protocol: Protocol
    family: int
    """4 or 6; 0 for unix sockets."""
    state: str
    """A word of `anyplug.netinfo.states.WORDS`."""
    local: str
    """The own host; of a unix socket its path, ``@name`` where it is abstract, or nothing."""
    local_port: int | None
    """The own port; None for unix sockets."""
    remote: str | None
    """The peer's host, or of a unix socket its path or name; None where it has no peer, or nobody tells."""
    remote_port: int | None
    receiving: int | None
    """Bytes that have arrived and were not read yet; of a listener, connections that wait to be accepted."""
    sending: int | None
    """Bytes that the peer has not acknowledged; of a listener, how many connections may wait."""
    uid: int | None
    """The user whose socket it is."""
    inode: int
    """Its number; 0 where no process has it any more."""
    kind: str = ""
    """Of a unix socket ``stream``, ``datagram`` or ``seqpacket``."""
    processes: tuple[Process, ...] | None = None
    """Who has it open; None where that was not asked for, is not allowed, or nobody has."""


def end_text(host: str, port: int | None) -> str:
    """One end as it is written: ``127.0.0.1:80``, ``[::1]:80``, ``/path``."""
    if port is None:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
