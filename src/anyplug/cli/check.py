"""``anyplug check``: find out step by step why an address does not answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from anyplug.cli.colour import paint, wants_colour
from anyplug.cli.faults import FAILURE, INTERRUPTED, OK, printable
from anyplug.cli.flags import SECONDS, json_option
from anyplug.cli.output import Output
from anyplug.cli.spark import milliseconds
from anyplug.netinfo.check import Checking, CheckOptions
from anyplug.netinfo.check_bind import CheckingListener

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyplug.netinfo.check import CheckReport, Step, StepState

__all__ = ["command"]

_WORDS: Final[Mapping[StepState, tuple[str, str]]] = {
    "ok": ("ok", ""),
    "failed": ("FAILED", "red"),
    "unknown": ("unknown", "cyan"),
    "skipped": ("skipped", "dim"),
}
"""How a state is told, and its colour."""


@click.command(
    "check",
    short_help="Find out step by step why an address does not answer.",
    epilog="""\b
    Examples:
    anyplug check 192.168.1.7/echo
    anyplug check tls://example.net:443
    anyplug check tcp://localhost:8080 --json
    anyplug check --listen plug://192.168.1.7:7584""",
)
@click.argument("address")
@click.option("--listen", is_flag=True, help="Check whether this machine could listen there.")
@click.option("--ipv4", "-4", "family", flag_value=4, type=int, help="Only IPv4.")
@click.option("--ipv6", "-6", "family", flag_value=6, type=int, help="Only IPv6.")
@click.option("--timeout", type=SECONDS, default=5.0, metavar="SECONDS", help="How long each step may take; 5.")
@click.option("--no-echo", is_flag=True, help="Send no message: a service may keep what it gets.")
@click.option("--token-file", metavar="FILE", help="A file with the server's token; or set ANYPLUG_TOKEN.")
@click.option("--ca-file", metavar="FILE", help="Certificates (PEM) to trust beside those of the system.")
@json_option
def command(address: str, listen: bool, family: int | None, token_file: str | None, json: bool, **options: Any) -> int:
    """Check ADDRESS step by step: the name, the way there, the handshakes, one message, the orderly close.

    Every address of a name is checked, both families. Behind a step that failed nothing is reached; it says what that
    means, and what to try next. To a plain address one short message is sent, unless --no-echo. The exit status is 1
    where a step failed.
    """
    output = Output(json=json)
    checking = CheckingListener(address) if listen else _checking(address, family, token_file, **options)
    return _Work(checking, output).run()


def _checking(
    address: str, family: int | None, token_file: str | None, *, timeout: float, no_echo: bool, ca_file: str | None
) -> Checking:
    from anyplug.address import Address
    from anyplug.cli.options import read_token

    where = Address.parse(address)
    options = CheckOptions(
        timeout=timeout, echo=not no_echo, token=read_token(where, token_file), ca_file=ca_file or ""
    )
    return Checking(where, options=options, family=family or 0)  # type: ignore[arg-type]


class _Work:
    """A check, and how it is told."""

    def __init__(self, checking: Checking | CheckingListener, output: Output) -> None:
        self._checking = checking
        self._output = output
        self._end = ""
        self._colour = wants_colour(os.environ, terminal=output.terminal)

    def run(self) -> int:
        """Check and tell. After Ctrl-C it is told that there is more."""
        interrupted = False
        try:
            for step in self._checking.run():
                self._tell(step)
        except KeyboardInterrupt:
            interrupted = True
        report = self._checking.report()
        count = sum(step.state == "failed" for step in report.steps)
        if self._output.json:
            facts = {"address": report.address, "ok": report.ok, "failed": count, "whole": report.whole}
            self._output.write(self._output.event("result", **facts))
        if interrupted:
            self._output.note("interrupted; that is what is known so far")
            return INTERRUPTED
        self._output.note(_verdict(report))
        return OK if report.ok else FAILURE

    def _tell(self, step: Step) -> None:
        if self._output.json:
            self._output.write(self._output.event("step", **_fields(step)))
            return
        lines = []
        if step.end != self._end:
            self._end = step.end
            lines.append(step.end)
        indent = "  " if step.end else ""
        word, colour = _WORDS[step.state]
        shown = paint(f"{word:<7}", colour, on=self._colour and bool(colour))
        time = "" if step.seconds is None else milliseconds(step.seconds)
        lines.append(f"{indent}{shown}  {step.step:<9}  {time:>8}  {printable(step.message)}")
        if step.remedy:
            lines.append(f"{indent}{'':<30}next: {printable(step.remedy)}")
        self._output.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))


def _verdict(report: CheckReport) -> str:
    """All of it in one sentence."""
    count = sum(step.state == "failed" for step in report.steps)
    if not count:
        return "no step failed"
    ends = {step.end for step in report.steps if step.end}
    works = sorted(ends - {step.end for step in report.steps if step.state == "failed"})
    rest = f"; {' and '.join(map(printable, works))} works" if works else ""
    return f"{count} of {len(report.steps)} steps failed{rest}"


def _fields(step: Step) -> dict[str, Any]:
    return {
        "step": step.step,
        "end": step.end or None,
        "state": step.state,
        "seconds": step.seconds,
        "message": step.message,
        "remedy": step.remedy or None,
        "facts": msgspec.to_builtins(step.facts),
    }
