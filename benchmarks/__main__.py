"""``python -m benchmarks list``, ``run NAME... [--rounds N] [--seconds S] [--first]``, ``all``, ``charts``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from benchmarks import (
    ask,
    charts,
    fairness,
    files,
    framed,
    growth,
    harness,
    idle_memory,
    latency,
    objects,
    oneway,
    openings,
    post_latency,
    posts,
    request_answer,
    scan,
    shelf,
    sizes,
    sockets,
    start,
    talk,
    workers,
)
from benchmarks.processes import Process

if TYPE_CHECKING:
    from collections.abc import Sequence

QUESTIONS = {
    question.name: question
    for question in (
        request_answer.QUESTION,
        request_answer.LARGE_QUESTION,
        workers.QUESTION,
        framed.QUESTION,
        growth.QUESTION,
        growth.LARGE_QUESTION,
        ask.QUESTION,
        oneway.QUESTION,
        sizes.QUESTION,
        objects.QUESTION,
        openings.QUESTION,
        latency.QUESTION,
        fairness.QUESTION,
        idle_memory.QUESTION,
        start.QUESTION,
        start.SERVE,
        talk.QUESTION,
        shelf.QUESTION,
        files.LARGE,
        files.MANY,
        files.RESUME,
        posts.QUESTION,
        post_latency.QUESTION,
        scan.QUESTION,
        scan.MEMORY,
        sockets.QUESTION,
    )
}


def main() -> int:
    options = parse()
    if options.command == "list":
        for question in QUESTIONS.values():
            print(f"{question.name:<20}{question.asks}")
        return 0
    if options.command != "charts":
        Process.first = options.first
        run(list(QUESTIONS) if options.command == "all" else options.names, options.rounds, options.seconds)
    print(charts.draw_all())
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and compare with others.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the questions")
    some = commands.add_parser("run", help="answer some questions")
    some.add_argument("names", nargs="+", choices=sorted(QUESTIONS), metavar="NAME")
    everything = commands.add_parser("all", help="answer all questions")
    for each in (some, everything):
        each.add_argument("--rounds", type=int, help="how often each contestant is measured")
        each.add_argument("--seconds", type=float, help="how long one measurement takes, about")
        each.add_argument("--first", action="store_true", help="run before all other programs of this machine (root)")
    commands.add_parser("charts", help="draw the charts from what was measured before")
    return parser.parse_args()


def run(names: Sequence[str], rounds: int | None, seconds: float | None) -> None:
    """Answer these questions, one after the other; each answer is kept as soon as it is there."""
    for name in names:
        outcome = harness.answer(
            QUESTIONS[name],
            rounds=rounds,
            seconds=seconds,
            say=lambda line: print(line, file=sys.stderr, flush=True),
        )
        print(harness.report(outcome))
        print(f"written to {harness.write(outcome).relative_to(harness.RESULTS.parent.parent)}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
