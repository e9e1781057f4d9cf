"""`anyplug find`, on loopback; names are of this process, for others may be looking there too."""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from anyplug import LocalError, Server
from anyplug.address import Address
from anyplug.cli.find import _Search
from anyplug.netinfo.find import CAUSES, Found
from tests.cli.commands import PATIENCE, anyplug, start
from tests.cli.serving import Serving, port_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

LOOK = ("find", "--interface", "127.0.0.1")


def events(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def announced() -> Iterator[tuple[str, int]]:
    """A server that announces itself: its name and port."""
    name = f"cli {os.getpid()}"
    with Serving("--listen", "plug://127.0.0.1:0", "--announce-name", name) as serving:
        event = serving.event()
        assert event == {
            "type": "announced",
            "name": name,
            "wanted": name,
            "port": port_of(serving.addresses[0]),
            "addresses": ["127.0.0.1"],
            "local": True,
        }
        yield name, port_of(serving.addresses[0])
        serving.signal(signal.SIGTERM)
        assert [serving.event()["type"] for _ in range(2)] == ["stopping", "stopped"]
        status, err = serving.end()
    assert status == 0
    assert "WARNING announced_in_vain" in err


def test_what_is_typed_is_told_first_and_then_what_announces_itself(announced: tuple[str, int]) -> None:
    name, port = announced
    done = anyplug(*LOOK, "--timeout", "2", f"127.0.0.1:{port}")
    head, first, *rest = done.out.decode().splitlines()
    assert head.split() == ["ADDRESS", "NAME", "VERSION", "TOKEN", "SERVICES"]
    assert first.split()[:4] == [f"plug://127.0.0.1:{port}", "-", "-", "none"]
    (line,) = [each for each in rest if name in each]
    assert line.startswith(f"plug://127.0.0.1:{port} ")
    assert "echo, " in line
    assert line.partition(" none ")[2] == first.partition(" none ")[2]
    assert (done.status, done.err) == (0, b"")


def test_events_have_every_fact(announced: tuple[str, int]) -> None:
    name, port = announced
    done = anyplug(*LOOK, "--timeout", "2", f"127.0.0.1:{port}", "--json")
    first, *rest, last = events(done.out)
    (second,) = [each for each in rest if each["name"] == name]
    assert 0 <= first.pop("seconds") <= second.pop("seconds") <= last.pop("seconds")
    same = {"type": "server", "address": f"plug://127.0.0.1:{port}", "port": port, "services": second["services"]}
    same |= {"more": 0, "token": False}
    assert first == {**same, "how": "asked", "name": None, "addresses": [], "version": None}
    assert second == {
        **same,
        "how": "announced",
        "name": name,
        "addresses": ["127.0.0.1"],
        "version": second["version"],
    }
    assert second["version"]
    assert last == {"type": "summary", "servers": len(rest) + 1, "multicast": True}
    assert done.status == 0


def test_a_typed_address_that_does_not_answer_is_told_and_the_search_goes_on(announced: tuple[str, int]) -> None:
    name, _ = announced
    done = anyplug(*LOOK, "--timeout", "2", "127.0.0.1:1")
    assert done.err.decode().startswith("error: cannot connect to plug://127.0.0.1:1: nothing listens")
    assert name.encode() in done.out
    assert done.status == 1


def test_results_are_told_as_they_come(announced: tuple[str, int]) -> None:
    """Ctrl-C in the middle: what is known so far was told already."""
    name, _ = announced
    with start(*LOOK, "--timeout", "60", "--json") as process:
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["name"] != name:
            pass
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


def test_whoever_read_it_is_gone(announced: tuple[str, int]) -> None:
    with start(*LOOK, "--timeout", "60", "--json") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE) == 141


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-i", "nothing0"], "error: 'nothing0' is no interface and no address of this machine; there are lo"),
        (["-i", "203.0.113.77"], "error: '203.0.113.77' is no interface and no address of this machine"),
        (["tcp://127.0.0.1:80"], "error: 'tcp://127.0.0.1:80' is not an address: the scheme is 'tcp://'"),
        (["--timeout", "0"], "error: Invalid value for '--timeout'"),
    ],
)
def test_bad_words(words: list[str], message: str) -> None:
    done = anyplug(*LOOK[:1], *words)
    assert (done.status, done.out) == (2, b"")
    assert done.err.decode().startswith(message)


