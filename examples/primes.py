"""A server that computes, in several processes on one port.

    python examples/primes.py
    anyplug ask --parse 127.0.0.1/primes 1000000    (in a second terminal, or in many at once)

An address can be given instead of this one.
"""

from __future__ import annotations

import os
import sys

import anyplug

server = anyplug.Server()


@server.reply("primes")
def primes(below: int) -> dict[str, int]:
    """Counts the primes below a number, and says which process did"""
    if not 2 <= below <= 5_000_000:
        raise ValueError("expected a number from 2 to 5,000,000")
    sieve = bytearray([1]) * below
    sieve[:2] = b"\0\0"
    for n in range(2, int(below**0.5) + 1):
        if sieve[n]:
            sieve[n * n :: n] = bytes(len(range(n * n, below, n)))
    return {"primes": sum(sieve), "process": os.getpid()}


if __name__ == "__main__":
    server.run(*(sys.argv[1:] or ["plug://127.0.0.1:7584"]), workers=2)
