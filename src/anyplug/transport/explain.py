"""What the system's error numbers mean here, in a sentence with its remedy. Tables only: a new case is one row."""

from __future__ import annotations

import socket
from errno import (
    EACCES,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    ECONNREFUSED,
    ECONNRESET,
    EHOSTDOWN,
    EHOSTUNREACH,
    EMFILE,
    ENAMETOOLONG,
    ENETDOWN,
    ENETUNREACH,
    ENFILE,
    ENOBUFS,
    ENOENT,
    ENOMEM,
    ENOTDIR,
    ENOTSOCK,
    EPERM,
    EPROTOTYPE,
    EROFS,
    ETIMEDOUT,
)
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Reason", "explain_bind", "explain_bind_unix", "explain_connect", "explain_lookup"]


class Reason(NamedTuple):
    """Why something failed, and what to try next."""

    problem: str
    remedy: str


_FILES: Final = Reason("too many files are open here", "close some, or raise the limit with `ulimit -n`")
_MEMORY: Final = Reason("the system is out of memory for sockets", "close other connections, or wait a while")
_NO_FAMILY: Final = Reason(
    "this system has no such address family for {where}", "use an address of another one: 127.0.0.1"
)

_CONNECT: Final[Mapping[int, Reason]] = {
    ECONNREFUSED: Reason("nothing listens on {where}", "start the server, or check the port"),
    ETIMEDOUT: Reason("no answer from {where}", "packets are dropped on the way: a firewall, or a wrong address"),
    EHOSTUNREACH: Reason("no host answers for {where}", "check the address, and that the host is up"),
    EHOSTDOWN: Reason("the host of {where} is down", "check the address, and that the host is up"),
    ENETUNREACH: Reason("there is no route to {where}", "check the network of this machine, and the address"),
    ENETDOWN: Reason("the network is down on the way to {where}", "check the network of this machine"),
    ECONNRESET: Reason("{where} took the connection and reset it", "try again; the server may be full or restarting"),
    EACCES: Reason(
        "this machine forbids connections to {where}", "check its firewall, and that it is no broadcast address"
    ),
    EPERM: Reason("this machine forbids connections to {where}", "check its firewall"),
    EADDRINUSE: Reason("this side's own address for {where} is taken", "choose another local port, 0 for any"),
    EADDRNOTAVAIL: Reason(
        "no address or port of this machine is free for {where}", "check the local address; or wait a minute"
    ),
    EAFNOSUPPORT: _NO_FAMILY,
    EMFILE: _FILES,
    ENFILE: Reason("too many files are open on this machine", "close other programs, or raise fs.file-max"),
    ENOBUFS: _MEMORY,
    ENOMEM: _MEMORY,
}
"""Failed connections to a host. The first row among several failures gives the remedy."""

_CONNECT_UNIX: Final[Mapping[int, Reason]] = {
    ECONNREFUSED: Reason(
        "nothing listens on {where} any more", "start the server; its socket was left by one that is gone"
    ),
    ENOENT: Reason("there is no {where}", "start the server, or check the path"),
    ENOTDIR: Reason("there is no {where}: a part of the path is not a directory", "check the path"),
    ENOTSOCK: Reason("{where} is not a socket", "check the path"),
    EACCES: Reason("this user may not use {where}", "run as the server's user, or let the server set another mode"),
    EPROTOTYPE: Reason("{where} is a socket of another type", "try unix://, unix+seqpacket:// or unix+dgram://"),
    ETIMEDOUT: Reason("no answer from {where}", "the server accepts nobody: it is stuck or overloaded"),
    ENAMETOOLONG: Reason("{where} is too long", "a socket's path has 107 bytes at most: use a shorter one"),
    ECONNRESET: _CONNECT[ECONNRESET],
    EMFILE: _FILES,
    ENFILE: _CONNECT[ENFILE],
    ENOBUFS: _MEMORY,
    ENOMEM: _MEMORY,
}
"""Failed connections to a unix socket."""

_ABSTRACT: Final = Reason("nothing listens on {where}", "start the server, or check the name")

_LOOKUP: Final[Mapping[int, Reason]] = {
    socket.EAI_NONAME: Reason("the name {host} is not known", "check its spelling"),
    socket.EAI_AGAIN: Reason(
        "the name {host} could not be looked up now", "check the network of this machine, and try again"
    ),
    socket.EAI_FAIL: Reason("the name server failed on {host}", "try again later, or use the host's IP address"),
    socket.EAI_FAMILY: Reason(
        "the name {host} has no address of the family asked for", "leave the 4 or 6 out of the scheme"
    ),
    getattr(socket, "EAI_NODATA", -5): Reason(
        "the name {host} has no address of the family asked for", "check its spelling"
    ),
    getattr(socket, "EAI_ADDRFAMILY", -9): Reason(
        "the name {host} has no address of the family asked for", "leave the 4 or 6 out of the scheme"
    ),
    ETIMEDOUT: Reason(
        "the name {host} could not be looked up in time", "check the network of this machine, or use an IP address"
    ),
}
"""Names that could not be resolved."""

