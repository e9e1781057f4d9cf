"""Sessions without a network: made in any state, joined in pairs, fed in every way, and told apart by plain facts.

Frames and payloads are written here by hand, so that a mistake of the code under test does not hide in its own encoder.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from anyplug.errors import AnyplugError
from anyplug.limits import DEFAULTS
from anyplug.messages import Content, Data, Fault, Hello, Posts, Refusal, Replies, Requests, Welcome
from anyplug.testing.framing import deliveries
from anyplug.wire import PlugSession, Role, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from anyplug.limits import Limits
    from anyplug.messages import Event
    from anyplug.wire import Session

__all__ = [
    "ACK",
    "BYE",
    "CONTENT",
    "DATA",
    "ERROR",
    "HELLO",
    "NACK",
    "PART",
    "PING",
    "PONG",
    "POST",
    "PREFACE",
    "REFUSED",
    "REPLY",
    "REQUEST",
    "STATES",
    "WELCOME",
    "Fact",
    "Outcome",
    "cut_at",
    "exchange",
    "facts",
    "feed",
    "frame",
    "greeting",
    "header",
    "in_state",
    "join",
    "number",
    "open_pair",
    "outcome_every_way",
    "refusal",
    "sequence",
]

PREFACE = b"\x89PLUG\r\n\n"

STATES = {
    Role.SERVER: (State.PREFACE, State.HELLO, State.VERDICT, State.OPEN, State.ENDED, State.FAULTY),
    Role.CLIENT: (State.PREFACE, State.ANSWER, State.OPEN, State.ENDED, State.FAULTY),
}
"""The states that a session of each role passes through."""

DATA, HELLO, WELCOME, REFUSED, REQUEST, REPLY, ERROR, PING, PONG, BYE, PART, POST, ACK, NACK, CONTENT = range(15)

Fact = tuple[Any, ...]


def frame(kind: int, payload: bytes = b"") -> bytes:
    """One frame, whatever its kind: u8 kind, u24 length, payload."""
    return bytes([kind]) + len(payload).to_bytes(3, "big") + payload


def header(kind: int, length: int) -> bytes:
    """The header of a frame whose payload is not sent."""
    return bytes([kind]) + length.to_bytes(3, "big")


def number(value: int) -> bytes:
    """A request's id."""
    return value.to_bytes(4, "big")


def sequence(value: int) -> bytes:
    """A post's sequence."""
    return value.to_bytes(8, "big")


def greeting(**fields: object) -> bytes:
    """The payload of HELLO or WELCOME with just these fields."""
    return msgspec.msgpack.encode(fields)


def refusal(code: int = 0, text: str = "") -> bytes:
    """The payload of REFUSED and BYE, for codes below 128 and ASCII texts below 32 characters."""
    return bytes([0x92, code, 0xA0 | len(text)]) + text.encode("ascii")


def in_state(role: Role, state: State, limits: Limits = DEFAULTS) -> PlugSession:
    """A session brought to this state by its peer, its events and bytes taken."""
    session = PlugSession(role, limits)
    if role is Role.CLIENT:
        session.send_hello(Hello(service="echo"))
    if state is not State.PREFACE:
        session.receive_data(PREFACE)
    if role is Role.CLIENT and state not in {State.PREFACE, State.ANSWER}:
        session.receive_data(frame(WELCOME, greeting(version=1)))
    if role is Role.SERVER and state not in {State.PREFACE, State.HELLO}:
        session.receive_data(frame(HELLO, greeting(version=1, service="echo")))
        if state is not State.VERDICT:
            session.send_welcome(Welcome(service="echo"))
    if state is State.ENDED:
        session.receive_data(frame(BYE, refusal()))
    if state is State.FAULTY:
        session.receive_data(frame(255))
    assert session.state is state
    session.events()
    session.data_to_send()
    return session


