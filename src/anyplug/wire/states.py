"""What a peer may send when: the plug protocol as a table.

A row says: in this state a frame of this kind is read by that reader, and leads to this state. A pair without a row is
a protocol error. The table speaks of what is *received*; sending follows from the calls a session offers. The diagram
in ``docs/protocol.md`` is drawn from these rows.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from anyplug.wire.frames import Kind

__all__ = ["BESIDE", "ROWS", "TAKES", "Role", "Row", "State", "row_for"]


class Role(Enum):
    """Which end of the connection a session is."""

    CLIENT = "client"
    SERVER = "server"


class State(Enum):
    """What a session expects from its peer."""

    PREFACE = "preface"
    """The eight bytes of the preface."""
    HELLO = "hello"
    """A server waits for the client's HELLO."""
    VERDICT = "verdict"
    """A server has the HELLO and owes the answer; the client waits."""
    ANSWER = "answer"
    """A client has sent HELLO and waits for WELCOME or REFUSED."""
    OPEN = "open"
    """The conversation."""
    ENDED = "ended"
    """The peer has said BYE, or REFUSED: it sends no more. This side may still finish."""
    FAULTY = "faulty"
    """The peer broke the protocol, or its stream ended in the middle. Nothing is read any more."""


class Row(NamedTuple):
    """One row of the table."""

    reader: str
    """Who reads payloads of this kind: a method of the session, or one of `anyplug.wire.readers`."""
    next: State
    """The state after it."""


ROWS: dict[Role, dict[tuple[State, Kind], Row]] = {
    Role.SERVER: {
        (State.HELLO, Kind.HELLO): Row("hello", State.VERDICT),
        (State.OPEN, Kind.DATA): Row("data", State.OPEN),
        (State.OPEN, Kind.REQUEST): Row("requests", State.OPEN),
        (State.OPEN, Kind.POST): Row("posts", State.OPEN),
        (State.OPEN, Kind.CONTENT): Row("content", State.OPEN),
        (State.OPEN, Kind.PART): Row("parts", State.OPEN),
        (State.OPEN, Kind.PING): Row("pings", State.OPEN),
        (State.OPEN, Kind.PONG): Row("pongs", State.OPEN),
        (State.OPEN, Kind.BYE): Row("bye", State.ENDED),
    },
    Role.CLIENT: {
        (State.ANSWER, Kind.WELCOME): Row("welcome", State.OPEN),
        (State.ANSWER, Kind.REFUSED): Row("refused", State.ENDED),
        (State.OPEN, Kind.DATA): Row("data", State.OPEN),
        (State.OPEN, Kind.REPLY): Row("replies", State.OPEN),
        (State.OPEN, Kind.PART): Row("parts", State.OPEN),
        (State.OPEN, Kind.ERROR): Row("errors", State.OPEN),
        (State.OPEN, Kind.ACK): Row("acks", State.OPEN),
        (State.OPEN, Kind.NACK): Row("nacks", State.OPEN),
        (State.OPEN, Kind.CONTENT): Row("content", State.OPEN),
        (State.OPEN, Kind.PING): Row("pings", State.OPEN),
        (State.OPEN, Kind.PONG): Row("pongs", State.OPEN),
        (State.OPEN, Kind.BYE): Row("bye", State.ENDED),
    },
}
"""The whole protocol, by role."""

BESIDE: dict[Role, dict[tuple[State, str], State]] = {
    Role.SERVER: {
        (State.PREFACE, "preface"): State.HELLO,
        (State.VERDICT, "WELCOME said"): State.OPEN,
        (State.PREFACE, "REFUSED said"): State.ENDED,
        (State.HELLO, "REFUSED said"): State.ENDED,
        (State.VERDICT, "REFUSED said"): State.ENDED,
    },
    Role.CLIENT: {
        (State.PREFACE, "preface"): State.ANSWER,
    },
}
"""The changes of state that no frame of the peer makes: its preface, and what this side says. From every state but the
last two a violation or the end of the stream leads to `State.FAULTY`."""

TAKES: dict[Role, dict[State, dict[int, Row]]] = {
    role: {state: {kind: row for (at, kind), row in rows.items() if at is state} for state in State}
    for role, rows in ROWS.items()
}
"""The same by state: what a session in it takes."""


def row_for(role: Role, state: State, kind: Kind) -> Row | None:
    """The row, or None where the peer may not send this now."""
    return TAKES[role][state].get(kind)
