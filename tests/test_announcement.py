"""What a server tells of itself survives its way through a TXT record, and what a stranger wrote there harms nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.announcement import NAME_MOST, Announcement, check_name, name_of_host, read_text, write_text
from anyplug.errors import LocalError


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (
            Announcement(services=("echo", "talk"), version="0.1.0", token=True),
            b"\x09txtvers=1\x12services=echo,talk\x0dversion=0.1.0\x09token=yes",
        ),
        (Announcement(token=False, tls=True), b"\x09txtvers=1\x09services=\x08version=\x08token=no\x07tls=yes"),
        (Announcement(services=("a",), more=3), b"\x09txtvers=1\x0aservices=a\x08version=\x06more=3"),
    ],
)
def test_it_is_the_same_both_ways(told: Announcement, text: bytes) -> None:
    assert write_text(told) == text
    assert read_text(text) == told


def test_services_that_have_no_room_are_counted() -> None:
    names = tuple(f"service-{number:03d}" for number in range(30))
    text = write_text(Announcement(services=names, more=1))
    told = read_text(text)
    assert told.services == names[:20]  # 20 names of 11 bytes, 19 commas: 239 bytes, and 9 of "services="
    assert told.more == 11
    assert len(names) + 1 == len(told.services) + told.more


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", Announcement()),
        (b"\x00", Announcement()),
        (b"\x09toke", Announcement()),
        (b"\x0cservices=a,b", Announcement(services=("a", "b"))),
        (b"\x20services=a,b", Announcement(services=("a", "b"))),  # it says that it is longer than it is
        (b"\x0dservices=,a,,", Announcement(services=("a",))),
        (b"\x09TOKEN=yes", Announcement(token=True)),
        (b"\x09token=YES", Announcement()),
        (b"\x08token=no\x09token=yes", Announcement(token=False)),  # the first counts (RFC 6763, section 6.4)
        (b"\x07more=-1", Announcement()),
        (b"\x0bmore=999999", Announcement()),
        ("\x08more=²²".encode(), Announcement()),
        (b"\x0aversion=\xff", Announcement(version="\ufffd")),
        (b"\x06\xff\xfe=abc\x05other", Announcement()),
    ],
)
def test_what_cannot_be_read_counts_as_not_told(text: bytes, told: Announcement) -> None:
    assert read_text(text) == told


@given(st.binary(max_size=600))
def test_any_bytes_are_read(text: bytes) -> None:
    read_text(text)


@given(st.lists(st.text("abcxyz-é0", min_size=1, max_size=63), max_size=40))
def test_no_string_is_longer_than_its_length_can_say(services: list[str]) -> None:
    told = read_text(write_text(Announcement(services=tuple(services))))
    assert told.services == tuple(services)[: len(told.services)]
    assert len(told.services) + told.more == len(services)


@pytest.mark.parametrize("name", ["kitchen", "the kitchen", "Küche", "x" * NAME_MOST])
def test_a_name_may_be_any_short_text(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "'' cannot be a server's name in the network: expected printable text without a dot"),
        ("  ", "'  ' cannot be"),
        ("a.b", "'a.b' cannot be"),
        ("a\x1b", "'a\\x1b' cannot be"),
        ("é" * 31, "it has 62 bytes, at most 60"),
    ],
)
def test_other_names_are_refused(name: str, problem: str) -> None:
    with pytest.raises(LocalError) as caught:
        check_name(name)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("host", "name"),
    [("kitchen", "kitchen"), ("kitchen.example", "kitchen"), ("", "anyplug"), (".x", "anyplug"), ("a\x00b", "ab")],
)
def test_without_a_name_the_machine_gives_one(host: str, name: str) -> None:
    assert name_of_host(host) == name


def test_a_long_name_of_a_machine_is_cut_between_characters() -> None:
    assert check_name(name_of_host("a" + "é" * 40)) == "a" + "é" * 29
