"""Events of a room: maps for programs, lines for people."""

from __future__ import annotations

import msgspec
import pytest

from anyplug.schemas.talk import Event, Here, Joined, Left, Missed, Notice, Renamed, Said, Welcome, lines

CASES: list[tuple[Event, list[str]]] = [
    (Said(position=1, nick="ann", text="hello", time=5), ["ann: hello"]),
    (Joined(nick="ann", here=3, time=5), ["* ann joined (3 here)"]),
    (Joined(nick="ann", here=1000, time=5), ["* ann joined (1,000 here)"]),
    (Left(nick="ann", here=2, time=5), ["* ann left (2 here)"]),
    (Left(nick="ann", here=2, time=5, why="886"), ["* ann left (2 here): 886"]),
    (Renamed(nick="guest-1", to="bob", time=5), ["* guest-1 is now bob"]),
    (Missed(count=12), ["* you missed 12 messages"]),
    (Missed(count=1), ["* you missed 1 message"]),
    (Missed(count=0), ["* you missed who came and went; /who tells who is here"]),
    (Notice(text="no"), ["* no"]),
    (Here(nicks=("ann", "bob"), here=2), ["* 2 here: ann, bob"]),
    (Here(nicks=("ann", "bob"), here=1002), ["* 1,002 here: ann, bob and 1,000 more"]),
    (
        Welcome(room="lobby", nick="ann", nicks=(), here=1, position=0, history=0),
        ["* you are ann in lobby, and nobody else is here"],
    ),
    (
        Welcome(room="lobby", nick="ann", nicks=("bob", "eve"), here=4, position=9, history=2),
        ["* you are ann in lobby with bob, eve and 1 more", "* said before (2):"],
    ),
]


@pytest.mark.parametrize(("event", "shown"), CASES, ids=str)
def test_an_event_is_a_line_to_people(event: Event, shown: list[str]) -> None:
    assert lines(event) == shown


@pytest.mark.parametrize("event", [event for event, _ in CASES], ids=str)
def test_an_event_is_a_map_to_programs_and_comes_back(event: Event) -> None:
    assert msgspec.to_builtins(event)["type"] == type(event).__name__.lower()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=Event) == event
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event


EVIL = "a\n* bob joined\r\x1b[2J\u202e\x00\x9b"


@pytest.mark.parametrize(
    "event",
    [
        Said(position=1, nick=EVIL, text=EVIL, time=5),
        Joined(nick=EVIL, here=3, time=5),
        Left(nick=EVIL, here=3, time=5, why=EVIL),
        Renamed(nick=EVIL, to=EVIL, time=5),
        Notice(text=EVIL),
        Here(nicks=(EVIL,), here=1),
        Welcome(room=EVIL, nick=EVIL, nicks=(EVIL,), here=2, position=0, history=0),
    ],
    ids=lambda event: type(event).__name__,
)
def test_nothing_that_others_wrote_is_obeyed_or_begins_a_line(event: Event) -> None:
    (line,) = lines(event)
    assert line.isprintable()
