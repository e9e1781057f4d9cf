"""The bounds of the machine that reads pickles: depth, size, work, memory."""

from __future__ import annotations

import pickle
import tracemalloc

import pytest

from anyplug.codec.pickle_machine import COLLISIONS_MAX, CONTAINERS_FREE, MEMO_MAX
from anyplug.codec.pickle_reader import read_pickle
from anyplug.errors import Code, DecodeError
from anyplug.limits import DEFAULTS, Limits
from tests.codec.pickles import bintext, floats, glob, long1, text

MERSENNE = 2**61 - 1
"""The modulus of Python's hash of numbers: its multiples have the hash 0."""


def read(body: bytes, limits: Limits = DEFAULTS) -> object:
    return read_pickle(body, limits=limits)


def excess(body: bytes, limits: Limits = DEFAULTS) -> str:
    with pytest.raises(DecodeError) as caught:
        read(body, limits)
    assert caught.value.code is Code.TOO_LARGE
    return caught.value.problem


def peak_of(body: bytes) -> int:
    """The most memory that reading the pickle takes, bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            read(body)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def nested(levels: int, kind: str) -> object:
    value: object = None
    for _ in range(levels):
        value = {
            "list": [1, value],
            "tuple": (value,),
            "long tuple": (1, 2, 3, value),
            "dict": {"a": value},
            "frozenset": frozenset({value}) if kind == "frozenset" else None,
            "mixed": [{"a": ((value,), 1)}],
        }[kind]
    return value


def deep_list(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels - 1):
        value = [value]
    return value


# Depth.


@pytest.mark.parametrize("kind", ["list", "tuple", "long tuple", "dict", "frozenset"])
@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_as_deep_as_the_limit_is_read_and_one_level_more_is_not(kind: str, protocol: int) -> None:
    old_set = kind == "frozenset" and protocol < 4  # made by a call: the tuple around its list is a level as well
    levels = 127 if old_set else 128
    assert read(pickle.dumps(nested(levels, kind), protocol=protocol)) == nested(levels, kind)
    sentence = excess(pickle.dumps(nested(levels + 1, kind), protocol=protocol))
    assert sentence.endswith("nests deeper than 128 levels, which is the limit (`nesting`)")


@pytest.mark.parametrize("limit", [1, 5, 500])
def test_the_depth_is_the_one_of_the_limits(limit: int) -> None:
    limits = Limits(nesting=limit)
    assert read(b"](" * limit + b"e" * limit + b".", limits) == deep_list(limit)
    assert f"deeper than {limit} levels" in excess(b"](" * (limit + 1) + b"e" * (limit + 1) + b".", limits)


def test_depth_is_the_real_one_where_parts_are_shared() -> None:
    # Each list is built flat, and refers to the one before.
    body = b"]\x940" + b"".join(b"]h" + bytes([index]) + b"a\x940" for index in range(200)) + b"N."
    assert "nests deeper than 128 levels" in excess(body)


@pytest.mark.parametrize(
    "body",
    [
        b"(" * 100_000,
        b"](" * 100_000 + b"e" * 100_000 + b".",
        b"]" * 100_000 + b"a" * 99_999 + b".",
        b"N" + b"\x85" * 100_000 + b".",
        b"}" + b"N}" * 100_000 + b"s" * 100_000 + b".",
        b"(" * 100_000 + b"\x91" * 100_000 + b".",
        b"(" * 100_000 + b"t" * 100_000 + b".",
    ],
    ids=range(7),
)
def test_a_hundred_thousand_levels_are_refused(body: bytes) -> None:
    assert "nests deeper than 128 levels" in excess(body)


# References.


def laughs(levels: int, *, kind: bytes) -> bytes:
    """A value of 2^levels leaves: each part holds the one before twice."""
    body = b"K\x01\x85\x94" if kind == b"\x86" else b"](K\x01e\x94"
    for index in range(levels - 1):
        get = b"h" + bytes([index])
        body += b"0" + (get + get + b"\x86" if kind == b"\x86" else b"](" + get + get + b"e") + b"\x94"
    return body + b"."


@pytest.mark.parametrize("kind", [b"\x86", b"e"])
def test_a_few_hundred_bytes_do_not_become_half_a_billion_leaves(kind: bytes) -> None:
    body = laughs(29, kind=kind)
    assert len(body) < 528
    assert "makes a value of more than 16,777,216 bytes by references, which is the limit" in excess(body)
    assert read(laughs(20, kind=kind)) is not None
    assert "more than 1,000 bytes by references" in excess(laughs(10, kind=kind), Limits(message=1000))


def test_a_text_referred_to_many_times_counts_each_time() -> None:
    body = bintext("a" * 100_000) + b"\x940](" + b"h\x00" * 200 + b"e."
    assert "makes a value of more than 16,777,216 bytes by references" in excess(body)
    assert read(bintext("a" * 100_000) + b"\x940](" + b"h\x00" * 100 + b"e.") == ["a" * 100_000] * 100


def test_a_large_integer_referred_to_many_times_counts_each_time() -> None:
    body = long1(2**2000) + b"\x940](" + b"h\x00" * 100_000 + b"e."
    assert "makes a value of more than 16,777,216 bytes by references" in excess(body)


@pytest.mark.parametrize("protocol", range(6))
def test_sharing_as_ordinary_programs_have_it_is_read(protocol: int) -> None:
    header = ["time", "name", "value"]
    rows = [{"header": header, "text": "the same long description " * 5, "row": (1, 2)} for _ in range(5_000)]
    assert read(pickle.dumps(rows, protocol=protocol)) == rows


def test_a_value_written_out_is_never_above_the_limit_by_its_own_size() -> None:
    body = pickle.dumps([b"x" * 50_000, "y" * 50_000, *range(100_000)])
    assert read(body, Limits(message=10)) == pickle.loads(body)


def test_a_part_cannot_be_changed_once_it_is_inside_another() -> None:
    bodies = [b"]\x94](h\x00e0h\x00K\x01a.", b"}\x94\x85h\x00K\x01K\x01s0.", b"]2a.", b"\x8f\x94\x850h\x00(K\x01\x90."]
    for body in bodies:
        with pytest.raises(DecodeError, match="adds to a value that is part of another one or of itself"):
            read(body)


def test_a_part_that_was_dropped_does_not_mark_the_next_one_at_its_place() -> None:
    body = b"](" + b"]\x850](K\x01e0" * 50 + b"]K\x01ae."
    assert read(body) == [[1]]


# Counts.


def test_containers_are_bounded_by_the_message() -> None:
    items = 100_000
    most = CONTAINERS_FREE + (items + 4) // 4
    body = b"](" + b"\x8f" * items + b"e."
    assert excess(body) == (
        f"EMPTY_SET at byte {most + 1} makes more than {most:,} containers, which is the limit for this message"
    )
    many = b"](" + b"]" * (CONTAINERS_FREE - 1) + b"e."
    assert read(many) == [[]] * (CONTAINERS_FREE - 1)


def test_small_tuples_are_not_too_many_containers() -> None:
    pairs = [(index, 1) for index in range(100_000)]
    assert read(pickle.dumps(pairs)) == pairs


def test_the_memo_is_bounded() -> None:
    assert excess(b"N" + b"\x94" * (MEMO_MAX + 1)) == (
        f"MEMOIZE at byte {MEMO_MAX + 1} remembers more than 1,000,000 values, which is the limit"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"\x80\x04Nr\x00\xb4\xc4\x04.",  # LONG_BINPUT 80,000,000
        b"Nr\xff\xff\xff\xff.",
        b"Np" + b"9" * 20 + b"\n.",
        b"X\xff\xff\xff\x7f",
        b"B\xff\xff\xff\xff",
        b"\x8e" + b"\xff" * 8,
        b"\x95" + b"\xff" * 8,
        b"\x8b\xff\xff\xff\x7f",
        b"\x96" + b"\xff" * 8,
        b"I" + b"9" * 50_000 + b"\n.",
    ],
    ids=range(10),
)
def test_a_few_bytes_take_a_few_kilobytes(body: bytes) -> None:
    body = body + b"trailing"
    assert peak_of(body) < 64 * 1024


def test_the_largest_index_alone_is_no_fault() -> None:
    assert read(b"\x80\x04Nr\x00\xb4\xc4\x04.") is None


# Work.


def test_a_long_text_cannot_be_copied_again_and_again() -> None:
    size = 1_000_000
    body = glob("_codecs", "encode") + b"\x940" + bintext("a" * size) + text("latin1") + b"\x86\x940"
    assert "copies or hashes the same values again and again" in excess(body + b"h\x00h\x01R0" * 1000)
    assert read(body + b"h\x00h\x01R0" * 10 + b"N.") is None


def test_a_long_list_cannot_become_sets_again_and_again() -> None:
    body = glob("builtins", "set") + b"\x940](" + b"N" * 100_000 + b"e\x85\x940" + b"h\x00h\x01R0" * 1000
    assert "copies or hashes the same values again and again" in excess(body)


def test_a_large_tuple_cannot_be_hashed_again_and_again() -> None:
    body = b"(" + b"K\x01" * 100_000 + b"t\x940" + b"}h\x00Ns0" * 1000
    assert "copies or hashes the same values again and again" in excess(body)


@pytest.mark.parametrize(
    "keys",
    [
        [long1(MERSENNE * factor) for factor in range(10, 110)],
        [long1(MERSENNE * factor) + b"\x85" for factor in range(100)],
        [b"(" + long1(MERSENNE * factor) + b"\x91" for factor in range(100)],
        [floats(2.0 ** (61 * (index % 10)), 2.0 ** (61 * (index // 10))) for index in range(100)],
    ],
    ids=["integers", "tuples", "frozensets", "complex"],
)
def test_keys_whose_hashes_collide_are_bounded(keys: list[bytes]) -> None:
    if len(keys[0]) == 18:
        keys = [b"h\x00" + key + b"\x86R" for key in keys]
    start = glob("builtins", "complex") + b"\x940"
    few = keys[:COLLISIONS_MAX]
    sentence = f"uses more than {COLLISIONS_MAX} keys of the same hash"
    assert len(as_dict(start + b"}(" + b"".join(key + b"N" for key in few) + b"u.")) == COLLISIONS_MAX
    assert sentence in excess(start + b"}(" + b"".join(key + b"N" for key in keys) + b"u.")
    assert sentence in excess(start + b"}" + b"".join(key + b"Ns" for key in keys) + b".")
    assert sentence in excess(start + b"\x8f(" + b"".join(keys) + b"\x90.")
    assert sentence in excess(start + b"\x8f" + b"".join(b"(" + key + b"\x90" for key in keys) + b".")
    assert sentence in excess(start + b"(" + b"".join(keys) + b"\x91.")
    assert sentence in excess(start + glob("builtins", "set") + b"](" + b"".join(keys) + b"e\x85R.")
    spread = b"".join(b"}" + key + b"Ns" for key in keys)
    assert read(start + b"](" + spread + b"e.")


def as_dict(body: bytes) -> dict[object, object]:
    value = read(body)
    assert isinstance(value, dict)
    return value


def test_the_same_tuple_in_many_frozensets_is_no_collision() -> None:
    value = [frozenset({(1, 2), index}) for index in range(500)]
    for protocol in range(6):
        assert read(pickle.dumps(value, protocol=protocol)) == value
    single = b"](" + b"(K\x01K\x02\x86\x910" * 500 + b"e."
    assert read(single) == []


@pytest.mark.parametrize("protocol", range(6))
def test_ordinary_sets_and_keys_are_not_too_much_work(protocol: int) -> None:
    value = {
        "grid": {(x, y): 0 for x in range(100) for y in range(100)},
        "set": set(range(10_000)),
        "sets": [frozenset({"a", (1, 2), frozenset({index})}) for index in range(500)],
        "bytes": [b"x" * 50_000],
    }
    assert read(pickle.dumps(value, protocol=protocol)) == value
