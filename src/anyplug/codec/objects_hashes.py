"""How many keys share their hashes.

A dictionary finds a key in one step unless others have the same hash. Those of long integers, Decimals, tuples and
the like can be chosen by a peer; some hundred thousand keys of one hash would keep one dictionary busy for hours. So
keys that share their hashes are counted before a dictionary or set is made of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["COLLISIONS_MAX", "collisions"]

COLLISIONS_MAX: Final = 128
"""Keys and items in one message, a count, that have a hash another one of the same dictionary or set has before."""

_SAFE: Final = frozenset({str, bytes})
"""Types whose hashes a peer cannot choose: they hold a secret of this process."""


def collisions(keys: Collection[object]) -> int:
    """How many of these keys have a hash that one before them has. Raises what hashing a key raises."""
    return 0 if _SAFE.issuperset(map(type, keys)) else len(keys) - len(set(map(hash, keys)))
