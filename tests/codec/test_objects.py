"""The codec objects: what is sent comes back equal and of the same types; what cannot travel is told with its path."""

from __future__ import annotations

import cmath
import collections
import datetime as dt
import enum
import pickle
import socket
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import TZPATH, ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import anyplug
from anyplug.codec import make_codec
from anyplug.codec.objects import check_travels
from anyplug.errors import DecodeError, EncodeError, LocalError
from anyplug.limits import Limits
from anyplug.testing import check_codec
from tests.codec.exact import SCALARS, VALUES, exactly

CODEC = make_codec("objects")
PLAIN = make_codec("msgpack")


def is_nan(value: Any) -> bool:
    return isinstance(value, float | complex) and cmath.isnan(value)


def test_objects_keeps_the_contract_of_codecs() -> None:
    bad = [b"", b"\x92\x01", b"\xc1", b"\x01\x02", b"\xd4\x01\x00", b"\xd4\x01\xc1", b"\x91\xd4\x7f\xc1", b"\xa1\xff"]
    check_codec(lambda: make_codec("objects"), [value for value in VALUES if len(repr(value)) < 5_000], bad)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_every_type_comes_back_equal_and_of_the_same_type(value: object) -> None:
    back = CODEC.decode(CODEC.encode(value))
    assert exactly(back, value), back


@pytest.mark.parametrize("value", SCALARS, ids=lambda value: type(value).__name__)
def test_every_scalar_that_hashes_is_a_key_and_an_item_of_a_set(value: Any) -> None:
    if isinstance(value, bytearray) or is_nan(value):
        return
    for container in ({value: 1}, {(value,): value}, {value}, frozenset({value, (value,)})):
        assert CODEC.decode(CODEC.encode(container)) == container
        assert [*map(type, CODEC.decode(CODEC.encode({value: 1})))] == [type(value)]


ZONES = st.sampled_from([None, dt.UTC, *map(ZoneInfo, ("Europe/Zurich", "Asia/Kolkata", "America/St_Johns"))])
DATES = st.datetimes(timezones=ZONES) | st.dates() | st.timedeltas()
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**300), 2**300)
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
    | st.ip_addresses()
    | DATES
)
KEYS = st.recursive(
    ATOMS.filter(lambda value: not is_nan(value)),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.recursive(
    ATOMS | KEYS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=5)
        | st.sets(KEYS, max_size=5)
        | st.lists(inner, max_size=5).map(collections.deque)
    ),
    max_leaves=12,
)


@given(OBJECTS)
def test_any_value_comes_back_exactly(value: object) -> None:
    assert exactly(CODEC.decode(CODEC.encode(value)), value)


@given(st.integers(-(2**14_000), 2**14_000))
def test_any_integer_comes_back(value: int) -> None:
    assert CODEC.decode(CODEC.encode([value])) == [value]


def test_decimals_that_are_not_a_number_come_back() -> None:
    for text in ("NaN", "-NaN", "NaN123", "sNaN", "-sNaN7"):
        back = CODEC.decode(CODEC.encode(Decimal(text)))
        assert str(back) == text


def test_decimals_come_back_whatever_the_context() -> None:
    with localcontext(Context(prec=2, Emax=3, Emin=-3, traps=[])):
        value = Decimal("123456789E+99")
        assert CODEC.decode(CODEC.encode(value)).as_tuple() == value.as_tuple()
        with pytest.raises(DecodeError, match="out of range"):
            CODEC.decode(b"\x92\xd4\x13\xc1\xb6" + b"99E+999999999999999999")


def test_plain_values_are_plain_msgpack() -> None:
    value = {"a": [1, 2.5, None, True, {"b": b"x"}], 7: "seven"}
    assert CODEC.encode(value) == PLAIN.encode(value)
    now = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    assert CODEC.encode([now]) == PLAIN.encode([now])


def test_shared_parts_arrive_as_copies() -> None:
    part = [1]
    back = CODEC.decode(CODEC.encode([part, part]))
    assert back == [[1], [1]]
    assert back[0] is not back[1]


# What cannot travel.


class Handle:
    """Something that cannot travel."""


class Level(enum.IntEnum):
    LOW = 1


class Name(str):
    __slots__ = ()


