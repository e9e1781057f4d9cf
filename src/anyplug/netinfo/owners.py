"""Which processes have a socket open: the links in /proc/PID/fd (proc(5)).

A process of another user may not be looked at, and one can end at any time: both are left out without a word.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from anyplug.netinfo.socket_types import Process

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyplug.netinfo.socket_types import Socket

__all__ = ["owners", "with_owners"]

_PREFIX: Final = "socket:["


def owners(root: str = "/proc") -> dict[int, tuple[Process, ...]]:
    """The processes that have a socket open, by the inode of the socket; those that this user may look at."""
    found: dict[int, list[Process]] = {}
    for pid in sorted(int(name) for name in _names(root) if name.isdecimal()):
        inodes = _inodes(f"{root}/{pid}/fd")
        if inodes:
            process = Process(pid, _name(Path(root, str(pid), "comm")))
            for inode in inodes:
                found.setdefault(inode, []).append(process)
    return {inode: tuple(processes) for inode, processes in found.items()}


def with_owners(sockets: Iterable[Socket], found: dict[int, tuple[Process, ...]]) -> list[Socket]:
    """The sockets with their processes, where those are known."""
    return [
        each._replace(processes=found[each.inode]) if each.inode and each.inode in found else each for each in sockets
    ]


def _names(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def _inodes(folder: str) -> set[int]:
    inodes = set()
    for name in _names(folder):
        try:
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115 - thousands of them: a Path each costs too much
        except OSError:
            continue
        if target.startswith(_PREFIX):
            inodes.add(int(target[len(_PREFIX) : -1]))
    return inodes


def _name(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").removesuffix("\n")
    except OSError:
        return ""
