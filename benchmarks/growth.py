"""What becomes of the rate when there are more connections?

The question of `request_answer`, asked by 1, 10, 50, 200 and 1,000 connections at once: a curve, one for questions of
100 bytes and one for 10 KB. With one connection the figure is that of a round trip: both ends wait for each other.
"""

from __future__ import annotations

from benchmarks.harness import Comparison, Question
from benchmarks.loads import contestant

CONNECTIONS = (1, 10, 50, 200, 1000)
SIZES = {"growth": 100, "growth_10k": 10_000}
OURS, PLUG = "anyplug lines, bytes", "anyplug plug, requests"
NAMES = (OURS, PLUG, "uvloop Protocol", "asyncio streams on uvloop", "epoll in C")


def title(name: str, connections: int) -> str:
    return f"{name}, x{connections}"


def question(name: str, size: int) -> Question:
    counts = CONNECTIONS if size == min(SIZES.values()) else CONNECTIONS[::2]
    return Question(
        name=name,
        asks=f"one question of {size:,} bytes outstanding on each of {', '.join(map(str, counts))} connections",
        unit="answers a second",
        contestants=[
            contestant(each, title=title(each, count), connections=count, size=size)
            for each in NAMES
            for count in counts
        ],
        comparisons=[
            Comparison(title(OURS, 1000), title(OURS, 50), least=0.85),
            Comparison(title(PLUG, 1000), title(PLUG, 50), least=0.85),
            *(Comparison(title(each, 1000), title(each, 50)) for each in NAMES[2:]),
            *(Comparison(title(OURS, count), title("uvloop Protocol", count)) for count in counts),
        ],
        rounds=7,
        seconds=1.0,  # a thousand connections are accepted at its beginning
    )


QUESTION, LARGE_QUESTION = (question(name, size) for name, size in SIZES.items())
