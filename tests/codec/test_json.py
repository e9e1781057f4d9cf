"""The codec json: what JSON can say, and what it refuses."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.codec import make_codec
from anyplug.errors import Code, DecodeError, EncodeError
from anyplug.testing import check_codec

CODEC = make_codec("json")

VALUES: list[object] = [
    *(None, True, False, 0, -1, 2**63, -(2**63), 2**200, 0.5, -0.0, 1e300, "", "a", '有 \N{PERFORMING ARTS} \\ " \x00'),
    *([], {}, [[]], [1, "a", None, [True]], {"a": {"b": [1.5]}, "": None}),
]

NOT_JSON: list[tuple[bytes, str]] = [
    (b"", "Input data was truncated"),
    (b" ", "Input data was truncated"),
    (b"[1, 2", "Input data was truncated"),
    (b'{"a": 1', "Input data was truncated"),
    (b'"abc', "Input data was truncated"),
    (b"tru", "Input data was truncated"),
    (b"1 2", "JSON is malformed: trailing characters (byte 3)"),
    (b"[] []", "JSON is malformed: trailing characters (byte 4)"),
    (b"NaN", "JSON is malformed: invalid character (byte 0)"),
    (b"Infinity", "JSON is malformed: invalid character (byte 0)"),
    (b"[-Infinity]", "JSON is malformed: invalid character (byte 2)"),
    (b"{1: 2}", "JSON is malformed: object keys must be strings (byte 1)"),
    (b"[1,]", "JSON is malformed: trailing comma in array (byte 3)"),
    (b"'a'", "JSON is malformed: invalid character (byte 0)"),
    (b"// comment\n1", "JSON is malformed: invalid character (byte 0)"),
    (b"\xef\xbb\xbf1", "JSON is malformed: invalid character (byte 0)"),
    (b'"\x00"', "JSON is malformed: invalid character (byte 1)"),
    (b"1e400", "Number out of range"),
    (b"1" * 4301, "Integer value out of range"),
    (b"[" + b"1" * 100_000 + b"]", "Integer value out of range - at `$[0]`"),
    (b'"\xff"', "a text in it is not UTF-8: byte 0xff at byte 0 of that text"),
    (b'{"caf\xe9": 1}', "a text in it is not UTF-8: byte 0xe9 at byte 3 of that text"),
    (b'"\xed\xa0\x80"', "a text in it is not UTF-8: byte 0xed at byte 0 of that text"),
]


def test_json_keeps_the_contract_of_codecs() -> None:
    check_codec(lambda: make_codec("json"), VALUES, [body for body, _ in NOT_JSON])


@pytest.mark.parametrize("value", VALUES)
def test_the_standard_library_reads_and_writes_the_same(value: object) -> None:
    assert json.loads(CODEC.encode(value)) == value
    assert CODEC.decode(json.dumps(value).encode()) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_any_value_of_json_comes_back(value: object) -> None:
    assert CODEC.decode(CODEC.encode(value)) == value


@given(st.binary())
def test_any_bytes_are_a_value_or_an_error(body: bytes) -> None:
    try:
        value = CODEC.decode(body)
    except DecodeError:
        return
    assert CODEC.decode(CODEC.encode(value)) == value


@pytest.mark.parametrize(("body", "problem"), NOT_JSON)
def test_what_is_no_json_is_refused_with_its_place(body: bytes, problem: str) -> None:
    with pytest.raises(DecodeError) as caught:
        CODEC.decode(body)
    assert str(caught.value) == f"not a valid json message: {problem}"
    assert caught.value.code is Code.BAD_MESSAGE


def test_half_of_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(DecodeError, match="JSON is malformed"):
        CODEC.decode(b'"\\ud800 and more text"')
    with pytest.raises(DecodeError):
        CODEC.decode(b'"\\ud800"')


def test_a_pair_of_surrogates_is_its_character() -> None:
    assert CODEC.decode(b'"\\ud83c\\udfad"') == "\N{PERFORMING ARTS}"


def test_the_last_of_two_same_keys_wins() -> None:
    assert CODEC.decode(b'{"a": 1, "b": 2, "a": 3}') == {"a": 3, "b": 2}
    assert make_codec("json", dict[str, int]).decode(b'{"a": 1, "a": 3}') == {"a": 3}


@pytest.mark.parametrize(
    ("value", "back"),
    [
        ((1, 2), [1, 2]),
        ({1: "a"}, {"1": "a"}),
        (b"\xff\xfe", "//4="),
        (dt.date(2026, 11, 20), "2026-11-20"),
        (math.nan, None),
        (math.inf, None),
    ],
)
def test_what_json_has_no_type_for_comes_back_as_documented(value: object, back: object) -> None:
    assert CODEC.decode(CODEC.encode(value)) == back


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (1j, "the value is of type complex: Encoding objects of type complex is unsupported"),
        ({"a": [1, {2j}]}, "`.a[1]{…}` is of type complex: Encoding objects of type complex is unsupported"),
        (
            ["ok", {"name": "\ud800"}],
            "`[1].name` is of type str: 'utf-8' codec can't encode character '\\ud800' in position 0",
        ),
        (
            {"a": {(1, 2): 3}},
            "a key of `.a` is of type tuple: Only dicts with str-like or number-like keys are supported",
        ),
        (
            [10**5000],
            "`[0]` is of type int: Exceeds the limit (4300 digits) for integer string conversion",
        ),
    ],
)
def test_what_cannot_be_said_in_json_is_refused_with_its_place(value: Any, problem: str) -> None:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode(value)
    assert caught.value.problem.startswith(problem)
    assert caught.value.codec == "json"
