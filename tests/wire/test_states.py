"""The table: which frame a session takes in which state."""

from __future__ import annotations

import pytest

from anyplug.errors import Code
from anyplug.messages import Welcome
from anyplug.wire.frames import Kind
from anyplug.wire.states import BESIDE, ROWS, TAKES, Role, State, row_for
from tests.wire.network import PREFACE, STATES, in_state

PAIRS = [(role, state, kind) for role in Role for state in State for kind in Kind]

SILENT = (State.PREFACE, State.ENDED, State.FAULTY)


@pytest.mark.parametrize(("role", "state", "kind"), PAIRS)
def test_every_view_of_the_table_says_the_same(role: Role, state: State, kind: Kind) -> None:
    row = ROWS[role].get((state, kind))
    assert row_for(role, state, kind) == row
    assert TAKES[role][state].get(kind) == row


@pytest.mark.parametrize("role", Role)
def test_before_the_preface_and_after_the_end_nothing_is_taken(role: Role) -> None:
    assert [TAKES[role][state] for state in SILENT] == [{}, {}, {}]
    assert TAKES[role][State.VERDICT] == {}


def test_each_role_has_the_states_of_its_handshake() -> None:
    assert {state for state, _ in ROWS[Role.SERVER]} == {State.HELLO, State.OPEN}
    assert {state for state, _ in ROWS[Role.CLIENT]} == {State.ANSWER, State.OPEN}


def test_what_goes_one_way_only_is_taken_by_one_role_only() -> None:
    taken = {role: {kind for _, kind in rows} for role, rows in ROWS.items()}
    assert taken[Role.SERVER] - taken[Role.CLIENT] == {Kind.HELLO, Kind.REQUEST, Kind.POST}
    assert Kind.CONTENT in taken[Role.SERVER] & taken[Role.CLIENT]
    said = {Kind.WELCOME, Kind.REFUSED, Kind.REPLY, Kind.ERROR, Kind.ACK, Kind.NACK}
    assert taken[Role.CLIENT] - taken[Role.SERVER] == said
    assert taken[Role.SERVER] | taken[Role.CLIENT] == set(Kind)


@pytest.mark.parametrize(
    ("role", "state", "what"), [(role, *pair) for role, changes in BESIDE.items() for pair in changes]
)
def test_what_no_frame_of_the_peer_makes_leads_where_it_says(role: Role, state: State, what: str) -> None:
    session = in_state(role, state)
    if what == "preface":
        session.receive_data(PREFACE)
    elif what == "WELCOME said":
        session.send_welcome(Welcome())
    else:
        assert what == "REFUSED said"
        session.send_refused(Code.BUSY, "")
    assert session.state is BESIDE[role][state, what]


@pytest.mark.parametrize("role", Role)
def test_every_state_of_a_role_is_reached_and_left_by_the_two_tables(role: Role) -> None:
    changes = {(state, row.next) for (state, _), row in ROWS[role].items()}
    changes |= {(state, after) for (state, _), after in BESIDE[role].items()}
    assert {state for pair in changes for state in pair} | {State.FAULTY} == set(STATES[role])
    assert {after for _, after in changes} | {State.PREFACE, State.FAULTY} == set(STATES[role])
    assert {state for state, _ in changes} | {State.ENDED, State.FAULTY} == set(STATES[role])


@pytest.mark.parametrize("role", Role)
def test_a_frame_of_one_kind_is_read_in_one_way(role: Role) -> None:
    readers = {(kind, row.reader) for (_, kind), row in ROWS[role].items()}
    assert len(readers) == len({kind for kind, _ in readers})
