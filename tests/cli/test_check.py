from __future__ import annotations

import json
import os
import re
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.commands import PATIENCE, Terminal, anyplug, call, start
from tests.cli.peers import plain_server, serving

if TYPE_CHECKING:
    from pathlib import Path


def events(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def plain(out: bytes) -> list[str]:
    """The lines, with every time as T."""
    return [re.sub(r" *[\d.]+ ms", " T", line) for line in out.decode().splitlines()]


def test_each_step_is_a_line(place: str) -> None:
    done = call("check", place)
    lines = plain(done.out)
    assert lines[0] == "ok       resolve T  127.0.0.1 is an address; nothing is looked up"
    assert lines[1] == place
    assert [line.split()[:2] for line in lines[2:]] == [
        ["ok", step] for step in ("route", "connect", "handshake", "echo", "close")
    ]
    assert lines[2] == "  ok       route T  packets leave from 127.0.0.1 on lo"
    told = lines[6].replace("(", "").replace(")", "")  # brackets are around what was too quick to be seen
    assert told.endswith("the peer ended first, with FIN; established -> close-wait -> last-ack -> closed")
    assert (done.status, done.err) == (0, b"-- no step failed\n")


def test_a_failed_step_says_what_to_try_next(place: str) -> None:
    done = call("check", f"{place}/nope")
    lines = plain(done.out)
    assert lines[4].startswith("  FAILED   handshake T  REFUSED, unknown_service: no service 'nope' here")
    assert lines[5].strip() == "next: name a service that it has, behind the host: plug://host/service"
    assert lines[6] == "  skipped  echo                 not reached"
    assert (done.status, done.err) == (1, b"-- 1 of 6 steps failed\n")


def test_everything_is_an_event(place: str) -> None:
    done = call("check", place, "--json")
    *steps, result = events(done.out)
    assert [each["step"] for each in steps] == ["resolve", "route", "connect", "handshake", "echo", "close"]
    assert {each["type"] for each in steps} == {"step"}
    assert set(steps[0]) == {"type", "step", "end", "state", "seconds", "message", "remedy", "facts"}
    assert (steps[0]["end"], steps[1]["end"], steps[1]["remedy"]) == (None, place, None)
    assert steps[0]["facts"] == {"addresses": ["127.0.0.1"]}
    assert steps[4]["facts"] == {"sent": 14, "received": 14, "same": True}
    assert result == {"type": "result", "address": f"plug://{place}", "ok": True, "failed": 0, "whole": True}
    assert (done.status, done.err) == (0, b"")


def test_a_name_with_one_end_that_works_is_told() -> None:
    with plain_server(lambda sock: sock.sendall(b"hello\n")) as address:
        port = address.rpartition(":")[2]
        done = call("check", f"tcp://localhost:{port}")
    assert done.status == 1
    assert done.err.decode() == f"-- 1 of 11 steps failed; 127.0.0.1:{port} works\n"
    assert call("check", f"tcp://localhost:{port}", "-4").err.startswith(b"-- 1 of 6")


def test_words_of_strangers_are_escaped() -> None:
    with plain_server(lambda sock: sock.sendall(b"\x1b[2J\n")) as address:
        done = call("check", address)
        event = events(call("check", address, "--json").out)[3]
    assert b"\x1b" not in done.out
    assert "it speaks first: \\x1b[2J (5 bytes)" in done.out.decode()
    assert event["message"] == "it speaks first: \x1b[2J (5 bytes)"


def test_a_message_is_left_out_on_request() -> None:
    heard = []

    def keep(sock: socket.socket) -> None:
        heard.append(sock.recv(100))

    with plain_server(keep) as address:
        done = call("check", address, "--no-echo", "--timeout", "0.2")
    assert heard == [b""]
    assert done.status == 0
    assert "skipped  echo                 left out, as asked" in done.out.decode()


def test_the_token_is_that_of_a_file_or_of_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("sesame\n")
    with serving("plug://127.0.0.1:0", token="sesame") as addresses:
        assert call("check", addresses[0]).status == 1
        assert call("check", addresses[0], "--token-file", str(file)).status == 0
        assert anyplug("check", addresses[0], env={"ANYPLUG_TOKEN": "sesame"}).status == 0


def test_whether_it_could_listen() -> None:
    done = call("check", "--listen", "tcp://120.0.0.1:80")
    lines = plain(done.out)
    assert lines[1] == "FAILED   address T  120.0.0.1 is not an address of this machine, so nothing can listen there"
    assert lines[2].strip().startswith("next: it has 127.0.0.1")
    assert done.status == 1
    assert call("check", "--listen", "tcp://127.0.0.1:0", "--json").status == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fd://3"], "error: 'fd://3' is not an address"),
        (["tcp://*:80"], "error: 'tcp://*:80' is not an address: the host is '*'"),
        (["tcp://127.0.0.1"], "error: 'tcp://127.0.0.1' is not an address"),
        (["tls://127.0.0.1:1", "--ca-file", "/nowhere"], "error: the file '/nowhere' of authorities cannot be used"),
        (["127.0.0.1", "--token-file", "/nowhere"], "error: the token file '/nowhere' cannot be read"),
        (["127.0.0.1", "--timeout", "0"], "error: Invalid value for '--timeout'"),
        ([], "error: Missing argument 'ADDRESS'"),
    ],
)
def test_bad_words(words: list[str], message: str) -> None:
    done = call("check", *words)
    assert (done.status, done.out) == (2, b"")
    assert done.err.decode().startswith(message)


def test_where_no_address_is_found_nothing_is_reached() -> None:
    done = call("check", "tcp://127.0.0.1:80", "-6")
    lines = plain(done.out)
    assert lines[0] == "FAILED   resolve T  the name 127.0.0.1 has no address of the family asked for"
    assert lines[1].strip().startswith("next: ")
    assert {line.split(None, 2)[2] for line in lines[2:]} == {"not reached"}
    assert (done.status, done.err) == (1, b"-- 1 of 6 steps failed\n")


def test_ctrl_c_tells_what_is_known() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        words = ("check", f"127.0.0.1:{listener.getsockname()[1]}", "--timeout", "60", "--json")
        with start(*words) as process:
            assert process.stdout is not None
            steps = [json.loads(process.stdout.readline())["step"] for _ in range(3)]
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=PATIENCE)
    assert steps == ["resolve", "route", "connect"]
    (result,) = events(out)
    assert (process.returncode, result["whole"], result["ok"]) == (130, False, True)


def test_on_a_terminal_failures_are_red() -> None:
    with Terminal("check", "tcp://127.0.0.1:1") as it:
        it.wait_for("\x1b[1;31mFAILED \x1b[0m  connect")
        it.wait_for("1 of 6 steps failed")
        assert it.end() == 1


def test_a_closed_pipe_ends_it() -> None:
    near, far = os.pipe()
    os.close(near)
    with start("check", "tcp://127.0.0.1:1", stdout=far) as process:
        os.close(far)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 141
