"""Signs of life: a ping comes back as a pong, and they do not pile up."""

from __future__ import annotations

import pytest

from anyplug.limits import Limits
from anyplug.wire import Role, State
from tests.wire.network import DATA, PING, PONG, feed, frame, in_state
from tests.wire.test_plug import unbroken

SERVER = Role.SERVER


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("payload", [b"", b"\x00", b"x" * 64])
def test_a_ping_comes_back_as_a_pong(role: Role, payload: bytes) -> None:
    outcome = unbroken(role, State.OPEN, frame(PING, payload) * 3 + frame(DATA, b"x"))
    assert outcome.facts == [("Data", [b"x"])]
    assert outcome.said == frame(PONG, payload) * 3


def test_a_ping_is_not_answered_after_our_own_end() -> None:
    session = in_state(SERVER, State.OPEN)
    session.send_eof()
    session.data_to_send()
    assert feed(session, [frame(PING), frame(PONG)]).said == b""


def test_pongs_do_not_pile_up_for_a_peer_that_does_not_read() -> None:
    session = in_state(SERVER, State.OPEN, Limits(queue=1000))
    for _ in range(100):
        session.receive_data(frame(PING, b"x" * 64) * 10)
    assert 1000 <= session.queued < 1000 + 68
    session.data_to_send()
    session.receive_data(frame(PING))
    assert session.data_to_send() == frame(PONG)
