"""Registered classes: they travel by name, are checked field by field, and nothing else is ever made of a name."""

from __future__ import annotations

import enum
import sys
from collections import OrderedDict, namedtuple
from collections.abc import Mapping, Sequence  # noqa: TC003 - read when fields are checked
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

import msgspec
import pytest
from msgspec.msgpack import Ext

import anyplug
import anyplug.blocking
from anyplug.codec import make_codec
from anyplug.codec.registry import entry_of
from anyplug.errors import DecodeError, EncodeError, LocalError
from anyplug.testing import check_codec
from tests.codec.exact import exactly

CODEC = make_codec("objects")
PLAIN = msgspec.msgpack.encode


@anyplug.register
class Colour(enum.Enum):
    RED = (255, 0, 0)
    CRIMSON = RED
    BLUE = object()


@anyplug.register
class Level(enum.IntEnum):
    LOW = 1


@anyplug.register
class Word(enum.StrEnum):
    YES = "yes"


@anyplug.register
class Rights(enum.Flag):
    READ = 1
    WRITE = 4


@anyplug.register
class Loose(enum.IntFlag):
    ONE = 1


@anyplug.register(name="shapes.Point")
class Point(msgspec.Struct, frozen=True):
    x: int
    y: Annotated[int, msgspec.Meta(ge=0)] = 0


@anyplug.register
class Tagged(msgspec.Struct, tag="t", rename="camel", forbid_unknown_fields=True):
    some_name: str
    other: Any = None


@anyplug.register
class Row(msgspec.Struct, array_like=True):
    a: int
    b: list[int] = []


@anyplug.register
class Tree(msgspec.Struct):
    children: list[Tree] = []
    parent: Tree | None = None


@anyplug.register
@dataclass
class Station:
    name: str
    readings: list[float]
    where: Point | None = None
    level: Level | None = None
    tags: frozenset[str] = frozenset()
    extra: Any = None
    made: int = field(init=False, default=3)


@anyplug.register
@dataclass(frozen=True, slots=True)
class Key:
    parts: tuple[int, ...]


@anyplug.register
@dataclass
class Lenient:
    items: Sequence[int]
    table: Mapping[str, Sequence[float]] = field(default_factory=dict)
    value: float = 0.0


@anyplug.register
class LenientStruct(msgspec.Struct, frozen=True):
    items: Sequence[int] | None


@anyplug.register
class Pair(NamedTuple):
    left: int
    right: str = "r"


Untyped: Any = anyplug.register(namedtuple("Untyped", "a b"))  # noqa: PYI024 - the old kind travels too


@anyplug.register
class Empty(msgspec.Struct):
    pass


VALUES: list[Any] = [
    *(Colour.RED, Colour.CRIMSON, Colour.BLUE, Level.LOW, Word.YES),
    *(Rights.READ, Rights.READ | Rights.WRITE, Rights(0), Loose.ONE),
    *(Point(1), Point(1, 2), Tagged("a", (1, 2)), Row(1, [2]), Row(1), Empty()),
    *(Tree(), Tree([Tree(), Tree([Tree()])], Tree())),
    Station("a", [1.5], Point(1), Level.LOW, frozenset({"x"}), {(1, 2): [Decimal(1), Pair(1)]}),
    *(Key((1, 2)), {Key((1,)): {Key((2,))}}, Pair(1, "a"), Untyped(1, (2,))),
    *(Lenient((1, 2), OrderedDict(a=(1.5,))), Lenient([1], {"a": [1.5]}), LenientStruct((1,)), LenientStruct(None)),
    *([Level.LOW, 1, True], {Level.LOW: Word.YES}, {"a": [Point(1)] * 200}),
]


def back(value: object) -> object:
    return CODEC.decode(CODEC.encode(value))


