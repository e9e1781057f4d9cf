from __future__ import annotations

import os
import pickle
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands import PATIENCE, Terminal, anyplug, call, start
from tests.cli.peers import giving_object, greeting, plain_server, reset, silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Handler = Callable[[socket.socket], None]

EVIL = b"a\x1b[2J\x1b]0;title\x07b\r\nc\xff\x00\n"


def saying(data: bytes) -> Handler:
    """A server that says this and closes."""
    return lambda sock: sock.sendall(data)


@pytest.mark.parametrize(
    ("words", "data", "out"),
    [
        ([], b"Socket Programming in Python", b"Socket Programming in Python\n"),
        (["--until", "eof"], b"Socket Programming in Python", b"Socket Programming in Python"),
        (["--framing", "raw"], b"Socket Programming in Python", b"Socket Programming in Python"),
        ([], b"one\r\ntwo\n", b"one\ntwo\n"),
        (["--framing", "raw"], EVIL, EVIL),
        (["--until", "eof"], EVIL, EVIL),
        (["--until", "eof", "--codec", "bytes"], EVIL, EVIL),
        (["--until", "eof", "--codec", "text"], "é\n".encode(), "é\n".encode()),
        (["--until", "eof", "--codec", "json"], b'{"a":\n 1}', b'{"a":1}\n'),
        (["--until", "eof"], b"", b""),
        ([], b"\x1b[31m\xff\n", b"\x1b[31m\xff\n"),
        (["--codec", "bytes"], b"a\nb", b"a\nb\n"),
        (["--framing", "header"], b"3         one3         two", b"one\ntwo\n"),
        (["--framing", "header", "--codec", "bytes"], b"3         one3         two", b"onetwo"),
        (["--framing", "prefix", "--codec", "json"], b"\0\0\0\x03[1]", b"[1]\n"),
        (["--json"], b"one\n\xff\n", b'{"type":"message","value":"one"}\n{"type":"message","base64":"/w=="}\n'),
        (["--json", "--until", "eof"], b"one\ntwo", b'{"type":"message","value":"one\\ntwo"}\n'),
    ],
)
def test_what_comes_is_printed(words: list[str], data: bytes, out: bytes) -> None:
    with plain_server(saying(data)) as address:
        done = call("receive", address, *words)
    end = b'{"type":"end","code":"ok","text":""}\n' if "--json" in words else b""
    assert done == (0, out + end, b"")


def test_a_greeting_is_read_to_its_end() -> None:
    with plain_server(greeting) as address:
        assert anyplug("receive", address, "--until", "eof") == (0, b"Socket Programming in Python", b"")


def test_a_python_object_behind_a_header_is_shown() -> None:
    with plain_server(giving_object) as address:
        done = anyplug("receive", address, "--framing", "header", "--codec", "pickled", "--count", "1")
    assert done == (0, b"{1: 'Client', 2: 'Server'}\n", b"")


def test_a_python_object_as_an_event_keeps_what_json_has_no_form_for() -> None:
    with plain_server(giving_object) as address:
        words = ["--framing", "header", "--codec", "pickled", "--count", "1", "--json"]
        done = call("receive", address, *words)
    assert done == (0, b'{"type":"message","literal":"{1: \'Client\', 2: \'Server\'}"}\n', b"")


def test_a_pickle_that_would_run_something_is_refused_and_the_next_is_shown() -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("touch /tmp/pwned",)

    bodies = pickle.dumps(Evil()), pickle.dumps([1, 2])
    data = b"".join(f"{len(body):<10}".encode() + body for body in bodies)
    with plain_server(saying(data)) as address:
        done = call("receive", address, "--framing", "header", "--codec", "pickled")
    assert (done.status, done.out) == (1, b"[1,2]\n")
    assert done.err.startswith(b"error: not a valid pickled message: ")


def test_messages_of_a_service_are_printed(place: str) -> None:
    done = anyplug("receive", f"{place}/news")
    assert done == (0, b'plain\n{"a":[1,2.5,null,true]}\n\xff\n\x1b[31mred\n', b"")


def test_messages_of_a_service_as_events(place: str) -> None:
    done = call("receive", f"{place}/news", "--json")
    assert (done.status, done.err) == (0, b"")
    assert done.out.decode().splitlines() == [
        '{"type":"message","value":"plain"}',
        '{"type":"message","value":{"a":[1,2.5,null,true]}}',
        '{"type":"message","base64":"/wo="}',
        '{"type":"message","value":"\\u001b[31mred"}',
        '{"type":"end","code":"ok","text":""}',
    ]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_it_ends_after_so_many_messages(count: int) -> None:
    def endless(sock: socket.socket) -> None:
        sock.sendall(b"one\ntwo\nthree\nfour\n")
        while sock.recv(1024):
            pass

    with plain_server(endless) as address:
        done = call("receive", address, "--count", str(count))
    assert done == (0, b"".join([b"one\n", b"two\n", b"three\n"][:count]), b"")


def test_fewer_messages_than_asked_for_are_a_failure(place: str) -> None:
    with plain_server(saying(b"one\n")) as address:
        assert call("receive", address, "--count", "3") == (
            1,
            b"one\n",
            b"-- the other end closed after 1 of 3 messages\n",
        )
    events = call("receive", f"{place}/greet", "--count", "2", "--json")
    assert (events.status, events.out.count(b"\n"), events.err) == (1, 2, b"")


def test_a_whole_stream_counts_as_one_message() -> None:
    with plain_server(saying(b"one\ntwo\n" * 100_000)) as address:
        done = call("receive", address, "--until", "eof", "--count", "1")
    assert done == (0, b"one\ntwo\n" * 100_000, b"")


