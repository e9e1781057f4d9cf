from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from anyplug.cli.output import Output
from anyplug.cli.read import Reading, moment
from anyplug.errors import StoreFailed
from anyplug.schemas.inbox import Message
from anyplug.schemas.reading import POLL
from anyplug.store import Entry, MemoryStore, Retention
from tests.cli.commands import PATIENCE, Terminal, call, start
from tests.cli.inboxes import InboxServer, inbox_server
from tests.services.inboxes import MovableLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anyplug.store import Batch


@pytest.fixture
def server() -> Iterator[InboxServer]:
    with inbox_server() as found:
        yield found


@pytest.fixture
def ten(server: InboxServer) -> InboxServer:
    """A topic with the texts 1 to 10."""
    server.post(*map(str, range(1, 11)))
    return server


def events(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def lines(*numbers: int) -> bytes:
    return b"".join(b"%d\n" % number for number in numbers)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ([], range(1, 11)),
        (["--from", "8"], [8, 9, 10]),
        (["--from", "11"], []),
        (["--last", "2"], [9, 10]),
        (["--last", "0"], []),
        (["--since", "5m"], range(1, 11)),
        (["--since", "2099-01-01"], []),
        (["--count", "3"], [1, 2, 3]),
        (["--count", "99", "--from", "9"], [9, 10]),
        (["--from", "9", "--count", "2", "--follow"], [9, 10]),
        (["--reader", "r", "--count", "2"], [1, 2]),
    ],
)
def test_what_is_read(ten: InboxServer, words: list[str], numbers: Sequence[int]) -> None:
    assert call("read", ten.place, *words) == (0, lines(*numbers), b"")


def test_many_messages_are_all_read_and_once(server: InboxServer) -> None:
    server.post(*map(str, range(1, 5001)))
    assert call("read", server.place).out == lines(*range(1, 5001))
    assert call("read", server.place, "--count", "2500").out == lines(*range(1, 2501))
    assert call("read", server.place, "--last", "2500").out == lines(*range(2501, 5001))


def test_json_tells_all_that_is_known() -> None:
    store = MemoryStore()
    with inbox_server(store) as server:
        server.post("a", name="Ann")
        server.post(b"\xff", codec="bytes")
        (first, second) = events(call("read", server.place, "--json").out)
    assert (first["type"], first["position"], first["value"], first["name"]) == ("message", 1, "a", "Ann")
    assert (first["content_type"], "redelivered" in first) == ("application/msgpack", False)
    assert first["sender"].startswith("127.0.0.1:")
    received = datetime.fromisoformat(first["received"])
    assert first["received"].endswith("Z")
    assert timedelta(0) <= datetime.now(UTC) - received < timedelta(minutes=5)
    assert (second["base64"], second["content_type"]) == ("/w==", "application/octet-stream")


def test_into_a_pipe_values_go_as_they_are_and_json_is_one_line(server: InboxServer) -> None:
    server.post("\x1b[31mred", "two\nlines\n", {"a": [1]}, "")
    server.post(b"\x00\xff", codec="bytes")
    assert call("read", server.place).out == b'\x1b[31mred\ntwo\nlines\n{"a":[1]}\n\n\x00\xff'


def test_on_a_terminal_nothing_is_obeyed(server: InboxServer) -> None:
    server.post("\x1b[31mred\u202e", {"\x1b": 1})
    server.post(b"\x9b", codec="bytes")
    with Terminal("read", server.place) as terminal:
        terminal.wait_for("\\x1b[31mred\\u202e")
        terminal.wait_for('{"\\u001b":1}')
        terminal.wait_for("\\x9b")
        assert terminal.end() == 0
        assert b"\x1b" not in terminal.seen


def test_a_body_that_is_not_what_it_says_is_shown_as_bytes() -> None:
    store = MemoryStore()
    with inbox_server(store) as server:
        server.post("before")
        append(server, Entry(b"{", 0, "application/json"))
        append(server, Entry(b"picture", 0, "image/png"))
        assert call("read", server.place).out == b"before\n{picture"
        assert [each.get("base64") for each in events(call("read", server.place, "--json").out)] == [
            None, "ew==", "cGljdHVyZQ==",
        ]  # fmt: skip


def append(server: InboxServer, entry: Entry) -> None:
    import asyncio

    asyncio.run_coroutine_threadsafe(server.store.log.append("inbox/log", [entry]), server.loop).result(PATIENCE)


# Named readers.


def test_a_reader_goes_on_where_it_was(ten: InboxServer) -> None:
    assert call("read", ten.place, "--reader", "r", "--count", "4").out == lines(1, 2, 3, 4)
    assert call("read", ten.place, "--reader", "r", "--count", "2", "--no-ack").out == lines(5, 6)
    again = events(call("read", ten.place, "--reader", "r", "--count", "3", "--json").out)
    assert [(each["value"], each.get("redelivered")) for each in again] == [("5", True), ("6", True), ("7", None)]
    assert call("read", ten.place, "--reader", "r", "--ack").out == lines(8, 9, 10)
    assert call("read", ten.place, "--reader", "r") == (0, b"", b"")
    assert call("read", ten.place, "--reader", "another", "--count", "1").out == lines(1)


# Following.


def test_following_prints_what_comes_until_it_is_interrupted(ten: InboxServer) -> None:
    with start("read", ten.place, "--last", "1", "--follow") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"10\n"
        for text in ("new", "newer"):
            ten.post(text)
            assert process.stdout.readline() == text.encode() + b"\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert process.stderr.read() == b""


