"""How host and port of an address are read.

A host is a name, an IPv4 address in its full form, or an IPv6 address in brackets. What merely looks like an IPv4
address (``127.1``, ``127.0.0.256``, ``0x7f.0.0.1``) is refused: resolvers disagree about such texts, and some find a
host behind them that nobody meant. The rule is that of the URL standard of browsers: a name does not end in a number.
"""

from __future__ import annotations

import re
import unicodedata
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from anyplug._address.text import DEFAULT_PORT, SCHEMES, Pieces

__all__ = ["PORT_MAX", "host_text", "read_host"]

PORT_MAX: Final = 65535
"""The largest port: its field has 16 bits (RFC 9293, section 3.1; RFC 768)."""

_HOST_MAX: Final = 253
"""The longest name of a host, characters (RFC 1035, section 2.3.4, less the bytes for lengths)."""

_LABEL_MAX: Final = 63
"""The longest part between two dots of it, characters (RFC 1035, section 2.3.4)."""

_IPV4_WORDS: Final = "four numbers from 0 to 255, as in 127.0.0.1"
_ZONE: Final = re.compile(r"[A-Za-z0-9_.~-]{1,32}")


def read_host(pieces: Pieces) -> tuple[str, int]:
    """The host, without brackets and ``""`` for every interface, and the port."""
    main = pieces.main
    if main.startswith("["):
        host, rest = _read_brackets(pieces)
    elif main.count(":") > 1:
        raise _without_brackets(pieces)
    else:
        name, colon, digits = main.partition(":")
        rest = colon + digits
        host = _read_name(pieces, name, rest)
    _check_family(pieces, host, rest)
    return host, _read_port(pieces, main[: len(main) - len(rest)], rest)


def host_text(host: str) -> str:
    """A host as it stands in an address: IPv6 in brackets, ``*`` for every interface."""
    if ":" not in host:
        return host or "*"
    ip, _, zone = host.partition("%")
    return f"[{ip}%25{zone}]" if zone.startswith("25") else f"[{host}]"


def _read_brackets(pieces: Pieces) -> tuple[str, str]:
    """The IPv6 address between brackets, and what follows them."""
    inside, bracket, rest = pieces.main[1:].partition("]")
    if not bracket:
        raise pieces.mistake("host", pieces.main, "']' behind the IPv6 address", _bracketed(pieces, inside))
    host = _ipv6(inside)
    if not host:
        plain = pieces.rebuilt(main=inside + rest)
        raise pieces.mistake("host", f"[{inside}]", "an IPv6 address between the brackets, as in [::1]", plain)
    if rest and not rest.startswith(":"):
        raise pieces.mistake("port", rest, "':' before it", pieces.rebuilt(main=f"[{inside}]:{rest}"))
    return host, rest


def _ipv6(text: str) -> str:
    """The canonical form of an IPv6 address, with its zone (``%eth0``, or ``%25eth0`` as in RFC 6874), or ``""``."""
    ip, percent, zone = text.partition("%")
    if zone.startswith("25") and len(zone) > 2:
        zone = zone[2:]
    if percent and not _ZONE.fullmatch(zone):
        return ""
    try:
        return f"{IPv6Address(ip)}{percent}{zone}"
    except ValueError:
        return ""


def _without_brackets(pieces: Pieces) -> Exception:
    main = pieces.main
    if _ipv6(main) or _ipv6(main.rpartition(":")[0]):
        return pieces.mistake("host", main, "an IPv6 address in brackets, as in [::1]", _bracketed(pieces, main))
    return pieces.mistake("host", main, "one ':' at most, before the port; an IPv6 address stands in brackets")


