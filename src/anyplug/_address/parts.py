"""How the other parts of an address are read: the path of a socket, a descriptor, options, and the service."""

from __future__ import annotations

import re
from typing import Final

from anyplug._address.text import OPTIONS, SCHEMES, Pieces, nearest_of, quote
from anyplug.errors import AddressError

__all__ = [
    "SERVICE_NAME",
    "SOCKET_PATH_MAX",
    "check_service_name",
    "read_fd",
    "read_options",
    "read_service",
    "read_socket",
]

SOCKET_PATH_MAX: Final = 107
"""The longest path of a unix socket, bytes: ``sun_path`` holds 108 on Linux, and the last one is NUL. An abstract name
has its NUL in front, where an address has the ``@``, so the name behind the ``@`` may have as many."""

SERVICE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
"""The name of a service; use ``fullmatch``. It begins with a letter, a digit or ``_``, so that no service is taken for
an option of a command, a hidden file or ``..``."""

_SERVICE_WORDS: Final = "1 to 64 letters, digits, '-', '_' or '.', beginning with a letter, a digit or '_'"

_FD_MAX: Final = 2**31 - 1
"""The largest file descriptor: a C ``int``."""

_PLAIN_ONLY: Final = ("framing", "until", "width")
"""Options that say how a plain stream is cut. The plug protocol has frames of its own."""


def check_service_name(name: str) -> str:
    """The name itself, where it is one a service can have.

    Raises:
        AddressError: where it is not, with the nearest that is.
    """
    kind = _foreign_kind(name)
    if kind:
        raise AddressError(kind, part="service", found=kind, expected=f"a str of {_SERVICE_WORDS}")
    if not SERVICE_NAME.fullmatch(name):
        raise AddressError(name, part="service", found=name, expected=_SERVICE_WORDS, nearest=_service_guess(name))
    return name


def read_socket(pieces: Pieces) -> str:
    """The path of a unix socket; an abstract name keeps its ``@``."""
    path = _unquoted(pieces, "path", pieces.main)
    form = f"an absolute path, as in {pieces.scheme}:///run/name.sock, or @name for an abstract socket"
    if not path.startswith(("/", "@")):
        guess = pieces.rebuilt(main=f"/{pieces.main}") if path and path[0] not in ".~" else ""
        raise pieces.mistake("path", path, form, guess)
    if path == "@":
        raise pieces.mistake("path", path, "a name behind the '@'")
    if path.endswith("/"):
        guess = pieces.rebuilt(main=pieces.main.rstrip("/"))
        raise pieces.mistake("path", path, "the name of a socket at its end, not of a folder", guess)
    size = len(path.encode()) - path.startswith("@")
    if size > SOCKET_PATH_MAX:
        expected = f"at most {SOCKET_PATH_MAX} bytes: the system binds no longer one"
        raise pieces.mistake("path", f"{size} bytes", expected)
    return path


def read_fd(pieces: Pieces) -> int:
    """The number of an inherited file descriptor."""
    digits = pieces.main
    if not re.fullmatch("[0-9]{1,10}", digits) or int(digits) > _FD_MAX:
        raise pieces.mistake("fd", digits, "the number of an open file descriptor, as in fd://3")
    return int(digits)


def read_options(pieces: Pieces) -> dict[str, str]:
    """The options, decoded, ``service`` among them."""
    options: dict[str, str] = {}
    items = pieces.query[1:].split("&") if pieces.query[1:] else []
    for index, item in enumerate(items):
        name, _, value = item.partition("=")
        without = _with_items(pieces, items[:index] + items[index + 1 :])
        if name not in OPTIONS:
            near = nearest_of(name, OPTIONS)
            fixed = _with_items(pieces, [*items[:index], f"{near}={value}", *items[index + 1 :]]) if near else ""
            raise pieces.mistake("option", name, f"one of {', '.join(OPTIONS)}", fixed)
        if name in options:
            raise pieces.mistake("option", name, f"{name} only once", without)
        if not value:
            raise pieces.mistake("option", item, f"{name}=value: {OPTIONS[name]}", without)
        options[name] = _unquoted(pieces, "option", value)
    _check_meaning(pieces, options)
    return options


