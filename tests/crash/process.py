"""A server as users have it, in a process that can be killed at any moment and started again at the same place."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tests.cli.commands import environment
from tests.cli.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Victim", "rounds"]


class Victim:
    """A server on a unix socket in ``folder``, with its store beside it.

    Attributes:
        address: of its plug listener.
        store: the folder of its store.
        kills: how often it was killed.
    """

    def __init__(self, folder: Path, *, under: Sequence[str] = ()) -> None:
        self.address = f"plug+unix://{folder}/s"
        self.store = folder / "store"
        self.kills = 0
        self._under = under
        self._serving: Serving | None = None

    def start(self) -> None:
        """Start it; returns when it listens."""
        # a process that is killed leaves half a file of covered lines behind: none is better
        env = {name: value for name, value in environment().items() if not name.startswith("COV")}
        words = ("--listen", self.address, "--store", str(self.store))
        self._serving = Serving(*words, env=env, stderr=None, under=self._under)

    def kill(self) -> None:
        """Kill it (-9)."""
        assert self._serving is not None
        self._serving.signal(signal.SIGKILL)
        self.wait()
        self.kills += 1

    def wait(self) -> int:
        """Wait for its end; the status."""
        serving, self._serving = self._serving, None
        assert serving is not None
        return serving.end()[0]

    def stop(self) -> int:
        """End it in order; the status."""
        assert self._serving is not None
        self._serving.signal(signal.SIGTERM)
        return self.wait()

    @property
    def process(self) -> int:
        """The number of its process."""
        assert self._serving is not None
        return self._serving.process.pid

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._serving is not None and self._serving.process.poll() is None


def rounds() -> int:
    """How many kills are wanted in all: ``make crash N=...`` says it, `make test` leaves it at 40."""
    return int(os.environ.get("ANYPLUG_KILLS", "40"))
