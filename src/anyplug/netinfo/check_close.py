"""The step ``close``: who ends first, how, and through which states of TCP (RFC 9293, section 3.6).

The socket is asked for its state while that happens. On a quick network some states last too short to be seen; those
that must have been passed between two that were seen are told beside them.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

from anyplug.errors import AnyplugError
from anyplug.netinfo.check_types import Closed
from anyplug.netinfo.check_walk import Outcome, failed, ok
from anyplug.netinfo.ends import own_sockets
from anyplug.netinfo.sockets import Wanted
from anyplug.netinfo.tcp_info import tcp_info

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anyplug.netinfo.check_walk import Walk

__all__ = ["close", "passed"]

_LOOK: Final = 0.01
"""Seconds between two looks at the state of a socket."""
_GRACE: Final = 0.1
"""How long a peer is given to end by itself once all is said, seconds."""
_LAST_ACK: Final = 0.5
"""How long the last acknowledgement is waited for, seconds."""

_NEXT: Final[Mapping[str, tuple[str, ...]]] = {
    "established": ("fin-wait-1", "close-wait"),
    "fin-wait-1": ("fin-wait-2", "closing", "time-wait"),
    "fin-wait-2": ("time-wait",),
    "closing": ("time-wait",),
    "close-wait": ("last-ack",),
    "last-ack": ("closed",),
    "time-wait": ("closed",),
}
"""Which states follow one another in an orderly close (RFC 9293, section 3.3.2, figure 5)."""


def close(walk: Walk) -> Outcome:
    """End the conversation in order, and watch."""
    watch = _Watch(walk)
    watch.look()
    try:
        peer_first = watch.end()
    except ConnectionError:
        return _reset(watch)
    except (OSError, AnyplugError) as error:
        return failed(f"the connection broke while it was closed: {error}", "look at the server's log")
    if not walk.ended:
        return _kept(watch, walk)
    first: Literal["the peer", "this side"] = "the peer" if peer_first else "this side"
    if not walk.tcp:
        return ok(f"{first} ended first", Closed(first=first, how="end of stream"))
    if watch.finish(active=not peer_first) in {"fin-wait-1", "fin-wait-2"}:
        return _kept(watch, walk)  # it has said goodbye in TLS, and keeps the connection
    return ok(f"{first} ended first, with FIN; {watch.told()}", watch.facts(first, "FIN"))


def passed(states: Sequence[str]) -> list[str]:
    """The states, and between two of them those that lie on every way from one to the other, in an orderly close."""
    found = list(states[:1])
    for before, after in pairwise(states):
        ways = _ways(before, after)
        certain = set.intersection(*map(set, ways)) if ways else {after}
        found += [state for state in (ways[0] if ways else [before, after])[1:] if state in certain]
    return found


class _Watch:
    """The states of a socket that were seen."""

    __slots__ = ("_port", "_walk", "states")

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._port = walk.stream.getsockname()[1] if walk.tcp else 0
        self.states: list[str] = list(filter(None, [walk.opened]))

    def look(self) -> str:
        """The state now."""
        info = tcp_info(self._walk.stream) if self._walk.tcp else None
        if info is None:
            return ""
        if not self.states or self.states[-1] != info.state:
            self.states.append(info.state)
        return info.state

    def end(self) -> bool:
        """End this side, and wait for the other; whether the other was first."""
        walk = self._walk
        if walk.session is not None and not walk.ended:
            walk.session.send_eof()
            walk.send(walk.session.data_to_send())
        self._drain(walk.patience if walk.session is not None else _GRACE)
        if isinstance(walk.sock, ssl.SSLSocket) and not walk.ended:
            with suppress(OSError, ValueError):
                walk.sock.settimeout(walk.patience)
                walk.sock = walk.sock.unwrap()
        state = self.look()
        peer_first = state == "close-wait" if state else bool(walk.ended)  # an end of TLS is not yet one of TCP
        with suppress(OSError):
            walk.stream.shutdown(socket.SHUT_WR)
        self.look()
        self._drain(walk.patience)
        return peer_first

    def finish(self, *, active: bool) -> str:
        """Watch the rest: the last acknowledgement, or what the kernel keeps after it. Returns the last state."""
        deadline = time.monotonic() + _LAST_ACK
        while self.look() not in {"closed", "time-wait"} and time.monotonic() < deadline:
            time.sleep(_LOOK)
        if active and self.states[-1:] == ["closed"] and self._waits():
            self.states[-1] = "time-wait"
        return self.states[-1]

    def told(self) -> str:
        """The states in a row; those in brackets were too quick to be seen."""
        seen = list(self.states)
        words = []
        for state in self._passed():
            shown = bool(seen) and seen[0] == state
            words.append(state if shown else f"({state})")
            del seen[: int(shown)]
        return " -> ".join(words) or "its states are not told here"

    def facts(
        self, first: Literal["this side", "the peer", "nobody"], how: Literal["FIN", "RST", "end of stream", ""]
    ) -> Closed:
        """What was seen."""
        return Closed(first=first, how=how, states=tuple(self.states), passed=tuple(self._passed()))

    def _passed(self) -> list[str]:
        return list(self.states) if self._walk.ended is None else passed(self.states)  # a reset needs no others

    def _drain(self, seconds: float) -> None:
        """Read until the peer ends, for so many seconds; looking at the state on the way."""
        walk = self._walk
        deadline = time.monotonic() + min(seconds, walk.patience)
        while not walk.ended and (left := deadline - time.monotonic()) > 0:
            self.look()
            if walk.readable(min(left, _LOOK)):
                with suppress(ssl.SSLWantReadError):
                    walk.receive(left)
        self.look()

    def _waits(self) -> bool:
        """Whether the kernel keeps the connection in TIME-WAIT. The socket itself says ``closed`` by then."""
        port, far = self._port, self._walk.address.port
        found = own_sockets(Wanted(protocols=("tcp",), states=frozenset({"time-wait"})))
        return any(each.local_port == port and each.remote_port == far for each in found)


def _reset(watch: _Watch) -> Outcome:
    watch.look()
    return failed(
        f"the peer reset the connection with RST; {watch.told()}",
        "it closed before it had read everything, or refuses what it got: what was under way then may be lost",
        watch.facts("the peer", "RST"),
    )


def _kept(watch: _Watch, walk: Walk) -> Outcome:
    told = f"; {watch.told()}" if walk.tcp else ""
    problem = f"the peer has not ended its half within {walk.patience:g} s{told}"
    return Outcome("unknown", problem, "it may wait for more, or not look for ends", watch.facts("nobody", ""))


def _ways(before: str, after: str) -> list[list[str]]:
    """Every way from one state to another."""
    if before == after:
        return [[after]]
    return [[before, *way] for state in _NEXT.get(before, ()) for way in _ways(state, after)]
