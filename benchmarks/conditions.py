"""What a figure holds for: this machine, these versions, this hour."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.processes import Process

__all__ = ["conditions", "sentence"]

LIBRARIES = (
    "anyplug",
    "msgspec",
    "uvloop",
    "aiofastnet",
    "anyio",
    "trio",
    "twisted",
    "pyzmq",
    "pynng",
    "websockets",
    "picows",
    "rpyc",
    "Pyro5",
    "redis",
    "nats-py",
)
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def conditions() -> dict[str, object]:
    """The conditions as they are now."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": {name: _version(name) for name in LIBRARIES},
        "governor": _governor(),
        "priority": "SCHED_RR 1" if Process.first else f"nice {os.getpriority(os.PRIO_PROCESS, 0)}",
        "load_average": os.getloadavg()[0],
        "before_others": Process.first,
    }


def sentence(found: dict[str, object]) -> str:
    """The conditions in one line, for people."""
    libraries = found["libraries"]
    assert isinstance(libraries, dict)
    names = ", ".join(f"{name} {number}" for name, number in libraries.items() if number != "none")
    return (
        f"{found['cpu']}, {found['cores']} cores, governor {found['governor']}, Linux {found['kernel']}, "
        f"{found['python']}, {names}; {found['date']}, load {found['load_average']:.1f}, {found['priority']}"
        f"{' (before all others)' if found['before_others'] else ''}"
    )


def _governor() -> str:
    """How the frequency of the cores is chosen; a virtual machine does not know."""
    return GOVERNOR.read_text(encoding="ascii").strip() if GOVERNOR.exists() else "unknown"


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
