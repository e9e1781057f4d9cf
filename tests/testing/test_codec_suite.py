"""The conformance suite of codecs passes what keeps the contract, and catches each kind of lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import pytest

from anyplug.testing import check_codec
from anyplug.testing.codec import same
from tests.testing import codec_liars as liars
from tests.testing.codec_liars import Honest

VALUES: list[object] = [
    *("text", 5, True, 1.5, -0.0, None, [1, [2]], (1, 2), {1, 2}, frozenset({3}), {1: "a"}, complex(1.0, -0.0)),
    *(math.nan, math.inf),
]
BAD = [b"", b"[", b"{}", b"[]", b"\xff"]

LIARS: list[tuple[type[Honest], str]] = [
    (liars.HasNoName, "has no name"),
    (liars.RefusesSoundValues, "encode('text') raised EncodeError('honest', 'not today'), it has to be carried"),
    (liars.CannotReadItself, "decode(encode('text')) raised DecodeError('honest', 'not today'), it has to be carried"),
    (liars.GivesByteArrays, "encode('text') gave bytearray, expected bytes"),
    (liars.ChangesValues, "decode(encode('text')) gave 'something else'"),
    (liars.MakesTuplesLists, "decode(encode((1, 2))) gave [1, 2]"),
    (liars.MakesTrueOne, "decode(encode(True)) gave 1"),
    (liars.MakesFrozensetsSets, "decode(encode(frozenset({3}))) gave {3}"),
    (liars.MakesKeysOtherTypes, "decode(encode({1: 'a'})) gave {1.0: 'a'}"),
    (liars.MakesItemsOfSetsOtherTypes, "decode(encode({1, 2})) gave {1.0, 2.0}"),
    (liars.LosesTheSignOfZero, "decode(encode(-0.0)) gave 0.0"),
    (liars.LosesTheSignOfComplexZero, "decode(encode((1-0j))) gave (1+0j)"),
    (liars.LosesTheLastItem, "decode(encode([1, [2]])) gave [1]"),
    (
        liars.RemembersWhatItSent,
        "decode of 'text' as another codec encoded it raised DecodeError('honest', 'not sent')",
    ),
    (liars.ReadsOnlyAfterItWrote, "decode of 'text' as another codec encoded it gave 'what'"),
    (liars.LosesOneOfABatch, "decode_many of 14 gave ['text', 5, True], one by one they are ['text', 5, True, 1.5"),
    (liars.TurnsABatchRound, "decode_many of 14 gave [inf, nan"),
    (liars.GivesBatchesAsTuples, "decode_many of 0 gave (), one by one they are []"),
    (liars.CannotDoEmptyBatches, "decode_many of 0 raised IndexError"),
    (liars.TakesAnything, "decode took b'', expected DecodeError"),
    (liars.TakesAnythingInBatches, "decode_many behind a good body took b'', expected DecodeError"),
    (liars.RaisesSomethingElse, "decode of b'' raised JSONDecodeError"),
    (liars.RaisesSomethingElseInBatches, "decode_many behind a good body of b'' raised JSONDecodeError"),
    (liars.RaisesUnderAnotherName, "decode of b'' raised DecodeError('another', "),
    (liars.RaisesWithoutAProblem, "decode of b'' raised DecodeError('honest', ''), expected its name and a problem"),
    (liars.RaisesSomethingElseForACutBody, "decode of b'\"tex' raised IndexError"),
    (liars.RaisesSomethingElseForAChangedByte, "raised KeyError(221), expected a value or DecodeError"),
    (liars.BelongsToOneThread, "used by 2 threads at once: codec honest: encode('text') raised EncodeError"),
]


@pytest.mark.parametrize(("liar", "sentence"), LIARS)
def test_a_lie_is_caught_and_told(liar: type[Honest], sentence: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_codec(liar, VALUES, BAD)
    assert sentence in str(caught.value)


def test_the_codec_the_liars_stand_in_tells_the_truth() -> None:
    check_codec(Honest, VALUES, BAD)
    check_codec(Honest, ["a" * 10_000])


def test_a_suite_without_values_checks_nothing_and_says_so() -> None:
    with pytest.raises(AssertionError, match="codec honest: check_codec needs at least one value"):
        check_codec(Honest, [])


def test_a_long_body_is_cut_in_the_sentence() -> None:
    with pytest.raises(AssertionError, match=r"decode took b'a{60}'… \(1,000 bytes\), expected DecodeError"):
        check_codec(liars.TakesAnything, ["text"], [b"a" * 1000])


class Point(msgspec.Struct):
    x: object


class Other(msgspec.Struct):
    x: object


@dataclass
class Box:
    lid: object


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Point(1), Point(1)),
        (Point(math.nan), Point(math.nan)),
        (Box([(math.nan,)]), Box([(math.nan,)])),
        ({1: [0.0]}, {1: [0.0]}),
        (complex(math.nan, 0), complex(math.nan, 0)),
        (Box, Box),
    ],
)
def test_the_same_is_the_same(one: object, other: object) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Point(1), Other(1)),
        (Point(1), Point(1.0)),
        (Point(0.0), Point(-0.0)),
        (Box((1,)), Box([1])),
        ({1: 2}, {1: 2.0}),
        ({1: 2}, {1.0: 2}),
        ({1: 2}, {1: 2, 3: 4}),
        ({1: None}, {2: None}),
        ({1}, {1.0}),
        ({1}, {1, 2}),
        ({(1,)}, {(True,)}),
        ([1], [1, 2]),
        (1, True),
        ("a", b"a"),
        (math.nan, 1.0),
        (complex(0.0, 0.0), complex(0.0, -0.0)),
    ],
)
def test_what_differs_is_not_the_same(one: object, other: object) -> None:
    assert not same(one, other)
    assert not same(other, one)
