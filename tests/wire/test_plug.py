"""The plug session as it hears: the handshake, every frame in every state, violations, the end."""

from __future__ import annotations

import pytest

from anyplug.errors import Code, ConnectionClosed, ProtocolError
from anyplug.limits import DEFAULTS, FRAME_MAX, HELLO_MAX, Limits
from anyplug.messages import Fault, Hello, Kept, Refusal, Welcome
from anyplug.testing.framing import deliveries
from anyplug.wire import ROWS, Kind, PlugSession, Role, State
from tests.wire.network import (
    ACK,
    BYE,
    CONTENT,
    DATA,
    ERROR,
    HELLO,
    NACK,
    PART,
    PING,
    PONG,
    POST,
    PREFACE,
    REFUSED,
    REPLY,
    REQUEST,
    STATES,
    WELCOME,
    Fact,
    Outcome,
    facts,
    feed,
    frame,
    greeting,
    header,
    in_state,
    number,
    outcome_every_way,
    refusal,
    sequence,
)

CLIENT, SERVER = Role.CLIENT, Role.SERVER

VALID = {
    DATA: b"hello",
    HELLO: greeting(version=1, service="echo"),
    WELCOME: greeting(version=1, service="echo"),
    REFUSED: refusal(1, "full"),
    REQUEST: number(7) + b"question",
    REPLY: number(7) + b"answer",
    ERROR: number(7) + refusal(30, "failed"),
    PING: b"now",
    PONG: b"then",
    BYE: refusal(2, "restart"),
    PART: b"beginning",
    POST: sequence(3) + b"keep me",
    ACK: sequence(3) + b"\0\0\0\2" + sequence(17) + b"\0",
    NACK: sequence(5) + refusal(40, "full"),
    CONTENT: number(7) + number(0) + b"d" * 32 + b"the chunk",
}
"""A payload of each kind that its reader takes."""

EVENTS: dict[int, list[Fact]] = {
    DATA: [("Data", [b"hello"])],
    HELLO: [("Hello", 1, "echo", "", "msgpack", 0, "", b"", "", "")],
    WELCOME: [("Welcome", 1, "echo", "msgpack", 0, False, False, "", 0, "", "")],
    REFUSED: [("Refused", 1, "full")],
    REQUEST: [("Requests", [(7, b"question")])],
    REPLY: [("Replies", [(7, b"answer")])],
    ERROR: [("Failed", 7, Refusal(30, "failed"))],
    PING: [],
    PONG: [("Pong", b"then")],
    BYE: [("Ended", Refusal(2, "restart"))],
    PART: [],
    POST: [("Posts", [(3, b"keep me")])],
    ACK: [("Acked", 3, 2, 17, Kept.SYNCED)],
    NACK: [("Nacked", 5, Refusal(40, "full"))],
    CONTENT: [("Content", 7, 0, b"d" * 32, b"the chunk")],
}
"""What each of them is reported as."""


def told(state: State, role: Role, code: Code, text: str) -> bytes:
    """What a peer is told that broke the protocol in this state."""
    head = b"\x92" + bytes([code])
    size = len(text)
    payload = head + (bytes([0xA0 | size]) if size < 32 else bytes([0xD9, size])) + text.encode()
    if state is State.PREFACE:
        return b""
    early = role is SERVER and state in {State.HELLO, State.VERDICT}
    return PREFACE + frame(REFUSED, payload) if early else frame(BYE, payload)


def fault(text: str, code: Code = Code.PROTOCOL, kind: str = "ProtocolError") -> Fact:
    return ("Fault", kind, code.word, text)


def unbroken(role: Role, state: State, stream: bytes, limits: Limits = DEFAULTS) -> Outcome:
    return outcome_every_way(lambda: in_state(role, state, limits), stream)


def broken(role: Role, state: State, stream: bytes, limits: Limits = DEFAULTS) -> Fact:
    """The fault that a stream ends in, however it is cut; the peer has to be told, and what follows is not heard."""
    outcome = unbroken(role, state, stream, limits)
    assert outcome.state is State.FAULTY
    last = outcome.facts[-1]
    code = Code[last[2].upper()]
    assert outcome.said.endswith(told(state, role, code, last[3]))
    more = frame(DATA, b"after") + frame(PING) + frame(BYE, refusal())
    assert unbroken(role, state, stream + more, limits) == outcome
    assert feed(in_state(role, state, limits), [stream, more], eof=True) == outcome
    return last


