"""Stats: a snapshot that does not change."""

from __future__ import annotations

import msgspec
import pytest

from anyplug.wire import Stats
from anyplug.wire.stats import amount


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


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (512, "512 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (10 * 1024, "10 KiB"),
        (1024**2 - 1, "1 MiB"),
        (3 * 1024**3 // 2, "1.5 GiB"),
        (5 * 1024**4, "5 TiB"),
        (5000 * 1024**4, "5000 TiB"),
    ],
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert amount(size) == text
