"""``anyplug ping``: whether a host answers, how soon, and how much gets lost."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from anyplug.cli.faults import FAILURE, INTERRUPTED, OK
from anyplug.cli.flags import SECONDS, json_option
from anyplug.cli.output import Output
from anyplug.cli.spark import milliseconds, sparkline
from anyplug.escape import escape
from anyplug.netinfo.ping import SIZE_MOST, Pinging, PingOptions

if TYPE_CHECKING:
    from anyplug.netinfo.ping import PingAnswer, PingSummary

__all__ = ["command"]

SHOWN: Final = 60
"""Requests that the sparkline shows, the last ones: they fit into a line."""

_MEANS: Final = {
    "datagram": "ICMP through a datagram socket",
    "raw": "ICMP through a raw socket",
    "tcp": "TCP connections to port {port}",
}


@click.command(
    "ping",
    short_help="Ask a host whether it is there.",
    epilog="""\b
    Examples:
    anyplug ping 192.168.1.7
    anyplug ping example.net -6 --count 0 --interval 0.2
    anyplug ping 192.168.1.7 --via tcp --port 22 --json""",
)
@click.argument("host")
@click.option("--count", "-c", type=click.IntRange(0), default=10, help="Requests; 0 goes on until Ctrl-C; 10.")
@click.option("--interval", "-i", type=SECONDS, default=1.0, metavar="SECONDS", help="From one to the next; 1.")
@click.option(
    "--timeout", type=SECONDS, default=2.0, metavar="SECONDS", help="Until a request without an answer is silent; 2."
)
@click.option("--size", "-s", type=click.IntRange(0, SIZE_MOST), default=56, help="Bytes of data in each; 56.")
@click.option("--ipv4", "-4", "family", flag_value=4, type=int, help="Only IPv4.")
@click.option("--ipv6", "-6", "family", flag_value=6, type=int, help="Only IPv6.")
@click.option(
    "--via",
    "means",
    type=click.Choice(["auto", "datagram", "raw", "tcp"]),
    default="auto",
    help="ICMP through a datagram or a raw socket, or TCP connections; the first that is allowed.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="The port over TCP; the first that answers of a few.")
@json_option
def command(host: str, family: int | None, port: int | None, json: bool, **options: Any) -> int:
    """Ask HOST whether it is there, and show how long its answers take.

    A request without an answer is silent; one that is answered after all is late, and not lost. Over TCP a refused
    connection is an answer as good as any. The exit status is 1 where nothing was answered.
    """
    output = Output(json=json)
    pinging = Pinging(host, family=family or 0, options=PingOptions(port=port or 0, **options))  # type: ignore[arg-type]
    return _Work(pinging, output).run()


class _Work:
    """A ping, and how it is told."""

    def __init__(self, pinging: Pinging, output: Output) -> None:
        self._pinging = pinging
        self._output = output
        self._course: OrderedDict[int, float | None] = OrderedDict()
        self._live = output.terminal and not output.json and sys.stderr is not None and sys.stderr.isatty()

    def run(self) -> int:
        """Ask and tell. After Ctrl-C what is known so far is told too."""
        status = OK
        self._tell_target()
        try:
            for answer in self._pinging.run():
                self._tell(answer)
        except KeyboardInterrupt:
            status = INTERRUPTED
        self._clear()
        summary = self._pinging.summary()
        self._tell_end(summary)
        return status or (OK if summary.received else FAILURE)

    def _tell_target(self) -> None:
        target, pinging = self._pinging.target, self._pinging
        if self._output.json:
            facts: dict[str, Any] = {"host": target.host, "address": target.address, "means": pinging.means}
            self._output.write(self._output.event("target", **facts, port=pinging.port or None))
            return
        name = "" if target.host == target.address else f" ({escape(target.host)})"
        means = _MEANS[pinging.means].format(port=pinging.port)
        size = "" if pinging.means == "tcp" else f", {pinging.options.size} bytes"
        self._output.note(f"{target.address}{name}: {means}{size}")

    def _tell(self, answer: PingAnswer) -> None:
        self._remember(answer)
        if self._output.json:
            self._output.write(self._output.event("answer", **_fields(answer)))
            return
        self._clear()
        self._output.write(f"{_line(answer)}\n".encode())
        if self._live:
            print(sparkline(list(self._course.values())), end="", file=sys.stderr, flush=True)

    def _remember(self, answer: PingAnswer) -> None:
        if answer.outcome != "duplicate":
            self._course[answer.sequence] = answer.seconds if answer.outcome in {"reply", "late"} else None
            while len(self._course) > SHOWN:
                self._course.popitem(last=False)

    def _clear(self) -> None:
        if self._live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _tell_end(self, summary: PingSummary) -> None:
        if self._output.json:
            self._output.write(self._output.event("summary", **msgspec.structs.asdict(summary)))
            return
        lines = [_counts(summary)]
        if summary.received:
            times = (summary.minimum, summary.median, summary.p99, summary.maximum)
            names = ("min", "median", "p99", "max")
            lines.append(", ".join(f"{name} {milliseconds(time)}" for name, time in zip(names, times, strict=True)))
        lines += [sparkline([self._course[number] for number in sorted(self._course)])] if self._course else []
        self._output.write("".join(f"{line}\n" for line in lines).encode())


def _fields(answer: PingAnswer) -> dict[str, Any]:
    fields = msgspec.structs.asdict(answer)
    return {**fields, "source": answer.source or None, "detail": answer.detail or None}


def _line(answer: PingAnswer) -> str:
    """One outcome as people read it."""
    if answer.outcome in {"silent", "unsent"}:
        return f"{answer.sequence:>4}  {answer.outcome}: {answer.detail}"
    if answer.outcome == "unreachable":
        source = f", says {answer.source}" if answer.source else ""
        return f"{answer.sequence:>4}  unreachable: {answer.detail}{source}"
    parts = [f"{answer.sequence:>4}  {milliseconds(answer.seconds)}"]
    if answer.ttl is not None:
        parts.append(f"ttl {answer.ttl}")
    if answer.outcome != "reply":
        parts.append(answer.outcome)
    if answer.reordered:
        parts.append("reordered")
    return "  ".join([*parts, answer.detail] if answer.detail else parts)


def _counts(summary: PingSummary) -> str:
    """How many of what, in one sentence; what there was none of is left out."""
    loss = "" if summary.loss is None else f", {100 * summary.loss:.3g} % lost"
    rest = "".join(
        f", {many:,} {word}"
        for many, word in (
            (summary.late, "late"),
            (summary.duplicates, "duplicate"),
            (summary.reordered, "reordered"),
            (summary.unreachable, "unreachable"),
            (summary.unsent, "not sent"),
            (summary.pending, "still open"),
        )
        if many
    )
    return f"{summary.sent:,} sent, {summary.received:,} answered{loss}{rest}"
