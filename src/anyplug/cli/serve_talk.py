"""What ``anyplug serve`` says while it runs: to people on standard error, to programs as events on standard output."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from anyplug.address import Address
from anyplug.cli.colour import paint, wants_colour
from anyplug.cli.output import leave_stdout
from anyplug.cli.serve_hints import Row, hint, row
from anyplug.cli.serve_shown import Shown
from anyplug.errors import BindError
from anyplug.escape import escape
from anyplug.server.exposure import check_exposure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anyplug.cli.output import Output
    from anyplug.netinfo.announce import Announced
    from anyplug.server.lifecycle import End
    from anyplug.server.reload import Outcome
    from anyplug.services.base import Service

__all__ = ["Standing", "Talk"]

_LOGGER = logging.getLogger("anyplug")

_HEADS = ("address", "service", "framing, codec")


class Standing(NamedTuple):
    """What is served."""

    addresses: Sequence[str]
    """With the ports as bound."""
    services: Sequence[Service]
    """By name."""
    store: str
    """As `Server.store`."""
    workers: Sequence[int] = ()
    """The processes that serve, where they are several."""


class Talk:
    """Tells how a server stands.

    Args:
        output: where to.
        quiet: people are told nothing.
    """

    __slots__ = ("_output", "_quiet", "_shown")

    def __init__(self, output: Output, *, quiet: bool) -> None:
        self._output = output
        self._quiet = quiet or output.json
        self._shown = Shown(self._write)

    def ready(self, standing: Standing, kinds: Mapping[str, str], *, token: bool) -> None:
        """Everything listens."""
        addresses = list(map(Address.parse, standing.addresses))
        exposed = [str(each) for each in addresses if _is_exposed(each, token=token)]
        for address in addresses:
            self._listening(address, standing.services, kinds)
        if exposed:
            self._event("insecure", addresses=exposed)
        self._event("ready", store=standing.store, **({"workers": standing.workers} if standing.workers else {}))
        if exposed and self._quiet:
            _LOGGER.warning("insecure", extra={"fields": {"addresses": ", ".join(exposed)}})
        rows = [row(address, standing.services) for address in addresses]
        self._table(rows)
        if standing.workers:
            pids = ", ".join(map(str, standing.workers))
            self._say(f"\n{len(standing.workers)} workers: processes {pids}.")
        if standing.store == "memory":
            self._say("\nMessages and values are kept in memory: they are gone when the server ends.")
        elif standing.store:
            self._say(f"\nMessages and values are kept in {escape(standing.store)}, synced.")
        hints = [text for address in addresses if (text := hint(address, kinds))]
        if hints:
            self._say("\nIn a second terminal:", *(f"  {text}" for text in hints))
        if exposed:
            sentence = f"INSECURE: other machines can connect to {', '.join(exposed)}, and nothing is asked of them."
            self._say("", paint(sentence, "red", on=wants_colour(os.environ, terminal=_on_terminal())))
        self._say("\nReady. Ctrl-C stops.")

    def announced(self, told: Announced) -> None:
        """How announcing the server in the local network went."""
        place = told.place
        if place is None:
            problem = told.problem or "no listener takes clients that speak plug over TCP"
            self._event("announce_failed", problem=problem)
            self._warn("announce_failed", f"The server is not announced: {problem}.", problem)
            return
        facts = {"name": told.name, "wanted": told.wanted, "port": place.port, "addresses": list(place.addresses)}
        self._event("announced", **facts, local=place.local)
        taken = "" if told.name == told.wanted else f", for {escape(told.wanted)!r} is taken"
        where = ", ".join(place.addresses)
        self._say(f"Announced as {escape(told.name)!r} with port {place.port} of {where}{taken}.")
        if place.local:
            problem = (
                f"only this machine can reach {where}; others need another listener, such as 0.0.0.0:7584 with a token"
            )
            self._warn("announced_in_vain", f"Nobody else can use that: {problem}.", problem)

    def worker_lost(self, number: int, pid: int, how: str, again: float) -> None:
        """A worker has ended; another takes its place in so many seconds. People have it from the log."""
        self._event("worker_lost", worker=number, pid=pid, how=how, again=again)

    def worker_replaced(self, number: int, pid: int) -> None:
        """A new worker listens."""
        self._event("worker_replaced", worker=number, pid=pid)

    def show(self, topic: str, message: str) -> None:
        """A service shows a message of a peer; neither is escaped yet."""
        if self._output.json:
            self._shown.show(self._output.event("shown", topic=topic, message=message).decode())
        elif not self._quiet:
            self._shown.show(f"[{escape(topic)}] {escape(message, prose=True)}\n")

    def _write(self, line: str) -> None:
        """Write a line, in the thread of `Shown`: with system calls alone, no lock of Python's streams."""
        if self._output.json:
            self._output.write(line.encode())
        elif sys.stderr is not None:
            os.write(sys.stderr.fileno(), line.encode("utf-8", "replace"))

    def _warn(self, event: str, sentence: str, problem: str) -> None:
        """Tell what should not stay as it is: people, or else the log."""
        if self._quiet:
            _LOGGER.warning(event, extra={"fields": {"problem": problem}})
        self._say(sentence)

    def stopping(self, conversations: int, seconds: float) -> None:
        """A signal has come."""
        self._event("stopping", conversations=conversations, seconds=seconds)
        if conversations:
            plural = "s" if conversations > 1 else ""
            may = f"{conversations:,} conversation{plural} may end within {seconds:g} s; Ctrl-C again ends at once"
            self._say(f"Stopping: {may}")
        else:
            self._say("Stopping.")

    def stopped(self, end: End) -> None:
        """Everything has ended."""
        self._shown.finish()
        self._event("stopped", cut=end.cut, forced=end.forced)
        if end.cut:
            self._say(f"Stopped; {end.cut:,} conversation{'s were' if end.cut > 1 else ' was'} cut.")
        else:
            self._say("Stopped.")

    def reloaded(self, outcome: Outcome, file: str) -> None:
        """The configuration was read again."""
        if outcome.error is not None:
            self._event("reload_failed", message=str(outcome.error))
            return  # the log has said it
        opened, closed = outcome.changes
        self._event("reloaded", opened=opened, closed=closed, restart=list(outcome.restart))
        self._say(
            f"Reloaded {file}.", *(f"  opened {each}" for each in opened), *(f"  closed {each}" for each in closed)
        )
        if outcome.restart:
            self._say(f"  from the next start: {', '.join(outcome.restart)}")

    def _listening(self, address: Address, services: Sequence[Service], kinds: Mapping[str, str]) -> None:
        shown = row(address, services)
        fields = {"service": shown.service, "speaks": shown.speaks, "try": hint(address, kinds)}
        self._event("listening", address=str(address), **{name: text for name, text in fields.items() if text})

    def _table(self, rows: Sequence[Row]) -> None:
        if self._quiet:
            return
        if _on_terminal():
            _rich_table(rows)
            return
        widths = [max(map(len, column)) for column in zip(_HEADS, *rows, strict=True)]
        for cells in (_HEADS, *rows):
            self._say("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())

    def _event(self, kind: str, **fields: Any) -> None:
        if self._output.json:
            try:
                self._output.write(self._output.event(kind, **fields))
            except BrokenPipeError:  # whoever read the events has gone; clients have not
                leave_stdout()

    def _say(self, *lines: str) -> None:
        if not self._quiet and sys.stderr is not None:
            with suppress(BrokenPipeError):  # whoever read it has gone; clients have not
                print(*lines, sep="\n", file=sys.stderr, flush=True)


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _is_exposed(address: Address, *, token: bool) -> bool:
    """Whether other machines can connect, and nothing is asked of them."""
    try:
        check_exposure(address, token="x" if token else "", insecure=False)
    except BindError:
        return True
    return False


def _rich_table(rows: Sequence[Row]) -> None:
    """The table on a terminal; the library takes a moment to load, which only people wait for."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in _HEADS:
        table.add_column(head, overflow="fold")
    for each in rows:
        table.add_row(*map(Text, each))
    Console(stderr=True, highlight=False).print(table)
