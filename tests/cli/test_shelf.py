"""``anyplug shelf``: shared values on the command line."""

from __future__ import annotations

import json
import pickle
import signal
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.blocking import Shelf, connect
from anyplug.cli.shelf import value_of
from anyplug.errors import LocalError
from anyplug.schemas.shelf import Put
from anyplug.store import MemoryStore
from tests.cli.commands import PATIENCE, Terminal, anyplug, call, start
from tests.cli.peers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def at() -> Iterator[str]:
    """The address of an empty shelf, as users write it."""
    with serving("plug://127.0.0.1:0", store=MemoryStore()) as addresses:
        yield f"{addresses[0].removeprefix('plug://')}/shelf"


def events(data: bytes) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in data.splitlines()]
    for event in found:
        if "time" in event:
            assert event.pop("time").endswith("Z")
    return found


def test_a_value_is_put_got_and_deleted(at: str) -> None:
    assert anyplug("shelf", at, "put", "config", '{"level": 3}') == (0, b"", b"-- version 1\n")
    assert call("shelf", at, "get", "config") == (0, b'{"level":3}\n', b"")
    assert call("shelf", at, "delete", "config") == (0, b"", b"-- version 2\n")
    assert call("shelf", at, "get", "config") == (1, b"", b"error: there is no value under config\n")
    assert call("shelf", at, "delete", "config") == (1, b"", b"error: there is no value under config\n")


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("5", 5),
        ("null", None),
        ('{"a": [true, 1.5]}', {"a": [True, 1.5]}),
        ("{1: (2, b'x'), None: {3}}", {1: (2, b"x"), None: {3}}),
        ('"text"', "text"),
        (" 'text' ", "text"),
    ],
)
def test_a_value_is_json_or_a_python_literal(at: str, typed: str, value: Any) -> None:
    assert call("shelf", at, "put", "a", typed).status == 0
    with Shelf(f"plug://{at}") as shelf:
        assert shelf["a"] == value
    assert call("shelf", at, "put", "b", given=typed.encode()).status == 0
    with Shelf(f"plug://{at}") as shelf:
        assert shelf["b"] == value


def test_with_text_the_value_is_a_text_as_it_stands(at: str) -> None:
    assert call("shelf", at, "put", "a", "5", "--text").status == 0
    assert call("shelf", at, "put", "b", "--text", given=b"two\nlines\n").status == 0
    with Shelf(f"plug://{at}") as shelf:
        assert dict(shelf) == {"a": "5", "b": "two\nlines\n"}
    assert call("shelf", at, "get", "b").out == b"two\nlines\n\n"


@pytest.mark.parametrize("typed", [b"hello", b"", b"{bad", b"__import__('os')", b"[" * 3000, b"x" * 100, b"\xff"])
def test_what_is_no_value_is_refused(typed: bytes) -> None:
    with pytest.raises(LocalError, match=r"neither JSON nor a Python literal; for a text add|not UTF-8") as caught:
        value_of(typed, text=False)
    assert len(str(caught.value)) < 200


def test_what_is_no_value_is_a_mistake_of_the_user(at: str) -> None:
    done = call("shelf", at, "put", "a", "hello")
    assert done.status == 2
    assert done.err == b"error: 'hello' is neither JSON nor a Python literal; for a text add --text\n"
    assert call("shelf", at) == (0, b"", b"")


def test_expected_is_compared(at: str) -> None:
    assert call("shelf", at, "put", "a", "1", "--expected", "0").status == 0
    done = call("shelf", at, "put", "a", "2", "--expected", "0")
    assert (done.status, done.err) == (1, b"error: key 'a' has version 1, expected 0; read it again\n")
    done = call("shelf", at, "delete", "a", "--expected", "7", "--json")
    assert (done.status, events(done.out)[0]["code"]) == (1, "changed")
    assert call("shelf", at, "delete", "a", "--expected", "1").status == 0


def test_everything_is_listed_with_versions(at: str) -> None:
    with Shelf(f"plug://{at}") as shelf:
        shelf.update({"b/1": [1], "a": (1, 2), "c\u202e": "on\x1boff"})
    assert call("shelf", at).out == b'a\t2\t(1, 2)\nb/1\t1\t[1]\nc\\u202e\t3\t"on\\u001boff"\n'
    assert call("shelf", at, "list", "b/").out == b"b/1\t1\t[1]\n"
    assert events(call("shelf", at, "--json").out) == [
        {"type": "entry", "key": "a", "version": 2, "literal": "(1, 2)"},
        {"type": "entry", "key": "b/1", "version": 1, "value": [1]},
        {"type": "entry", "key": "c\u202e", "version": 3, "value": "on\x1boff"},
    ]


def test_history_is_the_newest_first(at: str) -> None:
    with Shelf(f"plug://{at}") as shelf:
        shelf["a"] = 1
        shelf["a"] = b"\xff"
        del shelf["a"]
    lines = [line.split("\t") for line in call("shelf", at, "history", "a").out.decode().splitlines()]
    assert [(line[0], line[2]) for line in lines] == [("3", "(deleted)"), ("2", "b'\\xff'"), ("1", "1")]
    assert all(line[1].endswith("Z") for line in lines)
    assert events(call("shelf", at, "history", "a", "--json").out) == [
        {"type": "change", "key": "a", "version": 3, "deleted": True},
        {"type": "change", "key": "a", "version": 2, "base64": "/w=="},
        {"type": "change", "key": "a", "version": 1, "value": 1},
    ]


