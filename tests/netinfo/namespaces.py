"""Two machines on one cable, of network namespaces: one scans, the other is scanned. What they say stays in them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["HOST", "HOST6", "Cable", "cable"]

HOST = "10.99.0.2"
HOST6 = "fd99::2"

_NUMBERS = count()

_LISTEN = """
import socket, sys
kept = []
for port in map(int, sys.argv[1:]):
    for family, host in ((socket.AF_INET, "10.99.0.2"), (socket.AF_INET6, "fd99::2")):
        kept.append(socket.create_server((host, port), family=family, backlog=64))
print("ready", flush=True)
sys.stdin.read()
"""


class Cable(NamedTuple):
    """The two machines."""

    near: str
    far: str

    def run(self, *words: str, given: str = "", where: str = "") -> str:
        """What a command prints in the near machine."""
        words = ("ip", "netns", "exec", where or self.near, *words)
        done = subprocess.run(words, input=given, capture_output=True, text=True, timeout=25, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def anyplug(self, *words: str) -> str:
        """What `anyplug` prints in the near machine."""
        return self.run(sys.executable, "-m", "anyplug", *words)


@contextmanager
def cable(
    program: Callable[[str], str], *, rules: str, listening: Sequence[int], answers: str = "", up: bool = True
) -> Iterator[Cable]:
    """Two machines, with nft rules for what comes into the far one and what it answers, and listeners there; without a
    network, where it is not `up`.
    """
    ip, nft = program("ip"), program("nft")
    if os.geteuid() != 0:
        pytest.skip("it takes root to make network namespaces")
    number = f"{os.getpid()}-{next(_NUMBERS)}"
    made = Cable(f"apn{number}", f"apf{number}")
    with ExitStack() as stack:
        for name in made:
            add = subprocess.run([ip, "netns", "add", name], capture_output=True, check=False)
            if add.returncode:
                pytest.skip(f"no network namespace can be made here: {add.stderr.decode()}")
            stack.callback(subprocess.run, [ip, "netns", "del", name], check=True)
        if up:
            _connect(ip, made)
        made.run(nft, "-f", "-", given=_table(rules, answers), where=made.far)
        words = [ip, "netns", "exec", made.far, sys.executable, "-c", _LISTEN, *map(str, listening)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as listener:
            assert listener.stdout is not None
            assert listener.stdin is not None
            assert listener.stdout.readline() == b"ready\n"
            try:
                yield made
            finally:
                listener.stdin.close()


def _connect(ip: str, made: Cable) -> None:
    words = [ip, "link", "add", "cable", "netns", made.near, "type", "veth", "peer", "name", "cable", "netns", made.far]
    subprocess.run(words, check=True)
    for name, last in ((made.near, 1), (made.far, 2)):
        for command in (
            f"addr add 10.99.0.{last}/24 dev cable",
            f"addr add fd99::{last}/64 dev cable nodad",
            "link set cable up",
            "link set lo up",
        ):
            made.run(ip, *command.split(), where=name)


def _table(rules: str, answers: str) -> str:
    chains = [
        f"chain {hook} {{\ntype filter hook {hook} priority 0; policy accept;\n{some}\n}}\n"
        for hook, some in (("input", rules), ("output", answers))
    ]
    return f"table inet test {{\n{''.join(chains)}}}\n"
