from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from anyplug.netinfo.check import CheckOptions
from anyplug.netinfo.check_close import passed
from anyplug.netinfo.check_types import Answered, Closed, Speaks
from tests.cli.peers import greeting, reset
from tests.netinfo.checks import (
    QUICK,
    SOON,
    alerts,
    by_name,
    echoing,
    only_http,
    port_server,
    resets_once_spoken_to,
    speaks_ssh,
    states,
)

if TYPE_CHECKING:
    from collections.abc import Callable


# Plain streams.


def test_a_plain_echo_and_who_ends_first() -> None:
    with port_server(echoing) as number:
        steps = by_name(f"tcp://127.0.0.1:{number}")
    assert states(steps) == dict.fromkeys(("resolve", "route", "connect", "echo", "close", "speaks"), "ok")
    assert (steps["echo"].message, steps["echo"].facts) == ("the same came back", Answered(13, 14, True))
    facts = steps["close"].facts
    assert isinstance(facts, Closed)
    assert (facts.first, facts.how, facts.states[0], facts.states[-1]) == (
        "this side",
        "FIN",
        "established",
        "time-wait",
    )
    assert facts.passed[:2] == ("established", "fin-wait-1")
    assert steps["speaks"].facts == Speaks("text", "anyplug-check (14 bytes)")


@pytest.mark.parametrize("framing", ["header", "prefix", "raw", "lines"])
def test_the_message_is_cut_as_the_address_says(framing: str) -> None:
    sizes = {"header": 10 + 13, "prefix": 4 + 13, "raw": 13, "lines": 14}
    with port_server(echoing) as number:
        step = by_name(f"tcp://127.0.0.1:{number}?framing={framing}&codec=text")["echo"]
    assert step.facts == Answered(13, sizes[framing], True)


def test_a_server_that_speaks_first_is_said_nothing() -> None:
    with port_server(greeting) as number:
        steps = by_name(f"tcp://127.0.0.1:{number}")
    assert steps["echo"].message == "it speaks first: Socket Programming in Python (28 bytes)"
    assert steps["echo"].facts == Answered(0, 28, False)
    facts = steps["close"].facts
    assert isinstance(facts, Closed)
    assert (facts.first, facts.passed) == ("the peer", ("established", "close-wait", "last-ack", "closed"))


def test_a_long_first_line_is_cut() -> None:
    with port_server(lambda sock: sock.sendall(b"x" * 500)) as number:
        message = by_name(f"tcp://127.0.0.1:{number}")["echo"].message
    assert message == f"it speaks first: {'x' * 120}… (500 bytes)"


def test_blank_bytes_are_counted_alone() -> None:
    with port_server(lambda sock: sock.sendall(b"\r\n")) as number:
        assert by_name(f"tcp://127.0.0.1:{number}")["echo"].message == "it speaks first: 2 bytes"


def test_a_server_that_ends_without_a_word() -> None:
    with port_server(lambda sock: None) as number:
        steps = by_name(f"tcp://127.0.0.1:{number}", options=CheckOptions(echo=True, answer=0.05))
    assert steps["echo"].state == "unknown"
    assert steps["echo"].message == "it took the connection and ended it without a word"
    assert (steps["close"].state, steps["speaks"].state) == ("ok", "unknown")


def takes_one(sock: socket.socket) -> None:
    sock.recv(100)


def test_a_server_that_takes_the_message_and_ends() -> None:
    with port_server(takes_one) as number:
        step = by_name(f"tcp://127.0.0.1:{number}")["echo"]
    assert (step.state, step.message) == (
        "unknown",
        "it took the message and ended the stream without an answer",
    )


