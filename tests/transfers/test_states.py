"""What is still to be sent and to be fetched, without a connection: the pure halves of transfers."""

from __future__ import annotations

import random

import pytest

from anyplug import LocalError, ProtocolError
from anyplug.file_errors import Mismatch
from anyplug.messages import Content
from anyplug.schemas.files import File, Transfer
from anyplug.store.chunks import CHUNK, chunk_digest
from anyplug.transfers.download import Download
from anyplug.transfers.upload import Upload
from tests.services.filing import digest_of

CONTENT = random.Random(1).randbytes(2 * CHUNK + 10)
DIGESTS = [chunk_digest([CONTENT[at : at + CHUNK]]) for at in range(0, len(CONTENT), CHUNK)]
FILE = File(name="a", size=len(CONTENT), digest=digest_of(CONTENT), stored=0)


def drained(upload: Upload) -> list[int]:
    found = []
    while (index := upload.next()) is not None:
        found.append(index)
    return found


def test_what_is_missing_is_sent_in_order() -> None:
    upload = Upload("a", 10 * CHUNK)
    upload.accepted(Transfer(number=3, id="x", missing=[(1, 3), (5, 6), (8, 99)], received=2 * CHUNK))
    assert (upload.id, upload.number, upload.sent, upload.resumed) == ("x", 3, 2 * CHUNK, 2 * CHUNK)
    assert upload.first == 1
    assert (upload.wants(5), upload.wants(4)) == (True, False)
    assert drained(upload) == [1, 2, 5, 8, 9]
    assert upload.first is None


def test_a_file_of_unknown_size_ends_where_it_is_said() -> None:
    upload = Upload("a", None)
    upload.accepted(Transfer(number=1, id="x", missing=[(0, 65536)]))
    assert upload.next() == 0
    upload.end_at(2 * CHUNK + 1)
    assert drained(upload) == [1, 2]


def test_what_the_server_has_and_nobody_hashed_is_known() -> None:
    upload = Upload("a", len(CONTENT))
    upload.learn_many([(1, DIGESTS[1])])
    assert upload.unknown() == [0, 2]
    assert upload.knows(1) == DIGESTS[1]
    assert upload.knows(0) is None
    upload.learn_many(enumerate(DIGESTS))
    assert upload.unknown() == []
    assert upload.finish().digest == digest_of(CONTENT)


def test_another_offer_goes_on_until_all_is_forgotten() -> None:
    upload = Upload("a", 5, modified=7, content_type="text/plain", replace=True)
    upload.accepted(Transfer(number=1, id="x", missing=[]))
    offer = upload.offer(5)
    assert (offer.resume, offer.modified, offer.content_type, offer.replace) == ("x", 7, "text/plain", True)
    upload.forget()
    assert upload.offer(5).resume == ""


@pytest.mark.parametrize("missing", [[(2, 1)], [(-1, 1)], [(0, 2), (1, 3)], [(5, 6), (0, 1)], [(1, 1)]])
def test_runs_that_cannot_be_are_a_fault_of_the_server(missing: list[tuple[int, int]]) -> None:
    with pytest.raises(ProtocolError):
        Upload("a", 10 * CHUNK).accepted(Transfer(number=1, id="x", missing=missing))


def known(offset: int = 0, length: int | None = None) -> Download:
    download = Download(FILE, offset=offset, length=length)
    download.learn(b"".join(DIGESTS))
    return download


def content(index: int) -> Content:
    return Content(1, index, DIGESTS[index], [CONTENT[index * CHUNK : (index + 1) * CHUNK]])


def test_digests_come_in_several_answers_and_are_proved_by_the_last() -> None:
    download = Download(FILE)
    for number, digest in enumerate(DIGESTS):
        assert download.digests_missing == number
        download.learn(digest)
    assert download.digests_missing is None


@pytest.mark.parametrize(
    ("digests", "kind"),
    [
        (b"", ProtocolError),
        (b"x", ProtocolError),
        (bytes(4 * 32), ProtocolError),
        (bytes(3 * 32), Mismatch),
    ],
)
def test_digests_that_are_not_the_files_are_found(digests: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Download(FILE).learn(digests)


def test_a_chunk_is_taken_once_where_it_belongs() -> None:
    download = known()
    download.expects(content(1))
    with pytest.raises(ProtocolError):
        download.expects(content(1))
    download.wrote(1)
    assert download.missing() == [(0, 1), (2, 3)]
    with pytest.raises(ProtocolError):
        download.expects(content(1))
    with pytest.raises(ProtocolError):
        download.expects(Content(1, 3, DIGESTS[0], [b"x"]))
    with pytest.raises(ProtocolError):
        download.expects(Content(1, 2, DIGESTS[2], [b"short"]))
    with pytest.raises(Mismatch):
        download.verified(0, [CONTENT[CHUNK : 2 * CHUNK]])


def test_what_is_here_is_not_asked_for() -> None:
    download = known()
    assert download.had([2, 0, 0, 77]) == CHUNK + 10
    assert download.missing() == [(1, 2)]


def test_a_range_takes_the_chunks_it_touches() -> None:
    download = known(CHUNK + 5, 10)
    assert download.missing() == [(1, 2)]
    assert b"".join(download.cut(1, content(1).pieces)) == CONTENT[CHUNK + 5 : CHUNK + 15]
    assert known(CHUNK, 0).missing() == []
    assert known(len(CONTENT)).missing() == []
    with pytest.raises(LocalError):
        known(len(CONTENT) + 1)
    with pytest.raises(LocalError):
        known(0, -1)


def test_an_empty_file_is_proved_at_once() -> None:
    empty = Download(File(name="a", size=0, digest=digest_of(b""), stored=0))
    empty.learn(b"")
    assert empty.missing() == []
    with pytest.raises(Mismatch):
        Download(File(name="a", size=0, digest=bytes(32), stored=0)).learn(b"")
