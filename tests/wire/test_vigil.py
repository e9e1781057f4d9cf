"""Deadlines by virtual time: PING after silence, death after more, messages that must get finished, idle talk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anyplug.errors import Broken, Timeout
from anyplug.framing import Lines
from anyplug.limits import DEFAULTS, Limits
from anyplug.wire import PlainSession, Role, State, Vigil
from tests.wire.network import BYE, DATA, PING, PONG, exchange, frame, header, in_state, open_pair, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from anyplug.wire import PlugSession, Session

START = 1000.0


def seconds(first: float, last: float, step: float = 1.0) -> Iterable[float]:
    """The times of ticks from ``first`` to ``last`` after the start, both included."""
    return (START + first + step * at for at in range(int((last - first) / step) + 1))


def pings(
    vigil: Vigil,
    session: Session,
    times: Iterable[float],
    *,
    reading: bool = True,
    at: dict[float, bytes] | None = None,
) -> list[float]:
    """Tick at these times; at which of them, from the start, a PING was said. ``at`` is what comes before a tick."""
    said = []
    for now in times:
        session.receive_data((at or {}).get(now - START, b""))
        session.events()
        vigil.tick(now, reading=reading)
        if session.data_to_send() == frame(PING):
            said.append(now - START)
    return said


def watch(limits: Limits = DEFAULTS, role: Role = Role.SERVER) -> tuple[Vigil, PlugSession]:
    session = in_state(role, State.OPEN, limits)
    return Vigil(session, limits, START), session


# Silence.


@pytest.mark.parametrize("role", Role)
def test_silence_is_asked_with_ping_and_ends_in_death(role: Role) -> None:
    vigil, session = watch(role=role)
    assert pings(vigil, session, seconds(1, 39)) == [15, 30]
    with pytest.raises(Broken, match="nothing came from the peer for 40 s, not even an answer to PING"):
        vigil.tick(START + 40)


@pytest.mark.parametrize("step", [0.1, 0.5, 1.0, 2.5, 5.0])
def test_a_dead_peer_is_found_within_45_seconds_however_often_it_is_looked_after(step: float) -> None:
    vigil, _ = watch()
    died = None
    for now in seconds(0, 60, step):
        try:
            vigil.tick(now)
        except Broken:
            died = now - START
            break
    assert died is not None
    assert 40 <= died < 45


@pytest.mark.parametrize("sign", [frame(PONG), frame(PING), frame(DATA, b"x"), b"\0", frame(DATA, b"x")[:3]])
def test_any_byte_is_a_sign_of_life(sign: bytes) -> None:
    vigil, session = watch(Limits(frame_time=1e9))
    assert pings(vigil, session, seconds(1, 50), at={14: sign, 39: sign}) == [29]
    vigil.tick(START + 51)


def test_a_peer_that_answers_lives_for_ever() -> None:
    ends = open_pair()
    vigils = [Vigil(session, DEFAULTS, START) for session in ends]
    said = [0, 0]
    for now in seconds(1, 3600):
        for at, vigil in enumerate(vigils):
            vigil.tick(now)
            said[at] += ends[at].queued > 0
        exchange(*ends)
    assert said == [3600 // 16, 3600 // 16]  # 15 s after the tick that heard the last answer


def test_a_chatty_peer_is_never_pinged() -> None:
    vigil, session = watch()
    talk = {float(at): frame(DATA, b"x") for at in range(1, 200, 10)}
    assert pings(vigil, session, seconds(1, 200), at=talk) == []


def test_before_the_handshake_nobody_is_pinged() -> None:
    session = in_state(Role.SERVER, State.HELLO)
    vigil = Vigil(session, DEFAULTS, START)
    assert pings(vigil, session, seconds(1, 39)) == []
    assert session.queued == 0


def test_a_plain_peer_is_neither_pinged_nor_dead() -> None:
    session = PlainSession(Lines())
    vigil = Vigil(session, DEFAULTS, START)
    assert pings(vigil, session, seconds(1, 3600)) == []


# When this side cannot hear.


def test_while_not_reading_it_pings_on_and_declares_nobody_dead() -> None:
    vigil, session = watch()
    assert pings(vigil, session, seconds(1, 100), reading=False) == [15, 30, 45, 60, 75, 90]


def test_after_a_pause_a_peer_has_the_time_that_a_ping_leaves_it() -> None:
    vigil, session = watch()
    pings(vigil, session, seconds(1, 100), reading=False)
    assert pings(vigil, session, seconds(101, 124)) == [105, 120]
    with pytest.raises(Broken):
        vigil.tick(START + 125)


def test_a_short_pause_does_not_make_silence_longer() -> None:
    vigil, session = watch()
    pings(vigil, session, seconds(1, 5), reading=False)
    assert pings(vigil, session, seconds(6, 39)) == [15, 30]
    with pytest.raises(Broken):
        vigil.tick(START + 40)


@pytest.mark.parametrize("gap", [16, 41, 100, 100_000])
def test_a_side_that_was_held_up_itself_blames_nobody(gap: float) -> None:
    vigil, session = watch(Limits(idle=20))
    pings(vigil, session, seconds(1, 10))
    assert pings(vigil, session, [START + 10 + gap]) == [10 + gap]
    assert pings(vigil, session, seconds(11 + gap, 29 + gap)) == [25 + gap]


def test_ticks_as_far_apart_as_the_pings_are_still_a_watch() -> None:
    vigil, session = watch()
    assert pings(vigil, session, seconds(15, 30, 15)) == [15, 30]
    with pytest.raises(Broken):
        vigil.tick(START + 45)


def test_after_the_end_of_the_peer_its_silence_is_agreed() -> None:
    vigil, session = watch(Limits(idle=20))
    session.receive_data(frame(BYE, refusal()) + b"\0\0")
    assert pings(vigil, session, seconds(1, 100)) == [16, 31, 46, 61, 76, 91]
    session.send_eof()
    assert pings(vigil, session, seconds(101, 200)) == []


def test_a_long_answer_after_bye_keeps_both_sides_alive() -> None:
    client, server = open_pair()
    vigils = [Vigil(session, DEFAULTS, START) for session in (client, server)]
    client.send_request(1, b"take your time")
    client.send_eof()
    exchange(client, server)
    for now in seconds(1, 600):
        for vigil in vigils:
            vigil.tick(now)
        exchange(client, server)
    server.send_reply(1, b"done")
    server.send_eof()
    assert [type(event).__name__ for event in exchange(client, server)[0]] == ["Replies", "Ended"]


# Messages that do not get finished.


def unfinished(session: PlugSession, size: int = 100_000) -> None:
    session.receive_data(header(DATA, size))


@pytest.mark.parametrize("make", [lambda: in_state(Role.SERVER, State.OPEN), lambda: PlainSession(Lines())])
def test_a_message_that_trickles_is_given_up(make: Callable[[], Session]) -> None:
    session = make()
    vigil = Vigil(session, DEFAULTS, START)
    session.receive_data(header(DATA, 100_000) if session.has_requests else b"no end")
    trickle = {float(at): b"x" for at in range(1, 32)}
    pings(vigil, session, seconds(1, 30), at=trickle)
    with pytest.raises(Timeout, match=r"the rest of a message of the peer \(30 bytes in 30 s\): no answer within 30 s"):
        pings(vigil, session, [START + 31], at=trickle)


@pytest.mark.parametrize(("rate", "dies"), [(1023, True), (1024, False), (5000, False)])
def test_a_message_that_keeps_coming_at_the_rate_may_take_its_time(rate: int, dies: bool) -> None:
    vigil, session = watch()
    unfinished(session, 200_000)
    stream = {float(at): b"x" * rate for at in range(2, 41)}
    if dies:
        with pytest.raises(Timeout):
            pings(vigil, session, seconds(1, 40), at=stream)
    else:
        assert pings(vigil, session, seconds(1, 40), at=stream) == []


def test_a_finished_message_starts_the_time_of_the_next_anew() -> None:
    vigil, session = watch()
    one = frame(DATA, b"hello")
    stream = {0.0: one[:3], **{float(at): one[3:] + one[:3] for at in range(20, 200, 20)}}
    assert pings(vigil, session, seconds(0, 180), at=stream) == [15 + at for at in range(0, 180, 20)]


def test_control_frames_in_pieces_are_no_unfinished_message() -> None:
    vigil, session = watch()
    pong = frame(PONG)
    pieces = {float(at): pong[:2] if at % 20 == 10 else pong[2:] for at in range(10, 300, 10)}
    assert pings(vigil, session, seconds(1, 300), at=pieces) == []


def test_the_time_of_a_message_does_not_run_while_not_reading() -> None:
    vigil, session = watch()
    unfinished(session)
    pings(vigil, session, seconds(1, 20))
    pings(vigil, session, seconds(21, 100), reading=False)
    pings(vigil, session, seconds(101, 124))
    more = {float(at): b"x" for at in range(125, 140)}
    pings(vigil, session, seconds(125, 130), at=more)
    with pytest.raises(Timeout):
        pings(vigil, session, [START + 131], at=more)


def test_parts_without_an_end_are_given_up_too() -> None:
    vigil, session = watch()
    parts = {float(at): frame(10, b"x") for at in range(1, 40)}
    pings(vigil, session, seconds(1, 30), at=parts)
    with pytest.raises(Timeout, match="the rest of a message"):
        pings(vigil, session, seconds(31, 40), at=parts)


# Idle.


def test_without_an_idle_limit_people_may_think() -> None:
    vigil, session = watch()
    pongs = {float(at): frame(PONG) for at in range(15, 3600, 15)}
    assert pings(vigil, session, seconds(1, 3599), at=pongs) == []


def test_a_pong_is_no_talk_and_a_message_is() -> None:
    vigil, session = watch(Limits(idle=60))
    pongs = {float(at): frame(PONG) for at in range(10, 200, 10)}
    pings(vigil, session, seconds(1, 99), at={**pongs, 40.0: frame(DATA, b"x")})
    with pytest.raises(Timeout, match="a message of the peer: no answer within 60 s"):
        vigil.tick(START + 100)


def test_the_bytes_of_a_long_message_are_talk() -> None:
    vigil, session = watch(Limits(idle=10))
    unfinished(session, 200_000)
    pings(vigil, session, seconds(1, 59), at={float(at): b"x" * 4000 for at in range(1, 51)})
    with pytest.raises(Timeout, match="a message of the peer: no answer within 10 s"):
        vigil.tick(START + 60)


def test_idle_counts_for_plain_peers_and_not_while_not_reading() -> None:
    session = PlainSession(Lines())
    vigil = Vigil(session, Limits(idle=5), START)
    pings(vigil, session, seconds(1, 4))
    pings(vigil, session, seconds(5, 50), reading=False)
    pings(vigil, session, seconds(51, 54))
    with pytest.raises(Timeout):
        vigil.tick(START + 55)