def test_json_tells_what_was_done(at: str) -> None:
    assert events(call("shelf", at, "put", "a", "{1: 2}", "--json").out) == [{"type": "put", "key": "a", "version": 1}]
    assert events(call("shelf", at, "get", "a", "--json").out) == [
        {"type": "value", "key": "a", "version": 1, "literal": "{1: 2}"}
    ]
    assert events(call("shelf", at, "delete", "a", "--json").out) == [{"type": "deleted", "key": "a", "version": 2}]
    done = call("shelf", at, "get", "a", "--json")
    assert (done.status, done.err, events(done.out)[0]["code"]) == (1, b"", "no_value")


def test_changes_are_printed_as_they_come(at: str) -> None:
    with start("shelf", at, "watch", "--after", "0", "--count", "3") as process, Shelf(f"plug://{at}") as shelf:
        assert process.stdout is not None
        shelf["a"] = 1
        assert process.stdout.readline() == b"a\t1\t1\n"
        shelf["b"] = 2
        assert process.stdout.readline() == b"b\t2\t2\n"
        del shelf["a"]
        assert process.stdout.readline() == b"a\t3\t(deleted)\n"
        assert process.wait(PATIENCE) == 0


def test_what_a_watcher_missed_is_told(at: str) -> None:
    with Shelf(f"plug://{at}") as shelf:
        for n in range(20):
            shelf["a"] = n
    done = call("shelf", at, "watch", "--after", "0", "--count", "1")
    assert done == (0, b"a\t5\t4\n", b"-- changes of a before version 5 are missed\n")
    (event,) = events(call("shelf", at, "watch", "a", "--after", "0", "--count", "1", "--json").out)
    assert event == {"type": "change", "key": "a", "version": 5, "missed": True, "value": 4}


def test_a_value_that_cannot_be_read_here_is_told_and_the_others_are_listed(at: str) -> None:
    kind = "application/vnd.anyplug.objects"
    with connect(f"plug://{at}") as peer:
        peer.ask(Put(key="a", body=b"\xc1\xff", content_type=kind))
        peer.ask(Put(key="b", body=pickle.dumps(1), content_type="application/vnd.anyplug.pickle"))
    lines = call("shelf", at).out.decode().splitlines()
    assert lines[0].startswith("a\t1\t(cannot be read here: ")
    assert lines[1] == "b\t2\t1"
    first, second = events(call("shelf", at, "--json").out)
    assert "not a valid objects message" in first["problem"]
    assert second["value"] == 1
    done = call("shelf", at, "get", "a")
    assert (done.status, done.out) == (1, b"")
    assert b"not a valid objects message" in done.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("get",), "get wants a KEY"),
        (("put",), "put wants a KEY"),
        (("get", "a", "b"), "get takes no VALUE"),
        (("get", "a", "--text"), "--text is for put"),
        (("get", "a", "--expected", "1"), "--expected is for put and delete"),
        (("list", "--count", "1"), "--count is for watch"),
        (("put", "a", "1", "--after", "0"), "--after is for watch"),
        (("drop", "a"), "'drop' is not one of"),
    ],
)
def test_words_that_do_not_fit_together_are_a_mistake(words: tuple[str, ...], problem: str) -> None:
    done = call("shelf", "127.0.0.1:1/shelf", *words)
    assert done.status == 2
    assert problem in done.err.decode()


def test_a_key_that_is_no_name_is_refused(at: str) -> None:
    done = call("shelf", at, "put", "", "1")
    assert (done.status, done.err) == (1, b"error: refused (bad_message): the name of a key is empty\n")


def test_nobody_there_and_another_kind_of_address() -> None:
    assert call("shelf", "tcp://127.0.0.1:1").status == 2
    done = call("shelf", "127.0.0.1:1", "get", "a", "--timeout", "2")
    assert (done.status, done.out) == (1, b"")
    assert b"cannot connect" in done.err


def test_on_a_terminal_nothing_of_a_value_is_obeyed(at: str) -> None:
    with Shelf(f"plug://{at}") as shelf:
        shelf["a"] = "\x1b[31mred"
        shelf["b"] = b"\x1b[31m"
        shelf["c"] = {"\x1b": 1}
    for key, shown in (("a", "\\x1b[31mred"), ("b", "\\x1b[31m"), ("c", '{"\\u001b":1}')):
        with Terminal("shelf", at, "get", key) as terminal:
            terminal.wait_for(shown)
            assert terminal.end() == 0
    with Terminal("shelf", at) as terminal:
        assert terminal.end() == 0
        assert b"\x1b[31m" not in terminal.seen


def test_a_watch_goes_on_until_it_is_interrupted(at: str) -> None:
    with start("shelf", at, "watch", "--after", "0") as process, Shelf(f"plug://{at}") as shelf:
        assert process.stdout is not None
        for n in range(3):
            shelf["a"] = n
            assert process.stdout.readline() == f"a\t{n + 1}\t{n}\n".encode()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