# The table: every role, state and kind.

PAIRS = [(role, state, kind) for role, states in STATES.items() for state in states for kind in Kind]
WITH_ROW = [(role, state, kind) for role, state, kind in PAIRS if (state, kind) in ROWS[role]]
WITHOUT_ROW = [
    (role, state, kind)
    for role, state, kind in PAIRS
    if (state, kind) not in ROWS[role] and state not in {State.PREFACE, State.ENDED, State.FAULTY}
]


def test_every_row_of_the_table_is_tested() -> None:
    assert len(WITH_ROW) == sum(map(len, ROWS.values()))


@pytest.mark.parametrize(("role", "state", "kind"), WITH_ROW)
def test_a_frame_with_a_row_leads_to_the_state_of_the_row(role: Role, state: State, kind: Kind) -> None:
    outcome = unbroken(role, state, frame(kind, VALID[kind]))
    assert outcome.state is ROWS[role][state, kind].next
    assert outcome.batches is (kind in {DATA, REQUEST, REPLY, POST, CONTENT})
    assert outcome.facts == EVENTS[kind]
    answers = {PING: frame(PONG, b"now"), BYE: frame(BYE, refusal()) if role is CLIENT else b""}
    assert outcome.said == answers.get(kind, b"")


@pytest.mark.parametrize(("role", "state", "kind"), WITHOUT_ROW)
def test_a_frame_without_a_row_is_a_fault_that_the_peer_is_told(role: Role, state: State, kind: Kind) -> None:
    name, error, code, text = broken(role, state, frame(kind, VALID[kind]))
    assert (name, error, code) == ("Fault", "ProtocolError", "protocol")
    assert text.startswith(f"a {kind.name} frame in the state '{state.value}' of a {role.value}, expected ")


def test_a_fault_holds_no_trace_of_where_it_was_found() -> None:
    for stream in (frame(WELCOME, b"\x80"), header(99, 0), b"\0\0"):
        session = in_state(SERVER, State.OPEN)
        session.receive_data(stream)
        session.receive_eof()
        (event,) = session.events()
        assert isinstance(event, Fault)
        assert event.error.__traceback__ is None


def test_a_frame_out_of_place_names_what_was_expected() -> None:
    assert broken(SERVER, State.HELLO, frame(DATA))[3].endswith("of a server, expected HELLO")
    assert broken(SERVER, State.VERDICT, frame(DATA))[3].endswith("of a server, expected nothing yet")
    assert broken(CLIENT, State.ANSWER, frame(DATA))[3].endswith("of a client, expected WELCOME, REFUSED")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", [State.ENDED, State.FAULTY])
@pytest.mark.parametrize("kind", [*VALID, 15, 255])
def test_after_the_end_and_after_a_fault_everything_is_dropped(role: Role, state: State, kind: int) -> None:
    stream = frame(kind, VALID.get(kind, b""))
    assert outcome_every_way(lambda: in_state(role, state), stream, eof=True).facts == []
    session = in_state(role, state)
    session.receive_data(stream + b"\x00\x00")
    assert (session.pending, session.queued, session.state) == (0, 0, state)


@pytest.mark.parametrize(("role", "state"), sorted({(r, s) for r, s, _ in WITHOUT_ROW}, key=str))
@pytest.mark.parametrize("kind", [15, 16, 31, 32, 128, 255])
def test_an_unknown_kind_is_a_fault_in_every_state(role: Role, state: State, kind: int) -> None:
    assert broken(role, state, header(kind, 5)) == fault(f"unknown frame kind {kind}; known are 0 to 14")


@pytest.mark.parametrize("role", Role)
def test_what_came_before_a_fault_can_be_answered_before_the_last_words(role: Role) -> None:
    session = in_state(role, State.OPEN)
    session.receive_data(frame(DATA, b"good") + header(99, 0))
    assert [event[0] for event in facts(session.events())] == ["Data", "Fault"]
    assert session.sending
    words = session.queued
    session.send_data(b"answer")
    session.send_eof(Code.OK, "not the reason")
    assert session.queued == words + 10
    said = session.data_to_send()
    assert len(said) == words + 10
    assert said.startswith(frame(DATA, b"answer") + bytes([BYE]))
    assert said.endswith(b"unknown frame kind 99; known are 0 to 14")
    assert (session.sending, session.queued, session.data_to_send()) == (False, 0, b"")
    with pytest.raises(ConnectionClosed, match="it has failed: unknown frame kind 99"):
        session.send_data(b"too late")


