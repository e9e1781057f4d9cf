from __future__ import annotations

import re

import pytest

from anyplug.errors import LocalError
from anyplug.netinfo.ports import TOP, parse_ports, port_ranges, service_name


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", (80,)),
        ("1-3", (1, 2, 3)),
        ("-3", (1, 2, 3)),
        ("65533-", (65533, 65534, 65535)),
        ("443, 80,80", (80, 443)),
        ("7584,1-2", (1, 2, 7584)),
        ("5-5", (5,)),
        ("65535", (65535,)),
        ("ALL", tuple(range(1, 65536))),
        ("top", tuple(sorted(TOP))),
        ("top,2", tuple(sorted((*TOP, 2)))),
    ],
)
def test_ports_are_read(text: str, ports: tuple[int, ...]) -> None:
    assert parse_ports(text) == ports


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' in the ports '' is no port; expected such as 80, 1-1024, top or all"),
        ("80,", "'' in the ports '80,' is no port"),
        ("http", "'http' in the ports 'http' is no port"),
        ("-", "'-' in the ports '-' is no port"),
        ("1-2-3", "'1-2-3' in the ports '1-2-3' is no port"),
        ("٨٠", "is no port; expected"),
        ("0", "0 in the ports '0' is no port; they go from 1 to 65535"),
        ("65536", "65536 in the ports '65536' is no port; they go from 1 to 65535"),
        ("1-70000", "70000 in the ports '1-70000' is no port"),
        ("1024-1", "the range '1024-1' in the ports '1024-1' runs backwards; did you mean 1-1024?"),
    ],
)
def test_what_is_no_port_is_named(text: str, problem: str) -> None:
    with pytest.raises(LocalError, match=re.escape(problem)):
        parse_ports(text)


@pytest.mark.parametrize("text", ["80", "1-3", "22,80-83,443", "1-65535"])
def test_ranges_are_written_as_they_are_read(text: str) -> None:
    assert port_ranges(parse_ports(text)) == text


def test_no_ports_are_no_text() -> None:
    assert port_ranges(()) == ""


@pytest.mark.parametrize(("port", "name"), [(7584, "anyplug"), (22, "ssh"), (65000, "")])
def test_services_have_names(port: int, name: str) -> None:
    assert service_name(port) == name
