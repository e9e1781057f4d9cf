"""The durable outbox of a client: messages that wait on this machine's disk until their server has them on its own."""

from __future__ import annotations

from anyplug.outbox.faults import (
    OutboxBusy,
    OutboxDamaged,
    OutboxError,
    OutboxFailed,
    OutboxFull,
    Undeliverable,
)
from anyplug.outbox.files import default_path
from anyplug.outbox.outbox import Outbox, Status
from anyplug.outbox.queue import look
from anyplug.outbox.rows import Refusal

__all__ = [
    "Outbox",
    "OutboxBusy",
    "OutboxDamaged",
    "OutboxError",
    "OutboxFailed",
    "OutboxFull",
    "Refusal",
    "Status",
    "Undeliverable",
    "default_path",
    "look",
]
