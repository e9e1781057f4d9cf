"""What is said there: the steps ``handshake``, ``echo`` and ``speaks``."""

from __future__ import annotations

import ssl
import time
from errno import ECONNREFUSED
from typing import TYPE_CHECKING, Final

from anyplug.codec import make_codec
from anyplug.errors import AnyplugError, Broken, Code, ConnectError, EncodeError
from anyplug.limits import DEFAULTS
from anyplug.messages import Failed, Fault, Hello, Refusal, Replies, Welcome
from anyplug.netinfo.check_path import again, refusal
from anyplug.netinfo.check_tls import secure
from anyplug.netinfo.check_types import Answered, Greeted, Speaks
from anyplug.netinfo.check_walk import MESSAGE, Outcome, Walk, failed, ok, skipped
from anyplug.netinfo.identify import identify
from anyplug.plan import AGENT, plain_framing
from anyplug.transport.handshake import check_codec, handshake_error
from anyplug.wire import PlugSession, Role
from anyplug.wire.frames import PREFACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyplug.messages import Event

__all__ = ["echo", "handshake", "offered", "speaks", "tongue"]

_FIRST_WORDS: Final = 0.3
"""How long a server has to speak first, seconds, before it is spoken to. Those that do, do so at once."""
_SHOWN: Final = 120
"""Characters that are shown of what was heard."""

_REMEDIES: Final[Mapping[Code, str]] = {
    Code.UNKNOWN_SERVICE: "name a service that it has, behind the host: plug://host/service",
    Code.NOT_ALLOWED: "give the server's token with --token-file FILE, or in ANYPLUG_TOKEN",
    Code.BUSY: "try again in a while",
    Code.GOING_AWAY: "the server restarts or stops; try again",
}

_TONGUES: Final = (
    ("anyplug", (PREFACE[:4], b"anyplug ")),
    ("tls", (b"\x15\x03", b"\x16\x03")),
    ("http", (b"HTTP/",)),
    ("ssh", (b"SSH-",)),
    ("mail or FTP", (b"220 ", b"220-")),
)
"""How others begin."""


# Anyplug's own.


def handshake(walk: Walk) -> Outcome:
    """HELLO, and WELCOME or REFUSED."""
    address, seconds = walk.address, walk.options.timeout
    walk.session = session = PlugSession(Role.CLIENT, DEFAULTS)
    hello = Hello(
        service=address.service or "echo",
        rest=address.rest,
        codec=address.options.get("codec") or "msgpack",
        message=DEFAULTS.message,
        token=walk.options.token,
        agent=f"{AGENT} check",
    )
    session.send_hello(hello)
    problem: BaseException = TimeoutError()
    began = time.monotonic()
    try:
        events = walk.converse(session, seconds)
    except (OSError, AnyplugError) as error:
        events, problem = [], error if isinstance(error, AnyplugError) else _broken(error)
    if events:
        answer = events[0]
        if isinstance(answer, Welcome):
            took = time.monotonic() - began
            try:
                check_codec(answer, hello.codec, walk.where)
            except ConnectError as error:
                return failed(error.problem, error.remedy)
            return _welcomed(walk, answer)._replace(seconds=took)
        if isinstance(answer, Refusal):
            return _refused(hello.service, answer)
        problem = answer.error if isinstance(answer, Fault) else problem
    return _not_spoken(walk, problem)


def _welcomed(walk: Walk, welcome: Welcome) -> Outcome:
    walk.welcome = welcome
    does = "answers requests" if welcome.asks else "holds conversations"
    facts = Greeted(
        service=welcome.service,
        version=welcome.version,
        agent=welcome.agent,
        codec=welcome.codec,
        asks=welcome.asks,
        services=offered(walk),
    )
    who = welcome.agent or "a server that does not say its name"
    rest = f"; it offers {', '.join(facts.services)}" if facts.services else ""
    return ok(f"WELCOME of {who}: protocol {welcome.version}, {welcome.codec}; {welcome.service} {does}{rest}", facts)


def offered(walk: Walk) -> tuple[str, ...]:
    """The services of a server. A HELLO that names none, over a connection of its own, is refused with their names."""
    other = Walk(walk.address, walk.where, walk.target, walk.options)
    session = PlugSession(Role.CLIENT, DEFAULTS)
    session.send_hello(Hello(token=walk.options.token, agent=f"{AGENT} check"))
    try:
        other.sock = again(walk)
        if isinstance(walk.sock, ssl.SSLSocket):
            other.sock = secure(walk, other.sock, walk.sock.context)
        events = other.converse(session, walk.patience)
    except (OSError, AnyplugError):
        return ()
    finally:
        other.close()
    if not events or not isinstance(events[0], Refusal) or events[0].reason is not Code.UNKNOWN_SERVICE:
        return ()
    return tuple(filter(None, events[0].text.partition("offered: ")[2].split(", ")))


def _refused(service: str, answer: Refusal) -> Outcome:
    word = answer.reason.word
    remedy = _REMEDIES.get(answer.reason, "look at the server's log")
    facts = Greeted(service=service, refused=word, text=answer.text)
    return failed(f"REFUSED, {word}: {answer.text}", remedy, facts)


def _not_spoken(walk: Walk, problem: BaseException) -> Outcome:
    """No Anyplug there; what else."""
    error = handshake_error(walk.where, problem, walk.options.timeout)
    found = _heard(walk) or _asked(walk)
    if found is None or found.protocol in {"silent", "anyplug"}:
        return failed(error.problem, error.remedy, found)
    return failed(f"{error.problem}; what answers there is {_told(found)}", error.remedy, found)


