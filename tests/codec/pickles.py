"""Pieces of pickles: opcodes with their arguments, as bytes."""

from __future__ import annotations

import struct

__all__ = ["P4", "binint", "bintext", "floats", "frame", "glob", "long1", "long4", "memoized", "stack_global", "text"]

P4 = b"\x80\x04"
"""The beginning of a pickle of protocol 4."""


def text(value: str) -> bytes:
    data = value.encode()
    return b"\x8c" + bytes([len(data)]) + data


def bintext(value: str) -> bytes:
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def binint(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)


def long1(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def long4(size: int, data: bytes = b"") -> bytes:
    return b"\x8b" + size.to_bytes(4, "little") + data


def floats(*values: float) -> bytes:
    return b"".join(b"G" + struct.pack(">d", value) for value in values)


def glob(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def stack_global(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


def frame(size: int) -> bytes:
    return b"\x95" + size.to_bytes(8, "little")


def memoized(count: int) -> bytes:
    return b"r" + count.to_bytes(4, "little")
