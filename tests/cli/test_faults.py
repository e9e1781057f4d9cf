from __future__ import annotations

import errno

import pytest

from anyplug.cli.faults import Fault, explain, printable
from anyplug.errors import (
    AddressError,
    AnyplugError,
    BindError,
    Broken,
    Code,
    ConfigError,
    ConnectError,
    ConnectionClosed,
    DecodeError,
    EncodeError,
    LocalError,
    ProtocolError,
    Refused,
    Timeout,
    TooLarge,
)

EVIL = "\x1b]0;pwned\x07\n"
SHOWN = r"\x1b]0;pwned\x07\n"


def connect_error(*, errno: int = 0, cause: Exception | None = None) -> ConnectError:
    error = ConnectError("tcp://h:1", step="connect", problem="no answer", remedy="try again", errno=errno)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (AddressError("x", part="port", found="", expected="a port"), "bad_address", 2),
        (LocalError("these do not fit"), "usage", 2),
        (ConfigError("a.toml", where="x", problem="y", line=3), "bad_config", 2),
        (BindError("tcp://h:1", "taken"), "cannot_listen", 1),
        (EncodeError("text", "no text"), "cannot_encode", 1),
        (connect_error(), "connect/connect", 1),
        (connect_error(errno=errno.ECONNREFUSED), "connect/connect", 1),
        (connect_error(errno=errno.ETIMEDOUT), "connect/connect", 124),
        (connect_error(cause=TimeoutError()), "connect/connect", 124),
        (connect_error(cause=Timeout("an answer", 1)), "connect/connect", 124),
        (Refused(Code.UNKNOWN_SERVICE, "no"), "refused/unknown_service", 1),
        (ProtocolError("bad frame"), "protocol", 1),
        (TooLarge("message", size=None, limit=5), "too_large", 1),
        (DecodeError("json", "at byte 3"), "bad_message", 1),
        (ConnectionClosed(), "closed", 1),
        (Broken("reset"), "broken", 1),
        (Timeout("an answer", 2.5), "timeout", 124),
        (AnyplugError("something"), "failed", 1),
    ],
)
def test_every_error_has_a_code_a_sentence_and_a_status(error: AnyplugError, code: str, status: int) -> None:
    fault = explain(error)
    assert (fault.code, fault.status) == (code, status)
    assert fault.message


def test_a_kind_of_error_without_a_row_is_told_by_what_it_is_a_kind_of() -> None:
    class Odd(Broken):
        pass

    assert explain(Odd("x"))[::3] == ("broken", 1)


def test_a_local_error_of_a_kind_of_its_own_is_no_mistake_on_the_command_line() -> None:
    class Odd(LocalError):
        pass

    assert explain(Odd("x")) == ("failed", "x", "", 1)


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (
            connect_error(),
            "cannot connect to tcp://h:1: no answer (step: connect)",
            "try again",
        ),
        (
            AddressError("plg://h", part="scheme", found="plg", expected="one of plug", nearest="plug://h"),
            "'plg://h' is not an address: the scheme is 'plg', expected one of plug",
            "did you mean plug://h?",
        ),
        (AddressError("", part="host", found="", expected="a host"), "'' is not an address: the host is nothing", ""),
        (Timeout("an answer", 2.5), "an answer: no answer within 2.5 s", "--timeout SECONDS waits longer"),
        (Refused(Code.NOT_ALLOWED, "no"), "refused (not_allowed): no", "give the server's token with --token-file"),
        (ConnectionClosed(Code.GOING_AWAY, "bye"), "the connection is closed (going_away): bye", "the server restarts"),
    ],
)
def test_the_sentence_and_the_hint(error: AnyplugError, message: str, hint: str) -> None:
    fault = explain(error)
    assert fault.message.startswith(message)
    assert fault.hint.startswith(hint)
    assert bool(fault.hint) == bool(hint)


@pytest.mark.parametrize(
    "error",
    [
        Refused(Code.FAILED, EVIL),
        ConnectionClosed(Code.FAILED, EVIL),
        Broken(EVIL),
        ProtocolError(EVIL),
        DecodeError("json", EVIL),
        LocalError(EVIL),
        ConnectError("tcp://h:1", step="handshake", problem=EVIL, remedy="x"),
        AnyplugError(EVIL),
    ],
)
def test_text_of_a_peer_is_escaped_once(error: AnyplugError) -> None:
    assert SHOWN in explain(error).message


def test_what_was_escaped_before_is_left_alone() -> None:
    assert printable(r"got b'\x16\x03' and C:\new") == r"got b'\x16\x03' and C:\new"
    assert printable("a\\\x1b\u202e") == r"a\\x1b\u202e"


def test_a_fault_is_a_failure_where_nothing_else_is_said() -> None:
    assert Fault("x", "y") == ("x", "y", "", 1)
