"""Escaping: whatever a peer sent is shown as text that a terminal does not obey, and that shows all there is."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anyplug.escape import escape, escape_bytes

ANYTHING = st.text(st.one_of(st.characters(), st.characters(categories=["Cs"]), st.sampled_from("\\\\\\nrtxuU0\x1b\n")))
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
PERSIAN = "می\u200cخواهم"


def number_of(escaped: str) -> int:
    return int.from_bytes(bytes.fromhex(escaped[2:]), "big")


def unescape(shown: str) -> str:
    """The text that `escape` was given: how a person reads its output, as a function."""
    short = {"\\n": "\n", "\\r": "\r", "\\t": "\t", "\\\\": "\\"}
    pattern = r"\\(?:[\\nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})"
    return re.sub(pattern, lambda match: short.get(match[0]) or chr(number_of(match[0])), shown)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain text, with (all) \"ASCII\" 'punctuation' ~",
        "有内鬼, 终止交易! Over",
        "Grüße, café, e\u0301, Ελλάδα, привет, עברית, العربية, हिन्दी, ไทย, 한국어, ひらがな",
        "👍🏽 🇩🇪 ⚡ €",
        "C:\\Music\\Bach.mp3",
        "^\\d+\\.\\w*$ \\( \\x \\u12 \\U0001f46 \\xg0 \\",
        "…",
    ],
)
@pytest.mark.parametrize("options", [{}, {"newlines": True}, {"prose": True}, {"limit": 100}])
def test_ordinary_text_stays_as_it_is(text: str, options: dict[str, bool]) -> None:
    assert escape(text, **options) == text


ESCAPED = [
    # C0, DEL, C1
    ("a\x00b", r"a\x00b"),
    ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
    ("one\ntwo\r\tthree", r"one\ntwo\r\tthree"),
    ("\x08\x7f", r"\x08\x7f"),
    ("\x85\x9b31m\x9f", r"\x85\x9b31m\x9f"),
    # direction
    ("\u202a\u202b\u202c\u202d\u202e", r"\u202a\u202b\u202c\u202d\u202e"),
    ("\u2066\u2067\u2068\u2069", r"\u2066\u2067\u2068\u2069"),
    ("\u200e\u200f\u061c", r"\u200e\u200f\u061c"),
    ("user\u202etxt.exe", r"user\u202etxt.exe"),
    # lines, spaces
    ("\u2028\u2029", r"\u2028\u2029"),
    ("\xa0\u2003\u202f\u3000", r"\xa0\u2003\u202f\u3000"),
    # what cannot be seen
    ("pay\u200bpal\u200c\u200d\u2060\ufeff\xad", r"pay\u200bpal\u200c\u200d\u2060\ufeff\xad"),
    ("\u034f\u115f\u1160\u3164\uffa0", r"\u034f\u115f\u1160\u3164\uffa0"),
    ("\u17b4\u17b5\u180b\u180f", r"\u17b4\u17b5\u180b\u180f"),
    ("a\ufe00\ufe0f\U000e0100\U000e01ef", r"a\ufe00\ufe0f\U000e0100\U000e01ef"),
    ("\U000e0041\U000e007f", r"\U000e0041\U000e007f"),
    # what is no character
    ("\ud800\udcff", r"\ud800\udcff"),
    ("\ue000\U000f0000", r"\ue000\U000f0000"),
    ("\ufffe\uffff\ufdd0\U0010ffff", r"\ufffe\uffff\ufdd0\U0010ffff"),
    ("\u0378", r"\u0378"),
    # backslashes: doubled where they could be read as the beginning of an escape
    (r"C:\new", r"C:\\new"),
    (r"\r \t \n", r"\\r \\t \\n"),
    (r"\x1b \xFF", r"\\x1b \\xFF"),
    (r"\u202e \U0001F468", r"\\u202e \\U0001F468"),
    (r"\\server", "\\\\\\server"),
    ("\\\x1b", r"\\\x1b"),
    ("\\\u200b", r"\\\u200b"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), ESCAPED)
def test_what_a_terminal_would_obey_or_nobody_would_see_is_written_out(text: str, shown: str) -> None:
    assert escape(text) == shown
    assert unescape(shown) == text


@given(ANYTHING)
@example("\\")
@example("\\\\n")
def test_every_output_is_printable_and_says_what_the_input_was(text: str) -> None:
    shown = escape(text)
    assert shown.isprintable()
    assert unescape(shown) == text


@given(ANYTHING, st.booleans())
def test_prose_and_newlines_still_say_what_the_input_was(text: str, prose: bool) -> None:
    assert unescape(escape(text, newlines=True, prose=prose)) == text


PLANES = [0, 1, 14, 16]
"""Where the characters are that are special in some way; the others hold ideographs or nothing."""


@pytest.mark.parametrize("plane", PLANES)
def test_every_character_alone_is_printable_or_written_out(plane: int) -> None:
    for number in range(plane << 16, plane + 1 << 16, 1 if plane < 16 else 97):
        character = chr(number)
        shown = escape(character)
        assert shown.isprintable()
        assert shown == character or re.fullmatch(r"\\([nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})", shown)
        if unicodedata.category(character)[0] in "CZ" and character != " ":
            assert shown != character


def test_a_newline_passes_where_lines_are_shown_and_nothing_else_does() -> None:
    assert escape("one\n\ntwo\r\n\x1b\t\\n\\\n", newlines=True) == "one\n\ntwo\\r\n\\x1b\\t\\\\n\\\n"


@given(ANYTHING)
def test_with_newlines_every_line_is_printable(text: str) -> None:
    shown = escape(text, newlines=True)
    assert all(line.isprintable() for line in shown.split("\n"))
    assert shown.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        FAMILY,
        "\u2764\ufe0f",
        "1\ufe0f\u20e3",
        "\u2764\ufe0f\u200d\U0001f525",
        PERSIAN,
        "क्\u200dष",
        "大\u3000厅",
        "10\xa0€",
    ],
)
def test_prose_keeps_what_writing_needs(text: str) -> None:
    assert escape(text, prose=True) == text
    assert escape(text).isprintable()
    assert escape(text) != text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pay\u200dpal\u200c", r"pay\u200dpal\u200c"),
        ("大\u200d厅", r"大\u200d厅"),
        ("\u200d\U0001f468\u200d", "\\u200d\U0001f468\\u200d"),
        ("\U0001f468\u200d\u200d\U0001f468", "\U0001f468\\u200d\\u200d\U0001f468"),
        ("a\ufe0f\u2764\ufe0f\ufe0f", "a\\ufe0f\u2764\ufe0f\\ufe0f"),
        ("\u200b\u202e\n\x1b\u2003", r"\u200b\u202e\n\x1b\u2003"),
    ],
)
def test_prose_keeps_nothing_where_writing_does_not_need_it(text: str, shown: str) -> None:
    assert escape(text, prose=True) == shown


@given(ANYTHING)
def test_beyond_joiners_selectors_and_two_spaces_prose_is_printable(text: str) -> None:
    assert re.sub("[\u200c\u200d\xa0\u3000]", "", escape(text, prose=True)).isprintable()


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("hello", 5, "hello"),
        ("hello!", 5, "hell…"),
        ("hello", 1, "…"),
        ("hello", 0, ""),
        ("hello", -1, ""),
        ("", 0, ""),
        ("abc\x1bdef", 7, r"abc…"),
        ("abc\x1b", 7, r"abc\x1b"),
        ("abc\x1bd", 8, r"abc\x1bd"),
        ("\x1b\x1b", 4, "…"),
        ("\x1b\x1b", 3, "…"),
        ("abcdef\x1b", 4, "abc…"),
        ("a\\U0001f468", 5, r"a\\U…"),
        ("大厅大厅", 3, "大厅…"),
    ],
)
def test_a_long_text_is_cut_between_characters(text: str, limit: int, shown: str) -> None:
    assert escape(text, limit=limit) == shown


@given(ANYTHING, st.integers(0, 30), st.booleans())
def test_a_cut_text_is_the_beginning_of_the_whole(text: str, limit: int, prose: bool) -> None:
    whole = escape(text, prose=prose)
    shown = escape(text, limit=limit, prose=prose)
    assert len(shown) <= limit
    if len(whole) <= limit:
        assert shown == whole
    elif limit:
        assert shown.endswith("…")
        assert whole.startswith(shown[:-1])
        assert text.startswith(unescape(shown[:-1]))


BYTES = [
    (b"", ""),
    (b"plain", "plain"),
    ("有内鬼".encode(), "有内鬼"),
    (b"\xc3\xa9t\xc3\xa9 \xe9t\xe9", r"été \xe9t\xe9"),
    (b"\x00\x1b[0m\n\t\x7f", r"\x00\x1b[0m\n\t\x7f"),
    (b"\xff\xfe\x80", r"\xff\xfe\x80"),
    (b"\x85 \xc2\x85 \xc2\xa0", r"\x85 \u0085 \u00a0"),
    (b"\xe2\x80\xae", r"\u202e"),
    (b"\xe6\x9c", r"\xe6\x9c"),
    (b"\xed\xb3\xbf", r"\xed\xb3\xbf"),
    (b"\xc0\x80", r"\xc0\x80"),
    (b"\\xff \xff", r"\\xff \xff"),
    (b"\\\xff", r"\\\xff"),
    (b"C:\\Music", r"C:\Music"),
]


@pytest.mark.parametrize(("data", "shown"), BYTES)
def test_bytes_are_shown_as_text_where_they_are_utf8_and_as_bytes_where_not(data: bytes, shown: str) -> None:
    assert escape_bytes(data) == shown
    assert escape_bytes(bytearray(data)) == shown
    assert escape_bytes(memoryview(data)) == shown
    assert escape_bytes(data, limit=max(1, len(shown))) == shown


def unescape_bytes(shown: str) -> bytes:
    """The bytes that `escape_bytes` was given."""
    short = {"\\n": b"\n", "\\r": b"\r", "\\t": b"\t", "\\\\": b"\\"}
    parts = re.split(r"(\\(?:[\\nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}))", shown)
    for place, part in enumerate(parts):
        if place % 2 and part not in short:
            number = number_of(part)
            short[part] = bytes([number]) if part[1] == "x" else chr(number).encode()
    return b"".join(short[part] if place % 2 else part.encode() for place, part in enumerate(parts))


@given(st.one_of(st.binary(), ANYTHING.map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_bytes_are_always_printable_and_say_what_they_were(data: bytes) -> None:
    shown = escape_bytes(data)
    assert shown.isprintable()
    assert unescape_bytes(shown) == data


@given(st.one_of(st.binary(), st.text().map(str.encode)), st.integers(0, 30))
def test_cut_bytes_are_the_beginning_of_the_whole(data: bytes, limit: int) -> None:
    whole = escape_bytes(data)
    shown = escape_bytes(data, limit=limit)
    assert len(shown) <= limit
    if len(whole) <= limit:
        assert shown == whole
    elif limit:
        assert shown.endswith("…")
        assert whole.startswith(shown[:-1])


class Counted(str):
    """A text that tells the largest part of it that was asked for."""

    __slots__ = ("asked",)
    asked: int

    def __getitem__(self, key: object) -> str:
        assert isinstance(key, slice)
        self.asked = key.stop
        return super().__getitem__(key)


def test_no_more_is_looked_at_than_is_shown() -> None:
    text = Counted("\x1b" * 10_000)
    assert escape(text, limit=9) == r"\x1b\x1b…"
    assert text.asked < 30
