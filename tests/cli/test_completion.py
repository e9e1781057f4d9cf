from __future__ import annotations

import pytest

from anyplug.cli.group import COMMANDS, COMPLETE
from tests.cli.commands import anyplug, call


@pytest.mark.parametrize(
    ("shell", "mark"),
    [
        ("bash", b"complete -o nosort -F"),
        ("zsh", b"#compdef anyplug"),
        ("fish", b"complete --no-files --command anyplug"),
    ],
)
def test_the_script_of_a_shell_is_printed(shell: str, mark: bytes) -> None:
    done = anyplug("completion", shell)
    assert (done.status, done.err) == (0, b"")
    assert mark in done.out
    assert COMPLETE.encode() in done.out


def test_another_shell_is_a_mistake() -> None:
    done = call("completion", "csh")
    assert (done.status, done.out) == (2, b"")
    assert b"'bash', 'zsh', 'fish'" in done.err


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("anyplug ", set(COMMANDS)),
        ("anyplug re", {"receive", "read"}),
        ("anyplug ask --fr", {"--framing"}),
        ("anyplug zzz --fr", set()),
        ("anyplug ask --framing ", {"raw", "lines", "header", "prefix"}),
    ],
)
def test_the_script_asks_the_command_for_words(words: str, offered: set[str]) -> None:
    *_, last = words.split(" ")
    count = len(words.split()) - (1 if last else 0)
    env = {COMPLETE: "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    done = anyplug(env=env)
    assert (done.status, done.err) == (0, b"")
    assert {line.partition(",")[2] for line in done.out.decode().splitlines() if line} == offered
