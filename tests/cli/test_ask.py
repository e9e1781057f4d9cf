from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from anyplug.cli.ask import advise
from anyplug.cli.faults import Fault
from anyplug.cli.options import Settings
from tests.cli.commands import PATIENCE, Terminal, anyplug, call, start
from tests.cli.peers import answering_once, plain_server, reset, serving, silent, stamping


def events(data: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in data.splitlines()]


# A service.


def test_the_answer_is_printed(place: str) -> None:
    assert anyplug("ask", f"{place}/echo", "hello") == (0, b"hello\n", b"")


def test_lines_of_standard_input_are_questions_and_answers_come_in_order(place: str) -> None:
    questions = "".join(f"{number}\n" for number in range(3000))
    done = anyplug("ask", f"{place}/square", "--parse", given=questions.encode())
    assert (done.status, done.err) == (0, b"")
    assert done.out.decode().split() == [str(number * number) for number in range(3000)]


def test_the_last_line_needs_no_line_feed_and_an_empty_line_is_a_question(place: str) -> None:
    assert call("ask", f"{place}/echo", given=b"one\r\n\nthree") == (0, b"one\n\nthree\n", b"")


def test_no_lines_are_no_questions(place: str) -> None:
    assert call("ask", f"{place}/echo") == (0, b"", b"")


def test_an_answer_comes_before_the_next_question_is_there(place: str) -> None:
    with start("ask", f"{place}/echo") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in (b"one\n", b"two\n"):
            process.stdin.write(text)
            process.stdin.flush()
            assert process.stdout.readline() == text
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_an_answer_does_not_wait_for_the_next_answer() -> None:
    def once(sock: socket.socket) -> None:
        sock.recv(1024)
        sock.sendall(b"first\n")
        silent(sock)

    with plain_server(once) as address, start("ask", address) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"one\ntwo\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"first\n"
        process.kill()


@pytest.mark.parametrize(
    ("service", "text", "out"),
    [
        ("echo", "[1, 2.5, null]", b"[1,2.5,null]\n"),
        ("echo", '{"a": "b"}', b'{"a":"b"}\n'),
        ("echo", '"text"', b"text\n"),
        ("square", "5", b"25\n"),
    ],
)
def test_with_parse_the_text_is_json(place: str, service: str, text: str, out: bytes) -> None:
    assert call("ask", f"{place}/{service}", text, "--parse") == (0, out, b"")


def test_an_answer_of_bytes_is_printed_raw(place: str) -> None:
    assert call("ask", f"{place}/blob", "x") == (0, b"\xff\x00x", b"")


def test_texts_that_are_not_utf8_need_the_codec_bytes(place: str) -> None:
    text = os.fsdecode(b"\xff")
    done = call("ask", f"{place}/echo", text)
    assert (done.status, done.out) == (2, b"")
    assert b"byte 0xff at offset 0" in done.err
    assert b"--codec bytes" in done.err
    assert call("ask", f"{place}/echo", text, "--codec", "bytes") == (0, b"\xff", b"")


def test_a_refused_question_is_named_and_the_others_are_answered(place: str) -> None:
    done = anyplug("ask", f"{place}/square", "--parse", given=b'1\n"a"\n3\n')
    assert (done.status, done.out) == (1, b"1\n9\n")
    assert b"error: question 2: refused (bad_message): " in done.err
    assert b"hint: a service that wants a number or an object gets it with --parse" in done.err


def test_a_line_that_is_no_json_ends_the_input_and_what_was_asked_is_answered(place: str) -> None:
    done = call("ask", f"{place}/square", "--parse", given=b"2\nx\n3\n")
    assert (done.status, done.out) == (2, b"4\n")
    assert b"--parse wants JSON, and 'x' is none" in done.err


def test_a_long_text_that_is_no_json_is_shown_in_part(place: str) -> None:
    done = call("ask", f"{place}/square", "x" * 1000, "--parse")
    assert done.status == 2
    assert f"and '{'x' * 39}…' is none".encode() in done.err


def test_a_failed_handler_says_no_more_than_that_it_failed(place: str) -> None:
    done = call("ask", f"{place}/fail", "secret")
    assert (done.status, done.out) == (1, b"")
    assert done.err == (
        b"error: refused (failed): the service failed on this message\nhint: the server's log has the details\n"
    )


def test_an_unknown_service_is_refused(place: str) -> None:
    done = call("ask", f"{place}/ecko", "x")
    assert (done.status, done.out) == (1, b"")
    assert done.err.startswith(b"error: refused (unknown_service): ")
    assert b"echo" in done.err


def test_answers_as_events(place: str) -> None:
    done = anyplug("ask", f"{place}/echo", "hello", "--json")
    assert done == (0, b'{"type":"answer","value":"hello"}\n', b"")


