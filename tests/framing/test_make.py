"""Framings by name, and what all of them share."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import LocalError, ProtocolError
from anyplug.framing import FRAMINGS, Framing, Header, Lines, Prefix, Raw, make_framing
from anyplug.limits import DEFAULTS
from anyplug.testing import check_framing

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_table_has_every_framing_under_its_own_name() -> None:
    assert dict(FRAMINGS) == {"raw": Raw, "lines": Lines, "header": Header, "prefix": Prefix}
    assert all(kind.name == name for name, kind in FRAMINGS.items())


@pytest.mark.parametrize("name", FRAMINGS)
def test_a_framing_is_made_by_its_name_with_the_default_limit_or_another(name: str) -> None:
    framing = make_framing(name)
    assert type(framing) is FRAMINGS[name]
    assert getattr(framing, "limit", None) == DEFAULTS.message
    assert getattr(make_framing(name, limit=1000), "limit", None) == 1000
    check_framing(lambda limit: make_framing(name, limit=limit), boundaries=name != "raw")


def test_options_reach_the_framing() -> None:
    header = make_framing("header", width=4)
    assert isinstance(header, Header)
    assert header.encode(b"abc") == b"3   abc"
    raw = make_framing("raw", until="eof", utf8=True)
    assert isinstance(raw, Raw)
    assert (raw.until, raw.utf8) == ("eof", True)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: make_framing("line"),
            "no framing is called 'line'; there is raw, lines, header, prefix; did you mean lines?",
        ),
        (lambda: make_framing("xyzzy"), "no framing is called 'xyzzy'; there is raw, lines, header, prefix"),
        (lambda: make_framing(""), "no framing is called ''; there is raw, lines, header, prefix"),
        (
            lambda: make_framing("a\x1b[2J"),
            r"no framing is called 'a\x1b[2J'; there is raw, lines, header, prefix",
        ),
        (
            lambda: make_framing("header", wide=4),
            "no option of framing header is called 'wide'; there is width; did you mean width?",
        ),
        (lambda: make_framing("raw", width=4), "no option of framing raw is called 'width'; there is until, utf8"),
        (lambda: make_framing("lines", width=4), "no option of framing lines is called 'width'; there is none"),
        (lambda: make_framing("prefix", until="eof"), "no option of framing prefix is called 'until'; there is none"),
        (
            lambda: make_framing("raw", until="end"),
            "the option until of framing raw is 'end', expected 'eof' or nothing",
        ),
        (lambda: make_framing("raw", until=1), "the option until of framing raw is 1, expected 'eof' or nothing"),
        (
            lambda: make_framing("raw", utf8="yes"),
            "the option utf8 of framing raw is 'yes', expected True or False",
        ),
        (
            lambda: make_framing("header", width=0),
            "the width of framing header is 0, expected a whole number from 1 to 20",
        ),
        (
            lambda: make_framing("header", width=21),
            "the width of framing header is 21, expected a whole number from 1 to 20",
        ),
        (
            lambda: make_framing("header", width="10"),
            "the width of framing header is '10', expected a whole number from 1 to 20",
        ),
        (
            lambda: make_framing("header", width=True),
            "the width of framing header is True, expected a whole number from 1 to 20",
        ),
        (
            lambda: make_framing("header", limit=0),
            "the limit of framing header is 0, expected a whole number of at least 1",
        ),
        (
            lambda: make_framing("lines", limit=-1),
            "the limit of framing lines is -1, expected a whole number of at least 1",
        ),
        (
            lambda: make_framing("prefix", limit=0),
            "the limit of framing prefix is 0, expected a whole number of at least 1",
        ),
        (lambda: make_framing("raw", limit=0), "the limit of framing raw is 0, expected a whole number of at least 1"),
    ],
)
def test_a_mistake_is_named_with_what_there_is_instead(make: Callable[[], Framing], sentence: str) -> None:
    with pytest.raises(LocalError) as caught:
        make()
    assert type(caught.value) is LocalError
    assert str(caught.value) == sentence


FAULTY: list[tuple[Framing, bytes]] = [
    (make_framing("raw", limit=4), b"12345"),
    (make_framing("raw", limit=4, utf8=True), b"12345"),
    (make_framing("raw", limit=4, until="eof"), b"12345"),
    (make_framing("lines", limit=4), b"12345"),
    (make_framing("header"), b"not a size"),
    (make_framing("prefix"), b"\xff\xff\xff\xff"),
]


@pytest.mark.parametrize(("framing", "stream"), FAULTY)
def test_a_fault_raised_again_and_again_does_not_grow(framing: Framing, stream: bytes) -> None:
    decoder = framing.decoder()
    assert decoder.feed(stream) == []
    first = decoder.error
    assert first is not None
    assert first.__traceback__ is None
    assert len({depth_of(lambda: decoder.feed(b"more")) for _ in range(5)}) == 1
    assert len({depth_of(decoder.feed_eof) for _ in range(5)}) == 1
    assert decoder.error is first


def depth_of(call: Callable[[], object]) -> int:
    """How many frames the traceback of the fault has that the call raises."""
    with pytest.raises(ProtocolError) as caught:
        call()
    return len(traceback.extract_tb(caught.value.__traceback__))
