"""Conformance suites: one for each interface, run on every implementation, ours and yours.

A suite raises ``AssertionError`` with what it did, what it got and what it expected. It needs no test runner::

    from anyplug.framing import Lines
    from anyplug.testing import check_framing

    check_framing(lambda limit: Lines(limit=limit))
"""

from __future__ import annotations

from anyplug.testing.codec import check_codec
from anyplug.testing.files import check_file_store
from anyplug.testing.framing import check_framing
from anyplug.testing.shelf import check_shelf
from anyplug.testing.store import check_message_log
from anyplug.testing.transport import check_transport

__all__ = ["check_codec", "check_file_store", "check_framing", "check_message_log", "check_shelf", "check_transport"]
