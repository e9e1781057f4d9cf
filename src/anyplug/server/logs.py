"""Structured logs: one event a line.

An event has a stable name and fields: ``handler_failed service=shout peer=127.0.0.1:50312``. Lines go through the
standard `logging` package under the logger ``anyplug``, so that an application can route them as it routes its own.
Nothing is logged on the hot path, and what a peer can cause at will is bounded: of each event at most
`LINES_PER_SECOND` lines a second are written, the others are counted and told in the next line.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

from anyplug.escape import escape

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LINES_PER_SECOND", "JsonFormatter", "LineFormatter", "Log", "log_to_stderr"]

LINES_PER_SECOND = 20
"""Lines of one event a second. A peer that makes mistakes on purpose cannot fill the disk."""

_LOGGER = logging.getLogger("anyplug")


class Log:
    """Writes events. One object serves a whole server."""

    def __init__(self, logger: logging.Logger = _LOGGER, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._seconds: dict[str, tuple[int, int]] = {}

    def info(self, event: str, **fields: object) -> None:
        """Something worth knowing."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something that somebody should look at."""
        self._write(logging.WARNING, event, fields)

    def failure(self, event: str, error: BaseException, **fields: object) -> None:
        """A failure of our own or of a handler, with its traceback."""
        self._write(logging.ERROR, event, fields, error)

    def _write(self, level: int, event: str, fields: dict[str, object], error: BaseException | None = None) -> None:
        if not self._logger.isEnabledFor(level):
            return
        second = int(self._clock())
        known, count = self._seconds.get(event, (second, 0))
        suppressed = 0
        if known != second:
            suppressed, count = max(0, count - LINES_PER_SECOND), 0
        self._seconds[event] = (second, count + 1)
        if count >= LINES_PER_SECOND:
            return
        if suppressed:
            fields = {**fields, "suppressed": suppressed}
        trace = (type(error), error, error.__traceback__) if error is not None else None
        self._logger.log(level, event, extra={"fields": fields}, exc_info=trace)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    found = getattr(record, "fields", {})
    return dict(found) if isinstance(found, dict) else {}


class LineFormatter(logging.Formatter):
    """``2026-11-20T13:04:05.678Z INFO listening address=tcp://127.0.0.1:8080``; values from peers are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback after it where there is one."""
        words = [_stamp(record), record.levelname, escape(record.getMessage())]
        words += [f"{key}={_quoted(str(value))}" for key, value in _fields(record).items()]
        line = " ".join(words)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """The same as one JSON object a line: ``time``, ``level``, ``event``, then the fields, and ``trace`` for a
    failure.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {"time": _stamp(record), "level": record.levelname.lower(), "event": record.getMessage()}
        line |= _fields(record)
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _stamp(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _quoted(value: str) -> str:
    value = escape(value)
    if value and not set(value) & set(' ="'):
        return value
    return '"' + value.replace('"', '\\"') + '"'


def log_to_stderr(formatter: logging.Formatter | None = None, level: int = logging.INFO) -> None:
    """Write events to standard error, unless the program has said where they go."""
    if _LOGGER.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(formatter or LineFormatter())
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(level)
