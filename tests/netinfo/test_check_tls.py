from __future__ import annotations

import os
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import LocalError
from anyplug.limits import DEFAULTS
from anyplug.messages import Hello, Requests, Welcome
from anyplug.netinfo.check import Checking, CheckOptions
from anyplug.netinfo.check_tls import certificate_problem, verified_text
from anyplug.netinfo.check_types import Certificate, Closed, Greeted, Secured
from anyplug.wire import PlugSession, Role
from tests.cli.peers import reset, serving
from tests.netinfo.checks import by_name, port_server, states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = Path(__file__).parent / "certificates"
TRUSTING = CheckOptions(ca_file=str(FOLDER / "authority.pem"))


def echoing(sock: socket.socket) -> None:
    while data := sock.recv(1000):
        sock.sendall(data)


def says_nothing(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.recv(1000)


def speaks_plug(sock: socket.socket) -> None:
    session = PlugSession(Role.SERVER, DEFAULTS)
    while data := sock.recv(65536):
        session.receive_data(data)
        for event in session.events():
            if isinstance(event, Hello):
                session.send_welcome(Welcome(service=event.service, asks=True, agent="test"))
            elif isinstance(event, Requests):
                session.send_reply(*event.items[0])
        sock.sendall(session.data_to_send())


@contextmanager
def tls_server(
    certificate: str,
    talk: Callable[[socket.socket], None] = echoing,
    *,
    most: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
) -> Iterator[int]:
    """A server of TLS; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = most
    context.load_cert_chain(FOLDER / f"{certificate}.pem", FOLDER / "key.pem")

    def secured(sock: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(sock, server_side=True) as tls:
            tls.settimeout(20)
            talk(tls)
            with suppress(OSError):
                tls.unwrap()

    with port_server(secured) as port:
        yield port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_that_holds(host: str) -> None:
    with tls_server("good") as port:
        steps = by_name(f"tls4://{host}:{port}", options=TRUSTING)
    assert states(steps) == dict.fromkeys(("resolve", "route", "connect", "tls", "echo", "close", "speaks"), "ok")
    facts = steps["tls"].facts
    assert isinstance(facts, Secured)
    assert (facts.version, facts.verified) == ("TLSv1.3", True)
    assert facts.cipher.startswith("TLS_")
    assert facts.certificate is not None
    assert facts.certificate.names == ("localhost", "127.0.0.1", "::1")
    assert facts.days_left is not None
    assert facts.days_left > 14
    assert steps["tls"].message == (
        f"TLSv1.3, {facts.cipher}; certificate of localhost for localhost, 127.0.0.1, ::1, by An authority of tests, "
        "until 2125-01-01 00:00 UTC, verified"
    )
    assert steps["echo"].message == "the same came back"
    assert isinstance(steps["close"].facts, Closed)
    assert steps["close"].facts.how == "FIN"


def test_an_older_version_is_told() -> None:
    with tls_server("good", most=ssl.TLSVersion.TLSv1_2) as port:
        facts = by_name(f"tls://127.0.0.1:{port}", options=TRUSTING)["tls"].facts
    assert isinstance(facts, Secured)
    assert facts.version == "TLSv1.2"


@pytest.mark.parametrize(
    ("certificate", "options", "problem", "remedy"),
    [
        ("good", CheckOptions(), "nobody whom this machine trusts has signed it", "let the server send"),
        ("selfsigned", TRUSTING, "nobody but itself has signed it", "trust it with --ca-file FILE"),
        ("expired", TRUSTING, "it expired on 2021-01-01 00:00 UTC", "renew it on the server"),
        ("early", TRUSTING, "it is valid from 2099-01-01 00:00 UTC on, which is yet to come", "check the clocks"),
        ("other", TRUSTING, "it is for other.example, who@other.example, https://other.example, ", "use a name that"),
    ],
)
def test_a_certificate_that_does_not_hold(certificate: str, options: CheckOptions, problem: str, remedy: str) -> None:
    with tls_server(certificate) as port:
        steps = by_name(f"tls://127.0.0.1:{port}", options=options)
    step = steps["tls"]
    assert step.state == "failed"
    assert f": the certificate does not hold: {problem}" in step.message
    assert step.message.startswith("TLSv1.3, TLS_")
    assert step.remedy.startswith(remedy)
    assert isinstance(step.facts, Secured)
    assert not step.facts.verified
    assert step.facts.certificate is not None
    assert {steps[name].message for name in ("echo", "close", "speaks")} == {"not reached"}


def test_a_server_that_lets_nobody_look_twice() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "selfsigned.pem", FOLDER / "key.pem")
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:

        def once() -> None:
            sock, _ = listener.accept()
            listener.close()
            with suppress(OSError), context.wrap_socket(sock, server_side=True):
                pass

        thread = threading.Thread(target=once)
        thread.start()
        step = by_name(f"tls://127.0.0.1:{listener.getsockname()[1]}")["tls"]
        thread.join()
    assert (step.state, step.facts) == ("failed", None)
    assert step.message == "the certificate does not hold: nobody but itself has signed it"


@pytest.mark.parametrize(
    ("certificate", "verified", "message"),
    [(None, 1, "told"), (Certificate(subject="s", issuer="", names=(), not_before=0, not_after=0), 62, "it is for s,")],
)
def test_problems_of_certificates_that_say_little(certificate: Certificate | None, verified: int, message: str) -> None:
    assert certificate_problem(verified, "told", "h", certificate)[0].startswith(message)


def test_anyplug_over_tls() -> None:
    with tls_server("good", speaks_plug) as port:
        steps = by_name(f"plugs://127.0.0.1:{port}", options=CheckOptions(ca_file=TRUSTING.ca_file, answer=0.5))
    assert states(steps) == dict.fromkeys(("resolve", "route", "connect", "tls", "handshake", "echo", "close"), "ok")
    assert isinstance(steps["handshake"].facts, Greeted)
    assert steps["handshake"].facts.agent == "test"
    assert steps["echo"].message == "the same came back"


def test_who_speaks_no_tls() -> None:
    with serving("plug://127.0.0.1:0") as addresses:
        steps = by_name(addresses[0].replace("plug", "plugs"))
    assert steps["tls"].state == "failed"
    assert (steps["tls"].message, steps["tls"].remedy) == (
        "what answers there speaks no TLS",
        "try plug://; or check the port",
    )


def resets(sock: socket.socket) -> None:
    sock.recv(1000)
    reset(sock)


@pytest.mark.parametrize("talk", [resets, says_nothing])
def test_who_ends_in_the_handshake(talk: Callable[[socket.socket], None]) -> None:
    with port_server(talk) as port:
        step = by_name(f"tls://127.0.0.1:{port}")["tls"]
    assert step.message == "the server took the connection and ended it in the handshake of TLS"
    assert step.remedy == "it may speak no TLS: try tcp://; or look at its log"


def test_who_is_silent_in_the_handshake() -> None:
    ended = threading.Event()

    def stays(sock: socket.socket) -> None:
        sock.recv(1000)
        ended.wait(20)

    with port_server(stays) as port:
        step = by_name(f"wss://127.0.0.1:{port}", options=CheckOptions(timeout=0.1))["tls"]
        ended.set()
    assert step.message == "something took the connection and said nothing of TLS within 0.1 s"
    assert step.remedy == "check the port; or try ws:// if it speaks no TLS"


def test_who_refuses_the_version() -> None:
    def alerts(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(bytes.fromhex("15030300020246"))
        sock.recv(1000)

    with port_server(alerts) as port:
        step = by_name(f"tls://127.0.0.1:{port}")["tls"]
    assert step.message == "the handshake of TLS failed: tlsv1 alert protocol version"
    assert step.remedy == "look at the server's log, and at the versions it allows"


def test_a_server_that_says_no_goodbye_of_tls() -> None:
    with tls_server("good", says_nothing) as port:
        options = CheckOptions(ca_file=TRUSTING.ca_file, answer=0.05)
        steps = by_name(f"tls://127.0.0.1:{port}", options=options)
    assert (steps["tls"].state, steps["close"].state) == ("ok", "ok")


def test_a_server_that_ends_tls_and_keeps_the_connection() -> None:
    ended = threading.Event()

    def keeps(sock: socket.socket) -> None:
        echoing(sock)
        assert isinstance(sock, ssl.SSLSocket)
        plain = sock.unwrap()
        ended.wait(20)
        plain.close()

    with tls_server("good", keeps) as port:
        step = by_name(f"tls://127.0.0.1:{port}", options=TRUSTING)["close"]
        ended.set()
    assert step.state == "unknown"
    assert step.message.startswith("the peer has not ended its half")
    assert isinstance(step.facts, Closed)
    assert (step.facts.first, step.facts.states[-1]) == ("nobody", "fin-wait-2")


def test_a_server_that_ends_tls_first_and_keeps_the_connection() -> None:
    ended = threading.Event()

    def keeps(sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        sock.sendall(sock.recv(100))
        with suppress(OSError):
            sock.unwrap()
        ended.wait(20)

    with tls_server("good", keeps) as port:
        step = by_name(f"tls://127.0.0.1:{port}", options=TRUSTING)["close"]
        ended.set()
    assert isinstance(step.facts, Closed)
    assert (step.state, step.facts.first, step.facts.states[-1]) == ("unknown", "nobody", "fin-wait-2")


def test_a_server_that_breaks_tls_at_the_end() -> None:
    def breaks(sock: socket.socket) -> None:
        sock.sendall(sock.recv(100))
        os.write(sock.fileno(), b"this is no record of TLS at all")
        sock.recv(100)

    with tls_server("good", breaks) as port:
        step = by_name(f"tls://127.0.0.1:{port}", options=TRUSTING)["close"]
    assert step.state == "failed"
    assert step.message.startswith("the connection broke while it was closed: ")


@pytest.mark.parametrize(
    ("days", "end"),
    [(None, "verified"), (14.0, "verified"), (13.4, "verified; it expires in 13 days: renew it")],
)
def test_a_certificate_that_soon_expires_is_told(days: float | None, end: str) -> None:
    facts = Secured(version="TLSv1.3", cipher="C", certificate=None, verified=True, days_left=days)
    assert verified_text(facts) == f"TLSv1.3, C; a certificate that cannot be read, {end}"


def test_an_authority_for_nothing() -> None:
    with pytest.raises(LocalError, match="speaks no TLS, so there is nothing to verify"):
        Checking("tcp://127.0.0.1:1", options=TRUSTING)


@pytest.mark.parametrize(
    ("file", "why"), [("nowhere.pem", "No such file or directory"), ("key.pem", "it holds no certificate in PEM")]
)
def test_files_of_authorities_that_cannot_be_used(file: str, why: str) -> None:
    with pytest.raises(LocalError) as raised:
        Checking("tls://127.0.0.1:1", options=CheckOptions(ca_file=str(FOLDER / file)))
    assert str(raised.value).endswith(f"of authorities cannot be used: {why}")
