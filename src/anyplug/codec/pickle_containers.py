"""The opcodes of lists, tuples, dictionaries and sets. Each is accounted for before it is filled."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyplug.codec.pickle_machine import Machine, Reader

__all__ = [
    "add_frozenset",
    "add_items",
    "append",
    "appends",
    "empty_dict",
    "empty_list",
    "empty_set",
    "make_dict",
    "make_frozenset",
    "make_list",
    "make_tuple",
    "set_item",
    "set_items",
    "small_tuple",
]


def make_list(machine: Machine) -> None:
    """LIST: the items above the mark become a list."""
    items = machine.pop_mark()
    machine.push(machine.fill(items, items))


def empty_list(machine: Machine) -> None:
    """EMPTY_LIST: a list to be filled."""
    machine.push(machine.fill([], ()))


def append(machine: Machine) -> None:
    """APPEND: one item for the list below it."""
    _extend(machine, [machine.pop()])


def appends(machine: Machine) -> None:
    """APPENDS: the items above the mark, for the list below it."""
    _extend(machine, machine.pop_mark())


def _extend(machine: Machine, items: list[object]) -> None:
    target: list[object] = machine.target(list)
    if items:
        machine.add(target, items)
        target.extend(items)


def make_dict(machine: Machine) -> None:
    """DICT: the keys and values above the mark become a dictionary."""
    items = machine.pop_mark()
    empty_dict(machine)
    _fill_dict(machine, items)


def empty_dict(machine: Machine) -> None:
    """EMPTY_DICT: a dictionary to be filled."""
    machine.push(machine.fill({}, ()))


def set_item(machine: Machine) -> None:
    """SETITEM: one key and value for the dictionary below them."""
    value = machine.pop()
    _fill_dict(machine, [machine.pop(), value])


def set_items(machine: Machine) -> None:
    """SETITEMS: the keys and values above the mark, for the dictionary below it."""
    _fill_dict(machine, machine.pop_mark())


def _fill_dict(machine: Machine, items: list[object]) -> None:
    target: dict[object, object] = machine.target(dict)
    if not items:
        return
    if len(items) % 2:
        raise machine.fault(f"needs keys with values, it has {len(items):,} of both")
    keys = items[::2]
    machine.check_keys(id(target), keys)
    machine.add(target, items)
    target.update(zip(keys, items[1::2], strict=True))


def empty_set(machine: Machine) -> None:
    """EMPTY_SET: a set to be filled."""
    machine.push(machine.fill(set(), ()))


def add_items(machine: Machine) -> None:
    """ADDITEMS: the items above the mark, for the set below it."""
    items = machine.pop_mark()
    target: set[object] = machine.target(set)
    if items:
        machine.check_keys(id(target), items)
        machine.add(target, items)
        target.update(items)


def add_frozenset(machine: Machine) -> None:
    """FROZENSET: the items above the mark become a frozenset."""
    machine.push(make_frozenset(machine, machine.pop_mark()))


def make_frozenset(machine: Machine, items: list[object]) -> frozenset[object]:
    """A frozenset of these items, accounted for."""
    machine.check_keys(-1 - machine.containers, items)
    return machine.fill(frozenset(items), items)


def make_tuple(machine: Machine) -> None:
    """TUPLE: the items above the mark become a tuple."""
    items = machine.pop_mark()
    machine.push(machine.fill(tuple(items), items))


def small_tuple(count: int) -> Reader:
    """EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3: so many items become a tuple, without a mark."""

    def read(machine: Machine) -> None:
        items = tuple(reversed([machine.pop() for _ in range(count)]))
        machine.push(machine.fill(items, items))

    return read
