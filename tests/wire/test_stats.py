"""Stats: a snapshot that does not change."""

from __future__ import annotations

import msgspec
import pytest

from anyplug.wire import Stats


def test_a_snapshot_holds_its_counters_and_stays_as_it_is() -> None:
    stats = Stats(bytes_received=1, bytes_sent=2, bytes_waiting=3, bytes_queued=4, late_answers=5)
    assert msgspec.to_builtins(stats) == {
        "bytes_received": 1,
        "bytes_sent": 2,
        "bytes_waiting": 3,
        "bytes_queued": 4,
        "late_answers": 5,
    }
    with pytest.raises(AttributeError):
        stats.bytes_sent = 0  # type: ignore[misc]
