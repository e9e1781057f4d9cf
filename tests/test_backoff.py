"""Waits grow up to their bound, and are spread over all of it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.backoff import FINAL, Backoff
from anyplug.errors import Code, LocalError


def test_the_bound_doubles_up_to_the_most() -> None:
    backoff = Backoff(first=0.5, most=3.0)
    assert [backoff.bound(n) for n in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_wait_is_anywhere_below_the_bound() -> None:
    backoff = Backoff(first=0.5, most=3.0)
    assert [backoff.delay(1, roll) for roll in (0.0, 0.25, 1.0)] == [0.0, 0.25, 1.0]


@given(st.floats(0.001, 10), st.floats(1, 1e6), st.floats(1, 1e3), st.integers(0, 10**9))
def test_no_number_of_attempts_is_too_many(first: float, more: float, factor: float, attempt: int) -> None:
    backoff = Backoff(first=first, most=first * more, factor=factor)
    assert first <= backoff.bound(attempt) <= backoff.most
    assert backoff.bound(attempt) <= backoff.bound(attempt + 1)


def test_with_a_factor_of_one_all_waits_have_the_same_bound() -> None:
    assert Backoff(first=2.0, most=9.0, factor=1.0).bound(10**6) == 2.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"first": 0.0}, "a backoff from 0.0 to 30.0 s"),
        ({"first": 2.0, "most": 1.0}, "expected 0 < first <= most"),
        ({"most": math.inf}, "expected 0 < first <= most"),
        ({"first": math.nan}, "expected 0 < first <= most"),
        ({"factor": 0.5}, "the factor 0.5; expected at least 1"),
        ({"factor": math.nan}, "expected at least 1"),
        ({"patience": 0.0}, "a patience of 0.0 s; expected more than 0"),
        ({"patience": math.nan}, "expected more than 0"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, float], words: str) -> None:
    with pytest.raises(LocalError, match=words):
        Backoff(**options)


def test_final_codes_have_reasons() -> None:
    assert all(FINAL.values())
    assert not FINAL.keys() & {Code.OK, Code.BUSY, Code.GOING_AWAY, Code.STORE_FULL, Code.STORE_FAILED, Code.FAILED}
