"""Whether this machine could listen at an address: whose address it is, and who has the port.

The listener is opened and closed at once; nobody is taken.
"""

from __future__ import annotations

import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

from anyplug.address import SCHEMES, Address
from anyplug.errors import BindError, ConnectError
from anyplug.netinfo.check_path import interface_of, listeners
from anyplug.netinfo.check_types import CheckReport, Found, Listeners, Step
from anyplug.netinfo.check_walk import NOT_REACHED, Outcome, failed, ok
from anyplug.netinfo.ends import find_ends, own_addresses
from anyplug.transport.bind import bind
from anyplug.transport.resolve import system_lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anyplug.netinfo.check_types import StepName
    from anyplug.netinfo.sockets import Protocol
    from anyplug.transport.resolve import Lookup

__all__ = ["CheckingListener"]


class CheckingListener:
    """A check of an address to listen at, under way.

    Args:
        address: as text or as an `Address`.
        lookup: looks up names.

    Raises:
        AddressError: it is no address.
    """

    def __init__(self, address: str | Address, *, lookup: Lookup = system_lookup) -> None:
        self.address = address if isinstance(address, Address) else Address.parse(address)
        self._lookup = lookup
        self._found: list[str] = []
        self._steps: list[Step] = []
        self._whole = False

    def run(self) -> Iterator[Step]:
        """Take the steps; each as soon as it is taken."""
        steps: dict[StepName, Callable[[], Outcome]] = {"bind": self._bind}
        if SCHEMES[self.address.scheme].shape == "host":
            steps = {"resolve": self._resolve, "address": self._own, **steps}
        reached = True
        for name, take in steps.items():
            began = time.monotonic()
            outcome = take() if reached else NOT_REACHED
            reached = reached and outcome.state != "failed"
            seconds = None if outcome.state == "skipped" else time.monotonic() - began
            state, message, remedy, facts, _ = outcome
            step = Step(step=name, state=state, seconds=seconds, message=message, remedy=remedy, facts=facts)
            self._steps.append(step)
            yield step
        self._whole = True

    def report(self) -> CheckReport:
        """What is known so far."""
        return CheckReport(str(self.address), tuple(self._steps), self._whole)

    def _resolve(self) -> Outcome:
        host = self.address.host
        if not host:
            return ok("every interface")
        try:
            family = self.address.family
            ends = find_ends(host, family=family, lookup=self._lookup)  # type: ignore[arg-type]
        except ConnectError as error:
            return failed(error.problem, error.remedy)
        self._found = list(dict.fromkeys(each.address for each in ends))
        return ok(f"{host} is {', '.join(self._found)}", Found(tuple(self._found)))

    def _own(self) -> Outcome:
        if not self._found:
            return ok("others reach it at every address of this machine (`anyplug addresses` lists them)")
        foreign = [each for each in self._found if not _is_here(each)]
        if foreign:
            return failed(
                f"{' and '.join(foreign)} is not an address of this machine, so nothing can listen there",
                f"it has {', '.join(own_addresses())}; or listen on every interface: {self._everywhere()}",
            )
        names = [f"{each}{f' on {name}' if (name := interface_of(each)) else ''}" for each in self._found]
        alone = all(ip_address(each).is_loopback for each in self._found)
        return ok(f"this machine has {', '.join(names)}{'; nobody else reaches it there' if alone else ''}")

    def _bind(self) -> Outcome:
        try:
            with bind(self.address, lookup=self._lookup) as bound:
                names = ", ".join(bound.names)
        except BindError as error:
            return self._not_bound(error)
        return ok(f"a listener can be opened on {names}")

    def _not_bound(self, error: BindError) -> Outcome:
        problem, _, remedy = error.problem.rpartition("; ")
        port = self.address.port
        protocol: Protocol = "udp" if self.address.kind == "datagram" else "tcp"
        taken = [text for each, text in listeners(protocol) if port and each.local_port == port]
        who = f": {', '.join(taken)}" if taken and SCHEMES[self.address.scheme].shape == "host" else ""
        return failed(f"{problem or remedy}{who}", remedy if problem else "", Listeners(tuple(taken)) if who else None)

    def _everywhere(self) -> str:
        return f"{self.address.scheme}://*:{self.address.port}"


def _is_here(address: str) -> bool:
    ip = ip_address(address)
    return ip.is_loopback or ip.is_unspecified or address in own_addresses()
