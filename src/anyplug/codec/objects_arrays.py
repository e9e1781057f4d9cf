"""Arrays and scalars of NumPy behind a mark: dtype, bytes, shape.

NumPy is optional. A sender that has not loaded it has none of its arrays; a receiver loads it when the first one comes.
Only dtypes of a fixed size whose bytes mean the same everywhere travel: booleans, integers, floats of 2, 4 and 8 bytes,
complex numbers, byte strings, texts, dates and durations. An array in another order of memory arrives in C order.
"""

from __future__ import annotations

import re
import sys
from math import prod
from typing import Any, Final

from anyplug.codec.objects_fault import PartError, shown

__all__ = ["array_parts", "make_array", "make_number", "number_parts"]

DIMENSIONS_MAX: Final = 32
"""Dimensions of an array, a count; NumPy before 2.0 has no more."""

_COUNTS: Final = range(1 << 63)

_DTYPE: Final = re.compile(
    r"\|b1|\|[iu]1|[<>](?:[iu][248]|f[248]|c8|c16)|\|S[1-9][0-9]{0,8}|[<>]U[1-9][0-9]{0,8}"
    r"|[<>][mM]8(?:\[(?:[1-9][0-9]{0,8})?(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?"
)


def array_parts(value: Any) -> tuple[object, ...] | None:
    """The parts of an array; None of what is no array."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or type(value) is not getattr(numpy, "ndarray", None):
        return None
    return (_checked_dtype(value), _content(value), *value.shape)


def number_parts(value: Any) -> tuple[object, ...] | None:
    """The parts of a scalar of NumPy; None of what is none."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or type(value).__module__ != "numpy" or not isinstance(value, numpy.generic):
        return None
    dtype = _checked_dtype(value)
    if numpy.dtype(dtype).type is not type(value):
        raise PartError(f"it comes back as numpy.{numpy.dtype(dtype).type.__name__}: convert it to that", value)
    return (dtype, value.tobytes())


def _checked_dtype(value: Any) -> str:
    dtype: str = value.dtype.str
    if value.dtype.names is not None or value.dtype.subdtype is not None or not _DTYPE.fullmatch(dtype):
        raise PartError(f"arrays and numbers of dtype {value.dtype} do not travel: convert it with astype()", value)
    return dtype


def _content(value: Any) -> object:
    """The bytes of the items in C order, without a copy where they lie so already."""
    if value.size and value.flags.c_contiguous:
        return value.reshape(-1).view("u1").data
    return value.tobytes()


def make_array(*parts: object) -> object:
    """The array of these parts, writable."""
    dtype, data, shape = _arguments(parts)
    if len(shape) > DIMENSIONS_MAX:
        raise ValueError(f"it has {len(shape)} dimensions, the limit is {DIMENSIONS_MAX}")
    if any(count not in _COUNTS for count in shape):
        raise ValueError("a dimension is negative or too large")
    numpy = _numpy()
    size = prod(shape) * numpy.dtype(dtype).itemsize
    if size != len(data):
        raise ValueError(f"shape {shape} of {dtype} needs {size:,} bytes, it has {len(data):,}")
    array = numpy.ndarray(shape, dtype, bytearray(data))
    _check_items(array)
    return array


def _check_items(array: Any) -> None:
    """Refuse items that NumPy itself never makes and does not expect: other bytes than 0 and 1, no characters."""
    if not array.size:
        return
    dtype = array.dtype.str
    if dtype == "|b1" and array.view("u1").max() > 1:
        raise ValueError("a boolean is neither 0 nor 1")
    if "U" in dtype and array.reshape(-1).view(f"{dtype[0]}u4").max() > sys.maxunicode:
        raise ValueError("a text holds what is no character")


def make_number(*parts: object) -> object:
    """The scalar of these parts."""
    dtype, data, rest = _arguments(parts)
    numpy = _numpy()
    size = numpy.dtype(dtype).itemsize
    if rest or size != len(data):
        raise ValueError(f"a number of {dtype} needs {size:,} bytes and nothing more, it has {len(data):,}")
    array = numpy.frombuffer(data, dtype)
    _check_items(array)
    return array[0]


def _arguments(parts: tuple[object, ...]) -> tuple[str, bytes, tuple[int, ...]]:
    if tuple(map(type, parts[:2])) != (str, bytes) or not {int}.issuperset(map(type, parts[2:])):
        raise ValueError("it needs a dtype, bytes and integers")
    dtype, data, *shape = parts
    if not _DTYPE.fullmatch(str(dtype)):
        raise ValueError(f"{shown(dtype)} is no dtype that travels")
    return dtype, data, tuple(shape)  # type: ignore[return-value, arg-type]


def _numpy() -> Any:
    try:
        import numpy as np
    except ImportError as error:
        raise PartError("it is of numpy, which is not installed here: install it, or send lists") from error
    return np
