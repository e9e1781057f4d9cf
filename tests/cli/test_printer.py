from __future__ import annotations

from typing import Any

import pytest

from anyplug.cli.output import Output
from anyplug.cli.printer import LineEnd, Printer

ALWAYS, MISSING, NEVER = LineEnd.ALWAYS, LineEnd.MISSING, LineEnd.NEVER


class Kept(Output):
    """An output that keeps what is put."""

    def __init__(self, *, terminal: bool = False, json: bool = False) -> None:
        super().__init__(json=json)
        self.terminal = terminal
        self.data = b""

    async def put(self, data: bytes) -> None:
        self.data += data


async def printed(*messages: Any, line_end: LineEnd, text: bool = True, **how: bool) -> bytes:
    output = Kept(**how)
    printer = Printer(output, "message", line_end=line_end, text=text)
    for message in messages:
        await printer.print([message])
    await printer.finish()
    return output.data


@pytest.mark.parametrize(
    ("message", "text", "line_end", "data"),
    [
        ("a", False, ALWAYS, b"a\n"),
        ("a\n", False, ALWAYS, b"a\n\n"),
        ("a", False, MISSING, b"a\n"),
        ("a\n", False, MISSING, b"a\n"),
        ("a", False, NEVER, b"a"),
        ("\x1b[31m\udcff", False, ALWAYS, b"\x1b[31m\xed\xb3\xbf\n"),
        (b"a", True, ALWAYS, b"a\n"),
        (b"a", True, MISSING, b"a\n"),
        (b"a", True, NEVER, b"a"),
        (b"\xff\x00", False, ALWAYS, b"\xff\x00"),
        ([1], False, NEVER, b"[1]\n"),
        ((1,), False, ALWAYS, b"(1,)\n"),
    ],
)
async def test_into_a_pipe_everything_goes_as_it_is(
    message: object, text: bool, line_end: LineEnd, data: bytes
) -> None:
    assert await printed(message, line_end=line_end, text=text) == data


@pytest.mark.parametrize(
    ("messages", "text", "line_end", "shown"),
    [
        (["a", "b\x1b"], False, ALWAYS, "a\nb\\x1b\n"),
        (["a\n"], False, ALWAYS, "a\n\n"),
        (["a\n", "b"], False, MISSING, "a\nb\n"),
        (["a", "b"], False, NEVER, "ab\n"),
        (["a", "b\n"], False, NEVER, "ab\n"),
        ([b"a", b"\xff\x1b"], True, ALWAYS, "a\n\\xff\\x1b\n"),
        ([b"a\n"], True, ALWAYS, "a\n\n"),
        ([b"a\n", b"b"], False, ALWAYS, "a\nb\n"),
        (["é".encode()[:1], "é".encode()[1:], b"\x1b[2J"], True, NEVER, "é\\x1b[2J\n"),
        (["é".encode()[:1]], True, NEVER, "\\udcc3\n"),
        ([b"a\n", "é".encode()[:1]], True, NEVER, "a\n\\udcc3\n"),
        ([b""], True, NEVER, ""),
        ([{1: "\x1b"}], False, ALWAYS, "{1: '\\x1b'}\n"),
    ],
)
async def test_on_a_terminal_nothing_is_obeyed_and_the_last_line_is_ended(
    messages: list[object], text: bool, line_end: LineEnd, shown: str
) -> None:
    assert (await printed(*messages, line_end=line_end, text=text, terminal=True)).decode() == shown


@pytest.mark.parametrize("terminal", [False, True])
async def test_with_json_each_message_is_an_event(terminal: bool) -> None:
    data = await printed("\x1b", b"\xff", (1,), line_end=NEVER, text=True, json=True, terminal=terminal)
    assert data.decode() == (
        '{"type":"message","value":"\\u001b"}\n'
        '{"type":"message","base64":"/w=="}\n'
        '{"type":"message","literal":"(1,)"}\n'
    )


def test_fields_of_an_event_stand_before_the_value() -> None:
    printer = Printer(Kept(json=True), "answer", line_end=ALWAYS, text=False)
    assert printer.render(5, question=2) == b'{"type":"answer","question":2,"value":5}\n'
