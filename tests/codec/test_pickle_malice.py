"""Pickles made to run code, to name things, to hang or to fill the memory: each is refused by opcode and offset."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.codec import make_codec
from anyplug.errors import DecodeError
from tests.codec.pickles import P4, bintext, floats, frame, glob, long4, memoized, stack_global, text

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = b"touch canary"
"""What a pickle that is obeyed does in the folder of the test."""

RUN = text(COMMAND.decode())


CODE: list[tuple[str, bytes, str]] = [
    # Names: as protocols 0 to 5 write them, through aliases, packages, attributes of attributes.
    ("os.system", b"cos\nsystem\n" + RUN + b"\x85R.", "GLOBAL at byte 0 names os.system"),
    ("os.system of protocol 2", b"\x80\x02cos\nsystem\n(" + RUN + b"tR.", "GLOBAL at byte 2 names os.system"),
    ("posix.system", glob("posix", "system") + RUN + b"\x85R.", "GLOBAL at byte 0 names posix.system"),
    ("nt.system", glob("nt", "system") + RUN + b"\x85R.", "GLOBAL at byte 0 names nt.system"),
    (
        "system of protocol 4",
        P4 + stack_global("os", "system") + RUN + b"\x85R.",
        "STACK_GLOBAL at byte 14 names os.sys",
    ),
    (
        "inside a frame",
        P4 + frame(27) + stack_global("os", "system") + RUN + b".",
        "STACK_GLOBAL at byte 23 names os.sy",
    ),
    (
        "dotted name",
        P4 + stack_global("os", "path.os.system") + b".",
        "STACK_GLOBAL at byte 22 names os.path.os.system",
    ),
    ("sys.modules", P4 + stack_global("collections", "_sys.modules") + b".", "names collections._sys.modules"),
    ("dotted on an allowed module", stack_global("builtins", "complex.__class__") + b".", "builtins.complex.__class__"),
    ("eval", glob("builtins", "eval") + RUN + b"\x85R.", "GLOBAL at byte 0 names builtins.eval"),
    ("exec of Python 2", glob("__builtin__", "execfile") + RUN + b"\x85R.", "names __builtin__.execfile"),
    ("getattr", glob("builtins", "getattr") + b".", "names builtins.getattr"),
    ("open", glob("io", "open") + RUN + text("w") + b"\x86R.", "GLOBAL at byte 0 names io.open"),
    ("__import__", glob("builtins", "__import__") + text("this") + b"\x85R.", "names builtins.__import__"),
    ("subprocess", glob("subprocess", "Popen") + RUN + b"\x85R.", "names subprocess.Popen"),
    ("pip", glob("pip", "main") + b"](" + RUN + b"e\x85R.", "GLOBAL at byte 0 names pip.main"),
    ("runpy", glob("runpy", "run_path") + RUN + b"\x85R.", "names runpy.run_path"),
    ("pickle in a pickle", glob("pickle", "loads") + b"C\x01N\x85R.", "names pickle.loads"),
    ("copyreg", glob("copyreg", "_reconstructor") + b".", "names copyreg._reconstructor"),
    ("extension registry", glob("copyreg", "add_extension") + b".", "names copyreg.add_extension"),
    ("functools", glob("functools", "partial") + b".", "names functools.partial"),
    ("operator", glob("operator", "attrgetter") + b".", "names operator.attrgetter"),
    ("ctypes", glob("ctypes", "CDLL") + b".", "names ctypes.CDLL"),
    ("our own package", glob("anyplug", "Server") + b".", "names anyplug.Server"),
    ("a builtin we do not need", glob("builtins", "bytearray") + b".", "names builtins.bytearray"),
    ("a builtin class", glob("builtins", "int") + b".", "names builtins.int"),
    ("another codec", glob("_codecs", "decode") + b".", "names _codecs.decode"),
    ("the public codecs", glob("codecs", "encode") + b".", "names codecs.encode"),
    ("another case", glob("Builtins", "Set") + b".", "names Builtins.Set"),
    ("a space behind", glob("builtins", "set ") + b".", "names builtins.set "),
    ("a CR before the LF", b"cbuiltins\r\nset\r\n.", "names builtins\\r.set\\r"),
    ("a NUL", glob("builtins", "set\x00") + b".", "names builtins.set\\x00"),
    ("a name for a terminal", glob("os", "\x1b]0;pwned\x07") + b".", "GLOBAL at byte 0 names os.\\x1b]0;pwned\\x07"),
    ("a name that is not ASCII", "cos\nsyst\u00e9m\n.".encode(), "names os.syst\u00e9m"),
    ("a long name", P4 + bintext("os") + bintext("a" * 100_000) + b"\x93.", "a" * 200),
    # Instances, state, registries, persistent ids, buffers.
    ("INST", b"(" + RUN + b"ios\nsystem\n.", "INST at byte 15 names os.system"),
    ("OBJ", b"(" + glob("os", "system") + RUN + b"o.", "GLOBAL at byte 1 names os.system"),
    ("OBJ of a constructor", b"(" + glob("builtins", "set") + b"o.", "OBJ at byte 15 makes an instance of a class"),
    ("NEWOBJ", glob("builtins", "set") + b")\x81.", "NEWOBJ at byte 15 makes an instance of a class"),
    ("NEWOBJ_EX", glob("builtins", "set") + b")}\x92.", "NEWOBJ_EX at byte 16 makes an instance of a class"),
    ("BUILD", b"]}" + text("append") + RUN + b"sb.", "BUILD at byte 25 sets attributes of an object"),
    ("BUILD of a constructor", glob("builtins", "set") + b"}b.", "BUILD at byte 15 sets attributes of an object"),
    ("EXT1", b"\x82\xf0.", "EXT1 at byte 0 refers to a registered class"),
    ("EXT2", b"\x83\xf0\x01.", "EXT2 at byte 0 refers to a registered class"),
    ("EXT4", b"\x84\xf0\x01\x00\x00.", "EXT4 at byte 0 refers to a registered class"),
    ("PERSID", b"P" + COMMAND + b"\n.", "PERSID at byte 0 refers to an object that is not in the message"),
    ("BINPERSID", RUN + b"Q.", "BINPERSID at byte 14 refers to an object that is not in the message"),
    ("NEXT_BUFFER", b"\x80\x05\x97.", "NEXT_BUFFER at byte 2 refers to an object that is not in the message"),
    ("READONLY_BUFFER", b"\x80\x05C\x00\x98.", "READONLY_BUFFER at byte 4 refers to an object that is not in the mes"),
    ("BYTEARRAY8", b"\x80\x05\x96" + bytes(8) + b".", "BYTEARRAY8 at byte 2 holds a bytearray"),
    # Calls of what is allowed, with what is not.
    ("REDUCE of a text", RUN + RUN + b"\x85R.", "REDUCE at byte 29 calls a str, which is no constructor"),
    ("REDUCE with itself", glob("builtins", "set") + b"\x94h\x00\x85R.", "TUPLE1 at byte 17 uses the constructor set"),
    ("a set of another set", glob("builtins", "set") + b"\x8f\x85R.", "REDUCE at byte 16 calls set or frozenset with"),
    ("a set of a text", glob("builtins", "set") + RUN + b"\x85R.", "REDUCE at byte 29 calls set or frozenset with any"),
    (
        "complex of a text",
        glob("builtins", "complex") + text("1") + b"\x85R.",
        "calls complex with anything but two fl",
    ),
    (
        "bytes of a size",
        glob("builtins", "bytes") + b"J\xff\xff\xff\x7f\x85R.",
        "REDUCE at byte 22 calls bytes with argu",
    ),
    (
        "encode by another codec",
        glob("_codecs", "encode") + RUN + text("rot13") + b"\x86R.",
        "REDUCE at byte 38 calls encode with anything but a text and 'latin1'",
    ),
    (
        "encode with an error handler",
        glob("_codecs", "encode") + RUN + text("latin1") + text("xmlcharrefreplace") + b"\x87R.",
        "calls encode with anything but a text and 'latin1'",
    ),
    ("a constructor as a value", b"]" + glob("builtins", "set") + b"a.", "APPEND at byte 15 uses the constructor set"),
    ("a constructor as the answer", glob("builtins", "set") + b".", "STOP at byte 14 ends with the constructor set"),
    # Text that is evaluated elsewhere.
    ("escapes of Python 2", b"S'\\x74ouch'\n.", "STRING at byte 0 holds b\"'\\\\x74ouch'\""),
    ("code in a STRING", b"S__import__('os')\n.", "STRING at byte 0 holds b\"__import__('os')\""),
    ("code in an INT", b"I__import__('os')\n.", "INT at byte 0 holds b\"__import__('os')\""),
    ("code in a FLOAT", b"F__import__('os')\n.", "FLOAT at byte 0 holds b\"__import__('os')\""),
]

LOAD: list[tuple[str, bytes, str]] = [
    ("memo index", P4 + b"N" + memoized(80_000_000) + b"N.", "STOP at byte 9 leaves 1 more values on the stack"),
    ("deep lists", b"](" * 100_000 + b"e" * 100_000 + b".", "MARK at byte 257 nests deeper than 128 levels"),
    ("deep tuples", b")" + b"\x85" * 100_000 + b".", "TUPLE1 at byte 128 nests deeper than 128 levels"),
    ("marks", b"(" * 100_000, "MARK at byte 128 nests deeper than 128 levels"),
    ("huge LONG4", long4(2**31 - 1) + b"\x00" * 100, "LONG4 at byte 0 states an integer of 2,147,483,647 bytes"),
    ("huge LONG text", b"L" + b"9" * 1_000_000 + b"L\n.", "LONG at byte 0 has a line of more than 4,301 bytes"),
    ("huge text", b"X\xff\xff\xff\xff", "BINUNICODE at byte 0 needs 4,294,967,295 bytes"),
    ("huge bytes", b"\x8e" + b"\xff" * 8, "BINBYTES8 at byte 0 needs 18,446,744,073,709,551,615 bytes"),
    ("huge frame", P4 + frame(2**63), "FRAME at byte 2 states 9,223,372,036,854,775,808 bytes"),
    ("laughs", b"K\x01\x85" + b"2\x86" * 60 + b".", "TUPLE2 at byte 48 makes a value of more than 16,777,216 bytes by"),
    ("laughs of lists", b"]K\x01a" + b"\x94](h\x00h\x00e" * 40 + b".", "at byte"),
    ("empty sets", b"](" + b"\x8f" * 200_000 + b"e.", "makes more than 115,537 containers"),
    ("not UTF-8", b"\x8c\x02\xc3\x28.", "SHORT_BINUNICODE at byte 0 holds text that is not UTF-8"),
    ("half of a pair", b"V\\udcff\n.", "UNICODE at byte 0 holds text that is not Unicode"),
    ("itself", b"]\x94h\x00a.", "APPEND at byte 4 adds to a value that is part of another one or of itself"),
    ("after the end", b"N." + b"cos\nsystem\n" + RUN + b"\x85R.", "STOP at byte 1 is followed by 28 more bytes"),
    ("nothing", b"", "the message ends at byte 0 without STOP"),
    ("text and no pickle", b"hello, world\n", "BINGET at byte 0 refers to value 101"),
    ("JSON", b'{"a": 1}', "0x7b at byte 0 is no opcode"),
]


@pytest.mark.parametrize(("body", "sentence"), [case[1:] for case in CODE], ids=[case[0] for case in CODE])
def test_code_is_refused_and_does_not_run(
    body: bytes, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = set(sys.modules)
    for kind in (Any, dict[str, Any]):
        with pytest.raises(DecodeError) as caught:
            make_codec("pickled", kind).decode(body)
        assert sentence in caught.value.problem
        assert " at byte " in caught.value.problem
        assert caught.value.problem.isprintable()
        assert len(caught.value.problem) < 700
    assert list(tmp_path.iterdir()) == []
    assert set(sys.modules) == loaded


@pytest.mark.parametrize(("body", "sentence"), [case[1:] for case in LOAD], ids=[case[0] for case in LOAD])
def test_what_is_made_to_fill_memory_or_to_hang_is_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(DecodeError) as caught:
        make_codec("pickled").decode(body)
    assert sentence in caught.value.problem


NEVER = [case for case in CODE if case[0] != "a constructor as the answer"]  # it may be dropped again


@pytest.mark.parametrize("body", [case[1] for case in NEVER], ids=[case[0] for case in NEVER])
def test_code_is_refused_wherever_it_stands(body: bytes) -> None:
    inner = body.removeprefix(P4).removesuffix(b".")
    for wrapped in (b"](" + inner + b"e.", b"}" + text("key") + inner + b"s.", floats(1.0) + b"0" + inner + b"0N."):
        with pytest.raises(DecodeError):
            make_codec("pickled").decode(wrapped)
