"""How long a host takes to answer, and how much gets lost on the way.

::

    from anyplug.netinfo.ping import ping

    summary = ping("192.168.1.7", count=10)
    print(summary.loss, summary.median)

It is asked by ICMP echo where this user may: through a datagram socket (``net.ipv4.ping_group_range``), or a raw one.
Elsewhere by TCP connections, which says so: `PingSummary.means`.
"""

from __future__ import annotations

import math
import os
import time
from errno import EACCES, EPERM, EPROTONOSUPPORT
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

from anyplug.address import DEFAULT_PORT
from anyplug.errors import AnyplugError, ConnectError, LocalError
from anyplug.netinfo.ends import find_ends, local_address
from anyplug.netinfo.icmp import SEQUENCES, TOKEN_SIZE
from anyplug.netinfo.ping_book import Heard, PingBook, quantile
from anyplug.netinfo.ping_icmp import IcmpProbe
from anyplug.netinfo.ping_tcp import TcpProbe, answering_port
from anyplug.netinfo.ping_types import Outcome, PingAnswer, PingMeans, PingSummary
from anyplug.transport.explain import explain_connect
from anyplug.transport.names import name_of
from anyplug.transport.resolve import FAMILIES, system_lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from anyplug.netinfo.scan_types import Target
    from anyplug.transport.resolve import Lookup

__all__ = [
    "DEFAULT_OPTIONS",
    "LEAST_INTERVAL",
    "SIZE_MOST",
    "TCP_PORTS",
    "Outcome",
    "PingAnswer",
    "PingMeans",
    "PingOptions",
    "PingSummary",
    "Pinging",
    "not_opened",
    "ping",
]

TCP_PORTS: Final = (DEFAULT_PORT, 443, 80, 22)
"""Ports that are tried for a ping over TCP where none is named: a firewall that drops the first may let the others
through, and a refusal is an answer too."""
LEAST_INTERVAL: Final = 0.002
"""Seconds between two requests at least: what ``ping`` allows to users who are not root."""
SIZE_MOST: Final = 65_507
"""Bytes of data at most: what an IPv4 packet holds beside its headers."""
_NOT_ALLOWED: Final = frozenset({EACCES, EPERM, EPROTONOSUPPORT})


class PingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to ask."""

    count: int = 10
    """Requests; 0 goes on until it is ended."""
    interval: float = 1.0
    """Seconds from one request to the next, whatever is answered."""
    timeout: float = 2.0
    """After how many seconds without an answer a request is called silent."""
    size: int = 56
    """Bytes of data in each request over ICMP."""
    means: Literal["auto", "datagram", "raw", "tcp"] = "auto"
    """How: the first of the three that this user may, or a certain one."""
    port: int = 0
    """The port over TCP; 0 finds one that answers, of `TCP_PORTS`."""


DEFAULT_OPTIONS: Final = PingOptions()
"""How to ask where nothing is said."""


class _Probe(Protocol):
    """Who asks."""

    def send(self, sequence: int) -> float: ...
    def wait(self, seconds: float) -> list[Heard]: ...
    def forget(self, sequence: int) -> None: ...
    def close(self) -> None: ...


class Pinging:
    """A ping under way. What is known so far can be read at any time, after an interruption too.

    Args:
        host: a name or an address.
        family: 4 or 6; 0 is the first that has a route.
        options: how to ask.
        lookup: looks up names.
        clock: the time in seconds, monotonic.

    Raises:
        LocalError: it is no host, options make no sense, or this user may not ask by these means.
        ConnectError: the name could not be looked up, or there is no way to the host.
    """

    def __init__(
        self,
        host: str,
        *,
        family: Literal[0, 4, 6] = 0,
        options: PingOptions = DEFAULT_OPTIONS,
        lookup: Lookup = system_lookup,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check(options)
        self.target = _reachable(find_ends(host, family=family, timeout=10.0, lookup=lookup))
        self.options = options
        self.means: PingMeans = "datagram"
        self.port = options.port
        self._clock = clock
        self._probe = self._open()
        self._book = PingBook(options.timeout)
        self._began = clock()
        self._whole = False

    def run(self) -> Iterator[PingAnswer]:
        """Ask; what becomes of each request, as soon as it is known. More may be told of one: `Outcome`.

        Closes the sockets at the end, or when the iterator is closed.
        """
        book, options, clock = self._book, self.options, self._clock
        self._began = due = clock()
        asked = 0
        try:
            while True:
                more = not options.count or asked < options.count
                if more and clock() >= due:
                    asked += 1
                    due = max(due + options.interval, clock() - options.interval)
                    yield from self._ask(asked)
                    continue
                if not more and not book.pending:
                    break
                times = [when for when in (due if more else None, book.due()) if when is not None]
                yield from filter(None, map(book.hear, self._probe.wait(max(min(times) - clock(), 0.0))))
                for answer in book.expire(clock()):
                    self._probe.forget(answer.sequence)
                    yield answer
            self._whole = True
        finally:
            self._probe.close()

    @property
    def times(self) -> Sequence[float]:
        """The last round trips, seconds, in the order they came."""
        return self._book.times

    def summary(self) -> PingSummary:
        """What is known so far."""
        book = self._book
        return PingSummary(
            host=self.target.host,
            address=self.target.address,
            family=self.target.family,
            means=self.means,
            port=self.port if self.means == "tcp" else None,
            sent=book.sent,
            received=book.received,
            late=book.late,
            duplicates=book.duplicates,
            reordered=book.reordered,
            unreachable=book.unreachable,
            unsent=book.unsent,
            pending=book.pending,
            loss=book.loss,
            minimum=book.minimum,
            median=_median(book.times),
            p99=quantile(book.times, 0.99),
            maximum=book.maximum,
            mean=book.mean,
            seconds=self._clock() - self._began,
            whole=self._whole,
        )

    def _ask(self, sequence: int) -> Iterator[PingAnswer]:
        try:
            at = self._probe.send(sequence)
        except OSError as error:
            yield self._book.fail(sequence, (error.strerror or str(error)).lower())
        else:
            self._book.send(sequence, at)

    def _open(self) -> _Probe:
        wanted = self.options.means
        means: tuple[PingMeans, ...] = ("datagram", "raw", "tcp") if wanted == "auto" else (wanted,)
        if self.options.port and wanted == "auto":
            means = ("tcp",)
        refusal: OSError | None = None
        for each in means:
            self.means = each
            try:
                return self._probe_by(each)
            except OSError as error:
                refusal = error
        assert refusal is not None  # noqa: S101 - there is one of the means at least
        raise not_opened(self.target, self.means, refusal) from refusal

    def _probe_by(self, means: PingMeans) -> _Probe:
        if means == "tcp":
            if not self.port:
                self.port = answering_port(self.target, TCP_PORTS, min(self.options.timeout, 1.0))
            return TcpProbe(self.target, self.port, clock=self._clock)
        identifier, token = int.from_bytes(os.urandom(2), "big"), os.urandom(TOKEN_SIZE)
        return IcmpProbe(
            self.target, means=means, identifier=identifier, token=token, size=self.options.size, clock=self._clock
        )


def ping(
    host: str,
    *,
    count: int = 10,
    family: Literal[0, 4, 6] = 0,
    options: PingOptions = DEFAULT_OPTIONS,
    told: Callable[[PingAnswer], None] = lambda _: None,
) -> PingSummary:
    """Ask a host so often whether it is there.

    Args:
        host: a name or an address.
        count: requests, at least 1; it counts more than that of the options.
        family: 4 or 6; 0 is the first that has a route.
        options: how to ask.
        told: is told of each answer.

    Raises:
        LocalError: it is no host, options make no sense, or this user may not ask by these means.
        ConnectError: the name could not be looked up, or there is no way to the host.
    """
    if count < 1:
        raise LocalError(f"the count is {count}, expected at least 1")
    pinging = Pinging(host, family=family, options=msgspec.structs.replace(options, count=count))
    for answer in pinging.run():
        told(answer)
    return pinging.summary()


def not_opened(target: Target, means: PingMeans, error: OSError) -> AnyplugError:
    """The error for a socket that could not be opened."""
    if error.errno not in _NOT_ALLOWED:
        return _unreachable(target, error)
    remedy = "it takes root, or CAP_NET_RAW" if means == "raw" else "net.ipv4.ping_group_range says who may"
    problem = f"this user may not send ICMP through a {means} socket ({remedy}); --via tcp needs no permission"
    return LocalError(problem)


def _check(options: PingOptions) -> None:
    if not options.count >= 0:
        raise LocalError(f"the count is {options.count}, expected 0 or more")
    if not LEAST_INTERVAL <= options.interval < math.inf:
        raise LocalError(f"the interval is {options.interval:g} s, expected at least {LEAST_INTERVAL:g} s")
    if not 0 < options.timeout < math.inf:
        raise LocalError(f"the timeout is {options.timeout:g} s, expected more than 0")
    if not 0 <= options.size <= SIZE_MOST:
        raise LocalError(f"the size is {options.size} bytes, expected from 0 to {SIZE_MOST:,}")
    if not 0 <= options.port < SEQUENCES:
        raise LocalError(f"{options.port} is no port; they go from 1 to 65535")
    if options.port and options.means in {"datagram", "raw"}:
        raise LocalError(f"ICMP has no ports; leave out the port, or ask by TCP in place of {options.means}")


def _reachable(targets: Sequence[Target]) -> Target:
    """The first to which there is a way.

    Raises:
        ConnectError: there is none to any.
    """
    failures: list[tuple[Target, OSError]] = []
    for target in targets:
        try:
            local_address(target)
        except OSError as error:
            failures.append((target, error))
        else:
            return target
    raise _unreachable(*failures[0]) from failures[0][1]


def _unreachable(target: Target, error: OSError) -> ConnectError:
    family = FAMILIES[target.family]
    where = name_of(target.sockaddr(0), family).removesuffix(":0")
    reason = explain_connect([(where, error)])
    return ConnectError(
        target.host, step="connect", problem=reason.problem, remedy=reason.remedy, errno=error.errno or 0
    )


def _median(times: Sequence[float]) -> float | None:
    """The middle one, or the mean of the two in the middle."""
    if not times:
        return None
    ordered, half = sorted(times), len(times) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
