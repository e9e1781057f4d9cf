"""The event loop of the tests: uvloop, watched by the guard, that ends a test which hangs.

A signal does not wake uvloop out of its wait, so the timer of the test run cannot end a test that awaits for ever.
The loop does it itself, a little earlier; the test then fails at the line where it hung.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import uvloop

if TYPE_CHECKING:
    from tests.socket_guard import SocketGuard

__all__ = ["GuardedLoop"]


class GuardedLoop(uvloop.Loop):
    """uvloop, but it asks the guard before it acts in C, and cancels what it runs when the test's time is over."""

    guard: SocketGuard
    patience: float | None = None
    """How long one run may take, in seconds."""

    def run_until_complete(self, future: Any) -> Any:
        """As the loop's own, and a `TimeoutError` that shows where the test hung when its time is over."""
        task = asyncio.ensure_future(future, loop=self)
        if self.patience is None:
            return super().run_until_complete(task)
        late: list[bool] = []

        def expire() -> None:
            late.append(task.cancel())

        over = self.call_later(self.patience, expire)
        try:
            return super().run_until_complete(task)
        except asyncio.CancelledError as error:
            if not late:
                raise
            raise TimeoutError(f"the test hung for {self.patience} s where it was cancelled") from error
        finally:
            over.cancel()

    async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        """As the loop's own, for names that need no other machine."""
        self.guard.check("lookup", _given(args, options, 0, "host"))
        return await super().getaddrinfo(*args, **options)

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        """As the loop's own, to loopback."""
        host = _given(args, options, 1, "host")
        if host is not None:
            self.guard.check("connect", host)
        self._check_address("bind", options.get("local_addr"))
        return await super().create_connection(*args, **options)

    async def create_server(self, *args: Any, **options: Any) -> Any:
        """As the loop's own, on loopback."""
        host = _given(args, options, 1, "host")
        if options.get("sock") is None:
            for each in host if isinstance(host, list | tuple | set) else [host]:
                self.guard.check("bind", each)
        return await super().create_server(*args, **options)

    async def create_datagram_endpoint(self, *args: Any, **options: Any) -> Any:
        """As the loop's own, from loopback to loopback."""
        self._check_address("bind", _given(args, options, 1, "local_addr"))
        self._check_address("connect", _given(args, options, 2, "remote_addr"))
        return await super().create_datagram_endpoint(*args, **options)

    def _check_address(self, verb: str, address: object) -> None:
        if isinstance(address, tuple):
            self.guard.check(verb, address[0])


def _given(args: tuple[Any, ...], options: dict[str, Any], index: int, name: str) -> Any:
    return args[index] if len(args) > index else options.get(name)
