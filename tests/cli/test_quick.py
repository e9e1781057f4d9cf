"""What is answered before the command line is read in full says the same as the command itself."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, redirect_stdout
from struct import pack
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import pytest

from anyplug.cli.quick import quick_sockets
from anyplug.cli.socket_rows import inet_lines, width_of_ends
from tests.cli.commands import call

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SLOW = ("--interval", "1")
"""Means nothing without --watch, and leaves the words to the command."""


@pytest.fixture(autouse=True)
def sockets(tmp_path: Path) -> Iterator[list[str]]:
    """Sockets of every kind, and a word of each one's line."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        six = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        client = stack.enter_context(socket.create_connection(listener.getsockname()))
        stack.enter_context(listener.accept()[0])
        far = stack.enter_context(socket.create_connection(("::1", six.getsockname()[1])))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(tmp_path / "s\x1b"))
        unix.listen()
        guest = stack.enter_context(socket.socket(socket.AF_UNIX))
        guest.connect(str(tmp_path / "s\x1b"))
        yield [
            *(f"127.0.0.1:{each.getsockname()[1]}" for each in (listener, client, udp)),
            *(f"[::1]:{each.getsockname()[1]}" for each in (six, far)),
            str(tmp_path / "s\\x1b"),
        ]


def own(out: bytes, words: Sequence[str]) -> list[list[str]]:
    """The lines that are of our sockets, as cells."""
    return [line.split() for line in out.decode().splitlines() if set(words) & set(line.split())]


@pytest.mark.parametrize(
    "words",
    [[], ["--tcp"], ["--udp"], ["--unix"], ["--udp", "--tcp"], ["-l"], ["--listening", "--unix"], ["-l", "--tcp"]],
)
def test_it_says_the_same_as_the_command(words: list[str], sockets: list[str]) -> None:
    quick, slow = call("sockets", *words), call("sockets", *words, *SLOW)
    assert own(quick.out, sockets) == own(slow.out, sockets) != []
    assert quick.out.split(b"\n")[0].split() == slow.out.split(b"\n")[0].split()
    assert (quick.status, quick.err) == (slow.status, slow.err) == (0, b"")


@pytest.mark.parametrize("words", [["--tcp", "--udp"], ["--tcp"], ["--unix"], ["-l"]])
def test_columns_are_aligned(words: list[str]) -> None:
    lines = call("sockets", *words).out.decode().splitlines()
    for title in ("STATE", "LOCAL", "REMOTE"):
        place = lines[0].index(title)
        assert all(line[place - 2 : place] == "  " and line[place] != " " for line in lines)


def test_nothing_is_imported_for_it_that_reads_the_command_line() -> None:
    program = "import sys; from anyplug.cli import main; main(['sockets']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("PROTOCOL")
    assert "anyplug.cli.quick" in done.stderr.split()
    assert not {"click", "msgspec", "rich", "asyncio", "anyplug.cli.group"} & set(done.stderr.split())


@pytest.mark.parametrize("words", [["--json"], ["--help"], ["-t"], ["--tcp", "--watch"], ["tcp"], ["--port", "1"]])
def test_everything_else_is_left_to_the_command(words: list[str]) -> None:
    assert quick_sockets(words, text=lambda _: b"never") is None


def printed(text: bytes | Exception) -> tuple[int | None, bytes]:
    """What comes of it where the table is this, or cannot be made."""

    def table(words: Sequence[str]) -> bytes:
        assert not gc.isenabled()
        if isinstance(text, Exception):
            raise text
        return text

    with TemporaryFile("w+") as out:
        with redirect_stdout(out):
            status = quick_sockets([], table)
        out.seek(0)
        return status, out.read().encode()


def test_where_nothing_is_to_be_told_the_command_tells_it() -> None:
    assert printed(b"table\n") == (0, b"table\n")
    assert printed(b"") == (None, b"")
    assert printed(OSError(93, "Protocol not supported")) == (None, b"")
    assert gc.isenabled()


def test_garbage_is_still_not_collected_where_it_was_not_before() -> None:
    gc.disable()
    try:
        assert printed(b"x") == (0, b"x")
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_completion_is_left_to_the_command() -> None:
    program = "from anyplug.cli.quick import quick_sockets; print(quick_sockets([], lambda _: b'never'))"
    env = {**os.environ, "_ANYPLUG_COMPLETE": "bash_complete"}
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env=env)
    assert done.stdout == b"None\n"


def row(family: int, state: int, host: bytes, port: int, peer: bytes, peer_port: int) -> bytes:
    ends = pack("!HH16s16s", port, peer_port, host, peer)
    return pack("=IHHIIBBBB", 88, 20, 2, 1, 0, family, state, 0, 0) + ends + pack("=I8xIIIII", 0, 0, 3, 4, 0, 7)


def test_a_state_without_a_word_and_both_families_with_the_same_bytes() -> None:
    zero = bytes(16)
    told = [row(2, 10, zero, 80, zero, 0) + row(10, 10, zero, 80, zero, 0) + row(2, 99, zero, 1, b"\x01" + zero[1:], 2)]
    lines = inet_lines("tcp  ", {10: "listen"}, told, 10)
    assert [line.split() for line in lines] == [
        ["tcp", "listen", "3", "4", "0.0.0.0:80", "-"],
        ["tcp", "listen", "3", "4", "[::]:80", "-"],
        ["tcp", "state-99", "3", "4", "0.0.0.0:1", "1.0.0.0:2"],
    ]
    assert lines[1] == "tcp    listen               3        4  [::]:80     -\n"


def test_the_column_is_wide_enough_for_ipv6() -> None:
    long = b"\xfd" + bytes(range(1, 16))
    wide = width_of_ends([row(10, 10, long, 65535, bytes(16), 0) + row(10, 10, bytes(16), 1, bytes(16), 0)])
    assert wide == len("[fd01:203:405:607:809:a0b:c0d:e0f]:65535")
    assert width_of_ends([]) == 0