def test_silence_is_unknown_and_so_is_a_peer_that_never_ends() -> None:
    stop = socket.socketpair()

    def stays(sock: socket.socket) -> None:
        while sock.recv(100):
            pass
        stop[0].recv(1)

    with stop[0], stop[1], port_server(stays) as number:
        steps = by_name(f"tcp://127.0.0.1:{number}", options=QUICK)
        stop[1].close()
    assert [steps[name].state for name in ("echo", "close", "speaks")] == ["unknown"] * 3
    assert steps["echo"].message == "no answer within 0.05 s; not every service answers"
    facts = steps["close"].facts
    assert isinstance(facts, Closed)
    assert (facts.first, facts.how, facts.states[-1]) == ("nobody", "", "fin-wait-2")
    assert steps["close"].message.endswith("-> fin-wait-2")
    assert steps["speaks"].message == "it speaks neither Anyplug nor TLS nor HTTP"


def resets_at_the_end(sock: socket.socket) -> None:
    while sock.recv(100):
        sock.sendall(b"yes\n")
    reset(sock)


def test_a_reset_at_the_end_is_no_orderly_close() -> None:
    with port_server(resets_at_the_end) as number:
        step = by_name(f"tcp://127.0.0.1:{number}")["close"]
    assert step.state == "failed"
    assert step.message.startswith("the peer reset the connection with RST; established -> ")
    assert isinstance(step.facts, Closed)
    assert (step.facts.how, step.facts.states[-1]) == ("RST", "closed")
    assert step.facts.passed == step.facts.states


def test_a_reset_in_place_of_an_answer() -> None:
    with port_server(resets_once_spoken_to) as number:
        step = by_name(f"tcp://127.0.0.1:{number}")["echo"]
    assert (step.state, step.message) == ("failed", "the connection broke: connection reset by peer")


def test_tls_behind_a_plain_port_is_the_wrong_protocol() -> None:
    with port_server(alerts) as number:
        step = by_name(f"tcp://127.0.0.1:{number}")["speaks"]
    assert (step.state, step.message, step.remedy) == ("failed", "a TLS server is behind that port", "try tls://")


@pytest.mark.parametrize(
    ("talk", "state", "message"),
    [
        (only_http, "ok", "http: tiny HTTP/1.0 200 OK"),
        (speaks_ssh, "failed", "no web server is behind that port: ssh: SSH-2.0-Test (14 bytes)"),
        (alerts, "failed", "a TLS server is behind that port"),
    ],
)
def test_what_is_behind_the_port_of_a_web_socket(
    talk: Callable[[socket.socket], None], state: str, message: str
) -> None:
    with port_server(talk) as number:
        steps = by_name(f"ws://127.0.0.1:{number}/room", options=SOON)
    assert list(steps) == ["resolve", "route", "connect", "close", "speaks"]
    assert (steps["speaks"].state, steps["speaks"].message) == (state, message)


def test_what_is_silent_is_asked_in_other_tongues_unless_nothing_shall_be_said() -> None:
    with port_server(only_http) as number:
        assert by_name(f"tcp://127.0.0.1:{number}", options=SOON)["speaks"].message == "http: tiny HTTP/1.0 200 OK"
        quiet = by_name(f"tcp://127.0.0.1:{number}", options=CheckOptions(echo=False, answer=0.05))
    assert (quiet["speaks"].state, quiet["speaks"].message) == ("unknown", "it has said nothing")


# States of TCP.


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([], []),
        (["established"], ["established"]),
        (["established", "time-wait"], ["established", "fin-wait-1", "time-wait"]),
        (["established", "fin-wait-2"], ["established", "fin-wait-1", "fin-wait-2"]),
        (["established", "closed"], ["established", "closed"]),  # there are two ways
        (["close-wait", "closed"], ["close-wait", "last-ack", "closed"]),
        (["fin-wait-1", "fin-wait-2", "time-wait"], ["fin-wait-1", "fin-wait-2", "time-wait"]),
        (["closed", "established"], ["closed", "established"]),
    ],
)
def test_states_that_must_have_been_passed(seen: list[str], expected: list[str]) -> None:
    assert passed(seen) == expected
