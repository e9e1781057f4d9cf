"""How a connection comes about, apart from who waits: a generator that opens sockets and says what to wait for.

`connecting` yields a `Wait`; the driver sends back those of its sockets that have become writable, and gets the
connected socket as the generator's value. `anyplug.transport.dial` drives it from an event loop,
`anyplug.transport.blocking_dial` from a poll. Closing the generator closes every socket it holds: that is how a wait is
cancelled.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from errno import EAGAIN, ECONNREFUSED, EINPROGRESS, EINTR, EISCONN, ENOTSOCK, ETIMEDOUT, EWOULDBLOCK
from os import strerror
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from anyplug.address import SCHEMES, Address
from anyplug.errors import AddressError, ConnectError
from anyplug.transport.explain import explain_connect, explain_lookup
from anyplug.transport.eyeballs import Race, interleave
from anyplug.transport.names import name_of
from anyplug.transport.options import apply_stream_options
from anyplug.transport.resolve import FAMILIES, SOCKET_TYPES, Candidate, unix_sockaddr

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from anyplug.transport.options import SocketOptions

__all__ = ["Plan", "Wait", "connecting", "lookup_error", "plan"]

_FULL_PAUSE: Final = 0.005
"""Seconds until a unix server with a full backlog is tried again; doubled each time. The kernel offers no event to wait
for."""

_FULL_PAUSE_MAX: Final = 0.1
"""The longest such pause, seconds."""

_NO_DATA: Final = getattr(socket, "EAI_NODATA", socket.EAI_NONAME)


class Plan(NamedTuple):
    """What to try for an address: `ends`, or the name to look up where they are None."""

    host: str
    port: int
    family: int
    type: int
    ends: list[Candidate] | None


class Wait(NamedTuple):
    """What a driver waits for: one of the sockets to become writable, for so many seconds at most."""

    sockets: tuple[socket.socket, ...]
    seconds: float


class _Attempt:
    """One socket under way."""

    __slots__ = ("end", "pause", "retry_at", "sock")

    def __init__(self, end: Candidate, sock: socket.socket) -> None:
        self.end = end
        self.sock = sock
        self.pause = _FULL_PAUSE
        self.retry_at: float | None = None


def plan(address: Address, known: Callable[[str, int, int, int], list[Candidate] | None]) -> Plan:
    """What to try for an address that a client was given.

    Raises:
        AddressError: no client can connect there.
    """
    address = address.connectable()
    if SCHEMES[address.scheme].shape == "fd":
        expected = "an address to connect to; an inherited socket is for listeners"
        raise AddressError(str(address), part="scheme", found=address.scheme, expected=expected)
    kind = SOCKET_TYPES[address.kind]
    if address.is_unix:
        return _unix_plan(address, kind)
    family = FAMILIES[address.family]
    try:
        ends = known(address.host, address.port, family, kind)
    except OSError as error:
        raise lookup_error(address, error) from error
    return Plan(address.host, address.port, family, kind, ends)


def _unix_plan(address: Address, kind: int) -> Plan:
    family = int(socket.AF_UNIX)
    try:
        sockaddr = unix_sockaddr(address.path)
    except OSError as error:
        raise _failed(address, [(Candidate(family, kind, address.path), error)]) from error
    return Plan("", 0, family, kind, [Candidate(family, kind, sockaddr)])


def lookup_error(address: Address, error: OSError) -> ConnectError:
    """The error for a name that could not be resolved."""
    reason = explain_lookup(address.host, error)
    return ConnectError(
        str(address), step="resolve", problem=reason.problem, remedy=reason.remedy, errno=max(error.errno or 0, 0)
    )


def connecting(
    address: Address,
    ends: Sequence[Candidate],
    *,
    deadline: float,
    timeout: float,
    options: SocketOptions,
    local: tuple[str, int] | None,
    clock: Callable[[], float],
) -> Generator[Wait, Sequence[socket.socket], socket.socket]:
    """Try the ends until one is connected; the generator's value is its socket, non-blocking.

    Args:
        address: what the caller was given, for errors.
        ends: the ends to try.
        deadline: when to give up, by `clock`.
        timeout: the seconds the caller gave, for errors.
        options: what to set on the sockets.
        local: the address of this side, or None for any.
        clock: the time in seconds.

    Raises:
        ConnectError: none could be connected, or not in time.
    """
    if not ends:
        raise lookup_error(address, socket.gaierror(_NO_DATA, "no address"))
    race = Race(interleave(_reachable_from(local, ends), family=lambda end: end.family))
    attempts: list[_Attempt] = []
    won: _Attempt | None = None
    try:
        while True:
            now = clock()
            won = _start_due(race, attempts, now, options, local) or _retry_due(race, attempts, now)
            if won is not None:
                return won.sock
            if race.lost:
                raise _failed(address, race.failures)
            if now >= deadline:
                raise _late(address, race, timeout)
            pause = race.wait(now)
            ready = yield _wait(attempts, deadline - now if pause is None else min(deadline - now, pause), now)
            won = _finish(race, attempts, ready)
            if won is not None:
                return won.sock
    finally:
        for attempt in attempts:
            if attempt is not won:
                attempt.sock.close()


def _reachable_from(local: tuple[str, int] | None, ends: Sequence[Candidate]) -> Sequence[Candidate]:
    """The ends of the family that this side's address has, where there are any."""
    if local is None:
        return ends
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    return [end for end in ends if end.family == family] or ends


