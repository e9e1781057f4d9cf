"""A session of ten kilobytes is cut at each of its bytes, on either side, in every way: everything arrives once.

The pipe of `tests.outbox.piped` has no socket; `tests/outbox/test_cuts.py` cuts the whole of both programs.
"""

from __future__ import annotations

import msgspec
import pytest

from anyplug.errors import Code
from tests.outbox.piped import Cut, Kind, Piped, Side

BODIES = [msgspec.msgpack.encode(f"{n} " + "x" * 470) for n in range(8)]
BAD = 6
"""The place of the message that the inbox refuses: it is none."""
GOODBYES = 10
"""Bytes of a third of the session that are goodbyes: who is cut off within one need not connect again."""
POSTED = [*BODIES[:BAD], b"\xc1", *BODIES[BAD:]]


def session(cut: Cut | None = None) -> Piped:
    """Post these and read them back, whatever happens to the connection; look at what came of it."""
    piped = Piped(cut)
    piped.post(POSTED)
    piped.follow(len(BODIES))
    assert piped.kept() == BODIES, cut
    assert piped.disk.waiting == [], cut
    assert piped.disk.refused == [(BAD + 1, Code.BAD_MESSAGE)], cut
    assert list(piped.read.values()) == BODIES, cut
    assert piped.cursor() == len(BODIES), cut
    return piped


CALM = session()


def test_the_session_has_ten_kilobytes() -> None:
    assert sum(CALM.carried.values()) > 10_000
    assert min(CALM.carried.values()) > 4_500


@pytest.mark.parametrize("third", [0, 1, 2])
@pytest.mark.parametrize("how", ["reset", "eof", "silence"])
@pytest.mark.parametrize("side", ["client", "server"])
def test_a_session_of_ten_kilobytes_is_cut_at_every_byte(side: Side, how: Kind, third: int) -> None:
    unharmed = 0
    for after in range(third, CALM.carried[side], 3):
        piped = session(Cut(side, after, how))
        assert piped.cuts == 1, after
        unharmed += piped.connections == CALM.connections
    assert unharmed < GOODBYES
