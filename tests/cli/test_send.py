from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import PATIENCE, Terminal, anyplug, call, start
from tests.cli.peers import keeping, plain_server, reset, silent, stamping

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "given", "sent"),
    [
        (["hello"], b"", b"hello\n"),
        (["有内鬼, 终止交易! Over", "--framing", "raw"], b"", "有内鬼, 终止交易! Over".encode()),
        (["hello", "--framing", "header"], b"", b"5         hello"),
        (["hello", "--framing", "prefix"], b"", b"\0\0\0\x05hello"),
        ([os.fsdecode(b"\xff\x80"), "--framing", "raw"], b"", b"\xff\x80"),
        (["[1, 2]", "--parse", "--codec", "json"], b"", b"[1,2]\n"),
        ([], b"one\r\ntwo\n\nlast", b"one\ntwo\n\nlast\n"),
        ([], b"", b""),
        (["--framing", "raw"], b"\x00\xff\r\n", b"\x00\xff\r\n"),
        (["--framing", "raw"], b"", b""),
        (["--framing", "header"], b"one\ntwo\n", b"8         one\ntwo\n"),
        (["--framing", "header"], b"", b"0         "),
        (["--framing", "header", "--lines"], b"one\ntwo\n", b"3         one3         two"),
        (["--framing", "raw", "--codec", "json", "--parse"], b"[1,\n2]", b"[1,2]"),
    ],
)
def test_what_goes_out(words: list[str], given: bytes, sent: bytes) -> None:
    heard = keeping()
    with plain_server(heard) as address:
        assert call("send", address, *words, given=given) == (0, b"", b"")
        assert heard.all() == sent


def test_a_python_object_goes_behind_a_header_as_a_pickle() -> None:
    heard = keeping()
    with plain_server(heard) as address:
        words = ["--parse", "--framing", "header", "--codec", "pickled"]
        assert anyplug("send", address, '{"a": [1, null]}', *words) == (0, b"", b"")
        data = heard.all()
    assert int(data[:10]) == len(data) - 10
    assert pickle.loads(data[10:]) == {"a": [1, None]}


def test_a_stream_longer_than_any_message_goes_through(tmp_path: Path) -> None:
    size = 20 * 1024 * 1024
    with (tmp_path / "zeros").open("wb") as file:
        file.truncate(size)
    heard = keeping()
    with plain_server(heard) as address, (tmp_path / "zeros").open("rb") as file:
        with start("send", address, "--framing", "raw", stdin=file) as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (0, b"", b"")
        assert heard.all() == bytes(size)


def test_a_message_longer_than_the_limit_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "zeros").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    with plain_server(keeping()) as address, (tmp_path / "zeros").open("rb") as file:
        with start("send", address, "--framing", "header", stdin=file) as process:
            out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (1, b"")
    assert err == b"error: message too large: more, the limit is 16,777,216 bytes\n"


def test_a_line_longer_than_the_limit_is_refused_after_those_before_it(tmp_path: Path) -> None:
    with (tmp_path / "lines").open("wb") as file:
        file.write(b"one\n")
        file.truncate(16 * 1024 * 1024 + 10)
    heard = keeping()
    with plain_server(heard) as address, (tmp_path / "lines").open("rb") as file:
        with start("send", address, stdin=file) as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert heard.all() == b"one\n"
    assert (process.returncode, out) == (1, b"")
    assert err == b"error: line too large: more, the limit is 16,777,216 bytes\n"


def test_what_was_sent_is_told_as_an_event() -> None:
    with plain_server(keeping()) as address:
        done = anyplug("send", address, "--json", given=b"one\ntwo\n")
        assert done == (0, b'{"type":"sent","messages":2,"bytes":8}\n', b"")


def test_the_end_is_told_before_the_peers_end_is_awaited() -> None:
    with plain_server(keeping()) as address:
        assert anyplug("send", address, "x", "--timeout", "60") == (0, b"", b"")


def test_a_peer_that_answers_everything_does_not_stop_the_stream() -> None:
    with plain_server(stamping) as address:
        done = call("send", address, "--framing", "raw", given=bytes(8 * 1024 * 1024))
    assert done == (0, b"", b"")


def test_a_peer_that_stays_open_is_left_after_a_while() -> None:
    with plain_server(silent) as address:
        assert call("send", address, "x", "--timeout", "0.5") == (0, b"", b"")


def test_a_reset_is_an_error() -> None:
    def cutting(sock: socket.socket) -> None:
        sock.recv(1)
        reset(sock)

    with plain_server(cutting) as address:
        done = anyplug("send", address, "hello")
    assert (done.status, done.out) == (1, b"")
    assert done.err.startswith(b"error: the connection broke: ")


def test_a_message_to_a_service_is_taken(place: str) -> None:
    assert anyplug("send", f"{place}/square", "5", "--parse") == (0, b"", b"")


def test_lines_are_messages_where_that_is_wanted(place: str) -> None:
    done = call("send", f"{place}/square", "--lines", "--parse", "--json", given=b"1\n2\n3\n")
    assert (done.status, done.err) == (0, b"")
    event = json.loads(done.out)
    assert (event["type"], event["messages"]) == ("sent", 3)


def test_a_message_that_the_service_cannot_take_is_an_error(place: str) -> None:
    done = call("send", f"{place}/square", "five")
    assert (done.status, done.out) == (1, b"")
    assert b"error: refused (bad_message): " in done.err
    assert b"--parse" in done.err


def test_an_answer_that_is_no_text_is_dropped_like_any_other() -> None:
    def answering(sock: socket.socket) -> None:
        while sock.recv(1024):
            sock.sendall(b"\xff\n")

    with plain_server(answering) as address:
        assert call("send", address, "x", "--codec", "text") == (0, b"", b"")


def test_a_datagram_is_sent_and_no_end_awaited() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE)
        assert call("send", f"udp://127.0.0.1:{sock.getsockname()[1]}", "hello") == (0, b"", b"")
        assert sock.recv(1024) == b"hello"


def test_a_packet_is_all_of_the_input(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        heard: list[bytes] = []

        def accept() -> None:
            sock, _ = listener.accept()
            with sock:
                heard.extend((sock.recv(1024), sock.recv(1024)))

        thread = threading.Thread(target=accept)
        thread.start()
        done = anyplug("send", f"unix+seqpacket://{tmp_path}/s", given=b"one\ntwo\n")
        thread.join(PATIENCE)
    assert done == (0, b"", b"")
    assert heard == [b"one\ntwo\n", b""]


def test_ctrl_c_ends_with_130() -> None:
    heard = keeping()
    with plain_server(heard) as address, start("send", address, "--json") as process:
        assert process.stdin is not None
        process.stdin.write(b"one\n")
        process.stdin.flush()
        heard.any()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (130, b"", b"")
        assert heard.all() == b"one\n"


def test_what_is_typed_is_sent_without_a_prompt() -> None:
    heard = keeping()
    with plain_server(heard) as address, Terminal("send", address, env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("-- what you type is sent; Ctrl-D ends\r\n")
        terminal.enter("hello\n")
        terminal.wait_for("hello\r\n")
        terminal.enter("\x04")
        assert terminal.end() == 0
        assert heard.all() == b"hello\n"
