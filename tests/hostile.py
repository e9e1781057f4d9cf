"""Names that break things, from `hostile_names.jsonl`: one JSON object a line, ours, to be added to.

``{"text": "../x"}``, ``{"bytes": "ff"}`` in hexadecimal, or ``{"unit": "x", "times": 300, "rest": ".jpg"}``.
"""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["HOSTILE"]


def _label(line: str) -> str | bytes:
    row = json.loads(line)
    if "bytes" in row:
        return bytes.fromhex(row["bytes"])
    return str(row["text"]) if "text" in row else row["unit"] * row["times"] + row["rest"]


HOSTILE: list[str | bytes] = [
    _label(line) for line in Path(__file__).with_name("hostile_names.jsonl").read_text("ascii").splitlines()
]