def _bracketed(pieces: Pieces, text: str) -> str:
    """The candidate for an IPv6 address without its brackets.

    The last number is the port where a port is needed, where it is ours, and where the address is none with it.
    """
    ip, _, port = text.rpartition(":")
    needs_port = SCHEMES[pieces.scheme].port is None
    if _ipv6(ip) and port.isdecimal() and (needs_port or port == str(DEFAULT_PORT) or not _ipv6(text)):
        return pieces.rebuilt(main=f"[{ip}]:{port}")
    return pieces.rebuilt(main=f"[{text}]")


def _read_name(pieces: Pieces, text: str, rest: str) -> str:
    """A name or an IPv4 address; ``*`` and nothing mean every interface."""
    if text in {"", "*"}:
        return ""
    name = _folded(text)
    if re.fullmatch(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?", name):
        return _read_ipv4(pieces, name, rest)
    if not all(c.isalnum() or c in "-_." or unicodedata.category(c) in {"Mn", "Mc"} for c in name):
        expected = "letters, digits, '-', '_' and '.', or an IPv6 address in brackets"
        raise pieces.mistake("host", text, expected)
    labels = name.removesuffix(".").split(".")
    if "" in labels:
        fixed = re.sub(r"\.\.+", ".", name).lstrip(".")
        nearest = pieces.rebuilt(main=fixed + rest) if fixed else ""
        raise pieces.mistake("host", text, "a name between any two dots", nearest)
    if len(name) > _HOST_MAX or any(len(label) > _LABEL_MAX for label in labels) or not _resolvable(name):
        expected = f"at most {_HOST_MAX} characters, {_LABEL_MAX} between dots, that a resolver can be asked for"
        raise pieces.mistake("host", text, expected)
    return name


def _folded(text: str) -> str:
    """Lower case; in other scripts the form that is looked up, or ``１２７.０.０.１`` would be one more spelling."""
    return (
        text.lower() if text.isascii() else unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    )


def _resolvable(name: str) -> bool:
    """Whether a resolver can be asked for a name: looking up others raises UnicodeError, which nobody expects."""
    if name.isascii():
        return True
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return _folded(name) == name


def _read_ipv4(pieces: Pieces, text: str, rest: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError:
        pass
    if text.isdecimal() and not rest:
        expected = "a host; a port stands behind it and a ':'"
        raise pieces.mistake("host", text, expected, pieces.rebuilt(main=f"127.0.0.1:{text}"))
    numbers = text.removesuffix(".").split(".")
    guess = ""
    if len(numbers) == 4 and all(re.fullmatch("[0-9]{1,9}", number) for number in numbers):
        guess = ".".join(str(int(number)) for number in numbers)
    if not guess or any(int(number) > 255 for number in numbers):
        guess = "127.0.0.1" if numbers[0] == "127" else ""
    raise pieces.mistake("host", text, _IPV4_WORDS, pieces.rebuilt(main=guess + rest) if guess else "")


def _check_family(pieces: Pieces, host: str, rest: str) -> None:
    """Refuse a literal address of the family that the scheme rules out."""
    literal = 6 if ":" in host else 4 if re.fullmatch(r"[0-9.]+", host) else 0
    if pieces.family and literal and pieces.family != literal:
        nearest = f"{pieces.scheme}{literal}://{pieces.rebuilt()[len(pieces.prefix) :]}"
        expected = f"an IPv{pieces.family} address or a name, as {pieces.prefix} says"
        raise pieces.mistake("host", host, expected, nearest)


def _read_port(pieces: Pieces, before: str, rest: str) -> int:
    default = SCHEMES[pieces.scheme].port
    if not rest and default is not None:
        return default
    digits = rest[1:]
    if not re.fullmatch("[0-9]{1,5}", digits) or int(digits) > PORT_MAX:
        example = f"{pieces.prefix or pieces.scheme + '://'}{before or '*'}:8080"
        nearest = pieces.rebuilt(main=before) if not digits or not re.search("[0-9]", digits) else ""
        raise pieces.mistake("port", digits, f"a number from 0 to {PORT_MAX}, as in {example}", nearest)
    return int(digits)