def test_after_our_own_bye_a_fault_has_no_last_words() -> None:
    session = in_state(SERVER, State.OPEN)
    session.send_eof()
    session.receive_data(header(99, 0))
    assert (session.data_to_send(), session.sending) == (frame(BYE, refusal()), False)


# The preface.


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "stream",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"hello\n",
        b"\x89PNG\r\n\x1a\n",
        b"PLUG\r\n\n",
        b"\x89PLUG\n\n\n",
        b"\x89PLUG\r\n\r",
        b"\x09PLUG\r\n\n",
        b"\x00\x00\x00\x00\x00\x00\x00\x00",
    ],
)
def test_another_protocol_is_a_fault_at_its_first_wrong_byte_and_hears_nothing(role: Role, stream: bytes) -> None:
    for pieces in deliveries(stream):
        session = in_state(role, State.PREFACE)
        for piece in pieces:
            session.receive_data(piece)
        (event,) = session.events()
        assert isinstance(event, Fault)
        assert isinstance(event.error, ProtocolError)
        assert str(event.error).startswith(f"the peer does not speak the plug protocol: it sent {stream[:1]!r}"[:-1])
        assert (session.queued, session.state, session.pending) == (0, State.FAULTY, 0)
        assert not session.sending
    wrong = next(at for at in range(8) if stream[at] != PREFACE[at])
    session = in_state(role, State.PREFACE)
    session.receive_data(stream[:wrong])
    assert (session.events(), session.pending) == ([], wrong)
    session.receive_data(stream[wrong : wrong + 1])
    assert facts(session.events())[0][0] == "Fault"


def test_a_stranger_is_quoted_up_to_32_bytes() -> None:
    session = in_state(SERVER, State.PREFACE)
    session.receive_data(b"x" * 100)
    assert facts(session.events())[0][3].endswith(repr(b"x" * 32))


# The handshake.


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Hello()),
        ({"version": 1}, Hello()),
        ({"service": "talk", "rest": "lobby/2"}, Hello(service="talk", rest="lobby/2")),
        ({"codec": "json", "token": "s3cret", "agent": "me/1"}, Hello(codec="json", token="s3cret", agent="me/1")),
        ({"message": 1000}, Hello(message=1000)),
        ({"message": -5}, Hello(message=-5)),
        ({"later": {"x": [1, None, b""]}, "service": "a"}, Hello(service="a")),
        ({"service": "有内鬼"}, Hello(service="有内鬼")),
    ],
)
def test_a_hello_is_read_and_what_is_not_known_is_ignored(fields: dict[str, object], expected: Hello) -> None:
    stream = PREFACE + frame(HELLO, greeting(**fields))
    for pieces in deliveries(stream):
        session = in_state(SERVER, State.PREFACE)
        for piece in pieces:
            session.receive_data(piece)
        assert session.events() == [expected]
        assert (session.state, session.queued) == (State.VERDICT, 0)


def test_a_welcome_is_read_and_what_is_not_known_is_ignored() -> None:
    fields = {"version": 1, "service": "echo", "codec": "json", "asks": True, "incarnation": "x7", "later": [1]}
    session = in_state(CLIENT, State.PREFACE)
    session.receive_data(PREFACE + frame(WELCOME, greeting(**fields)) + frame(DATA, b"first"))
    welcome, _ = session.events()
    assert welcome == Welcome(service="echo", codec="json", asks=True, incarnation="x7")
    assert session.state is State.OPEN


@pytest.mark.parametrize("kind", [HELLO, WELCOME])
@pytest.mark.parametrize(
    "fields", [{"version": 2}, {"version": 0}, {"version": 2**64 - 1}, {"version": 2, "service": [1]}]
)
def test_another_version_is_refused_whatever_its_fields_mean(kind: int, fields: dict[str, object]) -> None:
    role, state = (SERVER, State.HELLO) if kind == HELLO else (CLIENT, State.ANSWER)
    text = f"protocol version {fields['version']}, known here is 1"
    assert broken(role, state, frame(kind, greeting(**fields))) == fault(text, Code.UNKNOWN_VERSION)


