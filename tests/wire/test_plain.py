"""Plain sessions: one framing, no handshake, no ids, no reason at the end."""

from __future__ import annotations

import pytest

from anyplug.errors import Broken, Code, ConnectionClosed, EncodeError, ProtocolError, TooLarge
from anyplug.framing import Framing, Header, Lines, Prefix, Raw
from anyplug.messages import Data, Ended, Event, Fault, Refusal
from anyplug.testing.framing import deliveries
from anyplug.wire import PlainSession
from tests.wire.network import exchange, facts

END = ("Ended", Refusal(0, ""))

HEARD: list[tuple[Framing, bytes, list[bytes]]] = [
    (Lines(), b"one\r\ntwo\n\nlast", [b"one", b"two", b"", b"last"]),
    (Header(), b"3         one0         ", [b"one", b""]),
    (Prefix(), b"\0\0\0\3one\0\0\0\0", [b"one", b""]),
    (Raw(until="eof"), b"all of it", [b"all of it"]),
    (Lines(), b"", []),
    (Raw(until="eof"), b"", []),
]


@pytest.mark.parametrize(("framing", "stream", "bodies"), HEARD)
def test_a_stream_and_its_end_come_to_messages_and_an_end(framing: Framing, stream: bytes, bodies: list[bytes]) -> None:
    for pieces in deliveries(stream):
        session = PlainSession(framing)
        events: list[Event] = []
        for piece in pieces:
            session.receive_data(piece)
            events += session.events()
        session.receive_eof()
        events += session.events()
        assert facts(events) == ([("Data", bodies)] if bodies else []) + [END]
        assert session.received == len(stream)
        assert bool(session.batches) is bool(bodies)


@pytest.mark.parametrize(("framing", "stream"), [(each[0], each[1]) for each in HEARD[1:3]])
def test_the_end_inside_a_message_is_broken(framing: Framing, stream: bytes) -> None:
    session = PlainSession(framing)
    session.receive_data(stream + stream[:2])
    session.receive_eof()
    assert [event[0] for event in facts(session.events())] == ["Data", "Fault"]


def test_what_was_whole_before_a_fault_is_given() -> None:
    for pieces in deliveries(b"3         one" + b"x" * 10 + b"never"):
        session = PlainSession(Header())
        for piece in pieces:
            session.receive_data(piece)
        data, fault = facts(session.events())
        assert data == ("Data", [b"one"])
        assert (fault[1], fault[2]) == ("ProtocolError", "protocol")
        assert "bad length header" in fault[3]
        assert (session.pending, session.receiving) == (0, False)
        session.receive_eof()
        assert session.events() == []


def test_after_a_fault_a_last_message_can_be_said() -> None:
    session = PlainSession(Lines(limit=5))
    session.receive_data(b"much too long\n")
    (fault,) = session.events()
    assert isinstance(fault, Fault)
    assert isinstance(fault.error, TooLarge)
    assert session.sending
    session.send_data(b"sorry")
    assert session.data_to_send() == b"sorry\n"


def test_what_a_framing_cannot_carry_is_not_said() -> None:
    session = PlainSession(Lines())
    with pytest.raises(EncodeError):
        session.send_data(b"two\nlines")
    with pytest.raises(EncodeError):
        session.send_many([b"fine", b"two\nlines"])
    assert (session.queued, session.data_to_send()) == (0, b"")
    session.send_many([b"one", b"two"])
    assert (session.queued, session.data_to_send()) == (8, b"one\ntwo\n")


def test_nothing_said_leaves_nothing_behind() -> None:
    session = PlainSession(Prefix())
    session.send_many([])
    assert (session.queued, session.data_to_send()) == (0, b"")


def test_there_is_no_ping_no_bye_and_no_id() -> None:
    session = PlainSession(Lines())
    assert not session.has_requests
    assert not session.send_ping()
    session.send_eof(Code.GOING_AWAY, "not heard by anybody")
    assert (session.queued, session.sending) == (0, False)
    with pytest.raises(ConnectionClosed):
        session.send_data(b"x")


def test_two_plain_sessions_talk() -> None:
    ends = PlainSession(Prefix()), PlainSession(Prefix())
    ends[0].send_many([b"a", b"b"])
    ends[1].send_data(b"c")
    assert exchange(*ends) == [[Data([b"c"])], [Data([b"a", b"b"])]]
    ends[1].receive_eof()
    assert ends[1].events() == [Ended(Refusal(0))]
    ends[1].send_data(b"still heard")
    assert exchange(*ends)[0] == [Data([b"still heard"])]


def test_faults_are_errors_of_the_peer_or_of_the_world() -> None:
    session = PlainSession(Prefix(limit=1))
    session.receive_data(b"\0")
    session.receive_eof()
    (fault,) = session.events()
    assert isinstance(fault, Fault)
    assert isinstance(fault.error, Broken)
    session = PlainSession(Prefix(limit=1))
    session.receive_data(b"\0\0\0\2")
    (fault,) = session.events()
    assert isinstance(fault, Fault)
    assert isinstance(fault.error, ProtocolError)
