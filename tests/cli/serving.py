"""`anyplug serve` in a process of its own, for tests of it and for tests that need a server as users have it."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
from typing import TYPE_CHECKING, Any

from tests.cli.commands import PATIENCE, start

if TYPE_CHECKING:
    import signal
    from types import TracebackType
    from typing import Self

__all__ = ["Serving", "port_of"]


class Serving:
    """A server in a process, ready; its events come on standard output."""

    def __init__(self, *words: str, **options: Any) -> None:
        options.setdefault("stderr", subprocess.PIPE)
        self.process = start("serve", "--json", *words, stdin=subprocess.DEVNULL, **options)
        self._data = b""
        self.addresses: list[str] = []
        while (event := self.event())["type"] != "ready":
            if event["type"] == "listening":
                self.addresses.append(event["address"])

    def event(self) -> dict[str, Any]:
        """The next event."""
        assert self.process.stdout is not None
        while b"\n" not in self._data:
            assert select.select([self.process.stdout], [], [], PATIENCE)[0], f"nothing after {self._data!r}"
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, f"the server ended: {self.end()}"
            self._data += data
        line, _, self._data = self._data.partition(b"\n")
        event: dict[str, Any] = json.loads(line)
        return event

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for its end: the status, and what it said on standard error."""
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, (err or b"").decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        with self.process:
            pass


def port_of(address: str) -> int:
    found = re.search(r":(\d+)", address)
    assert found is not None
    return int(found[1])
