"""Messages in parts as a plug session hears them: what may come between, floods, ends in the middle."""

from __future__ import annotations

import pytest

from anyplug.errors import Code
from anyplug.limits import FRAME_MAX, Limits
from anyplug.wire import Role, State
from tests.wire.network import (
    BYE,
    DATA,
    ERROR,
    HELLO,
    PART,
    PING,
    PONG,
    REPLY,
    REQUEST,
    WELCOME,
    facts,
    feed,
    frame,
    greeting,
    in_state,
    number,
    outcome_every_way,
    refusal,
)

CLIENT, SERVER = Role.CLIENT, Role.SERVER
LIMITS = Limits(message=100, parts=4)


@pytest.mark.parametrize(
    ("role", "stream", "expected"),
    [
        (SERVER, frame(PART, b"a") + frame(DATA, b"b"), [("Data", [b"ab"])]),
        (SERVER, frame(PART) + frame(PART) + frame(DATA), [("Data", [b""])]),
        (
            SERVER,
            frame(DATA, b"1") + frame(PART, b"a") + frame(DATA, b"b") + frame(DATA, b"2"),
            [("Data", [b"1", b"ab", b"2"])],
        ),
        (SERVER, (frame(PART, b"a") + frame(DATA, b"b")) * 3, [("Data", [b"ab"] * 3)]),
        (SERVER, frame(PART, number(7)[:2]) + frame(REQUEST, number(7)[2:]), [("Requests", [(7, b"")])]),
        (SERVER, frame(PART, number(7) + b"a") + frame(REQUEST, b"b"), [("Requests", [(7, b"ab")])]),
        (CLIENT, frame(PART, number(7) + b"a") + frame(REPLY, b"b"), [("Replies", [(7, b"ab")])]),
        (
            SERVER,
            frame(PART, b"a") + frame(PONG, b"x") + frame(PART, b"b") + frame(DATA, b"c"),
            [("Pong", b"x"), ("Data", [b"abc"])],
        ),
        (SERVER, frame(PART, b"a" * 60) + frame(DATA, b"b" * 40), [("Data", [b"a" * 60 + b"b" * 40])]),
        (
            SERVER,
            frame(PART, number(1) + b"a" * 60) + frame(REQUEST, b"b" * 40),
            [("Requests", [(1, b"a" * 60 + b"b" * 40)])],
        ),
        (SERVER, frame(PART) * 4 + frame(DATA, b"x"), [("Data", [b"x"])]),
    ],
)
def test_parts_and_their_last_frame_are_one_message(role: Role, stream: bytes, expected: list[object]) -> None:
    outcome = outcome_every_way(lambda: in_state(role, State.OPEN, LIMITS), stream)
    assert outcome == (expected, b"", State.OPEN, True)


def test_a_ping_between_parts_is_answered_at_once() -> None:
    session = in_state(SERVER, State.OPEN)
    session.receive_data(frame(PART, b"a") + frame(PING, b"now"))
    assert session.data_to_send() == frame(PONG, b"now")
    session.receive_data(frame(DATA, b"b"))
    assert facts(session.events()) == [("Data", [b"ab"])]


def test_an_error_may_come_between_parts() -> None:
    session = in_state(CLIENT, State.OPEN)
    session.receive_data(frame(PART, b"a") + frame(ERROR, number(3) + refusal(30)) + frame(DATA, b"b"))
    assert [event[0] for event in facts(session.events())] == ["Failed", "Data"]


