"""Is everything in a folder of files as it should be? Looks at every name, and, when asked to, at every byte."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from anyplug.store.chunks import DIGEST, chunk_count, file_digest
from anyplug.store.disk import walk
from anyplug.store.files import Finding
from anyplug.store.folder_opening import HIDDEN
from anyplug.store.folder_reader import read_chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyplug.store.folder_places import Places
    from anyplug.store.folder_rows import Row

__all__ = ["check_file", "unknown"]


def check_file(places: Places, row: Row, digests: bytes, *, deep: bool) -> Finding | None:
    """What is wrong with a file, or None."""
    if file_digest(digests, row.size) != row.digest:
        return Finding("damaged", row.name, "its digests in the index are not what was written")
    file = places.open(row)
    if file is None:
        return _lost(places, row)
    try:
        for index in range(chunk_count(row.size) if deep else 0):
            _, good = read_chunk(file, index, row.size, digests[index * DIGEST : (index + 1) * DIGEST])
            if not good:
                return Finding("damaged", row.name, f"chunk {index} is not what was stored")
    finally:
        os.close(file)
    return None


def _lost(places: Places, row: Row) -> Finding:
    if places.exists(row.name):
        return Finding("changed", row.name, "its size or its time is not what was stored; somebody wrote to it")
    return Finding("missing", row.name, "no file of that name is there; restore it, or remove the name")


def unknown(places: Places, known: set[str]) -> list[Finding]:
    """What lies in the folder and is none of these files: nothing is opened but folders."""
    found: list[Finding] = []
    waiting = [""]
    while waiting:
        at = waiting.pop()
        for name, is_folder, is_file in _entries(places, at):
            path = f"{at}/{name}" if at else name
            if is_folder:
                waiting.append(path)
            elif path not in known:
                what = "it is not in the index" if is_file else "it is no file, and nothing of it is opened"
                found.append(Finding("unknown", path, what))
    return sorted(found, key=lambda each: each.name)


def _entries(places: Places, path: str) -> Iterator[tuple[str, bool, bool]]:
    folder = walk(places.root, path.split("/") if path else ["."])
    try:
        with os.scandir(folder) as entries:
            for each in entries:
                if path or each.name != HIDDEN:
                    yield (
                        os.fsencode(each.name).decode("utf-8", "replace"),
                        each.is_dir(follow_symlinks=False),
                        each.is_file(follow_symlinks=False),
                    )
    finally:
        os.close(folder)