def test_a_follower_without_news_ends_when_its_time_is_over(ten: InboxServer) -> None:
    done = call("read", ten.place, "--last", "1", "--follow", "--timeout", "0.1")
    assert (done.status, done.out) == (124, b"10\n")
    assert b"a new message: no answer within 0.1 s" in done.err


def test_whoever_reads_the_pipe_may_go_while_nothing_comes(ten: InboxServer) -> None:
    with start("read", ten.place, "--last", "1", "--follow") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE) == 141


def test_a_server_that_stops_ends_a_follower_with_its_reason() -> None:
    with inbox_server() as server:
        server.post("a")
        process = start("read", server.place, "--follow", "--json")
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["value"] == "a"
    with process:
        event = json.loads(process.stdout.readline())
        assert (event["type"], event["code"], "going_away" in event["message"]) == ("error", "closed", True)
        assert process.wait(PATIENCE) == 1


class Quiet:
    """A topic in which nothing happens for some questions, and then something."""

    missed = 0
    end = handed = 1

    def __init__(self, questions: int) -> None:
        self.waits: list[float] = []
        self._left = questions

    async def batch(self, *, wait: float, limit: int) -> list[Message]:
        self.waits.append(wait)
        self._left -= 1
        return [] if self._left else [Message(position=1, received=0, body=b"a")]


async def test_a_follower_asks_again_and_again() -> None:
    follow = Quiet(3)
    reading = Reading(None, Output(json=True), follow=True, acknowledge=False, count=1)
    assert await reading.read(follow) == 0  # type: ignore[arg-type]
    assert follow.waits == [POLL] * 3


async def test_who_does_not_follow_asks_no_further_than_the_end_was_when_it_began() -> None:
    topic = Quiet(1)
    assert await Reading(None, Output(json=True), follow=False, acknowledge=False, count=None).read(topic) == 0  # type: ignore[arg-type]
    assert topic.waits == [0]


async def test_a_follower_asks_no_longer_than_it_has_patience() -> None:
    follow = Quiet(2)
    assert await Reading(20, Output(json=True), follow=True, acknowledge=False, count=1).read(follow) == 0  # type: ignore[arg-type]
    assert all(0 < wait <= 20 for wait in follow.waits)
    assert len(follow.waits) == 2


# What is gone.


def test_what_is_gone_is_told(ten: InboxServer) -> None:
    ten.trim(Retention(count=3))
    done = call("read", ten.place)
    assert (done.status, done.out) == (0, lines(8, 9, 10))
    assert done.err == b"-- 7 messages before 8 are gone: the inbox keeps only so much\n"
    assert events(call("read", ten.place, "--from", "5", "--json").out)[0] == {
        "type": "missed", "messages": 3, "first": 8,
    }  # fmt: skip
    ten.trim(Retention(count=0))
    assert events(call("read", ten.place, "--json").out) == [{"type": "missed", "messages": 10, "first": 11}]


# What goes wrong.


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--ack"], b"add --reader NAME"),
        (["--from", "1", "--last", "1"], b"give one of them"),
        (["--last", "1", "--since", "1m"], b"give one of them"),
        (["--from", "0"], b"--from"),
        (["--last", "-1"], b"--last"),
        (["--count", "0"], b"--count"),
        (["--since", "tomorrow"], b"'tomorrow' is no time: expected one such as 5m"),
        (["--since", "90"], b"'90' is no time"),
        (["--timeout", "0"], b"--timeout"),
    ],
)
def test_mistakes_on_the_command_line_are_named(ten: InboxServer, words: list[str], problem: bytes) -> None:
    done = call("read", ten.place, *words)
    assert (done.status, done.out) == (2, b"")
    assert problem in done.err


def test_a_position_from_the_future_is_refused_with_what_to_do(ten: InboxServer) -> None:
    done = call("read", ten.place, "--from", "12")
    assert (done.status, done.out) == (1, b"")
    assert b"refused (beyond_end): topic 'inbox/log': position 12 does not exist yet, the last one is 10" in done.err
    assert b"hint: leave --from out" in done.err


def test_a_name_of_a_reader_that_cannot_be_is_told_without_a_hint_about_messages(ten: InboxServer) -> None:
    done = call("read", ten.place, "--reader", "a\nb")
    assert done.status == 1
    assert done.err == (
        b"error: refused (bad_message): the name of a reader holds only what can be seen, and no backslash: a\\nb\n"
    )


class Unreadable(MovableLog):
    """A log that cannot be read any more."""

    async def read(self, topic: str, start: int, *, limit: int = 1000, most: int = 2**20) -> Batch:
        raise StoreFailed("where", "input/output error")


def test_a_store_that_has_failed_is_told() -> None:
    store = MemoryStore()
    store.log = Unreadable()
    with inbox_server(store) as server:
        done = call("read", server.place)
        assert done.status == 1
        assert b"refused (store_failed)" in done.err
        assert b"hint: the server has to be started again" in done.err


# Times.

NOW = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("5m", NOW - timedelta(minutes=5)),
        ("1.5 h", NOW - timedelta(hours=1.5)),
        ("30s", NOW - timedelta(seconds=30)),
        ("2d", NOW - timedelta(days=2)),
        ("2026-11-20T16:00Z", NOW - timedelta(minutes=30)),
        ("2026-11-20 16:00:00+02:00", NOW - timedelta(hours=2, minutes=30)),
        ("2026-11-20T16:00", datetime(2026, 11, 20, 16, 0).astimezone()),
    ],
)
def test_a_time_is_so_long_ago_or_a_date(text: str, found: datetime) -> None:
    assert moment(text, NOW) == found


@pytest.mark.parametrize("text", ["", "tomorrow", "5 parsecs", "2026-13-01", "-5m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        moment(text, NOW)
