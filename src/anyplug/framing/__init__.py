"""Framings: how a byte stream is cut into messages.

========== ======================================================== ===========================
name       on the wire                                              for
========== ======================================================== ===========================
``raw``    what arrived is the message, or the whole stream is      the plainest of sockets
``lines``  one line each; LF or CRLF in, LF out                     people, ``nc``, text tools
``header`` length in decimal digits, 10 bytes wide, then payload    programs of many lessons
``prefix`` length as u32 big-endian, then payload                   programs
========== ======================================================== ===========================
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, cast

from anyplug.errors import LocalError
from anyplug.framing.base import Decoder, Framing
from anyplug.framing.header import Header
from anyplug.framing.lines import Lines
from anyplug.framing.prefix import Prefix
from anyplug.framing.raw import Raw
from anyplug.limits import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["FRAMINGS", "Decoder", "Framing", "Header", "Lines", "Prefix", "Raw", "make_framing"]

FRAMINGS: Mapping[str, type[Raw | Lines | Header | Prefix]] = {
    framing.name: framing for framing in (Raw, Lines, Header, Prefix)
}
"""Every framing by its name."""


def make_framing(name: str, *, limit: int = DEFAULTS.message, **options: object) -> Framing:
    """The framing of that name.

    Args:
        name: ``raw``, ``lines``, ``header`` or ``prefix``.
        limit: the largest message, bytes, in either direction.
        options: what the framing takes beside the limit: ``until="eof"`` and ``utf8=True`` of raw, ``width=10`` of
            header.

    Raises:
        LocalError: no such framing, no such option, or a value the option does not take.
    """
    if name not in FRAMINGS:
        raise _unknown("framing", name, FRAMINGS)
    kind = FRAMINGS[name]
    for option in options:
        if option not in kind.options:
            raise _unknown(f"option of framing {name}", option, kind.options)
    return cast("Callable[..., Framing]", kind)(limit=limit, **options)


def _unknown(what: str, found: str, known: Iterable[str]) -> LocalError:
    names = list(known)
    nearest = get_close_matches(found, names, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return LocalError(f"no {what} is called {found!r}; there {'is ' + ', '.join(names) if names else 'is none'}{hint}")
