"""Tests talk to this machine alone: whatever leaves loopback is stopped, and fails the test that tried.

Python tells of every `connect`, `bind`, `sendto` and name lookup of its `socket` module through audit events; uvloop
does its own in C, so its loop is asked before it acts. What is stopped is also remembered: a test that swallows the
error fails all the same. A program that a test starts is not watched.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Any

__all__ = ["OutsideError", "SocketGuard", "is_local"]

_NAMED = {"bind": "binds", "connect": "connects to", "sendto": "sends to", "sendmsg": "sends to", "lookup": "looks up"}
_INTERNET = (socket.AF_INET, socket.AF_INET6)


class OutsideError(Exception):
    """A test reached beyond loopback. Not an `OSError`: the code under test must not take it for one of its own."""


class SocketGuard:
    """Judges addresses, stops the bad ones and remembers them until `take` asks.

    `may_bind` holds the addresses beyond loopback that the running test binds on purpose.
    """

    def __init__(self) -> None:
        self.may_bind: frozenset[str] = frozenset()
        self._caught: list[str] = []

    def install(self) -> None:
        """Watch this process from now on. Python has no way to take such a watch back."""
        sys.addaudithook(self.audit)

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        """Take one audit event of the interpreter, and raise `OutsideError` for one that leaves loopback."""
        if not event.startswith("socket."):
            return
        verb = event.removeprefix("socket.")
        if verb == "getaddrinfo":
            self.check("lookup", args[0])
        elif verb in _NAMED and args[0].family in _INTERNET and args[1] is not None:
            self.check(verb, args[1][0])

    def check(self, verb: str, host: object) -> None:
        """Raise `OutsideError` unless `host` is of this machine, or the test may bind it."""
        text = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host or "")
        if is_local(verb, text) or (verb == "bind" and text in self.may_bind):
            return
        remedy = "mark it with pytest.mark.may_bind(...) if that is its purpose" if verb == "bind" else "use 127.0.0.1"
        sentence = f"the test {_NAMED[verb]} {text!r}, which is not loopback; {remedy}"
        self._caught.append(sentence)
        raise OutsideError(sentence)

    def take(self) -> list[str]:
        """What was stopped since the last call."""
        caught, self._caught = self._caught, []
        return caught


def is_local(verb: str, host: str) -> bool:
    """Whether `verb` on `host` stays on this machine. A number is looked up without asking; an empty host is all."""
    if host == "localhost" or (host == "" and verb == "lookup"):
        return True
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return False
    if verb == "lookup":
        return True
    mapped = getattr(number, "ipv4_mapped", None)
    return (mapped or number).is_loopback
