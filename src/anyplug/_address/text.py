"""What addresses are made of, and how the text of one is cut into pieces.

`split` goes by punctuation alone; `anyplug._address.host` and `anyplug._address.parts` then read one piece each. Any of
them raises an `AddressError` whose ``nearest`` is only a candidate: the text with that one part put right, which may
hold further mistakes.

What stands before ``@`` in a host, and the value of an option that sounds like a secret, never come back in an error.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from anyplug.errors import AddressError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "ADDRESS_MAX",
    "DEFAULT_PORT",
    "OPTIONS",
    "SCHEMES",
    "Kind",
    "Pieces",
    "Scheme",
    "nearest_of",
    "quote",
    "split",
]

DEFAULT_PORT: Final = 7584
"""The port of ``plug://`` and ``plugs://`` where none is given: 7584 spells PLUG on the keypad of a telephone."""

ADDRESS_MAX: Final = 2048
"""The longest text that is read as an address, characters: far more than host, service and options need."""

_SHOWN_MAX: Final = 200
"""The most of an address that an error shows, characters."""

Kind = Literal["stream", "packet", "datagram", "inherited"]


class Scheme(NamedTuple):
    """What a scheme means."""

    shape: Literal["host", "socket", "fd"] = "host"
    """What follows ``://``: a host with a port, the path of a unix socket, or the number of a file descriptor."""
    kind: Kind = "stream"
    """How the kernel carries it: see `anyplug.address.Address.kind`."""
    port: int | None = None
    """The port where none is given; None where one must be given."""
    plug: bool = False
    """The native protocol is spoken."""
    tls: bool = False
    """It is spoken over TLS."""
    pins: bool = False
    """``4`` or ``6`` may be added to the scheme to pin the address family."""


SCHEMES: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        "plug": Scheme(port=DEFAULT_PORT, plug=True, pins=True),
        "plugs": Scheme(port=DEFAULT_PORT, plug=True, tls=True, pins=True),
        "tcp": Scheme(pins=True),
        "tls": Scheme(tls=True, pins=True),
        "unix": Scheme("socket"),
        "unix+seqpacket": Scheme("socket", "packet"),
        "unix+dgram": Scheme("socket", "datagram"),
        "plug+unix": Scheme("socket", plug=True),
        "udp": Scheme(kind="datagram", pins=True),
        "ws": Scheme(port=80),
        "wss": Scheme(port=443, tls=True),
        "fd": Scheme("fd", "inherited"),
    }
)
"""Every scheme. The ports of ``ws`` and ``wss`` are those of RFC 6455, section 3."""

_ALIASES: Final = {"ipc": "unix"}
"""Schemes of others that mean one of ours: read, never written."""

_FOREIGN: Final = {"": "plug", "http": "plug", "https": "plugs", "ssl": "tls", "tls+tcp": "tls"}
"""Schemes of others that are refused, and the one that was probably meant."""

_UNRELATED: Final = ("ssh", "ftp", "sftp", "smtp")
"""Schemes of others that only look like one of ours."""

OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "codec": "how an object becomes bytes",
        "framing": "how a byte stream is cut into messages",
        "protocol": "what an inherited socket speaks: plug",
        "service": "the service, where the path is the socket's",
        "until": "what ends a message that is a whole stream: eof",
        "width": "how wide the header with the length is, bytes",
    }
)
"""Every option (``?name=value``), with its meaning. Which values one takes is known where it is used."""

_USER: Final = re.compile(r"[^/?#]*@|[^/?#@\[:]*:(?![0-9]+(?:[/?#]|$))[^@]*@")
"""``user:password@`` at the start of a host. A password may hold ``/``; what looks like a port does not begin one."""

_SECRET: Final = re.compile(r"([?&][^=&#]*(?:auth|key|pass|secret|token)[^=&#]*=)[^&#]+", re.IGNORECASE)


class Pieces(NamedTuple):
    """An address cut by its punctuation. ``prefix + main + path + query`` is the text again."""

    shown: str
    """The text as an error may show it."""
    prefix: str
    """``tcp4://`` as it was written, or ``""`` where the text began with a host."""
    scheme: str
    """The scheme in our spelling: ``tcp``."""
    family: int
    """4 or 6 where the scheme pins it, else 0."""
    main: str
    """Host and port, the path of a socket, or the number of a descriptor; as it was written."""
    path: str
    """What follows host or descriptor, from the first ``/`` on; else ``""``."""
    query: str
    """The options, from ``?`` on; else ``""``."""

    def rebuilt(self, *, main: str | None = None, path: str | None = None, query: str | None = None) -> str:
        """The text with some parts put right."""
        parts = (self.main if main is None else main, self.path if path is None else path)
        return "".join((self.prefix, *parts, self.query if query is None else query))

    def mistake(self, part: str, found: str, expected: str, candidate: str = "") -> AddressError:
        """The error for one wrong part, for the caller to raise."""
        return AddressError(self.shown, part=part, found=_shortened(found), expected=expected, nearest=candidate)