def test_a_hello_up_to_its_limit_is_read_and_one_byte_more_is_refused_by_its_header() -> None:
    room = HELLO_MAX - len(greeting(service="x" * 4000)) + 4000
    session = in_state(SERVER, State.HELLO)
    session.receive_data(frame(HELLO, greeting(service="x" * room)))
    assert session.state is State.VERDICT
    text = "HELLO frame too large: 4,097 bytes, the limit is 4,096 bytes"
    assert broken(SERVER, State.HELLO, header(HELLO, 4097)) == fault(text, Code.TOO_LARGE, "TooLarge")


def test_a_hello_and_what_must_not_follow_it_yet_is_refused_even_if_it_was_answered() -> None:
    session = in_state(SERVER, State.PREFACE)
    session.receive_data(PREFACE + frame(HELLO, VALID[HELLO]) + frame(DATA, b"too early"))
    assert [type(event) for event in session.events()] == [Hello, Fault]
    queued = session.queued
    session.send_welcome(Welcome())
    session.send_refused(Code.BUSY, "")
    session.send_eof()
    assert (session.queued, session.sending, session.state) == (queued, False, State.FAULTY)
    assert session.data_to_send().startswith(PREFACE + bytes([REFUSED]))


@pytest.mark.parametrize("theirs", [0, 1, 99, 100, 101, FRAME_MAX, 2**63, 2**64 - 1, -1])
@pytest.mark.parametrize("role", Role)
def test_the_smaller_limit_of_both_sides_counts_for_what_is_said(role: Role, theirs: int) -> None:
    limits = Limits(message=100)
    if role is SERVER:
        session = in_state(SERVER, State.HELLO, limits)
        session.receive_data(frame(HELLO, greeting(message=theirs)))
        session.send_welcome(Welcome())
    else:
        session = in_state(CLIENT, State.ANSWER, limits)
        session.receive_data(frame(WELCOME, greeting(message=theirs)))
    assert session.peer_limit == (min(100, theirs) if theirs > 0 else 100)


def test_a_refusal_ends_it_with_its_reason() -> None:
    outcome = unbroken(CLIENT, State.PREFACE, PREFACE + frame(REFUSED, refusal(1, "full")) * 2)
    assert outcome == ([("Refused", 1, "full")], b"", State.ENDED, False)
    session = in_state(CLIENT, State.ANSWER)
    session.receive_data(frame(REFUSED, refusal(1, "full")))
    with pytest.raises(ConnectionClosed, match="the connection is closed \\(busy\\): the peer has refused it"):
        session.send_data(b"x")


# Payloads that no reader takes.

CONTROL = {
    HELLO: (SERVER, State.HELLO),
    WELCOME: (CLIENT, State.ANSWER),
    REFUSED: (CLIENT, State.ANSWER),
    BYE: (SERVER, State.OPEN),
    ERROR: (CLIENT, State.OPEN),
    NACK: (CLIENT, State.OPEN),
}


@pytest.mark.parametrize("kind", CONTROL)
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x81",
        b"\x92\x00",
        b"\xc0",
        b"\x01",
        b"hello",
        b"\x81\x01\x02",
        b"\x81\xa7version\xa11",
        b"\x81\xa7version\xc3",
        b"\x81\xa7service\xa2\xff\xfe",
        b"\x92\x00\xa1\xff",
        b"\x92\xc0\xa0",
        b"\x92\x00\xa0\x00",
        b"\x80\x80",
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\x81\xa1z" + b"\x91" * 4000 + b"\xc0",
        b"\x93\x00\xa0" + b"\x91" * 4000 + b"\xc0",
        b"\x90",
    ],
)
def test_garbage_in_a_control_frame_is_a_fault_and_no_error_of_the_decoder(kind: int, payload: bytes) -> None:
    role, state = CONTROL[kind]
    session = in_state(role, state)
    before = {ERROR: number(1), NACK: sequence(1)}
    session.receive_data(frame(kind, before.get(kind, b"") + payload))
    name, error, code, text = facts(session.events())[-1]
    assert (name, error, code) == ("Fault", "ProtocolError", "protocol")
    assert f"a {Kind(kind).name} frame that cannot be" in text
    assert session.data_to_send().startswith((frame(BYE)[:1], PREFACE))


@pytest.mark.parametrize("size", range(4))
def test_an_error_frame_without_room_for_its_id_is_a_fault(size: int) -> None:
    text = f"an ERROR frame of {size} bytes has no room for its id"
    assert broken(CLIENT, State.OPEN, frame(ERROR, bytes(size))) == fault(text)


