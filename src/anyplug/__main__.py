"""``python -m anyplug`` is the command ``anyplug``."""

from __future__ import annotations

import sys

from anyplug.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
