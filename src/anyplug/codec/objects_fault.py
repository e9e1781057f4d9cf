"""A part of a value that cannot be written or read, and the way to it."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

from anyplug.errors import Code

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PartError", "shown"]

INSIDE_ITSELF: Final = "it contains itself"

SHOWN_MAX: Final = 60
"""Characters of what the peer wrote that are shown."""


def shown(value: object) -> str:
    """What stands where a text belongs, as it is shown: the text, cut, or the type of anything else."""
    if not isinstance(value, str):
        return f"a value of type {type(value).__name__}"
    return f"{value[:SHOWN_MAX]!r}{'…' if len(value) > SHOWN_MAX else ''}"


class PartError(Exception):
    """What is wrong with one part. On its way up each container adds its step, so only a fault costs a path."""

    def __init__(self, reason: str, part: object = None, *, code: Code = Code.BAD_MESSAGE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.part = part
        self.code = code
        self.is_key = False
        self.steps: list[str] = []
        """From the part up to the value."""
        self.owners: list[object] = []
        """The container of each step."""

    def at(self, step: str, owner: object = None) -> PartError:
        """The same fault, seen from the container that holds the part at `step`."""
        self.steps.append(step)
        self.owners.append(owner)
        return self

    def in_key(self, key: object) -> PartError:
        """The same fault, of a key as a whole: there is no way into a key."""
        self.steps.clear()
        self.owners.clear()
        self.part = key
        self.is_key = True
        return self

    @property
    def path(self) -> str:
        """The way from the value to the part: ``.readings[3].socket``; empty for the value itself."""
        return "".join(reversed(self.steps))

    def sentence(self) -> str:
        """What a sender is told: the path, the type, the reason."""
        repeated = self._repeated()
        if repeated is not None:
            path, part, reason = repeated[0], repeated[1], INSIDE_ITSELF
        else:
            path, part, reason = self.path, self.part, self.reason
        place = f"`{path}`" if path else "the value"
        return f"{f'a key of {place}' if self.is_key else place} is of type {type(part).__qualname__}: {reason}"

    def _repeated(self) -> tuple[str, object] | None:
        """The path to the first container that is one of those it lies in, and that container."""
        above: set[int] = set()
        line: Sequence[object] = [*reversed(self.owners), self.part]
        paths = ["", *accumulate(reversed(self.steps))]
        for path, owner in zip(paths, line, strict=True):
            if id(owner) in above:
                return path, owner
            above.add(id(owner))
        return None
