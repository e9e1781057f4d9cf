"""A process with an outbox, which says on stdout what was put in, and can be killed at any moment.

``python worker.py put FILE ADDRESS FIRST COUNT DEPTH``: put ``p-n`` in from FIRST on, DEPTH at a time; deliver nothing.
``python worker.py post FILE ADDRESS FIRST COUNT DEPTH``: the same, and deliver meanwhile, and then what is left.
"""

from __future__ import annotations

import asyncio
import sys

from anyplug.errors import AnyplugError
from anyplug.outbox import Outbox

__all__: list[str] = []


def say(*words: object) -> None:
    print(*words, flush=True)


async def put(outbox: Outbox, address: str, number: int) -> None:
    try:
        await outbox.post(address, f"p-{number}", codec="text")
    except AnyplugError as error:
        say("error", type(error).__name__)
    else:
        say("ok", number)


async def main() -> None:
    how, path, address, *numbers = sys.argv[1:]
    first, count, depth = map(int, numbers)
    try:
        async with Outbox(path, deliver=how == "post") as outbox:
            say("open", sum(status.waiting for status in outbox.status()))
            for start in range(first, first + count, depth):
                await asyncio.gather(
                    *(put(outbox, address, n) for n in range(start, min(start + depth, first + count)))
                )
            if how == "post":
                await outbox.drained(20)
                say("drained")
    except AnyplugError as error:
        say("error", type(error).__name__)
        return
    say("closed")


if __name__ == "__main__":
    asyncio.run(main())
