"""Whether a stream gets colour, and the few colours there are. Nothing is said by colour alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["paint", "wants_colour"]

_CODES: Final[Mapping[str, str]] = {"red": "1;31", "cyan": "36", "dim": "2"}
"""Names of colours here, and their parameters of SGR (ECMA-48, section 8.3.117)."""


def wants_colour(environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Whether to use colour: only on a terminal that is not ``dumb``.

    ``NO_COLOR`` switches it off and ``CLICOLOR_FORCE`` on, wherever the output goes; both count when they are not
    empty, and the first counts more. ``CLICOLOR_FORCE=0`` is as good as none.
    """
    if environ.get("NO_COLOR"):
        return False
    if environ.get("CLICOLOR_FORCE", "0") not in {"", "0"}:
        return True
    return terminal and environ.get("TERM") != "dumb"


def paint(text: str, colour: str, *, on: bool) -> str:
    """The text in a colour, if colours are ``on``."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if on else text
