"""What rooms and members may be called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.errors import Code
from anyplug.escape import escape
from anyplug.services.room_names import BadName, nick_of, room_of, twin


@pytest.mark.parametrize("name", ["ann", "Ann", "guest-7", "有内鬼", "Zoë", "a_b.c", "😀", "אבג", "x" * 32])
def test_a_name_is_as_it_was_given(name: str) -> None:
    assert nick_of(name, most=32) == name
    assert room_of(name, most=32) == name


BAD = [
    ("", "is empty"),
    ("x" * 33, "32 characters at most, not 33: " + "x" * 33),
    ("x" * 10_000, "not 10,000: " + "x" * 39 + "…"),
    ("a\x00b", "only what can be seen"),
    ("a\x1b[2J", "only what can be seen"),
    ("a\nb", "only what can be seen"),
    ("a\u202eb", "only what can be seen"),
    ("a\u200db", "only what can be seen"),
    ("a\xa0b", "only what can be seen"),
    ("a\\b", "no backslash"),
    ("\u0301a", "begins with a letter"),
    ("\ufdfa" * 3, "each of its letters by itself"),
    ("a/b", "no /"),
    ("a?b", None),
]


@pytest.mark.parametrize(("name", "problem"), BAD)
def test_what_is_no_name_is_refused_with_the_reason(name: str, problem: str | None) -> None:
    for check in (nick_of, room_of):
        with pytest.raises(BadName) as caught:
            check(name, most=32)
        assert caught.value.code is Code.BAD_MESSAGE
        if problem not in {None, "no /"}:
            assert str(problem) in caught.value.text


@pytest.mark.parametrize("name", ["a b", " a", "a:", "a,b", "*a"])
def test_a_member_cannot_look_like_a_line_of_the_room(name: str) -> None:
    with pytest.raises(BadName, match="a name has no spaces"):
        nick_of(name, most=32)


@pytest.mark.parametrize("name", [" a", "a "])
def test_a_room_has_no_space_at_its_ends(name: str) -> None:
    with pytest.raises(BadName, match="no space at its ends"):
        room_of(name, most=32)


def test_a_room_fits_the_name_of_a_topic() -> None:
    assert room_of("😀" * 47, most=64) == "😀" * 47
    with pytest.raises(BadName, match="190 bytes of UTF-8 at most"):
        room_of("😀" * 48, most=64)


def test_a_room_may_have_several_words() -> None:
    assert room_of("the long table: 1", most=32) == "the long table: 1"


@pytest.mark.parametrize(
    ("one", "other"),
    [("Ann", "ann"), ("Zoë", "Zoe\u0308"), ("Ａｎｎ", "ann"), ("STRASSE", "straße"), ("ﬁn", "FIN"), ("Σ", "ς")],
)
def test_twins_are_the_same(one: str, other: str) -> None:
    assert twin(one) == twin(other)


def test_others_are_not() -> None:
    assert twin("ann") != twin("anna")


def test_a_name_is_composed() -> None:
    assert nick_of("Zoe\u0308", most=32) == "Zoë"


@given(st.text(max_size=40))
def test_whatever_passes_can_be_shown_as_it_is(text: str) -> None:
    for check in (nick_of, room_of):
        try:
            name = check(text, most=32)
        except BadName:
            continue
        assert name.isprintable()
        assert escape(name) == name
        assert len(name) <= 32
        assert "/" not in name
        assert check(name, most=32) == name
