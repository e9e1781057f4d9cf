"""Programs of the tests that need a process of their own: lower limits, another user, passed descriptors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from textwrap import dedent
from typing import Any

import pytest

__all__ = ["NOBODY", "needs_root", "run_python"]

NOBODY = 65534
"""The user that owns nothing."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
"""For a test that changes to `NOBODY`."""


def run_python(code: str, *args: object, pass_fds: tuple[int, ...] = (), measured: bool = True) -> Any:
    """Run a program and return what it printed, as JSON. Its arguments are in `sys.argv`.

    One that cannot write files, as another user or out of descriptors, is not `measured` for coverage.
    """
    environ = {name: value for name, value in os.environ.items() if measured or not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", dedent(code), *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=25,
        pass_fds=pass_fds,
        env=environ,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)
