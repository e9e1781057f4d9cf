"""The conformance suite of codecs: what every codec has to keep, whoever wrote it.

`check_codec` sends values through a codec and back, one by one, in batches and from several threads, and gives it
bytes that no codec made: bad bodies, bodies cut or changed at many places. Values have to come back equal and of
exactly the same types; from other bytes there comes a value or a `DecodeError`, and nothing else. Nothing is random and
nothing is timed.
"""

from __future__ import annotations

from math import copysign, isnan
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from anyplug.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from anyplug.codec import Codec

__all__ = ["check_codec", "same"]

T = TypeVar("T")

PLACES = 100
"""The most places of one body that are cut or changed."""

CHANGES = (0x01, 0x20, 0x80, 0xFF)
"""What the byte at each place is XORed with."""

ROUNDS = 20
"""How often each thread sends every value."""

THREADS = 2
"""Threads that use one codec at the same time."""


def check_codec(make: Callable[[], Codec[Any]], values: Sequence[object], bad: Sequence[bytes] = ()) -> None:
    """Check that a codec keeps the contract of `Codec`.

    Args:
        make: makes the codec: ``lambda: make_codec("json", Point)``.
        values: what it has to carry, equal and of the same types. At least one.
        bad: bodies that it has to refuse. A codec to which every body is valid has none.

    Raises:
        AssertionError: it does not; says what was given, what came and what was expected.
    """
    codec = make()
    if not isinstance(getattr(codec, "name", None), str) or not codec.name:
        raise AssertionError(f"{codec!r} has no name")
    if not values:
        _fail(codec, "check_codec needs at least one value")
    bodies = [_check_round_trip(codec, value) for value in values]
    _check_another(make(), values, bodies)
    _check_batches(codec, values, bodies)
    for body in bad:
        _check_bad(codec, body, bodies[0])
    for body in bodies:
        _check_damaged(codec, body)
    _check_threads(codec, values, bodies)


def same(one: object, other: object) -> bool:
    """Whether two values are equal and of the same types all the way down; NaN is NaN here, and 0.0 is not -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float) and isinstance(other, float):
        return (isnan(one) and isnan(other)) or (one == other and copysign(1, one) == copysign(1, other))
    if isinstance(one, complex) and isinstance(other, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, set | frozenset) and isinstance(other, set | frozenset):
        there = {item: item for item in other}
        return len(one) == len(other) and all(same(item, there.get(item)) for item in one)
    if isinstance(one, dict) and isinstance(other, dict):
        there = {key: (key, value) for key, value in other.items()}
        return len(one) == len(other) and all(same((key, value), there.get(key)) for key, value in one.items())
    fields = _fields(one)
    return all(same(getattr(one, name), getattr(other, name)) for name in fields) if fields else one == other


def _fields(value: object) -> tuple[str, ...]:
    """The fields of a Struct or dataclass; none of anything else."""
    return (
        ()
        if isinstance(value, type)
        else tuple(getattr(value, "__struct_fields__", getattr(value, "__dataclass_fields__", ())))
    )


def _check_round_trip(codec: Codec[Any], value: object) -> bytes:
    body = _sound(codec, f"encode({value!r})", lambda: codec.encode(value))
    if type(body) is not bytes:
        _fail(codec, f"encode({value!r}) gave {type(body).__name__}, expected bytes")
    back = _sound(codec, f"decode(encode({value!r}))", lambda: codec.decode(body))
    if not same(back, value):
        _fail(codec, f"decode(encode({value!r})) gave {back!r}")
    return body


def _check_another(another: Codec[Any], values: Sequence[object], bodies: Sequence[bytes]) -> None:
    """What one codec wrote another one of the same make reads: it holds nothing of what went before."""
    for value, body in zip(values, bodies, strict=True):
        what = f"decode of {value!r} as another codec encoded it"
        back = _sound(another, what, lambda body=body: another.decode(body))  # type: ignore[misc]
        if not same(back, value):
            _fail(another, f"{what} gave {back!r}")


def _check_batches(codec: Codec[Any], values: Sequence[object], bodies: Sequence[bytes]) -> None:
    for count in (0, 1, len(bodies)):
        for step in (1, -1):
            wanted, batch = list(values[:count][::step]), list(bodies[:count][::step])
            got = _sound(codec, f"decode_many of {count}", lambda batch=batch: codec.decode_many(batch))  # type: ignore[misc]
            if not same(got, wanted):
                _fail(codec, f"decode_many of {count} gave {got!r}, one by one they are {wanted!r}")


def _check_bad(codec: Codec[Any], body: bytes, good: bytes) -> None:
    for what, decode in (
        ("decode", lambda: codec.decode(body)),
        ("decode_many behind a good body", lambda: codec.decode_many([good, body, good])),
    ):
        error = _error_of(codec, what, body, decode)
        if error is None:
            _fail(codec, f"{what} took {_shown(body)}, expected DecodeError")
        if error.codec != codec.name or not error.problem:
            _fail(codec, f"{what} of {_shown(body)} raised {error!r}, expected its name and a problem")


def _check_damaged(codec: Codec[Any], body: bytes) -> None:
    for damaged in _damaged(body):
        _error_of(codec, "decode", damaged, lambda damaged=damaged: codec.decode(damaged))  # type: ignore[misc]


def _damaged(body: bytes) -> Iterator[bytes]:
    """The body cut, lengthened, and with one byte changed, at up to `PLACES` places."""
    for place in range(0, len(body), len(body) // PLACES + 1):
        yield body[:place]
        yield body[place + 1 :]
        for change in CHANGES:
            yield body[:place] + bytes([body[place] ^ change]) + body[place + 1 :]
    yield body + body
    yield body + b"\x00"


def _sound(codec: Codec[Any], what: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except Exception as error:
        raise AssertionError(f"codec {codec.name}: {what} raised {error!r}, it has to be carried") from error


def _error_of(codec: Codec[Any], what: str, body: bytes, decode: Callable[[], object]) -> DecodeError | None:
    try:
        decode()
    except DecodeError as error:
        return error
    except Exception as error:
        raise AssertionError(
            f"codec {codec.name}: {what} of {_shown(body)} raised {error!r}, expected a value or DecodeError"
        ) from error
    return None


def _check_threads(codec: Codec[Any], values: Sequence[object], bodies: Sequence[bytes]) -> None:
    start = Barrier(THREADS)
    faults: list[Exception] = []

    def work() -> None:
        try:
            start.wait()
            for _ in range(ROUNDS):
                for value in values:
                    _check_round_trip(codec, value)
                _check_another(codec, values, bodies)
        except Exception as error:  # noqa: BLE001 - whatever it is, the main thread tells it
            faults.append(error)

    threads = [Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise AssertionError(f"codec {codec.name}: used by {THREADS} threads at once: {faults[0]}") from faults[0]


def _shown(body: bytes) -> str:
    return f"{body[:60]!r}{f'… ({len(body):,} bytes)' if len(body) > 60 else ''}"


def _fail(codec: Codec[Any], problem: str) -> NoReturn:
    raise AssertionError(f"codec {codec.name}: {problem}")
