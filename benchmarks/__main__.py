"""``python -m benchmarks list``, ``run NAME... [--rounds N] [--seconds S] [--first]``, ``all``."""

from __future__ import annotations

import argparse
import sys

from benchmarks import ask, harness, idle_memory, oneway, request_answer, start
from benchmarks.processes import Process

QUESTIONS = {each.QUESTION.name: each.QUESTION for each in (oneway, request_answer, idle_memory, ask, start)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and compare with others.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the questions")
    run = commands.add_parser("run", help="answer some questions")
    run.add_argument("names", nargs="+", choices=sorted(QUESTIONS), metavar="NAME")
    everything = commands.add_parser("all", help="answer all questions")
    for each in (run, everything):
        each.add_argument("--rounds", type=int, help="how often each contestant is measured")
        each.add_argument("--seconds", type=float, help="how long one measurement takes, about")
        each.add_argument("--first", action="store_true", help="run before all other programs of this machine (root)")
    options = parser.parse_args()
    if options.command == "list":
        for question in QUESTIONS.values():
            print(f"{question.name:<16}{question.asks}")
        return 0
    Process.first = options.first
    for name in QUESTIONS if options.command == "all" else options.names:
        outcome = harness.answer(
            QUESTIONS[name],
            rounds=options.rounds,
            seconds=options.seconds,
            say=lambda line: print(line, file=sys.stderr, flush=True),
        )
        print(harness.report(outcome))
        print(f"written to {harness.write(outcome).relative_to(harness.RESULTS.parent.parent)}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
