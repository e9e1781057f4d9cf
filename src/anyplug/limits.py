"""Every bound, by name, with its unit and its reason.

A limit is checked before memory is taken for what it bounds, and before anybody is authenticated. The same values
hold at both ends of a conversation. All of them can be set: per server in ``[limits]`` of the configuration, per
client with ``connect(..., limits=Limits(...))``. Sizes are bytes, times are seconds.
"""

from __future__ import annotations

import msgspec

__all__ = ["CHUNK_MAX", "DEFAULTS", "FRAME_MAX", "HELLO_MAX", "PREFIX_MAX", "SOURCES_MAX", "Limits"]

FRAME_MAX = 256 * 1024
"""The largest payload of one frame, bytes; part of the protocol's version 1. Larger messages go in parts. Small
enough for a PING to get between, large enough that the header costs nothing."""

CHUNK_MAX = 1024 * 1024
"""The largest chunk of a file in one frame, bytes; part of the protocol's version 1. Files are cut into chunks of this
size: see `anyplug.store.chunks`."""

HELLO_MAX = 4096
"""The largest HELLO, WELCOME, REFUSED, ERROR, NACK or BYE payload, bytes. They carry names and one sentence, and HELLO
is read from anybody."""

PREFIX_MAX = (1 << 32) - 1
"""The largest length a u32 prefix can state, bytes."""

SOURCES_MAX = 4096
"""Sources of datagrams that are remembered for rate limits, addresses. The least recent is forgotten first."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of a server or a client.

    Every field has a unit and a reason; ``DEFAULTS`` holds the values that keep people safe.
    """

    message: int = 16 * 1024 * 1024
    """The largest message, bytes, in either direction. 16 MiB takes any sensible object; files travel as transfers."""
    parts: int = 1024
    """The most parts of one message. 64 full frames carry 16 MiB; many tiny ones cost their receiver more than their
    sender."""
    nesting: int = 128
    """The deepest nesting of a decoded value, levels. Deeper input exhausts the C stack of decoders."""
    queue: int = 1024 * 1024
    """Bytes queued per connection and direction. At the bound the peer is paused (TCP flow control), nothing is
    dropped."""
    requests: int = 1024
    """Requests of one connection that are being answered at once. At the bound its reading pauses."""
    connections: int = 10_000
    """Connections in all. One too many is told ``busy`` and closed."""
    connections_per_address: int = 1_000
    """Connections per peer address, so that one machine cannot take every place. Unix peers count as one address."""
    handshake: float = 5.0
    """From accepted to the end of the handshake. A peer that trickles its first bytes does not hold a place longer."""
    frame_time: float = 30.0
    """From the first byte of a message to its last, unless it comes with at least 1 KiB/s (see ``rate``)."""
    rate: int = 1024
    """The slowest a message may arrive once ``frame_time`` has passed, bytes per second."""
    idle: float = 0.0
    """A conversation in which the peer says nothing for so long is ended with ``idle``. 0 keeps it: people think."""
    ping: float = 15.0
    """A plug connection that has been silent for so long is asked with PING."""
    dead: float = 40.0
    """A plug connection silent for so long, PINGs and all, is broken. With a sweep each second this stays under 45 s.
    """
    drain: float = 10.0
    """How long conversations may go on after the server was told to stop. Below the usual 10 s kill of containers is
    wise."""
    write: float = 30.0
    """A peer that takes none of the bytes queued for it for so long is cut off."""
    slow_handler: float = 0.1
    """A ``def`` handler that keeps the loop busy for longer is named in a warning."""
    datagrams_per_source: int = 1_000
    """Datagrams answered per source and second (the same as burst). More are dropped and counted."""


DEFAULTS = Limits()
"""The limits where nothing else is said."""