class Odd(dt.tzinfo):
    def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(0)

    dst = utcoffset

    def tzname(self, _: dt.datetime | None) -> str:
        return "odd"


class Pair(NamedTuple):
    left: int


class Point(msgspec.Struct):
    x: int


@dataclass
class Station:
    name: str


def with_handle() -> dict[str, Any]:
    return {"readings": [1, 2, 3, {"socket": Handle()}]}


SURROGATE = "half of a surrogate pair at index 1, which UTF-8 has no form for"

REFUSED: list[tuple[object, str]] = [
    (Handle(), "the value is of type Handle: it does not travel: send its data, or make it a dataclass and call "),
    (with_handle(), "`.readings[3].socket` is of type Handle: "),
    ((1, [{2: Handle()}]), "`[1][0][2]` is of type Handle: "),
    ({"a b": (Handle(),)}, "`['a b'][0]` is of type Handle: "),
    ({(1, 2): Handle()}, "`[tuple]` is of type Handle: "),
    ({Handle(): 1}, "a key of the value is of type Handle: "),
    ({"a": {(1, Handle()): 1}}, "a key of `.a` is of type tuple: it does not travel"),
    ([{Handle()}], "`[0]{…}` is of type Handle: "),
    (collections.deque([1, Handle()]), "`[1]` is of type Handle: "),
    (collections.OrderedDict(a=Handle()), "`.a` is of type Handle: "),
    ([Handle], "`[0]` is of type type: "),
    ([len], "`[0]` is of type builtin_function_or_method: "),
    ([memoryview(b"x")], "`[0]` is of type memoryview: a view of memory does not travel: send bytes(value)"),
    ([Level.LOW], "`[0]` is of type Level: the class is not registered: call anyplug.register(Level) on both ends"),
    ([Point(1)], "`[0]` is of type Point: the class is not registered: call anyplug.register(Point) on both ends"),
    ([Station("a")], "`[0]` is of type Station: the class is not registered: call anyplug.register(Station) on both"),
    ([Pair(1)], "`[0]` is of type Pair: the class is not registered: call anyplug.register(Pair) on both ends"),
    ([Name("a")], "`[0]` is of type Name: a str of another class does not travel: send str(value)"),
    ({Name("a"): 1}, "a key of the value is of type Name: a str of another class does not travel: send str(value)"),
    ({"a": collections.Counter("a")}, "`.a` is of type Counter: a dict of another class does not travel: send dict("),
    ({"a": collections.defaultdict(int)}, "`.a` is of type defaultdict: a dict of another class does not travel: "),
    ([type("Many", (list,), {})()], "`[0]` is of type Many: a list of another class does not travel: send list(value)"),
    ([dt.datetime(2026, 1, 1, tzinfo=Odd())], "`[0]` is of type Odd: only zones of datetime.timezone and zoneinfo."),
    (["a\udc80"], f"`[0]` is of type str: it holds {SURROGATE}"),
    ({"b": {"a\ud800": 1}}, f"a key of `.b` is of type str: it holds {SURROGATE}"),
    ({("a\ud800",): 1}, f"a key of the value is of type tuple: it holds {SURROGATE}"),
    ({2**70: 1, "a\ud800": 1}, f"a key of the value is of type str: it holds {SURROGATE}"),
    ("a\udc80", f"the value is of type str: it holds {SURROGATE}"),
    ([1, 2**14_400], "`[1]` is of type int: it has more than 1,785 bytes, some 4,299 digits, which is the limit"),
    ({"a": (10**5_000,)}, "`.a[0]` is of type int: it has more than 1,785 bytes"),
    ([Fraction(1, 10**5_000)], "`[0][1]` is of type int: it has more than 1,785 bytes"),
    ([Decimal("9" * 4_301)], "`[0]` is of type Decimal: it has 4,301 characters, the limit is 4,300"),
]


@pytest.mark.parametrize(("value", "problem"), REFUSED, ids=[problem[:60] for _, problem in REFUSED])
def test_what_cannot_travel_is_refused_with_its_path(value: object, problem: str) -> None:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode(value)
    assert caught.value.problem.startswith(problem)
    assert caught.value.codec == "objects"
    with pytest.raises(EncodeError):
        check_travels(value)