def test_answers_to_lines_as_events_are_numbered(place: str) -> None:
    done = call("ask", f"{place}/square", "--parse", "--json", given=b'1\n"a"\n3\n')
    assert (done.status, done.err) == (1, b"")
    first, error, last = events(done.out)
    assert first == {"type": "answer", "question": 1, "value": 1}
    assert (error["type"], error["code"]) == ("error", "refused/bad_message")
    assert last == {"type": "answer", "question": 3, "value": 9}


def test_an_answer_of_bytes_as_an_event_is_base64(place: str) -> None:
    done = call("ask", f"{place}/blob", "x", "--json")
    assert done == (0, b'{"type":"answer","base64":"/wB4"}\n', b"")


# Tokens.


def test_a_token_comes_from_a_file_or_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("open sesame\n", encoding="utf-8")
    with serving("plug://127.0.0.1:0", token="open sesame") as (address,):
        assert anyplug("ask", f"{address}/echo", "hi", "--token-file", str(file)) == (0, b"hi\n", b"")
        assert anyplug("ask", f"{address}/echo", "hi", env={"ANYPLUG_TOKEN": "open sesame"}) == (0, b"hi\n", b"")
        refused = anyplug("ask", f"{address}/echo", "hi")
        assert refused.status == 1
        assert b"error: refused (not_allowed): " in refused.err
        assert b"hint: give the server's token with --token-file FILE, or in ANYPLUG_TOKEN" in refused.err


def test_a_token_is_never_given_to_a_plain_socket(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret", encoding="utf-8")
    with plain_server(answering_once) as address:
        done = anyplug("ask", address, "x", "--token-file", str(file))
        assert (done.status, done.out) == (2, b"")
        assert b"carries no token" in done.err
        assert anyplug("ask", address, "x", env={"ANYPLUG_TOKEN": "secret"}) == (0, b"I am server.\n", b"")


# Plain sockets.


@pytest.mark.parametrize("framing", [[], ["--framing", "raw"], ["--framing", "lines"]])
def test_a_server_that_answers_once_and_closes_is_heard(framing: list[str]) -> None:
    with plain_server(answering_once) as address:
        assert anyplug("ask", address, "I am client.", *framing) == (0, b"I am server.\n", b"")


def test_a_raw_question_goes_byte_for_byte() -> None:
    heard: list[bytes] = []
    with plain_server(lambda sock: heard.append(sock.recv(1024))) as address:
        text = os.fsdecode("有内鬼, 终止交易! Over".encode() + b"\xff")
        done = call("ask", address, text, "--framing", "raw")
    assert heard == [os.fsencode(text)]
    assert (done.status, done.out) == (1, b"")
    assert b"error: the connection is closed" in done.err


def test_stamped_answers_come_one_a_line() -> None:
    with plain_server(stamping) as address:
        one = call("ask", address, "hello", "--framing", "raw")
        assert (one.status, one.err) == (0, b"")
        assert one.out.startswith(b"[")
        assert one.out.endswith(b"] hello\n")
        many = call("ask", address, "hello")
        assert many.out.endswith(b"] hello\n")


def test_a_second_question_to_a_server_that_answers_once_fails() -> None:
    with plain_server(answering_once) as address, start("ask", address) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"one\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"I am server.\n"
        out, err = process.communicate(b"two\n", timeout=PATIENCE)
    assert (process.returncode, out) == (1, b"")
    assert err.startswith(b"error: the connection ")


def test_objects_travel_behind_a_header_as_pickles() -> None:
    def doubling(sock: socket.socket) -> None:
        data = sock.recv(1024)
        sock.sendall(data)

    with plain_server(doubling) as address:
        done = call("ask", address, '{"a": [1, 2]}', "--parse", "--framing", "header", "--codec", "pickled")
    assert done == (0, b'{"a":[1,2]}\n', b"")


def test_options_of_the_address_count() -> None:
    with plain_server(stamping) as address:
        assert call("ask", f"{address}?framing=raw&codec=text", "x").out.endswith(b"] x\n")


def test_an_answer_that_is_not_what_the_codec_says_is_an_error() -> None:
    def answering(sock: socket.socket) -> None:
        sock.recv(1024)
        sock.sendall(b"\xff\n")

    with plain_server(answering) as address:
        done = call("ask", address, "x", "--codec", "text")
        assert (done.status, done.out) == (1, b"")
        assert b"error: not a valid text message: byte 0xff" in done.err
        assert b"hint: if it is no text, try --codec bytes" in done.err
        assert call("ask", address, "x") == (0, b"\xff\n", b"")


# Time, ends and errors.


def test_no_answer_in_time_ends_with_124() -> None:
    with plain_server(silent) as address:
        done = anyplug("ask", address, "x", "--timeout", "0.5")
    assert (done.status, done.out) == (124, b"")
    assert done.err == (
        b"error: an answer: no answer within 0.5 s\n"
        b"hint: if the server ends its messages with no line feed, try --framing raw\n"
    )


def test_no_answer_in_time_as_an_event() -> None:
    with plain_server(silent) as address:
        done = call("ask", address, "--framing", "raw", "--timeout", "0.5", "--json", given=b"x")
    assert (done.status, done.err) == (124, b"")
    assert events(done.out) == [
        {
            "type": "error",
            "code": "timeout",
            "message": "an answer: no answer within 0.5 s",
            "hint": "--timeout SECONDS waits longer",
        }
    ]


def test_a_silent_server_of_the_wrong_kind_ends_with_124() -> None:
    with plain_server(silent) as address:
        done = call("ask", address.replace("tcp://", "plug://") + "/echo", "x", "--timeout", "0.5")
    assert (done.status, done.out) == (124, b"")
    assert b"(step: handshake)" in done.err
    assert b"hint: " in done.err


def test_where_nothing_listens_the_step_and_the_next_thing_to_try_are_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = anyplug("ask", f"127.0.0.1:{port}/echo", "x")
    assert (done.status, done.out) == (1, b"")
    assert done.err.decode() == (
        f"error: cannot connect to plug://127.0.0.1:{port}/echo: nothing listens on 127.0.0.1:{port} (step: connect)\n"
        "hint: start the server, or check the port\n"
    )


def test_a_reset_is_an_error() -> None:
    def cutting(sock: socket.socket) -> None:
        sock.recv(1024)
        reset(sock)

    with plain_server(cutting) as address:
        done = call("ask", address, "x", "--json")
    assert (done.status, done.err) == (1, b"")
    assert [event["code"] for event in events(done.out)] == ["broken"]


def test_ctrl_c_ends_with_130() -> None:
    with plain_server(stamping) as address, start("ask", address) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"x\n")
        process.stdin.flush()
        assert process.stdout.readline().endswith(b"x\n")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_a_reader_that_goes_away_ends_the_command_at_once(place: str) -> None:
    with start("ask", f"{place}/echo") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"x\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"x\n"
        process.stdout.close()
        assert process.wait(PATIENCE) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_full_disk_is_named(place: str) -> None:
    with Path("/dev/full").open("wb") as full, start("ask", f"{place}/echo", "x", stdout=full) as process:
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert err == b"error: standard output cannot be written to: No space left on device\n"


