"""What listens and what is connected on this machine.

::

    from anyplug.netinfo.sockets import Wanted, list_sockets

    for each in list_sockets(Wanted(protocols=("tcp",), listening=True), processes=True):
        print(each.local, each.local_port, each.processes)

The kernel is asked over sock_diag(7); where it does not answer that, /proc/net is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from anyplug.netinfo.diag import diag_sockets
from anyplug.netinfo.socket_types import Process, Protocol, Socket, end_text
from anyplug.netinfo.states import state_mask

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ALL", "SOURCES", "Process", "Protocol", "Socket", "Source", "Wanted", "end_text", "list_sockets"]

Source: TypeAlias = Callable[[Protocol, int], list[Socket]]
"""``(protocol, states)`` to sockets; raises `OSError`. The states are bits, and may be ignored."""


def proc_sockets(protocol: Protocol, states: int) -> list[Socket]:
    """As `anyplug.netinfo.procfs.proc_sockets`, which is imported where it is needed: hardly ever."""
    from anyplug.netinfo import procfs

    return procfs.proc_sockets(protocol, states)


SOURCES: Final[tuple[Source, ...]] = (diag_sockets, proc_sockets)
"""Who is asked, in turn, until one answers."""

_LISTENING: Final = frozenset({"listen", "unconnected"})
"""What takes anybody's messages: listeners, and datagram sockets without a peer."""


class Wanted(NamedTuple):
    """Which sockets are wanted. Each condition that is set must hold."""

    protocols: tuple[Protocol, ...] = ("tcp", "udp", "unix")
    listening: bool = False
    """Only those that wait for anybody: listeners, and datagram sockets that are bound and have no peer."""
    ports: frozenset[int] = frozenset()
    """Only those with one of these ports, at either end."""
    process: str = ""
    """Only those of this process: its number, or a part of its name."""
    states: frozenset[str] = frozenset()
    """Only those in one of these states (`anyplug.netinfo.states`)."""

    @property
    def mask(self) -> int:
        """The states that the kernel need tell of, as bits; it may tell of more."""
        words = self.states & _LISTENING or _LISTENING if self.listening else self.states
        return state_mask(frozenset(words))

    def chosen(self, sockets: Iterable[Socket]) -> list[Socket]:
        """Those of the sockets that are wanted."""
        tests = [test for on, test in self._tests() if on]
        if not tests:
            return list(sockets)
        return [each for each in sockets if all(test(each) for test in tests)]

    def _tests(self) -> Sequence[tuple[bool, Callable[[Socket], bool]]]:
        ports, states, process = self.ports, self.states, self.process
        return (
            (bool(ports), lambda each: each.local_port in ports or each.remote_port in ports),
            (bool(states), lambda each: each.state in states),
            (self.listening, _listens),
            (bool(process), lambda each: _is_of(each, process)),
        )


ALL: Final = Wanted()
"""Every socket."""


def list_sockets(
    wanted: Wanted = ALL, *, processes: bool = False, sources: Sequence[Source] = SOURCES, proc: str = "/proc"
) -> list[Socket]:
    """The sockets of this machine, as they are now.

    Args:
        wanted: which of them.
        processes: also tell who has them open, which takes longer; asked for by `Wanted.process` too. Other users'
            processes are told to root alone.
        sources: who is asked, in turn, until one answers.
        proc: where proc(5) is mounted.

    Raises:
        LocalError: no source answers: this is no Linux, or its tables are hidden.
    """
    found: list[Socket] = []
    for protocol in wanted.protocols:
        found += _ask(protocol, wanted.mask, sources)
    if wanted.process or processes:
        from anyplug.netinfo.owners import owners, with_owners

        quick = wanted._replace(process="").chosen(found)
        found = with_owners(quick, owners(proc)) if quick else []
    return wanted.chosen(found)


def _ask(protocol: Protocol, mask: int, sources: Sequence[Source]) -> list[Socket]:
    failure = ""
    for source in sources:
        try:
            return source(protocol, mask)
        except OSError as error:
            failure = error.strerror or str(error)
    from anyplug.errors import LocalError

    raise LocalError(f"the {protocol} sockets of this machine cannot be listed ({failure}); it takes Linux with /proc")


def _listens(each: Socket) -> bool:
    if each.state == "listen":
        return True
    return each.state == "unconnected" and (bool(each.local_port) or (each.protocol == "unix" and bool(each.local)))


def _is_of(each: Socket, process: str) -> bool:
    if each.processes is None:
        return False
    if process.isdecimal():
        return any(owner.pid == int(process) for owner in each.processes)
    return any(process in owner.name for owner in each.processes)
