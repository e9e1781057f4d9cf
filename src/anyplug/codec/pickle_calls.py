"""The opcodes of names and calls, of which nearly all are refused.

Pickles have no opcode for complex numbers, and before protocol 4 none for sets and bytes: they name a function and call
it. `CONSTRUCTORS` has these few names. A name in a message is compared with them and used for nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyplug.codec.pickle_containers import make_frozenset
from anyplug.codec.pickle_machine import Constructor, Machine, kind_name
from anyplug.escape import escape

if TYPE_CHECKING:
    from anyplug.errors import DecodeError

__all__ = ["CONSTRUCTORS", "call_constructor", "find_global", "refuse_instance", "stack_global"]

NAME_MAX: Final = 256
"""Bytes of the name of a module or function."""

SET_WORK: Final = 8
"""What each item of a list that becomes a set counts as work: so much longer it takes than hashing a byte."""


def _complex(machine: Machine, arguments: tuple[object, ...]) -> complex:
    match arguments:
        case (float(real), float(imag)):
            return complex(real, imag)
        case _:
            raise machine.fault("calls complex with anything but two floats")


def _items(machine: Machine, arguments: tuple[object, ...]) -> list[object]:
    match arguments:
        case (list(items),):
            machine.spend(SET_WORK * machine.sizes[id(items)])
            return items
        case _:
            raise machine.fault("calls set or frozenset with anything but one list")


def _build_set(machine: Machine, arguments: tuple[object, ...]) -> set[object]:
    items = _items(machine, arguments)
    found: set[object] = set()
    machine.check_keys(id(found), items)
    found.update(items)
    return machine.fill(found, items)


def _build_frozenset(machine: Machine, arguments: tuple[object, ...]) -> frozenset[object]:
    return make_frozenset(machine, _items(machine, arguments))


def _build_bytes(machine: Machine, arguments: tuple[object, ...]) -> bytes:
    match arguments:
        case ():
            return b""
        case _:
            raise machine.fault("calls bytes with arguments")


def _encode(machine: Machine, arguments: tuple[object, ...]) -> bytes:
    match arguments:
        case (str(text), "latin1"):
            machine.spend(len(text))
            try:
                return text.encode("latin-1")
            except UnicodeEncodeError as error:
                raise machine.fault(f"calls encode with a character above U+00FF at index {error.start}") from error
        case _:
            raise machine.fault("calls encode with anything but a text and 'latin1'")


_BUILTINS: Final = {
    "complex": Constructor("complex", _complex),
    "set": Constructor("set", _build_set),
    "frozenset": Constructor("frozenset", _build_frozenset),
    "bytes": Constructor("bytes", _build_bytes),
}
CONSTRUCTORS: Final[dict[tuple[str, str], Constructor]] = {
    **{("builtins", name): constructor for name, constructor in _BUILTINS.items()},
    **{("__builtin__", name): constructor for name, constructor in _BUILTINS.items()},
    ("_codecs", "encode"): Constructor("encode", _encode),
}
"""(module, name) -> what it stands for. The names are compared with these and used for nothing else."""


def find_global(machine: Machine) -> None:
    """GLOBAL: two lines name a function."""
    machine.push(_constructor(machine, *_names(machine)))


def stack_global(machine: Machine) -> None:
    """STACK_GLOBAL: two texts on the stack name a function."""
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise machine.fault(f"needs two names, it has a {kind_name(module)} and a {kind_name(name)}")
    machine.push(_constructor(machine, module, name))


def refuse_instance(machine: Machine) -> None:
    """INST: two lines name a class to make an instance of, which is refused by that name."""
    raise _refused_name(machine, *_names(machine))


def _names(machine: Machine) -> tuple[str, str]:
    module, name = machine.line(NAME_MAX), machine.line(NAME_MAX)
    return module.decode("utf-8", "replace"), name.decode("utf-8", "replace")


def _constructor(machine: Machine, module: str, name: str) -> Constructor:
    if (module, name) not in CONSTRUCTORS:
        raise _refused_name(machine, module, name)
    return CONSTRUCTORS[module, name]


def _refused_name(machine: Machine, module: str, name: str) -> DecodeError:
    full = f"{escape(module, limit=NAME_MAX)}.{escape(name, limit=NAME_MAX)}"
    return machine.fault(f"names {full}: code is never loaded from a message")


def call_constructor(machine: Machine) -> None:
    """REDUCE: a constructor is called with a tuple of arguments."""
    arguments, constructor = machine.pop(), machine.pop()
    if not isinstance(constructor, Constructor):
        raise machine.fault(f"calls a {kind_name(constructor)}, which is no constructor")
    if type(arguments) is not tuple:
        raise machine.fault(f"calls {constructor.name} with a {kind_name(arguments)}, it needs a tuple")
    machine.push(constructor.build(machine, arguments))
