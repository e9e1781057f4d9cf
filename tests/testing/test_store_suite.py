"""The conformance suites of stores catch each kind of lie, and say what was wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from anyplug.testing import check_message_log, check_shelf
from tests.testing import store_liars as liars

if TYPE_CHECKING:
    from anyplug.store import MessageLog, Shelf

PATIENCE = 0.3
"""How long the suite waits for the liar that never answers, seconds."""

LOGS: list[tuple[type[liars.HonestLog], str]] = [
    (liars.AcknowledgesBeforeItCommits, "bodies after a crash"),
    (liars.ForgetsTheWatermark, "the watermark after a crash"),
    (liars.ForgetsCursors, "the cursor after a crash"),
    (liars.ReusesPositions, "the span of an emptied topic after a crash"),
    (liars.CountsOverTopics, "positions of an append to another topic"),
    (liars.LosesOrder, "all fields read"),
    (liars.TakesTwice, "sequences 1 to 3, again"),
    (liars.TakesTwiceFromWhoDoesNotWait, "positions of the same that is told"),
    (liars.TellsTwice, "what else was told of an append"),
    (liars.TakesGaps, "sequence 2 of an unknown producer"),
    (liars.TakesConflictsForDuplicates, "sequence 1 with another body"),
    (liars.StoresHalfOfWhatItRefuses, "topics after a refusal"),
    (liars.ForgetsSenders, "all fields read"),
    (liars.ReadsWithGaps, "all fields read"),
    (liars.ReadsTheFuture, "read from 2 past the end"),
    (liars.HidesWhatIsMissed, "positions missed from 3 on"),
    (liars.TrimsOneTooMany, "trim to 15 messages"),
    (liars.MovesCursorsBack, "after acknowledging less"),
    (liars.TakesCursorsFromTheFuture, "a cursor from the future"),
    (liars.NeverWakes, "nothing in 0.3 s"),
    (liars.TakesAnyLabel, "topic ''"),
    (liars.GoesOnAfterItsEnd, "wait at close"),
]

SHELVES: list[tuple[type[liars.HonestShelf], str]] = [
    (liars.SetsWithoutComparing, "version 1 expected of nothing"),
    (liars.CountsVersionsAnew, "the version after a crash"),
    (liars.RaisesTheDead, "values after a crash"),
    (liars.KeepsNoHistory, "versions kept"),
    (liars.WritesAgain, "the same write again"),
    (liars.ReadsAll, "20 bytes of values"),
    (liars.KnowsNothingBefore, "versions and those before them"),
]


async def check_log(kind: type[liars.HonestLog], *, patience: float = 10) -> None:
    async def make() -> MessageLog:
        return kind()

    async def crash(log: MessageLog) -> MessageLog:
        return await cast("liars.HonestLog", log).crash()

    await check_message_log(make, crash=crash, patience=patience)


async def check_shelf_of(kind: type[liars.HonestShelf]) -> None:
    async def make() -> Shelf:
        return kind()

    async def crash(shelf: Shelf) -> Shelf:
        return await cast("liars.HonestShelf", shelf).crash()

    await check_shelf(make, crash=crash)


@pytest.mark.parametrize(("liar", "says"), LOGS, ids=[liar.__name__ for liar, _ in LOGS])
async def test_a_lying_log_is_caught_and_named(liar: type[liars.HonestLog], says: str) -> None:
    with pytest.raises(AssertionError) as caught:
        await check_log(liar, patience=PATIENCE if liar is liars.NeverWakes else 10)
    assert says in str(caught.value)


@pytest.mark.parametrize(("liar", "says"), SHELVES, ids=[liar.__name__ for liar, _ in SHELVES])
async def test_a_lying_shelf_is_caught_and_named(liar: type[liars.HonestShelf], says: str) -> None:
    with pytest.raises(AssertionError) as caught:
        await check_shelf_of(liar)
    assert says in str(caught.value)


async def test_the_honest_ones_they_come_from_pass() -> None:
    await check_log(liars.HonestLog)
    await check_shelf_of(liars.HonestShelf)


def test_every_liar_is_in_the_tables() -> None:
    kinds = (liars.HonestLog, liars.HonestShelf)
    known = {each for each in vars(liars).values() if isinstance(each, type) and issubclass(each, kinds)}
    assert known - {*kinds} == {liar for liar, _ in (*LOGS, *SHELVES)}
