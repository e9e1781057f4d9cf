from __future__ import annotations

import socket
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import AddressError, Code, LocalError
from anyplug.limits import DEFAULTS
from anyplug.messages import Hello, Requests, Welcome
from anyplug.netinfo.check import CHECK_DEFAULTS, Checking, CheckOptions, check
from anyplug.netinfo.check_talk import tongue
from anyplug.netinfo.check_types import Answered, Closed, Connected, Found, Greeted, Route, Speaks
from anyplug.wire import PlugSession, Role
from anyplug.wire.frames import PREFACE
from tests.cli.peers import serving
from tests.netinfo.checks import (
    QUICK,
    alerts,
    by_name,
    only_http,
    port_server,
    resets_once_spoken_to,
    speaks_ssh,
    states,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    with serving("plug://127.0.0.1:0") as addresses:
        yield addresses[0].rpartition(":")[2]


# Anyplug's own.


def test_every_step_of_a_service_that_answers(port: str) -> None:
    steps = by_name(f"127.0.0.1:{port}")
    assert states(steps) == dict.fromkeys(("resolve", "route", "connect", "handshake", "echo", "close"), "ok")
    assert steps["resolve"].facts == Found(("127.0.0.1",))
    assert steps["route"].facts == Route("127.0.0.1", "lo")
    connected, greeted, answered = steps["connect"].facts, steps["handshake"].facts, steps["echo"].facts
    assert isinstance(connected, Connected)
    assert connected.remote == f"127.0.0.1:{port}"
    assert connected.local.startswith("127.0.0.1:")
    assert connected.round_trip is not None
    assert 0 < connected.round_trip < 5
    assert isinstance(greeted, Greeted)
    assert (greeted.service, greeted.version, greeted.codec, greeted.asks) == ("echo", 1, "msgpack", True)
    assert {"echo", "countdown", "square"} <= set(greeted.services)
    assert answered == Answered(14, 14, True)
    assert all(step.seconds is not None and step.seconds >= 0 for step in steps.values())
    assert {step.end for step in steps.values()} == {"", f"127.0.0.1:{port}"}


def test_the_server_of_a_plug_conversation_ends_first(port: str) -> None:
    facts = by_name(f"127.0.0.1:{port}")["close"].facts
    assert isinstance(facts, Closed)
    assert (facts.first, facts.how) == ("the peer", "FIN")
    assert (facts.states[0], facts.states[-1]) == ("established", "closed")
    assert facts.passed == ("established", "close-wait", "last-ack", "closed")


def test_a_service_that_holds_conversations_is_asked_nothing(port: str) -> None:
    steps = by_name(f"127.0.0.1:{port}/countdown")
    assert states(steps)["echo"] == "skipped"
    assert steps["echo"].message == "countdown holds conversations, and answers no requests"
    assert (steps["close"].state, steps["echo"].seconds) == ("ok", None)


def test_a_service_that_cannot_use_a_text_says_so(port: str) -> None:
    step = by_name(f"127.0.0.1:{port}/square")["echo"]
    assert step.state == "ok"
    assert step.message.startswith("it answers that it cannot use a text (bad_message: ")


def test_an_unknown_service_is_refused_and_the_rest_not_reached(port: str) -> None:
    steps = by_name(f"127.0.0.1:{port}/nope")
    assert states(steps) == {
        **dict.fromkeys(("resolve", "route", "connect"), "ok"),
        "handshake": "failed",
        **dict.fromkeys(("echo", "close"), "skipped"),
    }
    step = steps["handshake"]
    assert step.message.startswith("REFUSED, unknown_service: no service 'nope' here")
    assert step.remedy.startswith("name a service that it has")
    assert isinstance(step.facts, Greeted)
    assert (step.facts.refused, step.facts.service) == ("unknown_service", "nope")
    assert (steps["echo"].message, steps["echo"].seconds) == ("not reached", None)


def test_a_token_is_asked_for_and_taken() -> None:
    with serving("plug://127.0.0.1:0", token="sesame") as addresses:
        assert by_name(addresses[0])["handshake"].message.startswith("REFUSED, not_allowed: ")
        assert states(by_name(addresses[0], options=CheckOptions(token="sesame")))["echo"] == "ok"


def test_without_an_echo_nothing_is_said(port: str) -> None:
    steps = by_name(f"127.0.0.1:{port}", options=CheckOptions(echo=False))
    assert (steps["echo"].state, steps["echo"].message, steps["close"].state) == ("skipped", "left out, as asked", "ok")


def plug_server(*, answers: Callable[[PlugSession, int], None]) -> Callable[[socket.socket], None]:
    """A server of the plug protocol that says nothing of itself; `answers` handles a request."""

    def talk(sock: socket.socket) -> None:
        session = PlugSession(Role.SERVER, DEFAULTS)
        while data := sock.recv(65536):
            session.receive_data(data)
            for event in session.events():
                if isinstance(event, Hello):
                    session.send_welcome(Welcome(service=event.service, asks=True, codec="msgpack"))
                elif isinstance(event, Requests):
                    answers(session, event.items[0][0])
            sock.sendall(session.data_to_send())

    return talk


@pytest.mark.parametrize(
    ("answers", "state", "message"),
    [
        (lambda session, number: session.send_reply(number, b"\xa3not"), "ok", "answered: \\xa3not (4 bytes)"),
        (lambda session, number: None, "unknown", "no answer within 0.05 s"),
        (lambda session, number: session.send_eof(), "failed", "the server ended the conversation without an answer"),
    ],
)
def test_answers_of_other_servers(answers: Callable[[PlugSession, int], None], state: str, message: str) -> None:
    options = QUICK if state == "unknown" else CHECK_DEFAULTS
    with port_server(plug_server(answers=answers)) as number:
        steps = by_name(f"127.0.0.1:{number}", options=options)
    assert (steps["echo"].state, steps["echo"].message) == (state, message)
    greeted = steps["handshake"].facts
    assert isinstance(greeted, Greeted)
    assert (greeted.agent, greeted.services) == ("", ())
    assert steps["handshake"].message.startswith("WELCOME of a server that does not say its name")


def closes_when_asked(sock: socket.socket) -> None:
    def end(_: PlugSession, __: int) -> None:
        raise ConnectionAbortedError

    with suppress(ConnectionAbortedError):
        plug_server(answers=end)(sock)


def breaks_when_asked(sock: socket.socket) -> None:
    def end(_: PlugSession, __: int) -> None:
        sock.sendall(b"\xff" * 8)

    plug_server(answers=end)(sock)


@pytest.mark.parametrize("talk", [closes_when_asked, breaks_when_asked])
def test_a_conversation_that_breaks_at_the_echo(talk: Callable[[socket.socket], None]) -> None:
    with port_server(talk) as number:
        steps = by_name(f"127.0.0.1:{number}")
    assert states(steps)["close"] == "skipped"
    assert steps["echo"].state == "failed"
    assert steps["echo"].message.startswith("the conversation broke: ")
    assert steps["echo"].remedy == "look at the server's log"


def welcomes_and_leaves(sock: socket.socket) -> None:
    session = PlugSession(Role.SERVER, DEFAULTS)
    while data := sock.recv(65536):
        session.receive_data(data)
        if any(isinstance(event, Hello) for event in session.events()):
            session.send_welcome(Welcome(service="echo", asks=True))
            session.send_eof(Code.BUSY, "not now")
            sock.sendall(session.data_to_send())


def test_a_server_that_leaves_right_after_its_welcome() -> None:
    with port_server(welcomes_and_leaves) as number:
        step = by_name(f"127.0.0.1:{number}")["echo"]
    assert step.state == "failed"
    assert step.message.startswith("the conversation ended: the connection is closed")


def test_a_server_that_answers_in_another_codec() -> None:
    def talk(sock: socket.socket) -> None:
        session = PlugSession(Role.SERVER, DEFAULTS)
        session.receive_data(sock.recv(65536))
        session.send_welcome(Welcome(service="echo", asks=True, codec="json"))
        sock.sendall(session.data_to_send())
        sock.recv(100)

    with port_server(talk) as number:
        step = by_name(f"127.0.0.1:{number}")["handshake"]
    assert (step.state, step.message) == ("failed", "the server answers in codec 'json', asked for was 'msgpack'")


def test_a_server_that_takes_one_connection_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def once() -> None:
            sock, _ = listener.accept()
            listener.close()
            with sock:
                plug_server(answers=lambda session, number: session.send_reply(number, b"\xa1x"))(sock)

        thread = Thread(target=once)
        thread.start()
        steps = by_name(f"127.0.0.1:{port}")
        thread.join()
    assert (steps["echo"].state, steps["handshake"].state) == ("ok", "ok")
    assert isinstance(steps["handshake"].facts, Greeted)
    assert steps["handshake"].facts.services == ()


# The wrong protocol on the port.


def speaks_http(sock: socket.socket) -> None:
    if sock.recv(1000):
        sock.sendall(b"HTTP/1.0 400 Bad Request\r\nServer: tiny\r\n\r\n")


@pytest.mark.parametrize(
    ("talk", "message", "remedy", "facts"),
    [
        (
            speaks_http,
            "; what answers there is http: HTTP/1.0 400 Bad Request (42 bytes)",
            "an HTTP server answers there; is the port right?",
            Speaks("http", "HTTP/1.0 400 Bad Request (42 bytes)"),
        ),
        (
            speaks_ssh,
            "; what answers there is ssh: SSH-2.0-Test (14 bytes)",
            "an SSH server answers there; is the port right?",
            Speaks("ssh", "SSH-2.0-Test (14 bytes)"),
        ),
        (alerts, "; what answers there is tls", "a TLS server answers there; try plugs://", Speaks("tls", "")),
        (
            only_http,
            "said nothing within 0.5 s; what answers there is http: tiny HTTP/1.0 200 OK",
            "the server may be overloaded; if the server is no Anyplug server, use tcp:// with the right --framing",
            Speaks("http", "tiny HTTP/1.0 200 OK"),
        ),
        (
            resets_once_spoken_to,
            "connection reset by peer)",
            "look at the server's log; if the server is no Anyplug server, use tcp:// with the right --framing",
            None,
        ),
    ],
)
def test_who_answers_in_place_of_anyplug(
    talk: Callable[[socket.socket], None], message: str, remedy: str, facts: Speaks | None
) -> None:
    with port_server(talk) as number:
        step = by_name(f"127.0.0.1:{number}", options=CheckOptions(timeout=0.5))["handshake"]
    assert step.state == "failed"
    assert step.message.endswith(message)
    assert step.remedy == remedy
    assert step.facts == facts or (facts is None and step.facts == Speaks("silent", ""))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (PREFACE, "anyplug"),
        (b"anyplug 0.1.0: name a service", "anyplug"),
        (b"\x15\x03\x03", "tls"),
        (b"\x16\x03\x01", "tls"),
        (b"HTTP/1.1 200", "http"),
        (b"SSH-2.0-x", "ssh"),
        (b"220 mail", "mail or FTP"),
        (b"hello", "text"),
        (b"", ""),
    ],
)
def test_tongues(data: bytes, name: str) -> None:
    assert tongue(data) == name


# What cannot be checked.


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("fd://3", AddressError),
        ("tcp://*:80", AddressError),
        ("tcp://127.0.0.1:0", AddressError),
        ("tcp//x", AddressError),
        ("tcp://127.0.0.1:80?framing=header&width=x", LocalError),
    ],
)
def test_what_cannot_be_checked(address: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        Checking(address)


def test_an_interruption_keeps_what_is_known(port: str) -> None:
    checking = Checking(f"127.0.0.1:{port}")
    steps = checking.run()
    assert [next(steps).step for _ in range(3)] == ["resolve", "route", "connect"]
    steps.close()  # type: ignore[attr-defined]
    report = checking.report()
    assert [step.step for step in report.steps] == ["resolve", "route", "connect"]
    assert (report.ok, report.whole) == (True, False)


def test_steps_are_told_as_they_are_taken(port: str) -> None:
    seen: list[str] = []
    report = check(f"127.0.0.1:{port}", told=lambda step: seen.append(step.step), options=CHECK_DEFAULTS)
    assert seen == [step.step for step in report.steps]
    assert (report.ok, report.whole, report.address) == (True, True, f"plug://127.0.0.1:{port}")
