"""Whatever bytes come, in whatever state and pieces, a plug session answers with events: nothing is ever raised.

Any chunking of one stream gives the same events, and what is held stays below the limit of messages and one frame.
"""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from anyplug.errors import AnyplugError
from anyplug.limits import FRAME_MAX, Limits
from anyplug.messages import Fault
from anyplug.wire import Kind, PlugSession, Role, State
from tests.wire.network import (
    BYE,
    DATA,
    ERROR,
    PART,
    PING,
    PONG,
    PREFACE,
    REPLY,
    REQUEST,
    STATES,
    cut_at,
    feed,
    frame,
    in_state,
    number,
    refusal,
)

PLACES = [(role, state) for role, states in STATES.items() for state in states]
LIMITS = [Limits(), Limits(message=20, parts=3), Limits(message=FRAME_MAX + 10), Limits(message=1, queue=10)]

packed = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["version", "service", "message", "codec", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
).map(msgspec.msgpack.encode)
ids = st.sampled_from([0, 1, 2**32 - 1]).map(number)
payloads = st.one_of(
    *[st.binary(max_size=30), packed, st.builds(bytes.__add__, ids, packed), st.just(refusal(2, "why"))],
    st.sampled_from([b"\x81\xa7version\x01", b"\x80"]),
)
frames = st.builds(frame, st.sampled_from(list(Kind)), payloads)
noise = st.one_of(st.binary(max_size=12), st.builds(frame, st.integers(0, 255), payloads), st.just(PREFACE))
streams = st.lists(st.one_of(frames, frames, frames, noise), max_size=12).map(b"".join)
cuts = st.lists(st.integers(0, 400), max_size=8)


def fresh(role: Role, state: State, limits: Limits) -> PlugSession:
    session = in_state(role, state if state is not State.FAULTY else State.OPEN, limits)
    if state is State.FAULTY:
        session.receive_data(frame(200))
        session.events()
        session.data_to_send()
    return session


@given(st.sampled_from(PLACES), st.sampled_from(LIMITS), streams, cuts, st.booleans())
def test_any_bytes_in_any_state_and_any_pieces_are_the_same_events(
    place: tuple[Role, State], limits: Limits, stream: bytes, cuts: list[int], eof: bool
) -> None:
    if place[1] is State.PREFACE:
        stream = PREFACE + stream
    limits = msgspec.structs.replace(limits, queue=1024 * 1024)
    whole = feed(fresh(*place, limits), [stream], eof=eof)
    assert feed(fresh(*place, limits), cut_at(stream, cuts), eof=eof) == whole
    assert feed(fresh(*place, limits), [stream[at : at + 1] for at in range(len(stream))], eof=eof) == whole


@given(st.sampled_from(PLACES), st.sampled_from(LIMITS), streams, cuts, st.booleans())
def test_nothing_is_raised_nothing_follows_a_fault_and_little_is_held(
    place: tuple[Role, State], limits: Limits, stream: bytes, cuts: list[int], eof: bool
) -> None:
    session = fresh(*place, limits)
    for piece in cut_at(stream, cuts):
        session.receive_data(piece)
        assert session.pending <= limits.message + FRAME_MAX + 8
    if eof:
        session.receive_eof()
        session.receive_data(stream)
    events = session.events()
    for at, event in enumerate(events):
        if isinstance(event, Fault):
            assert at == len(events) - 1
            assert isinstance(event.error, AnyplugError)
            assert (session.state, session.receiving) == (State.FAULTY, False)
            assert not session.sending or session.queued  # what came before the fault may still be answered
    assert session.receiving or session.pending == 0
    assert session.queued == len(session.data_to_send())
    assert session.state is not State.FAULTY or not session.sending


def messages(role: Role) -> st.SearchStrategy[bytes]:
    """One thing that a peer may rightly say in an open conversation."""
    bodies = st.binary(max_size=30)
    numbered = st.builds(bytes.__add__, st.integers(1, 2**32 - 1).map(number), bodies)
    between = st.one_of(
        st.builds(frame, st.just(PING), st.binary(max_size=64)),
        st.builds(frame, st.just(PONG), st.binary(max_size=64)),
        *([st.just(frame(ERROR, number(4) + refusal(30, "no")))] if role is Role.CLIENT else []),
    )
    data = st.tuples(st.just(DATA), bodies)
    last = st.one_of(data, data, st.tuples(st.just(REQUEST if role is Role.SERVER else REPLY), numbered))
    parts = st.lists(st.one_of(st.integers(0, 10), between), max_size=3)

    def build(message: tuple[int, bytes], places: list[int | bytes]) -> bytes:
        kind, payload = message
        said = b""
        for place in places:
            if isinstance(place, bytes):
                said += place
            else:
                said += frame(PART, payload[:place])
                payload = payload[place:]
        return said + frame(kind, payload)

    return st.one_of(between, st.builds(build, last, parts))


scripts = st.sampled_from(list(Role)).flatmap(
    lambda role: st.tuples(st.just(role), st.lists(messages(role), max_size=10).map(b"".join), st.booleans())
)


@given(scripts, cuts)
def test_a_valid_script_is_heard_without_a_fault_however_it_is_cut(
    script: tuple[Role, bytes, bool], cuts: list[int]
) -> None:
    role, stream, bye = script
    if bye:
        stream += frame(BYE, refusal())
    whole = feed(in_state(role, State.OPEN), [stream], eof=bye)
    assert "Fault" not in {fact[0] for fact in whole.facts}
    assert whole.state is (State.ENDED if bye else State.OPEN)
    assert feed(in_state(role, State.OPEN), cut_at(stream, cuts), eof=bye) == whole
