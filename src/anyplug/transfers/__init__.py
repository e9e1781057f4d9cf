"""Files on their way, seen from the client: what they are read from and written to, and what is still to be sent."""

from __future__ import annotations

__all__: list[str] = []
