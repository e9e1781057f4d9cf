from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.cli.commands import PATIENCE, Terminal, anyplug, call, start
from tests.cli.peers import keeping, plain_server, reset, silent, stamping

PROMPT = "> "


# Lines of standard input.


def test_each_line_is_said_and_what_comes_is_printed(place: str) -> None:
    assert anyplug("talk", f"{place}/echo", given=b"one\ntwo") == (0, b"one\ntwo\n", b"")


def test_a_plain_socket_is_talked_to() -> None:
    with plain_server(stamping) as address:
        done = anyplug("talk", address, "--framing", "raw", given=b"one\n")
    assert (done.status, done.err) == (0, b"")
    assert done.out.endswith(b"] one")


def test_an_empty_line_ends_the_input(place: str) -> None:
    assert call("talk", f"{place}/echo", given=b"one\n\ntwo\n") == (0, b"one\n", b"")


def test_objects_are_said_with_parse(place: str) -> None:
    assert call("talk", f"{place}/countdown", "--parse", given=b"3\n1\n") == (0, b"2\n1\n0\n0\n", b"")


def test_everything_is_an_event_with_json(place: str) -> None:
    done = call("talk", f"{place}/countdown", "--parse", "--json", given=b"2\n")
    assert (done.status, done.err) == (0, b"")
    assert done.out.decode().splitlines() == [
        '{"type":"message","value":1}',
        '{"type":"message","value":0}',
        '{"type":"end","code":"ok","text":""}',
    ]


def test_the_other_ends_end_is_told_though_the_input_goes_on() -> None:
    def closing(sock: socket.socket) -> None:
        sock.sendall(b"bye\n")

    with plain_server(closing) as address, start("talk", address) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read() == b"bye\n"
        assert process.stderr.read() == b"-- the other end closed the conversation\n"
        assert process.wait(PATIENCE) == 0
        assert process.stdin is not None
        process.stdin.close()


def test_an_abrupt_end_is_an_error() -> None:
    def cutting(sock: socket.socket) -> None:
        sock.recv(1024)
        reset(sock)

    with plain_server(cutting) as address:
        done = anyplug("talk", address, given=b"hello\n")
    assert (done.status, done.out) == (1, b"")
    assert done.err.startswith(b"error: the connection broke: ")


def test_a_message_that_the_service_cannot_take_is_named_and_the_next_is_said(place: str) -> None:
    done = call("talk", f"{place}/square", "--parse", given=b'2\n"x"\n3\n')
    assert (done.status, done.out) == (1, b"4\n9\n")
    assert done.err.startswith(b"error: refused (bad_message): ")


def test_a_line_that_cannot_be_said_is_named_and_the_next_is_said(place: str) -> None:
    done = call("talk", f"{place}/square", "--parse", given=b"2\nx\n3\n")
    assert (done.status, done.out) == (1, b"4\n9\n")
    assert done.err.startswith(b"error: --parse wants JSON, and 'x' is none")


def test_a_peer_that_stays_open_is_given_up() -> None:
    with plain_server(silent) as address:
        done = anyplug("talk", address, "--timeout", "0.5", given=b"x\n")
    assert (done.status, done.out) == (124, b"")
    assert done.err.startswith(b"error: the end of the conversation: no answer within 0.5 s\n")


def test_a_peer_that_goes_on_talking_is_heard_to_its_end() -> None:
    said = threading.Event()

    def slow(sock: socket.socket) -> None:
        while sock.recv(1024):
            pass
        for number in range(5):
            sock.sendall(b"%d\n" % number)
        said.set()

    with plain_server(slow) as address:
        done = call("talk", address, given=b"x\n")
    assert said.is_set()
    assert done == (0, b"0\n1\n2\n3\n4\n", b"")


def test_datagrams_have_no_end_to_wait_for() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE)

        def answer() -> None:
            data, peer = sock.recvfrom(1024)
            sock.sendto(data.upper(), peer)

        thread = threading.Thread(target=answer)
        thread.start()
        words = ["talk", f"udp://127.0.0.1:{sock.getsockname()[1]}", "--timeout", "1"]
        done = anyplug(*words, given=b"hello\n")
        thread.join(PATIENCE)
    assert (done.status, done.err) == (0, b"")
    assert done.out == b"HELLO\n"


def test_ctrl_c_ends_with_130(place: str) -> None:
    with start("talk", f"{place}/echo") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"one\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"one\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, b"", b"")


# A terminal.


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "NO_COLOR": "1"}


@pytest.mark.parametrize("last", ["\r", "\x04"])
def test_lines_are_typed_behind_a_prompt_and_an_empty_one_or_ctrl_d_ends(
    place: str, env: dict[str, str], last: str
) -> None:
    with Terminal("talk", f"{place}/echo", env=env) as terminal:
        terminal.wait_for(f"-- connected to plug://{place}/echo; an empty line or Ctrl-D ends\r\n")
        terminal.wait_for(PROMPT)
        for text in ("hello", "有内鬼"):
            terminal.enter(f"{text}\r")
            terminal.wait_for(f"{text}\r\n")
            terminal.wait_for(PROMPT)
        terminal.enter(last)
        assert terminal.end() == 0
    assert b"closed the conversation" not in terminal.seen


