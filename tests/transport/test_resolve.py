"""From hosts to the ends that can be tried."""

from __future__ import annotations

import errno
import socket
import threading

import pytest

from anyplug.transport.resolve import Candidate, known, look_up_blocking, system_lookup, unix_sockaddr
from tests.transport.pairs import needs_ipv6

V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)
STREAM, DGRAM = int(socket.SOCK_STREAM), int(socket.SOCK_DGRAM)


def hosts(ends: list[Candidate] | None) -> list[object] | None:
    return None if ends is None else [end.sockaddr[0] for end in ends if isinstance(end.sockaddr, tuple)]


@pytest.mark.parametrize(
    ("host", "family", "found"),
    [
        ("", 0, ["::", "0.0.0.0"]),
        ("", V4, ["0.0.0.0"]),
        ("", V6, ["::"]),
        ("localhost", 0, ["::1", "127.0.0.1"]),
        ("localhost.", 0, ["::1", "127.0.0.1"]),
        ("LocalHost", V4, ["127.0.0.1"]),
        ("talk.localhost", V6, ["::1"]),
        ("127.0.0.1", 0, ["127.0.0.1"]),
        ("localhost.example", 0, None),
        ("notlocalhost", 0, None),
        ("example.org", 0, None),
    ],
)
def test_what_is_known_without_a_lookup(host: str, family: int, found: list[str] | None) -> None:
    ends = known(host, 80, family, STREAM)
    assert hosts(ends) == found
    for end in ends or []:
        assert end.type == STREAM
        assert isinstance(end.sockaddr, tuple)
        assert end.sockaddr[1] == 80
        assert len(end.sockaddr) == (4 if end.family == V6 else 2)


@needs_ipv6
def test_an_ipv6_address_is_known_with_its_zone() -> None:
    index = socket.if_nametoindex("lo")
    assert known("::1", 80, 0, STREAM) == [Candidate(V6, STREAM, ("::1", 80, 0, 0))]
    assert known("fe80::1%lo", 80, 0, STREAM) == [Candidate(V6, STREAM, ("fe80::1", 80, 0, index))]


def test_a_zone_may_be_a_number_and_a_family_may_be_ruled_out() -> None:
    assert known("fe80::1%7", 80, V6, STREAM) == [Candidate(V6, STREAM, ("fe80::1", 80, 0, 7))]
    for host, family in (("127.0.0.1", V6), ("::1", V4)):
        with pytest.raises(socket.gaierror):
            known(host, 80, family, STREAM)


def test_a_zone_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        known("fe80::1%nosuch0", 80, 0, STREAM)


def test_datagrams_to_localhost_go_to_ipv4_first() -> None:
    assert hosts(known("localhost", 80, 0, DGRAM)) == ["127.0.0.1", "::1"]


def test_the_system_looks_names_up() -> None:
    ends = system_lookup("localhost", 80, V4, STREAM)
    assert ends == [Candidate(V4, STREAM, ("127.0.0.1", 80))]


def test_what_cannot_be_a_name_is_an_unknown_name() -> None:
    with pytest.raises(socket.gaierror) as caught:
        system_lookup("a" * 70 + ".example", 80, 0, STREAM)
    assert caught.value.errno == socket.EAI_NONAME


def test_a_lookup_gives_its_ends_or_its_error() -> None:
    ends = [Candidate(V4, STREAM, ("127.0.0.1", 80))]
    assert look_up_blocking(lambda *_: ends, "h", 80, 0, STREAM, seconds=5) == ends

    def fails(*_: object) -> list[Candidate]:
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    with pytest.raises(socket.gaierror, match="later"):
        look_up_blocking(fails, "h", 80, 0, STREAM, seconds=5)


def test_a_lookup_that_breaks_is_an_error_and_no_hang() -> None:
    def breaks(*_: object) -> list[Candidate]:
        raise ZeroDivisionError("oh")

    with pytest.raises(OSError, match="ZeroDivisionError: oh"):
        look_up_blocking(breaks, "h", 80, 0, STREAM, seconds=5)


def test_a_lookup_that_takes_too_long_is_left_behind() -> None:
    end = threading.Event()

    def waits(*_: object) -> list[Candidate]:
        end.wait()
        return []

    with pytest.raises(TimeoutError) as caught:
        look_up_blocking(waits, "h", 80, 0, STREAM, seconds=0.01)
    assert caught.value.errno == errno.ETIMEDOUT
    [thread] = [each for each in threading.enumerate() if each.name == "lookup h"]
    assert thread.daemon
    end.set()
    thread.join()


def test_unix_names_as_the_system_takes_them() -> None:
    assert unix_sockaddr("/run/a") == "/run/a"
    assert unix_sockaddr("@talk") == b"\0talk"