def test_a_full_disk_under_events_is_a_status(place: str) -> None:
    with Path("/dev/full").open("wb") as full, start("ask", f"{place}/ecko", "x", "--json", stdout=full) as process:
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (1, b"")


def test_a_closed_standard_input_is_named(place: str) -> None:
    with start("ask", f"{place}/echo", stdin=None, preexec_fn=lambda: os.close(0)) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (2, b"")
    assert b"error: standard input cannot be read: " in err


def test_a_closed_standard_output_is_no_traceback(place: str) -> None:
    with start("ask", f"{place}/echo", "x", stdout=None, preexec_fn=lambda: os.close(1)) as process:
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, b"")


# A terminal.


def test_on_a_terminal_an_answer_of_a_peer_is_shown_and_not_obeyed(place: str) -> None:
    with Terminal("ask", f"{place}/echo", "a\x1b[2J\u202eb") as terminal:
        assert terminal.end() == 0
    assert terminal.seen == b"a\\x1b[2J\\u202eb\r\n"


def test_on_a_terminal_the_colour_of_an_error_is_red(place: str) -> None:
    with Terminal("ask", f"{place}/fail", "x") as terminal:
        assert terminal.end() == 1
    assert terminal.seen.startswith(b"\x1b[1;31merror:\x1b[0m refused (failed)")


def test_on_a_terminal_without_colour_an_error_is_plain(place: str) -> None:
    with Terminal("ask", f"{place}/fail", "x", env={"NO_COLOR": "1"}) as terminal:
        assert terminal.end() == 1
    assert b"\x1b" not in terminal.seen


def test_questions_are_typed_without_a_prompt(place: str) -> None:
    with Terminal("ask", f"{place}/echo", env={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("-- each line is a question; Ctrl-D ends\r\n")
        terminal.enter("hello\n")
        terminal.wait_for("hello\r\nhello\r\n")
        terminal.enter("\x04")
        assert terminal.end() == 0


def test_text_of_a_peer_in_an_error_is_shown_and_not_obeyed() -> None:
    def evil(sock: socket.socket) -> None:
        sock.recv(1024)
        sock.sendall(b"\x1b]0;title\x07\x1b[2J")

    with plain_server(evil) as address:
        done = call("ask", address.replace("tcp://", "plug://") + "/echo", "x")
    assert done.status == 1
    assert b"\x1b" not in done.err
    assert b"(step: handshake)" in done.err


def test_an_end_without_an_answer_says_how_to_hear_a_service_that_speaks_first() -> None:
    settings = Settings.of("127.0.0.1/greet", framing=None, codec=None, timeout=None, json=False, token_file=None)
    hint = "if the service speaks first, use `anyplug receive plug://127.0.0.1:7584/greet`"
    assert advise(settings, Fault("closed", "the connection is closed")).hint == hint
    assert advise(settings, Fault("closed", "x", "an own hint")).hint == "an own hint"
