"""Sockets from sock_diag(7): the kernel's own tables in binary, the quickest way to many thousands.

What one message of an answer says is read in one step, and hosts are written as text once each: ten thousand
connections have few hosts.
"""

from __future__ import annotations

import os
import socket
from struct import Struct
from typing import TYPE_CHECKING, Final

from anyplug.netinfo.netlink import NETLINK_SOCK_DIAG, attributes, dump, messages
from anyplug.netinfo.socket_types import Socket
from anyplug.netinfo.states import TCP_STATES, UDP_STATES, UNIX_STATES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyplug.netinfo.socket_types import Protocol

__all__ = ["diag_sockets", "parse_inet", "parse_unix"]

_BY_FAMILY: Final = 20
"""SOCK_DIAG_BY_FAMILY: a request for a table, and each of its rows."""

_INET_REQUEST: Final = Struct("=BBBxI48x")
"""inet_diag_req_v2: family, protocol, extensions, states, and a socket that nobody names."""
_UNIX_REQUEST: Final = Struct("=BBxxIIIII")
"""unix_diag_req: family, protocol, states, inode, what to show, cookie."""
_SHOW: Final = 0x01 | 0x04 | 0x10 | 0x40
"""UDIAG_SHOW_NAME, _PEER, _RQLEN, _UID."""

_INET_ROW: Final = Struct("=I12xBBxxHH16s16s12x4xIIII")
"""The length of a message, the rest of its header, and inet_diag_msg: family, state, ports in network order, hosts;
bytes to read and to acknowledge, user, inode."""
_UNIX: Final = Struct("=BBBxI8x")
"""unix_diag_msg: family, type, state, inode."""
_UNIX_NAME: Final = 0
_UNIX_PEER: Final = 2
_UNIX_QUEUES: Final = 4
_UNIX_UID: Final = 7
_NUMBER: Final = Struct("=I")
_QUEUES: Final = Struct("=II")

_KINDS: Final = {1: "stream", 2: "datagram", 5: "seqpacket"}
_AF_INET6: Final = int(socket.AF_INET6)
_NUMBERS: Final[dict[Protocol, int]] = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}


def diag_sockets(protocol: Protocol, states: int) -> list[Socket]:
    """The sockets of a protocol, both families.

    Args:
        protocol: which.
        states: bits of the states that are wanted (`anyplug.netinfo.states.state_mask`).

    Raises:
        OSError: the kernel refuses, or does not know this table.
    """
    if protocol == "unix":
        body = _UNIX_REQUEST.pack(socket.AF_UNIX, 0, states, 0, _SHOW, 0xFFFFFFFF, 0xFFFFFFFF)
        return parse_unix(dump(NETLINK_SOCK_DIAG, _BY_FAMILY, body))
    found: list[Socket] = []
    for family in (socket.AF_INET, socket.AF_INET6):
        body = _INET_REQUEST.pack(family, _NUMBERS[protocol], 0, states)
        found += parse_inet(protocol, dump(NETLINK_SOCK_DIAG, _BY_FAMILY, body))
    return found


def parse_inet(protocol: Protocol, datagrams: Iterable[bytes]) -> list[Socket]:
    """The sockets in the answer to a request for TCP or UDP."""
    words = TCP_STATES if protocol == "tcp" else UDP_STATES
    hosts: dict[bytes, str] = {}
    found: list[Socket] = []
    add, read, size, swap = found.append, _INET_ROW.unpack_from, _INET_ROW.size, socket.ntohs
    for data in datagrams:
        place, end = 0, len(data) - size
        while place <= end:
            length, family, state, port, peer_port, host, peer, waiting, unsent, uid, inode = read(data, place)
            if length < size:
                break
            place += (length + 3) & ~3
            is_v6 = family == _AF_INET6
            local = hosts.get(host) if is_v6 else hosts.get(host[:4])
            if local is None:
                local = _remember(hosts, host, is_v6=is_v6)
            remote: str | None = None
            if peer_port:
                remote = hosts.get(peer) if is_v6 else hosts.get(peer[:4])
                if remote is None:
                    remote = _remember(hosts, peer, is_v6=is_v6)
            add(
                Socket(
                    protocol,
                    6 if is_v6 else 4,
                    words.get(state) or f"state-{state}",
                    local,
                    swap(port),
                    remote,
                    swap(peer_port) or None,
                    waiting,
                    unsent,
                    uid,
                    inode,
                )
            )
    return found


def _remember(hosts: dict[bytes, str], host: bytes, *, is_v6: bool) -> str:
    key = host if is_v6 else host[:4]
    text = hosts[key] = socket.inet_ntop(socket.AF_INET6 if is_v6 else socket.AF_INET, key)
    return text


def parse_unix(datagrams: Iterable[bytes]) -> list[Socket]:
    """The sockets in the answer to a request for unix sockets; a peer is told by its name, where it has one."""
    rows = [
        (*_UNIX.unpack_from(body), attributes(body, _UNIX.size))
        for data in datagrams
        for kind, body in messages(data)
        if kind == _BY_FAMILY and len(body) >= _UNIX.size
    ]
    names = {inode: _name(facts.get(_UNIX_NAME, b"")) for _, _, _, inode, facts in rows}
    return [
        _unix_socket(_KINDS.get(kind, ""), UNIX_STATES.get(state) or f"state-{state}", inode, facts, names)
        for _, kind, state, inode, facts in rows
    ]


def _unix_socket(kind: str, state: str, inode: int, facts: dict[int, bytes], names: dict[int, str]) -> Socket:
    waiting, unsent = _QUEUES.unpack(facts[_UNIX_QUEUES]) if _UNIX_QUEUES in facts else (None, None)
    remote = names.get(_number(facts, _UNIX_PEER) or 0)
    uid = _number(facts, _UNIX_UID)
    return Socket("unix", 0, state, names[inode], None, remote, None, waiting, unsent, uid, inode, kind)


def _number(facts: dict[int, bytes], kind: int) -> int | None:
    value = facts.get(kind)
    number: int | None = _NUMBER.unpack(value)[0] if value is not None else None
    return number


def _name(raw: bytes) -> str:
    """A path, or ``@name``; the zero byte that ends a path is not part of it."""
    if raw.startswith(b"\0"):
        return "@" + os.fsdecode(raw[1:])
    return os.fsdecode(raw.rstrip(b"\0"))
