"""What a figure holds for: this machine, these versions, this hour."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.processes import Process

__all__ = ["conditions", "sentence"]

LIBRARIES = ("anyplug", "msgspec", "uvloop", "pyzmq")


def conditions() -> dict[str, object]:
    """The conditions as they are now."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": {name: _version(name) for name in LIBRARIES},
        "load_average": os.getloadavg()[0],
        "before_others": Process.first,
    }


def sentence(found: dict[str, object]) -> str:
    """The conditions in one line, for people."""
    libraries = found["libraries"]
    assert isinstance(libraries, dict)
    names = ", ".join(f"{name} {number}" for name, number in libraries.items())
    return (
        f"{found['cpu']}, {found['cores']} cores, Linux {found['kernel']}, {found['python']}, {names}; "
        f"{found['date']}, load {found['load_average']:.1f}{', before all others' if found['before_others'] else ''}"
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
