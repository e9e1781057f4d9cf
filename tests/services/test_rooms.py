"""The state machine of one room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyplug.errors import Code, Refused
from anyplug.schemas.talk import Event, Here, Joined, Left, Notice, Renamed, Said, Welcome
from anyplug.services.rooms import Heard, Room, Rules

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = 1_000


def room_of(*nicks: str, **rules: Any) -> Room[int]:
    """A room with members 0, 1, ... of these names."""
    room: Room[int] = Room("lobby", Rules(**rules))
    for member, nick in enumerate(nicks):
        room.enter(member, nick, time=NOW)
    return room


def notice(heard: list[Heard[int]], member: int) -> str:
    """The one thing that was told, to that member alone."""
    ((event, only, but),) = heard
    assert isinstance(event, Notice)
    assert (only, but) == (member, None)
    return event.text


def said(position: int, nick: str, text: str) -> Said:
    return Said(position=position, nick=nick, text=text, time=NOW)


# Coming and going.


def test_who_comes_first_is_told_so() -> None:
    room: Room[int] = Room("lobby", Rules())
    assert room.enter(0, time=NOW) == [
        Heard(Joined(nick="guest-1", here=1, time=NOW), but=0),
        Heard(Welcome(room="lobby", nick="guest-1", nicks=(), here=1, position=0, history=0), only=0),
    ]
    assert (len(room), 0 in room, 1 in room, room.nick(0)) == (1, True, False, "guest-1")


def test_who_comes_later_hears_who_is_here_and_what_was_said() -> None:
    room = room_of("ann", "bob", history=2)
    for text in ("one", "two", "three"):
        room.hear(0, text, time=NOW)
    assert room.enter(2, "eve", time=NOW) == [
        Heard(Joined(nick="eve", here=3, time=NOW), but=2),
        Heard(Welcome(room="lobby", nick="eve", nicks=("ann", "bob"), here=3, position=3, history=2), only=2),
        Heard(said(2, "ann", "two"), only=2),
        Heard(said(3, "ann", "three"), only=2),
    ]


def test_a_crowd_is_told_by_some_names_and_the_number() -> None:
    room = room_of("ann", "bob", "eve", names=2)
    welcome = room.enter(3, "zoe", time=NOW)[1].event
    assert isinstance(welcome, Welcome)
    assert (welcome.nicks, welcome.here) == (("ann", "bob"), 4)
    assert room.hear(3, "/who", time=NOW) == [Heard(Here(nicks=("zoe", "ann"), here=4), only=3)]


def test_guests_get_names_that_nobody_has() -> None:
    room = room_of("guest-2", "", "")
    assert [room.nick(member) for member in range(3)] == ["guest-2", "guest-1", "guest-3"]
    room.leave(1, time=NOW)
    room.enter(4, time=NOW)
    assert room.nick(4) == "guest-4"


@pytest.mark.parametrize(("nick", "why"), [("ANN", "somebody here is called ANN already"), ("a b", "a name has no")])
def test_a_name_that_cannot_be_had_makes_a_guest_who_is_told_why(nick: str, why: str) -> None:
    room = room_of("ann")
    heard = room.enter(1, nick, time=NOW)
    assert notice(heard[2:], 1).startswith(why)
    assert room.nick(1) == "guest-1"


def test_a_full_room_refuses() -> None:
    room = room_of("ann", "bob", members=2)
    with pytest.raises(Refused, match="the room lobby is full: 2 are in it") as caught:
        room.enter(2, time=NOW)
    assert caught.value.code is Code.BUSY
    assert 2 not in room
    room.leave(0, time=NOW)
    room.enter(2, "ann", time=NOW)
    assert room.nick(2) == "ann"


def test_the_others_hear_who_leaves_and_once() -> None:
    room = room_of("ann", "bob")
    assert room.leave(0, "the connection broke", time=NOW) == [
        Heard(Left(nick="ann", here=1, time=NOW, why="the connection broke"), but=0)
    ]
    assert room.leave(0, time=NOW) == []


# Saying.


def test_what_one_says_all_others_hear() -> None:
    room = room_of("ann", "bob")
    assert room.hear(0, "hello", time=NOW) == [Heard(said(1, "ann", "hello"), but=0)]
    assert room.hear(1, "hi", time=NOW) == [Heard(said(2, "bob", "hi"), but=1)]
    assert (room.position, list(room.history)) == (2, [said(1, "ann", "hello"), said(2, "bob", "hi")])


@pytest.mark.parametrize(("line", "text"), [("//who", "/who"), ("//", "/"), (" /who", " /who"), ("88 6", "88 6")])
def test_lines_that_only_look_like_more_are_said(line: str, text: str) -> None:
    assert room_of("ann").hear(0, line, time=NOW) == [Heard(said(1, "ann", text), but=0)]


def test_an_empty_line_is_nothing() -> None:
    room = room_of("ann")
    assert room.hear(0, "", time=NOW) == []
    assert room.position == 0


@pytest.mark.parametrize(("text", "size"), [("x" * 11, 11), ("世" * 4, 12)])
def test_a_message_too_long_is_not_said_and_its_speaker_hears_why(text: str, size: int) -> None:
    room = room_of("ann", message=10)
    why = f"that was not said: a message has 10 bytes at most, this one has {size}"
    assert notice(room.hear(0, text, time=NOW), 0) == why
    assert (room.position, len(room.history)) == (0, 0)
    assert room.hear(0, "世世世", time=NOW) == [Heard(said(1, "ann", "世世世"), but=0)]


def test_say_takes_no_commands() -> None:
    room = room_of("ann")
    for position, text in enumerate(("/quit", "886", "//x"), 1):
        assert room.say(0, text, time=NOW) == [Heard(said(position, "ann", text), but=0)]


@pytest.mark.parametrize("line", ["886", " 886 "])
def test_the_farewell_says_goodbye_tells_the_others_and_leaves(line: str) -> None:
    room = room_of("ann", "bob")
    assert room.hear(0, line, time=NOW) == [
        Heard(Notice(text="bye, ann"), only=0),
        Heard(Left(nick="ann", here=1, time=NOW, why="886"), but=0),
    ]
    assert 0 not in room


def test_the_farewell_can_be_another_word_or_none() -> None:
    room = room_of("ann", farewell="bye")
    assert room.hear(0, "886", time=NOW) == [Heard(said(1, "ann", "886"), but=0)]
    assert notice(room.hear(0, "/help", time=NOW), 0).find("bye or /quit leaves") > 0
    room.hear(0, "bye", time=NOW)
    assert 0 not in room
    room = room_of("ann", farewell="")
    assert room.hear(0, "886", time=NOW) == [Heard(said(1, "ann", "886"), but=0)]
    assert room.hear(0, " ", time=NOW) == [Heard(said(2, "ann", " "), but=0)]
    assert notice(room.hear(0, "/help", time=NOW), 0).find(" /quit leaves") > 0


@pytest.mark.parametrize(("line", "why"), [("/quit", ""), ("/quit  see you ", "see you"), ("/quit " + "x" * 11, "")])
def test_quit_leaves_with_last_words(line: str, why: str) -> None:
    room = room_of("ann", message=10)
    assert room.hear(0, line, time=NOW)[1] == Heard(Left(nick="ann", here=0, time=NOW, why=why), but=0)


def test_who_tells_who_is_here_to_who_asks() -> None:
    room = room_of("ann", "bob")
    assert room.hear(1, "/WHO", time=NOW) == [Heard(Here(nicks=("bob", "ann"), here=2), only=1)]


def test_everybody_hears_a_new_name() -> None:
    room = room_of("ann", "bob")
    assert room.hear(0, "/nick  eve ", time=NOW) == [Heard(Renamed(nick="ann", to="eve", time=NOW))]
    assert room.nick(0) == "eve"
    assert room.hear(1, "/nick ann", time=NOW) == [Heard(Renamed(nick="bob", to="ann", time=NOW))]


def test_one_may_write_the_own_name_in_another_way() -> None:
    room = room_of("ann")
    assert room.rename(0, "Ann", time=NOW) == [Heard(Renamed(nick="ann", to="Ann", time=NOW))]
    assert notice(room.rename(0, "Ann", time=NOW), 0) == "you are called Ann already"


@pytest.mark.parametrize(
    ("nick", "why"),
    [
        ("bob", "somebody here is called bob already"),
        ("BOB", "somebody here is called BOB already"),
        ("", "a name is empty"),
        ("x" * 33, "a name has 32 characters at most, not 33"),
        ("a\u202eb", "a name holds only what can be seen"),
        ("a b", "a name has no spaces"),
    ],
)
def test_a_name_that_cannot_be_had_is_told_to_who_wants_it(nick: str, why: str) -> None:
    room = room_of("ann", "bob")
    assert notice(room.hear(0, f"/nick {nick}", time=NOW), 0).startswith(why)
    assert room.nick(0) == "ann"


@pytest.mark.parametrize(("line", "shown"), [("/x y", "/x"), ("/" + "x" * 100, "/" + "x" * 38 + "…"), ("/", "/")])
def test_an_unknown_command_is_told_to_who_typed_it(line: str, shown: str) -> None:
    assert notice(room_of("ann").hear(0, line, time=NOW), 0).startswith(f"there is no command {shown}; /help tells")


# Rules and history.


def test_other_rules_hold_at_once() -> None:
    room = room_of("ann", history=3)
    for text in ("one", "two", "three"):
        room.hear(0, text, time=NOW)
    room.govern(Rules(history=2, farewell="bye"))
    assert [each.text for each in room.history] == ["two", "three"]
    room.hear(0, "886", time=NOW)
    assert [each.text for each in room.history] == ["three", "886"]


def test_what_was_said_before_is_remembered_and_counted_on() -> None:
    room: Room[int] = Room("lobby", Rules(history=2))
    room.remember(7, [said(5, "ann", "a"), said(6, "ann", "b"), said(7, "ann", "c")])
    assert [each.position for each in room.history] == [6, 7]
    room.enter(0, "bob", time=NOW)
    assert room.hear(0, "d", time=NOW) == [Heard(said(8, "bob", "d"), but=0)]


# Whatever happens.


NICKS = st.sampled_from(["ann", "Ann", "bob", "guest-1", "guest-2", "", "a b"])
STEPS = st.one_of(
    st.tuples(st.just("enter"), st.integers(0, 4), NICKS),
    st.tuples(st.just("leave"), st.integers(0, 4), st.just("")),
    st.tuples(st.just("hear"), st.integers(0, 4), st.sampled_from(["x", "y", "", "//", "/who", "886", "too long"])),
    st.tuples(st.just("hear"), st.integers(0, 4), NICKS.map("/nick {}".format)),
)


def ears(heard: Iterable[Heard[int]], member: int) -> list[Event]:
    return [each.event for each in heard if each.only in {None, member} and each.but != member]


@settings(deadline=None)
@given(st.lists(STEPS, max_size=60))
def test_all_hear_the_same_in_one_order_and_nobody_the_own_words(steps: list[tuple[str, int, str]]) -> None:
    room: Room[int] = Room("lobby", Rules(history=3, members=4, message=5))
    heard: dict[int, list[Said]] = {member: [] for member in range(5)}
    own: dict[int, list[int]] = {member: [] for member in range(5)}
    entered: dict[int, int] = {}
    for what, member, word in steps:
        before = room.position
        present = [each for each in range(5) if each in room]
        if what == "enter" and member not in room:
            if len(room) == 4:
                with pytest.raises(Refused):
                    room.enter(member, word, time=NOW)
                continue
            told = room.enter(member, word, time=NOW)
            entered[member] = room.position
            heard[member], own[member] = [], []
            past = [event for event in ears(told, member) if isinstance(event, Said)]
            assert past == list(room.history)
            present.append(member)
            told = [each for each in told if not isinstance(each.event, Said)]
        elif what == "leave":
            told = room.leave(member, word, time=NOW)
        elif what == "hear" and member in room:
            told = room.hear(member, word, time=NOW)
        else:
            continue
        if room.position > before:
            assert room.position == before + 1
            own[member].append(room.position)
        for each in present:
            heard[each] += [event for event in ears(told, each) if isinstance(event, Said)]
        assert len(room.history) <= 3
        here = [room.nick(each) for each in range(5) if each in room]
        assert len({nick.casefold() for nick in here}) == len(here) == len(room)
        for each in range(5):
            if each in room:
                positions = [event.position for event in heard[each]]
                assert sorted([*positions, *own[each]]) == list(range(entered[each] + 1, room.position + 1))
                assert positions == sorted(positions)