def exchange(*sessions: Session) -> list[list[Event]]:
    """Carry bytes between two sessions until both are quiet; what happened at each."""
    happened: list[list[Event]] = [[], []]
    while any(session.queued for session in sessions):
        for at, session in enumerate(sessions):
            data = session.data_to_send()
            if data:
                sessions[1 - at].receive_data(data)
                happened[1 - at] += sessions[1 - at].events()
    return happened


def open_pair(client: Limits = DEFAULTS, server: Limits = DEFAULTS) -> tuple[PlugSession, PlugSession]:
    """A client and a server that have greeted each other over the same two objects that go on."""
    ends = PlugSession(Role.CLIENT, client), PlugSession(Role.SERVER, server)
    ends[0].send_hello(Hello(service="echo"))
    assert [type(event) for event in exchange(*ends)[1]] == [Hello]
    ends[1].send_welcome(Welcome(service="echo", asks=True))
    assert [type(event) for event in exchange(*ends)[0]] == [Welcome]
    return ends


def join(events: Iterable[Event]) -> list[Event]:
    """The same events with neighbouring batches of one kind joined, as if all had come at once."""
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(event, Data) and isinstance(last, Data):
            joined[-1] = Data(last.bodies + event.bodies)
        elif isinstance(event, Requests) and isinstance(last, Requests):
            joined[-1] = Requests(last.items + event.items)
        elif isinstance(event, Replies) and isinstance(last, Replies):
            joined[-1] = Replies(last.items + event.items)
        elif isinstance(event, Posts) and isinstance(last, Posts):
            joined[-1] = Posts(last.items + event.items)
        else:
            joined.append(event)
    return joined


def facts(events: Iterable[Event]) -> list[Fact]:
    """Joined events as tuples that can be compared; of a fault its type, code and sentence."""
    return [_fact(event) for event in join(events)]


def _fact(event: Event) -> Fact:
    if isinstance(event, Fault):
        error = event.error
        assert isinstance(error, AnyplugError)
        return ("Fault", type(error).__name__, error.code.word, str(error))
    if isinstance(event, Content):
        return ("Content", event.transfer, event.index, event.digest, b"".join(event.pieces))
    name = "Refused" if isinstance(event, Refusal) else type(event).__name__
    return (name, *msgspec.structs.astuple(event))


class Outcome(NamedTuple):
    """What a session made of a stream."""

    facts: list[Fact]
    said: bytes
    """What it has to say to its peer, in all."""
    state: State
    batches: bool
    """Whether any message was whole."""


def feed(session: PlugSession, pieces: Sequence[bytes], *, eof: bool = False, hurry: bool = False) -> Outcome:
    """Feed the pieces, and the end of the stream, taking events after each.

    Args:
        hurry: as a shell in a hurry does, to which messages and answers may be returned.
    """
    events: list[Event] = []
    said = b""
    received = session.received + sum(map(len, pieces))
    for piece in pieces:
        if hurry and (answer := session.receive_answer(piece)) is not None:
            events.append(Replies([answer]))
        elif hurry:
            bodies = session.receive_messages(piece)
            events += [Data(bodies)] if bodies else []
        else:
            session.receive_data(piece)
        events += session.events()
        said += session.data_to_send()
        assert session.queued == 0
    assert session.received == received
    if eof:
        session.receive_eof()
        events += session.events()
    return Outcome(facts(events), said + session.data_to_send(), session.state, bool(session.batches))


def cut_at(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The stream, cut at those places."""
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:stop] for start, stop in pairwise(edges)]


def outcome_every_way(make: Callable[[], PlugSession], stream: bytes, *, eof: bool = False) -> Outcome:
    """What a stream comes to: whole, byte by byte, cut at every place, in pieces of many sizes, taken either way; all
    have to agree.
    """
    outcome = feed(make(), [stream], eof=eof)
    assert feed(make(), [stream], eof=eof, hurry=True) == outcome, "fed in a hurry"
    for pieces in deliveries(stream):
        assert feed(make(), pieces, eof=eof) == outcome, f"fed as {pieces}"
        assert feed(make(), pieces, eof=eof, hurry=True) == outcome, f"fed in a hurry as {pieces}"
    return outcome
