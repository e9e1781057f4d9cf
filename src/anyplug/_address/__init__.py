"""How the text of an address is read; `anyplug.address` is the face of it."""

from __future__ import annotations

__all__: list[str] = []
