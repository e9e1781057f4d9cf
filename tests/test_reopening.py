"""When a conversation is opened again, how long is waited, and what is told of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from anyplug.backoff import Backoff
from anyplug.errors import (
    AddressError,
    AnyplugError,
    Broken,
    Code,
    ConnectError,
    ConnectionClosed,
    ProtocolError,
    Refused,
    Timeout,
)
from anyplug.reopening import Reconnected, Reopening, heals

NOBODY = ConnectError("x", step="connect", problem="nothing listens", remedy="start it")
BACKOFF = Backoff(first=1.0, most=8.0)


def begun(backoff: Backoff = BACKOFF, incarnation: str = "a") -> Reopening:
    return Reopening(backoff, incarnation=incarnation, now=100.0)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (Broken("reset"), True),
        (NOBODY, True),
        (Timeout("it", 1), True),
        (ConnectionClosed(Code.GOING_AWAY), True),
        (ConnectionClosed(Code.BUSY), True),
        (ConnectionClosed(Code.IDLE), True),
        (ConnectionClosed(Code.OK), False),
        (ConnectionClosed(Code.FAILED), False),
        (ConnectionClosed(Code.TAKEN_OVER), False),
        (Refused(Code.BUSY), True),
        (Refused(Code.GOING_AWAY), True),
        (Refused(Code.NOT_ALLOWED), False),
        (Refused(Code.UNKNOWN_SERVICE), False),
        (ProtocolError("garbage"), False),
        (AddressError("x", part="host", found="", expected="y"), False),
    ],
)
def test_what_heals_and_what_is_an_end(error: AnyplugError, wanted: bool) -> None:
    assert heals(error) is wanted


def test_waits_grow_with_each_attempt() -> None:
    state = begun()
    state.broke(200.0, 0.5)
    now, waits = 200.0, []
    for _ in range(5):
        waits.append(state.retry_at - now)
        now = state.retry_at
        assert state.failed(NOBODY, now, 0.5)
    assert waits == [0.5, 1.0, 2.0, 4.0, 4.0]


def test_a_connection_that_breaks_at_once_is_not_hammered_and_one_that_lasted_is() -> None:
    state = begun()
    now, waits = 100.0, []
    for lasted in (0.1, 0.1, 0.1, 7.0, 9.0):
        now += lasted
        state.broke(now, 1.0)
        waits.append(state.retry_at - now)
        now = state.retry_at
        state.opened("a", now)
    assert waits == pytest.approx([1.0, 2.0, 4.0, 8.0, 1.0])


def test_the_news_says_how_long_it_took_and_who_is_there() -> None:
    state = begun()
    state.broke(200.0, 0.5)
    state.failed(NOBODY, 201.0, 0.5)
    before = state.news
    state.opened("a", 203.0)
    news = state.news
    assert before is None
    assert news is not None
    assert (news.same, news.seconds, news.attempts, news.breaks) == (True, 3.0, 2, 1)
    assert str(news) == "reconnected to the same server after 3.0 s and 2 attempts; what was on its way is unknown"


@pytest.mark.parametrize(
    ("before", "after", "same", "words"),
    [
        ("a", "a", True, "the same server"),
        ("a", "b", False, "a server that was started anew"),
        ("", "", None, "to the server after"),
        ("a", "", None, "to the server after"),
    ],
)
def test_another_incarnation_is_told(before: str, after: str, same: bool | None, words: str) -> None:
    state = begun(incarnation=before)
    state.broke(200.0, 0.0)
    state.opened(after, 200.0)
    assert state.news is not None
    assert state.news.same is same
    assert words in str(state.news)
    assert "and 1 attempt;" in str(state.news)


@pytest.mark.parametrize(
    ("incarnations", "same"), [("aa", True), ("ab", False), ("ba", False), (["a", ""], None), (["b", ""], None)]
)
def test_several_breaks_that_nobody_was_told_of_are_told_as_one(incarnations: Any, same: bool | None) -> None:
    state = begun()
    now = 200.0
    for incarnation in incarnations:
        state.broke(now, 0.0)
        state.opened(incarnation, now + 2)
        now += 50.0
    news = state.news
    assert news is not None
    assert (news.same, news.seconds, news.attempts, news.breaks) == (same, 4.0, 2, 2)


def test_a_final_refusal_ends_the_attempts() -> None:
    state = begun()
    state.broke(200.0, 0.5)
    assert state.failed(Refused(Code.BUSY), 200.0, 0.5)
    assert not state.failed(Refused(Code.NOT_ALLOWED), 201.0, 0.5)


def test_patience_ends_the_attempts_and_the_last_one_is_at_its_end() -> None:
    state = begun(Backoff(first=1.0, most=8.0, patience=3.0))
    state.broke(200.0, 1.0)
    assert state.failed(NOBODY, 201.0, 1.0)
    assert state.retry_at == 203.0
    assert not state.failed(NOBODY, 203.0, 1.0)
    state.opened("a", 204.0)
    state.broke(300.0, 0.0)
    assert state.failed(NOBODY, 301.0, 0.0)


def test_what_is_told_can_be_copied() -> None:
    news = Reconnected(same=False, seconds=1.5, attempts=3, breaks=2)
    twin = copy.copy(news)
    assert (twin.same, twin.seconds, twin.attempts, twin.breaks) == (False, 1.5, 3, 2)
    assert str(twin) == str(news)
