from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.cli.shown import event_fields, is_json, json_text, object_text, terminal_bytes, terminal_text

EVIL = "\x1b[2J\u202e\x9b\x7f"

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (25, "25"),
        (10**40, str(10**40)),
        (2.5, "2.5"),
        ([1, "a", {"b": []}], '[1,"a",{"b":[]}]'),
        ({"name": "有内鬼"}, '{"name":"有内鬼"}'),
        ({1: "Client", 2: "Server"}, "{1: 'Client', 2: 'Server'}"),
        ((1, 2), "(1, 2)"),
        ([(1, 2)], "[(1, 2)]"),
        ({"a": b"\xff"}, r"{'a': b'\xff'}"),
        ({1}, "{1}"),
        (math.inf, "inf"),
        (1 + 2j, "(1+2j)"),
        (dt.date(2026, 11, 20), "datetime.date(2026, 11, 20)"),
        ({1: "\u3164"}, r"{1: '\u3164'}"),
    ],
)
def test_objects_are_json_where_nothing_is_lost_and_python_literals_elsewhere(value: object, shown: str) -> None:
    assert object_text(value) == shown


@given(VALUES)
def test_json_gives_the_value_back_and_is_fit_for_a_terminal(value: Any) -> None:
    assert is_json(value)
    text = json_text(value)
    assert text.isprintable()
    assert json.loads(text) == value


def test_json_shows_nothing_that_a_terminal_obeys() -> None:
    text = json_text([EVIL, "\U000e0041", "\\n"])
    assert text.isprintable()
    assert json.loads(text) == [EVIL, "\U000e0041", "\\n"]


def test_half_of_a_surrogate_pair_is_an_escape() -> None:
    assert json_text(["\ud800"]) == r'["\ud800"]'


@pytest.mark.parametrize(
    ("value", "text", "fields"),
    [
        ("hello", False, {"value": "hello"}),
        ([1], False, {"value": [1]}),
        (b"hello", True, {"value": "hello"}),
        (b"hello", False, {"base64": "aGVsbG8="}),
        (b"\xff", True, {"base64": "/w=="}),
        ((1,), False, {"literal": "(1,)"}),
    ],
)
def test_how_a_value_stands_in_an_event(value: object, text: bool, fields: dict[str, Any]) -> None:
    assert event_fields(value, text=text) == fields


def test_texts_of_a_peer_keep_their_lines_and_nothing_else_that_moves_the_cursor() -> None:
    assert terminal_text("a\r\nb\nc\rd\x1b[31m") == "a\nb\nc\\rd\\x1b[31m"
    assert terminal_text("全角　空白") == "全角　空白"


def test_bytes_are_text_where_they_are_utf8() -> None:
    assert terminal_bytes("有内鬼\n".encode()) == "有内鬼\n"
    assert terminal_bytes(b"a\xff\x1b\r\nb\n") == "a\\xff\\x1b\nb\n"
