"""Rooms at a terminal: `anyplug talk HOST/room`, two of them, with nc and a program in the same room."""

from __future__ import annotations

import re
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.address import Address
from anyplug.blocking import connect
from anyplug.cli.room import as_room, is_welcome, room_lines
from tests.cli.commands import PATIENCE, Terminal, anyplug, call
from tests.cli.peers import serving

if TYPE_CHECKING:
    from pathlib import Path

PROMPT = "> "


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "NO_COLOR": "1"}


def test_two_terminals_and_one_nc_are_in_one_room(place: str, env: dict[str, str], tmp_path: Path) -> None:
    others = {**env, "XDG_STATE_HOME": str(tmp_path / "other")}
    host, port = place.split(":")
    with (
        Terminal("talk", f"{place}/salon", "--nick", "ann", env=env) as ann,
        closing(socket.create_connection((host, int(port)), PATIENCE)) as nc,
        nc.makefile("rb") as heard,
    ):
        ann.wait_for(f"-- connected to plug://{place}/talk/salon; an empty line or Ctrl-D ends\r\n")
        ann.wait_for("* you are ann in salon, and nobody else is here\r\n")
        ann.wait_for(PROMPT)
        nc.sendall(b"talk salon?nick=nc\n")
        assert heard.readline() == b"* you are nc in salon with ann\n"
        ann.wait_for("* nc joined (2 here)\r\n")
        with Terminal("talk", f"{place}/talk/salon", "--nick", "bob", env=others) as bob:
            bob.wait_for(f"-- connected to plug://{place}/talk/salon; ")
            bob.wait_for("* you are bob in salon with ann, nc\r\n")
            bob.wait_for(PROMPT)
            ann.wait_for("* bob joined (3 here)\r\n")
            ann.wait_for(PROMPT)
            ann.enter("有内鬼\r")
            bob.wait_for("ann: 有内鬼\r\n")
            bob.wait_for(PROMPT)
            nc.sendall(b"\x1b[2J evil\n")
            for terminal in (ann, bob):
                terminal.wait_for("nc: \\x1b[2J evil\r\n")
                terminal.wait_for(PROMPT)
            assert [heard.readline() for _ in range(2)] == [b"* bob joined (3 here)\n", "ann: 有内鬼\n".encode()]
            bob.enter("/who\r")
            bob.wait_for("* 3 here: bob, ann, nc\r\n")
            bob.wait_for(PROMPT)
            bob.enter("886\r")
            bob.wait_for("* bye, bob\r\n")
            bob.wait_for("-- the other end closed the conversation\r\n")
            assert bob.end() == 0
        ann.wait_for("* bob left (2 here): 886\r\n")
        ann.wait_for(PROMPT)
        assert b"ann: " not in ann.seen
        ann.enter("\r")
        assert ann.end() == 0
        assert [heard.readline() for _ in range(2)] == [b"* bob left (2 here): 886\n", b"* ann left (1 here)\n"]


def test_the_host_alone_is_the_room_of_the_house(place: str) -> None:
    done = call("talk", place, given=b"/who\n")
    assert (done.status, done.err) == (0, b"")
    assert re.fullmatch(rb"\* you are (guest-\d+) in lobby, and nobody else is here\n(.*\n)*\* 1 here: \1\n", done.out)


def test_a_pipe_gets_lines_and_json_the_events(place: str) -> None:
    with connect(f"plug://{place}/talk/pipes") as peer:
        peer.send({"nick": "bob"})
        peer.send("back\\slash\nand\x1b")
        assert peer.receive(PATIENCE)["type"] == "welcome"
        done = call("talk", f"{place}/pipes", "--nick", "ann", given=b"hello\n")
        assert done.out.decode().splitlines() == [
            "* you are ann in pipes with bob",
            "* said before (1):",
            "bob: back\\slash\\nand\\x1b",
        ]
        done = call("talk", f"{place}/pipes", "--json", "--nick", "eve", given=b"")
        first, *_, last = done.out.decode().splitlines()
        assert first.startswith(
            '{"type":"message","value":{"type":"welcome","room":"pipes","nick":"eve","nicks":["bob"]'
        )
        assert last == '{"type":"end","code":"ok","text":""}'


def test_the_service_of_that_name_comes_first(place: str) -> None:
    assert call("talk", f"{place}/echo", given=b"hello\n") == (0, b"hello\n", b"")


def test_where_there_are_no_rooms_the_service_is_unknown() -> None:
    with serving("plug://127.0.0.1:0", without=("talk",)) as addresses:
        done = call("talk", f"{addresses[0].removeprefix('plug://')}/salon", given=b"x\n")
    assert (done.status, done.out) == (1, b"")
    assert done.err.startswith(b"error: refused (unknown_service): no service 'salon' here; offered: ")


def test_another_refusal_of_the_room_is_told(place: str) -> None:
    done = call("talk", f"{place}/salon", "--codec", "pickled", given=b"x\n")
    assert (done.status, done.out) == (1, b"")
    assert done.err.startswith(b"error: refused (unknown_codec): ")


def test_a_refusal_that_is_about_no_name_is_told_as_it_is() -> None:
    with serving("plug://127.0.0.1:0", token="secret") as addresses:
        done = call("talk", f"{addresses[0].removeprefix('plug://')}/salon", given=b"x\n")
    assert done.err.startswith(b"error: refused (not_allowed): ")


def test_a_room_that_cannot_be_is_told(place: str) -> None:
    done = anyplug("talk", f"{place}/talk/a/b", given=b"hello\n")
    assert done.status == 1
    assert b"(bad_message): the name of a room has no / or ?" in done.err


def test_a_name_for_a_plain_socket_is_a_mistake() -> None:
    done = call("talk", "tcp://127.0.0.1:1", "--nick", "ann")
    assert (done.status, done.out) == (2, b"")
    assert done.err.startswith(b"error: --nick goes with plug addresses; on a plain socket say it in the room: /nick")


WELCOME: dict[str, Any] = {
    "type": "welcome",
    "room": "r",
    "nick": "n",
    "nicks": [],
    "here": 1,
    "position": 0,
    "history": 0,
}


@pytest.mark.parametrize(
    ("message", "is_one"),
    [
        (WELCOME, True),
        ({**WELCOME, "later": 5}, True),
        ({**WELCOME, "here": "1"}, False),
        ({"type": "welcome"}, False),
        ({"type": "said", "position": 1, "nick": "n", "text": "t", "time": 5}, False),
        ("* you are", False),
        (None, False),
    ],
)
def test_a_room_is_known_by_its_first_message(message: object, is_one: bool) -> None:
    assert is_welcome(message) is is_one


def test_what_is_no_event_of_a_room_is_shown_as_any_message() -> None:
    assert room_lines({"type": "unheard", "of": 1}) is None
    assert room_lines({"type": "missed", "count": 2}) == b"* you missed 2 messages\n"


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "127.0.0.1/talk", "127.0.0.1/talk/a", "127.0.0.1/other/a"])
def test_what_is_no_room_stays_what_it_is(address: str) -> None:
    from anyplug.cli.options import Settings

    settings = Settings(Address.parse(address), None, None, None, json=False, token="")
    assert as_room(settings) is None
