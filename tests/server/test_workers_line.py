"""The line between a supervisor and a worker."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from anyplug.server.workers_line import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyplug.server.workers_line import Said


@pytest.fixture
def ends() -> Iterator[tuple[Line, Line]]:
    ours, theirs = Line.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_words_come_as_they_were_said(ends: tuple[Line, Line]) -> None:
    ours, theirs = ends
    assert ours.tell("stop")
    assert ours.tell("reload", {"text": "a\nb", "ports": [1, None]})
    assert theirs.tell("listening", "ü")
    assert theirs.hear() == [("stop", None), ("reload", {"text": "a\nb", "ports": [1, None]})]
    assert ours.hear() == [("listening", "ü")]
    assert (ours.hear(), ours.ended) == ([], False)


def test_a_word_may_come_in_pieces() -> None:
    one, other = socket.socketpair()
    with one:
        line = Line(other)
        heard = []
        for byte in b'["a",1]\n["b",[2]]\n':
            one.send(bytes([byte]))
            heard += line.hear()
        assert heard == [("a", 1), ("b", [2])]
        line.close()


def test_what_was_said_before_the_end_is_heard(ends: tuple[Line, Line]) -> None:
    ours, theirs = ends
    theirs.tell("stopped", 3)
    theirs.close()
    assert ours.hear() == [("stopped", 3)]
    assert ours.ended
    assert ours.hear() == []
    assert not ours.tell("stop")


def test_an_end_that_is_gone_before_it_has_heard_all(ends: tuple[Line, Line]) -> None:
    ours, theirs = ends
    ours.tell("stop")
    theirs.close()  # unread: the system resets the line
    assert ours.hear() == []
    assert ours.ended


@pytest.mark.parametrize("count", [1, 100, 101, 250])
def test_sockets_go_along_and_are_not_for_children(ends: tuple[Line, Line], count: int) -> None:
    ours, theirs = ends
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert ours.tell("reload", 1, sockets=[sock] * count)
        heard: list[Said] = []
        while not heard:
            heard = theirs.hear()
        assert heard == [("reload", 1)]
        assert [each.getsockname() for each in theirs.passed] == [sock.getsockname()] * count
        assert not any(os.get_inheritable(each.fileno()) for each in theirs.passed)
        for each in theirs.passed:
            each.close()


def test_an_end_that_does_not_read_is_told_nothing_more(ends: tuple[Line, Line]) -> None:
    ours, theirs = ends
    assert not ours.tell("long", "x" * 10_000_000)
    theirs.hear()
    assert not ours.tell("stop"), "it would be in the middle of what came before"
    assert theirs.hear() == []
