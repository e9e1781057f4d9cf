"""What `serve` shows of a listener, and what it says to type."""

from __future__ import annotations

import pytest

from anyplug.address import Address
from anyplug.cli.serve_hints import Row, hint, row
from anyplug.services import KINDS, Facilities

KINDS_OF = {
    "clock": "echo",
    "answer": "reply",
    "hello": "greet",
    "strange": "later",
    "keep": "inbox",
    "object": "shelf",
    "room": "talk",
    "take": "files",
}
SERVICES = [
    KINDS[kind].make(name, KINDS[kind].options(), Facilities()) for name, kind in KINDS_OF.items() if kind in KINDS
]

NAMES = ", ".join(service.name for service in SERVICES)


@pytest.mark.parametrize(
    ("address", "typed"),
    [
        ("plug://127.0.0.1:7584", "anyplug ask 127.0.0.1/clock hello"),
        ("plug://127.0.0.1:1", "anyplug ask 127.0.0.1:1/clock hello"),
        ("plug://*:1", "anyplug ask 127.0.0.1:1/clock hello"),
        ("plug6://*:1", "anyplug ask [::1]:1/clock hello"),
        ("plug://[::1]:7584", "anyplug ask [::1]/clock hello"),
        ("plug+unix:///run/a.sock", "anyplug ask 'plug+unix:///run/a.sock?service=clock' hello"),
        ("tcp://127.0.0.1:1/clock", "nc 127.0.0.1 1"),
        ("tcp://127.0.0.1:1/clock?framing=raw", "nc 127.0.0.1 1"),
        ("tcp://*:1/answer", "nc 127.0.0.1 1"),
        ("tcp6://*:1/answer", "nc ::1 1"),
        ("tcp://127.0.0.1:1/clock?framing=header&codec=text", "anyplug ask 'tcp://127.0.0.1:1?framing=header' hello"),
        ("tcp://127.0.0.1:1/clock?until=eof", "anyplug ask 'tcp://127.0.0.1:1?until=eof' hello"),
        ("tcp://127.0.0.1:1/hello?framing=raw", "anyplug receive 'tcp://127.0.0.1:1?framing=raw' --until eof"),
        ("tcp://127.0.0.1:1/hello", "anyplug receive tcp://127.0.0.1:1 --until eof"),
        ("udp://127.0.0.1:1/clock", "nc -u 127.0.0.1 1"),
        ("unix:///run/a.sock?service=clock", "nc -U /run/a.sock"),
        ("unix:///run/a%20b.sock?service=clock", "nc -U '/run/a b.sock'"),
        ("unix://@a?service=clock", "anyplug ask unix://@a hello"),
        ("unix+dgram:///run/a.sock?service=clock", "anyplug ask unix+dgram:///run/a.sock hello"),
        ("unix+seqpacket:///run/a.sock?service=clock", "anyplug ask unix+seqpacket:///run/a.sock hello"),
        ("tcp://127.0.0.1:1/keep?framing=raw", "nc 127.0.0.1 1"),
        ("tcp://127.0.0.1:1/keep?until=eof", "anyplug send 'tcp://127.0.0.1:1?until=eof' hello"),
        ("tcp://127.0.0.1:1/room", "nc 127.0.0.1 1"),
        (
            "tcp://127.0.0.1:1/object?framing=header&codec=pickled",
            "anyplug receive 'tcp://127.0.0.1:1?framing=header' --count 1 --codec pickled",
        ),
        ("tcp://127.0.0.1:1/object?framing=prefix", "anyplug receive 'tcp://127.0.0.1:1?framing=prefix' --count 1"),
        ("tcp://127.0.0.1:1/take?framing=raw", "anyplug put FILE 'tcp://127.0.0.1:1?framing=raw'"),
        ("fd://3?service=clock", ""),
    ],
)
def test_what_to_type_reaches_the_listener(address: str, typed: str) -> None:
    assert hint(Address.parse(address), KINDS_OF) == typed


def test_who_has_only_greetings_hears_one() -> None:
    assert hint(Address.parse("plug://127.0.0.1:7584"), {"hello": "greet"}) == "anyplug receive 127.0.0.1/hello"


def test_who_has_only_rooms_goes_into_one() -> None:
    assert hint(Address.parse("plug://127.0.0.1:7584"), {"rooms": "talk"}) == "anyplug talk 127.0.0.1/rooms"


def test_who_has_only_an_inbox_posts_something() -> None:
    assert hint(Address.parse("plug://127.0.0.1:7584"), {"log": "inbox"}) == "anyplug post 127.0.0.1/log hello"


def test_without_services_there_is_nothing_to_type() -> None:
    assert hint(Address.parse("plug://127.0.0.1:7584"), {}) == ""


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("plug://127.0.0.1:1", Row("plug://127.0.0.1:1", NAMES, "plug, or lines")),
        ("tcp://127.0.0.1:1/clock", Row("tcp://127.0.0.1:1", "clock", "lines, bytes")),
        ("tcp://127.0.0.1:1/answer?framing=raw", Row("tcp://127.0.0.1:1", "answer", "raw, text")),
        ("tcp://127.0.0.1:1/answer?width=8&codec=json", Row("tcp://127.0.0.1:1", "answer", "header, json")),
        ("tcp://127.0.0.1:1/gone", Row("tcp://127.0.0.1:1", "gone", "lines, text")),
        ("udp://127.0.0.1:1/clock", Row("udp://127.0.0.1:1", "clock", "packets, bytes")),
        ("unix:///run/a.sock?service=clock&codec=text", Row("unix:///run/a.sock", "clock", "lines, text")),
        ("unix:///run/a.sock?service=clock&width=x", Row("unix:///run/a.sock", "clock", "-, bytes")),
    ],
)
def test_the_table_says_what_a_listener_speaks(address: str, shown: Row) -> None:
    assert row(Address.parse(address), SERVICES) == shown


def test_a_server_without_services_shows_none() -> None:
    assert row(Address.parse("plug://127.0.0.1:1"), []).service == "-"
