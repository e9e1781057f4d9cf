"""The plug session as it speaks: every verb, its bytes and its misuse; and what arrives at the other end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from anyplug.errors import Code, ConnectionClosed, EncodeError, LocalError, TooLarge
from anyplug.limits import DEFAULTS, FRAME_MAX, HELLO_MAX, Limits
from anyplug.messages import (
    Acked,
    Data,
    Ended,
    Failed,
    Fault,
    Hello,
    Kept,
    Nacked,
    Posts,
    Refusal,
    Replies,
    Requests,
    Welcome,
)
from anyplug.wire import PlugSession, Role, State
from anyplug.wire.sender import ID_MAX, TEXT_MAX
from tests.wire.network import (
    ACK,
    BYE,
    DATA,
    ERROR,
    HELLO,
    NACK,
    PART,
    PING,
    POST,
    PREFACE,
    REFUSED,
    REPLY,
    REQUEST,
    WELCOME,
    exchange,
    frame,
    greeting,
    in_state,
    join,
    number,
    open_pair,
    refusal,
    sequence,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENT, SERVER = Role.CLIENT, Role.SERVER

COMMON = {"version": 1, "service": "echo"}
HELLO_FIELDS = {
    **COMMON,
    "rest": "",
    "codec": "msgpack",
    "message": 100,
    "token": "",
    "producer": b"",
    "name": "",
    "agent": "",
}
WELCOME_FIELDS = {
    **COMMON,
    "codec": "msgpack",
    "message": 100,
    "asks": False,
    "posts": False,
    "generation": "",
    "posted": 0,
    "incarnation": "",
    "agent": "",
}


ACKED = Acked(3, 2, 17, Kept.MEMORY)


def open_session(role: Role, message: int = DEFAULTS.message) -> PlugSession:
    return in_state(role, State.OPEN, Limits(message=message))


# The handshake.


def test_a_client_begins_with_preface_and_hello_that_states_its_limit() -> None:
    session = PlugSession(CLIENT, Limits(message=100))
    session.send_hello(Hello(service="echo"))
    assert session.data_to_send() == PREFACE + frame(HELLO, greeting(**HELLO_FIELDS))
    session = PlugSession(CLIENT, Limits(message=100))
    session.send_hello(Hello(service="echo", message=7))
    assert session.data_to_send() == PREFACE + frame(HELLO, greeting(**{**HELLO_FIELDS, "message": 7}))


def test_a_server_answers_with_preface_and_welcome_that_states_its_limit() -> None:
    session = in_state(SERVER, State.VERDICT, Limits(message=100))
    session.send_welcome(Welcome(service="echo"))
    assert session.data_to_send() == PREFACE + frame(WELCOME, greeting(**WELCOME_FIELDS))
    assert session.state is State.OPEN


@pytest.mark.parametrize("state", [State.PREFACE, State.HELLO, State.VERDICT])
@pytest.mark.parametrize("verb", ["send_refused", "send_eof"])
def test_a_server_refuses_before_and_after_hello_and_hears_nothing_more(state: State, verb: str) -> None:
    session = in_state(SERVER, state)
    session.receive_data(PREFACE[:3] if state is State.PREFACE else b"\0\0")
    getattr(session, verb)(Code.BUSY, "full")
    assert session.pending == 0
    assert session.data_to_send() == PREFACE + frame(REFUSED, refusal(1, "full"))
    assert (session.state, session.sending, session.receiving) == (State.ENDED, False, False)
    session.receive_data(PREFACE + frame(HELLO, greeting()) + frame(77))
    session.receive_eof()
    session.send_refused(Code.BUSY, "again")
    session.send_eof()
    session.send_welcome(Welcome())
    assert (session.events(), session.queued, session.state) == ([], 0, State.ENDED)


@pytest.mark.parametrize("kind", [HELLO, WELCOME])
def test_a_greeting_above_its_limit_or_with_half_characters_is_not_said(kind: int) -> None:
    def say(session: PlugSession, service: str) -> None:
        if kind == HELLO:
            session.send_hello(Hello(service=service))
        else:
            session.send_welcome(Welcome(service=service))

    session = PlugSession(CLIENT, DEFAULTS) if kind == HELLO else in_state(SERVER, State.VERDICT)
    with pytest.raises(TooLarge, match=r"(HELLO|WELCOME) frame too large: .* the limit is 4,096 bytes"):
        say(session, "x" * HELLO_MAX)
    with pytest.raises(EncodeError, match=r"(HELLO|WELCOME) holds text that is no Unicode"):
        say(session, "\udc80")
    assert session.queued == 0
    fields = HELLO_FIELDS if kind == HELLO else WELCOME_FIELDS
    room = HELLO_MAX - len(greeting(**{**fields, "service": "x" * 1000, "message": DEFAULTS.message})) + 1000
    with pytest.raises(TooLarge, match=r"4,097 bytes"):
        say(session, "x" * (room + 1))
    say(session, "x" * room)
    assert session.queued == 8 + 4 + HELLO_MAX


@pytest.mark.parametrize(
    ("session", "verb", "says"),
    [
        (lambda: PlugSession(SERVER, DEFAULTS), lambda s: s.send_hello(Hello()), "HELLO is what a client says first"),
        (lambda: in_state(CLIENT, State.PREFACE), lambda s: s.send_hello(Hello()), "HELLO is what a client says first"),
        (lambda: in_state(CLIENT, State.ANSWER), lambda s: s.send_welcome(Welcome()), "no HELLO waits for one"),
        (lambda: in_state(SERVER, State.HELLO), lambda s: s.send_welcome(Welcome()), "no HELLO waits for one"),
        (lambda: in_state(SERVER, State.OPEN), lambda s: s.send_welcome(Welcome()), "no HELLO waits for one"),
        (lambda: in_state(SERVER, State.OPEN), lambda s: s.send_refused(Code.OK, ""), "ends with send_eof"),
        (lambda: in_state(CLIENT, State.ANSWER), lambda s: s.send_refused(Code.OK, ""), "a server's answer to HELLO"),
        (lambda: in_state(SERVER, State.OPEN), lambda s: s.send_request(1, b""), "REQUEST goes from client to server"),
        (lambda: in_state(CLIENT, State.OPEN), lambda s: s.send_reply(1, b""), "REPLY goes from server to client"),
        (
            lambda: in_state(CLIENT, State.OPEN),
            lambda s: s.send_error(1, Code.OK, ""),
            "ERROR goes from server to client",
        ),
        (
            lambda: in_state(CLIENT, State.OPEN),
            lambda s: s.send_request(0, b""),
            "request id 0, expected 1 to 4294967295",
        ),
        (
            lambda: in_state(CLIENT, State.OPEN),
            lambda s: s.send_request(2**32, b""),
            "request id 4294967296, expected 1",
        ),
        (lambda: in_state(SERVER, State.OPEN), lambda s: s.send_reply(0, b""), "request id 0, expected 1 to"),
        (lambda: in_state(SERVER, State.OPEN), lambda s: s.send_error(-1, Code.OK, ""), "request id -1, expected 0 to"),
        (
            lambda: in_state(SERVER, State.OPEN),
            lambda s: s.send_error(2**32, Code.OK, ""),
            "id 4294967296, expected 0 to",
        ),
        (lambda: in_state(SERVER, State.OPEN), lambda s: s.send_posts(1, [b""]), "POST goes from client to server"),
        (lambda: in_state(CLIENT, State.OPEN), lambda s: s.send_ack(ACKED), "ACK goes from server to client"),
        (
            lambda: in_state(CLIENT, State.OPEN),
            lambda s: s.send_nack(1, Code.OK, ""),
            "NACK goes from server to client",
        ),
        (lambda: in_state(CLIENT, State.OPEN), lambda s: s.send_posts(0, [b""]), "the sequence 0, expected 1 to"),
        (
            lambda: in_state(CLIENT, State.OPEN),
            lambda s: s.send_posts(2**63 - 1, [b""]),
            "sequence 9223372036854775807",
        ),
        (lambda: in_state(CLIENT, State.ANSWER), lambda s: s.send_posts(1, [b""]), "the handshake is not finished"),
        (lambda: in_state(SERVER, State.VERDICT), lambda s: s.send_ack(ACKED), "the handshake is not finished"),
        (lambda: in_state(SERVER, State.VERDICT), lambda s: s.send_nack(1, Code.OK, ""), "the handshake is not"),
        (lambda: in_state(CLIENT, State.ANSWER), lambda s: s.send_data(b"x"), "the handshake is not finished"),
        (lambda: in_state(CLIENT, State.PREFACE), lambda s: s.send_data(b""), "the handshake is not finished"),
        (lambda: in_state(CLIENT, State.ANSWER), lambda s: s.send_many([b""]), "the handshake is not finished"),
        (lambda: in_state(CLIENT, State.ANSWER), lambda s: s.send_request(1, b""), "the handshake is not finished"),
        (lambda: in_state(SERVER, State.VERDICT), lambda s: s.send_reply(1, b""), "the handshake is not finished"),
        (
            lambda: in_state(SERVER, State.VERDICT),
            lambda s: s.send_error(1, Code.OK, ""),
            "the handshake is not finished",
        ),
    ],
)
def test_a_verb_out_of_place_is_our_own_mistake_and_says_nothing(
    session: Callable[[], PlugSession], verb: Callable[[PlugSession], None], says: str
) -> None:
    made = session()
    state = made.state
    with pytest.raises(LocalError, match=says):
        verb(made)
    assert (made.queued, made.data_to_send(), made.state) == (0, b"", state)


# The conversation.


@pytest.mark.parametrize("value", [1, 2, 256, 2**31, ID_MAX])
def test_requests_replies_and_errors_carry_their_id(value: int) -> None:
    client, server = open_session(CLIENT), open_session(SERVER)
    client.send_request(value, b"question")
    assert client.queued == 16
    assert client.data_to_send() == frame(REQUEST, number(value) + b"question")
    server.send_reply(value, b"")
    server.send_error(value, Code.FAILED, "it failed")
    server.send_error(0, Code.BAD_MESSAGE, "")
    said = frame(REPLY, number(value)) + frame(ERROR, number(value) + refusal(30, "it failed"))
    said += frame(ERROR, number(0) + refusal(22))
    assert server.queued == len(said)
    assert server.data_to_send() == said


def test_posts_acks_and_nacks_carry_their_sequence() -> None:
    client, server = open_session(CLIENT), open_session(SERVER)
    client.send_posts(2**40, [b"one", b""])
    said = frame(POST, sequence(2**40) + b"one") + frame(POST, sequence(2**40 + 1))
    assert (client.queued, client.data_to_send()) == (len(said), said)
    server.send_ack(ACKED)
    server.send_nack(5, Code.STORE_FULL, "full")
    said = frame(ACK, sequence(3) + number(2) + sequence(17) + b"\1") + frame(NACK, sequence(5) + refusal(40, "full"))
    assert (server.queued, server.data_to_send()) == (len(said), said)
    client.receive_data(said)
    assert client.events() == [ACKED, Nacked(5, Refusal(40, "full"))]


def test_posts_are_said_all_or_none() -> None:
    client = open_session(CLIENT, 10)
    with pytest.raises(TooLarge, match="11 bytes, the limit is 10 bytes"):
        client.send_posts(1, [b"fits", b"x" * 11])
    assert client.queued == 0
    client.send_posts(1, [])
    assert client.queued == 0


@pytest.mark.parametrize("role", Role)
def test_a_ping_is_said_when_the_conversation_is_open(role: Role) -> None:
    for state in (State.PREFACE, State.FAULTY):
        assert not in_state(role, state).send_ping()
    session = open_session(role)
    assert session.send_ping()
    assert (session.queued, session.data_to_send()) == (4, frame(PING))


def test_a_sentence_is_cut_to_fit_its_frame_in_any_script() -> None:
    for text in ("x" * 5000, "有" * 5000, "\N{PERFORMING ARTS}" * 5000, "\udc80" * 5000):
        session = open_session(SERVER)
        session.send_error(ID_MAX, Code.FAILED, text)
        session.send_eof(Code.FAILED, text)
        client = open_session(CLIENT)
        client.receive_data(session.data_to_send())
        failed, ended = client.events()
        assert isinstance(failed, Failed)
        assert isinstance(ended, Ended)
        assert failed.refusal == ended.refusal == Refusal(30, text[:TEXT_MAX].replace("\udc80", "?"))


@pytest.mark.parametrize("state", [State.PREFACE, State.ANSWER, State.OPEN])
def test_a_client_says_bye_only_to_a_peer_that_speaks_the_protocol(state: State) -> None:
    session = in_state(CLIENT, state)
    session.send_eof(Code.GOING_AWAY, "enough")
    assert session.data_to_send() == (b"" if state is State.PREFACE else frame(BYE, refusal(2, "enough")))
    assert not session.sending
    with pytest.raises(ConnectionClosed):
        session.send_request(1, b"")


def test_a_client_that_has_said_nothing_says_no_bye() -> None:
    session = PlugSession(CLIENT, DEFAULTS)
    session.receive_data(PREFACE)
    session.send_eof()
    assert session.queued == 0


@pytest.mark.parametrize("verb", ["send_reply", "send_error"])
def test_nothing_is_said_after_bye(verb: str) -> None:
    session = open_session(SERVER)
    session.send_eof()
    session.data_to_send()
    with pytest.raises(ConnectionClosed):
        session.send_error(1, Code.OK, "") if verb == "send_error" else session.send_reply(1, b"x")
    assert session.queued == 0


# Two objects are a network: what one says, the other hears.

SIZES = [
    0,
    1,
    FRAME_MAX - 9,
    FRAME_MAX - 8,
    FRAME_MAX - 7,
    FRAME_MAX - 5,
    FRAME_MAX - 4,
    FRAME_MAX - 3,
    FRAME_MAX - 1,
    FRAME_MAX,
    FRAME_MAX + 1,
    2 * FRAME_MAX,
]


@pytest.mark.parametrize("size", [*SIZES, 3 * FRAME_MAX - 4, 3 * FRAME_MAX + 1])
def test_messages_of_every_size_arrive_as_they_were(size: int) -> None:
    client, server = open_pair()
    body = bytes(range(251)) * (size // 251 + 1)
    body = body[:size]
    client.send_data(body)
    client.send_many([b"a", body, b""])
    client.send_request(5, body)
    client.send_posts(8, [b"b", body])
    expected = [Data([body, b"a", body, b""]), Requests([(5, body)]), Posts([(8, b"b"), (9, body)])]
    assert join(exchange(client, server)[1]) == expected
    server.send_many([body, body])
    server.send_reply(5, body)
    server.send_data(b"end")
    events = exchange(client, server)[0]
    assert join(events) == [Data([body, body]), Replies([(5, body)]), Data([b"end"])]
    assert (client.pending, server.pending, client.queued, server.queued) == (0, 0, 0, 0)


def _check_too_large(
    say: Callable[[bytes], None],
    say_many: Callable[[list[bytes]], None],
    say_numbered: Callable[[bytes], None],
    limit: int,
) -> None:
    large = b"x" * (limit + 1)
    for verb in (say, say_numbered, lambda body: say_many([b"a", body]), lambda body: say_many([body, b"a"])):
        with pytest.raises(TooLarge) as caught:
            verb(large)
        assert (caught.value.what, caught.value.size, caught.value.limit) == ("message", limit + 1, limit)


@pytest.mark.parametrize("limit", [10, FRAME_MAX - 4, FRAME_MAX, FRAME_MAX + 100, 2 * FRAME_MAX])
def test_the_limit_holds_in_both_directions_for_every_kind_of_message(limit: int) -> None:
    for limits in ((limit, DEFAULTS.message), (DEFAULTS.message, limit), (limit, limit)):
        client, server = open_pair(Limits(message=limits[0]), Limits(message=limits[1]))
        for size in (limit - 1, limit):
            body = b"x" * size
            client.send_data(body)
            client.send_request(1, body)
            server.send_many([body])
            server.send_reply(1, body)
            heard, asked = map(join, exchange(client, server))
            assert asked == [Data([body]), Requests([(1, body)])]
            assert heard == [Data([body]), Replies([(1, body)])]
        _check_too_large(client.send_data, client.send_many, partial(client.send_request, 1), limit)
        _check_too_large(server.send_data, server.send_many, partial(server.send_reply, 1), limit)
        assert exchange(client, server) == [[], []]


@pytest.mark.parametrize("limit", [10, FRAME_MAX - 4, FRAME_MAX, FRAME_MAX + 100])
@pytest.mark.parametrize("kind", [DATA, REQUEST])
def test_a_peer_that_ignores_our_limit_is_found_out(limit: int, kind: int) -> None:
    generous = open_session(CLIENT)
    server = open_session(SERVER, limit)
    if kind == DATA:
        generous.send_many([b"good", b"x" * (limit + 1)])
    else:
        generous.send_data(b"good")
        generous.send_request(9, b"x" * (limit + 1))
    stream = generous.data_to_send()
    for size in (len(stream), 65_536, 1000):
        server = open_session(SERVER, limit)
        for at in range(0, len(stream), size):
            server.receive_data(stream[at : at + size])
            assert server.pending <= limit + FRAME_MAX + 8
        data, fault = join(server.events())
        assert data == Data([b"good"])
        assert isinstance(fault, Fault)
        assert isinstance(fault.error, TooLarge)
        assert fault.error.limit == limit
        assert server.data_to_send().startswith(bytes([BYE]))


def test_large_messages_are_not_mixed_with_others() -> None:
    client, server = open_pair()
    client.send_data(b"a" * (FRAME_MAX + 1))
    client.send_ping()
    client.send_request(1, b"b" * (FRAME_MAX + 1))
    client.send_eof()
    kinds = []
    stream = client.data_to_send()
    at = 0
    while at < len(stream):
        kinds.append(stream[at])
        at += 4 + int.from_bytes(stream[at + 1 : at + 4], "big")
    assert kinds == [PART, DATA, PING, PART, REQUEST, BYE]
    server.receive_data(stream)
    assert [type(event) for event in server.events()] == [Data, Requests, Ended]


def test_both_ends_say_bye() -> None:
    client, server = open_pair()
    client.send_request(1, b"last")
    client.send_eof()
    assert [type(event) for event in exchange(client, server)[1]] == [Requests, Ended]
    server.send_reply(1, b"answer")
    server.send_eof()
    assert [type(event) for event in exchange(client, server)[0]] == [Replies, Ended]
    assert {session.state for session in (client, server)} == {State.ENDED}
    client.receive_eof()
    server.receive_eof()
    assert (client.events(), server.events()) == ([], [])


def test_a_server_that_says_bye_hears_it_back() -> None:
    client, server = open_pair()
    client.send_data(b"on its way")
    server.send_eof(Code.GOING_AWAY, "stopping")
    heard, asked = exchange(client, server)
    assert heard == [Ended(Refusal(2, "stopping"))]
    assert asked == [Data([b"on its way"]), Ended(Refusal(0, ""))]


@pytest.mark.parametrize("ours", [BYE, REFUSED])
def test_codes_are_what_the_enum_says(ours: int) -> None:
    for code in Code:
        session = open_session(SERVER) if ours == BYE else in_state(SERVER, State.VERDICT)
        session.send_eof(code, "")
        expected = frame(ours, bytes([0x92, code, 0xA0]))
        assert session.data_to_send() == (expected if ours == BYE else PREFACE + expected)
