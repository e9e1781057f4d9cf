"""The fan-out: one order for all, one write each, and nobody waits for who does not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyplug.errors import TooLarge
from anyplug.services.fanout import GATHER, Fanout, Listener, Voice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Turns:
    """A loop in hand."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def soon(self, call: Callable[[], None]) -> None:
        self.due.append(call)

    def turn(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()


class Ear:
    """A listener in hand. `heard` has what it was written, a list for each write."""

    def __init__(self, voice: Voice[str], *, most: int = 1 << 20) -> None:
        self.voice = voice
        self.missed: int | None = None
        self.ready = True
        self.gone = False
        self.most = most
        self.writes: list[list[str]] = []

    def put(self, frames: Sequence[bytes], joined: bytes, largest: int) -> bool:
        assert not self.gone
        assert joined == b"".join(frames)
        assert largest == max(map(len, frames))
        if largest > self.most:
            return False
        self.writes.append([frame.decode() for frame in frames])
        return True

    @property
    def heard(self) -> list[str]:
        return [text for write in self.writes for text in write]


class Written(list[str]):
    """A voice that keeps what it was asked to write."""

    def voice(self, key: str = "v", *, longest: int = 100) -> Voice[str]:
        def frames(event: str) -> list[bytes]:
            self.append(event)
            if len(event) > longest:
                raise TooLarge("message", size=len(event), limit=longest)
            return [event.encode()]

        return Voice(key, frames)


class Told:
    """A fan-out with all its ends."""

    def __init__(self) -> None:
        self.turns, self.later = Turns(), Turns()
        self.stuck: list[object] = []
        self.fanout: Fanout[str] = Fanout(
            self.turns.soon, self.later.soon, missed=lambda count: f"missed {count}", stuck=self.stuck.append
        )

    def ears(self, *voices: Voice[str], most: int = 1 << 20) -> list[Ear]:
        ears = [Ear(voice, most=most) for voice in voices]
        for ear in ears:
            self.fanout.add(ear)
        return ears

    def say(self, *events: str, but: Ear | None = None, only: Ear | None = None) -> None:
        for event in events:
            self.fanout.tell(event, but=but, only=only, counts=True)


@pytest.fixture
def told() -> Told:
    return Told()


def test_what_is_told_in_one_turn_is_written_once_and_given_by_one_write(told: Told) -> None:
    written = Written()
    ears = told.ears(*[written.voice()] * 3)
    told.say("a", "b", "c")
    assert [ear.writes for ear in ears] == [[], [], []]
    told.turns.turn()
    assert [ear.writes for ear in ears] == [[["a", "b", "c"]]] * 3
    assert written == ["a", "b", "c"]
    assert told.fanout.delivered == 9
    assert told.turns.due == []
    told.say("d")
    told.turns.turn()
    assert [ear.writes[1:] for ear in ears] == [[["d"]]] * 3


def test_each_voice_writes_for_itself(told: Told) -> None:
    one, other = Written(), Written()
    told.ears(one.voice("one"), other.voice("other"), one.voice("one"))
    told.say("a")
    told.fanout.flush()
    assert (one, other) == (["a"], ["a"])


def test_some_events_are_for_one_or_for_all_but_one(told: Told) -> None:
    a, b, c = told.ears(*[Written().voice()] * 3)
    told.say("1")
    told.say("2", but=a)
    told.say("3", only=b)
    told.say("4", but=b)
    told.fanout.flush()
    assert [ear.writes for ear in (a, b, c)] == [[["1", "4"]], [["1", "2", "3"]], [["1", "2", "4"]]]
    assert told.fanout.delivered == 8


def test_what_is_for_one_alone_is_written_for_nobody_else(told: Told) -> None:
    written = Written()
    _, b = told.ears(written.voice("a"), written.voice("b"))
    told.say("1", only=b)
    told.fanout.flush()
    assert written == ["1"]
    assert b.heard == ["1"]


def test_who_comes_hears_from_then_on_and_who_goes_until_then(told: Told) -> None:
    written = Written()
    (a,) = told.ears(written.voice())
    told.say("1")
    (b,) = told.ears(written.voice())
    told.say("2")
    told.fanout.remove(a)
    assert a.writes == [["1", "2"]]
    assert b.writes == []
    told.say("3")
    told.fanout.flush()
    assert (a.heard, b.heard) == (["1", "2"], ["2", "3"])
    assert written == ["1", "2", "3"]
    told.fanout.remove(a)
    told.fanout.remove(b)
    told.say("4")
    told.fanout.flush()
    assert (a.heard, b.heard) == (["1", "2"], ["2", "3"])


def test_who_goes_without_being_there_any_more_is_written_nothing(told: Told) -> None:
    (a,) = told.ears(Written().voice())
    told.say("1")
    a.gone = True
    told.fanout.remove(a)
    told.fanout.flush()
    assert a.writes == []


def test_who_is_gone_but_not_removed_yet_misses_nothing(told: Told) -> None:
    a, b = told.ears(*[Written().voice()] * 2)
    a.gone, a.ready = True, False
    told.say("1")
    told.say("2", but=b)
    told.say("3", only=a)
    told.fanout.flush()
    assert (a.missed, told.stuck, told.fanout.skipped) == (None, [], 0)
    a.missed = 3
    assert told.fanout.relieved(a) == 3
    assert a.writes == []


def test_much_in_one_turn_is_given_in_several_writes(told: Told) -> None:
    (a,) = told.ears(Written().voice())
    for number in range(10):
        told.fanout.tell(str(number), size=GATHER // 4)
    assert a.writes == [["0", "1", "2", "3"], ["4", "5", "6", "7"]]
    told.turns.turn()
    assert a.writes[2:] == [["8", "9"]]


def test_who_comes_is_greeted_at_once_and_alone(told: Told) -> None:
    (a,) = told.ears(Written().voice())
    told.say("1")
    b = Ear(Written().voice(longest=20), most=8)
    told.fanout.add(b, ["welcome", "x" * 9, "x" * 21, "last"])
    assert b.writes == [["welcome"], ["missed 1"], ["missed 1"], ["last"]]
    told.say("2")
    told.fanout.flush()
    assert (a.heard, b.heard[4:]) == (["1", "2"], ["2"])


def test_what_may_wait_waits_for_company(told: Told) -> None:
    (a,) = told.ears(Written().voice())
    for event in ("1", "2"):
        told.fanout.tell(event, lazy=True)
    assert (len(told.turns.due), len(told.later.due)) == (0, 1)
    told.say("3")
    told.fanout.tell("4", lazy=True)
    assert (len(told.turns.due), len(told.later.due)) == (1, 1)
    told.turns.turn()
    assert a.writes == [["1", "2", "3", "4"]]
    told.fanout.tell("5", lazy=True)
    told.later.turn()
    assert a.writes[1:] == [["5"]]
    told.fanout.tell("6", lazy=True)
    assert len(told.later.due) == 1
    told.later.turn()
    assert a.writes[2:] == [["6"]]


def test_nothing_told_is_nothing_written(told: Told) -> None:
    (a,) = told.ears(Written().voice())
    told.fanout.flush()
    assert a.writes == []


# Who does not read.


def test_who_does_not_read_holds_up_nobody_and_hears_how_much_it_missed(told: Told) -> None:
    a, b = told.ears(*[Written().voice()] * 2)
    a.ready = False
    told.say("1", "2")
    told.say("mine", but=a)
    told.fanout.tell("joined")
    told.fanout.flush()
    assert (a.writes, b.heard) == ([], ["1", "2", "mine", "joined"])
    assert told.stuck == [a]
    a.ready = True
    told.say("3")
    told.fanout.flush()
    assert a.writes == []  # until it is known to read, nothing overtakes the news of the gap
    assert told.fanout.relieved(a) == 3
    assert told.fanout.relieved(a) is None
    told.say("4")
    told.fanout.flush()
    assert a.heard == ["missed 3", "4"]
    assert (told.stuck, told.fanout.skipped, told.fanout.delivered) == ([a], 3, 6)


def test_what_is_for_it_alone_reaches_even_who_does_not_read(told: Told) -> None:
    (a,) = told.ears(Written().voice())
    a.ready = False
    told.say("1")
    told.say("2", only=a)
    told.say("3")
    told.fanout.flush()
    assert (a.heard, a.missed, told.stuck) == (["2"], 2, [a])


def test_only_joins_missed_are_told_as_none_missed(told: Told) -> None:
    (a,) = told.ears(Written().voice())
    a.ready = False
    told.fanout.tell("joined")
    told.fanout.flush()
    assert told.fanout.relieved(a) == 0
    assert a.heard == ["missed 0"]


def test_a_listener_that_is_stuck_can_be_removed_at_once(told: Told) -> None:
    a, b = told.ears(*[Written().voice()] * 2)

    def remove(ear: Listener[str]) -> None:
        fanout.remove(ear)

    fanout: Fanout[str] = Fanout(told.turns.soon, told.later.soon, missed=str, stuck=remove)
    for ear in (a, b):
        fanout.add(ear)
    a.ready = False
    fanout.tell("1", counts=True)
    fanout.tell("2", counts=True, but=a)
    fanout.flush()
    fanout.tell("3", counts=True)
    fanout.flush()
    assert (a.heard, b.heard, fanout.skipped) == ([], ["1", "2", "3"], 1)


# What is too large.


def test_what_a_listener_cannot_take_is_told_as_missed_in_its_place(told: Told) -> None:
    (a,) = told.ears(Written().voice(), most=8)
    (b,) = told.ears(Written().voice())
    told.say("1", "x" * 9, "2")
    told.fanout.tell("y" * 9)
    told.fanout.flush()
    assert a.heard == ["1", "missed 1", "2", "missed 0"]
    assert b.heard == ["1", "x" * 9, "2", "y" * 9]
    assert (told.fanout.delivered, told.fanout.skipped) == (5, 1)


def test_what_a_voice_cannot_write_is_told_as_missed_in_its_place(told: Told) -> None:
    (a,) = told.ears(Written().voice(longest=8))
    told.say("1", "x" * 9, "2")
    told.fanout.flush()
    assert a.heard == ["1", "missed 1", "2"]


def test_where_not_even_that_can_be_written_there_is_nothing(told: Told) -> None:
    a, b = told.ears(Written().voice(longest=3), Written().voice(longest=3))
    told.say("x" * 9)
    told.fanout.flush()
    told.say("x" * 9, but=b)
    told.fanout.flush()
    a.missed = 1
    told.fanout.relieved(a)
    assert (a.writes, b.writes) == ([], [])


# Whatever happens.


STEPS = st.one_of(
    st.tuples(st.sampled_from(["say", "private", "presence", "stop", "read", "leave", "enter"]), st.integers(0, 3)),
    st.sampled_from([("turn", 0), ("moment", 0)]),
)


@settings(deadline=None)
@given(st.lists(STEPS, max_size=80))
def test_all_hear_one_order_and_the_missed_are_counted_to_the_last(steps: list[tuple[str, int]]) -> None:
    told = Told()
    voices = [Written().voice(key) for key in "aabb"]
    ears = told.ears(*voices)
    here = set(range(4))
    expected: list[list[str]] = [[] for _ in ears]
    for number, (what, who) in enumerate(steps):
        ear = ears[who]
        if what == "say":
            told.say(f"said {number}", but=ear)
            for each in here - {who}:
                expected[each].append(f"said {number}")
        elif what == "presence":
            told.fanout.tell(f"came {number}", lazy=bool(number % 2))
        elif what == "private" and who in here:
            told.say(f"private {number}", only=ear)
            expected[who].append(f"private {number}")
        elif what == "stop":
            ear.ready = False
        elif what == "read":
            ear.ready = True
            if who in here:
                told.fanout.relieved(ear)
        elif what == "leave" and who in here:
            here.discard(who)
            told.fanout.remove(ear)
            expected[who].append("left")
            ear.writes.append(["left"])
            if ear.missed is not None:
                told.fanout.relieved(ear)
        elif what == "enter" and who not in here:
            here.add(who)
            told.fanout.add(ear)
        elif what == "turn":
            told.turns.turn()
        elif what == "moment":
            told.later.turn()
    told.fanout.flush()
    for who, ear in enumerate(ears):
        ear.ready = True
        told.fanout.relieved(ear)
        heard = [text for text in ear.heard if not text.startswith(("came", "missed"))]
        left_out = sum(int(text.removeprefix("missed ")) for text in ear.heard if text.startswith("missed"))
        assert len(heard) + left_out == len(expected[who])
        left = iter(expected[who])
        assert all(text in left for text in heard)  # the same order, with gaps
        assert told.fanout.skipped >= left_out
