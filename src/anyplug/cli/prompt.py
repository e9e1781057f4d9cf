"""The face of a conversation on a terminal: a prompt with history, and above it what comes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal

from anyplug.cli.history import LineHistory, history_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["Prompt"]


class Prompt:
    """Lines that somebody types behind a prompt."""

    def __init__(self) -> None:
        self._session: PromptSession[str] = PromptSession("> ", history=LineHistory(history_file(os.environ)))
        self._over = False

    async def lines(self) -> AsyncIterator[list[bytes]]:
        """Each line that is typed, until Ctrl-D, or until `stop`.

        Raises:
            KeyboardInterrupt: Ctrl-C was typed.
        """
        while not self._over:
            try:
                line = await self._session.prompt_async()
            except EOFError:
                return
            yield [line.encode("utf-8", "surrogatepass")]

    async def show(self, write: Callable[[], None]) -> None:
        """Let ``write`` write above the prompt."""
        await run_in_terminal(write)

    def stop(self) -> None:
        """Ask for no more; a prompt that stands is taken away."""
        self._over = True
        app = self._session.app
        if app.is_running and not app.is_done:
            app.exit(exception=EOFError())
