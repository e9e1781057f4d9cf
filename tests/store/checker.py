"""What may be found after a crash: every value is ``producer-counter``, so each loss and each surplus has a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from anyplug.store import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["Verdict", "acknowledged", "judge", "left"]


class Verdict(NamedTuple):
    """What is wrong; all empty when nothing is."""

    lost: list[str]
    moved: list[str]
    duplicated: list[str]
    reordered: list[str]
    unexpected: list[str]


def acknowledged(producer: str, said: str) -> dict[str, int]:
    """Value to position, from what a worker printed; a line cut short says nothing."""
    lines = [line.split() for line in said.splitlines(keepends=True) if line.startswith("ok") and line.endswith("\n")]
    return {f"{producer}-{n}": int(position) for _, n, position in lines}


def judge(said: Mapping[str, int], attempted: Iterable[str], found: Mapping[int, str]) -> Verdict:
    """Compare what was acknowledged (value to position) and attempted with what was found (position to value).

    What was attempted and never acknowledged may be there once, or not.
    """
    values = [found[position] for position in sorted(found)]
    last: dict[str, int] = {}
    reordered = []
    for value in values:
        producer, _, counter = value.rpartition("-")
        if int(counter) <= last.get(producer, 0):
            reordered.append(value)
        last[producer] = int(counter)
    return Verdict(
        lost=[value for value in said if value not in values],
        moved=[value for value, position in said.items() if value in values and found.get(position) != value],
        duplicated=sorted({value for value in values if values.count(value) > 1}),
        reordered=reordered,
        unexpected=sorted({*values} - {*attempted}),
    )


async def left(folder: Path) -> dict[int, str]:
    """All that the store in a folder holds in the topic of the workers: position to value."""
    store = await SqliteStore.open(folder, reserve=0)
    try:
        found: dict[int, str] = {}
        while messages := (await store.log.read("log", len(found) + 1)).messages:
            found |= {message.position: message.body.decode() for message in messages}
        return found
    finally:
        await store.close()
