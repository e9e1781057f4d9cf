"""Reading pickles: every opcode of every protocol by its name, and whatever the standard library writes."""

from __future__ import annotations

import math
import pickle
import pickletools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.codec.pickle_calls import CONSTRUCTORS
from anyplug.codec.pickle_reader import PROTOCOL_MAX, TABLE, read_pickle
from anyplug.errors import DecodeError
from anyplug.limits import DEFAULTS
from anyplug.testing.codec import same
from tests.codec.pickles import P4, bintext, floats, frame, glob, long1, long4, stack_global, text

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def read(body: bytes) -> object:
    return read_pickle(body, limits=DEFAULTS)


def problem(body: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        read(body)
    assert caught.value.codec == "pickled"
    return caught.value.problem


READ: dict[str, list[tuple[bytes, object]]] = {
    "PROTO": [(b"\x80\x00N.", None), (b"\x80\x05N.", None)],
    "STOP": [(b"N.", None)],
    "FRAME": [
        (P4 + frame(2) + b"N.", None),
        (P4 + frame(0) + b"N.", None),
        (P4 + frame(1) + b"N" + frame(1) + b".", None),
    ],
    "NONE": [(b"N.", None)],
    "NEWTRUE": [(b"\x88.", True)],
    "NEWFALSE": [(b"\x89.", False)],
    "INT": [(b"I5\n.", 5), (b"I-70000\n.", -70_000), (b"I01\n.", True), (b"I00\n.", False), (b"I001\n.", 1)],
    "LONG": [(b"L5L\n.", 5), (b"L-5\n.", -5), (b"L" + b"9" * 4299 + b"L\n.", 10**4299 - 1)],
    "BININT": [(b"J\xff\xff\xff\xff.", -1), (b"J\x00\x00\x00\x80.", -(2**31))],
    "BININT1": [(b"K\xff.", 255)],
    "BININT2": [(b"M\xff\x01.", 511)],
    "LONG1": [(b"\x8a\x00.", 0), (long1(-1) + b".", -1), (long1(2**100) + b".", 2**100)],
    "LONG4": [(long4(0) + b".", 0), (long4(1785, b"\xff" * 1784 + b"\x7f") + b".", 2**14279 - 1)],
    "FLOAT": [(b"F1.5\n.", 1.5), (b"F-1e-05\n.", -1e-05), (b"Finf\n.", math.inf), (b"F-inf\n.", -math.inf)],
    "BINFLOAT": [(floats(1.5) + b".", 1.5), (floats(-0.0) + b".", -0.0), (floats(math.nan) + b".", math.nan)],
    "STRING": [(b"S'abc'\n.", "abc"), (b'S"it\'s"\n.', "it's"), (b"S''\n.", "")],
    "BINSTRING": [(b"T\x03\x00\x00\x00abc.", "abc")],
    "SHORT_BINSTRING": [(b"U\x03abc.", "abc"), (b"U\x00.", "")],
    "UNICODE": [(b"Vabc\n.", "abc"), (b"Vcaf\xe9 \\u6709 \\U0001f3ad\n.", "caf\xe9 有 \U0001f3ad"), (b"V\n.", "")],
    "BINUNICODE": [(bintext("有内鬼") + b".", "有内鬼")],
    "SHORT_BINUNICODE": [(text("有") + b".", "有"), (text("") + b".", "")],
    "BINUNICODE8": [(b"\x8d\x03\x00\x00\x00\x00\x00\x00\x00abc.", "abc")],
    "BINBYTES": [(b"B\x02\x00\x00\x00\xff\x00.", b"\xff\x00")],
    "SHORT_BINBYTES": [(b"C\x02\xff\x00.", b"\xff\x00")],
    "BINBYTES8": [(b"\x8e\x01\x00\x00\x00\x00\x00\x00\x00\xff.", b"\xff")],
    "EMPTY_LIST": [(b"].", [])],
    "APPEND": [(b"]K\x01aK\x02a.", [1, 2])],
    "APPENDS": [(b"](K\x01K\x02e(K\x03e.", [1, 2, 3]), (b"](e.", [])],
    "LIST": [(b"(K\x01K\x02l.", [1, 2]), (b"(l.", []), (b"(lK\x01a.", [1])],
    "EMPTY_TUPLE": [(b").", ())],
    "TUPLE": [(b"(K\x01K\x02K\x03K\x04t.", (1, 2, 3, 4)), (b"(t.", ())],
    "TUPLE1": [(b"K\x01\x85.", (1,))],
    "TUPLE2": [(b"K\x01K\x02\x86.", (1, 2))],
    "TUPLE3": [(b"K\x01K\x02K\x03\x87.", (1, 2, 3))],
    "EMPTY_DICT": [(b"}.", {})],
    "DICT": [(b"(K\x01K\x02d.", {1: 2}), (b"(d.", {})],
    "SETITEM": [(b"}K\x01K\x02s.", {1: 2})],
    "SETITEMS": [(b"}(K\x01K\x02K\x03K\x04u(K\x01Nu.", {1: None, 3: 4}), (b"}(u.", {})],
    "EMPTY_SET": [(b"\x8f.", set())],
    "ADDITEMS": [(b"\x8f(K\x01K\x02\x90.", {1, 2}), (b"\x8f(\x90.", set())],
    "FROZENSET": [(b"(K\x01K\x02\x91.", frozenset({1, 2})), (b"(\x91.", frozenset())],
    "MARK": [(b"(t.", ())],
    "POP": [(b"NK\x010.", None), (b"N(0.", None)],
    "POP_MARK": [(b"N(K\x01K\x021.", None)],
    "DUP": [(b"K\x012\x86.", (1, 1))],
    "PUT": [(b"Np0\n0g0\n.", None)],
    "BINPUT": [(b"Nq\x050h\x05.", None)],
    "LONG_BINPUT": [(b"Nr\x05\x00\x00\x000j\x05\x00\x00\x00.", None)],
    "MEMOIZE": [(b"N\x940\x88\x940h\x01.", True)],
    "GET": [(b"Np7\n0g7\n.", None)],
    "BINGET": [(b"Nq\x000h\x00.", None)],
    "LONG_BINGET": [(b"Nq\x000j\x00\x00\x00\x00.", None)],
    "GLOBAL": [
        (glob("builtins", "complex") + floats(1.5, -2.0) + b"\x86R.", 1.5 - 2j),
        (glob("__builtin__", "set") + b"](K\x01K\x02e\x85R.", {1, 2}),
        (glob("__builtin__", "frozenset") + b"](K\x01e\x85R.", frozenset({1})),
        (glob("__builtin__", "bytes") + b")R.", b""),
        (glob("_codecs", "encode") + bintext("caf\xe9") + bintext("latin1") + b"\x86R.", b"caf\xe9"),
    ],
    "STACK_GLOBAL": [(stack_global("builtins", "complex") + floats(0.0, 1.0) + b"\x86R.", 1j)],
    "REDUCE": [(glob("builtins", "set") + b"]\x85R.", set())],
}

REFUSED: dict[str, tuple[bytes, str]] = {
    "INST": (b"(ios\nsystem\n.", "INST at byte 1 names os.system: code is never loaded from a message"),
    "OBJ": (b"(No.", "OBJ at byte 2 makes an instance of a class: code is never loaded from a message"),
    "NEWOBJ": (b"N)\x81.", "NEWOBJ at byte 2 makes an instance of a class: code is never loaded from a message"),
    "NEWOBJ_EX": (b"N)}\x92.", "NEWOBJ_EX at byte 3 makes an instance of a class: code is never loaded from a message"),
    "BUILD": (b"]}b.", "BUILD at byte 2 sets attributes of an object: only data is read"),
    "EXT1": (b"\x82\x01.", "EXT1 at byte 0 refers to a registered class: code is never loaded from a message"),
    "EXT2": (b"\x83\x01\x00.", "EXT2 at byte 0 refers to a registered class: code is never loaded from a message"),
    "EXT4": (
        b"\x84\x01\x00\x00\x00.",
        "EXT4 at byte 0 refers to a registered class: code is never loaded from a message",
    ),
    "PERSID": (b"Pid\n.", "PERSID at byte 0 refers to an object that is not in the message"),
    "BINPERSID": (b"NQ.", "BINPERSID at byte 1 refers to an object that is not in the message"),
    "BYTEARRAY8": (b"\x96\x00\x00\x00\x00\x00\x00\x00\x00.", "BYTEARRAY8 at byte 0 holds a bytearray: send bytes"),
    "NEXT_BUFFER": (b"\x97.", "NEXT_BUFFER at byte 0 refers to an object that is not in the message"),
    "READONLY_BUFFER": (b"N\x98.", "READONLY_BUFFER at byte 1 refers to an object that is not in the message"),
}


def test_the_table_has_every_opcode_of_the_format_under_its_name() -> None:
    assert {code.decode("latin-1"): name for code, (name, _) in TABLE.items()} == {
        opcode.code: opcode.name for opcode in pickletools.opcodes
    }
    assert pickle.HIGHEST_PROTOCOL == PROTOCOL_MAX


def test_every_opcode_is_either_read_or_refused_by_a_test() -> None:
    assert set(READ) | set(REFUSED) == {opcode.name for opcode in pickletools.opcodes}
    assert not set(READ) & set(REFUSED)


@pytest.mark.parametrize(
    ("name", "body", "value"), [(name, body, value) for name, cases in READ.items() for body, value in cases]
)
def test_an_opcode_of_data_is_read(name: str, body: bytes, value: object) -> None:
    assert name in {opcode.name for opcode, _, _ in pickletools.genops(body)}
    assert same(read(body), value)


@pytest.mark.parametrize("name", REFUSED)
def test_an_opcode_of_code_is_refused_with_its_name_and_offset(name: str) -> None:
    body, sentence = REFUSED[name]
    assert problem(body) == sentence


@pytest.mark.parametrize("code", sorted(set(range(256)) - {ord(opcode.code) for opcode in pickletools.opcodes}))
def test_what_is_no_opcode_is_refused(code: int) -> None:
    assert problem(b"N" + bytes([code])) == f"0x{code:02x} at byte 1 is no opcode of a pickle"


FAULTS: list[tuple[bytes, str]] = [
    # The end of the message.
    (b"", "the message ends at byte 0 without STOP"),
    (b"N", "the message ends at byte 1 without STOP"),
    (b".", "STOP at byte 0 needs a value, the stack has none"),
    (b"N..", "STOP at byte 1 is followed by 1 more bytes"),
    (b"N.\x00\x00", "STOP at byte 1 is followed by 2 more bytes"),
    (b"NN.", "STOP at byte 2 leaves 1 more values on the stack"),
    (b"(N.", "STOP at byte 2 leaves 0 more values on the stack"),
    (glob("builtins", "set") + b".", "STOP at byte 14 ends with the constructor set, which is no value"),
    (b"K", "BININT1 at byte 0 needs 1 bytes, 0 are left"),
    (b"\x8c\x05abc", "SHORT_BINUNICODE at byte 0 needs 5 bytes, 3 are left"),
    (b"X\xff\xff\xff\xffabc", "BINUNICODE at byte 0 needs 4,294,967,295 bytes, 3 are left"),
    (b"B\xff\xff\xff\x7fabc", "BINBYTES at byte 0 needs 2,147,483,647 bytes, 3 are left"),
    (b"\x8e" + b"\xff" * 8, "BINBYTES8 at byte 0 needs 18,446,744,073,709,551,615 bytes, 0 are left"),
    (b"\x8d" + b"\xff" * 7, "BINUNICODE8 at byte 0 needs 8 bytes, 7 are left"),
    (b"T\xff\xff\xff\xff", "BINSTRING at byte 0 needs 4,294,967,295 bytes, 0 are left"),
    (b"G\x00\x00", "BINFLOAT at byte 0 needs 8 bytes, 2 are left"),
    (b"I5", "INT at byte 0 has no end of line"),
    (b"cos", "GLOBAL at byte 0 has no end of line"),
    (b"cos\nsystem", "GLOBAL at byte 0 has no end of line"),
    (b"Vabc", "UNICODE at byte 0 has no end of line"),
    # Protocol and frames.
    (b"\x80\x06N.", "PROTO at byte 0 states protocol 6, the newest that is known is 5"),
    (b"\x80", "PROTO at byte 0 needs 1 bytes, 0 are left"),
    (b"N\x80\x04.", "PROTO at byte 1 is not at the beginning"),
    (P4 + frame(3) + b"N.", "FRAME at byte 2 states 3 bytes, 2 are left"),
    (P4 + frame(2**64 - 1) + b"N.", "FRAME at byte 2 states 18,446,744,073,709,551,615 bytes, 2 are left"),
    # Numbers.
    (b"I\n.", "INT at byte 0 holds b'', which is no integer of at most 4,299 digits"),
    (b"I1_0\n.", "INT at byte 0 holds b'1_0', which is no integer of at most 4,299 digits"),
    (b"I 5\n.", "INT at byte 0 holds b' 5', which is no integer of at most 4,299 digits"),
    (b"I5L\n.", "INT at byte 0 holds b'5L', which is no integer of at most 4,299 digits"),
    (b"I\xd9\xa5\n.", "INT at byte 0 holds b'\\xd9\\xa5', which is no integer of at most 4,299 digits"),
    (b"L5LL\n.", "LONG at byte 0 holds b'5L', which is no integer of at most 4,299 digits"),
    (b"LL\n.", "LONG at byte 0 holds b'', which is no integer of at most 4,299 digits"),
    (
        b"I" + b"9" * 4300 + b"\n.",
        "INT at byte 0 holds b'999999999999999999999999999999', which is no integer of at most 4,299 digits",
    ),
    (b"I" + b"9" * 100_000 + b"\n.", "INT at byte 0 has a line of more than 4,300 bytes"),
    (b"L" + b"9" * 100_000 + b"L\n.", "LONG at byte 0 has a line of more than 4,301 bytes"),
    (long4(1786, b"\xff" * 1786), "LONG4 at byte 0 states an integer of 1,786 bytes, the limit is 1,785"),
    (long4(2**31), "LONG4 at byte 0 states an integer of 2,147,483,648 bytes, the limit is 1,785"),
    (long4(2**32 - 1), "LONG4 at byte 0 states an integer of 4,294,967,295 bytes, the limit is 1,785"),
    (long4(5), "LONG4 at byte 0 needs 5 bytes, 0 are left"),
    (b"Fone\n.", "FLOAT at byte 0 holds b'one', which is no float"),
    (b"F1_0.5\n.", "FLOAT at byte 0 holds b'1_0.5', which is no float"),
    (b"F0x1p3\n.", "FLOAT at byte 0 holds b'0x1p3', which is no float"),
    (b"F" + b"1" * 100 + b"\n.", "FLOAT at byte 0 has a line of more than 64 bytes"),
    # Texts.
    (b"\x8c\x01\xff.", "SHORT_BINUNICODE at byte 0 holds text that is not UTF-8: byte 0xff at byte 0 of it"),
    (b"X\x04\x00\x00\x00caf\xe9.", "BINUNICODE at byte 0 holds text that is not UTF-8: byte 0xe9 at byte 3 of it"),
    (b"\x8c\x03\xed\xa0\x80.", "SHORT_BINUNICODE at byte 0 holds text that is not UTF-8: byte 0xed at byte 0 of it"),
    (b"V\\ud800\n.", "UNICODE at byte 0 holds text that is not Unicode: surrogates not allowed"),
    (b"V\\u12\n.", "UNICODE at byte 0 holds text that is not Unicode: truncated \\uXXXX escape"),
    (b"V\\U00110000\n.", "UNICODE at byte 0 holds text that is not Unicode: \\Uxxxxxxxx out of range"),
    (b"Sabc\n.", "STRING at byte 0 holds b'abc', which is no quoted text without escapes"),
    (b"S'abc\"\n.", "STRING at byte 0 holds b'\\'abc\"', which is no quoted text without escapes"),
    (b"S'\n.", 'STRING at byte 0 holds b"\'", which is no quoted text without escapes'),
    (b"S'a\\x41'\n.", "STRING at byte 0 holds b\"'a\\\\x41'\", which is no quoted text without escapes"),
    (b"S'caf\xe9'\n.", "STRING at byte 0 holds a text of Python 2 that is not ASCII: its encoding is not known"),
    (b"U\x01\xe9.", "SHORT_BINSTRING at byte 0 holds a text of Python 2 that is not ASCII: its encoding is not known"),
    # The stack.
    (b"0.", "POP at byte 0 needs a value, the stack has none"),
    (b"2.", "DUP at byte 0 needs a value, the stack has none"),
    (b"1.", "POP_MARK at byte 0 needs a mark, none is set"),
    (b"t.", "TUPLE at byte 0 needs a mark, none is set"),
    (b"K\x01\x86.", "TUPLE2 at byte 2 needs a value, the stack has none"),
    (b"K\x01(\x85.", "TUPLE1 at byte 3 needs a value, the stack has none"),
    (b"N(a.", "APPEND at byte 2 needs a value, the stack has none"),
    (b"N(K\x01a.", "APPEND at byte 4 needs a value, the stack has none"),
    (b"NK\x01a.", "APPEND at byte 3 adds to a NoneType, it needs a list"),
    (b"}(K\x01e.", "APPENDS at byte 4 adds to a dict, it needs a list"),
    (b"](K\x01K\x02u.", "SETITEMS at byte 6 adds to a list, it needs a dict"),
    (b"]NNs.", "SETITEM at byte 3 adds to a list, it needs a dict"),
    (b"](K\x01\x90.", "ADDITEMS at byte 4 adds to a list, it needs a set"),
    (b"}(K\x01u.", "SETITEMS at byte 4 needs keys with values, it has 1 of both"),
    (b"(K\x01d.", "DICT at byte 3 needs keys with values, it has 1 of both"),
    # The memo.
    (b"q\x00.", "BINPUT at byte 0 needs a value, the stack has none"),
    (b"N(q\x00.", "BINPUT at byte 2 needs a value, the stack has none"),
    (b"\x94.", "MEMOIZE at byte 0 needs a value, the stack has none"),
    (b"h\x00.", "BINGET at byte 0 refers to value 0, which was not remembered"),
    (b"j\xff\xff\xff\xff.", "LONG_BINGET at byte 0 refers to value 4,294,967,295, which was not remembered"),
    (b"g5\n.", "GET at byte 0 refers to value 5, which was not remembered"),
    (b"g-1\n.", "GET at byte 0 holds b'-1', which is no index"),
    (b"Np\n.", "PUT at byte 1 holds b'', which is no index"),
    (b"Np\xb2\n.", "PUT at byte 1 holds b'\\xb2', which is no index"),
    (b"Np" + b"1" * 21 + b"\n.", "PUT at byte 1 has a line of more than 20 bytes"),
    # Keys.
    (b"}]Ns.", "SETITEM at byte 3 uses a list as a key, which cannot be one"),
    (b"}}Ns.", "SETITEM at byte 3 uses a dict as a key, which cannot be one"),
    (b"\x8f(\x8f\x90.", "ADDITEMS at byte 3 uses a set as a key, which cannot be one"),
    (b"(]\x91.", "FROZENSET at byte 2 uses a list as a key, which cannot be one"),
    (b"}]\x85Ns.", "SETITEM at byte 4 uses a tuple as a key with a list, dict or set in it"),
    # Constructors.
    (b"]" + glob("builtins", "set") + b"a.", "APPEND at byte 15 uses the constructor set as a value"),
    (b"}" + glob("builtins", "set") + b"Ns.", "SETITEM at byte 16 uses the constructor set as a value"),
    (glob("builtins", "set") + b"\x85.", "TUPLE1 at byte 14 uses the constructor set as a value"),
    (b"N)R.", "REDUCE at byte 2 calls a NoneType, which is no constructor"),
    (text("set") + b")R.", "REDUCE at byte 6 calls a str, which is no constructor"),
    (glob("builtins", "set") + b"]R.", "REDUCE at byte 15 calls set with a list, it needs a tuple"),
    (glob("builtins", "set") + b")R.", "REDUCE at byte 15 calls set or frozenset with anything but one list"),
    (glob("builtins", "frozenset") + b"}\x85R.", "REDUCE at byte 22 calls set or frozenset with anything but one list"),
    (glob("builtins", "set") + b"]\x85]\x86R.", "REDUCE at byte 18 calls set or frozenset with anything but one list"),
    (glob("builtins", "set") + b"]]a\x85R.", "REDUCE at byte 18 uses a list as a key, which cannot be one"),
    (glob("builtins", "complex") + b"K\x01K\x02\x86R.", "REDUCE at byte 23 calls complex with anything but two floats"),
    (
        glob("builtins", "complex") + floats(1.0) + b"\x85R.",
        "REDUCE at byte 28 calls complex with anything but two floats",
    ),
    (glob("builtins", "bytes") + b"K\x05\x85R.", "REDUCE at byte 19 calls bytes with arguments"),
    (
        glob("_codecs", "encode") + text("a") + text("utf-8") + b"\x86R.",
        "REDUCE at byte 27 calls encode with anything but a text and 'latin1'",
    ),
    (
        glob("_codecs", "encode") + text("a") + b"\x85R.",
        "REDUCE at byte 20 calls encode with anything but a text and 'latin1'",
    ),
    (
        glob("_codecs", "encode") + text("a有") + text("latin1") + b"\x86R.",
        "REDUCE at byte 31 calls encode with a character above U+00FF at index 1",
    ),
    (b"K\x01" + text("set") + b"\x93.", "STACK_GLOBAL at byte 7 needs two names, it has a int and a str"),
    (b"N\x93.", "STACK_GLOBAL at byte 1 needs a value, the stack has none"),
    (b"c" + b"a" * 300 + b"\nb\n.", "GLOBAL at byte 0 has a line of more than 256 bytes"),
]


@pytest.mark.parametrize(("body", "sentence"), FAULTS, ids=range(len(FAULTS)))
def test_a_fault_is_told_with_the_opcode_and_its_offset(body: bytes, sentence: str) -> None:
    assert problem(body) == sentence


VALUES: list[object] = [
    *(None, True, False, 0, 255, 256, 65_535, 65_536, -1, 2**31, -(2**31) - 1, 2**63, -(2**100), 2**2040, -(2**14_279)),
    *(0.0, -0.0, 1e-300, math.inf, -math.inf, math.nan, 1j, complex(-0.0, math.nan)),
    *(
        "",
        "a",
        "a" * 256,
        "有内鬼, 终止交易!",
        "\\ \n \x00 \x1a \r 'q' \"",
        "\ufeff\U0010ffff",
        "\\u0041",
        b"",
        b"\xff" * 300,
    ),
    *([], [[]], [1] * 3000, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((),), {}, {"a": {"b": []}}),
    *(dict.fromkeys(range(3000)), set(), {1, "a", (2, frozenset({3}))}, frozenset(), frozenset({frozenset()})),
    {1: "Client", 2: "Server"},
    {("a", 1): [b"x", {1.5: None}], True: 2j, None: {b"k"}},
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_python_pickles_is_read(value: object, protocol: int) -> None:
    body = pickle.dumps(value, protocol=protocol)
    assert same(read(body), value)
    assert same(read(pickletools.optimize(body)), value)


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
)
KEYS = st.recursive(
    ATOMS, lambda inner: st.tuples(inner) | st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5
)
ANY = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(KEYS, inner)
        | st.tuples(inner)
        | st.tuples(inner, inner, inner, inner)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
    ),
    max_leaves=25,
)


