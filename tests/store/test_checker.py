"""The checker of crashes names what is wrong."""

from __future__ import annotations

import pytest

from tests.store.checker import Verdict, acknowledged, judge

CLEAN = Verdict([], [], [], [], [])
TRIED = ["p-1", "p-2", "p-3"]


@pytest.mark.parametrize(
    ("said", "found", "verdict"),
    [
        ({"p-1": 1}, {1: "p-1"}, CLEAN),
        ({"p-1": 1}, {1: "p-1", 2: "p-2"}, CLEAN),
        ({"p-1": 1, "p-2": 2}, {1: "p-1"}, CLEAN._replace(lost=["p-2"])),
        ({"p-1": 1}, {1: "p-2", 2: "p-3"}, CLEAN._replace(lost=["p-1"])),
        ({"p-2": 2}, {1: "p-2"}, CLEAN._replace(moved=["p-2"])),
        ({}, {1: "p-1", 2: "p-1"}, CLEAN._replace(duplicated=["p-1"], reordered=["p-1"])),
        ({}, {1: "p-2", 2: "p-1"}, CLEAN._replace(reordered=["p-1"])),
        ({}, {1: "p-1", 2: "q-1"}, CLEAN._replace(unexpected=["q-1"])),
    ],
)
def test_a_verdict(said: dict[str, int], found: dict[int, str], verdict: Verdict) -> None:
    assert judge(said, TRIED, found) == verdict


def test_what_was_acknowledged_is_read_from_whole_lines() -> None:
    assert acknowledged("p", "open 0\nok 1 1\nok 2 2\nok 3 3") == {"p-1": 1, "p-2": 2}
