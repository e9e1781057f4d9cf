"""Reading a configuration file so that every mistake is named with its line and the nearest valid key or value.

`ConfigText` holds one file's text, values and places. `ConfigText.struct` makes a msgspec struct from a table: keys are
checked first, then each value by the type of its field; a ``float`` field is a time in seconds, and fields named in
`SIZES` are sizes, so that both take units.
"""

from __future__ import annotations

import re
import tomllib
import typing
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from anyplug.errors import ConfigError
from anyplug.limits import PREFIX_MAX
from anyplug.server.toml_lines import Key, dotted, toml_lines
from anyplug.server.units import parse_seconds, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["CONFIG_MAX", "SIZES", "ConfigText", "choose", "nearest", "read_text"]

S = TypeVar("S", bound=msgspec.Struct)

CONFIG_MAX: Final = 1024 * 1024
"""The largest configuration file, bytes: thousands of listeners."""

NUMBER_MAX: Final = 2**31 - 1
"""The largest number that is no size: what the system takes for its own options, a C ``int``."""

_ON_DISK: Final = frozenset({"keep_bytes", "file", "bytes", "free"})
"""Sizes that count what lies on a disk, so that they may be larger than memory."""

SIZES: Final = frozenset({"message", "queue", "rate", "send_buffer", "receive_buffer"}) | _ON_DISK
"""Fields that are sizes in bytes."""

DISK_MAX: Final = 2**53
"""The largest size of what is on a disk, bytes; other sizes are those of messages."""

_PLACE: Final = re.compile(r" \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)$")
_EXPECTED: Final = re.compile(r"Expected `([^`]*)`, got `([^`]*)`(?: - at `\$([^`]*)`)?")
_WORDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "object": "a table",
    "array": "an array",
    "null": "nothing",
}


def read_text(path: str) -> str:
    """The text of a configuration file.

    Raises:
        ConfigError: it is not there, cannot be read, is too large, or is not UTF-8.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(CONFIG_MAX + 1)
    except FileNotFoundError:
        raise ConfigError(path, where="", problem="there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(path, where="", problem="it is a folder; name the file in it") from None
    except OSError as error:
        raise ConfigError(path, where="", problem=f"it cannot be read: {error.strerror or error}") from error
    if len(data) > CONFIG_MAX:
        raise ConfigError(path, where="", problem=f"it has more than {CONFIG_MAX:,} bytes; is it the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        problem = f"byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigError(path, where="", problem=problem, line=line) from None


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that looks most like `word`, or ``""``."""
    return next(iter(get_close_matches(word[:64].lower(), list(known), n=1)), "")


def choose(problem: str, word: str, known: Iterable[str], *, kind: str = "") -> str:
    """The sentence for a word that is not known: the problem, and the nearest of the known words or all of them."""
    names = list(known)
    near = nearest(word, names)
    hint = f'did you mean "{near}"?' if near else f"{kind or 'words'} are {', '.join(names) or 'none'}"
    return f"{problem}; {hint}"


