"""The command as a whole: its version, its help, its words, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from anyplug import __version__
from anyplug.cli import main
from anyplug.cli.group import COMMANDS
from anyplug.cli.options import CODEC_NAMES, FRAMING_NAMES
from anyplug.codec import CODECS
from anyplug.framing import FRAMINGS
from tests.cli.commands import PATIENCE, anyplug, environment, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version_is_printed(word: str) -> None:
    assert anyplug(word) == (0, f"anyplug {__version__}\n".encode(), b"")


def test_the_version_is_printed_beside_other_words_too() -> None:
    assert anyplug("--version", "ask") == (0, f"anyplug {__version__}\n".encode(), b"")


def test_the_version_needs_no_library_of_commands() -> None:
    program = "import sys; from anyplug.cli import main; main(['--version']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = done.stdout.split()
    assert "anyplug.cli" in loaded
    assert not {"click", "asyncio", "msgspec", "anyplug.cli.group"} & set(loaded)


def test_the_help_names_every_command_and_imports_none() -> None:
    program = "import sys; from anyplug.cli import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert all(f"\n  {name} " in done.stdout and row.about in done.stdout for name, row in COMMANDS.items())
    assert "anyplug ask 127.0.0.1/echo hello" in done.stdout
    assert not {f"anyplug.cli.{name}" for name in COMMANDS} & set(done.stdout.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_row_of_the_table_is_a_command_with_an_example(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    command = COMMANDS[name].load().command
    assert isinstance(command, click.Command)
    assert (command.name, command.short_help) == (name, COMMANDS[name].about)
    assert main([name, "--help"]) == 0
    assert f"\n  anyplug {name}" in capfd.readouterr().out


def test_without_words_the_help_is_shown_as_a_mistake() -> None:
    done = anyplug()
    assert (done.status, done.out) == (2, b"")
    assert b"Usage: anyplug" in done.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["asc"], "error: No such command 'asc'\nhint: did you mean ask?\n"),
        (["zzz"], "error: No such command 'zzz'\nhint: see `anyplug --help`\n"),
        (["ask", "--frming", "raw"], "error: No such option '--frming'\nhint: did you mean '--framing'?\n"),
        (["ask", "h", "-5"], "'-5'\nhint: see `anyplug ask --help`; a text that begins with a dash goes behind --\n"),
        (["receive"], "error: Missing argument 'ADDRESS'\nhint: see `anyplug receive --help`\n"),
        (["ask", "plgu://127.0.0.1/echo", "x"], "hint: did you mean plug://127.0.0.1/echo?\n"),
        (["ask", "tcp://127.0.0.1", "x"], "error: 'tcp://127.0.0.1' is not an address: the port is nothing"),
        (["ask", "tcp://*:9", "x"], "hint: did you mean tcp://127.0.0.1:9?\n"),
        (["ask", "127.0.0.1/echo", "x", "--framing", "raw"], "which has its own frames"),
        (["ask", "127.0.0.1/echo", "x", "--timeout", "0"], "expected a number of seconds above 0"),
        (["ask", "127.0.0.1/echo", "x", "--timeout", "nan"], "'nan' is no time"),
        (["ask", "127.0.0.1/echo", "x", "--timeout", "soon"], "'soon' is no time"),
        (["ask", "tcp://127.0.0.1:9", "1", "--parse"], "add --codec json"),
        (["ask", "tcp://127.0.0.1:9", "1", "--parse", "--codec", "text"], "--codec carries text; add --codec json"),
        (["ask", "127.0.0.1/echo", "x", "--token-file", "/nowhere/x"], "'/nowhere/x' cannot be read: No such file"),
        (["ask", "tcp://127.0.0.1:9", "x", "--token-file", os.devnull], "cannot connect"),
        (["receive", "127.0.0.1/echo", "--until", "eof"], "--until eof is for plain streams"),
        (["receive", "udp://127.0.0.1:9", "--until", "eof"], "--until eof is for plain streams"),
        (["receive", "tcp://127.0.0.1:9", "--until", "eof", "--framing", "lines"], "leave out framing lines"),
        (["receive", "tcp://127.0.0.1:9?framing=header", "--until", "eof"], "leave out framing header"),
        (["receive", "tcp://127.0.0.1:9", "--count", "0"], "0 is not in the range x>=1"),
    ],
)
def test_a_mistake_on_the_command_line_is_named(words: list[str], says: str, capfd: pytest.CaptureFixture[str]) -> None:
    status = main(words)
    out, err = capfd.readouterr()
    assert out == ""
    assert says in err
    assert status == (1 if "cannot connect" in says else 2)


def test_a_mistake_is_an_event_where_events_are_wanted() -> None:
    done = anyplug("ask", "--json", "--frming", "raw")
    assert (done.status, done.err) == (2, b"")
    expected = {"type": "error", "code": "usage", "message": "No such option '--frming'"}
    assert json.loads(done.out) == {**expected, "hint": "did you mean '--framing'?"}


def test_a_bad_address_is_an_event_where_events_are_wanted() -> None:
    done = anyplug("ask", "plgu://127.0.0.1/echo", "--json")
    assert (done.status, done.err) == (2, b"")
    event = json.loads(done.out)
    assert (event["type"], event["code"]) == ("error", "bad_address")
    assert event["hint"] == "did you mean plug://127.0.0.1/echo?"


def test_a_token_file_that_is_no_text_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_bytes(b"\xff")
    assert main(["ask", "127.0.0.1/echo", "x", "--token-file", str(tmp_path / "token")]) == 2
    assert "cannot be read: it is no text" in capfd.readouterr().err


def test_options_offer_what_there_is() -> None:
    assert set(FRAMING_NAMES) == set(FRAMINGS)
    assert set(CODEC_NAMES) == set(CODECS)


def test_an_interrupt_before_a_command_runs_ends_with_130() -> None:
    class Words(list[str]):
        def __iter__(self) -> Iterator[str]:
            raise KeyboardInterrupt

    assert main(Words()) == 130


def test_an_interrupt_before_a_conversation_is_opened_ends_with_130(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token")
    with start("ask", "127.0.0.1/echo", "x", "--token-file", str(tmp_path / "token")) as process:
        with (tmp_path / "token").open("wb"):  # opens when the command opens it too
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err.strip()) == (130, b"", b"")


def test_a_reader_that_is_gone_before_the_version_is_no_traceback() -> None:
    near, far = os.pipe()
    os.close(near)
    done = subprocess.run(
        [sys.executable, "-m", "anyplug", "--version"],
        check=False,
        stdout=far,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    os.close(far)
    assert (done.returncode, done.stderr) == (141, b"")


def test_colour_is_for_terminals_and_for_who_forces_it() -> None:
    assert anyplug("asc").err.startswith(b"error: ")
    assert anyplug("asc", env={"CLICOLOR_FORCE": "1"}).err.startswith(b"\x1b[1;31merror:\x1b[0m ")
    assert anyplug("asc", env={"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}).err.startswith(b"error: ")


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_a_full_disk_is_told_in_a_sentence(word: str) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device, not a path to a file
        done = subprocess.run([sys.executable, "-m", "anyplug", word], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        b"error: standard output cannot be written to: No space left on device\n",
    )
