"""One stream, delivered in every way: all have to come to the same."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from anyplug.errors import Broken, ProtocolError
from anyplug.testing.framing import deliveries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyplug.framing import Framing

__all__ = ["Outcome", "read", "read_every_way", "split"]


class Outcome(NamedTuple):
    """What a stream came to."""

    messages: list[bytes]
    error: str
    """The fault the decoder kept, or ``""``."""
    end: list[bytes] | str
    """What `feed_eof` returned, or the sentence it raised."""


def read(framing: Framing, pieces: Iterable[bytes]) -> Outcome:
    """Feed a new decoder the pieces and the end of the stream; nothing more after a fault."""
    decoder = framing.decoder()
    messages: list[bytes] = []
    for piece in pieces:
        messages += decoder.feed(piece)
        if decoder.error is not None:
            break
    end: list[bytes] | str
    try:
        end = decoder.feed_eof()
    except (ProtocolError, Broken) as error:
        end = str(error)
    return Outcome(messages, str(decoder.error or ""), end)


def read_every_way(framing: Framing, stream: bytes) -> Outcome:
    """What the stream comes to: whole, byte by byte, cut in two at every place, in pieces of many sizes."""
    outcome = read(framing, [stream])
    for pieces in deliveries(stream):
        assert read(framing, pieces) == outcome, f"fed as {pieces}"
    return outcome


def split(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The stream, cut at those places."""
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:stop] for start, stop in pairwise(edges)]
