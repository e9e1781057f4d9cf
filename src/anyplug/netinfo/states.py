"""The states of sockets, in the words of RFC 9293 (section 3.3.2), and as Linux numbers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NUMBERS", "TCP_STATES", "UDP_STATES", "UNIX_STATES", "WORDS", "state_mask", "state_word"]

TCP_STATES: Final[Mapping[int, str]] = {
    1: "established",
    2: "syn-sent",
    3: "syn-received",
    4: "fin-wait-1",
    5: "fin-wait-2",
    6: "time-wait",
    7: "closed",
    8: "close-wait",
    9: "last-ack",
    10: "listen",
    11: "closing",
    12: "syn-received",
    13: "bound",
}
"""TCP's states by Linux' number; 12 is a request that has no socket yet."""

UDP_STATES: Final[Mapping[int, str]] = {1: "established", 7: "unconnected"}
"""UDP has no states of its own: a socket has a peer, or has none."""

UNIX_STATES: Final[Mapping[int, str]] = {1: "established", 7: "unconnected", 10: "listen"}
"""Unix sockets, with the numbers of sock_diag(7)."""

NUMBERS: Final[Mapping[str, frozenset[int]]] = {
    word: frozenset(
        number for table in (TCP_STATES, UDP_STATES, UNIX_STATES) for number, each in table.items() if each == word
    )
    for word in (*dict.fromkeys(TCP_STATES.values()), "unconnected")
}
"""Linux' numbers by state."""

WORDS: Final = tuple(NUMBERS)
"""Every state."""

_ALIASES: Final[Mapping[str, str]] = {
    "estab": "established",
    "listening": "listen",
    "syn-recv": "syn-received",
    "unconn": "unconnected",
    "close": "closed",
    "fin-wait1": "fin-wait-1",
    "fin-wait2": "fin-wait-2",
}
"""As other programs write them."""


def state_word(text: str) -> str:
    """The state that a user means: in any case, with ``-`` or ``_``, or as other programs shorten it.

    Raises:
        LocalError: there is no such state.
    """
    word = text.strip().lower().replace("_", "-").replace(" ", "-")
    word = _ALIASES.get(word, word)
    if word not in NUMBERS:
        from difflib import get_close_matches

        from anyplug.errors import LocalError

        near = get_close_matches(word, WORDS, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"one of {', '.join(WORDS)}"
        raise LocalError(f"{text!r} is no state of a socket; {remedy}")
    return word


def state_mask(words: frozenset[str]) -> int:
    """The states as the bits of a request to the kernel; all of them where none is named."""
    mask = 0
    for word in words:
        for number in NUMBERS[word]:
            mask |= 1 << number
    return mask or 0xFFFFFFFF