@pytest.mark.parametrize(("kind", "role"), [(REQUEST, SERVER), (REPLY, CLIENT)])
def test_a_bad_id_is_a_fault_and_what_came_before_it_is_kept(kind: int, role: Role) -> None:
    good = frame(kind, number(1) + b"a") + frame(kind, number(2**32 - 1))
    event = ("Requests" if kind == REQUEST else "Replies", [(1, b"a"), (2**32 - 1, b"")])
    for size in range(4):
        outcome = unbroken(role, State.OPEN, good + frame(kind, bytes(size)))
        assert outcome.facts == [event, fault(f"a request id of {size} bytes, expected 4")]
    outcome = unbroken(role, State.OPEN, good + frame(kind, number(0) + b"x") + good)
    assert outcome.facts == [event, fault("the request id 0; ids begin at 1 and end below 2^63")]


def test_an_error_may_stand_for_no_request_and_for_the_last_id() -> None:
    session = in_state(CLIENT, State.OPEN)
    session.receive_data(frame(ERROR, number(0) + refusal(22, "no")) + frame(ERROR, number(2**32 - 1) + refusal(99)))
    first, last = facts(session.events())
    assert first[:2] == ("Failed", 0)
    assert last[:2] == ("Failed", 2**32 - 1)
    assert (first[2].reason, last[2].reason) == (Code.BAD_MESSAGE, Code.FAILED)


# The end.


def test_a_client_answers_bye_at_once_and_a_server_may_still_finish() -> None:
    client, server = in_state(CLIENT, State.OPEN), in_state(SERVER, State.OPEN)
    for session in (client, server):
        session.receive_data(frame(BYE, refusal(2, "restart")) * 2 + b"\0\0")
        assert session.pending == 0
        assert [event[0] for event in facts(session.events())] == ["Ended"]
        assert session.state is State.ENDED
    assert client.data_to_send() == frame(BYE, refusal())
    assert not client.sending
    server.send_reply(3, b"done")
    server.send_data(b"and more")
    assert server.send_ping()
    server.send_eof()
    assert server.data_to_send() == (
        frame(REPLY, number(3) + b"done") + frame(DATA, b"and more") + frame(PING) + frame(BYE, refusal())
    )


def test_a_bye_that_cannot_be_read_is_answered_with_the_reason() -> None:
    assert broken(CLIENT, State.OPEN, frame(BYE, b"\xc1"))[3].startswith("a BYE frame that cannot be read")


@pytest.mark.parametrize(
    ("role", "state", "text"),
    [
        (CLIENT, State.PREFACE, "before the end of the preface"),
        (SERVER, State.PREFACE, "before the end of the preface"),
        (SERVER, State.HELLO, "before its HELLO"),
        (SERVER, State.VERDICT, "before its HELLO was answered"),
        (CLIENT, State.ANSWER, "before it answered HELLO"),
        (SERVER, State.OPEN, "without a BYE"),
        (CLIENT, State.OPEN, "without a BYE"),
    ],
)
def test_the_end_of_the_stream_without_a_bye_is_broken_in_every_state(role: Role, state: State, text: str) -> None:
    outcome = outcome_every_way(lambda: in_state(role, state), b"", eof=True)
    problem = f"the connection broke: the peer closed the stream {text}"
    assert outcome == ([("Fault", "Broken", "ok", problem)], b"", State.FAULTY, False)
    session = in_state(role, state)
    session.receive_eof()
    session.receive_eof()
    assert len(session.events()) == 1
    session.send_eof()
    assert session.queued == 0


@pytest.mark.parametrize("rest", [b"\x00", header(DATA, 5), header(DATA, 5) + b"hell", frame(PART), frame(PART, b"x")])
def test_the_end_of_the_stream_inside_a_message_says_so(rest: bytes) -> None:
    outcome = outcome_every_way(lambda: in_state(SERVER, State.OPEN), frame(DATA, b"a") + rest, eof=True)
    assert outcome.facts[0] == ("Data", [b"a"])
    assert outcome.facts[1][3].endswith("the peer closed the stream inside a message")


def test_after_a_fault_nothing_can_be_said_and_the_reason_is_named() -> None:
    session = PlugSession(SERVER, DEFAULTS)
    session.receive_data(b"x")
    with pytest.raises(ConnectionClosed, match="it has failed: the peer does not speak the plug protocol"):
        session.send_data(b"x")