def test_what_comes_is_shown_above_the_prompt_and_not_obeyed(env: dict[str, str]) -> None:
    go = threading.Event()

    def waiting(sock: socket.socket) -> None:
        assert go.wait(PATIENCE)
        sock.sendall(b"welcome\n\x1b[2Jevil\n")
        while sock.recv(1024):
            pass

    with plain_server(waiting) as address, Terminal("talk", address, env=env) as terminal:
        terminal.wait_for(PROMPT)
        go.set()
        terminal.wait_for("welcome\r\n")
        terminal.wait_for("\\x1b[2Jevil\r\n")
        terminal.wait_for(PROMPT)
        terminal.enter("\r")
        assert terminal.end() == 0


def test_pieces_of_a_raw_stream_stand_on_lines_of_their_own(env: dict[str, str]) -> None:
    with plain_server(stamping) as address, Terminal("talk", address, "--framing", "raw", env=env) as terminal:
        terminal.wait_for(PROMPT)
        terminal.enter("hello\r")
        terminal.wait_for("] hello\r\n")
        terminal.enter("\r")
        assert terminal.end() == 0


def test_the_other_ends_end_takes_the_prompt_away(env: dict[str, str]) -> None:
    go = threading.Event()

    def closing(sock: socket.socket) -> None:
        assert go.wait(PATIENCE)

    with plain_server(closing) as address, Terminal("talk", address, env=env) as terminal:
        terminal.wait_for(PROMPT)
        go.set()
        terminal.wait_for("-- the other end closed the conversation\r\n")
        assert terminal.end() == 0


def test_the_servers_reason_is_told(env: dict[str, str], place: str) -> None:
    with Terminal("talk", f"{place}/leave", env=env) as terminal:
        terminal.wait_for("-- the other end closed the conversation (busy): come \\x1b[2Jback later\r\n")
        assert terminal.end() == 0


def test_an_abrupt_end_takes_the_prompt_away_and_is_an_error(env: dict[str, str]) -> None:
    def cutting(sock: socket.socket) -> None:
        sock.recv(1024)
        reset(sock)

    with plain_server(cutting) as address, Terminal("talk", address, env=env) as terminal:
        terminal.wait_for(PROMPT)
        terminal.enter("hello\r")
        terminal.wait_for("error: the connection broke: ")
        assert terminal.end() == 1


def test_an_error_of_one_message_is_told_above_the_prompt(place: str, env: dict[str, str]) -> None:
    with Terminal("talk", f"{place}/square", "--parse", env=env) as terminal:
        terminal.wait_for(PROMPT)
        terminal.enter("x\r")
        terminal.wait_for("error: --parse wants JSON, and 'x' is none")
        terminal.wait_for(PROMPT)
        terminal.enter("5\r")
        terminal.wait_for("25\r\n")
        terminal.enter("\r")
        assert terminal.end() == 1


def test_ctrl_c_at_the_prompt_ends_with_130(place: str, env: dict[str, str]) -> None:
    with Terminal("talk", f"{place}/echo", env=env) as terminal:
        terminal.wait_for(PROMPT)
        terminal.enter("\x03")
        assert terminal.end() == 130
    assert b"Traceback" not in terminal.seen


def test_a_peer_that_stays_open_is_left_without_a_word(env: dict[str, str]) -> None:
    with plain_server(silent) as address, Terminal("talk", address, "--timeout", "0.5", env=env) as terminal:
        terminal.wait_for(PROMPT)
        terminal.enter("\r")
        assert terminal.end() == 0
    assert b"error" not in terminal.seen


def test_what_was_typed_is_kept_and_comes_back_with_the_up_arrow(place: str, env: dict[str, str]) -> None:
    for text, shown in (("hello\r", "hello\r\n"), ("\x1b[A\r", "hello\r\n")):
        with Terminal("talk", f"{place}/echo", env=env) as terminal:
            terminal.wait_for(PROMPT)
            terminal.enter(text)
            terminal.wait_for(shown)
            terminal.wait_for(PROMPT)
            terminal.enter("\r")
            assert terminal.end() == 0
    file = Path(env["XDG_STATE_HOME"]) / "anyplug" / "talk.history"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_terminal_that_can_only_print_gives_its_lines_without_a_prompt(place: str, env: dict[str, str]) -> None:
    with Terminal("talk", f"{place}/echo", env={**env, "TERM": "dumb"}) as terminal:
        terminal.wait_for("Ctrl-D ends\r\n")
        terminal.enter("hello\r")
        terminal.wait_for("hello\r\nhello\r\n")
        terminal.enter("\r")
        assert terminal.end() == 0
    assert terminal.seen == b"\r\n"


def test_where_the_output_is_no_terminal_there_is_no_prompt(env: dict[str, str]) -> None:
    near, far = os.pipe()
    heard = keeping()
    with plain_server(heard) as address, Terminal("talk", address, env=env, output=far) as terminal:
        os.close(far)
        terminal.enter("hello\n\n")
        assert terminal.end() == 0
        assert heard.all() == b"hello\n"
        assert os.read(near, 1024) == b""
    os.close(near)
    assert b"> " not in terminal.seen
