"""The face of a conversation on a terminal: a prompt with history, and above it what comes."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.output import create_output

from anyplug.cli.conversation import Interrupted
from anyplug.cli.history import LineHistory, history_file

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable

    from prompt_toolkit.output import Output as Screen

    from anyplug.cli.output import Output

__all__ = ["Prompt"]


class Prompt:
    """Lines that somebody types behind a prompt.

    Args:
        output: where what comes is shown, above the prompt.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._session: PromptSession[str] = PromptSession(
            [("bold ansicyan", "> ")], history=LineHistory(history_file(os.environ)), output=_screen()
        )

    async def lines(self) -> AsyncIterator[list[bytes]]:
        """Each line that is typed, until Ctrl-D.

        Raises:
            Interrupted: Ctrl-C was typed.
        """
        while True:
            try:
                line = await self._session.prompt_async()
            except EOFError:
                return
            except KeyboardInterrupt:
                raise Interrupted from None
            yield [line.encode("utf-8", "surrogatepass")]

    async def show(self, data: bytes) -> None:
        """Show what came, above the prompt."""
        await run_in_terminal(partial(self._output.write, data))

    async def tell(self, say: Callable[[], None]) -> None:
        """Let ``say`` say something above the prompt."""
        await run_in_terminal(say)

    def stop(self, saying: asyncio.Task[None]) -> None:
        """Ask for no more; a prompt that stands is ended like one that was answered."""
        app = self._session.app
        if app.is_running and not app.is_done:
            app.exit(exception=EOFError())
        else:
            saying.cancel()


def _screen() -> Screen:
    """The terminal. It is not asked where its cursor stands: a prompt of one line need not know, and not all answer."""
    screen = create_output()
    if hasattr(screen, "enable_cpr"):
        screen.enable_cpr = False
    return screen
