"""One address on its way through the steps of a check: what the steps before have left for those behind."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    import socket

    from anyplug.address import Address
    from anyplug.messages import Event, Welcome
    from anyplug.netinfo.check_types import Facts, StepState
    from anyplug.netinfo.scan_types import Target
    from anyplug.wire.session import Session

__all__ = ["CHECK_DEFAULTS", "MESSAGE", "NOT_REACHED", "CheckOptions", "Outcome", "Walk", "failed", "ok", "skipped"]

MESSAGE: Final = "anyplug-check"
"""What a check says to a service. No menu begins so, and no service has that name."""
_READ: Final = 65536
_KEPT: Final = 4096
"""Bytes that are kept of what came first."""


class CheckOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to check."""

    timeout: float = 5.0
    """How long each step may take, seconds."""
    answer: float = 2.0
    """How long an answer to the message is waited for, seconds, and the peer's end; at most `timeout`."""
    echo: bool = True
    """Whether a message is sent: a service may keep what it gets."""
    token: str = ""
    """What entitles this client, on plug connections."""
    ca_file: str = ""
    """A file with certificates (PEM) to trust beside those of the system."""
    ends: int = 4
    """Addresses of each family that are checked at most."""


CHECK_DEFAULTS: Final = CheckOptions()
"""How to check where nothing is said."""


class Outcome(NamedTuple):
    """How a step went."""

    state: StepState
    message: str
    remedy: str = ""
    facts: Facts | None = None
    seconds: float | None = None
    """How long it took; None is all the time that it was under way."""


NOT_REACHED: Final = Outcome("skipped", "not reached")


def ok(message: str, facts: Facts | None = None) -> Outcome:
    """The step went well."""
    return Outcome("ok", message, "", facts)


def failed(message: str, remedy: str, facts: Facts | None = None) -> Outcome:
    """The step failed: what that means, and what to try next."""
    return Outcome("failed", message, remedy, facts)


def skipped(message: str) -> Outcome:
    """The step has no meaning here."""
    return Outcome("skipped", message)


class Walk:
    """One address on its way.

    Args:
        address: what the user named.
        where: the name of this end, for people.
        target: the IP address; None of a unix socket.
        options: how to check.
        alone: the host has addresses of this family alone.
    """

    __slots__ = (
        "address",
        "alone",
        "ended",
        "heard",
        "opened",
        "options",
        "session",
        "sock",
        "target",
        "tcp",
        "welcome",
        "where",
    )

    def __init__(
        self, address: Address, where: str, target: Target | None, options: CheckOptions, *, alone: bool = False
    ) -> None:
        self.address = address
        self.where = where
        self.target = target
        self.options = options
        self.alone = alone
        self.opened = ""
        """The state of TCP after the handshake."""
        self.sock: socket.socket | None = None
        """The connection, with TLS where that is spoken."""
        self.tcp = target is not None and address.kind == "stream"
        self.session: Session | None = None
        self.welcome: Welcome | None = None
        self.heard = b""
        """What came first."""
        self.ended: bool | None = False
        """Whether the peer has ended its half; None after a reset."""

    @property
    def stream(self) -> socket.socket:
        """The connection, in a step behind ``connect``."""
        assert self.sock is not None  # noqa: S101 - the steps before have failed otherwise
        return self.sock

    @property
    def patience(self) -> float:
        """How long an answer is waited for, seconds."""
        return min(self.options.answer, self.options.timeout)

    def close(self) -> None:
        """Give the socket back."""
        if self.sock is not None:
            self.sock.close()

    def send(self, data: bytes) -> None:
        """Send bytes, for as long as a step may take.

        Raises:
            OSError: it did not work.
        """
        self.stream.settimeout(self.options.timeout)
        self.stream.sendall(data)

    def receive(self, seconds: float) -> bytes | None:
        """What comes within so many seconds; empty at the end of the stream, None where nothing came.

        Raises:
            OSError: the connection broke.
        """
        self.stream.settimeout(max(seconds, 0.001))
        try:
            data = self.stream.recv(_READ)
        except TimeoutError:
            return None
        except OSError:
            self.ended = None
            raise
        if not data and self.address.kind != "datagram":
            self.ended = True
        self.heard = (self.heard + data)[:_KEPT]
        return data

    def converse(self, session: Session, seconds: float) -> list[Event]:
        """Send what the session has to say, and wait until it reports something; nothing after so many seconds.

        Raises:
            OSError: the connection broke.
        """
        deadline = time.monotonic() + seconds
        self.send(session.data_to_send())
        while not (events := session.events()):
            left = deadline - time.monotonic()
            if left <= 0 or (data := self.receive(left)) is None:
                return []
            if data:
                session.receive_data(data)
            else:
                session.receive_eof()
                return session.events()
        return events

    def readable(self, seconds: float) -> bool:
        """Whether something can be read, an end too, at the latest after so many seconds."""
        poll = select.poll()
        poll.register(self.stream, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
