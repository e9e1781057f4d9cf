"""What travels to and from an inbox, byte for byte, and how an inbox is read without a network."""

from __future__ import annotations

import typing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from anyplug.address import Address
from anyplug.codec import CODECS, make_codec
from anyplug.errors import DecodeError, LocalError, ProtocolError
from anyplug.limits import DEFAULTS
from anyplug.schemas.contents import CONTENT_TYPES, content_type, decoded
from anyplug.schemas.inbox import (
    Acknowledge,
    Acknowledged,
    Answer,
    Facts,
    Found,
    Info,
    List,
    Message,
    Read,
    Request,
    Topic,
    Topics,
)
from anyplug.schemas.reading import (
    Following,
    acknowledged,
    all_topics,
    facts,
    gathered,
    nanoseconds,
    speech_of,
    starting,
)
from anyplug.schemas.speech import Speech

if TYPE_CHECKING:
    from collections.abc import Generator

QUESTIONS: list[tuple[Request, str]] = [
    (Read(), '{"type":"read"}'),
    (Read(start=3, wait=2.5, reader="r"), '{"type":"read","start":3,"wait":2.5,"reader":"r"}'),
    (Read(last=0, limit=5, most=6), '{"type":"read","last":0,"limit":5,"most":6}'),
    (Acknowledge(reader="r", position=1), '{"type":"acknowledge","reader":"r","position":1}'),
    (List(after="a", limit=2), '{"type":"list","after":"a","limit":2}'),
    (Info(), '{"type":"info"}'),
]
MESSAGE = Message(position=1, received=2, body=b"\xff\x00", content_type="x/y", redelivered=True)
ANSWERS: list[tuple[Answer, str]] = [
    (
        Found(messages=[MESSAGE], first=1, last=1, next=2, missed=3),
        (
            '{"type":"found","messages":[{"position":1,"received":2,"body":"/wA=","content_type":"x/y",'
            '"redelivered":true}],"first":1,"last":1,"next":2,"missed":3}'
        ),
    ),
    (Acknowledged(position=4), '{"type":"acknowledged","position":4}'),
    (
        Topics(topics=[Topic(name="a", first=1, last=0)], more=True),
        '{"type":"topics","topics":[{"name":"a","first":1,"last":0}],"more":true}',
    ),
    (
        Facts(topic="a", first=1, last=2, message=3, generation="g"),
        '{"type":"facts","topic":"a","first":1,"last":2,"message":3,"generation":"g"}',
    ),
]
NAMES = sorted(CODECS)


@pytest.mark.parametrize("codec", NAMES)
@pytest.mark.parametrize(("struct", "text"), [*QUESTIONS, *ANSWERS])
def test_a_struct_travels_in_every_codec(codec: str, struct: Any, text: str) -> None:
    kind = Request if isinstance(struct, Request) else Answer
    speech: Speech[Any] = Speech(codec, kind)
    carrier = make_codec(codec, speech.type)
    body = carrier.encode(speech.said(struct))
    assert speech.heard(carrier.decode(body)) == struct
    if codec in {"json", "text", "bytes"}:
        assert body.decode() == text
    if codec == "msgpack":
        assert msgspec.json.encode(msgspec.msgpack.decode(body)).decode() == text


@pytest.mark.parametrize(
    ("codec", "message", "problem"),
    [
        ("text", "{", "json message"),
        ("text", '{"type":"found"}', "Invalid value 'found'"),
        ("text", "\ud800", "json message"),
        ("bytes", b"\xff", "json message"),
        ("pickled", {"type": "read", "start": "1"}, "pickled message: Expected `int | null`"),
        ("pickled", 5, "pickled message: Expected `object`, got `int`"),
    ],
)
def test_a_message_that_carries_none_is_named(codec: str, message: Any, problem: str) -> None:
    speech: Speech[Request] = Speech(codec, Request)
    with pytest.raises(DecodeError) as caught:
        speech.heard(message)
    assert problem in str(caught.value)


def test_what_the_document_of_the_protocol_shows_is_what_travels() -> None:
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    part = text.partition("### inbox\n")[2].partition("\n## ")[0].partition("\n### ")[0]
    questions, answers = (block.partition("```")[0].split("\n")[:-1] for block in part.split("```json\n")[1:])
    for lines, kind in ((questions, Request), (answers, Answer)):
        found = [msgspec.json.decode(line, type=kind) for line in lines]
        assert {type(each) for each in found} == set(typing.get_args(kind))
        for line, struct in zip(lines, found, strict=True):
            shown = msgspec.json.decode(line)
            fields = {field.encode_name for field in msgspec.structs.fields(struct)}
            assert shown.keys() - {"type"} <= fields


# Content types.


def test_each_codec_has_a_content_type_of_its_own() -> None:
    assert set(CODECS) <= set(CONTENT_TYPES)
    assert len(set(CONTENT_TYPES.values())) == len(CONTENT_TYPES)


@pytest.mark.parametrize("codec", sorted(set(CODECS) - {"bytes", "text"}))
def test_a_body_is_decoded_by_its_content_type(codec: str) -> None:
    value = {"a": [1, None]}
    assert decoded(content_type(codec), make_codec(codec).encode(value)) == value


