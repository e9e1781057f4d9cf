"""The version, written once: the package, the command and the distribution all read it here."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