@pytest.mark.parametrize(
    ("role", "stream", "text", "code"),
    [
        (
            SERVER,
            frame(PART, b"a") + frame(BYE, refusal()),
            "a BYE frame between the parts of a message",
            Code.PROTOCOL,
        ),
        (SERVER, frame(PART) + frame(HELLO, greeting()), "a HELLO frame in the state 'open'", Code.PROTOCOL),
        (CLIENT, frame(PART) + frame(WELCOME, greeting()), "a WELCOME frame in the state 'open'", Code.PROTOCOL),
        (SERVER, frame(PART) + frame(REPLY, number(1)), "a REPLY frame in the state 'open'", Code.PROTOCOL),
        (SERVER, frame(PART) + frame(31), "unknown frame kind 31", Code.PROTOCOL),
        (SERVER, frame(PART) * 5, "message too large: 5 parts, the limit is 4 parts", Code.TOO_LARGE),
        (SERVER, frame(PART, b"x") * 5, "message too large: 5 parts, the limit is 4 parts", Code.TOO_LARGE),
        (SERVER, frame(PART, b"x" * 36) * 3 + frame(PART, b"x"), "message too large: 101 bytes", Code.TOO_LARGE),
        (SERVER, frame(PART, b"x" * 109), "message too large: 101 bytes, the limit is 100 bytes", Code.TOO_LARGE),
        (SERVER, frame(PART, b"x" * 60) + frame(DATA, b"x" * 41), "message too large: 101 bytes", Code.TOO_LARGE),
        (SERVER, frame(PART, b"x" * 104) + frame(DATA), "message too large: 104 bytes", Code.TOO_LARGE),
        (SERVER, frame(PART, b"x" * 64) + frame(REQUEST, b"x" * 41), "message too large: 101 bytes", Code.TOO_LARGE),
        (CLIENT, frame(PART, b"x" * 64) + frame(REPLY, b"x" * 41), "message too large: 101 bytes", Code.TOO_LARGE),
        (SERVER, frame(PART, b"\0") + frame(REQUEST, b"\0\0"), "a request id of 3 bytes, expected 4", Code.PROTOCOL),
        (
            SERVER,
            frame(PART, b"\0") + frame(REQUEST, b"\0\0\0"),
            "the request id 0; ids begin at 1 and end below 2^63",
            Code.PROTOCOL,
        ),
    ],
)
def test_what_breaks_a_message_in_parts_is_a_fault_that_the_peer_is_told(
    role: Role, stream: bytes, text: str, code: Code
) -> None:
    good = frame(DATA, b"good")
    outcome = outcome_every_way(lambda: in_state(role, State.OPEN, LIMITS), good + stream)
    data, fault = outcome.facts
    assert data == ("Data", [b"good"])
    assert fault[2] == code.word
    assert fault[3].startswith(text)
    assert (outcome.said[0], outcome.said[4], outcome.said[5]) == (BYE, 0x92, code)
    assert feed(in_state(role, State.OPEN, LIMITS), [good + stream, frame(DATA, b"after")], eof=True) == outcome


def test_a_flood_of_parts_holds_no_more_than_the_limit() -> None:
    for size, most in ((0, 0), (1, 1024), (1000, 100_000)):
        session = in_state(SERVER, State.OPEN, Limits(message=100_000, parts=1024))
        while session.receiving:
            session.receive_data(frame(PART, b"x" * size))
            assert session.pending <= most + 4
        assert session.pending == 0


def test_the_end_of_the_stream_between_parts_is_broken() -> None:
    for stream in (frame(PART), frame(PART, b"x"), frame(PART, b"x") + frame(PING)):
        outcome = outcome_every_way(lambda: in_state(SERVER, State.OPEN), stream, eof=True)
        assert outcome.facts[-1][3].endswith("the peer closed the stream inside a message")


def test_the_largest_message_of_the_defaults_arrives() -> None:
    session = in_state(SERVER, State.OPEN)
    full = frame(PART, b"x" * FRAME_MAX)
    for _ in range(63):
        session.receive_data(full)
    assert session.pending == 63 * FRAME_MAX
    session.receive_data(frame(DATA, b"x" * FRAME_MAX))
    ((_, bodies),) = facts(session.events())
    assert [len(body) for body in bodies] == [16 * 1024 * 1024]
    assert session.pending == 0