def test_what_is_not_known_stays_bytes() -> None:
    assert decoded("image/png", b"x") == b"x"
    assert content_type("later") == "application/octet-stream"
    assert decoded(CONTENT_TYPES["text"], b"x") == "x"
    with pytest.raises(DecodeError):
        decoded(CONTENT_TYPES["json"], b"{")
    assert Message(position=1, received=0, body=b"[1]", content_type="application/json").value == [1]


# Times.


@pytest.mark.parametrize(
    ("time", "found"),
    [
        (1.5, 1_500_000_000),
        (2, 2_000_000_000),
        (datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC), 1_000_005_000),
        (datetime(1970, 1, 1, 1, 0, 1, tzinfo=timezone(timedelta(hours=1))), 1_000_000_000),
        (datetime(2026, 11, 20, 16, 30, 0, 123457, tzinfo=UTC), 1795192200123457000),
    ],
)
def test_a_time_is_counted_in_nanoseconds(time: datetime | float, found: int) -> None:
    assert nanoseconds(time) == found


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(LocalError, match="has no zone"):
        nanoseconds(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the mistake


def test_a_message_tells_its_time_to_the_microsecond() -> None:
    message = Message(position=1, received=-1, body=b"")
    assert message.time == datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


# Courses: generators that ask.


def found(*positions: int, last: int, missed: int = 0) -> Found:
    messages = [Message(position=each, received=0, body=b"") for each in positions]
    behind = positions[-1] + 1 if positions else last + 1
    return Found(messages=messages, first=1, last=last, next=behind, missed=missed)


def drive(course: Generator[Any, Any, Any], *answers: Answer) -> tuple[list[Any], Any]:
    """All questions of a course that gets these answers, and its result."""
    questions = [next(course)]
    try:
        for answer in answers:
            questions.append(course.send(answer))  # noqa: PERF401 - it ends by an exception
    except StopIteration as end:
        return questions, end.value
    raise AssertionError(f"the course has more questions: {questions}")


def test_reading_goes_on_until_there_is_no_more() -> None:
    first = starting(start=1, reader="r")
    questions, result = drive(gathered(first, 10), found(1, 2, last=5, missed=2), found(4, 5, last=9, missed=1))
    assert questions == [Read(start=1, limit=10, reader="r"), Read(start=3, limit=8, reader="r")]
    assert [each.position for each in result] == [1, 2, 4, 5]
    assert (len(result), result.missed, result.next, result.last) == (4, 3, 6, 9)


def test_reading_ends_with_as_many_as_were_wanted() -> None:
    questions, result = drive(gathered(starting(last=3), 3), found(3, 4, last=5), found(5, last=5))
    assert questions == [Read(last=3, limit=3), Read(start=5, limit=1)]
    assert [each.position for each in result] == [3, 4, 5]


def test_an_answer_without_messages_ends_it() -> None:
    assert drive(gathered(starting(), 10), Found(messages=[], first=1, last=9, next=1))[1].next == 1


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: starting(start=1, last=1), "one place"),
        (lambda: starting(start=0), "positions start at 1"),
        (lambda: starting(last=-1), "last is -1"),
        (lambda: next(gathered(starting(), 0)), "limit is 0"),
        (lambda: next(acknowledged("r", 0)), "positions start at 1"),
        (lambda: Following(starting(reader="r")).done(None), "nothing was read yet"),
        (lambda: Following(starting()).done(4), "no name to keep its place under"),
    ],
)
def test_what_cannot_be_asked_is_named(make: Any, problem: str) -> None:
    with pytest.raises(LocalError, match=problem):
        make()


def test_topics_come_in_pieces() -> None:
    a, b = Topic(name="a", first=1, last=1), Topic(name="b", first=1, last=1)
    questions, result = drive(all_topics(), Topics(topics=[a], more=True), Topics(topics=[b]))
    assert (questions, result) == ([List(), List(after="a")], [a, b])
    assert drive(all_topics(), Topics(topics=[], more=True))[1] == []


def test_an_answer_to_another_question_is_a_fault_of_the_server() -> None:
    with pytest.raises(ProtocolError, match="answers with Acknowledged where Facts was expected"):
        drive(facts(), Acknowledged(position=1))
    assert drive(acknowledged("r", 2), Acknowledged(position=5))[1] == 5


def test_a_follower_goes_on_where_it_is() -> None:
    following = Following(starting(last=2, reader="r"))
    questions, result = drive(following.more(wait=5, limit=7), found(8, 9, last=9, missed=4))
    assert questions == [Read(last=2, wait=5, limit=7, reader="r")]
    assert (len(result), following.handed, following.end, following.missed) == (2, 9, 9, 4)
    questions, _ = drive(following.more(wait=0), found(last=9))
    assert questions == [Read(start=10, reader="r")]
    assert (following.handed, following.done(None), following.done(3)) == (9, 9, 3)


def test_the_codec_of_an_inbox_is_that_of_the_argument_or_the_address() -> None:
    plug = Address.parse("plug://127.0.0.1/inbox/log")
    assert speech_of(plug, None, limits=DEFAULTS).codec == "msgpack"
    assert speech_of(plug, "json", limits=DEFAULTS).codec == "json"
    assert speech_of(Address.parse(f"{plug}?codec=text"), None, limits=DEFAULTS).codec == "text"
    with pytest.raises(LocalError, match="is a plain connection"):
        speech_of(Address.parse("tcp://127.0.0.1:1"), None, limits=DEFAULTS)