def test_a_real_socket_is_refused_with_its_path() -> None:
    with socket.socket() as made, pytest.raises(EncodeError, match=r"`\.readings\[3\]\.socket` is of type socket: it"):
        CODEC.encode({"readings": [1, 2, 3, {"socket": made}]})


def test_what_travels_is_not_refused() -> None:
    for value in VALUES:
        check_travels(value)


def test_a_zone_that_was_read_from_a_file_is_refused() -> None:
    found = next(file for file in (Path(folder) / "UTC" for folder in TZPATH) if file.is_file())
    with found.open("rb") as file:
        zone = ZoneInfo.from_file(file)
    with pytest.raises(EncodeError, match="a ZoneInfo made from a file has no key"):
        CODEC.encode([zone])


def test_a_class_that_claims_to_be_of_the_library_is_refused() -> None:
    claims = type("Fraction", (), {"__module__": "fractions", "numerator": 1, "denominator": 2})
    with pytest.raises(EncodeError, match="is of type Fraction: it does not travel"):
        CODEC.encode(claims())


@pytest.mark.parametrize("wrap", [list, tuple, collections.deque, lambda items: {"k": items[0]}])
def test_a_value_that_contains_itself_is_refused_with_the_place(wrap: Any) -> None:
    inner: list[object] = [1]
    inner.append(wrap([inner]))
    step = r"\.k" if isinstance(inner[1], dict) else r"\[0\]"
    with pytest.raises(EncodeError, match=rf"`\.a\[1\]{step}` is of type list: it contains itself"):
        CODEC.encode({"a": inner})


def test_a_value_too_deep_is_refused_with_the_place() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(EncodeError) as caught:
        make_codec("objects", limits=Limits(nesting=3)).encode(deep)
    assert caught.value.problem == (
        "`[0][0][0]` is of type list: it is nested deeper than 3 levels, which is the limit (`nesting`)"
    )
    with pytest.raises(EncodeError, match="recursion"):
        make_codec("objects", limits=Limits(nesting=1_000_000)).encode(deep)
    with pytest.raises(EncodeError, match="recursion"):
        make_codec("objects", limits=Limits(nesting=1_000_000)).encode([2**70, deep])


@pytest.mark.parametrize("leaf", [1, "a", None, 2.5, b"x"])
def test_a_value_just_as_deep_as_the_limit_comes_back(leaf: object) -> None:
    for wrap in (lambda value: [value], lambda value: (value,), lambda value: {"a": value}, lambda value: {(): value}):
        inner, deep = leaf, leaf
        for _ in range(128):
            inner, deep = deep, wrap(deep)
        if isinstance(deep, dict) and () in deep:
            with pytest.raises(EncodeError, match="nested deeper"):
                CODEC.encode(deep)  # its key is one level more
            continue
        assert CODEC.decode(CODEC.encode(deep)) == deep
        assert CODEC.decode(CODEC.encode([inner])) == [inner]
        assert CODEC.decode(CODEC.encode([2**70, inner])) == [2**70, inner]  # each integer is looked at
        with pytest.raises(EncodeError, match="nested deeper than 128 levels"):
            CODEC.encode(wrap(deep))


def test_more_containers_than_a_reader_takes_are_refused() -> None:
    shared: list[object] = []
    for _ in range(30):
        shared = [shared, shared]
    with pytest.raises(EncodeError, match="the value has more than 1,000,000 containers, which is the limit"):
        CODEC.encode(shared)


def test_keys_of_one_hash_are_refused_by_the_sender_too() -> None:
    prime = 2**61 - 1
    value = {(prime * count) << 64 for count in range(1, 131)}
    assert len(set(map(hash, value))) < 3
    with pytest.raises(EncodeError, match="more than 128 keys or items share their hashes"):
        CODEC.encode([value])


CHANGING: dict[Any, Any] = {}


@anyplug.register
@dataclass
class Restless:
    late: int

    def __getattr__(self, name: str) -> int:
        CHANGING[len(CHANGING)] = 1
        return 5


def test_a_dictionary_that_changes_meanwhile_is_an_error_of_the_sender() -> None:
    CHANGING["restless"] = Restless(1)
    assert CODEC.decode(CODEC.encode(CHANGING)) == CHANGING
    del CHANGING["restless"].late
    with pytest.raises(EncodeError, match="dictionary changed size during iteration"):
        CODEC.encode(CHANGING)