def test_registered_classes_keep_the_contract_of_codecs() -> None:
    check_codec(lambda: make_codec("objects"), [value for value in VALUES if not isinstance(value, Lenient)])


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_instances_come_back_equal_and_of_their_class(value: Any) -> None:
    assert exactly(back(value), value), back(value)


def test_members_come_back_as_themselves() -> None:
    for member in (Colour.RED, Colour.BLUE, Level.LOW, Word.YES, Rights.READ | Rights.WRITE):
        assert back(member) is member


def test_abstract_containers_keep_what_was_in_them() -> None:
    found: Any = back(Lenient((1, 2), OrderedDict(a=(1.5, 2.5)), 7))
    assert type(found.items) is tuple
    assert type(found.table) is OrderedDict
    assert (found.value, type(found.value)) == (7.0, float)
    assert type(back(LenientStruct((1,))).items) is tuple  # type: ignore[attr-defined]


def test_a_field_set_after_the_making_travels() -> None:
    station = Station("a", [])
    station.made = 9
    assert back(station) == station


def test_registered_classes_are_checked_as_types_too() -> None:
    for kind, value in ((Point, Point(1)), (list[Station], [Station("a", [])]), (Level, Level.LOW), (Pair, Pair(1))):
        assert make_codec("objects", kind).decode(CODEC.encode(value)) == value
        with pytest.raises(DecodeError, match="Expected `"):
            make_codec("objects", kind).decode(CODEC.encode({"x": 1}))
    with pytest.raises(DecodeError, match="Expected `Word`, got `str`"):
        make_codec("objects", Word).decode(CODEC.encode("yes"))
    with pytest.raises(DecodeError, match="Expected `int`, got `Level`"):
        make_codec("objects", int).decode(CODEC.encode(Level.LOW))


def behind(code: int, *items: object) -> bytes:
    return PLAIN({"list": [[Ext(code, b"\xc1"), *items]]})


def of(name: str, /, **fields: object) -> bytes:
    return behind(7, name, *(part for pair in fields.items() for part in pair))


TUPLE = Ext(1, b"\xc1")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (of("shapes.Point", x="1"), "Expected `int`, got `str` - at `$.list[0].x`"),
        (of("shapes.Point", x=True), "Expected `int`, got `bool` - at `$.list[0].x`"),
        (of("shapes.Point", x=1, y=-1), "Expected `int` >= 0 - at `$.list[0].y`"),
        (of("shapes.Point", y=1), "Object missing required field `x` - at `$.list[0]`"),
        (of("shapes.Point", x=1, z=1), "shapes.Point has no field 'z' here: register the same class on both ends"),
        (of("Point", x=1), "no class is registered here as 'Point': call anyplug.register on this end too"),
        (of("Tagged", someName="a"), "Tagged has no field 'someName' here"),
        (of("Tagged", some_name=1), "Expected `str`, got `int` - at `$.list[0].someName`"),
        (of("Row", a=1, b=[1, "2"]), "Expected `int`, got `str` - at `$.list[0][1][1]`"),
        (of("Row", b=[1]), "Row lacks its field 'a' - at `$.list[0]`"),
        (of("Pair", right="a"), "Pair lacks its field 'left' - at `$.list[0]`"),
        (of("Pair"), "Expected `array` of length 1 to 2, got 0 - at"),
        (of("Station", name="a", readings=[1.5, "x"]), "Expected `float`, got `str` - at `$.list[0].readings[1]`"),
        (of("Station", name="a", readings=[TUPLE, 1.5]), "Expected `list`, got `tuple` - at `$.list[0].readings`"),
        (of("Station", name="a", readings=[], where={"x": 1}), "Expected `Point`, got `dict` - at `$.list[0].where`"),
        (of("Station", name="a", readings=[], tags=["x"]), "Expected `frozenset`, got `list` - at `$.list[0].tags`"),
        (of("Station", name="a", readings=[], level=1), "Expected `Level`, got `int` - at `$.list[0].level`"),
        (of("Station", name="a", readings=[], level=2), "Invalid enum value 2 - at `$.list[0].level`"),
        (
            of("Station", name="a", readings=[], extra=[TUPLE, {"a": [TUPLE, [Ext(2, b"\xc1"), []]]}]),
            "no set can be made: ",
        ),
        (of("Lenient", items=["a"]), "Expected `int`, got `str` - at `$.list[0].items[0]`"),
        (of("Lenient", items=5), "Expected `array`, got `int` - at `$.list[0].items`"),
        (of("Colour", RED=1), "Colour is an Enum here, it has no fields - at `$.list[0]`"),
        (behind(7, "Key", "parts", [1]), "Expected `tuple`, got `list` - at `$.list[0].parts`"),
        (behind(7, "Key", "parts"), "fields are names, which are texts, each with its value"),
        (behind(7, "Key", 5, 5), "fields are names, which are texts, each with its value"),
        (behind(7, "Key", "parts", [TUPLE], "parts", [TUPLE]), "a field stands in an object twice"),
        (behind(8, "Colour", "GREEN"), "'GREEN' is no member of Colour - at `$.list[0]`"),
        (behind(8, "Colour", "name"), "'name' is no member of Colour"),
        (behind(8, "Colour", 1), "a value of type int is no member of Colour"),
        (behind(8, "shapes.Point", "x"), "'x' is no member of shapes.Point"),
        (behind(8, "Rights", "READ"), "a member of Rights is an integer with bits of 0x5"),
        (behind(8, "Rights", 2), "a member of Rights is an integer with bits of 0x5"),
        (behind(8, "Rights", -1), "a member of Rights is an integer with bits of 0x5"),
        (behind(8, "Loose", 8), "a member of Loose is an integer with bits of 0x1"),
    ],
)
def test_a_wrong_field_is_refused_with_its_path(body: bytes, problem: str) -> None:
    with pytest.raises(DecodeError) as caught:
        CODEC.decode(body)
    assert caught.value.problem.startswith(problem)