class ConfigText:
    """A configuration file: its values, and the line of each.

    Raises:
        ConfigError: it is not TOML.
    """

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.data, self._lines = self._parse(text.replace("\r\n", "\n"))

    def _parse(self, text: str) -> tuple[dict[str, Any], dict[Key, int]]:
        try:
            return tomllib.loads(text), toml_lines(text)
        except tomllib.TOMLDecodeError as error:
            found = _PLACE.search(str(error))
            line = int(found[1]) if found and found[1] else text.count("\n") + 1
            column = f", at column {found[2]}" if found and found[2] else ""
            words = _PLACE.sub("", str(error))
            problem = f"it is not valid TOML{column}: {words[:1].lower()}{words[1:]}"
            raise ConfigError(self.file, where="", problem=problem, line=line) from error
        except RecursionError:
            raise ConfigError(self.file, where="", problem="its arrays or tables are nested too deeply") from None

    def line(self, key: Key) -> int:
        """The line of a key, or of the nearest table around it; 0 where it is the whole file."""
        while key and key not in self._lines:
            key = key[:-1]
        return self._lines.get(key, 0)

    def mistake(self, key: Key, problem: str) -> ConfigError:
        """The error for the value at a key, for the caller to raise."""
        return ConfigError(self.file, where=dotted(key), problem=problem, line=self.line(key))

    def table(self, value: object, key: Key) -> dict[str, Any]:
        """The value, which is to be a table."""
        if isinstance(value, dict):
            return value
        raise self.mistake(key, f"expected a table, [{dotted(key)}], found {_found(value)}")

    def check_keys(
        self, data: Mapping[str, object], known: Iterable[str], key: Key, *, elsewhere: Mapping[str, str] | None = None
    ) -> None:
        """Refuse keys that mean nothing.

        Args:
            data: the table.
            known: the keys it may have.
            key: where it stands.
            elsewhere: keys of other tables, to point to: name to dotted key.
        """
        names = list(known)
        for name in data:
            if name in names:
                continue
            near = (elsewhere or {}).get(name) or nearest(name, names)
            hint = f"did you mean `{near}`?" if near else f"keys here are {', '.join(names)}"
            raise self.mistake((*key, name), f"there is no such key; {hint}")

    def struct(
        self,
        kind: type[S],
        data: object,
        key: Key,
        *,
        elsewhere: Mapping[str, str] | None = None,
        least: Mapping[str, float] | None = None,
        ignore: frozenset[str] = frozenset(),
    ) -> S:
        """A struct from a table.

        Args:
            kind: the struct; all its fields have defaults.
            data: the table.
            key: where it stands.
            elsewhere: as for `check_keys`.
            least: the least value of fields that are numbers; 0 where nothing is said.
            ignore: keys that the caller reads itself.
        """
        table = self.table(data, key)
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        self.check_keys(table, [*ignore, *fields], key, elsewhere=elsewhere)
        bounds = least or {}
        values = {
            name: self._field(fields[name], value, (*key, name), least=bounds.get(name, 0))
            for name, value in table.items()
            if name not in ignore
        }
        try:
            return msgspec.convert(values, kind)
        except msgspec.ValidationError as error:
            raise self.mistake(key, _reworded(error)[1]) from error

    def _field(self, field: msgspec.structs.FieldInfo, value: object, key: Key, *, least: float) -> object:
        """One value, by the type of its field."""
        if field.type is float:
            value = self._number(parse_seconds, value, key)
        elif field.name in SIZES and field.type is int:
            value = self._number(parse_size, value, key)
        elif typing.get_origin(field.type) is dict:
            inner = typing.get_args(field.type)[1]
            return {name: self.convert(each, inner, (*key, name)) for name, each in self.table(value, key).items()}
        else:
            value = self.convert(value, field.type, key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            self._check_range(value, key, least=least, most=_most(field.name))
        return value

    def _check_range(self, value: float, key: Key, *, least: float, most: int) -> None:
        if value < least:
            raise self.mistake(key, f"{_shown(value)} is too small; expected at least {_shown(least)}")
        if value > most:
            raise self.mistake(key, f"{_shown(value)} is too large; expected at most {_shown(most)}")

    def convert(self, value: object, kind: Any, key: Key) -> Any:
        """The value, which is to be of a type."""
        choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
        if choices and isinstance(value, str) and value not in choices:
            raise self.mistake(key, choose(f"there is no {key[-1]} {value!r}", value, choices, kind="values"))
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            inner, problem = _reworded(error)
            if isinstance(value, bool):
                problem = problem.replace("found true or false", f"found {str(value).lower()}")
            raise self.mistake((*key, *inner), problem) from error

    def _number(self, parse: Callable[[object], float], value: object, key: Key) -> float:
        try:
            return parse(value)
        except ValueError as error:
            raise self.mistake(key, str(error)) from None


def _most(name: str) -> int:
    """The largest number that a field can hold."""
    if name in _ON_DISK:
        return DISK_MAX
    return PREFIX_MAX if name in SIZES else NUMBER_MAX


def _reworded(error: msgspec.ValidationError) -> tuple[Key, str]:
    """Where below the value the mistake is, and what it is, in the words of this file."""
    found = _EXPECTED.fullmatch(str(error))
    if found is None:
        return (), str(error)
    expected = " or ".join(_WORDS.get(word, word) for word in found[1].split(" | ") if word != "null")
    inner = tuple(int(number) for number in re.findall(r"\[([0-9]+)\]", found[3] or ""))
    return inner, f"expected {expected}, found {_WORDS.get(found[2], found[2])}"


def _shown(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _found(value: object) -> str:
    kinds = {str: "str", bool: "bool", int: "int", float: "float", list: "array", dict: "object"}
    return _WORDS.get(kinds.get(type(value), ""), type(value).__name__)
