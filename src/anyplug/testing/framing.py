"""The conformance suite of framings: what every framing has to keep, whoever wrote it.

`check_framing` asks a framing for its decoders and feeds them one stream in every way a network may deliver it: whole,
byte by byte, cut in two at every place, in pieces of many sizes. What comes out has to be the same messages, and a
fault has to come where the contract of `anyplug.framing.base` has it. Nothing is random and nothing is timed: it passes
always or never.

A framing that keeps boundaries gives back each message as it was sent. One that keeps none (``raw``) is checked on the
bytes alone: nothing lost, nothing added, nothing out of order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from anyplug.errors import Broken, EncodeError, ProtocolError, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from anyplug.framing.base import Decoder, Framing

__all__ = ["MESSAGES", "check_framing", "deliveries"]

MESSAGES: tuple[bytes, ...] = (
    b"a",
    b"hello, world",
    b" leading and trailing spaces ",
    b"12        twelve",
    b"\x00",
    b"\x00\x00\x00\x05NULs before a length",
    b"\xff\xfe\x80 not UTF-8 \xc3",
    "有内鬼, 终止交易! \N{PERFORMING ARTS} é".encode(),
    bytes(byte for byte in range(256) if byte != 10) + b".",
    b"a carriage\rreturn inside",
    b"x" * 300,
)
"""Messages that every framing has to carry: no line break, no CR at the end, none empty."""

AWKWARD = (b"", b"\n", b"\r", b"\r\n", b"two\nlines", b"line\n", b"line\r", b"\nline", b"line\r\n", b"\n\n")
"""Messages that a framing may refuse, but must not change."""

LIMIT = 64
"""The limit under test, bytes."""

SLACK = 64
"""What a decoder may hold beside the message: a header, a line end."""

PIECES = (2, 3, 5, 7, 16, 64, 1000)
"""Sizes of the pieces a stream is fed in, bytes."""


def check_framing(
    make: Callable[[int], Framing], *, messages: Sequence[bytes] = MESSAGES, boundaries: bool = True
) -> None:
    """Check that a framing keeps the contract of `Framing` and `Decoder`.

    Args:
        make: makes the framing for a limit in bytes: ``lambda limit: Lines(limit=limit)``.
        messages: what the framing has to carry; the default suits any framing.
        boundaries: False for a framing that does not keep messages apart: only their bytes are compared.

    Raises:
        AssertionError: it does not; says what was fed, what came and what was expected.
    """
    try:
        _check_all(make, messages, boundaries=boundaries)
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{error!r} came out of the framing where no error is allowed") from error


def deliveries(stream: bytes, *, pieces: Iterable[int] = PIECES) -> Iterator[list[bytes]]:
    """The ways a network may deliver a stream: whole, byte by byte, cut in two everywhere, in pieces of each size."""
    yield [stream]
    yield [stream[at : at + 1] for at in range(len(stream))]
    for cut in range(len(stream) + 1):
        yield [stream[:cut], stream[cut:]]
    for size in pieces:
        yield [stream[at : at + size] for at in range(0, len(stream), size)]


def _check_all(make: Callable[[int], Framing], messages: Sequence[bytes], *, boundaries: bool) -> None:
    sizes = list(map(len, messages))
    framing = make(max(sizes, default=1) if boundaries else sum(sizes) + LIMIT)
    _check_encoding(framing, messages)
    _check_deliveries(framing, messages, boundaries=boundaries)
    _check_awkward(framing, boundaries=boundaries)
    _check_independence(framing, messages, boundaries=boundaries)
    _check_eof(framing, messages, boundaries=boundaries)
    _check_encode_limit(make)
    if boundaries:
        _check_promptness(framing, messages)
        _check_decode_limit(make)
        _check_fault(make)
    else:
        _check_fault_without_boundaries(make)


def _fail(what: str, *, got: object, expected: object) -> NoReturn:
    """Raise the one error of the suite."""
    raise AssertionError(f"{what}:\n     got {_short(got)}\nexpected {_short(expected)}")


def _expect(what: str, got: object, expected: object) -> None:
    if got != expected:
        _fail(what, got=got, expected=expected)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 600 else f"{text[:300]} … {text[-300:]}"


def _told(pieces: Sequence[bytes]) -> str:
    """How a stream was fed, in words."""
    sizes = [len(piece) for piece in pieces]
    total = sum(sizes)
    if len(sizes) == 2:
        return f"{total} bytes, cut at {sizes[0]}"
    return f"{total} bytes, whole" if len(sizes) < 2 else f"{total} bytes in pieces of {sizes[0]}"


def _read(decoder: Decoder, pieces: Iterable[bytes], told: str) -> list[bytes]:
    """All messages from the pieces; stops where the decoder finds a fault, which has to be kept and not raised."""
    messages: list[bytes] = []
    for piece in pieces:
        try:
            got = decoder.feed(piece)
        except Exception as error:
            raise AssertionError(
                f"feed raised {error!r} ({told}); it has to return the whole messages and keep the fault in error"
            ) from error
        messages += got
        if decoder.error is not None:
            break
    for message in messages:
        if type(message) is not bytes:
            _fail(f"the type of a message ({told})", got=type(message), expected=bytes)
    return messages


def _end(decoder: Decoder, told: str) -> list[bytes] | None:
    """What the end of the stream brings; None for `Broken`. A second end has to bring nothing new."""
    try:
        messages = decoder.feed_eof()
    except Broken:
        try:
            again = decoder.feed_eof()
        except Broken:
            return None
        _fail(f"feed_eof again after Broken ({told})", got=again, expected="Broken")
    except Exception as error:
        raise AssertionError(f"feed_eof raised {error!r} ({told}); expected messages or Broken") from error
    _expect(f"feed_eof again ({told})", decoder.feed_eof(), [])
    return messages


def _check_whole(decoder: Decoder, pieces: Sequence[bytes], bodies: Sequence[bytes], *, boundaries: bool) -> None:
    """Feed the pieces of whole messages and their end; compare with the bodies."""
    told = _told(pieces)
    got = _read(decoder, pieces, told)
    _expect(f"error after sound input ({told})", decoder.error, None)
    if boundaries:
        _expect(f"messages ({told})", got, list(bodies))
        _expect(f"pending after whole messages ({told})", decoder.pending, 0)
        _expect(f"feed_eof after whole messages ({told})", _end(decoder, told), [])
    else:
        rest = _end(decoder, told)
        _expect(f"bytes ({told})", b"".join((*got, *(rest or ()))), b"".join(bodies))
        _expect(f"pending after the end ({told})", decoder.pending, 0)


def _check_encoding(framing: Framing, bodies: Sequence[bytes]) -> None:
    """`encode` carries every body; `encode_many` is all of them one after the other."""
    encoded = []
    for body in bodies:
        try:
            encoded.append(framing.encode(body))
        except Exception as error:
            raise AssertionError(f"encode({_short(body)}) raised {error!r}; it has to be carried") from error
    _expect("encode_many, against encode of each", framing.encode_many(bodies), b"".join(encoded))
    _expect("encode_many of nothing", framing.encode_many([]), b"")


def _check_deliveries(framing: Framing, bodies: Sequence[bytes], *, boundaries: bool) -> None:
    """Any delivery of the stream gives the same messages; so does any with empty pieces in it."""
    stream = framing.encode_many(bodies)
    for pieces in deliveries(stream):
        _check_whole(framing.decoder(), pieces, bodies, boundaries=boundaries)
    spaced = [piece for at in range(len(stream)) for piece in (stream[at : at + 1], b"")]
    _check_whole(framing.decoder(), spaced, bodies, boundaries=boundaries)
    fresh = framing.decoder()
    _expect("feed(b'') of a new decoder", fresh.feed(b""), [])
    _expect("pending of a new decoder", fresh.pending, 0)
    _expect("feed_eof of a new decoder", _end(fresh, "no bytes"), [])


def _check_awkward(framing: Framing, *, boundaries: bool) -> None:
    """Bodies that not every framing can carry are refused before anything is sent, or come back as they were."""
    for body in AWKWARD:
        try:
            stream = framing.encode(body)
        except EncodeError:
            try:
                stream = framing.encode_many([b"a", body])
            except EncodeError:
                continue
            _fail(f"encode_many of {body!r}, which encode refuses", got=stream, expected="EncodeError")
        for pieces in deliveries(stream):
            _check_whole(framing.decoder(), pieces, [body], boundaries=boundaries)


def _check_independence(framing: Framing, bodies: Sequence[bytes], *, boundaries: bool) -> None:
    """Two decoders of one framing, fed in turns, know nothing of each other."""
    streams = framing.encode_many(bodies), framing.encode_many(bodies[::-1])
    decoders = framing.decoder(), framing.decoder()
    got: tuple[list[bytes], list[bytes]] = [], []
    for at in range(0, len(streams[0]), 3):
        for stream, decoder, messages in zip(streams, decoders, got, strict=True):
            messages += _read(decoder, [stream[at : at + 3]], "two decoders in turns")
    for decoder, messages, sent in zip(decoders, got, (bodies, bodies[::-1]), strict=True):
        messages += _end(decoder, "two decoders in turns") or []
        if boundaries:
            _expect("messages of two decoders fed in turns", messages, list(sent))
        else:
            _expect("bytes of two decoders fed in turns", b"".join(messages), b"".join(sent))


def _check_promptness(framing: Framing, bodies: Sequence[bytes]) -> None:
    """A message is given back with its last byte, whatever follows it."""
    for body, after in zip(bodies, [*bodies[1:], *bodies[:1]], strict=True):
        stream, following = framing.encode(body), framing.encode(after)
        decoder = framing.decoder()
        _expect(f"feed up to the last byte of {_short(body)}", decoder.feed(stream[:-1]), [])
        _expect(f"pending before the last byte of {_short(body)}", decoder.pending > 0, len(stream) > 1)
        _expect(f"feed of the last byte of {_short(body)}", decoder.feed(stream[-1:]), [body])
        for cut in range(1, len(following)):
            decoder = framing.decoder()
            first = decoder.feed(stream + following[:cut])
            _expect(f"feed with {cut} bytes of the next message", first, [body])
            _expect(f"feed of the rest after {cut} bytes", decoder.feed(following[cut:]), [after])
            _expect("the list of a feed, looked at after the next one", first, [body])


def _check_eof(framing: Framing, bodies: Sequence[bytes], *, boundaries: bool) -> None:
    """The end inside a message is `Broken`, or ends the message where its mark is all that is missing."""
    for body in bodies:
        stream = framing.encode(body)
        marked = boundaries and _cut_short(framing, stream[:-1]) == [body]
        for cut in range(1, len(stream)):
            got = _cut_short(framing, stream[:cut])
            told = f"the end of the stream after {cut} of {len(stream)} bytes of a message"
            if boundaries and not marked:
                _expect(told, "Broken" if got is None else got, "Broken")
            elif got is not None and not body.startswith(b"".join(got)):
                _fail(told, got=got, expected=f"Broken, or a beginning of {_short(body)}")


def _cut_short(framing: Framing, stream: bytes) -> list[bytes] | None:
    """What a new decoder makes of a stream that ends there; None for `Broken`."""
    decoder = framing.decoder()
    told = f"{len(stream)} bytes and the end"
    messages = _read(decoder, [stream], told)
    rest = _end(decoder, told)
    return None if rest is None else messages + rest


def _check_encode_limit(make: Callable[[int], Framing]) -> None:
    """`encode` carries up to the limit and not one byte more."""
    framing = make(LIMIT)
    for size in (LIMIT - 1, LIMIT):
        try:
            framing.encode(b"x" * size)
            framing.encode_many([b"x" * size] * 3)
        except TooLarge as error:
            raise AssertionError(f"encoding {size} bytes with a limit of {LIMIT} raised {error!r}") from error
    too_long = b"x" * (LIMIT + 1)
    encodings: tuple[Callable[[], bytes], ...] = (
        lambda: framing.encode(too_long),
        lambda: framing.encode_many([b"x", too_long]),
    )
    for encode in encodings:
        try:
            got = encode()
        except TooLarge:
            continue
        _fail(f"encoding {LIMIT + 1} bytes with a limit of {LIMIT}", got=got, expected="TooLarge")


def _check_decode_limit(make: Callable[[int], Framing]) -> None:
    """A decoder takes messages up to the limit; one byte more is a fault before the message is held."""
    sender, reader = make(1000), make(LIMIT)
    for size in (LIMIT - 1, LIMIT):
        bodies = [b"x" * size, b"y" * size]
        for pieces in deliveries(sender.encode_many(bodies)):
            _check_whole(reader.decoder(), pieces, bodies, boundaries=True)
    for size in (LIMIT + 1, LIMIT + 2, 2 * LIMIT, 1000):
        stream = sender.encode(b"x" * size)
        for pieces in deliveries(stream):
            decoder, told = reader.decoder(), f"a message of {size} bytes, limit {LIMIT}; {_told(pieces)}"
            _expect(f"messages ({told})", _read(decoder, pieces, told), [])
            _expect(f"error ({told})", type(decoder.error), TooLarge)
    for size in (LIMIT, LIMIT + 1, 1000):
        _check_pending(reader.decoder(), sender.encode(b"x" * size))


def _check_pending(decoder: Decoder, stream: bytes) -> None:
    """Byte by byte, up to a fault if there is one, no more is held than the limit and a header."""
    for byte in stream:
        decoder.feed(bytes((byte,)))
        if decoder.pending > LIMIT + SLACK:
            _fail(f"pending with a limit of {LIMIT}", got=decoder.pending, expected=f"at most {LIMIT + SLACK}")
        if decoder.error is not None:
            return


def _check_fault(make: Callable[[int], Framing]) -> None:
    """Whole messages before a fault are given back, the fault is kept, and nothing after it is read."""
    sender, reader = make(1000), make(LIMIT)
    before, after = [b"one", b"two", b"x" * LIMIT], [b"after", b"the fault"]
    sound = sender.encode_many(before)
    for pieces in deliveries(sound + sender.encode(b"z" * 300) + sender.encode_many(after)):
        decoder, told = reader.decoder(), f"three messages, one too large, two more; {_told(pieces)}"
        _expect(f"messages before a fault ({told})", _read(decoder, pieces, told), before)
        _expect(f"error ({told})", type(decoder.error), TooLarge)
        _check_dead(decoder, told)


def _check_fault_without_boundaries(make: Callable[[int], Framing]) -> None:
    """One piece above the limit is a fault; up to the limit it is none."""
    framing = make(LIMIT)
    decoder = framing.decoder()
    _check_whole(decoder, [b"x" * LIMIT], [b"x" * LIMIT], boundaries=False)
    decoder, told = framing.decoder(), f"a piece of {LIMIT + 1} bytes, limit {LIMIT}"
    _expect(f"messages ({told})", _read(decoder, [b"x" * (LIMIT + 1)], told), [])
    _expect(f"error ({told})", type(decoder.error), TooLarge)
    _check_dead(decoder, told)


def _check_dead(decoder: Decoder, told: str) -> None:
    """After a fault nothing is held, and every call raises that fault."""
    error = decoder.error
    _expect(f"pending after a fault ({told})", decoder.pending, 0)
    calls: tuple[Callable[[], list[bytes]], ...] = (
        lambda: decoder.feed(b"more\n"),
        lambda: decoder.feed(b""),
        decoder.feed_eof,
        decoder.feed_eof,
    )
    for call in calls:
        try:
            got = call()
        except ProtocolError as again:
            _expect(f"the error of a call after a fault ({told})", again, error)
        else:
            _fail(f"a call after a fault ({told})", got=got, expected=error)
    _expect(f"error after later calls ({told})", decoder.error, error)
