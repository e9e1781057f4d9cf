"""How long does one post take, from the call to its acknowledgement, when nothing else is under way?

The 99th of 100 posts by their time, beside the 99th of 100 ``fdatasync`` of a page that was appended to a file on the
same disk: less than that nobody can do who tells the truth.
"""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import anyplug.blocking
from benchmarks.harness import Comparison, Contestant, Question, Sample
from benchmarks.posts import MESSAGE, folder_on_disk
from benchmarks.processes import LOAD_CORE, SERVER_CORE, Process, play, role
from benchmarks.programs import tell

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = b"p" * 4096
LEAST = 100


def percentiles(work: Callable[[], object], seconds: float) -> dict[str, float]:
    """How long the work takes, microseconds."""
    for _ in range(5):
        work()
    times: list[float] = []
    until = perf_counter() + seconds
    while len(times) < LEAST or perf_counter() < until:
        began = perf_counter()
        work()
        times.append((perf_counter() - began) * 1e6)
    times.sort()
    return {"p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100], "count": len(times)}


def post(port: str, seconds: str) -> None:
    with anyplug.blocking.connect(f"plug://127.0.0.1:{port}/inbox/log", codec="bytes") as peer:
        tell(**percentiles(lambda: peer.post(MESSAGE), float(seconds)))


def sync(folder: str, seconds: str) -> None:
    file = os.open(Path(folder) / "file", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append() -> None:
        os.write(file, PAGE)
        os.fdatasync(file)

    tell(**percentiles(append, float(seconds)))


def sample(found: dict[str, float]) -> Sample:
    return Sample(found["p99"], facts={"p50 us": found["p50"], "measured": found["count"]})


def measure_post(seconds: float) -> Sample:
    with (
        folder_on_disk() as folder,
        Process(role("posts", "serve_anyplug", folder), core=SERVER_CORE) as server,
        Process(role("post_latency", "post", server.line(), seconds), core=LOAD_CORE) as client,
    ):
        return sample(client.json())


def measure_sync(seconds: float) -> Sample:
    with folder_on_disk() as folder, Process(role("post_latency", "sync", folder, seconds), core=LOAD_CORE) as client:
        return sample(client.json())


POST, SYNC = "anyplug.blocking post, one at a time", "append 4 KiB and fdatasync"
QUESTION = Question(
    name="post_latency",
    asks=f"the 99th percentile of one post of {len(MESSAGE)} bytes at a time, synced, beside one fdatasync",
    unit="microseconds",
    contestants=[Contestant(POST, measure_post), Contestant(SYNC, measure_sync)],
    comparisons=[Comparison(POST, SYNC, most=3.0)],
    rounds=9,
    seconds=1.0,
)

if __name__ == "__main__":
    play({"post": post, "sync": sync})
