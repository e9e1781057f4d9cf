"""What services and their clients say to each other, as types: one file a service."""

from __future__ import annotations

__all__: list[str] = []