# One message.


def echo(walk: Walk) -> Outcome:
    """One message, and what comes for it."""
    if not walk.options.echo:
        return skipped("left out, as asked")
    try:
        if walk.welcome is not None:
            return _ask(walk, walk.welcome)
        return _say(walk)
    except OSError as error:
        return _cut(walk, error)
    except AnyplugError as error:
        return failed(f"the conversation ended: {error}", "look at the server's log")


def _ask(walk: Walk, welcome: Welcome) -> Outcome:
    """A request over Anyplug's own protocol."""
    if not welcome.asks:
        return skipped(f"{welcome.service} holds conversations, and answers no requests")
    session = walk.session
    assert isinstance(session, PlugSession)  # noqa: S101 - who was welcomed has one
    body = make_codec(welcome.codec).encode(MESSAGE)
    session.send_request(1, body)
    events = walk.converse(session, walk.patience)
    return _replied(body, events[0]) if events else Outcome("unknown", f"no answer within {walk.patience:g} s")


def _replied(body: bytes, event: Event) -> Outcome:
    if isinstance(event, Replies):
        answer = event.items[0][1]
        return _answered(body, answer)
    if isinstance(event, Failed):
        reason, text = event.refusal.reason.word, event.refusal.text
        return ok(f"it answers that it cannot use a text ({reason}: {text})", Answered(len(body), 0, False))
    if isinstance(event, Fault):
        return failed(f"the conversation broke: {event.error}", "look at the server's log")
    return failed("the server ended the conversation without an answer", "look at the server's log")


def _say(walk: Walk) -> Outcome:
    """A message over a plain stream, or a datagram; unless the other side speaks first."""
    if walk.address.kind != "datagram" and (first := walk.receive(_FIRST_WORDS)) is not None:
        if not first:
            return Outcome("unknown", "it took the connection and ended it without a word")
        return ok(f"it speaks first: {_excerpt(first)}", Answered(0, len(first), False))
    codec = make_codec(walk.address.options.get("codec") or "bytes")
    try:
        body = codec.encode(MESSAGE)
    except EncodeError:
        body = codec.encode(MESSAGE.encode())
    walk.send(plain_framing(walk.address).encode(body))
    answer = walk.receive(walk.patience)
    if answer is None and walk.address.kind == "datagram":
        problem = f"no answer within {walk.patience:g} s: open|unknown"
        return Outcome("unknown", problem, "datagrams tell nothing of who takes them; ask a service that answers")
    if answer is None:
        return Outcome("unknown", f"no answer within {walk.patience:g} s; not every service answers")
    if not answer and walk.ended:
        return Outcome("unknown", "it took the message and ended the stream without an answer")
    return _answered(body, answer)


def _answered(body: bytes, answer: bytes) -> Outcome:
    same = body in answer
    what = "the same came back" if same else f"answered: {_excerpt(answer)}"
    return ok(what, Answered(len(body), len(answer), same))


def _cut(walk: Walk, error: OSError) -> Outcome:
    if error.errno == ECONNREFUSED and walk.target is not None:
        return refusal(walk, "udp")
    if error.errno == ECONNREFUSED:
        return failed(f"nothing listens on {walk.where} any more", "start the server")
    return failed(str(_broken(error)), "look at the server's log, and check the port")


# What else is there.


def speaks(walk: Walk) -> Outcome:
    """What answers on a plain port, from what it said, or from what it says to others' first words."""
    found = _heard(walk) or (_asked(walk) if walk.options.echo else None)
    if found is None:
        return Outcome("unknown", "it has said nothing")
    if found.protocol == "silent":
        return Outcome("unknown", "it speaks neither Anyplug nor TLS nor HTTP", "", found)
    if found.protocol == "tls" and not walk.address.is_tls:
        scheme = {"tcp": "tls", "ws": "wss"}.get(walk.address.scheme, "plugs")
        return failed("a TLS server is behind that port", f"try {scheme}://", found)
    if walk.address.scheme in {"ws", "wss"} and found.protocol not in {"http", "anyplug"}:
        return failed(f"no web server is behind that port: {_told(found)}", "check the port; or try tcp://", found)
    return ok(_told(found), found)


def tongue(data: bytes) -> str:
    """What somebody speaks, by the first bytes."""
    return next((name for name, openings in _TONGUES if data.startswith(openings)), "text" if data else "")


def _heard(walk: Walk) -> Speaks | None:
    name = tongue(walk.heard)
    return Speaks(name, "" if name == "tls" else _excerpt(walk.heard)) if name else None


def _asked(walk: Walk) -> Speaks | None:
    """Asked in the tongues of others, over connections of their own."""
    if walk.target is None or not walk.tcp or isinstance(walk.sock, ssl.SSLSocket):
        return None
    found = identify(walk.target, walk.address.port, wait=min(walk.patience, 1.0))
    return Speaks(found.protocol, found.detail)


def _told(found: Speaks) -> str:
    return f"{found.protocol}: {found.detail}" if found.detail else found.protocol


def _excerpt(data: bytes) -> str:
    """The first line as text, and how much there was."""
    line = data.strip().split(b"\n")[0].decode("utf-8", "backslashreplace").strip()
    shown = f"{line[:_SHOWN]}…" if len(line) > _SHOWN else line
    return f"{shown} ({len(data):,} bytes)" if shown else f"{len(data):,} bytes"


def _broken(error: OSError) -> AnyplugError:
    return Broken((error.strerror or str(error)).lower())
