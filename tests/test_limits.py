"""The limits: what they are where nothing is said, with their units; each with its reason beside it."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import msgspec
import pytest

from anyplug import limits
from anyplug.limits import DEFAULTS, Limits

KIB = 1024
MIB = 1024 * 1024

# Field, default, unit.
TABLE: list[tuple[str, float, str]] = [
    ("message", 16 * MIB, "bytes"),
    ("parts", 1024, "parts"),
    ("nesting", 128, "levels"),
    ("queue", 1 * MIB, "bytes"),
    ("requests", 1024, "requests"),
    ("connections", 10_000, "connections"),
    ("connections_per_address", 1_000, "connections"),
    ("handshake", 5.0, "seconds"),
    ("frame_time", 30.0, "seconds"),
    ("rate", 1 * KIB, "bytes per second"),
    ("idle", 0.0, "seconds"),
    ("ping", 15.0, "seconds"),
    ("dead", 40.0, "seconds"),
    ("drain", 10.0, "seconds"),
    ("write", 30.0, "seconds"),
    ("slow_handler", 0.1, "seconds"),
    ("datagrams_per_source", 1_000, "datagrams per second"),
]


def test_the_defaults_are_those_of_the_table_and_no_others() -> None:
    assert msgspec.structs.asdict(DEFAULTS) == {name: value for name, value, _ in TABLE}
    assert Limits() == DEFAULTS


@pytest.mark.parametrize(("name", "value", "unit"), TABLE)
def test_times_are_floats_and_counts_are_whole(name: str, value: float, unit: str) -> None:
    kinds = {field.name: field.type for field in msgspec.structs.fields(Limits)}
    assert kinds[name] is (float if unit == "seconds" else int)
    assert type(getattr(DEFAULTS, name)) is type(value) is kinds[name]


def test_the_bounds_of_the_formats() -> None:
    assert limits.FRAME_MAX == 256 * KIB < 2**24
    assert limits.HELLO_MAX == 4096
    assert limits.PREFIX_MAX == 2**32 - 1
    assert limits.SOURCES_MAX == 4096


def test_the_defaults_fit_each_other_and_the_formats() -> None:
    assert DEFAULTS.message <= limits.PREFIX_MAX
    assert limits.FRAME_MAX * DEFAULTS.parts >= DEFAULTS.message
    assert DEFAULTS.queue >= limits.FRAME_MAX
    assert DEFAULTS.connections_per_address <= DEFAULTS.connections
    assert DEFAULTS.ping < DEFAULTS.dead
    assert DEFAULTS.dead + 1 < 45
    assert DEFAULTS.handshake < DEFAULTS.frame_time


def test_a_limit_is_set_by_its_name_and_the_others_stay() -> None:
    assert msgspec.structs.asdict(Limits(message=1)) == {**msgspec.structs.asdict(DEFAULTS), "message": 1}
    assert msgspec.convert({"drain": 2}, Limits) == Limits(drain=2.0)


def test_limits_cannot_be_changed_once_made() -> None:
    with pytest.raises(AttributeError):
        Limits().message = 1  # type: ignore[misc]


def test_limits_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        Limits(1)  # type: ignore[call-arg]


def test_an_unknown_limit_is_refused() -> None:
    unknown: dict[str, Any] = {"messages": 1}
    with pytest.raises(TypeError, match="messages"):
        Limits(**unknown)
    with pytest.raises(msgspec.ValidationError, match="messages"):
        msgspec.convert(unknown, Limits)


@pytest.mark.parametrize("value", ["1", 1.5, None])
def test_a_value_of_another_kind_is_refused(value: object) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.message"):
        msgspec.convert({"message": value}, Limits)


def documented(body: list[ast.stmt]) -> dict[str, str]:
    """The names that are assigned in `body`, each with the text directly under it, or ``""``."""
    found = {}
    for place, node in enumerate(body):
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        if isinstance(target, ast.Name):
            below = body[place + 1] if place + 1 < len(body) else None
            text = below.value if isinstance(below, ast.Expr) else None
            found[target.id] = text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
    return found


def test_every_limit_has_its_meaning_directly_under_it() -> None:
    tree = ast.parse(inspect.getsource(limits))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Limits")
    fields = documented(body)
    assert list(fields) == [name for name, _, _ in TABLE]
    constants = {name: text for name, text in documented(tree.body).items() if name != "__all__"}
    assert set(constants) == set(limits.__all__) - {"Limits"}
    assert [name for name, text in {**fields, **constants}.items() if not text.strip().endswith(".")] == []
