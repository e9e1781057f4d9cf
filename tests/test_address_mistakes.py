"""Every mistake in an address, with the whole sentence that is said about it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.address import ADDRESS_MAX, SCHEMES, Address
from anyplug.errors import AddressError

ONE_OF = "one of plug, plugs, tcp, tls, unix, unix+seqpacket, unix+dgram, plug+unix, udp, ws, wss, fd"
HTTP = ONE_OF
LETTERS = "letters, digits, '-', '_' and '.', or an IPv6 address in brackets"
LENGTHS = "at most 253 characters, 63 between dots, that a resolver can be asked for"
NUMBERS = "four numbers from 0 to 255, as in 127.0.0.1"
BRACKETS = "an IPv6 address in brackets, as in [::1]"
INSIDE = "an IPv6 address between the brackets, as in [::1]"
OPTIONS = "one of codec, framing, protocol, service, until, width"
NAME = "1 to 64 letters, digits, '-', '_' or '.', beginning with a letter, a digit or '_'"
PATH = "an absolute path, as in {}:///run/name.sock, or @name for an abstract socket"
FD = "the number of an open file descriptor, as in fd://3"
FRAGMENT = "nothing; a '#' inside a name is written %23"
SIGN = "two hexadecimal digits after '%'; the sign itself is written %25"
SEEN = "characters that can be seen; others are written as %XX, byte by byte in UTF-8"
OWN_FRAMES = "none here: the plug protocol has frames of its own"
NO_SECRETS = "no user name or password before it: secrets do not belong in an address"


def port(example: str) -> str:
    return f"a number from 0 to 65535, as in {example}"


# The text, and the sentence about it after "... is not an address: the".
MISTAKES = [
    # the text
    ("", "text is nothing, expected an address such as plug://host/service"),
    (" \n", r"text is ' \n', expected an address such as plug://host/service"),
    (" plug://h", "text is ' plug://h', expected no spaces or line ends around it; did you mean plug://h?"),
    ("plug://h\n", r"text is 'plug://h\n', expected no spaces or line ends around it; did you mean plug://h?"),
    ("plug://h\u3000", r"text is 'plug://h\u3000', expected no spaces or line ends around it; did you mean plug://h?"),
    ("plug://h/t/a\tb", rf"text is '\t', expected {SEEN}; did you mean plug://h/t/a%09b?"),
    ("plug://h/t/\u202e", rf"text is '\u202e', expected {SEEN}; did you mean plug://h/t/%E2%80%AE?"),
    ("plug://h\x00/t", rf"text is '\x00', expected {SEEN}"),
    ("plug://h/t/\udcff", rf"text is '\udcff', expected {SEEN}"),
    # the scheme
    ("tpc://h:80", f"scheme is 'tpc', expected {ONE_OF}; did you mean tcp://h:80?"),
    ("tpc://h", f"scheme is 'tpc', expected {ONE_OF}; did you mean tcp://?"),
    ("PLGU://h/echo", f"scheme is 'PLGU', expected {ONE_OF}; did you mean plug://h/echo?"),
    ("unix+seqpaket:///a", f"scheme is 'unix+seqpaket', expected {ONE_OF}; did you mean unix+seqpacket:///a?"),
    ("http://h:80/x", f"scheme is 'http', expected {HTTP}; did you mean plug://h:80/x?"),
    ("https://h", f"scheme is 'https', expected {HTTP}; did you mean plugs://h?"),
    ("ssl://h:1", f"scheme is 'ssl', expected {ONE_OF}; did you mean tls://h:1?"),
    ("tls+tcp://h:1", f"scheme is 'tls+tcp', expected {ONE_OF}; did you mean tls://h:1?"),
    ("ssh://h", f"scheme is 'ssh', expected {ONE_OF}"),
    ("ftp://h:1", f"scheme is 'ftp', expected {ONE_OF}"),
    ("sftp://h:1", f"scheme is 'sftp', expected {ONE_OF}"),
    ("SMTP://h:1", f"scheme is 'SMTP', expected {ONE_OF}"),
    ("wss6://h:1", f"scheme is 'wss6', expected {ONE_OF}; did you mean wss://h:1?"),
    ("gopher://h", f"scheme is 'gopher', expected {ONE_OF}"),
    ("tcp 4://h", f"scheme is 'tcp 4', expected {ONE_OF}; did you mean tcp://?"),
    ("unix4:///a", f"scheme is 'unix4', expected {ONE_OF}; did you mean unix:///a?"),
    ("tcp5://h:1", f"scheme is 'tcp5', expected {ONE_OF}; did you mean tcp://h:1?"),
    ("://h", f"scheme is nothing, expected {ONE_OF}; did you mean plug://h?"),
    ("tcp:127.0.0.1:80", "scheme is 'tcp:', expected tcp://; did you mean tcp://127.0.0.1:80?"),
    ("TCP:/h:80", "scheme is 'TCP:', expected tcp://; did you mean tcp://h:80?"),
    ("unix:/run/x", "scheme is 'unix:', expected unix://; did you mean unix:///run/x?"),
    ("ipc:/run/x", "scheme is 'ipc:', expected unix://; did you mean unix:///run/x?"),
    ("fd:3", "scheme is 'fd:', expected fd://; did you mean fd://3?"),
    # the host
    ("my host/echo", f"host is 'my host', expected {LETTERS}"),
    ("plug://h!x", f"host is 'h!x', expected {LETTERS}"),
    ("plug://h%41", f"host is 'h%41', expected {LETTERS}"),
    ("plug://½", f"host is '½', expected {LETTERS}"),
    ("plug://@h", f"host is '@h', expected {LETTERS}"),
    ("plug://a..b", "host is 'a..b', expected a name between any two dots; did you mean plug://a.b?"),
    ("plug://.a:1", "host is '.a', expected a name between any two dots; did you mean plug://a:1?"),
    ("plug://.", "host is '.', expected a name between any two dots"),
    ("plug://" + 64 * "a", f"host is '{64 * 'a'}', expected {LENGTHS}"),
    ("plug://" + 60 * "ü", f"host is '{60 * 'ü'}', expected {LENGTHS}"),
    ("plug://aا", f"host is 'aا', expected {LENGTHS}"),
    ("127.0.0.256/echo", f"host is '127.0.0.256', expected {NUMBERS}; did you mean 127.0.0.1/echo?"),
    ("120.0.0", f"host is '120.0.0', expected {NUMBERS}"),
    ("120.0.0.256", f"host is '120.0.0.256', expected {NUMBERS}"),
    ("127.1:80", f"host is '127.1', expected {NUMBERS}; did you mean 127.0.0.1:80?"),
    ("255.0.0.010", f"host is '255.0.0.010', expected {NUMBERS}; did you mean 255.0.0.10?"),
    ("010.0.0.01", f"host is '010.0.0.01', expected {NUMBERS}; did you mean 10.0.0.1?"),
    ("127.0.0.1.", f"host is '127.0.0.1.', expected {NUMBERS}; did you mean 127.0.0.1?"),
    ("1.2.3.4.5", f"host is '1.2.3.4.5', expected {NUMBERS}"),
    ("0x7f.0.0.1", f"host is '0x7f.0.0.1', expected {NUMBERS}"),
    ("a.0x1", f"host is 'a.0x1', expected {NUMBERS}"),
    ("a.1", f"host is 'a.1', expected {NUMBERS}"),
    ("7584", "host is '7584', expected a host; a port stands behind it and a ':'; did you mean 127.0.0.1:7584?"),
    ("99999/x", "host is '99999', expected a host; a port stands behind it and a ':'"),
    ("2130706433:80", f"host is '2130706433', expected {NUMBERS}"),
    ("[::1", "host is '[::1', expected ']' behind the IPv6 address; did you mean [::1]?"),
    ("tcp://[::1:80", "host is '[::1:80', expected ']' behind the IPv6 address; did you mean tcp://[::1]:80?"),
    ("[]", f"host is '[]', expected {INSIDE}"),
    ("[::g]", f"host is '[::g]', expected {INSIDE}"),
    ("[127.0.0.1]:80", f"host is '[127.0.0.1]', expected {INSIDE}; did you mean 127.0.0.1:80?"),
    ("[fe80::1%]", f"host is '[fe80::1%]', expected {INSIDE}"),
    ("[fe80::1%a b]", f"host is '[fe80::1%a b]', expected {INSIDE}"),
    ("[v1.x]", f"host is '[v1.x]', expected {INSIDE}; did you mean v1.x?"),
    ("::1", f"host is '::1', expected {BRACKETS}; did you mean [::1]?"),
    ("fe80::1/echo", f"host is 'fe80::1', expected {BRACKETS}; did you mean [fe80::1]/echo?"),
    ("plug://fe80::1%eth0", f"host is 'fe80::1%eth0', expected {BRACKETS}; did you mean plug://[fe80::1%eth0]?"),
    ("::1:7584/echo", f"host is '::1:7584', expected {BRACKETS}; did you mean [::1]:7584/echo?"),
    ("::1:65000", f"host is '::1:65000', expected {BRACKETS}; did you mean [::1]:65000?"),
    ("tcp://::1:80", f"host is '::1:80', expected {BRACKETS}; did you mean tcp://[::1]:80?"),
    ("tcp://::1", f"host is '::1', expected {BRACKETS}"),
    ("h:80:90", "host is 'h:80:90', expected one ':' at most, before the port; an IPv6 address stands in brackets"),
    (
        "tcp4://[::1]:80",
        "host is '::1', expected an IPv4 address or a name, as tcp4:// says; did you mean tcp6://[::1]:80?",
    ),
    (
        "plug6://10.0.0.1",
        "host is '10.0.0.1', expected an IPv6 address or a name, as plug6:// says; did you mean plug4://10.0.0.1?",
    ),
    (
        "/run/x.sock",
        "host is nothing, expected a host, or unix:// before the path of a socket; did you mean unix:///run/x.sock?",
    ),
    ("@x", "host is nothing, expected a host, or unix:// before the path of a socket; did you mean unix://@x?"),
    ("?service=echo", "host is nothing, expected a host, or unix:// before the path of a socket"),
    # the port
    ("tcp://127.0.0.1", f"port is nothing, expected {port('tcp://127.0.0.1:8080')}"),
    ("udp6://[::1]/x", f"port is nothing, expected {port('udp6://[::1]:8080')}"),
    ("tls://", f"port is nothing, expected {port('tls://*:8080')}"),
    ("tcp://h:", f"port is nothing, expected {port('tcp://h:8080')}"),
    ("h:", f"port is nothing, expected {port('plug://h:8080')}; did you mean h?"),
    ("tcp://h:http", f"port is 'http', expected {port('tcp://h:8080')}"),
    ("plug://h:echo", f"port is 'echo', expected {port('plug://h:8080')}; did you mean plug://h?"),
    ("tcp://h:65536", f"port is '65536', expected {port('tcp://h:8080')}"),
    ("tcp://h:-1", f"port is '-1', expected {port('tcp://h:8080')}"),
    ("tcp://h:+80", f"port is '+80', expected {port('tcp://h:8080')}"),
    ("tcp://h:8_0", f"port is '8_0', expected {port('tcp://h:8080')}"),
    ("tcp://h: 80", f"port is ' 80', expected {port('tcp://h:8080')}"),
    ("tcp://h:８０", f"port is '８０', expected {port('tcp://h:8080')}"),
    ("tcp://h:0x50", f"port is '0x50', expected {port('tcp://h:8080')}"),
    ("tcp://h:000000", f"port is '000000', expected {port('tcp://h:8080')}"),
    ("tcp://h:" + 180 * "9", f"port is '{180 * '9'}', expected {port('tcp://h:8080')}"),
    ("[::1]80", "port is '80', expected ':' before it; did you mean [::1]:80?"),
    # the service
    ("plug://h/sh out", f"service is 'sh out', expected {NAME}; did you mean plug://h/sh-out?"),
    ("plug://h/sh%20out/x y", f"service is 'sh out', expected {NAME}; did you mean plug://h/sh-out/x%20y?"),
    ("plug://h//x", f"service is nothing, expected {NAME}; did you mean plug://h/x?"),
    ("plug://h/大/x", f"service is '大', expected {NAME}"),
    ("plug://h/../x", f"service is '..', expected {NAME}"),
    ("plug://h/" + 65 * "a", f"service is '{65 * 'a'}', expected {NAME}; did you mean plug://h/{64 * 'a'}?"),
    ("unix:///a?service=/x", f"service is nothing, expected {NAME}; did you mean unix:///a?service=x?"),
    (
        "fd://3?codec=text&service=a%20b",
        f"service is 'a b', expected {NAME}; did you mean fd://3?codec=text&service=a-b?",
    ),
    (
        "tcp://h:1/a?service=b",
        "service is 'b', expected one service: the path names one already; did you mean tcp://h:1/a?",
    ),
    ("plug://h/talk/%4", f"service is '%4', expected {SIGN}; did you mean plug://h/talk/%254?"),
    ("plug://h/talk/%E5%A4", "service is 'talk/%E5%A4', expected UTF-8 behind the '%' signs"),
    ("plug://h/talk/%ED%B3%BF", "service is 'talk/%ED%B3%BF', expected UTF-8 behind the '%' signs"),
    ("plug://h/talk/%00", "service is 'talk/%00', expected no NUL (%00) in it"),
    # the path of a socket
    ("unix://", f"path is nothing, expected {PATH.format('unix')}"),
    ("unix://run/x", f"path is 'run/x', expected {PATH.format('unix')}; did you mean unix:///run/x?"),
    (
        "unix+dgram://x?codec=text",
        f"path is 'x', expected {PATH.format('unix+dgram')}; did you mean unix+dgram:///x?codec=text?",
    ),
    ("unix://./x", f"path is './x', expected {PATH.format('unix')}"),
    ("unix://~/x", f"path is '~/x', expected {PATH.format('unix')}"),
    (
        "unix://user:secret@h",
        f"path is 'user:secret@h', expected {PATH.format('unix')}; did you mean unix:///user:secret@h?",
    ),
    ("unix:///", "path is '/', expected the name of a socket at its end, not of a folder"),
    (
        "unix:///run/",
        "path is '/run/', expected the name of a socket at its end, not of a folder; did you mean unix:///run?",
    ),
    ("unix://@", "path is '@', expected a name behind the '@'"),
    ("unix:///" + 107 * "a", "path is '108 bytes', expected at most 107 bytes: the system binds no longer one"),
    ("unix:///" + 36 * "大", "path is '109 bytes', expected at most 107 bytes: the system binds no longer one"),
    ("unix://@" + 108 * "a", "path is '108 bytes', expected at most 107 bytes: the system binds no longer one"),
    ("unix:///a%zz", f"path is '%zz', expected {SIGN}; did you mean unix:///a%25zz?"),
    ("unix:///a%FF", "path is '/a%FF', expected UTF-8 behind the '%' signs"),
    ("unix:///a%00", "path is '/a%00', expected no NUL (%00) in it"),
    # the descriptor
    ("fd://", f"fd is nothing, expected {FD}"),
    ("fd://x", f"fd is 'x', expected {FD}"),
    ("fd://-1", f"fd is '-1', expected {FD}"),
    ("fd://３", f"fd is '３', expected {FD}"),
    ("fd://2147483648", f"fd is '2147483648', expected {FD}"),
    ("fd://3:80", f"fd is '3:80', expected {FD}"),
    # the options
    ("tcp://h:1?frming=raw", f"option is 'frming', expected {OPTIONS}; did you mean tcp://h:1?framing=raw?"),
    ("tcp://h:1?codc=a&until=b", f"option is 'codc', expected {OPTIONS}; did you mean tcp://h:1?codec=a&until=b?"),
    ("tcp://h:1?Codec=raw", f"option is 'Codec', expected {OPTIONS}; did you mean tcp://h:1?codec=raw?"),
    ("tcp://h:1?codec=text&x=1", f"option is 'x', expected {OPTIONS}"),
    ("tcp://h:1?=1", f"option is nothing, expected {OPTIONS}"),
    ("tcp://h:1?codec=text&", f"option is nothing, expected {OPTIONS}"),
    (
        "tcp://h:1?codec=a&until=b&codec=c",
        "option is 'codec', expected codec only once; did you mean tcp://h:1?codec=a&until=b?",
    ),
    (
        "tcp://h:1?codec",
        "option is 'codec', expected codec=value: how an object becomes bytes; did you mean tcp://h:1?",
    ),
    (
        "tcp://h:1?width=&codec=a",
        "option is 'width=', expected width=value: how wide the header with the length is, bytes; did you mean tcp://h:1?codec=a?",
    ),
    ("tcp://h:1?codec=%", f"option is '%', expected {SIGN}; did you mean tcp://h:1?codec=%25?"),
    ("tcp://h:1?codec=%ff", "option is '%ff', expected UTF-8 behind the '%' signs"),
    ("tcp://h:1?codec=%00", "option is '%00', expected no NUL (%00) in it"),
    ("plug://h?codec=a&framing=raw", f"option is 'framing=raw', expected {OWN_FRAMES}; did you mean plug://h?codec=a?"),
    ("plug+unix:///a?until=eof", f"option is 'until=eof', expected {OWN_FRAMES}; did you mean plug+unix:///a?"),
    ("fd://3?protocol=plug&width=4", f"option is 'width=4', expected {OWN_FRAMES}; did you mean fd://3?protocol=plug?"),
    (
        "fd://3?protocol=tcp",
        "option is 'protocol=tcp', expected protocol=plug, or none for a plain socket; did you mean fd://3?protocol=plug?",
    ),
    (
        "tcp://h:1?protocol=plug",
        "option is 'protocol=plug', expected none: outside of fd:// the scheme says the protocol; did you mean tcp://h:1?",
    ),
    # the fragment
    ("plug://h/echo#x", f"fragment is '#x', expected {FRAGMENT}; did you mean plug://h/echo?"),
    ("plug://h#", f"fragment is '#', expected {FRAGMENT}; did you mean plug://h?"),
    ("plug://h/talk/#room", f"fragment is '#room', expected {FRAGMENT}; did you mean plug://h/talk/%23room?"),
    (
        "h/talk/a#b?codec=text",
        f"fragment is '#b?codec=text', expected {FRAGMENT}; did you mean h/talk/a%23b?codec=text?",
    ),
    ("tcp://h:1?codec=#", f"fragment is '#', expected {FRAGMENT}; did you mean tcp://h:1?codec=%23?"),
]


@pytest.mark.parametrize(("text", "says"), MISTAKES)
def test_a_mistake_is_named_with_what_was_found_and_expected_and_the_nearest_address(text: str, says: str) -> None:
    with pytest.raises(AddressError) as caught:
        Address.parse(text)
    assert str(caught.value) == f"{text!r} is not an address: the {says}"
    assert caught.value.address == text


SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            f"plug://user:{SECRET}@h/echo",
            f"'plug://***@h/echo' is not an address: the host is '***@h', expected {NO_SECRETS}; did you mean plug://h/echo?",
        ),
        (
            f"{SECRET}@h:80",
            f"'***@h:80' is not an address: the host is '***@h:80', expected {NO_SECRETS}; did you mean h:80?",
        ),
        (
            f"tcp://u:/{SECRET}@x@h/y@z",
            f"'tcp://***@x@h/y@z' is not an address: the host is '***@x@h', expected {NO_SECRETS}",
        ),
        (
            f"fd://u:{SECRET}?@3",
            f"'fd://***@3' is not an address: the host is '***@3', expected {NO_SECRETS}; did you mean fd://3?",
        ),
        (
            f"http://u:{SECRET}@h",
            f"'http://***@h' is not an address: the scheme is 'http', expected {HTTP}; did you mean plug://h?",
        ),
        (
            f"u:{SECRET}@tcp://h:1",
            f"'***@tcp://h:1' is not an address: the host is '***@tcp:', expected {NO_SECRETS}; did you mean tcp://h:1?",
        ),
        (
            f"plug://h?token={SECRET}&x=1",
            f"'plug://h?token=***&x=1' is not an address: the option is 'token', expected {OPTIONS}",
        ),
        (
            f" h?Auth={SECRET}",
            "' h?Auth=***' is not an address: the text is ' h?Auth=***', expected no spaces or line ends around it",
        ),
    ],
)
def test_a_secret_is_neither_taken_nor_told(text: str, sentence: str) -> None:
    with pytest.raises(AddressError) as caught:
        Address.parse(text)
    assert str(caught.value) == sentence
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(
    st.sampled_from(["", "tcp://", "plug6://", "http://", "fd://"]),
    st.text("aZ5.-/:[]?# é", max_size=4),
    st.text(max_size=9),
)
def test_no_password_is_ever_told(prefix: str, more: str, rest: str) -> None:
    with pytest.raises(AddressError) as caught:
        Address.parse(f"{prefix}user:{SECRET}{more}@host{rest}")
    assert SECRET not in str(caught.value)


def test_a_long_text_is_refused_and_shown_in_part() -> None:
    assert Address.parse("plug://h/files/".ljust(ADDRESS_MAX, "x")).service == "files"
    with pytest.raises(AddressError) as caught:
        Address.parse("plug://h/files/".ljust(ADDRESS_MAX + 1, "x"))
    shown = f"plug://h/files/{184 * 'x'}…"
    assert (
        str(caught.value)
        == f"'{shown}' is not an address: the text is '2049 characters', expected at most 2048 characters"
    )


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("tcp://h:" + 2000 * "9", 199 * "9" + "…", port("tcp://h:8080")),
        ("plug://" + 63 * "abc." + "ab", 49 * "abc." + "abc…", LENGTHS),
        (2000 * "x" + "://h", 199 * "x" + "…", ONE_OF),
        ("tcp://h:1?" + 2000 * "x" + "=", 199 * "x" + "…", OPTIONS),
    ],
)
def test_what_was_found_is_shown_in_part(text: str, found: str, expected: str) -> None:
    with pytest.raises(AddressError) as caught:
        Address.parse(text)
    assert (caught.value.found, caught.value.expected) == (found, expected)
    assert len(str(caught.value)) < 1000


def test_the_longest_name_of_a_host_is_an_address() -> None:
    assert Address.parse("plug://" + 63 * "abc." + "a").host == 63 * "abc." + "a"


@pytest.mark.parametrize(("value", "kind"), [(b"plug://h", "bytes"), (7584, "int"), (None, "NoneType")])
def test_only_a_str_is_read(value: Any, kind: str) -> None:
    with pytest.raises(AddressError) as caught:
        Address.parse(value)
    assert str(caught.value) == (
        f"'{kind}' is not an address: the text is '{kind}', expected a str such as 'plug://host/service'"
    )


def test_a_default_scheme_that_is_none_is_refused() -> None:
    with pytest.raises(AddressError, match=r"the scheme is 'plugg', expected one of plug"):
        Address.parse("h", default_scheme="plugg")


TOKENS = [
    *(f"{scheme}://" for scheme in [*SCHEMES, "tcp4", "udp6", "ipc", "http", "tpc", ""]),
    *("127.0.0.1", "127.1", "1.2.3.256", "::1", "[", "]", "fe80::1%eth0", "host", "大", ".", "*", "@", "a:b@", "0x7"),
    *(
        ":",
        ":80",
        "80",
        "99999",
        "-1",
        "/",
        "//",
        "echo",
        "sh out",
        "..",
        "run/x",
        "~",
        "3",
        " ",
        "\t",
        "\u202e",
        "\udcff",
    ),
    *(
        "?",
        "&",
        "=",
        "#",
        "codec=",
        "framing=raw",
        "protocol=plug",
        "service=a/b",
        "x=1",
        "%",
        "%2F",
        "%00",
        "%ff",
        "%41",
    ),
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(TOKENS), max_size=9).map("".join)))
def test_any_text_is_an_address_or_a_mistake_whose_nearest_form_is_one(text: str) -> None:
    try:
        read = Address.parse(text)
    except AddressError as error:
        mistake: AddressError | None = error
    else:
        mistake = None
        assert Address.parse(str(read)) == read
    if mistake is not None:
        assert str(mistake).isprintable()
        if mistake.nearest and not (mistake.part == "scheme" and mistake.nearest.removesuffix("://") in SCHEMES):
            assert str(Address.parse(mistake.nearest)).isprintable()
