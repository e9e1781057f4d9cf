"""Structs of any kind are read from a table, and their own rules count."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest

from anyplug import ConfigError
from anyplug.limits import DEFAULTS
from anyplug.server.config_listeners import read_address
from anyplug.server.config_reader import ConfigText, choose, nearest
from anyplug.services.base import reply


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    even: int = 0
    small: Annotated[int, msgspec.Meta(le=5)] = 0
    words: list[str] = []
    wait: float = 1.0
    maybe: int | None = None

    def __post_init__(self) -> None:
        if self.even % 2:
            raise ValueError(f"{self.even} is odd")


def read(text: str) -> Options:
    config = ConfigText("a.toml", text)
    return config.struct(Options, config.data, ())


def test_values_are_of_the_types_of_their_fields() -> None:
    assert read('even = 4\nwords = ["a"]\nwait = "2 m"\nmaybe = 3\n') == Options(
        even=4, words=["a"], wait=120.0, maybe=3
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("even = 3", "a.toml: 3 is odd"),
        ("small = 6", "a.toml:1: small: Expected `int` <= 5"),
        ('words = [\n"a",\n1]', "a.toml:3: words[1]: expected a text, found a whole number"),
        ("maybe = 1.5", "a.toml:1: maybe: expected a whole number, found a number"),
        ("words = 1979-05-27", "a.toml:1: words: expected an array, found date"),
    ],
)
def test_a_struct_says_itself_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value) == sentence


def test_a_key_that_is_not_written_has_the_line_of_its_table() -> None:
    text = ConfigText("a.toml", "\n[a]\nb = 1\n")
    assert (text.line(("a", "b")), text.line(("a", "c", 0)), text.line(("x",))) == (3, 2, 0)


def test_the_nearest_word_is_offered_or_all_of_them() -> None:
    assert nearest("CODEX", ["address", "codec"]) == "codec"
    assert choose("no", "adress", ["address", "codec"]) == 'no; did you mean "address"?'
    assert choose("no", "x", ["address", "codec"]) == "no; words are address, codec"
    assert choose("no", "x", [], kind="kinds") == "no; kinds are none"


def test_a_codec_that_cannot_carry_the_type_is_a_mistake() -> None:
    def square(number: int) -> int:
        return number * number

    with pytest.raises(ConfigError) as caught:
        read_address("tcp://127.0.0.1:0/square?codec=text", {"square": reply("square", square)}, DEFAULTS)
    assert str(caught.value).startswith("--listen tcp://127.0.0.1:0/square?codec=text: codec text carries ")