# How it is told, without a search.


class Told:
    """Takes what is told."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        self.data: list[dict[str, Any]] = []
        self.text = b""
        self.notes: list[str] = []
        self.errors: list[tuple[str, str]] = []

    async def put(self, data: bytes) -> None:
        self.text += data

    def write(self, data: bytes) -> None:
        self.text += data

    def event(self, kind: str, **fields: Any) -> bytes:
        self.data.append({"type": kind, **fields})
        return b""

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def error(self, fault: Any) -> None:
        self.errors.append((fault.code, fault.message))


async def search(told: Told, *found: Found, deaf: str = "") -> int:
    made = _Search(told, 3.0, [])  # type: ignore[arg-type]
    made._deaf = deaf
    for each in found:
        await made._tell(each)
    return made._tell_end()


async def test_nothing_found_explains_the_usual_causes() -> None:
    told = Told()
    assert await search(told) == 1
    assert told.errors == [("nothing_found", "no server announced itself within 3 s")]
    assert [note.strip() for note in told.notes[1:]] == list(CAUSES)
    told = Told(json=True)
    assert await search(told) == 1
    assert told.data[-1]["causes"] == list(CAUSES)


async def test_a_machine_without_multicast_says_so() -> None:
    told = Told()
    assert await search(told, deaf="No such device") == 1
    assert told.errors == [("nothing_found", "nobody could be heard")]
    assert told.notes[0] == "announcements cannot be heard here: multicast does not work (No such device)"
    told = Told(json=True)
    assert await search(told, Found(address="plug://h", how="asked"), deaf="x") == 0
    assert told.data[-1]["multicast"] is False


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(19, "No such device"), "No such device"),
        (OSError("odd"), "odd"),
        (LocalError("nothing is told"), "nothing is told"),
    ],
)
async def test_a_search_that_cannot_listen_says_why(error: Exception, why: str) -> None:
    async def look(**_: object) -> AsyncIterator[Found]:
        nobody: list[Found] = []
        for each in nobody:
            yield each
        raise error

    told = Told()
    assert await _Search(told, 3.0, [], look).run([]) == 1  # type: ignore[arg-type]
    assert told.errors == [("nothing_found", "nobody could be heard")]
    assert told.notes[0].endswith(f"({why})")


async def test_what_is_heard_meanwhile_is_told_behind_what_was_asked() -> None:
    async def look(**_: object) -> AsyncIterator[Found]:
        yield Found(address="plug://heard", how="announced")

    told = Told(json=True)
    async with Server() as server:
        await server.start("plug://127.0.0.1:0")
        targets = [Address.parse(server.addresses[0]), Address.parse("plug://127.0.0.1:1")]
        assert await _Search(told, 3.0, [], look).run(targets) == 1  # type: ignore[arg-type]
    addresses = [event["address"] for event in told.data if event["type"] == "server"]
    assert addresses == [str(targets[0]), "plug://heard"]
    assert [code for code, _ in told.errors] == ["connect/connect"]


async def test_what_strangers_say_is_escaped() -> None:
    told = Told()
    names = {"name": "a\x1b[2J", "version": "1\n", "services": ("b\u202e",)}
    await search(told, Found(address="plug://1.2.3.4:5", how="announced", more=2, token=True, **names))  # type: ignore[arg-type]
    line = told.text.decode().splitlines()[1]
    assert line.split() == ["plug://1.2.3.4:5", "a\\x1b[2J", "1\\n", "asked", "b\\u202e,", "and", "2", "more"]


@pytest.mark.parametrize(("services", "shown"), [(None, "-"), ((), "none"), (("a", "b"), "a, b")])
async def test_what_is_offered_is_shown(services: tuple[str, ...] | None, shown: str) -> None:
    told = Told()
    await search(told, Found(address="plug://h", how="asked", services=services))
    assert told.text.decode().splitlines()[1] == f"{'plug://h':<28}  {'-':<16}  {'-':<8}  {'-':<6}  {shown}"


def test_a_free_port_is_left_alone() -> None:
    """The search binds the port of multicast DNS together with others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 5353))
        done = anyplug(*LOOK, "--timeout", "0.1", "--json")
    assert events(done.out)[-1]["multicast"] is True
