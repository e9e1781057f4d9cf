"""Requests and replies encoded for a shell that puts them on the network at once."""

from __future__ import annotations

import pytest

from anyplug.errors import ConnectionClosed, LocalError, TooLarge
from anyplug.limits import FRAME_MAX, Limits
from anyplug.wire import PlugSession, Role, State
from anyplug.wire.sender import ID_MAX
from tests.wire.network import in_state

CLIENT, SERVER = Role.CLIENT, Role.SERVER


def say(session: PlugSession, verb: str, number: int, body: bytes) -> None:
    if verb == "REQUEST":
        session.send_request(number, body)
    else:
        session.send_reply(number, body)


BOTH = pytest.mark.parametrize(("verb", "role"), [("REQUEST", CLIENT), ("REPLY", SERVER)])


@BOTH
@pytest.mark.parametrize("size", [0, 1, 100, FRAME_MAX - 4, FRAME_MAX - 3, FRAME_MAX + 10])
def test_what_is_encoded_in_a_hurry_is_the_same_bytes(verb: str, role: Role, size: int) -> None:
    limits = Limits(message=2 * FRAME_MAX, queue=4 * FRAME_MAX)
    one, other = in_state(role, State.OPEN, limits), in_state(role, State.OPEN, limits)
    body = bytes(size)
    say(other, verb, ID_MAX, body)
    assert one.encode_numbered(ID_MAX, body) == other.data_to_send()
    assert one.queued == 0


@pytest.mark.parametrize(
    ("role", "value", "size", "problem"),
    [
        (SERVER, 0, 0, "request id 0, expected 1 to"),
        (SERVER, ID_MAX + 1, 0, "expected 1 to"),
        (SERVER, 1, 101, "message too large"),
        (CLIENT, 0, 0, "request id 0, expected 1 to"),
        (CLIENT, ID_MAX + 1, 0, "expected 1 to"),
        (CLIENT, 1, 101, "message too large"),
    ],
)
def test_what_cannot_be_said_cannot_be_encoded(role: Role, value: int, size: int, problem: str) -> None:
    session = in_state(role, State.OPEN, Limits(message=100))
    with pytest.raises((LocalError, TooLarge), match=problem):
        session.encode_numbered(value, bytes(size))
    assert session.queued == 0


@pytest.mark.parametrize("role", Role)
def test_nothing_is_encoded_after_the_end(role: Role) -> None:
    session = in_state(role, State.OPEN)
    session.send_eof()
    session.data_to_send()
    with pytest.raises(ConnectionClosed):
        session.encode_numbered(1, b"")
