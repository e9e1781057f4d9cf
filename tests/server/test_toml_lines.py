"""Every key of a TOML text is found on its line, however it is written."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from anyplug.server.toml_lines import dotted, toml_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anyplug.server.toml_lines import Key

TEXT = """# a comment with = and [brackets]
listen = [ # one
  "a#1",
  'b]',
  \"\"\"c
  ]\\\"\"\"\"\"\",
]
a.b."c d" = { x = 1, y = [ { z = 2 }, 3 ] }

[server]
token = "x # y"   # a comment
"q\\u0041" = ''
odd = '''it's
"it"''''
[[l]]
a = 1
[l.sub]
q = 1979-05-27T07:32:00Z

[[l]]
a = 2
[[l.deep]]
x = -1.5e3
[[l.deep]]
x = true
[ t . "u" ]
"""

LINES = {
    "listen": 2,
    "listen[0]": 3,
    "listen[1]": 4,
    "listen[2]": 5,
    "a": 8,
    "a.b": 8,
    'a.b."c d"': 8,
    'a.b."c d".x': 8,
    'a.b."c d".y': 8,
    'a.b."c d".y[0]': 8,
    'a.b."c d".y[0].z': 8,
    'a.b."c d".y[1]': 8,
    "server": 10,
    "server.token": 11,
    "server.qA": 12,
    "server.odd": 13,
    "l": 15,
    "l[0]": 15,
    "l[0].a": 16,
    "l[0].sub": 17,
    "l[0].sub.q": 18,
    "l[1]": 20,
    "l[1].a": 21,
    "l[1].deep": 22,
    "l[1].deep[0]": 22,
    "l[1].deep[0].x": 23,
    "l[1].deep[1]": 24,
    "l[1].deep[1].x": 25,
    "t": 26,
    "t.u": 26,
}


def test_each_kind_of_key_and_value_is_found_on_its_line() -> None:
    tomllib.loads(TEXT)
    assert {dotted(key): line for key, line in toml_lines(TEXT).items()} == LINES


def test_an_empty_text_has_no_keys() -> None:
    assert toml_lines("") == {}
    assert toml_lines("# nothing\n\n") == {}


def test_the_last_line_needs_no_end() -> None:
    assert toml_lines("\na = 1") == {("a",): 2}


def test_a_key_that_is_no_bare_word_is_shown_quoted() -> None:
    assert dotted(("a", 0, "b c", "d-e")) == 'a[0]."b c".d-e'
    assert dotted(()) == ""


def written(value: Any) -> str:
    """A value as TOML, inline."""
    if isinstance(value, dict):
        return (
            "{ "
            + ", ".join(f"{json.dumps(key, ensure_ascii=False)} = {written(each)}" for key, each in value.items())
            + " }"
        )
    if isinstance(value, list):
        return "[\n" + "".join(f"  {written(each)}, # , ] }}\n" for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def keys_of(value: Any, key: Key = ()) -> Iterator[Key]:
    """Every key and array member in a value."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in items:
        yield (*key, name)
        yield from keys_of(each, (*key, name))


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
SCALARS = st.booleans() | st.integers(-(2**40), 2**40) | NAMES
# No array inside an inline table: TOML 1.0 wants those on one line.
INLINE = st.dictionaries(NAMES, SCALARS | st.dictionaries(NAMES, SCALARS, max_size=2), max_size=3)
VALUES = st.recursive(SCALARS | INLINE, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
TABLES = st.dictionaries(NAMES, VALUES, max_size=4)


@given(
    TABLES, st.dictionaries(NAMES.filter(lambda name: name != "top"), TABLES, max_size=3), st.lists(TABLES, max_size=3)
)
def test_every_key_that_tomllib_reads_has_a_line_that_holds_it(top: Any, tables: Any, array: Any) -> None:
    pairs = [
        f"{json.dumps(key, ensure_ascii=False)} = {written(value)}"
        for key, value in top.items()
        if key not in {*tables, "top"}
    ]
    for name, table in tables.items():
        pairs += [
            f"[{json.dumps(name, ensure_ascii=False)}]",
            *(f"{json.dumps(key, ensure_ascii=False)} = {written(each)}" for key, each in table.items()),
        ]
    for table in array:
        pairs += [
            "[[top]]",
            *(f"{json.dumps(key, ensure_ascii=False)} = {written(each)}" for key, each in table.items()),
        ]
    text = "\n".join(pairs)
    lines = toml_lines(text)
    data = tomllib.loads(text)
    assert set(keys_of(data)) == set(lines)
    shown = text.split("\n")
    for key, line in lines.items():
        name = key[-1]
        assert isinstance(name, int) or json.dumps(name, ensure_ascii=False) in shown[line - 1] or name == "top"