# With type=.


class Count(msgspec.Struct):
    n: int


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, 2**70),
        (float, 1.5),
        (complex, 1j),
        (Fraction, Fraction(1, 3)),
        (Decimal, Decimal(1)),
        (bytearray, bytearray(b"a")),
        (range, range(3)),
        (collections.deque, collections.deque([1])),
        (collections.deque[int], collections.deque([1])),
        (tuple[int, ...], (1, 2)),
        (dict[tuple[int, int], set[str]], {(1, 2): {"a"}}),
        (list[complex | None], [1j, None]),
        (dt.datetime | None, dt.datetime.fromisoformat("2026-01-01")),
        (collections.abc.Sequence[int], (1, 2)),
        (collections.abc.Mapping[str, Any], collections.OrderedDict(a=(1,))),
    ],
)
def test_a_typed_codec_takes_its_type_as_it_is(kind: Any, value: object) -> None:
    codec = make_codec("objects", kind)
    assert exactly(codec.decode(codec.encode(value)), value)


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        (int, "1", "Expected `int`, got `str`"),
        (list[int], (1, 2), "Expected `list`, got `tuple`"),
        (dict[str, list[int]], {"a": [1, 2], "b": (3,)}, "Expected `list`, got `tuple` - at `$.b`"),
        (dict[str, list[int]], {"users": [1, "2"]}, "Expected `int`, got `str` - at `$[...][1]`"),
        (list[set[int]], [{1}, frozenset({1})], "Expected `set`, got `frozenset` - at `$[1]`"),
        (set[tuple[int]], {(1,), (2,)}, ""),
        (bytes, bytearray(b"a"), "Expected `bytes`, got `bytearray`"),
        (str, b"a", "Expected `str`, got `bytes`"),
        (dt.datetime, "2026-11-20T00:00:00Z", "Expected `datetime`, got `str`"),
        (Decimal, "1.5", "Expected `decimal`, got `str`"),
        (complex, 1.5, "Expected `complex`, got `float`"),
        (Fraction, 1, "Expected `Fraction`, got `int`"),
        (list[complex], [1j, 2], "Expected `complex`, got `int` - at `$[1]`"),
        (collections.deque[int], [1], "Expected `collections.deque[int]`, got `list`"),
        (dict[str, int], collections.OrderedDict(a=1), "Expected `dict`, got `OrderedDict`"),
        (collections.abc.Sequence[int], ("a",), "Expected `int`, got `str` - at `$[0]`"),
        (Count, {"n": 1}, "Expected `Count`, got `dict`"),
        (float, 2**60 + 1, "Expected `float`, got `int`"),
        (dict[float, int], {2**53: 1, 2**53 + 1: 2}, "keys that differ become the same"),
        (dict[float, int], {2**60 + 1: 1}, "Expected `float`, got `int` - at `$[1152921504606846977]`"),
        (set[float], {2**60 + 1}, "Expected `NoneType`, got `int` - at `${…}`"),
    ],
)
def test_another_type_is_refused_and_not_converted(kind: Any, value: object, problem: str) -> None:
    codec = make_codec("objects", kind)
    if not problem:
        assert codec.decode(CODEC.encode(value)) == value
        return
    with pytest.raises(DecodeError) as caught:
        codec.decode(CODEC.encode(value))
    assert caught.value.problem == problem
    assert caught.value.codec == "objects"


def test_an_int_becomes_the_float_that_is_wanted() -> None:
    assert repr(make_codec("objects", list[float]).decode(CODEC.encode([1, 2.5]))) == "[1.0, 2.5]"
    assert repr(make_codec("objects", set[float]).decode(CODEC.encode({1}))) == "{1.0}"


@pytest.mark.parametrize("kind", [5, Handle, list[5], "Point", Point | dict[str, int]])  # type: ignore[valid-type]
def test_what_is_no_type_is_refused_when_the_codec_is_made(kind: Any) -> None:
    with pytest.raises(LocalError, match="codec objects cannot take type="):
        make_codec("objects", kind)


def test_nothing_of_it_is_a_pickle() -> None:
    for value in SCALARS:
        with pytest.raises(Exception):  # noqa: B017 - whatever pickle makes of it
            assert pickle.loads(CODEC.encode([value])) == [value]