def test_a_path_goes_through_fields_to_the_part() -> None:
    body = of("Station", name="a", readings=[], extra=[TUPLE, {"b c": [5, [Ext(2, b"\xc1"), []]]}])
    with pytest.raises(DecodeError, match=r"at `\$\.list\[0\]\.extra\[0\]\['b c'\]\[1\]`$"):
        CODEC.decode(body)


def test_a_part_that_cannot_travel_is_told_with_the_path_of_fields() -> None:
    station = Station("a", [], extra={"socket": [sys]})
    with pytest.raises(EncodeError, match=r"`\[1\]\.extra\.socket\[0\]` is of type module"):
        CODEC.encode([1, station])
    del station.name
    with pytest.raises(EncodeError, match=r"`\[0\]\.name` is of type NoneType: the field has no value"):
        CODEC.encode([station])
    with pytest.raises(EncodeError, match=r"`\.some_name` is of type str: it holds half of a surrogate pair"):
        CODEC.encode(Tagged("\ud800"))
    tree = Tree()
    tree.children.append(tree)
    with pytest.raises(EncodeError, match=r"`\.children\[0\]` is of type Tree: it contains itself"):
        CODEC.encode(tree)
    with pytest.raises(EncodeError, match=r"`\[0\]` is of type Loose: it has bits that are no members of Loose"):
        CODEC.encode([Loose(8)])


def test_a_field_the_sender_does_not_know_gets_its_default() -> None:
    assert CODEC.decode(of("shapes.Point", x=5)) == {"list": [Point(5, 0)]}
    assert CODEC.decode(of("Pair", left=5)) == {"list": [Pair(5)]}
    assert CODEC.decode(of("Row", a=5)) == {"list": [Row(5)]}


