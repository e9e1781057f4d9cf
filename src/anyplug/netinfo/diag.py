"""Sockets from sock_diag(7): the kernel's own tables in binary, the quickest way to many thousands.

What one message of an answer says is read in one step, and hosts are written as text once each: ten thousand
connections have few hosts.
"""

from __future__ import annotations

import os
import socket
from struct import Struct
from typing import TYPE_CHECKING, Final, TypeAlias

from anyplug.netinfo.netlink import NETLINK_SOCK_DIAG, attributes, dump, dumping, messages
from anyplug.netinfo.states import TCP_STATES, UDP_STATES, UNIX_STATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from anyplug.netinfo.socket_types import Protocol, Socket

__all__ = ["InetRow", "diag_sockets", "host_texts", "inet_answer", "inet_rows", "parse_inet", "parse_unix"]

InetRow: TypeAlias = tuple[int, int, int, int, int, bytes, bytes, int, int, int, int]
"""Length of the message, family, state, port, peer's port, host, peer's host, bytes to read, bytes to acknowledge,
user, inode."""

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
_AF_INET: Final = int(socket.AF_INET)
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
        found += parse_inet(protocol, inet_answer(protocol, family, states))
    return found


def inet_answer(protocol: Protocol, family: int, states: int) -> Iterator[bytes]:
    """The datagrams in which the kernel tells the TCP or UDP sockets of a family; the rest is as of `diag_sockets`."""
    body = _INET_REQUEST.pack(family, _NUMBERS[protocol], 0, states)
    return dumping(NETLINK_SOCK_DIAG, _BY_FAMILY, body)


def inet_rows(datagrams: Iterable[bytes]) -> Iterator[InetRow]:
    """What the messages of an answer about TCP or UDP say, as it stands there: ports are in network order, hosts are 16
    bytes, of which IPv4 fills the first 4.
    """
    read, size = _INET_ROW.unpack_from, _INET_ROW.size
    for data in datagrams:
        place, end = 0, len(data) - size
        while place <= end:
            row: InetRow = read(data, place)
            if row[0] < size:
                break
            place += (row[0] + 3) & ~3
            yield row


def parse_inet(protocol: Protocol, datagrams: Iterable[bytes]) -> list[Socket]:
    """The sockets in the answer to a request for TCP or UDP."""
    from anyplug.netinfo.socket_types import Socket

    words = TCP_STATES if protocol == "tcp" else UDP_STATES
    four, six = host_texts()
    found: list[Socket] = []
    add, new, swap = found.append, tuple.__new__, socket.ntohs
    for _, family, state, port, peer_port, host, peer, waiting, unsent, uid, inode in inet_rows(datagrams):
        hosts = six if family == _AF_INET6 else four
        facts = (
            protocol,
            6 if family == _AF_INET6 else 4,
            words.get(state) or f"state-{state}",
            hosts[host],
            swap(port),
            hosts[peer] if peer_port else None,
            swap(peer_port) or None,
            waiting,
            unsent,
            uid,
            inode,
            "",
            None,
        )
        add(new(Socket, facts))  # as Socket(*facts), in half the time
    return found


class _Hosts(dict[bytes, str]):
    """Hosts of one family by their 16 bytes, written as text when they are first asked for."""

    __slots__ = ("_family",)

    def __init__(self, family: int) -> None:
        super().__init__()
        self._family = family

    def __missing__(self, host: bytes) -> str:
        text = socket.inet_ntop(self._family, host if self._family == _AF_INET6 else host[:4])
        self[host] = text
        return text


def host_texts() -> tuple[dict[bytes, str], dict[bytes, str]]:
    """Two dictionaries, for IPv4 and IPv6, that give the text of each host as it stands in a row."""
    return _Hosts(_AF_INET), _Hosts(_AF_INET6)


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
    from anyplug.netinfo.socket_types import Socket

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
