"""The questions and answers of files: what travels, and what is no question."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from anyplug import Code
from anyplug.schemas.files import (
    PUT_MANY,
    Answer,
    Done,
    Failure,
    File,
    Finish,
    Offer,
    Puts,
    Request,
    Small,
    Transfer,
)

DIGEST = bytes(range(32))
FILE = File(name="a", size=1, digest=DIGEST, stored=3 * 10**9)


@pytest.mark.parametrize(
    ("struct", "written"),
    [
        (Offer(name="a"), {"type": "offer", "name": "a"}),
        (Offer(name="a", size=0, replace=True), {"type": "offer", "name": "a", "size": 0, "replace": True}),
        (Finish(number=1, size=2, digest=DIGEST), {"type": "finish", "number": 1, "size": 2, "digest": DIGEST}),
        (
            Transfer(number=1, id="x", missing=[(0, 2)]),
            {"type": "transfer", "number": 1, "id": "x", "missing": [[0, 2]]},
        ),
        (Done(), {"type": "done"}),
        (
            Puts(results=[Failure(code=51, text="no")]),
            {"type": "puts", "results": [{"type": "failure", "code": 51, "text": "no"}]},
        ),
        (
            Puts(results=[FILE], synced=False),
            {
                "type": "puts",
                "results": [{"type": "file", "name": "a", "size": 1, "digest": DIGEST, "stored": 3 * 10**9}],
                "synced": False,
            },
        ),
    ],
)
def test_a_struct_travels_as_a_map(struct: Any, written: dict[str, Any]) -> None:
    data = msgspec.msgpack.encode(struct)
    assert msgspec.msgpack.decode(data) == written
    kind: Any = Request if isinstance(struct, Offer | Finish) else Answer
    assert msgspec.msgpack.decode(data, type=kind) == struct


@pytest.mark.parametrize(
    "question",
    [
        {"type": "offer"},
        {"type": "offer", "name": "a", "size": -1},
        {"type": "offer", "name": "a", "size": 2**63},
        {"type": "offer", "name": "a" * 4097},
        {"type": "offer", "name": "a", "replaec": True},
        {"type": "offer", "name": "a", "resume": "x" * 65},
        {"type": "finish", "number": 1, "size": 1, "digest": bytes(31)},
        {"type": "finish", "number": 2**32, "size": 1, "digest": DIGEST},
        {"type": "put", "files": []},
        {"type": "put", "files": [{"name": "a", "data": b"", "digest": DIGEST}] * (PUT_MANY + 1)},
        {"type": "fetch", "number": 1, "first": -1, "end": 1},
        {"type": "list", "limit": 0},
        {"type": "steal"},
    ],
)
def test_what_is_no_question_is_refused(question: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(question), type=Request)


def test_a_file_has_the_time_of_its_content_or_else_of_its_arrival() -> None:
    assert FILE.time.timestamp() == 3
    assert msgspec.structs.replace(FILE, modified=1_500_000_000).time.timestamp() == 1.5


def test_a_failure_is_an_error_with_its_code_as_far_as_that_is_known() -> None:
    assert Failure(code=51, text="no").error.code is Code.INTEGRITY
    assert Failure(code=9999, text="no").error.code is Code.FAILED


def test_small_files_travel_in_json_too() -> None:
    small = Small(name="a", data=b"\xff", digest=DIGEST)
    assert msgspec.json.decode(msgspec.json.encode(small), type=Small) == small
