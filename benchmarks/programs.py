"""What the roles of several questions share."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from anyplug.server.lifecycle import new_loop

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from anyplug import Server

__all__ = ["port_of", "run_on_uvloop", "serve", "tell"]


def run_on_uvloop(work: Coroutine[object, object, None]) -> None:
    """Run a coroutine on the loop that our server uses, as all contestants do that have a loop."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(work)


def tell(**measured: float) -> None:
    """Print what was measured."""
    print(json.dumps(measured), flush=True)


def port_of(address: str) -> str:
    """The port of an address as bound."""
    return address.split("://", 1)[1].split("/", 1)[0].split("?", 1)[0].rpartition(":")[2]


def serve(server: Server, address: str) -> None:
    """Serve until the process is ended; says the port first."""

    async def main() -> None:
        print(port_of(server.listen(address)), flush=True)
        await asyncio.Event().wait()

    run_on_uvloop(main())
