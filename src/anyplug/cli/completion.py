"""``anyplug completion``: the script that makes a shell complete the words of ``anyplug``."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

__all__ = ["command"]


@click.command(
    "completion",
    short_help="Print the script for completion.",
    epilog="""\b
    Examples:
    anyplug completion bash > ~/.local/share/bash-completion/completions/anyplug
    anyplug completion zsh > ~/.zfunc/_anyplug
    anyplug completion fish > ~/.config/fish/completions/anyplug.fish""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print the script that makes SHELL complete the words of anyplug."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - the choice above names only shells that click knows
    root = ctx.find_root()
    script = kind(root.command, {}, f"{root.info_name}", f"_{root.info_name}_COMPLETE".upper())
    click.echo(ShellComplete.source(script))
    return 0
