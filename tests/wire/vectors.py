"""Reads and plays the test vectors of `docs/vectors`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from anyplug.errors import Code
from anyplug.limits import Limits
from anyplug.messages import Acked, Hello, Kept, Welcome
from anyplug.wire import PlugSession, Role
from tests.wire.network import BYE, PREFACE, REFUSED, Fact, facts

if TYPE_CHECKING:
    from anyplug.messages import Event

__all__ = ["Step", "Vector", "bytes_of", "event_facts", "limits_of", "load", "new_session", "say", "steps_of", "told"]

Step = dict[str, Any]
Vector = dict[str, Any]

_FOLDER = Path(__file__).parents[2] / "docs" / "vectors"


def load(name: str) -> dict[str, Vector]:
    """The vectors of one file by their names."""
    vectors = json.loads((_FOLDER / name).read_text(encoding="utf-8"))["vectors"]
    named = {vector["name"]: vector for vector in vectors}
    assert len(named) == len(vectors), "two vectors of one name"
    return named


def bytes_of(pieces: list[list[str]]) -> bytes:
    """The bytes of pieces ``[hex, what it is]``."""
    return b"".join(bytes.fromhex(digits) for digits, _ in pieces)


def steps_of(vectors: dict[str, Vector], name: str) -> list[Step]:
    """All steps of a vector, with those of the one it comes after."""
    vector = vectors[name]
    before = steps_of(vectors, vector["after"]) if "after" in vector else []
    return [*before, *vector["steps"]]


def limits_of(vectors: dict[str, Vector], name: str) -> Limits:
    """The bounds of the end that a vector tells of."""
    vector = vectors[name]
    if "limits" not in vector and "after" in vector:
        return limits_of(vectors, vector["after"])
    return Limits(**vector.get("limits", {}))


def new_session(vectors: dict[str, Vector], name: str, *, peer: bool = False) -> PlugSession:
    """A session of the vector's role, or of the other one."""
    role = Role(vectors[name]["role"])
    if peer:
        role = Role.CLIENT if role is Role.SERVER else Role.SERVER
    return PlugSession(role, limits_of(vectors, name))


def say(session: PlugSession, verb: Step) -> None:
    """Have the session say what a verb of a vector means."""
    body = bytes.fromhex(verb.get("body", ""))
    code, text = Code[verb.get("code", "ok").upper()], verb.get("text", "")
    match verb["verb"]:
        case "hello":
            session.send_hello(Hello(**_with_bytes(verb["fields"])))
        case "welcome":
            session.send_welcome(Welcome(**verb["fields"]))
        case "refused":
            session.send_refused(code, text)
        case "data":
            session.send_data(body)
        case "many":
            session.send_many([bytes.fromhex(each) for each in verb["bodies"]])
        case "request":
            session.send_request(verb["id"], body)
        case "reply":
            session.send_reply(verb["id"], body)
        case "error":
            session.send_error(verb["id"], code, text)
        case "posts":
            session.send_posts(verb["first"], [bytes.fromhex(each) for each in verb["bodies"]])
        case "ack":
            session.send_ack(Acked(verb["first"], verb["count"], verb["position"], Kept(verb.get("kept", 0))))
        case "nack":
            session.send_nack(verb["sequence"], code, text)
        case "ping":
            assert session.send_ping()
        case "eof":
            session.send_eof(code, text)
        case unknown:
            raise AssertionError(f"no such verb: {unknown}")


def _with_bytes(fields: Step) -> Step:
    return {**fields, "producer": bytes.fromhex(fields["producer"])} if "producer" in fields else fields


def event_facts(events: list[Event]) -> list[Step]:
    """Events in the form that vectors have them in: a name, and fields that JSON can hold."""
    return [_json_fact(fact) for fact in facts(events)]


def _json_fact(fact: Fact) -> Step:
    name, *rest = fact
    match name:
        case "Fault":
            error = {"ProtocolError": "protocol", "TooLarge": "too_large", "Broken": "broken"}[rest[0]]
            fields: Step = {"error": error, "code": rest[1]}
        case "Hello":
            fields = dict(zip(Hello.__struct_fields__, rest, strict=True))
            fields["producer"] = fields["producer"].hex()
        case "Welcome":
            fields = dict(zip(Welcome.__struct_fields__, rest, strict=True))
        case "Data":
            fields = {"bodies": [body.hex() for body in rest[0]]}
        case "Requests" | "Replies" | "Posts":
            fields = {"items": [[number, body.hex()] for number, body in rest[0]]}
        case "Pong":
            fields = {"body": rest[0].hex()}
        case "Acked":
            fields = dict(zip(("first", "count", "position", "kept"), rest, strict=True))
        case "Nacked":
            fields = {"sequence": rest[0], "code": rest[1].reason.word, "text": rest[1].text}
        case "Content":
            fields = {"transfer": rest[0], "index": rest[1], "digest": rest[2].hex(), "body": rest[3].hex()}
        case "Refused":
            fields = {"code": Code(rest[0]).word, "text": rest[1]}
        case _:
            fields = {"code": rest[-1].reason.word, "text": rest[-1].text}
            if name == "Failed":
                fields["id"] = rest[0]
    return {"event": name.lower(), **fields}


def told(said: bytes) -> Step:
    """What a peer is told that broke the protocol: the kind of the one frame, and its code."""
    said = said.removeprefix(PREFACE)
    kinds = {BYE: "BYE", REFUSED: "REFUSED"}
    assert len(said) == 4 + int.from_bytes(said[1:4], "big")
    code, _ = msgspec.msgpack.decode(said[4:])
    return {"kind": kinds[said[0]], "code": Code(code).word}
