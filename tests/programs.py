"""The programs that tests start: nc, socat, curl and others of requirements/debian.txt."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

__all__ = ["LIST", "find_program", "packages"]

LIST = Path(__file__).parent.parent / "requirements" / "debian.txt"


def packages(text: str) -> dict[str, str]:
    """Program to Debian package, from lines of the form `package  # program, program: why`."""
    found = {}
    for line in text.splitlines():
        package, _, comment = line.partition("#")
        if package.strip():
            for program in comment.partition(":")[0].split(","):
                found[program.strip()] = package.strip()
    return found


def find_program(name: str, *, search: str | None, must: bool) -> str:
    """The path of program `name` on `search` (a PATH). Without it the test is skipped, or fails where it `must` run."""
    package = packages(LIST.read_text(encoding="utf-8")).get(name)
    if package is None:
        pytest.fail(f"{name!r} is no program of requirements/debian.txt: add its package there, with the reason")
    path = shutil.which(name, path=search)
    if path is not None:
        return path
    sentence = f"{name} is not installed (Debian package {package})"
    if must:
        pytest.fail(sentence)
    pytest.skip(sentence)