def test_what_a_class_raises_is_a_decode_error() -> None:
    @anyplug.register(name="picky")
    @dataclass
    class Picky:
        value: int

        def __post_init__(self) -> None:
            if self.value < 0:
                raise KeyError("below")

    picky = Picky(1)
    picky.value = -1
    with pytest.raises(DecodeError, match="no object can be made: 'below'"):
        CODEC.decode(CODEC.encode(picky))


def test_what_a_class_makes_of_its_fields_is_kept() -> None:
    @anyplug.register(name="tidy")
    @dataclass
    class Tidy:
        name: str
        log: list[str]

        def __post_init__(self) -> None:
            self.name = self.name.strip()
            self.log.append("made")

    tidy = Tidy("a", [])
    tidy.name = " b "
    assert back(tidy) == Tidy("b", ["made"])


def test_a_class_whose_fields_cannot_be_checked_is_refused_by_both_ends() -> None:
    @anyplug.register(name="lost")
    @dataclass
    class Lost:
        value: Nowhere  # type: ignore[name-defined]  # noqa: F821

    @anyplug.register(name="torn")
    @dataclass
    class Torn:
        value: Point | Tree

    @anyplug.register(name="dyed")
    @dataclass
    class Dyed:
        value: Colour

    for cls, name, why in (
        (Lost, "lost", "name 'Nowhere' is not defined"),
        (Torn, "torn", "If a type union contains multiple Struct types"),
        (Dyed, "dyed", "Enums must contain either all str or all int values"),
    ):
        with pytest.raises(EncodeError, match=rf"`\[0\]` is of type .*: the fields of {name} cannot be checked: {why}"):
            CODEC.encode([cls(Point(1))])  # type: ignore[arg-type]
        with pytest.raises(
            DecodeError, match=f"^not a valid objects message: the fields of {name} cannot be checked: {why}"
        ):
            CODEC.decode(of(name, value=1))


def test_a_subclass_of_a_registered_class_is_another_class() -> None:
    class Sub(Point, frozen=True):
        pass

    with pytest.raises(EncodeError, match=r"is of type .*Sub: the class is not registered"):
        CODEC.encode([Sub(1)])


# Registering.


def test_a_name_is_that_of_one_class() -> None:
    class Mine(msgspec.Struct):
        a: int

    assert anyplug.register(Mine, "mine") is Mine
    assert anyplug.register(Mine, "mine") is Mine

    class Other(msgspec.Struct):
        a: int

    with pytest.raises(LocalError, match=r"Other: the name 'mine' is that of .*Mine; give another one"):
        anyplug.register(Other, "mine")
    with pytest.raises(LocalError, match="as 'yours': it is registered as 'mine'"):
        anyplug.register(Mine, "yours")
    assert back(Mine(1)) == Mine(1)


def test_a_class_defined_anew_takes_the_place_of_the_older_one() -> None:
    def define() -> Any:
        class Cell(msgspec.Struct):
            a: int

        return anyplug.register(Cell)

    old, new = define(), define()
    assert type(back(new(1))) is new
    assert entry_of(old) is None
    with pytest.raises(EncodeError, match="the class is not registered"):
        CODEC.encode(old(1))


@pytest.mark.parametrize("name", ["", "a" * 201, "a\n", "\x1b[2J", "\ud800"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(LocalError, match="a name has 1 to 200 printable characters"):
        anyplug.register(Point, name)


@pytest.mark.parametrize("cls", [int, dict, object, type("Thing", (), {}), len, 5, Point(1), tuple])
def test_what_has_no_fields_is_refused(cls: Any) -> None:
    with pytest.raises(LocalError, match=r"is no msgspec\.Struct, dataclass, NamedTuple or Enum"):
        anyplug.register(cls, "thing")


def test_a_field_that_no_instance_keeps_is_refused() -> None:
    @dataclass
    class Once:
        value: int
        seed: InitVar[int] = 0

    with pytest.raises(LocalError, match="its field seed is an InitVar"):
        anyplug.register(Once)


def test_register_is_public() -> None:
    assert anyplug.blocking.register is anyplug.register
