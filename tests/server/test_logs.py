"""One event a line, bounded, and nothing of a peer raw."""

from __future__ import annotations

import json
import logging

from anyplug.server.logs import LINES_PER_SECOND, JsonFormatter, LineFormatter, Log


class Lines(logging.Handler):
    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def lines_of(formatter: logging.Formatter, level: int = logging.INFO) -> tuple[Log, list[str], list[float]]:
    clock = [0.0]
    logger = logging.Logger("test", level)  # noqa: LOG001 - a logger of its own
    handler = Lines(formatter)
    logger.addHandler(handler)
    return Log(logger, clock=lambda: clock[0]), handler.lines, clock


def test_an_event_is_a_line_with_time_level_name_and_fields() -> None:
    log, lines, _ = lines_of(LineFormatter())
    log.info("busy", peer="127.0.0.1:5", problem="no place left")
    stamp, level, rest = lines[0].split(" ", 2)
    assert (len(stamp), stamp[-1], level) == (24, "Z", "INFO")
    assert rest == 'busy peer=127.0.0.1:5 problem="no place left"'


def test_quotes_in_a_value_do_not_end_it() -> None:
    log, lines, _ = lines_of(LineFormatter())
    log.info("odd", a='did you mean "echo"?', b='"', c="")
    assert lines[0].endswith(r'a="did you mean \"echo\"?" b="\"" c=""')


def test_what_a_peer_said_is_escaped() -> None:
    log, lines, _ = lines_of(LineFormatter())
    log.warning("refused", problem="\x1b[2J\nfake line")
    assert "\x1b" not in lines[0]
    assert "\n" not in lines[0]


def test_json_has_the_same_as_an_object() -> None:
    log, lines, _ = lines_of(JsonFormatter())
    log.warning("slow_handler", seconds=0.5, service="x")
    found = json.loads(lines[0])
    assert found.pop("time").endswith("Z")
    assert found == {"level": "warning", "event": "slow_handler", "seconds": 0.5, "service": "x"}


def test_a_failure_comes_with_its_traceback() -> None:
    for formatter in (LineFormatter(), JsonFormatter()):
        log, lines, _ = lines_of(formatter)
        try:
            raise ValueError("inside")
        except ValueError as error:
            log.failure("handler_failed", error, service="x")
        assert "ValueError: inside" in lines[0]
        assert "Traceback" in lines[0]


def test_one_event_fills_no_disk_and_what_was_left_out_is_told() -> None:
    log, lines, clock = lines_of(JsonFormatter())
    for _ in range(LINES_PER_SECOND + 5):
        log.info("bad_message")
    log.info("another")
    assert len(lines) == LINES_PER_SECOND + 1
    clock[0] = 1.0
    log.info("bad_message")
    assert json.loads(lines[-1])["suppressed"] == 5


def test_a_level_that_is_off_costs_no_line() -> None:
    log, lines, _ = lines_of(LineFormatter(), logging.ERROR)
    log.info("busy")
    assert lines == []