@given(ANY)
def test_whatever_python_pickles_is_read(value: object) -> None:
    for protocol in PROTOCOLS:
        assert read(pickle.dumps(value, protocol=protocol)) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shared_parts_stay_shared(protocol: int) -> None:
    part: list[object] = [1]
    back = read(pickle.dumps({"a": part, "b": (part, part)}, protocol=protocol))
    assert isinstance(back, dict)
    assert back["a"] is back["b"][0] is back["b"][1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_value_that_contains_itself_is_refused(protocol: int) -> None:
    loop: list[object] = []
    loop.append(loop)
    ring: dict[str, object] = {}
    ring["a"] = [ring]
    pair: tuple[list[object]] = ([],)
    pair[0].append(pair)
    for value in (loop, ring, pair):
        assert problem(pickle.dumps(value, protocol=protocol)).endswith(
            "adds to a value that is part of another one or of itself: values that contain themselves are refused"
        )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_cut_anywhere_is_refused(protocol: int) -> None:
    body = pickle.dumps(VALUES[:20] + VALUES[-2:], protocol=protocol)
    for end in range(len(body)):
        assert problem(body[:end])


PIECES = [code for code in TABLE if code != b"."]


@given(
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=3) | st.sampled_from([b"1\n", b"(](", b"]}", b"e.", b"u."]))
)
def test_any_opcodes_make_a_value_or_an_error(pieces: list[bytes]) -> None:
    for body in (b"".join(pieces), b"](" + b"".join(pieces) + b"e."):
        try:
            value = read(body)
        except DecodeError:
            continue
        assert same(read(pickle.dumps(value)), value)


def test_the_names_that_are_known_are_these() -> None:
    assert sorted(CONSTRUCTORS) == [
        ("__builtin__", "bytes"),
        ("__builtin__", "complex"),
        ("__builtin__", "frozenset"),
        ("__builtin__", "set"),
        ("_codecs", "encode"),
        ("builtins", "bytes"),
        ("builtins", "complex"),
        ("builtins", "frozenset"),
        ("builtins", "set"),
    ]
