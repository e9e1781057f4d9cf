"""Input nested a hundred thousand levels deep ends in an error also where the stack is small, and not in a crash."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import threading
from typing import Any

from anyplug.codec import make_codec
from anyplug.errors import DecodeError

name, levels = sys.argv[1], int(sys.argv[2])
bodies = {
    "json": [
        b"[" * levels,
        b"[" * levels + b"]" * levels,
        b'{"a":' * levels + b"1" + b"}" * levels,
        b'[{"a":' * levels,
    ],
    "msgpack": [
        b"\\x91" * levels + b"\\x01",
        b"\\x81\\x01" * levels,
        b"\\x91\\xdd\\0\\0\\0\\1" * levels,
        b"\\x81" * levels,
    ],
    "objects": [
        b"\\x91" * levels + b"\\x01",
        b"\\x92\\xd4\\x01\\xc1" * levels + b"\\x01",
        b"\\x93\\xd4\\x04\\xc1\\x01" * levels + b"\\x01",
        b"\\x81\\xa1a" * levels + b"\\x01",
        b"\\x92\\xd4\\x07\\xc1" * levels,
    ],
    "pickled": [
        b"\\x80\\x04" + b"](" * levels + b"e" * levels + b".",
        b"\\x80\\x04" + b"]" * levels + b"a" * (levels - 1) + b".",
        b"\\x80\\x04N" + b"\\x85" * levels + b".",
        b"\\x80\\x04N" + b"\\x85" * levels + b"}" + b"NNs.",
        b"}N" * levels + b"N" + b"s" * levels + b".",
        b"(" * levels + b"l" * levels + b".",
    ],
}[name]


def decode_all() -> None:
    for kind in (Any, list[Any]):
        codec = make_codec(name, kind)
        for body in bodies:
            try:
                codec.decode(body)
            except DecodeError as error:
                print(error.code.word)


threading.stack_size(256 * 1024)
thread = threading.Thread(target=decode_all)
thread.start()
thread.join()
"""


@pytest.mark.parametrize("levels", [200, 900, 100_000])
@pytest.mark.parametrize(("name", "bodies"), [("json", 4), ("msgpack", 4), ("objects", 5), ("pickled", 6)])
def test_deep_input_is_refused_on_a_small_stack(name: str, levels: int, bodies: int) -> None:
    command = [sys.executable, "-c", PROGRAM, name, str(levels)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["too_large"] * 2 * bodies


FINE = """
import threading

from anyplug.codec import make_codec

codec = make_codec("objects")


def there_and_back() -> None:
    for wrap in (lambda part: (part,), lambda part: {"a": part}, lambda part: [frozenset({1}), part]):
        value = 2**70
        for _ in range(126):
            value = wrap(value)
        print(codec.decode(codec.encode(value)) == value)


threading.stack_size(256 * 1024)
thread = threading.Thread(target=there_and_back)
thread.start()
thread.join()
"""


def test_values_as_deep_as_the_limit_come_back_on_a_small_stack() -> None:
    done = subprocess.run([sys.executable, "-c", FINE], check=False, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["True"] * 3
