"""Every error, its whole sentence, its facts, whose fault it is; and the codes that cross the wire."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
import re

import pytest

from anyplug import errors
from anyplug.errors import (
    AddressError,
    AnyplugError,
    BeyondEnd,
    BindError,
    Broken,
    Changed,
    Code,
    ConfigError,
    Conflict,
    ConnectError,
    ConnectionClosed,
    DecodeError,
    EncodeError,
    Gap,
    LocalError,
    PeerError,
    PostRefused,
    ProtocolError,
    Refused,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFailed,
    StoreFull,
    Timeout,
    TooLarge,
)

# The error, its facts, its code, its sentence.
TABLE: list[tuple[AnyplugError, dict[str, object], Code, str]] = [
    (AnyplugError("a sentence"), {}, Code.OK, "a sentence"),
    (LocalError("a sentence"), {}, Code.OK, "a sentence"),
    (
        AddressError("tpc://h:1", part="scheme", found="tpc", expected="plug or tcp", nearest="tcp://h:1"),
        {"address": "tpc://h:1", "part": "scheme", "found": "tpc", "expected": "plug or tcp", "nearest": "tcp://h:1"},
        Code.OK,
        "'tpc://h:1' is not an address: the scheme is 'tpc', expected plug or tcp; did you mean tcp://h:1?",
    ),
    (
        AddressError("tcp://\x1b", part="port", found="", expected="a number"),
        {"address": "tcp://\x1b", "part": "port", "found": "", "expected": "a number", "nearest": ""},
        Code.OK,
        r"'tcp://\x1b' is not an address: the port is nothing, expected a number",
    ),
    (
        ConfigError("anyplug.toml", where="listeners[0].adress", problem="unknown key; did you mean address?", line=7),
        {
            "file": "anyplug.toml",
            "where": "listeners[0].adress",
            "problem": "unknown key; did you mean address?",
            "line": 7,
        },
        Code.OK,
        "anyplug.toml:7: listeners[0].adress: unknown key; did you mean address?",
    ),
    (
        ConfigError("anyplug.toml", where="", problem="not TOML"),
        {"file": "anyplug.toml", "where": "", "problem": "not TOML", "line": 0},
        Code.OK,
        "anyplug.toml: not TOML",
    ),
    (
        ConfigError("a.toml", where="limits", problem="no table"),
        {"file": "a.toml", "where": "limits", "problem": "no table", "line": 0},
        Code.OK,
        "a.toml: limits: no table",
    ),
    (
        EncodeError("json", "$.x is a set; send a list"),
        {"codec": "json", "problem": "$.x is a set; send a list"},
        Code.OK,
        "cannot be sent as json: $.x is a set; send a list",
    ),
    (
        BindError("tcp://127.0.0.1:80", "ports below 1024 need a privilege; take another", errno=13),
        {
            "address": "tcp://127.0.0.1:80",
            "problem": "ports below 1024 need a privilege; take another",
            "errno": 13,
        },
        Code.OK,
        "cannot listen on tcp://127.0.0.1:80: ports below 1024 need a privilege; take another",
    ),
    (
        BindError("unix:///a", "in use"),
        {"address": "unix:///a", "problem": "in use", "errno": 0},
        Code.OK,
        "cannot listen on unix:///a: in use",
    ),
    (
        StoreError("/s", "it is closed"),
        {"path": "/s", "problem": "it is closed"},
        Code.OK,
        "the store /s: it is closed",
    ),
    (
        StoreFailed("/s", "disk I/O error"),
        {"path": "/s", "problem": "disk I/O error"},
        Code.STORE_FAILED,
        "the store /s has stopped: disk I/O error; mend the disk, then start the server again",
    ),
    (
        StoreFull("/s", "5 bytes are free"),
        {"path": "/s", "problem": "5 bytes are free"},
        Code.STORE_FULL,
        "the store /s is full: 5 bytes are free; reads go on, free some room and try again",
    ),
    (
        StoreBusy("/s", "process 7 has it"),
        {"path": "/s", "problem": "process 7 has it"},
        Code.OK,
        "the store /s is in use: process 7 has it",
    ),
    (
        StoreDamaged("/s/a.db", "page 3"),
        {"path": "/s/a.db", "problem": "page 3"},
        Code.STORE_FAILED,
        "the store file /s/a.db is damaged: page 3; restore it from a backup",
    ),
    (
        Gap("0a", expected=5, found=9),
        {"producer": "0a", "expected": 5, "found": 9},
        Code.GAP,
        "producer 0a: sequence 9 came, expected 5; send again from there",
    ),
    (
        Conflict("0a", sequence=5),
        {"producer": "0a", "sequence": 5},
        Code.CONFLICT,
        "producer 0a: sequence 5 came before with other content; a producer restored from a copy needs a new identity",
    ),
    (
        BeyondEnd("log", position=9, last=4),
        {"topic": "log", "position": 9, "last": 4},
        Code.BEYOND_END,
        "topic 'log': position 9 does not exist yet, the last one is 4",
    ),
    (
        Changed("config", expected=3, found=4),
        {"key": "config", "expected": 3, "found": 4},
        Code.CHANGED,
        "key 'config' has version 4, expected 3; read it again",
    ),
    (PeerError("a sentence"), {}, Code.PROTOCOL, "a sentence"),
    (
        ProtocolError("frame kind 99 is unknown"),
        {"problem": "frame kind 99 is unknown", "code": Code.PROTOCOL},
        Code.PROTOCOL,
        "frame kind 99 is unknown",
    ),
    (
        ProtocolError("too slow", code=Code.SLOW),
        {"problem": "too slow", "code": Code.SLOW},
        Code.SLOW,
        "too slow",
    ),
    (
        TooLarge("message", size=16_777_217, limit=16_777_216),
        {
            "what": "message",
            "size": 16_777_217,
            "limit": 16_777_216,
            "unit": "bytes",
            "problem": "message too large: 16,777,217 bytes, the limit is 16,777,216 bytes",
            "code": Code.TOO_LARGE,
        },
        Code.TOO_LARGE,
        "message too large: 16,777,217 bytes, the limit is 16,777,216 bytes",
    ),
    (
        TooLarge("nesting", size=None, limit=128, unit="levels"),
        {
            "what": "nesting",
            "size": None,
            "limit": 128,
            "unit": "levels",
            "problem": "nesting too large: more, the limit is 128 levels",
            "code": Code.TOO_LARGE,
        },
        Code.TOO_LARGE,
        "nesting too large: more, the limit is 128 levels",
    ),
    (
        DecodeError("json", "unexpected end at byte 3"),
        {"codec": "json", "problem": "unexpected end at byte 3"},
        Code.BAD_MESSAGE,
        "not a valid json message: unexpected end at byte 3",
    ),
    (
        Refused(Code.UNKNOWN_SERVICE, "no service 'ehco'"),
        {"code": Code.UNKNOWN_SERVICE, "text": "no service 'ehco'"},
        Code.UNKNOWN_SERVICE,
        "refused (unknown_service): no service 'ehco'",
    ),
    (Refused(Code.BUSY), {"code": Code.BUSY, "text": ""}, Code.BUSY, "refused (busy)"),
    (
        PostRefused(Code.GAP, "7 is next", sequence=7),
        {"code": Code.GAP, "text": "7 is next", "sequence": 7},
        Code.GAP,
        "refused (gap): 7 is next",
    ),
    (ConnectionClosed(), {"code": Code.OK, "text": ""}, Code.OK, "the connection is closed"),
    (
        ConnectionClosed(Code.GOING_AWAY),
        {"code": Code.GOING_AWAY, "text": ""},
        Code.GOING_AWAY,
        "the connection is closed (going_away)",
    ),
    (
        ConnectionClosed(Code.IDLE, "nothing said for 60 s"),
        {"code": Code.IDLE, "text": "nothing said for 60 s"},
        Code.IDLE,
        "the connection is closed (idle): nothing said for 60 s",
    ),
    (
        ConnectionClosed(text="bye"),
        {"code": Code.OK, "text": "bye"},
        Code.OK,
        "the connection is closed: bye",
    ),
    (
        Broken("reset by the peer"),
        {"problem": "reset by the peer"},
        Code.OK,
        "the connection broke: reset by the peer",
    ),
    (
        ConnectError("tcp://h:1", step="connect", problem="refused", remedy="is the server running?", errno=111),
        {
            "address": "tcp://h:1",
            "step": "connect",
            "problem": "refused",
            "remedy": "is the server running?",
            "errno": 111,
        },
        Code.OK,
        "cannot connect to tcp://h:1: refused (step: connect); is the server running?",
    ),
    (
        ConnectError("tcp://h:1", step="resolve", problem="no such name", remedy="check the name"),
        {"address": "tcp://h:1", "step": "resolve", "problem": "no such name", "remedy": "check the name", "errno": 0},
        Code.OK,
        "cannot connect to tcp://h:1: no such name (step: resolve); check the name",
    ),
    (Timeout("greeting", 5.0), {"what": "greeting", "seconds": 5.0}, Code.OK, "greeting: no answer within 5 s"),
    (Timeout("reply", 0.25), {"what": "reply", "seconds": 0.25}, Code.OK, "reply: no answer within 0.25 s"),
]

# Each error, and what else it is caught as.
PARENTS: dict[type[AnyplugError], tuple[type[BaseException], ...]] = {
    AnyplugError: (Exception,),
    LocalError: (AnyplugError,),
    AddressError: (LocalError, ValueError),
    ConfigError: (LocalError,),
    EncodeError: (LocalError,),
    BindError: (LocalError,),
    StoreError: (LocalError,),
    StoreFailed: (StoreError,),
    StoreFull: (StoreError,),
    StoreBusy: (StoreError,),
    StoreDamaged: (StoreError,),
    Gap: (LocalError,),
    Conflict: (LocalError,),
    BeyondEnd: (LocalError,),
    Changed: (LocalError,),
    PeerError: (AnyplugError,),
    ProtocolError: (PeerError,),
    TooLarge: (ProtocolError,),
    DecodeError: (PeerError,),
    Refused: (PeerError,),
    PostRefused: (Refused,),
    ConnectionClosed: (AnyplugError,),
    Broken: (AnyplugError,),
    ConnectError: (AnyplugError,),
    Timeout: (AnyplugError, TimeoutError),
}

CODES = {
    "OK": 0,
    "BUSY": 1,
    "GOING_AWAY": 2,
    "IDLE": 3,
    "SLOW": 4,
    "UNKNOWN_SERVICE": 10,
    "UNKNOWN_VERSION": 11,
    "UNKNOWN_CODEC": 12,
    "NOT_ALLOWED": 13,
    "UNSUPPORTED": 14,
    "PROTOCOL": 20,
    "TOO_LARGE": 21,
    "BAD_MESSAGE": 22,
    "FAILED": 30,
    "STORE_FULL": 40,
    "STORE_FAILED": 41,
    "GAP": 42,
    "CONFLICT": 43,
    "CHANGED": 44,
    "BEYOND_END": 45,
    "TAKEN_OVER": 46,
    "NOT_FOUND": 50,
    "INTEGRITY": 51,
}


def kinds() -> set[type[AnyplugError]]:
    public = (getattr(errors, name) for name in errors.__all__)
    return {each for each in public if isinstance(each, type) and issubclass(each, AnyplugError)}


@pytest.mark.parametrize(("error", "facts", "code", "sentence"), TABLE)
def test_an_error_holds_its_facts_and_says_them_in_one_sentence(
    error: AnyplugError, facts: dict[str, object], code: Code, sentence: str
) -> None:
    assert str(error) == sentence
    assert vars(error) == facts
    assert error.code is code


def test_every_error_is_in_the_table_and_in_the_tree() -> None:
    assert {type(error) for error, *_ in TABLE} == kinds()
    assert set(PARENTS) == kinds()
    assert sorted(errors.__all__) == sorted([*(kind.__name__ for kind in kinds()), "Code"])


@pytest.mark.parametrize(("kind", "parents"), PARENTS.items())
def test_an_error_is_caught_by_whose_fault_it_is(
    kind: type[AnyplugError], parents: tuple[type[BaseException], ...]
) -> None:
    assert kind.__bases__ == parents


def test_an_error_is_the_fault_of_one_side_or_of_the_world() -> None:
    assert not issubclass(LocalError, PeerError)
    for kind in (ConnectionClosed, Broken, ConnectError, Timeout):
        assert not issubclass(kind, LocalError | PeerError)


def test_the_drawing_of_the_tree_shows_every_error_under_what_it_is() -> None:
    trail: list[str] = []
    drawn = []
    for indent, name in re.findall(r"^    ([│├└─ ]*)([A-Z]\w+)(?=  | *$)", str(errors.__doc__), re.MULTILINE):
        del trail[len(indent) // 4 :]
        drawn.append(name)
        assert all(issubclass(getattr(errors, name), getattr(errors, above)) for above in trail), name
        trail.append(name)
    assert sorted(drawn) == sorted(kind.__name__ for kind in kinds())


def test_every_fact_is_described_and_can_be_given() -> None:
    for error, facts, *_ in TABLE:
        docs = "\n".join(str(kind.__doc__) for kind in type(error).__mro__ if issubclass(kind, AnyplugError))
        assert [name for name in facts if not re.search(rf"^ +{name}: ", docs, re.MULTILINE)] == []
        if "__init__" in vars(type(error)):
            assert set(inspect.signature(type(error)).parameters) <= set(facts)


def test_the_codes_keep_their_numbers() -> None:
    assert {code.name: code.value for code in Code} == CODES
    assert set(Code.__members__) == set(CODES)
    assert all(0 <= code < 1 << 16 for code in Code)


def test_a_code_is_written_as_a_word() -> None:
    assert {code.word for code in Code} == {name.lower() for name in CODES}
    assert Code.UNKNOWN_SERVICE.word == "unknown_service"


def test_a_number_that_is_no_code_is_refused() -> None:
    with pytest.raises(ValueError, match="5 is not a valid Code"):
        Code(5)


def test_every_public_name_is_described() -> None:
    tree = ast.parse(inspect.getsource(errors))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            assert (ast.get_docstring(node) or "").split("\n")[0].endswith("."), node.name
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    assert ast.get_docstring(method), f"{node.name}.{method.name}"
    tree = ast.parse(inspect.getsource(inspect.getmodule(Code) or errors))
    codes = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Code")
    for place, entry in enumerate(codes.body):
        if isinstance(entry, ast.Assign):
            below = codes.body[place + 1]
            assert isinstance(below, ast.Expr), ast.unparse(entry)
            assert isinstance(below.value, ast.Constant), ast.unparse(entry)


ERRORS_TO_COPY = [
    AddressError("x", part="port", found="y", expected="z", nearest="n"),
    ConfigError("f.toml", where="a.b", problem="p", line=3),
    ConnectError("a", step="connect", problem="p", remedy="r", errno=5),
    TooLarge("message", size=5, limit=3),
    Timeout("an answer", 1.5),
    BindError("a", "p", errno=98),
    Refused(Code.BUSY, "later"),
    StoreFailed("/s", "p"),
    Gap("0a", expected=5, found=9),
]


@pytest.mark.parametrize("error", ERRORS_TO_COPY, ids=lambda error: type(error).__name__)
def test_an_error_survives_being_copied_and_sent(error: AnyplugError) -> None:
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_a_timeout_is_no_system_error() -> None:
    assert Timeout("an answer", 1.5).errno is None
