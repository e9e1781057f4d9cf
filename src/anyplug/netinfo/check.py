"""What is wrong with an address, step by step, as a person would find out.

::

    from anyplug.netinfo.check import check

    for step in check("plug://127.0.0.1/echo").steps:
        print(step.step, step.state, step.message, step.remedy)

Each address of the host is walked from the route to the orderly close; what comes behind a step that failed is not
reached. Only the address that was named is spoken to.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from anyplug.address import SCHEMES, Address
from anyplug.errors import AddressError, ConnectError, LocalError
from anyplug.netinfo.check_close import close
from anyplug.netinfo.check_path import connect, path, route
from anyplug.netinfo.check_talk import echo, handshake, speaks
from anyplug.netinfo.check_tls import tls, tls_context
from anyplug.netinfo.check_types import CheckReport, Facts, Found, Step, StepName, StepState
from anyplug.netinfo.check_walk import CHECK_DEFAULTS, NOT_REACHED, CheckOptions, Outcome, Walk
from anyplug.netinfo.ends import find_ends
from anyplug.plan import plain_framing
from anyplug.transport.names import name_of
from anyplug.transport.resolve import FAMILIES, SOCKET_TYPES, known, system_lookup

if TYPE_CHECKING:
    from anyplug.netinfo.scan_types import Target
    from anyplug.transport.resolve import Lookup

__all__ = [
    "CHECK_DEFAULTS",
    "CheckOptions",
    "CheckReport",
    "Checking",
    "Facts",
    "Step",
    "StepName",
    "StepState",
    "check",
]

_StepTable: TypeAlias = Mapping[StepName, Callable[[Walk], Outcome]]

_HOST: Final[_StepTable] = {"route": route, "connect": connect}
_SOCKET: Final[_StepTable] = {"path": path, "connect": connect}
_TLS: Final[_StepTable] = {"tls": tls}
_PLUG: Final[_StepTable] = {"handshake": handshake, "echo": echo, "close": close}
_PLAIN: Final[_StepTable] = {"echo": echo, "close": close}
_SPEAKS: Final[_StepTable] = {"speaks": speaks}
_DATAGRAM: Final[_StepTable] = {"echo": echo}
_WEB: Final[_StepTable] = {"close": close, "speaks": speaks}


class Checking:
    """A check under way. What is known so far can be read at any time, after an interruption too.

    Args:
        address: what to check, as text or as an `Address`.
        options: how.
        family: only addresses of this one, 4 or 6; 0 is both, or what the address pins.
        lookup: looks up names.

    Raises:
        AddressError: no client can connect there.
        LocalError: options of the address that do not fit it, or a file of authorities that cannot be used.
    """

    def __init__(
        self,
        address: str | Address,
        *,
        options: CheckOptions = CHECK_DEFAULTS,
        family: Literal[0, 4, 6] = 0,
        lookup: Lookup = system_lookup,
    ) -> None:
        where = (address if isinstance(address, Address) else Address.parse(address)).connectable()
        if SCHEMES[where.scheme].shape == "fd":
            expected = "an address to connect to; an inherited socket is for listeners"
            raise AddressError(str(where), part="scheme", found=where.scheme, expected=expected)
        if where.is_tls:
            tls_context(options.ca_file)
        elif options.ca_file:
            raise LocalError(
                f"{where} speaks no TLS, so there is nothing to verify with {options.ca_file!r}; use tls://"
            )
        if not where.is_plug and where.scheme not in {"ws", "wss"}:
            plain_framing(where)
        self.address = where
        self._options = options
        self._family = family or where.family
        self._lookup = lookup
        self._steps: list[Step] = []
        self._whole = False

    def run(self) -> Iterator[Step]:
        """Take the steps; each as soon as it is taken."""
        for step in self._run():
            self._steps.append(step)
            yield step
        self._whole = True

    def report(self) -> CheckReport:
        """What is known so far."""
        return CheckReport(str(self.address), tuple(self._steps), self._whole)

    def _run(self) -> Iterator[Step]:
        if self.address.is_unix:
            where = name_of(self.address.path, socket.AF_UNIX)
            yield from self._walk(Walk(self.address, where, None, self._options))
            return
        began = time.monotonic()
        try:
            ends = self._ends()
        except ConnectError as error:
            seconds = time.monotonic() - began
            yield Step(step="resolve", state="failed", seconds=seconds, message=error.problem, remedy=error.remedy)
            yield from (Step(step=name, state="skipped", message=NOT_REACHED.message) for name in self._table())
            return
        yield self._resolved(ends, time.monotonic() - began)
        alone = len({each.family for each in ends}) == 1 and not self._family and ends[0].address != self.address.host
        for target in self._chosen(ends):
            where = name_of(target.sockaddr(self.address.port), FAMILIES[target.family])
            yield from self._walk(Walk(self.address, where, target, self._options, alone=alone))

    def _ends(self) -> list[Target]:
        family: Literal[0, 4, 6] = {4: 4, 6: 6}.get(self._family, 0)  # type: ignore[assignment]
        kind = SOCKET_TYPES[self.address.kind]
        timeout = self._options.timeout
        return find_ends(self.address.host, family=family, kind=kind, timeout=timeout, lookup=self._lookup)

    def _resolved(self, ends: list[Target], seconds: float) -> Step:
        addresses = tuple(dict.fromkeys(each.address for each in ends))
        host = self.address.host
        if known(host, 0, 0, SOCKET_TYPES[self.address.kind]) is None:
            families = {each.family for each in ends}
            alone = "" if len(families) > 1 or self._family else f"; IPv{families.pop()} only"
            message = f"{host} is {', '.join(addresses)}{alone}"
        elif addresses == (host,):
            message = f"{host} is an address; nothing is looked up"
        else:
            message = f"{host} is {', '.join(addresses)}; nothing is looked up"
        return Step(step="resolve", state="ok", seconds=seconds, message=message, facts=Found(addresses))

    def _chosen(self, ends: list[Target]) -> list[Target]:
        """The first few of each family."""
        chosen: list[Target] = []
        for target in dict.fromkeys((each.address, each.family, each.scope) for each in ends):
            each = next(end for end in ends if (end.address, end.family, end.scope) == target)
            if sum(other.family == each.family for other in chosen) < self._options.ends:
                chosen.append(each)
        return chosen

    def _table(self) -> _StepTable:
        address = self.address
        way = _SOCKET if address.is_unix else _HOST
        if address.kind == "datagram":
            return {**way, **_DATAGRAM}
        secured = _TLS if address.is_tls else {}
        if address.is_plug:
            return {**way, **secured, **_PLUG}
        if address.scheme in {"ws", "wss"}:
            return {**way, **secured, **_WEB}
        return {**way, **secured, **_PLAIN, **({} if address.is_unix else _SPEAKS)}

    def _walk(self, walk: Walk) -> Iterator[Step]:
        reached = True
        try:
            for name, take in self._table().items():
                began = time.monotonic()
                outcome = take(walk) if reached else NOT_REACHED
                seconds = outcome.seconds or time.monotonic() - began if outcome.state != "skipped" else None
                reached = reached and outcome.state != "failed"
                yield Step(
                    step=name,
                    state=outcome.state,
                    end=walk.where,
                    seconds=seconds,
                    message=outcome.message,
                    remedy=outcome.remedy,
                    facts=outcome.facts,
                )
        finally:
            walk.close()


def check(
    address: str | Address,
    *,
    options: CheckOptions = CHECK_DEFAULTS,
    family: Literal[0, 4, 6] = 0,
    told: Callable[[Step], None] = lambda _: None,
) -> CheckReport:
    """Find out what is wrong with an address.

    Args:
        address: what to check.
        options: how.
        family: only addresses of this one, 4 or 6; 0 is both.
        told: is told of each step as it is taken.

    Raises:
        AddressError: no client can connect there.
        LocalError: options of the address that do not fit it, or a file of authorities that cannot be used.
    """
    checking = Checking(address, options=options, family=family)
    for step in checking.run():
        told(step)
    return checking.report()