def test_a_stream_longer_than_any_message_goes_through() -> None:
    size = 20 * 1024 * 1024
    with plain_server(saying(bytes(size))) as address:
        done = anyplug("receive", address, "--until", "eof")
    assert (done.status, len(done.out), done.err) == (0, size, b"")


def test_a_message_that_is_not_what_the_codec_says_is_an_error_and_the_next_is_printed() -> None:
    with plain_server(saying(b"1\nx\n3\n")) as address:
        done = call("receive", address, "--codec", "json")
    assert (done.status, done.out) == (1, b"1\n3\n")
    assert done.err.startswith(b"error: not a valid json message: ")


def test_a_bad_header_is_an_error_after_what_came_before_it() -> None:
    with plain_server(saying(b"3         one\x1b[2J        ")) as address:
        done = call("receive", address, "--framing", "header")
    assert (done.status, done.out) == (1, b"one\n")
    assert done.err.startswith(b"error: bad length header: ")
    assert b"\x1b" not in done.err


def test_an_end_inside_a_message_is_an_error() -> None:
    with plain_server(saying(b"10        one")) as address:
        done = call("receive", address, "--framing", "header", "--json")
    assert (done.status, done.err) == (1, b"")
    assert done.out.startswith(b'{"type":"error","code":"broken","message":"the connection broke: the stream ended ')


def test_a_reset_is_an_error() -> None:
    with plain_server(reset) as address:
        done = anyplug("receive", address)
    assert (done.status, done.out) == (1, b"")
    assert done.err.startswith(b"error: ")


def test_silence_ends_with_124_where_a_time_is_given() -> None:
    def pausing(sock: socket.socket) -> None:
        sock.sendall(b"one\n")
        silent(sock)

    with plain_server(pausing) as address:
        done = call("receive", address, "--timeout", "0.5")
    assert (done.status, done.out) == (124, b"one\n")
    assert done.err.startswith(b"error: a message: no answer within 0.5 s\n")


def test_a_conversation_that_the_server_ends_early_says_why(place: str) -> None:
    done = call("receive", f"{place}/ecko", "--json")
    assert (done.status, done.err) == (1, b"")
    assert done.out.startswith(b'{"type":"error","code":"refused/unknown_service",')


def test_datagrams_are_printed_one_a_line(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                for packet in (b"one", b"two\n", b"three"):
                    sock.send(packet)

        thread = threading.Thread(target=serve)
        thread.start()
        done = anyplug("receive", f"unix+seqpacket://{tmp_path}/s")
        thread.join(PATIENCE)
    assert done == (0, b"one\ntwo\nthree\n", b"")


def test_a_reason_of_the_server_is_noted_and_its_text_not_obeyed(place: str) -> None:
    done = call("receive", f"{place}/leave")
    note = b"-- the connection is closed (busy): come \\x1b[2Jback later\n"
    assert done == (0, b"", note)


# Whoever reads.


def test_a_reader_that_goes_away_ends_the_command_though_nothing_more_comes() -> None:
    def pausing(sock: socket.socket) -> None:
        sock.sendall(b"one\n")
        silent(sock)

    with plain_server(pausing) as address, start("receive", address) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"one\n"
        process.stdout.close()
        assert process.wait(PATIENCE) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_reader_that_goes_away_in_a_flood_ends_the_command() -> None:
    def flooding(sock: socket.socket) -> None:
        while True:
            sock.sendall(b"x\n" * 10_000)

    with plain_server(flooding) as address, start("receive", address) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"x\n"
        process.stdout.close()
        assert process.wait(PATIENCE) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_ctrl_c_ends_with_130_though_nobody_reads() -> None:
    def flooding(sock: socket.socket) -> None:
        while True:
            sock.sendall(b"x\n" * 10_000)

    with plain_server(flooding) as address, start("receive", address) as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 2) == b"x\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_slow_reader_gets_everything() -> None:
    data = b"".join(b"%d\n" % number for number in range(200_000))
    with plain_server(saying(data)) as address, start("receive", address) as process:
        assert process.stdout is not None
        read = bytearray()
        while piece := os.read(process.stdout.fileno(), 4096):
            read += piece
        assert process.wait(PATIENCE) == 0
    assert bytes(read) == data


def test_a_pipe_that_somebody_made_non_blocking_gets_everything() -> None:
    near, far = os.pipe()
    os.set_blocking(far, False)
    data = b"x" * 1_000_000
    with plain_server(saying(data)) as address:
        with start("receive", address, "--until", "eof", stdout=far) as process:
            os.close(far)
            read = bytearray()
            while piece := os.read(near, 65536):
                read += piece
            assert process.wait(PATIENCE) == 0
    os.close(near)
    assert bytes(read) == data


# A terminal.


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ([], r"a\x1b[2J\x1b]0;title\x07b" + "\r\n" + r"c\xff\x00" + "\r\n"),
        (["--framing", "raw"], r"a\x1b[2J\x1b]0;title\x07b" + "\r\n" + r"c\udcff\x00" + "\r\n"),
        (["--codec", "bytes"], r"a\x1b[2J\x1b]0;title\x07b" + "\r\n" + r"c\xff\x00" + "\r\n"),
    ],
)
def test_on_a_terminal_what_a_peer_says_is_shown_and_not_obeyed(words: list[str], shown: str) -> None:
    with plain_server(saying(EVIL)) as address, Terminal("receive", address, *words) as terminal:
        assert terminal.end() == 0
    assert terminal.seen.decode() == shown


def test_on_a_terminal_the_last_line_of_a_stream_is_ended() -> None:
    with plain_server(greeting) as address, Terminal("receive", address, "--until", "eof") as terminal:
        assert terminal.end() == 0
    assert terminal.seen == b"Socket Programming in Python\r\n"
