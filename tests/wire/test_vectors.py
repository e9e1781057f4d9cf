"""The test vectors of the documents hold: bytes come to events in any pieces, and verbs come to bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anyplug.errors import Broken, EncodeError, TooLarge
from anyplug.framing import make_framing
from anyplug.limits import DEFAULTS
from anyplug.testing.framing import deliveries
from anyplug.wire import Kind
from tests.wire.network import exchange, frame
from tests.wire.vectors import bytes_of, event_facts, load, new_session, say, steps_of, told

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyplug.framing import Decoder
    from anyplug.messages import Event
    from anyplug.wire import PlugSession
    from tests.wire.vectors import Step

PLUG = load("plug.json")
FRAMING = load("framing.json")


def receive(session: PlugSession, pieces: Iterable[bytes]) -> list[Event]:
    events = []
    for piece in pieces:
        session.receive_data(piece)
        events += session.events()
    return events


def check(session: PlugSession, step: Step, events: list[Event]) -> None:
    """What the session did is what the step expects."""
    said = session.data_to_send()
    assert event_facts(events) == step.get("events", [])
    if "told" in step:
        assert told(said) == step["told"]
    else:
        assert said == bytes_of(step.get("said", []))
    assert session.state.value == step["state"]


def play(session: PlugSession, steps: list[Step]) -> None:
    """Play steps whole."""
    for step in steps:
        if "receive" in step:
            check(session, step, receive(session, [bytes_of(step["receive"])]))
        elif "receive_eof" in step:
            session.receive_eof()
            check(session, step, session.events())
        elif "raises" in step:
            with pytest.raises({"too_large": TooLarge}[step["raises"]]):
                say(session, step["send"])
            check(session, step, [])
        else:
            say(session, step["send"])
            check(session, step, session.events())


@pytest.mark.parametrize("name", PLUG)
def test_a_conversation_goes_as_it_is_written(name: str) -> None:
    play(new_session(PLUG, name), steps_of(PLUG, name))


@pytest.mark.parametrize("name", PLUG)
def test_the_bytes_of_every_step_may_come_in_any_pieces(name: str) -> None:
    steps = steps_of(PLUG, name)
    for at, step in enumerate(steps):
        if "receive" not in step:
            continue
        for pieces in deliveries(bytes_of(step["receive"])):
            session = new_session(PLUG, name)
            play(session, steps[:at])
            check(session, step, receive(session, pieces))


@pytest.mark.parametrize("name", PLUG)
def test_the_beginning_of_another_frame_changes_nothing(name: str) -> None:
    steps = steps_of(PLUG, name)
    trailing = frame(Kind.DATA, b"trailing")
    for at, step in enumerate(steps):
        if "receive" not in step or (step["state"] == "open" and step["receive"][-1][1].startswith("the beginning")):
            continue
        for size in range(1, len(trailing)):
            if step["state"] in {"preface", "verdict", "hello", "answer"} and size >= 4:
                break
            session = new_session(PLUG, name)
            play(session, steps[:at])
            events = receive(session, [bytes_of(step["receive"]) + trailing[:size]])
            check(session, step, events)
            assert session.pending == (size if session.receiving else 0)


PLAYED = [name for name in PLUG if all("by" in step for step in steps_of(PLUG, name) if "receive" in step)]


def test_most_sorts_of_conversation_are_played_from_both_ends() -> None:
    verbs = {verb["verb"] for name in PLAYED for step in steps_of(PLUG, name) for verb in step.get("by", ())}
    assert verbs == {"hello", "welcome", "data", "request", "reply", "error", "posts", "ack", "nack", "eof"}


@pytest.mark.parametrize("name", PLAYED)
def test_the_peer_says_just_those_bytes(name: str) -> None:
    peer = new_session(PLUG, name, peer=True)
    for step in steps_of(PLUG, name):
        for verb in step.get("by", ()):
            say(peer, verb)
        if "by" in step:
            assert peer.data_to_send() == bytes_of(step["receive"])
        peer.receive_data(bytes_of(step.get("said", [])))
        peer.data_to_send()
    assert "Fault" not in [type(event).__name__ for event in peer.events()]


@pytest.mark.parametrize("name", PLAYED)
def test_two_sessions_hold_the_conversation(name: str) -> None:
    ours, theirs = new_session(PLUG, name), new_session(PLUG, name, peer=True)
    for step in steps_of(PLUG, name):
        if "send" in step:
            say(ours, step["send"])
        for verb in step.get("by", ()):
            say(theirs, verb)
        events, _ = exchange(ours, theirs)
        assert event_facts(events) == step.get("events", [])
        assert ours.state.value == step["state"]


def test_every_kind_of_frame_and_every_violation_has_a_vector() -> None:
    pieces = [
        piece
        for vector in PLUG.values()
        for step in vector["steps"]
        for piece in [*step.get("receive", ()), *step.get("said", ())]
    ]
    kinds = {note.split(":")[0] for _, note in pieces}
    assert {kind.name for kind in Kind} <= kinds
    assert sum(name.startswith("violation") for name in PLUG) >= 30


# Framings.


def feed(decoder: Decoder, step: Step, pieces: Iterable[bytes]) -> None:
    messages: list[bytes] = []
    for piece in pieces:
        if decoder.error is None:
            messages += decoder.feed(piece)
    assert [message.hex() for message in messages] == step["messages"]
    assert (decoder.error.code.word if decoder.error else None) == step.get("fault")


@pytest.mark.parametrize("name", FRAMING)
def test_a_framing_reads_and_writes_as_it_is_written(name: str) -> None:
    vector = FRAMING[name]
    limit = vector.get("limit", DEFAULTS.message)
    framing = make_framing(vector["framing"], limit=limit, **vector.get("options", {}))
    received = [step for step in vector["steps"] if "receive" in step]
    for pieces in deliveries(bytes_of(received[0]["receive"])) if received else [[b""]]:
        decoder = framing.decoder()
        for step in vector["steps"]:
            if "receive" in step:
                feed(decoder, step, pieces)
            elif step.get("broken"):
                with pytest.raises(Broken):
                    decoder.feed_eof()
            elif "receive_eof" in step:
                assert [message.hex() for message in decoder.feed_eof()] == step["messages"]
            elif "raises" in step:
                with pytest.raises({"encode": EncodeError, "too_large": TooLarge}[step["raises"]]):
                    framing.encode(bytes.fromhex(step["send"][0]))
            else:
                bodies = [bytes.fromhex(body) for body in step["send"]]
                assert framing.encode_many(bodies) == bytes_of(step["said"])
