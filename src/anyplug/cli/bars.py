"""How transfers go, for people and for programs: a bar a file and one in all on a terminal, events with ``--json``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

from anyplug.escape import escape

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from anyplug.cli.output import Output
    from anyplug.transfers.progress import Progress

__all__ = ["Bars"]

EVERY: Final = 0.5
"""Seconds between two events of one file that is on its way."""

_WORDS: Final = {
    "beginning": "connecting",
    "anew": "beginning anew",
    "sending": "sending",
    "receiving": "receiving",
    "waiting": "waiting for the server",
    "verifying": "verifying",
    "done": "done",
}


class Bars:
    """Shows the progress of transfers; for a block of code.

    Args:
        output: where events and talk go.
        many: whether to show a bar for all files together.
        clock: the time in seconds, monotonic.
    """

    def __init__(self, output: Output, *, many: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._many = many
        self._clock = clock
        self._bar: Bar | None = None
        self._tasks: dict[str, TaskID] = {}
        self._all: TaskID | None = None
        self._said: dict[str, tuple[str, float]] = {}
        self._sizes: dict[str, int] = {}
        self._ended = 0
        self.under_way: set[str] = set()
        """Names of files that the server has in part."""

    def __enter__(self) -> Self:
        """Show from now on."""
        if not self._output.json and sys.stderr is not None and sys.stderr.isatty():
            self._bar = _bar()
            self._bar.start()
            if self._many:
                self._all = self._bar.add_task("in all", total=None, phase="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show no more."""
        if self._bar is not None:
            self._bar.stop()

    def report(self, progress: Progress) -> None:
        """A transfer goes on."""
        name = progress.name
        if progress.phase in {"sending", "resuming", "waiting", "verifying", "receiving"}:
            self.under_way.add(name)
        elif progress.phase == "done":
            self.under_way.discard(name)
        if self._output.json:
            self._event(progress)
        elif self._bar is not None:
            self._draw(self._bar, progress)
        elif progress.phase in {"anew", "waiting"}:
            self._note(progress)

    def _note(self, progress: Progress) -> None:
        before = self._said.get(progress.name)
        if before is None or before[0] != progress.phase:
            self._said[progress.name] = (progress.phase, 0.0)
            self._output.note(f"{escape(progress.name)}: {_WORDS[progress.phase]}: {escape(progress.problem)}")

    def _event(self, progress: Progress) -> None:
        """At most one event for each phase and half a second."""
        now = self._clock()
        phase, at = self._said.get(progress.name, ("", 0.0))
        if progress.phase == phase and now - at < EVERY:
            return
        self._said[progress.name] = (progress.phase, now)
        fields: dict[str, Any] = {"name": progress.name, "phase": progress.phase, "done": progress.done}
        if progress.size is not None:
            fields["size"] = progress.size
        if progress.resumed:
            fields["resumed"] = progress.resumed
        if progress.problem:
            fields["problem"] = progress.problem
        self._output.write(self._output.event("progress", **fields))

    def _draw(self, bar: Bar, progress: Progress) -> None:
        name = progress.name
        if name not in self._tasks:
            self._tasks[name] = bar.add_task(escape(name), total=progress.size, phase="")
        task = self._tasks[name]
        bar.update(task, completed=progress.done, total=progress.size, phase=_phase(progress))
        self._sizes[name] = progress.done
        if progress.phase == "done":
            del self._tasks[name]
            self._ended += 1
            if self._many:
                bar.remove_task(task)
        if self._all is not None:
            phase = f"{self._ended:,} done"
            bar.update(self._all, completed=sum(self._sizes.values()), phase=phase)


def _phase(progress: Progress) -> str:
    if progress.phase == "resuming" and progress.size:
        return f"resuming at {100 * progress.done // progress.size} %"
    return _WORDS.get(progress.phase, "resuming")


def _bar() -> Bar:
    """A bar of rich, on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[phase]}", markup=False),
        console=Console(stderr=True),
    )
