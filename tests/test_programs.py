"""A test that needs a program says so when it is missing, and never passes without it where it must run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.programs import LIST, find_program, packages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_list_names_each_package_and_its_programs() -> None:
    text = "# heading\n\nnetcat-openbsd  # nc: why\niproute2 # ss, ip: why: more\n"
    assert packages(text) == {"nc": "netcat-openbsd", "ss": "iproute2", "ip": "iproute2"}


def test_every_line_of_the_list_names_a_program_and_a_reason() -> None:
    lines = [line for line in LIST.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines
    assert all(line.partition("#")[2].partition(": ")[2] for line in lines)


def test_a_program_is_found_on_the_path(tmp_path: Path) -> None:
    nc = tmp_path / "nc"
    nc.touch(mode=0o755)
    assert find_program("nc", search=str(tmp_path), must=True) == str(nc)


def test_a_missing_program_skips_the_test_and_names_its_package(tmp_path: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match=r"nc is not installed \(Debian package netcat-openbsd\)"):
        find_program("nc", search=str(tmp_path), must=False)


def test_a_missing_program_fails_the_test_where_it_must_run(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="netcat-openbsd"):
        find_program("nc", search=str(tmp_path), must=True)


def test_a_program_without_a_package_fails_the_test() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"debian\.txt"):
        find_program("notepad", search=None, must=False)


def test_the_fixture_gives_an_executable(program: Callable[[str], str]) -> None:
    assert os.access(program("ps"), os.X_OK)
