"""The queue of bodies in, objects out: order and errors are kept, sizes are right, no body is decoded too often."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyplug.codec import Codec
from anyplug.errors import AnyplugError, Code, DecodeError, Refused
from anyplug.wire import Incoming
from anyplug.wire.incoming import BATCH, ERROR_COST, MESSAGE_COST


class Shouting(Codec[str]):
    """Bodies in capitals; one that begins with ``!`` is bad."""

    name = "shouting"

    def __init__(self) -> None:
        self.decoded = 0

    def encode(self, message: str) -> bytes:
        return message.lower().encode()

    def decode(self, body: bytes) -> str:
        self.decoded += 1
        if body.startswith(b"!"):
            raise DecodeError("shouting", body.decode())
        return body.decode().upper()


def queue(*batches: list[bytes] | AnyplugError) -> Incoming[str]:
    incoming = Incoming(Shouting())
    for batch in batches:
        if isinstance(batch, AnyplugError):
            incoming.push_error(batch)
        else:
            incoming.push(batch)
    return incoming


def drain(incoming: Incoming[str], *, many: bool = False) -> list[str]:
    """All that is in the queue; an error stands as its sentence."""
    taken: list[str] = []
    while incoming:
        try:
            if many:
                messages = incoming.take_many()
                assert messages
                taken += messages
            else:
                taken.append(incoming.take())
        except AnyplugError as error:
            taken.append(str(error))
    return taken


def bad(body: str) -> str:
    return f"not a valid shouting message: {body}"


def test_an_empty_queue_has_nothing() -> None:
    incoming = queue()
    assert not incoming
    assert not incoming.refill()
    assert incoming.take_many() == []
    with pytest.raises(IndexError, match="nothing waits"):
        incoming.take()


def test_an_empty_batch_is_nothing() -> None:
    incoming = queue([])
    assert not incoming
    assert (incoming.refill(), incoming.take_many(), incoming.size) == (False, [], 0)


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    "batches",
    [
        [[b"a"]],
        [[b"a", b"b", b"c"]],
        [[b"a"], [b"b", b"c"], [b"d"]],
        [[b"!"]],
        [[b"!", b"!2", b"!3"]],
        [[b"a", b"!"], [b"b"]],
        [[b"!", b"a"], [b"!2"], [b"b", b"!3", b"c", b"!4"]],
    ],
)
def test_everything_comes_once_and_in_order(batches: list[list[bytes]], many: bool) -> None:
    flat = [body.decode() for batch in batches for body in batch]
    expected = [bad(body) if body.startswith("!") else body.upper() for body in flat]
    incoming = queue(*batches)
    assert drain(incoming, many=many) == expected
    assert (incoming.size, bool(incoming), list(incoming.ready)) == (0, False, [])


@pytest.mark.parametrize("size", range(1, 6))
@pytest.mark.parametrize("many", [False, True])
def test_a_bad_message_at_every_place_stands_in_its_place(size: int, many: bool) -> None:
    for at in range(size):
        batch = [b"!" if each == at else b"%d" % each for each in range(size)]
        expected = [bad("!") if each == at else str(each) for each in range(size)]
        assert drain(queue(batch, [b"x"]), many=many) == [*expected, "X"]
        assert drain(queue([b"x"], batch), many=many) == ["X", *expected]


@pytest.mark.parametrize("many", [False, True])
def test_a_pushed_error_comes_after_what_was_before_it(many: bool) -> None:
    error = Refused(Code.FAILED, "no")
    assert drain(queue([b"a"], error, [b"b"], error, error), many=many) == [
        "A",
        str(error),
        "B",
        str(error),
        str(error),
    ]
    assert drain(queue([b"a", b"!"], error, [b"!2", b"b"]), many=many) == ["A", bad("!"), str(error), bad("!2"), "B"]


def test_many_are_taken_up_to_the_next_error() -> None:
    incoming = queue([b"a", b"b"], [b"c"], [b"d", b"!"], [b"e"])
    assert incoming.take_many() == ["A", "B", "C"]
    assert incoming.take_many() == ["D"]
    with pytest.raises(DecodeError):
        incoming.take_many()
    assert incoming.take_many() == ["E"]
    assert incoming.take_many() == []


def test_many_are_taken_up_to_a_pushed_error() -> None:
    incoming = queue([b"a"], Refused(Code.FAILED), [b"b"])
    assert incoming.take_many() == ["A"]
    with pytest.raises(Refused):
        incoming.take_many()
    assert incoming.take_many() == ["B"]


def test_one_and_many_can_be_taken_in_turns() -> None:
    incoming = queue([b"a", b"b", b"c"], [b"d", b"!", b"e"])
    assert incoming.take() == "A"
    assert incoming.take_many() == ["B", "C"]
    assert incoming.take() == "D"
    with pytest.raises(DecodeError):
        incoming.take()
    incoming.push([b"f"])
    assert incoming.take_many() == ["E", "F"]


def test_the_hot_path_takes_from_ready() -> None:
    incoming = queue([b"a", b"b"])
    assert incoming.refill()
    assert [incoming.ready.popleft(), incoming.ready.popleft()] == ["A", "B"]
    assert not incoming
    assert not incoming.refill()


def test_the_size_is_that_of_what_is_not_decoded_yet() -> None:
    incoming = queue([b"12", b"345"], [b""])
    assert incoming.size == 5 + 3 * MESSAGE_COST
    incoming.take()
    assert incoming.size == MESSAGE_COST
    incoming.take()
    incoming.take()
    assert incoming.size == 0
    incoming.push([b"1", b"!234", b"56"])
    assert incoming.size == 7 + 3 * MESSAGE_COST
    assert incoming.take() == "1"
    assert incoming.size == 2 + MESSAGE_COST
    with pytest.raises(DecodeError):
        incoming.take()
    assert incoming.size == 2 + MESSAGE_COST
    assert incoming.take_many() == ["56"]
    assert incoming.size == 0


def test_floods_of_empty_messages_and_of_errors_have_a_size() -> None:
    incoming = queue([b""] * 1000)
    assert incoming.size == 1000 * MESSAGE_COST
    error = Refused(Code.FAILED, "x" * 1000)
    incoming.push_error(error)
    assert incoming.size == 1000 * MESSAGE_COST + ERROR_COST + len(str(error))
    assert len(drain(incoming)) == 1001
    assert incoming.size == 0


def test_many_bad_messages_cost_no_more_than_as_many_good_ones() -> None:
    codec = Shouting()
    incoming = Incoming(codec)
    incoming.push([b"!"] * 2000)
    assert drain(incoming) == [bad("!")] * 2000
    tried = 2000 + ceil(2000 / BATCH)  # each batch once in one go
    assert codec.decoded == tried
    incoming.push([b"a"] * 1999 + [b"!"])
    assert len(drain(incoming)) == 2000
    assert codec.decoded <= tried + 2 * 2000


def test_an_error_of_another_sort_goes_through_and_the_rest_can_be_taken() -> None:
    class Broken(Shouting):
        def decode(self, body: bytes) -> str:
            return body.decode("ascii")

    incoming = Incoming(Broken())
    incoming.push([b"\xff"])
    incoming.push([b"fine"])
    with pytest.raises(UnicodeDecodeError):
        incoming.take()
    assert incoming.size == 4 + MESSAGE_COST
    assert incoming.take() == "fine"


bodies = st.sampled_from([b"a", b"b", b"", b"!", b"!2"])
steps = st.lists(st.one_of(st.lists(bodies, max_size=4), st.sampled_from(["take", "many", "error"])), max_size=20)


@given(steps)
def test_whatever_is_pushed_and_taken_nothing_is_lost_doubled_or_out_of_order(steps: list[list[bytes] | str]) -> None:
    incoming = queue()
    pushed: list[str] = []
    taken: list[str] = []
    for step in steps:
        if isinstance(step, list):
            incoming.push(step)
            pushed += [bad(body.decode()) if body[:1] == b"!" else body.decode().upper() for body in step]
        elif step == "error":
            incoming.push_error(Refused(Code.FAILED))
            pushed.append(str(Refused(Code.FAILED)))
        elif incoming:
            try:
                taken += [incoming.take()] if step == "take" else incoming.take_many()
            except AnyplugError as error:
                taken.append(str(error))
        assert bool(incoming) is (len(taken) < len(pushed))
        assert incoming.size >= 0
    assert taken + drain(incoming) == pushed
    assert incoming.size == 0


def test_a_large_batch_is_decoded_so_many_at_a_time() -> None:
    incoming = queue([b"%d" % number for number in range(2 * BATCH + 1)])
    size = incoming.size
    assert incoming.refill()
    assert list(incoming.ready) == [str(number) for number in range(BATCH)]
    assert incoming.size < size
    assert incoming.take_many() == [str(number) for number in range(2 * BATCH + 1)]
    assert not incoming
    assert incoming.size == 0


def test_a_single_message_is_ready_at_once_where_it_can_be_decoded() -> None:
    incoming = queue()
    assert incoming.push_ready(b"a")
    assert list(incoming.ready) == ["A"]
    assert incoming.take() == "A"
    assert not incoming.push_ready(b"!")
    assert not incoming
