"""Messages that a server shows on its terminal."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from anyplug.cli.output import Output
from anyplug.cli.serve_shown import Shown
from anyplug.cli.serve_talk import Talk
from tests.cli.commands import PATIENCE, Terminal, call
from tests.cli.serving import Serving

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
listen = ["plug://127.0.0.1:0"]
[store]
kind = "memory"
[services.inbox]
kind = "inbox"
show = true
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "anyplug.toml"
    path.write_text(CONFIG)
    return str(path)


def test_a_new_message_is_shown_escaped_on_the_terminal(config: str, tmp_path: Path) -> None:
    with Terminal("serve", config) as terminal:
        terminal.wait_for("plug://127.0.0.1:")
        while b" " not in terminal.seen:
            terminal._read()
        port = terminal.seen.split()[0].decode()
        terminal.wait_for("Ready.")
        done = call("post", f"127.0.0.1:{port}/inbox/log", "\x1b[31mred\u202e", "--name", "Ann")
        assert done.status == 0
        terminal.wait_for("[inbox/log 1] 127.0.0.1:")
        terminal.wait_for(" (Ann): \\x1b[31mred\\u202e\r\n")
        terminal.enter("\x03")
        assert terminal.end() == 0


def test_programs_get_it_as_an_event(config: str) -> None:
    with Serving(config) as serving:
        place = serving.addresses[0].removeprefix("plug://")
        assert call("post", f"{place}/inbox/log", "hello").status == 0
        event = serving.event()
        assert (event["type"], event["topic"]) == ("shown", "inbox/log 1")
        assert event["message"].startswith("127.0.0.1:")
        assert event["message"].endswith(": hello")


def test_who_wants_quiet_is_shown_nothing() -> None:
    before = threading.active_count()
    Talk(Output(), quiet=True).show("inbox/log 1", "hello")
    assert threading.active_count() == before


# The lines themselves.


class Slow:
    """Takes lines when its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.lines: list[str] = []
        self.fault: OSError | None = None

    def __call__(self, line: str) -> None:
        self.begun.set()
        assert self.gate.wait(PATIENCE)
        if self.fault is not None:
            raise self.fault
        self.lines.append(line)


def test_a_terminal_that_stands_still_holds_up_nobody_and_what_is_left_out_is_counted() -> None:
    slow = Slow()
    shown = Shown(slow, many=3)
    shown.show("0\n")
    assert slow.begun.wait(PATIENCE)
    for number in range(1, 8):
        shown.show(f"{number}\n")
    shown.finish(0.001)
    assert slow.lines == []
    slow.gate.set()
    shown.finish(PATIENCE)
    assert slow.lines == ["0\n", "1\n", "2\n", "3\n"]
    shown.show("8\n")
    shown.finish(PATIENCE)
    assert slow.lines[4:] == ["(4 more came, too fast to be shown)\n", "8\n"]


def test_a_terminal_that_is_gone_is_forgotten() -> None:
    slow = Slow()
    shown = Shown(slow)
    slow.fault = OSError(5, "Input/output error")
    shown.show("a\n")
    assert slow.begun.wait(PATIENCE)
    shown.show("b\n")
    waiting = threading.Thread(target=shown.finish, args=(PATIENCE,))
    waiting.start()
    slow.gate.set()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    slow.fault = None
    shown.show("c\n")
    shown.finish(PATIENCE)
    assert slow.lines == []


def test_where_nothing_was_shown_there_is_nothing_to_wait_for() -> None:
    before = threading.active_count()
    Shown(print).finish(PATIENCE)
    assert threading.active_count() == before
