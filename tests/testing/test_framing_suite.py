"""The conformance suite of framings passes what keeps the contract, and catches each kind of lie."""

from __future__ import annotations

import pytest

from anyplug.framing import Raw
from anyplug.testing import check_framing
from anyplug.testing.framing import deliveries
from tests.testing import framing_liars as liars
from tests.testing.framing_honest import Honest, HonestRaw

LIARS: list[tuple[type[Honest], str]] = [
    (liars.RefusesSoundMessages, "it has to be carried"),
    (liars.RaisesInEncode, "it has to be carried"),
    (liars.ForgetsTheLastOfMany, "encode_many, against encode of each"),
    (liars.SendsSomethingForNothing, "encode_many of nothing"),
    (liars.EncodesMoreThanTheLimit, "encoding 65 bytes with a limit of 64"),
    (liars.EncodesManyMoreThanTheLimit, "encoding 65 bytes with a limit of 64"),
    (liars.EncodesOneByteLess, "encoding 64 bytes with a limit of 64 raised"),
    (liars.StripsWhatItCannotCarry, "messages (4 bytes"),
    (liars.RefusesAloneAndNotAmongMany, "which encode refuses"),
    (liars.LosesAByte, "messages ("),
    (liars.LosesAByteWhereTwoPiecesMeet, "error after sound input (754 bytes in pieces of 1)"),
    (liars.TurnsABatchAround, "messages ("),
    (liars.GivesByteArrays, "the type of a message"),
    (liars.GivesAMessageForNothing, "messages ("),
    (liars.KeepsAMessageUntilTheNext, "messages ("),
    (liars.UsesOneListAgain, "the list of a feed, looked at after the next one"),
    (liars.SharesOneDecoder, "two decoders"),
    (liars.IgnoresTheLimit, "limit 64"),
    (liars.TakesOneByteMore, "a message of 65 bytes, limit 64"),
    (liars.TakesOneByteLess, "error after sound input"),
    (liars.FindsOutTooLate, "pending with a limit of 64"),
    (liars.RaisesAtOnce, "it has to return the whole messages and keep the fault in error"),
    (liars.LosesWhatWasWholeBeforeAFault, "messages before a fault"),
    (liars.HasTheWrongFault, "error (a message of 65 bytes"),
    (liars.GoesOnAfterAFault, "a call after a fault"),
    (liars.ForgetsItsFaultForNoData, "a call after a fault"),
    (liars.ForgetsItsFaultAtTheEnd, "a call after a fault"),
    (liars.RaisesAnotherFaultLater, "the error of a call after a fault"),
    (liars.HoldsBytesAfterAFault, "pending after a fault"),
    (liars.EndsSilentlyInsideAMessage, "the end of the stream after 1 of 5 bytes of a message"),
    (liars.GivesTheHalfMessageAtTheEnd, "the end of the stream after"),
    (liars.CompletesTheLastLineItself, "expected \"Broken, or a beginning of b'hello, world'\""),
    (liars.IsBrokenOnlyOnce, "feed_eof again after Broken"),
    (liars.IsBrokenAtABoundary, "feed_eof after whole messages"),
    (liars.RaisesAtTheEnd, "feed_eof raised EOFError()"),
    (liars.RaisesAtTheSecondEnd, "EOFError() came out of the framing where no error is allowed"),
    (liars.SaysNothingIsPending, "pending before the last byte"),
    (liars.SaysTooMuchIsPending, "pending after whole messages"),
    (liars.HoldsMoreThanTheLimit, "pending with a limit of 64"),
    (liars.RaisesForSoundInput, "feed raised ValueError('0xff')"),
    (liars.RawLosesNuls, "bytes ("),
    (liars.RawAddsAByte, "bytes ("),
    (liars.RawForgetsTheEnd, "bytes ("),
    (liars.RawIgnoresTheLimit, "a piece of 65 bytes, limit 64"),
    (liars.RawIsShared, "bytes of two decoders fed in turns"),
    (liars.RawRaisesAtOnce, "it has to return the whole messages and keep the fault in error"),
    (liars.RawInventsAMessageAtTheEnd, "bytes ("),
]


@pytest.mark.parametrize(("liar", "sentence"), LIARS)
def test_a_lie_is_caught_and_told(liar: type[Honest], sentence: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_framing(liar, boundaries=not issubclass(liar, HonestRaw))
    assert sentence in str(caught.value)


def test_the_frame_the_liars_stand_in_tells_the_truth() -> None:
    check_framing(Honest)
    check_framing(Honest, messages=[b"", b"\n", b"any\r\n", b"x" * 200])
    check_framing(HonestRaw, boundaries=False)


def test_a_framing_is_held_to_the_messages_it_is_given() -> None:
    check_framing(lambda limit: Raw(limit=limit), messages=[b"abc"], boundaries=False)
    with pytest.raises(AssertionError, match="has to be carried"):
        check_framing(lambda limit: Raw(limit=limit), messages=[b"abc", b""], boundaries=False)
    with pytest.raises(AssertionError, match="has to be carried"):
        check_framing(liars.RefusesLineBreaks, messages=[b"two\nlines"])


def test_without_boundaries_where_there_should_be_some_raw_is_caught() -> None:
    with pytest.raises(AssertionError, match="messages"):
        check_framing(lambda limit: Raw(limit=limit + 10_000))


def test_a_long_finding_is_shortened_in_the_middle() -> None:
    with pytest.raises(AssertionError, match=" … ") as caught:
        check_framing(liars.LosesAByte, messages=[b"x" * 5000])
    assert len(str(caught.value)) < 2000


def test_deliveries_are_all_the_ways_to_cut_a_stream() -> None:
    ways = list(deliveries(b"abc", pieces=(2,)))
    assert ways == [
        [b"abc"],
        [b"a", b"b", b"c"],
        [b"", b"abc"],
        [b"a", b"bc"],
        [b"ab", b"c"],
        [b"abc", b""],
        [b"ab", b"c"],
    ]
    assert all(b"".join(way) == b"abc" for way in ways)
