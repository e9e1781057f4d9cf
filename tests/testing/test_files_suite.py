"""The conformance suite of stores of files catches each kind of lie, and says what was wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from anyplug.testing import check_file_store
from tests.testing import files_liars as liars

if TYPE_CHECKING:
    from anyplug.store import FileLimits, FileStore

LIARS: list[tuple[type[liars.HonestFiles], str]] = [
    (liars.ForgetsFiles, "files after a crash"),
    (liars.ForgetsChunks, "missing after a crash"),
    (liars.ForgetsWhatBecameOfTransfers, "the file of its transfer"),
    (liars.ShowsFilesEarly, "files before the finish"),
    (liars.TakesAnyDigest, "finish with another digest"),
    (liars.LetsTheOldOneWrite, "a write of the old lease"),
    (liars.Overwrites, "names of twins"),
    (liars.NeverReplaces, "the name of the one that replaces"),
    (liars.TellsTwinsApart, "names of twins"),
    (liars.OpensAnyName, "a file by its label"),
    (liars.StoresTheSameTwice, "a file that comes again"),
    (liars.ReadersFollowTheName, "there is no file 'x'"),
    (liars.HasNoBounds, "bytes that are announced already"),
    (liars.TakesWhatIsTooLarge, "a file that is too large"),
    (liars.ExpiresWhatIsHeld, "what expires while it is held"),
    (liars.KeepsRoomForTheAbandoned, "room taken by nothing"),
    (liars.FailsTogether, "files that fit"),
    (liars.ListsInAnyOrder, "names"),
    (liars.GoesOnAfterItsEnd, "begin after the end"),
]


async def check(kind: type[liars.HonestFiles]) -> None:
    async def make(limits: FileLimits) -> FileStore:
        return kind(limits=limits)

    async def crash(store: FileStore) -> FileStore:
        return await cast("liars.HonestFiles", store).crash()

    await check_file_store(make, crash=crash)


@pytest.mark.parametrize(("liar", "says"), LIARS, ids=[liar.__name__ for liar, _ in LIARS])
async def test_a_lying_store_is_caught_and_named(liar: type[liars.HonestFiles], says: str) -> None:
    with pytest.raises(Exception) as caught:
        await check(liar)
    assert says in str(caught.value)


async def test_the_honest_one_they_come_from_passes() -> None:
    await check(liars.HonestFiles)


def test_every_liar_is_in_the_table() -> None:
    known = {each for each in vars(liars).values() if isinstance(each, type) and issubclass(each, liars.HonestFiles)}
    assert known - {liars.HonestFiles} == {liar for liar, _ in LIARS}