def read_service(pieces: Pieces, option: str) -> tuple[str, str]:
    """The service and what follows it: from the path, or from `option`, the value of the option ``service``."""
    if option and pieces.path.strip("/"):
        expected = "one service: the path names one already"
        raise pieces.mistake("service", option, expected, _without_option(pieces, "service"))
    service, slash, rest = (option or _unquoted(pieces, "service", pieces.path[1:])).partition("/")
    if not SERVICE_NAME.fullmatch(service) and (service or rest):
        guess = _service_guess(service)
        text = f"{guess}{slash}{rest}" if guess or not service else ""
        raise pieces.mistake("service", service, _SERVICE_WORDS, _with_service(pieces, text.lstrip("/"), option))
    return service, rest


def _check_meaning(pieces: Pieces, options: dict[str, str]) -> None:
    """Refuse options that would say nothing where they stand."""
    inherited = SCHEMES[pieces.scheme].shape == "fd"
    protocol = options.get("protocol", "plug")
    if protocol != "plug":
        fixed = pieces.rebuilt(query=pieces.query.replace(f"protocol={protocol}", "protocol=plug"))
        raise pieces.mistake("option", f"protocol={protocol}", "protocol=plug, or none for a plain socket", fixed)
    if "protocol" in options and not inherited:
        expected = "none: outside of fd:// the scheme says the protocol"
        raise pieces.mistake("option", "protocol=plug", expected, _without_option(pieces, "protocol"))
    needless = next((name for name in _PLAIN_ONLY if name in options), "")
    if needless and (SCHEMES[pieces.scheme].plug or "protocol" in options):
        found, expected = f"{needless}={options[needless]}", "none here: the plug protocol has frames of its own"
        raise pieces.mistake("option", found, expected, _without_option(pieces, needless))


def _unquoted(pieces: Pieces, part: str, text: str) -> str:
    """A text with its ``%XX`` decoded: UTF-8 without NUL."""
    broken = re.search("%(?![0-9A-Fa-f]{2}).{0,2}", text)
    if broken:
        expected = "two hexadecimal digits after '%'; the sign itself is written %25"
        fixed = re.sub("%(?![0-9A-Fa-f]{2})", "%25", pieces.rebuilt())
        raise pieces.mistake(part, broken[0], expected, fixed)
    data = re.sub(b"%(..)", lambda match: bytes.fromhex(match[1].decode()), text.encode())
    try:
        decoded = data.decode()
    except UnicodeDecodeError:
        raise pieces.mistake(part, text, "UTF-8 behind the '%' signs") from None
    if "\0" in decoded:
        raise pieces.mistake(part, text, "no NUL (%00) in it")
    return decoded


def _with_items(pieces: Pieces, items: list[str]) -> str:
    return pieces.rebuilt(query="?" + "&".join(items) if items else "")


def _without_option(pieces: Pieces, name: str) -> str:
    return _with_items(pieces, [item for item in pieces.query[1:].split("&") if not item.startswith(f"{name}=")])


def _with_service(pieces: Pieces, text: str, option: str) -> str:
    """The candidate with `text` where the service stands: among the options, or in the path if `option` is ``""``."""
    if not text:
        return ""
    if not option:
        return pieces.rebuilt(path=f"/{quote(text)}")
    items = [f"service={quote(text)}" if item.startswith("service=") else item for item in pieces.query[1:].split("&")]
    return _with_items(pieces, items)


def _foreign_kind(value: object) -> str:
    """The name of the type of what is no str, else ``""``: annotations hold nobody back."""
    return "" if isinstance(value, str) else type(value).__name__


def _service_guess(text: str) -> str:
    """The nearest text that can be the name of a service, or ``""``."""
    return re.sub("[^A-Za-z0-9_.]+", "-", text).strip("-.")[:64]
