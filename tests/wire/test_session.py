"""What holds for every session: counters, events that are given once, ends that are final."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anyplug.errors import Code, ConnectionClosed, TooLarge
from anyplug.framing import Prefix
from anyplug.limits import Limits
from anyplug.messages import Data, Ended, Fault
from anyplug.wire import PlainSession, Role, Session, State
from tests.wire.network import BYE, frame, in_state, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 50
LIMITS = Limits(message=LIMIT)

SESSIONS: dict[str, Callable[[], Session]] = {
    "plug client": lambda: in_state(Role.CLIENT, State.OPEN, LIMITS),
    "plug server": lambda: in_state(Role.SERVER, State.OPEN, LIMITS),
    "plain": lambda: PlainSession(Prefix(limit=LIMIT)),
}


@pytest.fixture(params=SESSIONS)
def make(request: pytest.FixtureRequest) -> Callable[[], Session]:
    """Makes open sessions of one sort. DATA frames and the framing `prefix` have the same bytes."""
    return SESSIONS[str(request.param)]


def message(body: bytes) -> bytes:
    return frame(0, body)


def end(session: Session) -> None:
    """Have the peer end in order."""
    if session.has_requests:
        session.receive_data(frame(BYE, refusal()))
    session.receive_eof()


def test_messages_are_events_given_once_and_in_order(make: Callable[[], Session]) -> None:
    session = make()
    assert session.events() == []
    assert (session.sending, session.receiving) == (True, True)
    session.receive_data(message(b"a") + message(b"") + message(b"b")[:3])
    session.receive_data(message(b"b")[3:])
    assert session.events() == [Data([b"a", b""]), Data([b"b"])]
    assert session.events() == []


def test_bytes_and_batches_are_counted_as_they_come(make: Callable[[], Session]) -> None:
    session = make()
    received, batches = session.received, session.batches
    session.receive_data(message(b"hello")[:6])
    assert (session.received - received, session.batches - batches, session.pending) == (6, 0, 6)
    session.receive_data(message(b"hello")[6:] + message(b"") + b"\x00")
    assert (session.received - received, session.batches - batches, session.pending) == (14, 1, 1)


def test_what_is_said_waits_and_is_counted_until_it_is_taken(make: Callable[[], Session]) -> None:
    session = make()
    assert (session.queued, session.data_to_send()) == (0, b"")
    session.send_data(b"a")
    assert session.queued == 5
    session.send_many([b"bc", b"", b"d"])
    assert session.queued == 5 + 6 + 4 + 5
    session.send_many([])
    assert session.queued == 20
    assert session.data_to_send() == b"".join(map(message, [b"a", b"bc", b"", b"d"]))
    assert (session.queued, session.data_to_send()) == (0, b"")


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
def test_a_message_up_to_the_limit_is_said_and_heard(make: Callable[[], Session], size: int) -> None:
    session = make()
    session.send_data(b"x" * size)
    session.send_many([b"y", b"x" * size])
    assert session.data_to_send() == b"".join(map(message, [b"x" * size, b"y", b"x" * size]))
    session.receive_data(message(b"z" * size))
    assert session.events() == [Data([b"z" * size])]


@pytest.mark.parametrize("size", [LIMIT + 1, 10 * LIMIT])
def test_a_message_above_the_limit_is_not_said_and_nothing_beside_it(make: Callable[[], Session], size: int) -> None:
    session = make()
    with pytest.raises(TooLarge):
        session.send_data(b"x" * size)
    for bodies in ([b"a", b"x" * size], [b"x" * size, b"a"]):
        with pytest.raises(TooLarge):
            session.send_many(bodies)
    assert (session.queued, session.data_to_send()) == (0, b"")
    session.send_data(b"fits")
    assert session.data_to_send() == message(b"fits")


def test_a_message_above_the_limit_is_a_fault_and_what_came_before_is_kept(make: Callable[[], Session]) -> None:
    session = make()
    session.receive_data(message(b"good") + message(b"x" * (LIMIT + 1)) + message(b"never"))
    data, fault = session.events()
    assert data == Data([b"good"])
    assert isinstance(fault, Fault)
    assert isinstance(fault.error, TooLarge)
    assert (fault.error.size, fault.error.limit, fault.error.code) == (LIMIT + 1, LIMIT, Code.TOO_LARGE)
    assert fault.error.__traceback__ is None
    assert (session.receiving, session.pending) == (False, 0)


def test_after_the_end_of_this_side_nothing_more_is_said(make: Callable[[], Session]) -> None:
    session = make()
    session.send_eof()
    said = session.data_to_send()
    assert not session.sending
    session.send_eof(Code.FAILED, "again")
    for bodies in ([b"a"], [b"a", b"b"]):
        with pytest.raises(ConnectionClosed, match="this side has ended the conversation"):
            session.send_many(bodies)
    with pytest.raises(ConnectionClosed):
        session.send_many([])
    with pytest.raises(ConnectionClosed):
        session.send_data(b"a")
    with pytest.raises(ConnectionClosed):
        session.send_data(b"x" * (LIMIT + 1))
    assert not session.send_ping()
    assert session.data_to_send() == b""
    assert said == (frame(BYE, refusal()) if session.has_requests else b"")


def test_after_the_end_of_this_side_the_peer_is_still_heard(make: Callable[[], Session]) -> None:
    session = make()
    session.send_eof()
    session.receive_data(message(b"late"))
    end(session)
    data, ended = session.events()
    assert data == Data([b"late"])
    assert isinstance(ended, Ended)


def test_the_end_of_the_peer_is_final(make: Callable[[], Session]) -> None:
    session = make()
    session.receive_data(message(b"last"))
    end(session)
    data, ended = session.events()
    assert data == Data([b"last"])
    assert isinstance(ended, Ended)
    assert ended.refusal.reason is Code.OK
    received = session.received
    session.receive_data(message(b"never"))
    session.receive_eof()
    assert session.events() == []
    assert session.received == received + 9
    assert (session.receiving, session.pending) == (False, 0)


def test_the_end_inside_a_message_is_a_fault(make: Callable[[], Session]) -> None:
    for cut in range(1, 9):
        session = make()
        session.receive_data(message(b"hello")[:cut])
        session.receive_eof()
        session.receive_eof()
        (fault,) = session.events()
        assert isinstance(fault, Fault)
        assert type(fault.error).__name__ == "Broken"
        assert (session.receiving, session.pending) == (False, 0)
