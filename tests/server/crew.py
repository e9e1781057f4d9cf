"""A supervisor with workers that do as they are bid, for tests: `python -m tests.server.crew KIND`.

Each word that is said is a line on standard output. A worker of the kind `good` listens and ends when it is told to;
the others fail in one way each, those with `later` only where they replace another.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from typing import TYPE_CHECKING, Any

from anyplug.backoff import Backoff
from anyplug.server.notify import Notifier
from anyplug.server.workers import Post, Supervisor
from anyplug.server.workers_plan import Plan

if TYPE_CHECKING:
    from anyplug.server.workers_line import Line


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Foreman:
    """Says what it hears."""

    def __init__(self, kind: str) -> None:
        self.losses = 0
        count = 1 if kind == "alone" else 2
        plan = Plan(
            count,
            backoff=Backoff(first=0.001, most=0.001),
            start_time=0.1 if kind == "silent" else 30.0,
            grace=0.1 if kind in {"deaf", "stubborn"} else 30.0,
        )
        fork = refuse if kind == "no fork" else os.fork
        self.supervisor = Supervisor(
            plan, self, Notifier.from_environment(), drain=0.1 if kind == "deaf" else 30.0, reloads=True, fork=fork
        )

    def ready(self, pids: list[int]) -> None:
        say("ready", *pids)

    def replaced(self, number: int, pid: int) -> None:
        say("replaced", number, pid)

    def heard(self, number: int, word: str, data: Any) -> None:
        if word == "reloaded":
            self.supervisor.answered(number)
        say("heard", number, word, data)

    def lost(self, number: int, pid: int, how: str, again: float | None) -> None:
        self.losses += 1
        say("lost", number, how, "for good" if again is None else "for now")

    def overdue(self, number: int, pid: int) -> None:
        say("overdue", number)

    def reload(self) -> None:
        told = self.supervisor.tell("reload", "x" * 1_000_000, within=0.1)
        say("reload", *told)
        self.supervisor.reloaded()

    def stopping(self, numbers: list[int], problem: str) -> None:
        say("stopping", *numbers, problem)

    def status(self) -> str:
        return "all"


def refuse() -> int:
    raise BlockingIOError(11, "Resource temporarily unavailable")


def orders(line: Line) -> list[tuple[str, Any]]:
    """What is said next; nothing more where the supervisor is gone."""
    select.select([line], [], [])
    return line.hear()


def work(kind: str, post: Post, losses: int) -> int:
    later, _, what = kind.rpartition(" ")
    line = post.line
    if what == "dies" and (losses or not later):
        return 3
    if what == "silent" and (losses or not later):
        signal.pause()
    if what == "slow":  # it is told to stop before it listens
        said = orders(line)
        line.tell("listening")
        line.tell("was told", [word for word, _ in said])
        return 0
    line.tell("listening")
    if what == "deaf":
        signal.pause()
    while not line.ended:
        for word, data in orders(line):
            if word == "stop":
                line.tell("stopping")
                if what == "patient":
                    continue
                return 0
            if word == "force":
                return 0
            if what != "stubborn":
                line.tell("reloaded", len(data))
    say("orphan")
    return 0


def main(kind: str) -> int:
    foreman = Foreman(kind)
    result = foreman.supervisor.run()
    if isinstance(result, Post):
        return work(kind, result, foreman.losses)
    say("finish", result.forced, result.problem)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