_BIND: Final[Mapping[int, Reason]] = {
    EADDRINUSE: Reason(
        "port {port} is taken by another program",
        "stop it (`ss -{ss} sport = :{port}` names it), or choose another port, 0 for any",
    ),
    EADDRNOTAVAIL: Reason("{host} is not an address of this machine", "{loopback} is"),
    EACCES: Reason(
        "this user may not use port {port}", "choose one from 1024 on, or give the program CAP_NET_BIND_SERVICE"
    ),
    EPERM: Reason("this user may not use port {port}", "choose another, or ask who runs this machine"),
    EAFNOSUPPORT: _NO_FAMILY,
    EMFILE: _FILES,
    ENFILE: _CONNECT[ENFILE],
    ENOBUFS: _MEMORY,
    ENOMEM: _MEMORY,
}
"""Listeners on a host that could not be opened."""

_BIND_UNIX: Final[Mapping[int, Reason]] = {
    EADDRINUSE: Reason("the name is taken by another program", "stop it (`ss -xlp` names it), or choose another name"),
    EACCES: Reason("this user may not create a socket in {folder}", "choose another folder, such as $XDG_RUNTIME_DIR"),
    EPERM: Reason("no socket can be created in {folder}", "choose another folder, such as $XDG_RUNTIME_DIR"),
    ENOENT: Reason("the folder {folder} does not exist", "create it first"),
    ENOTDIR: Reason("{folder} is not a folder", "check the path"),
    EROFS: Reason("{folder} can only be read", "choose another folder, such as $XDG_RUNTIME_DIR"),
    ENAMETOOLONG: Reason("the path is too long", "a socket's path has 107 bytes at most: choose a shorter one"),
    EMFILE: _FILES,
    ENFILE: _CONNECT[ENFILE],
    ENOBUFS: _MEMORY,
    ENOMEM: _MEMORY,
}
"""Listeners on a unix socket that could not be opened."""


def explain_connect(failures: Sequence[tuple[str, OSError]]) -> Reason:
    """Why no connection came about, from every end that was tried, by name, with its error.

    All ends are named, those with one reason together. The remedy is that of the failure that tells most.
    """
    told: dict[str, list[str]] = {}
    best: tuple[int, str] | None = None
    for where, error in failures:
        unix = where.startswith("unix")
        table = _CONNECT_UNIX if unix else _CONNECT
        number = error.errno or 0
        reason = table.get(number) or Reason(f"{{where}}: {_system_words(error)}", "check the address, and try again")
        if unix and "@" in where and number == ECONNREFUSED:
            reason = _ABSTRACT
        told.setdefault(reason.problem, []).append(where)
        weight = list(table).index(number) if number in table else len(table)
        best = min(best, (weight, reason.remedy)) if best else (weight, reason.remedy)
    problems = [problem.replace("{where}", " or ".join(places)) for problem, places in told.items()]
    return Reason("; ".join(problems), best[1] if best else "check the address")


def explain_lookup(host: str, error: OSError) -> Reason:
    """Why a name could not be resolved."""
    reason = _LOOKUP.get(error.errno or 0, Reason(f"the name {{host}}: {_system_words(error)}", "check its spelling"))
    return Reason(reason.problem.replace("{host}", host), reason.remedy)


def explain_bind(error: OSError, *, host: str, port: int, datagram: bool = False) -> str:
    """Why a listener on a host could not be opened, with the remedy."""
    if port == 0 and error.errno == EADDRINUSE:
        return "no free port is left; close other programs"
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    facts = {
        "host": host,
        "port": str(port),
        "where": where,
        "loopback": "::1" if ":" in host else "127.0.0.1",
        "ss": "lunp" if datagram else "ltnp",
    }
    return _sentence(_BIND, error, facts)


def explain_bind_unix(error: OSError, *, path: str) -> str:
    """Why a listener on a unix socket could not be opened, with the remedy."""
    return _sentence(_BIND_UNIX, error, {"folder": path.rpartition("/")[0] or "/"})


def _sentence(table: Mapping[int, Reason], error: OSError, facts: Mapping[str, str]) -> str:
    reason = table.get(error.errno or 0)
    if reason is None:
        return _system_words(error)
    return "; ".join(part.format_map(facts) for part in reason)


def _system_words(error: OSError) -> str:
    """What the system calls an error that no table holds."""
    return error.strerror or str(error)