def split(text: str, *, default_scheme: str) -> Pieces:
    """Cut an address by its punctuation.

    Raises:
        AddressError: for a text that cannot be an address, an unknown scheme, or a fragment.
    """
    _check_text(text)
    shown = _redacted(text)
    head, sep, body = _cut_scheme(text)
    scheme, family = _read_scheme(head if sep else default_scheme, body, shown)
    shape = SCHEMES[scheme].shape
    if shape != "socket":
        _check_user(head + sep, body, shown)
    if shape == "host" and not sep:
        _check_bare(text, shown)
    if "#" in body:
        found, expected = "#" + shown.partition("#")[2], "nothing; a '#' inside a name is written %23"
        raise AddressError(shown, part="fragment", found=found, expected=expected, nearest=_without_fragment(text))
    main, question, options = body.partition("?")
    path = ""
    if shape != "socket":
        main, slash, rest = main.partition("/")
        path = slash + rest
    return Pieces(shown, head + sep, scheme, family, main, path, question + options)


def quote(text: str, *, reserved: str = "%?#& ") -> str:
    """Write as ``%XX`` what would be read as punctuation, or could not be seen. Other scripts stay readable."""
    return "".join(c if c.isprintable() and c not in reserved else _percent(c) for c in text)


def nearest_of(word: str, known: Iterable[str]) -> str:
    """The known word that looks most like `word`, or ``""`` where none does."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word[:64].lower(), list(known), n=1)), "")


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _cut_scheme(text: str) -> tuple[str, str, str]:
    """What stands before ``://``, that itself, and the rest; all is rest where ``://`` belongs to something else."""
    head, sep, body = text.partition("://")
    return (head, sep, body) if sep and not re.search("[/?#:@]", head) else ("", "", text)


def _redacted(text: str) -> str:
    head, sep, body = _cut_scheme(text)
    scheme = _ALIASES.get(head.lower(), head.lower())
    user = _USER.match(body)
    if user and user[0] != "@" and not (scheme in SCHEMES and SCHEMES[scheme].shape == "socket"):
        body = f"***@{body[user.end() :]}"
    shown = _SECRET.sub(r"\1***", head + sep + body)
    return _shortened(shown)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}…"


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        kind = type(text).__name__
        raise AddressError(kind, part="text", found=kind, expected="a str such as 'plug://host/service'")
    shown = _redacted(text)
    if not text.strip():
        raise AddressError(shown, part="text", found=text[:20], expected="an address such as plug://host/service")
    if len(text) > ADDRESS_MAX:
        raise AddressError(
            shown, part="text", found=f"{len(text)} characters", expected=f"at most {ADDRESS_MAX} characters"
        )
    if text != text.strip():
        expected = "no spaces or line ends around it"
        raise AddressError(shown, part="text", found=shown, expected=expected, nearest=text.strip())
    hidden = next((character for character in text if not character.isprintable()), "")
    if hidden:
        expected = "characters that can be seen; others are written as %XX, byte by byte in UTF-8"
        raise AddressError(shown, part="text", found=hidden, expected=expected, nearest=quote(text, reserved=""))


def _read_scheme(head: str, body: str, shown: str) -> tuple[str, int]:
    scheme = _ALIASES.get(head.lower(), head.lower())
    if scheme in SCHEMES:
        return scheme, 0
    stem, digit = scheme[:-1], scheme[-1:]
    if digit in {"4", "6"} and stem in SCHEMES and SCHEMES[stem].pins:
        return stem, int(digit)
    near = "" if scheme in _UNRELATED else _FOREIGN.get(scheme) or nearest_of(scheme, SCHEMES)
    expected = f"one of {', '.join(SCHEMES)}"
    nearest = f"{near}://{body}" if near else ""
    raise AddressError(shown, part="scheme", found=_shortened(head), expected=expected, nearest=nearest)


def _check_user(prefix: str, body: str, shown: str) -> None:
    user = _USER.match(body)
    if user and user[0] != "@":
        host = re.split("[/?#]", body[user.end() :], maxsplit=1)[0]
        expected = "no user name or password before it: secrets do not belong in an address"
        nearest = prefix + body[user.end() :]
        raise AddressError(shown, part="host", found=f"***@{host}", expected=expected, nearest=nearest)


def _check_bare(text: str, shown: str) -> None:
    word, colon, rest = text.partition(":")
    scheme = _ALIASES.get(word.lower(), word.lower())
    if colon and scheme in SCHEMES:
        rest = rest if SCHEMES[scheme].shape == "socket" else rest.lstrip("/")
        nearest = f"{scheme}://{rest}"
        raise AddressError(shown, part="scheme", found=f"{word}:", expected=f"{scheme}://", nearest=nearest)
    if text[0] in "/@?#":
        expected = "a host, or unix:// before the path of a socket"
        raise AddressError(shown, part="host", found="", expected=expected, nearest=f"unix://{text}")


def _without_fragment(text: str) -> str:
    """The candidate for a text with ``#``: behind a service it rather begins the name of a room than a fragment."""
    before = text.partition("#")[0]
    body = before.partition("://")[2] or before
    return text.replace("#", "%23") if body.count("/") > 1 or "?" in body else before
