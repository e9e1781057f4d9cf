"""The table: which frame a session takes in which state."""

from __future__ import annotations

import pytest

from anyplug.wire.frames import Kind
from anyplug.wire.states import ROWS, TAKES, Role, State, row_for

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
    assert taken[Role.SERVER] - taken[Role.CLIENT] == {Kind.HELLO, Kind.REQUEST}
    assert taken[Role.CLIENT] - taken[Role.SERVER] == {Kind.WELCOME, Kind.REFUSED, Kind.REPLY, Kind.ERROR}
    assert taken[Role.SERVER] | taken[Role.CLIENT] == set(Kind)


@pytest.mark.parametrize("role", Role)
def test_a_frame_of_one_kind_is_read_in_one_way(role: Role) -> None:
    readers = {(kind, row.reader) for (_, kind), row in ROWS[role].items()}
    assert len(readers) == len({kind for kind, _ in readers})
