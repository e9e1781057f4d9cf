"""The errors of files say what, and what to do about it."""

from __future__ import annotations

import copy

import pytest

from anyplug.codes import Code
from anyplug.errors import AnyplugError, LocalError, PeerError
from anyplug.file_errors import Mismatch, NotThere, TakenOver

TABLE: list[tuple[AnyplugError, dict[str, object], type[AnyplugError], Code, str]] = [
    (
        NotThere("file", "a\n"),
        {"what": "file", "name": "a\n"},
        LocalError,
        Code.NOT_FOUND,
        "there is no file 'a\\n'; list what is there",
    ),
    (
        NotThere("transfer", "a"),
        {"what": "transfer", "name": "a"},
        LocalError,
        Code.NOT_FOUND,
        "there is no transfer 'a'; begin a new one",
    ),
    (
        TakenOver("ab"),
        {"transfer": "ab", "problem": "a newer connection carries it on"},
        LocalError,
        Code.TAKEN_OVER,
        "transfer ab: a newer connection carries it on",
    ),
    (
        Mismatch("chunk 7", expected="aa", found="bb"),
        {"what": "chunk 7", "expected": "aa", "found": "bb"},
        PeerError,
        Code.INTEGRITY,
        "chunk 7: got bb, expected aa; if the file has changed, begin anew",
    ),
]


@pytest.mark.parametrize(("error", "facts", "parent", "code", "sentence"), TABLE)
def test_an_error_holds_its_facts_and_says_them(
    error: AnyplugError, facts: dict[str, object], parent: type[AnyplugError], code: Code, sentence: str
) -> None:
    for each in (error, copy.copy(error)):
        assert {name: getattr(each, name) for name in facts} == facts
        assert isinstance(each, parent)
        assert each.code is code
        assert str(each) == sentence
