"""What a check tells: steps, each with what was seen and what to try next."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = [
    "Answered",
    "Certificate",
    "CheckReport",
    "Closed",
    "Connected",
    "Facts",
    "Found",
    "Greeted",
    "Listeners",
    "Route",
    "Secured",
    "Speaks",
    "Step",
    "StepName",
    "StepState",
]

StepName: TypeAlias = Literal[
    "resolve", "path", "route", "connect", "tls", "handshake", "echo", "close", "speaks", "address", "bind"
]
"""The steps. ``address`` and ``bind`` are those of a listener."""

StepState: TypeAlias = Literal["ok", "failed", "unknown", "skipped"]
"""``unknown`` is said where neither can be: a datagram that nobody answers. ``skipped`` was not reached, or has no
meaning there."""


class Found(msgspec.Struct, frozen=True):
    """Of ``resolve``."""

    addresses: tuple[str, ...]
    """Every address, both families, in the order in which clients try them."""


class Route(msgspec.Struct, frozen=True):
    """Of ``route``."""

    local: str
    """The own address from which packets leave."""
    interface: str
    """The interface that has it; empty where none is known."""


class Connected(msgspec.Struct, frozen=True):
    """Of ``connect``. What TCP_INFO tells is None of a unix socket."""

    local: str
    remote: str
    round_trip: float | None
    """As the kernel measured it from SYN to SYN-ACK, seconds."""
    resent: int | None
    """Segments that were sent again: the opening SYN was lost, or its answer."""
    mtu: int | None
    """The largest packet of the path, bytes, as far as it is known."""


class Listeners(msgspec.Struct, frozen=True):
    """Of ``connect``, ``echo`` and ``bind``: what listens on this machine, where that tells more."""

    listening: tuple[str, ...]
    """Ends with their processes, as far as those are known: ``127.0.0.1:80 nginx[12]``."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate says of itself (RFC 5280). Words of a stranger, to be escaped before they are shown."""

    subject: str
    """The common name, or the organization where it has none."""
    issuer: str
    names: tuple[str, ...]
    """The names and addresses it is for (subjectAltName)."""
    not_before: float
    """From when on it is valid: seconds since 1970, UTC."""
    not_after: float
    """Until when."""


class Secured(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``tls``."""

    version: str
    cipher: str
    certificate: Certificate | None
    """None where it cannot be read."""
    verified: bool
    """Whether it is for that host, valid now, and signed by somebody whom this machine trusts."""
    days_left: float | None
    """Until it expires."""


class Greeted(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``handshake``: WELCOME, or REFUSED and its code. Words of a stranger, to be escaped before they are shown."""

    service: str
    version: int | None = None
    agent: str = ""
    codec: str = ""
    asks: bool = False
    """Whether it answers requests."""
    services: tuple[str, ...] = ()
    """What the server offers, where it tells."""
    refused: str = ""
    """The word of the code of a refusal."""
    text: str = ""
    """Its sentence."""


class Answered(msgspec.Struct, frozen=True):
    """Of ``echo``."""

    sent: int
    """Bytes of the message."""
    received: int
    """Bytes of what came for it."""
    same: bool
    """Whether the message came back, perhaps with more around it."""


class Speaks(msgspec.Struct, frozen=True):
    """Of ``speaks``. Words of a stranger, to be escaped before they are shown."""

    protocol: str
    """``anyplug``, ``tls``, ``http``, ``ssh``, ``text``, ``silent`` and the like."""
    detail: str


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``close``."""

    first: Literal["this side", "the peer", "nobody"]
    """Who ended its half first; nobody where the peer never did."""
    how: Literal["FIN", "RST", "end of stream", ""]
    """How the peer ended."""
    states: tuple[str, ...] = ()
    """The states of this side that were seen (`anyplug.netinfo.states`), in order."""
    passed: tuple[str, ...] = ()
    """These, and those between that it must have passed (RFC 9293, section 3.3.2) too quickly to be seen."""


Facts: TypeAlias = Found | Route | Connected | Listeners | Secured | Greeted | Answered | Speaks | Closed


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a check."""

    step: StepName
    state: StepState
    end: str = ""
    """Of which address; empty where it is of all."""
    seconds: float | None = None
    """How long it took; None where it was not taken."""
    message: str
    """What was seen, and what that means; may hold words of a stranger."""
    remedy: str = ""
    """What to try next, where it failed."""
    facts: Facts | None = None


class CheckReport(msgspec.Struct, frozen=True):
    """A check as a whole."""

    address: str
    steps: tuple[Step, ...]
    whole: bool
    """Whether every step was taken; False after an interruption."""

    @property
    def ok(self) -> bool:
        """No step failed."""
        return not any(step.state == "failed" for step in self.steps)
