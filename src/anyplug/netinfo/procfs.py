"""Sockets from the tables of /proc/net (proc(5)), for systems where the kernel answers no sock_diag(7).

Hosts stand there as words of 32 bits in the byte order of the machine: 127.0.0.1 is ``0100007F`` on most, ``7F000001``
on some.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from anyplug.netinfo.socket_types import Socket
from anyplug.netinfo.states import TCP_STATES, UDP_STATES

if TYPE_CHECKING:
    from anyplug.netinfo.socket_types import Protocol

__all__ = ["parse_host", "parse_inet_table", "parse_unix_table", "proc_sockets"]

_TABLES: Final[dict[Protocol, tuple[str, ...]]] = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6"), "unix": ("unix",)}

_LISTEN: Final = ("tcp", 10)
"""What listens; the tables do not tell how many connections may wait there."""
_ACCEPTING: Final = 1 << 16
"""The flag of a unix socket that listens (__SO_ACCEPTCON)."""
_UNIX_STATES: Final[dict[int, str]] = {1: "unconnected", 2: "connecting", 3: "established", 4: "disconnecting"}
"""The state of a socket's layer, which is not that of its protocol."""
_UNIX_KINDS: Final[dict[int, str]] = {1: "stream", 2: "datagram", 5: "seqpacket"}


def proc_sockets(protocol: Protocol, states: int, *, root: Path = Path("/proc/net")) -> list[Socket]:
    """The sockets of a protocol, both families; every state, whatever ``states`` says.

    A table that is not there is empty: a system without IPv6 has no ``tcp6``.

    Raises:
        OSError: none of its tables can be read.
    """
    found: list[Socket] = []
    texts = [text for name in _TABLES[protocol] if (text := _text(root / name)) is not None]
    if not texts:
        raise FileNotFoundError(2, f"there is no table of {protocol} sockets in {root}")
    for text in texts:
        found += parse_unix_table(text) if protocol == "unix" else parse_inet_table(protocol, text)
    return found


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None


def parse_host(word: str, *, byteorder: Literal["little", "big"] = sys.byteorder) -> str:
    """A host as the tables write it: 8 hexadecimal digits for IPv4, 32 for IPv6.

    Raises:
        ValueError: it is neither.
    """
    data = bytes.fromhex(word)
    if byteorder == "little":
        data = b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def parse_inet_table(
    protocol: Protocol, text: str, *, byteorder: Literal["little", "big"] = sys.byteorder
) -> list[Socket]:
    """The sockets in the text of /proc/net/tcp, tcp6, udp or udp6. Lines that are none are left out."""
    words = TCP_STATES if protocol == "tcp" else UDP_STATES
    hosts: dict[str, str] = {}
    found = []
    for line in text.split("\n")[1:]:
        fields = line.split(None, 10)
        try:
            (host, port), (peer, peer_port) = _end(fields[1], hosts, byteorder), _end(fields[2], hosts, byteorder)
            number = int(fields[3], 16)
            sending, _, receiving = fields[4].partition(":")
            room = None if (protocol, number) == _LISTEN else int(sending, 16)
            facts = (int(receiving, 16), room, int(fields[7]), int(fields[9]))
        except (IndexError, ValueError, OSError):
            continue
        state = words.get(number) or f"state-{number}"
        remote = peer if peer_port else None
        found.append(Socket(protocol, 6 if ":" in host else 4, state, host, port, remote, peer_port or None, *facts))
    return found


def parse_unix_table(text: str) -> list[Socket]:
    """The sockets in the text of /proc/net/unix. It names no peers and no users. Lines that are none are left out."""
    found = []
    for line in text.split("\n")[1:]:
        fields = line.split(None, 7)
        try:
            flags, kind, number, inode = int(fields[3], 16), int(fields[4], 16), int(fields[5], 16), int(fields[6])
        except (IndexError, ValueError):
            continue
        name = fields[7] if len(fields) > 7 else ""
        state = "listen" if flags & _ACCEPTING else _UNIX_STATES.get(number) or f"state-{number}"
        row = (state, name, None, None, None, None, None, None, inode, _UNIX_KINDS.get(kind, ""))
        found.append(Socket("unix", 0, *row))
    return found


def _end(word: str, hosts: dict[str, str], byteorder: Literal["little", "big"]) -> tuple[str, int]:
    host, _, port = word.partition(":")
    name = hosts.get(host)
    if name is None:
        name = hosts[host] = parse_host(host, byteorder=byteorder)
    return name, int(port, 16)
