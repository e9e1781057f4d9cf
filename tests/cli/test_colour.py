from __future__ import annotations

import pytest

from anyplug.cli.colour import paint, wants_colour


@pytest.mark.parametrize(
    ("environ", "on_terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"TERM": "xterm"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"CLICOLOR_FORCE": "0"}, True, False),
        ({"CLICOLOR_FORCE": ""}, True, False),
        ({"CLICOLOR_FORCE": "1", "TERM": "dumb"}, True, True),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_who_gets_colour(environ: dict[str, str], on_terminal: bool, elsewhere: bool) -> None:
    assert wants_colour(environ, terminal=True) is on_terminal
    assert wants_colour(environ, terminal=False) is elsewhere


def test_paint_puts_the_colour_around_the_text_or_leaves_it_alone() -> None:
    assert paint("error:", "red", on=True) == "\x1b[1;31merror:\x1b[0m"
    assert paint("error:", "red", on=False) == "error:"