def _wait(attempts: Sequence[_Attempt], seconds: float, now: float) -> Wait:
    for attempt in attempts:
        if attempt.retry_at is not None:
            seconds = min(seconds, attempt.retry_at - now)
    return Wait(tuple(each.sock for each in attempts if each.retry_at is None), max(seconds, 0.0))


def _start_due(
    race: Race[Candidate], attempts: list[_Attempt], now: float, options: SocketOptions, local: tuple[str, int] | None
) -> _Attempt | None:
    """Start what is due; returns an attempt that is connected already."""
    while (end := race.start(now)) is not None:
        try:
            attempt = _Attempt(end, _open(end, options, local))
        except OSError as error:
            race.fail(end, error)
            continue
        attempts.append(attempt)
        if _connect(race, attempts, attempt, now):
            return attempt
    return None


def _retry_due(race: Race[Candidate], attempts: list[_Attempt], now: float) -> _Attempt | None:
    for attempt in list(attempts):
        due = attempt.retry_at is not None and attempt.retry_at <= now
        if due and _connect(race, attempts, attempt, now):
            return attempt
    return None


def _open(end: Candidate, options: SocketOptions, local: tuple[str, int] | None) -> socket.socket:
    """A socket ready to connect."""
    sock = socket.socket(end.family, end.type)
    try:
        sock.setblocking(False)
        apply_stream_options(sock, options)
        if local is not None and end.family != socket.AF_UNIX:
            if end.type == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(local)
        elif end.family == socket.AF_UNIX and end.type == socket.SOCK_DGRAM:
            sock.bind("")  # Linux gives it an abstract name, so that answers have somewhere to go
    except BaseException:
        sock.close()
        raise
    return sock


def _connect(race: Race[Candidate], attempts: list[_Attempt], attempt: _Attempt, now: float) -> bool:
    """Begin or retry; True where it is connected at once."""
    sock, end = attempt.sock, attempt.end
    number = sock.connect_ex(end.sockaddr)  # type: ignore[arg-type]
    attempt.retry_at = None
    if number in {EAGAIN, EWOULDBLOCK} and end.family == socket.AF_UNIX:
        attempt.retry_at = now + attempt.pause
        attempt.pause = min(2 * attempt.pause, _FULL_PAUSE_MAX)
        return False
    if number in {EINPROGRESS, EINTR}:
        return False
    if number not in {0, EISCONN}:
        _drop(race, attempts, attempt, number)
        return False
    return _is_real(race, attempts, attempt)


def _finish(race: Race[Candidate], attempts: list[_Attempt], ready: Sequence[socket.socket]) -> _Attempt | None:
    """Look at the sockets that are writable: each is connected, or has failed."""
    for attempt in [each for each in attempts if each.sock in ready]:
        number = attempt.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            _drop(race, attempts, attempt, number)
        elif _is_real(race, attempts, attempt):
            return attempt
    return None


def _is_real(race: Race[Candidate], attempts: list[_Attempt], attempt: _Attempt) -> bool:
    """False where TCP has connected the socket to itself: nobody listens, and this side was given the port it calls."""
    sock = attempt.sock
    if attempt.end.family == socket.AF_UNIX or attempt.end.type != socket.SOCK_STREAM:
        return True
    with suppress(OSError):
        if sock.getsockname() == sock.getpeername():
            _drop(race, attempts, attempt, ECONNREFUSED)
            return False
    return True


def _drop(race: Race[Candidate], attempts: list[_Attempt], attempt: _Attempt, number: int) -> None:
    attempts.remove(attempt)
    attempt.sock.close()
    end = attempt.end
    if number == ECONNREFUSED and isinstance(end.sockaddr, str) and not Path(end.sockaddr).is_socket():
        number = ENOTSOCK
    race.fail(end, OSError(number, strerror(number)))


def _failed(address: Address, failures: Sequence[tuple[Candidate, OSError]]) -> ConnectError:
    reason = explain_connect(_named(failures))
    first = failures[0][1]
    failure = ConnectError(
        str(address), step="connect", problem=reason.problem, remedy=reason.remedy, errno=first.errno or 0
    )
    failure.__cause__ = first
    return failure


def _late(address: Address, race: Race[Candidate], timeout: float) -> ConnectError:
    silent = _named([(end, TimeoutError(ETIMEDOUT, strerror(ETIMEDOUT))) for end in race.running])
    failed = _named(race.failures)
    problem = f"{explain_connect(silent).problem} within {timeout:g} s"
    if failed:
        problem = f"{problem}; {explain_connect(failed).problem}"
    remedy = explain_connect([*silent, *failed]).remedy
    return ConnectError(str(address), step="connect", problem=problem, remedy=remedy, errno=ETIMEDOUT)


def _named(failures: Sequence[tuple[Candidate, OSError]]) -> list[tuple[str, OSError]]:
    return [(name_of(end.sockaddr, end.family), error) for end, error in failures]
