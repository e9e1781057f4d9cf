"""What makes a dictionary of a shelf: what a `MutableMapping` would do with a question for each key, or in two steps
between which another may write, is done better here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import ItemsView, Iterator, MutableMapping, ValuesView
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from anyplug.errors import Changed

if TYPE_CHECKING:
    from anyplug.schemas.shelf import Entry

__all__ = ["Dictionary"]

_NOTHING: Final = object()


class Dictionary(MutableMapping[str, Any]):
    """A dictionary of entries with versions."""

    @abstractmethod
    def listed(self, prefix: str = "", *, bodies: bool = True) -> Iterator[Entry]:
        """All entries whose key begins with a prefix, in order."""

    @abstractmethod
    def entry(self, key: str) -> Entry | None:
        """The value of a key with its version, or None."""

    @abstractmethod
    def put(self, key: str, value: Any, *, expected: int | None = None) -> int:
        """Set a value; raises `Changed` where another version is there than was expected."""

    @abstractmethod
    def delete(self, key: str, *, expected: int | None = None) -> int:
        """Delete a value; raises as `put`."""

    def items(self) -> ItemsView[str, Any]:
        """All keys and values, in order: read page by page, not one by one."""
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        """All values, in the order of their keys: read page by page, not one by one."""
        return _Values(self)

    def pop(self, key: str, default: Any = _NOTHING) -> Any:
        """Take a value away and return it: nobody else gets it, and no newer one is lost. Raises as `put`, and KeyError
        where there is none and no default.
        """
        while (entry := self.entry(key)) is not None:
            with suppress(Changed):
                self.delete(key, expected=entry.version)
                return entry.value
        if default is _NOTHING:
            raise KeyError(key)
        return default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key; where there is none it is set to the default, unless another does so first."""
        while (entry := self.entry(key)) is None:
            with suppress(Changed):
                self.put(key, default, expected=0)
                return default
        return entry.value


class _Items(ItemsView[str, Any]):
    """Keys and values, page by page."""

    _mapping: Dictionary

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return ((entry.key, entry.value) for entry in self._mapping.listed())


class _Values(ValuesView[Any]):
    """Values, page by page."""

    _mapping: Dictionary

    def __iter__(self) -> Iterator[Any]:
        return (entry.value for entry in self._mapping.listed())
