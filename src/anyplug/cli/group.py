"""The table of commands, and how one is found and run.

A command is a file beside this one with a `click.Command` called ``command``, which returns the exit status. It is
imported when it runs, or when its own help is asked for.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from anyplug.cli.faults import OK, USAGE, Fault, explain, printable
from anyplug.cli.output import Output
from anyplug.errors import AnyplugError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

__all__ = ["COMMANDS", "COMPLETE", "LazyGroup", "Row", "dispatch", "root"]


_NAME: Final = "anyplug"

COMPLETE: Final = "_ANYPLUG_COMPLETE"
"""The variable by which the script of a shell asks for words (the name that click derives from the program's)."""


class Row(NamedTuple):
    """One command."""

    load: Callable[[], ModuleType]
    about: str
    """What the list of commands says of it."""


COMMANDS: Final[Mapping[str, Row]] = {
    "serve": Row(lambda: import_module("anyplug.cli.serve"), "Serve named services to any client."),
    "ask": Row(lambda: import_module("anyplug.cli.ask"), "Say something and print the answer."),
    "send": Row(lambda: import_module("anyplug.cli.send"), "Send a message, or standard input."),
    "receive": Row(lambda: import_module("anyplug.cli.receive"), "Print messages as they come."),
    "post": Row(lambda: import_module("anyplug.cli.post"), "Post a message that the server keeps."),
    "read": Row(lambda: import_module("anyplug.cli.read"), "Read what a server has kept, and follow it."),
    "shelf": Row(lambda: import_module("anyplug.cli.shelf"), "Look at shared values, set them, watch them."),
    "put": Row(lambda: import_module("anyplug.cli.put"), "Store files and folders on a server."),
    "get": Row(lambda: import_module("anyplug.cli.get"), "Fetch a file from a server."),
    "ls": Row(lambda: import_module("anyplug.cli.ls"), "List the files of a server."),
    "rm": Row(lambda: import_module("anyplug.cli.rm"), "Delete a file of a server."),
    "files": Row(lambda: import_module("anyplug.cli.files"), "Look after a server's folder of files."),
    "outbox": Row(lambda: import_module("anyplug.cli.outbox"), "Show what waits to be delivered, and deliver it."),
    "talk": Row(lambda: import_module("anyplug.cli.talk"), "Hold a conversation, line by line."),
    "check": Row(lambda: import_module("anyplug.cli.check"), "Find out step by step why an address does not answer."),
    "scan": Row(lambda: import_module("anyplug.cli.scan"), "Find the open ports of a host."),
    "ping": Row(lambda: import_module("anyplug.cli.ping"), "Ask a host whether it is there."),
    "sockets": Row(lambda: import_module("anyplug.cli.sockets"), "Show what listens and what is connected here."),
    "addresses": Row(lambda: import_module("anyplug.cli.addresses"), "Show the addresses of this machine."),
    "find": Row(lambda: import_module("anyplug.cli.find"), "Find servers in the local network."),
    "completion": Row(lambda: import_module("anyplug.cli.completion"), "Print the script for completion."),
}
"""Every command by its name, in the order of the help."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        row = COMMANDS.get(name)
        if row is None:
            return None
        command: click.Command = row.load().command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands; none is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.about) for name, row in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words name.

        Raises:
            click.UsageError: there is none of that name; says which is nearest.
        """
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(name, COMMANDS, n=1)
            hint = f"Did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"No such command {name!r}. {hint}".rstrip(), ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
    Examples:
    anyplug serve --listen 127.0.0.1:7584
    anyplug ask 127.0.0.1/echo hello""",
)
@click.option("--version", "-V", is_flag=True, help="Print the version and exit.")
def root(version: bool) -> None:
    """A socket that any client can plug into.

    An ADDRESS says where: 127.0.0.1/echo (which means plug://127.0.0.1:7584/echo), tcp://host:port, unix:///path,
    udp://host:port.
    """


def dispatch(words: Sequence[str]) -> int:
    """Run the command that the words name.

    Returns:
        The exit status.
    """
    try:
        if COMPLETE in os.environ:
            root.main(prog_name=_NAME, complete_var=COMPLETE)
        with root.make_context(_NAME, list(words)) as context:
            status: Any = root.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except click.ClickException as error:
        fault = _usage_fault(error)
    except AnyplugError as error:
        fault = explain(error)
    else:
        return status if isinstance(status, int) else OK
    Output(json="--json" in words).error(fault)
    return fault.status


def _usage_fault(error: click.ClickException) -> Fault:
    """What click found wrong, as the other errors are told."""
    context = getattr(error, "ctx", None)
    hint = f"see `{context.command_path} --help`" if context is not None else ""
    message, question, near = error.format_message().partition(" Did you mean ")
    if question:
        hint = f"did you mean {near}"
    elif isinstance(error, click.NoSuchOption):
        hint += "; a text that begins with a dash goes behind --"
    return Fault("usage", printable(message.rstrip(".")), printable(hint), error.exit_code)
