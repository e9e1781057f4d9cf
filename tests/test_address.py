"""Addresses: what each part of the text becomes, the canonical text of it, and what can be done with the result."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.address import (
    ADDRESS_MAX,
    DEFAULT_PORT,
    OPTIONS,
    PORT_MAX,
    SCHEMES,
    SERVICE_NAME,
    SOCKET_PATH_MAX,
    Address,
    check_service_name,
)
from anyplug.errors import AddressError


def address(scheme: str, host: str = "", port: int = 0, **more: Any) -> Address:
    return Address(scheme=scheme, host=host, port=port, **more)


# Text, the address it means, and the canonical text of that; "" where the canonical text is the text itself.
CASES = [
    # the native protocol
    ("plug://127.0.0.1:7584/echo", address("plug", "127.0.0.1", 7584, service="echo"), ""),
    ("plug://localhost/echo", address("plug", "localhost", 7584, service="echo"), "plug://localhost:7584/echo"),
    ("plug://h:1/talk/lobby", address("plug", "h", 1, service="talk", rest="lobby"), ""),
    ("plug://h:1/files/a/b.txt", address("plug", "h", 1, service="files", rest="a/b.txt"), ""),
    ("plug://h:1", address("plug", "h", 1), ""),
    ("plug://h:1/", address("plug", "h", 1), "plug://h:1"),
    ("plug://h:1/echo/", address("plug", "h", 1, service="echo"), "plug://h:1/echo"),
    ("plug://h:1/files//x", address("plug", "h", 1, service="files", rest="/x"), ""),
    ("plug://h:1/echo?", address("plug", "h", 1, service="echo"), "plug://h:1/echo"),
    ("plug://h:1?service=echo", address("plug", "h", 1, service="echo"), "plug://h:1/echo"),
    ("plug://h:1/?service=a/b", address("plug", "h", 1, service="a", rest="b"), "plug://h:1/a/b"),
    ("plug://h:1/e?codec=msgpack", address("plug", "h", 1, service="e", options={"codec": "msgpack"}), ""),
    ("plugs://h/echo", address("plugs", "h", 7584, service="echo"), "plugs://h:7584/echo"),
    ("plug+unix:///run/x.sock?service=echo", address("plug+unix", path="/run/x.sock", service="echo"), ""),
    # hosts
    ("plug://Example.ORG:1", address("plug", "example.org", 1), "plug://example.org:1"),
    ("plug://my_host-1.local.:1", address("plug", "my_host-1.local.", 1), ""),
    ("plug://Bücher.Example:1", address("plug", "bücher.example", 1), "plug://bücher.example:1"),
    ("plug://" + 63 * "a" + ".b:1", address("plug", 63 * "a" + ".b", 1), ""),
    ("plug://हिन्दी:1", address("plug", "हिन्दी", 1), ""),
    ("plug://主机:1", address("plug", "主机", 1), ""),
    ("plug://１２７.0.0.1:1", address("plug", "127.0.0.1", 1), "plug://127.0.0.1:1"),
    ("plug://[::1]:1/x", address("plug", "::1", 1, service="x"), ""),
    ("plug://[2001:DB8:0:0::1]:1", address("plug", "2001:db8::1", 1), "plug://[2001:db8::1]:1"),
    ("plug://[::]:1", address("plug", "::", 1), ""),
    ("plug://[fe80::1%eth0]:1", address("plug", "fe80::1%eth0", 1), ""),
    ("plug://[fe80::1%25eth0]:1", address("plug", "fe80::1%eth0", 1), "plug://[fe80::1%eth0]:1"),
    ("plug://[fe80::1%250]:1", address("plug", "fe80::1%0", 1), "plug://[fe80::1%0]:1"),
    ("plug://[fe80::1%2]:1", address("plug", "fe80::1%2", 1), ""),
    ("plug://[fe80::1%25]:1", address("plug", "fe80::1%25", 1), "plug://[fe80::1%2525]:1"),
    ("plug://[fe80::1%25250]:1", address("plug", "fe80::1%250", 1), ""),
    ("plug://*:7584", address("plug", "", 7584), ""),
    ("plug://:7584", address("plug", "", 7584), "plug://*:7584"),
    ("plug://", address("plug", "", 7584), "plug://*:7584"),
    ("plug://0.0.0.0:1", address("plug", "0.0.0.0", 1), ""),
    ("tcp://:1234", address("tcp", "", 1234), "tcp://*:1234"),
    # families
    ("plug4://h:1", address("plug", "h", 1, family=4), ""),
    ("plugs6://[::1]:1", address("plugs", "::1", 1, family=6), ""),
    ("tcp4://127.0.0.1:1", address("tcp", "127.0.0.1", 1, family=4), ""),
    ("tls6://h:1", address("tls", "h", 1, family=6), ""),
    ("udp4://*:1", address("udp", "", 1, family=4), ""),
    # ports
    ("tcp://h:0", address("tcp", "h", 0), ""),
    ("tcp://h:65535", address("tcp", "h", 65535), ""),
    ("tcp://h:00080", address("tcp", "h", 80), "tcp://h:80"),
    ("ws://h/x", address("ws", "h", 80, service="x"), "ws://h:80/x"),
    ("wss://h/x/y", address("wss", "h", 443, service="x", rest="y"), "wss://h:443/x/y"),
    # plain streams and datagrams
    ("tcp://h:1/shout", address("tcp", "h", 1, service="shout"), ""),
    (
        "tcp://h:1/s?framing=lines&codec=text",
        address("tcp", "h", 1, service="s", options={"codec": "text", "framing": "lines"}),
        "tcp://h:1/s?codec=text&framing=lines",
    ),
    (
        "tcp://h:1?until=eof&width=10",
        address("tcp", "h", 1, options={"until": "eof", "width": "10"}),
        "",
    ),
    ("tcp://h:1?until=a=b+c", address("tcp", "h", 1, options={"until": "a=b+c"}), ""),
    ("tls://h:1", address("tls", "h", 1), ""),
    ("udp://h:1/inbox/t", address("udp", "h", 1, service="inbox", rest="t"), ""),
    # unix sockets
    ("unix:///run/x.sock", address("unix", path="/run/x.sock"), ""),
    ("unix:///a?service=s&framing=raw", address("unix", path="/a", service="s", options={"framing": "raw"}), ""),
    (
        "unix:///a?framing=raw&service=s",
        address("unix", path="/a", service="s", options={"framing": "raw"}),
        "unix:///a?service=s&framing=raw",
    ),
    ("unix:///a?service=talk/lobby", address("unix", path="/a", service="talk", rest="lobby"), ""),
    ("unix://@name", address("unix", path="@name"), ""),
    ("unix://@a/b?service=s", address("unix", path="@a/b", service="s"), ""),
    ("unix:///a%20b%3Fc", address("unix", path="/a b?c"), ""),
    ("unix:///a b", address("unix", path="/a b"), "unix:///a%20b"),
    ("ipc:///a", address("unix", path="/a"), "unix:///a"),
    ("unix+seqpacket:///a", address("unix+seqpacket", path="/a"), ""),
    ("unix+dgram://@a", address("unix+dgram", path="@a"), ""),
    ("unix:///" + 106 * "a", address("unix", path="/" + 106 * "a"), ""),
    ("unix://@" + 107 * "a", address("unix", path="@" + 107 * "a"), ""),
    # descriptors
    ("fd://3", address("fd", fd=3), ""),
    ("fd://0?service=echo", address("fd", fd=0, service="echo"), ""),
    ("fd://3/echo", address("fd", fd=3, service="echo"), "fd://3?service=echo"),
    ("fd://2147483647?protocol=plug", address("fd", fd=2147483647, options={"protocol": "plug"}), ""),
    # only a host
    ("host", address("plug", "host", 7584), "plug://host:7584"),
    ("127.0.0.1/echo", address("plug", "127.0.0.1", 7584, service="echo"), "plug://127.0.0.1:7584/echo"),
    ("host:80/echo", address("plug", "host", 80, service="echo"), "plug://host:80/echo"),
    ("[::1]/echo", address("plug", "::1", 7584, service="echo"), "plug://[::1]:7584/echo"),
    (":7584/echo", address("plug", "", 7584, service="echo"), "plug://*:7584/echo"),
    ("h/talk/a://b", address("plug", "h", 7584, service="talk", rest="a://b"), "plug://h:7584/talk/a://b"),
    # other scripts and %XX
    ("PLUG://h:1/Echo", address("plug", "h", 1, service="Echo"), "plug://h:1/Echo"),
    ("plug://h:1/talk/大厅", address("plug", "h", 1, service="talk", rest="大厅"), ""),
    ("plug://h:1/talk/%E5%A4%A7", address("plug", "h", 1, service="talk", rest="大"), "plug://h:1/talk/大"),
    (
        "plug://h:1/talk/a%2Fb%0a%25",
        address("plug", "h", 1, service="talk", rest="a/b\n%"),
        "plug://h:1/talk/a/b%0A%25",
    ),
    (
        "plug://h:1/t%61lk/user@host",
        address("plug", "h", 1, service="talk", rest="user@host"),
        "plug://h:1/talk/user@host",
    ),
    (
        "plug://h:1/talk/%F0%9F%91%A8%E2%80%8D",
        address("plug", "h", 1, service="talk", rest="👨\u200d"),
        "plug://h:1/talk/👨%E2%80%8D",
    ),
]


@pytest.mark.parametrize(("text", "means", "canonical"), CASES)
def test_a_text_means_an_address_and_the_address_is_written_in_one_way(
    text: str, means: Address, canonical: str
) -> None:
    read = Address.parse(text)
    assert read == means
    assert str(read) == str(means) == (canonical or text)
    assert Address.parse(str(read)) == read
    assert hash(Address.parse(str(read))) == hash(read)


@pytest.mark.parametrize(
    ("text", "default_scheme", "canonical"),
    [
        ("h:80", "tcp", "tcp://h:80"),
        ("h:80", "udp6", "udp6://h:80"),
        ("[::1]/x", "plugs", "plugs://[::1]:7584/x"),
        ("/run/x", "unix", "unix:///run/x"),
        ("@x", "plug+unix", "plug+unix://@x"),
        ("tcp://h:1", "unix", "tcp://h:1"),
    ],
)
def test_a_text_without_scheme_has_the_default_scheme(text: str, default_scheme: str, canonical: str) -> None:
    assert str(Address.parse(text, default_scheme=default_scheme)) == canonical


NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=20).filter(
    lambda name: not name[-1].isdigit()
)
HOSTS = st.one_of(
    st.just(""),
    st.lists(NAMES, min_size=1, max_size=4).map(".".join),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.tuples(st.ip_addresses(v=6), st.from_regex(r"[a-z0-9]{1,15}", fullmatch=True)).map(lambda p: f"{p[0]}%{p[1]}"),
)
SERVICES = st.from_regex(SERVICE_NAME, fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
VALUES = st.dictionaries(st.sampled_from(["codec", "framing", "until", "width"]), TEXTS.filter(bool), max_size=4)
PATHS = st.one_of(TEXTS.map("/".__add__), TEXTS.map("@".__add__)).filter(lambda path: path != "@" and path[-1] != "/")


@st.composite
def addresses(draw: st.DrawFn) -> Address:
    """Any address that a text can mean."""
    scheme = draw(st.sampled_from(sorted(SCHEMES)))
    row = SCHEMES[scheme]
    more: dict[str, Any] = {}
    if row.shape == "host":
        more["host"] = draw(HOSTS)
        more["port"] = draw(st.integers(0, PORT_MAX))
        literal = 6 if ":" in more["host"] else 4 if more["host"].replace(".", "").isdigit() else 0
        more["family"] = draw(st.sampled_from([0, literal or 4, literal or 6])) if row.pins else 0
    elif row.shape == "socket":
        more["path"] = draw(PATHS)
    else:
        more["fd"] = draw(st.integers(0, 2**31 - 1))
    if draw(st.booleans()):
        more["service"] = draw(SERVICES)
        more["rest"] = draw(TEXTS)
    options = draw(VALUES)
    if row.plug:
        options = {name: value for name, value in options.items() if name == "codec"}
    return Address(scheme=scheme, options=options, **more)


@given(addresses())
def test_the_canonical_text_parses_back_to_the_same_address(given_address: Address) -> None:
    text = str(given_address)
    assert text.isprintable()
    assert " " not in text
    assert Address.parse(text) == given_address


@given(TEXTS, st.sampled_from(["ÄÖÜ", "İı", "ΑΣ", "ｈ", "१", "ा", "ß", "ǅ"]))
def test_a_name_in_another_script_is_the_same_when_read_again(name: str, more: str) -> None:
    try:
        read = Address.parse(f"plug://{name}{more}")
    except AddressError:
        return
    assert Address.parse(str(read)) == read


@given(VALUES)
def test_the_order_of_options_makes_no_difference(options: dict[str, str]) -> None:
    turned = dict(reversed(options.items()))
    one, other = address("tcp", "h", 1, options=options), address("tcp", "h", 1, options=turned)
    assert one == other
    assert str(one) == str(other)
    assert len({one, other}) == 1


def test_the_options_cannot_be_changed() -> None:
    given_options = {"codec": "text"}
    read = address("tcp", "h", 1, options=given_options)
    given_options["codec"] = "json"
    assert dict(read.options) == {"codec": "text"}
    with pytest.raises(TypeError):
        read.options["codec"] = "json"  # type: ignore[index]


def test_an_address_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        address("tcp", "h", 1).port = 2  # type: ignore[misc]


def test_the_parts_of_an_address_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        Address("tcp", "h", 1)  # type: ignore[call-arg]


# Scheme, an address of it, and all that is true of it.
PROPERTIES = [
    ("plug://h", "stream", {"is_plug"}),
    ("plugs://h", "stream", {"is_plug", "is_tls"}),
    ("tcp://h:1", "stream", set()),
    ("tls://h:1", "stream", {"is_tls"}),
    ("unix:///a", "stream", {"is_unix"}),
    ("unix://@a", "stream", {"is_unix", "is_abstract"}),
    ("unix+seqpacket:///a", "packet", {"is_unix", "is_packet"}),
    ("unix+dgram:///a", "datagram", {"is_unix", "is_datagram"}),
    ("plug+unix:///a", "stream", {"is_plug", "is_unix"}),
    ("udp://h:1", "datagram", {"is_datagram"}),
    ("ws://h", "stream", set()),
    ("wss://h", "stream", {"is_tls"}),
    ("fd://3", "inherited", set()),
    ("fd://3?protocol=plug", "inherited", {"is_plug"}),
]


@pytest.mark.parametrize(("text", "kind", "true"), PROPERTIES)
def test_what_is_true_of_an_address(text: str, kind: str, true: set[str]) -> None:
    read = Address.parse(text)
    assert read.kind == kind
    questions = {name for name in dir(Address) if name.startswith("is_")}
    assert {name for name in questions if getattr(read, name)} == true


def test_every_scheme_has_a_case_and_its_properties_told() -> None:
    assert {means.scheme for _, means, _ in CASES} == set(SCHEMES)
    assert {Address.parse(text).scheme for text, _, _ in PROPERTIES} == set(SCHEMES)


def test_the_numbers_others_rely_on() -> None:
    keypad = {"P": "7", "L": "5", "U": "8", "G": "4"}
    assert str(DEFAULT_PORT) == "".join(keypad[letter] for letter in "PLUG")
    assert {name: row.port for name, row in SCHEMES.items() if row.port} == {
        "plug": DEFAULT_PORT,
        "plugs": DEFAULT_PORT,
        "ws": 80,
        "wss": 443,
    }
    assert (PORT_MAX, SOCKET_PATH_MAX, ADDRESS_MAX) == (65535, 107, 2048)
    assert list(OPTIONS) == ["codec", "framing", "protocol", "service", "until", "width"]


@pytest.mark.parametrize("port", [0, 1, 65535])
def test_with_port_changes_the_port_alone(port: int) -> None:
    read = Address.parse("tcp4://h:7/s/r?framing=raw")
    assert str(read.with_port(port)) == f"tcp4://h:{port}/s/r?framing=raw"
    assert str(read) == "tcp4://h:7/s/r?framing=raw"


@pytest.mark.parametrize(
    ("text", "port", "says"),
    [
        ("tcp://h:1", -1, "'tcp://h:1' is not an address: the port is '-1', expected a number from 0 to 65535"),
        ("tcp://h:1", 65536, "'tcp://h:1' is not an address: the port is '65536', expected a number from 0 to 65535"),
        ("unix:///a", 1, "'unix:///a' is not an address: the port is '1', expected none: unix:// has no port"),
        ("fd://3", 0, "'fd://3' is not an address: the port is '0', expected none: fd:// has no port"),
    ],
)
def test_with_port_refuses_what_is_no_port_and_addresses_without_one(text: str, port: int, says: str) -> None:
    with pytest.raises(AddressError) as caught:
        Address.parse(text).with_port(port)
    assert str(caught.value) == says


@pytest.mark.parametrize(
    ("text", "service", "canonical"),
    [
        ("plug://h:1/old/rest", ("echo",), "plug://h:1/echo"),
        ("plug://h:1", ("talk", "大厅"), "plug://h:1/talk/大厅"),
        ("plug://h:1/old/rest", ("",), "plug://h:1"),
        ("unix:///a?framing=raw", ("echo", "x"), "unix:///a?service=echo/x&framing=raw"),
        ("fd://3", ("echo",), "fd://3?service=echo"),
    ],
)
def test_with_service_changes_service_and_rest_alone(text: str, service: tuple[str, ...], canonical: str) -> None:
    assert str(Address.parse(text).with_service(*service)) == canonical


@pytest.mark.parametrize("service", [("sh out",), ("", "rest")])
def test_with_service_refuses_what_no_service_is_called(service: tuple[str, ...]) -> None:
    with pytest.raises(AddressError, match="the service is"):
        Address.parse("plug://h").with_service(*service)


@pytest.mark.parametrize("text", ["plug://h", "tcp://0.0.0.0:1", "udp://[::1]:1", "unix:///a", "fd://3", "ws://h"])
def test_what_a_client_can_connect_to_is_connectable(text: str) -> None:
    read = Address.parse(text)
    assert read.connectable() is read


NO_HOST = "the host is '*', expected the host to connect to: every interface is for listeners"
NO_PORT = "the port is '0', expected the port to connect to, from 1 to 65535: any free port is for listeners"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("plug://*:7584/echo", f"{NO_HOST}; did you mean plug://127.0.0.1:7584/echo?"),
        ("tcp6://*:80", f"{NO_HOST}; did you mean tcp6://[::1]:80?"),
        ("tcp://*:0", NO_HOST),
        ("tcp://h:0", NO_PORT),
    ],
)
def test_what_only_a_listener_can_use_is_not_connectable(text: str, says: str) -> None:
    with pytest.raises(AddressError) as caught:
        Address.parse(text).connectable()
    assert str(caught.value) == f"{text!r} is not an address: {says}"


@pytest.mark.parametrize("name", ["e", "echo", "Echo_2", "_x", "0", "a.b-c", 64 * "x"])
def test_the_name_of_a_service_is_given_back(name: str) -> None:
    assert check_service_name(name) is name


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("", ""),
        ("sh out", "sh-out"),
        ("/echo", "echo"),
        ("-x", "x"),
        ("..", ""),
        (".hidden", "hidden"),
        ("echo\n", "echo"),
        ("大厅", ""),
        ("é", ""),
        ("a٣", "a"),
        (65 * "x", 64 * "x"),
        (7, ""),
    ],
)
def test_what_is_no_name_of_a_service_is_refused_with_the_nearest(name: Any, nearest: str) -> None:
    with pytest.raises(AddressError) as caught:
        check_service_name(name)
    assert (caught.value.part, caught.value.nearest) == ("service", nearest)


@given(st.text().filter(lambda name: not SERVICE_NAME.fullmatch(name)))
def test_the_nearest_name_of_a_service_is_one(name: str) -> None:
    with pytest.raises(AddressError) as caught:
        check_service_name(name)
    nearest = caught.value.nearest
    assert not nearest or check_service_name(nearest) == nearest


def test_the_refusal_of_another_kind_of_name_says_so() -> None:
    name: Any = 7
    with pytest.raises(AddressError) as caught:
        check_service_name(name)
    assert str(caught.value) == (
        "'int' is not an address: the service is 'int', expected a str of 1 to 64 letters, digits, '-', '_' or '.',"
        " beginning with a letter, a digit or '_'"
    )


def test_the_refusal_of_a_name_says_what_a_name_is() -> None:
    with pytest.raises(AddressError) as caught:
        check_service_name("sh out")
    assert str(caught.value) == (
        "'sh out' is not an address: the service is 'sh out', expected 1 to 64 letters, digits, '-', '_' or '.',"
        " beginning with a letter, a digit or '_'; did you mean sh-out?"
    )
