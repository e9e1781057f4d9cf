from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from anyplug.cli.ping import _counts, _line
from anyplug.netinfo.ping_types import PingAnswer, PingSummary
from tests.cli.commands import PATIENCE, Terminal, call, start


def events(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_each_answer_is_a_line_and_then_the_whole() -> None:
    done = call("ping", "127.0.0.1", "--port", "1", "-c", "3", "-i", "0.002")
    *lines, counts, times, bars = done.out.decode().splitlines()
    assert [re.sub(r"[\d.]+ ms", "T", line) for line in lines] == [f"   {at}  T  port 1 closed" for at in (1, 2, 3)]
    assert counts == "3 sent, 3 answered, 0 % lost"
    assert re.sub(r"[\d.]+ ms", "T", times) == "min T, median T, p99 T, max T"
    assert len(bars) == 3
    assert set(bars) <= set("▁▂▃▄▅▆▇█")
    assert (done.status, done.err) == (0, b"-- 127.0.0.1: TCP connections to port 1\n")


def test_by_icmp_its_size_is_told() -> None:
    done = call("ping", "localhost", "-4", "-c", "1", "-s", "100")
    assert done.status == 0
    heading = done.err.decode()
    assert heading.startswith("-- 127.0.0.1 (localhost): ")
    assert heading.endswith("socket, 100 bytes\n") == ("ICMP" in heading)


def test_everything_is_an_event() -> None:
    done = call("ping", "::1", "--port", "1", "-c", "2", "-i", "0.002", "--json")
    target, *answers, summary = events(done.out)
    assert target == {"type": "target", "host": "::1", "address": "::1", "means": "tcp", "port": 1}
    seconds = [answer.pop("seconds") for answer in answers]
    facts = {"type": "answer", "outcome": "reply", "source": "::1", "ttl": None, "size": None, "reordered": False}
    assert answers == [{**facts, "sequence": number, "detail": "port 1 closed"} for number in (1, 2)]
    assert (summary["minimum"], summary["maximum"]) == (min(seconds), max(seconds))
    assert summary["type"] == "summary"
    assert {"sent", "received", "loss", "median", "p99", "mean", "whole", "late", "duplicates"} <= set(summary)
    assert (done.status, done.err) == (0, b"")


def test_where_nothing_answers_the_status_says_so() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with socket.socket() as one, socket.socket() as two:
            for filler in (one, two):
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            done = call("ping", "127.0.0.1", "--port", str(port), "-c", "2", "-i", "0.002", "--timeout", "0.01")
    lines = done.out.decode().splitlines()
    assert lines[0] == "   1  silent: no answer within 0.01 s"
    assert lines[2:] == ["2 sent, 0 answered, 100 % lost", "××"]
    assert done.status == 1


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["127.0.0.1", "-c", "-1"], 2, "error: Invalid value for '--count'"),
        (["127.0.0.1", "-i", "0.0001"], 2, "error: the interval is 0.0001 s, expected at least 0.002 s"),
        (["127.0.0.1", "-s", "65508"], 2, "error: Invalid value for '--size'"),
        (["127.0.0.1", "--timeout", "0"], 2, "error: Invalid value for '--timeout'"),
        (["127.0.0.1", "--port", "65536"], 2, "error: Invalid value for '--port'"),
        (["127.0.0.1", "--via", "raw", "--port", "80"], 2, "error: ICMP has no ports"),
        (["127.0.0.1", "-6"], 1, "error: cannot connect to 127.0.0.1: the name 127.0.0.1 has no address of the family"),
        (["10.0.0.0/24"], 2, "error: '10.0.0.0/24' names no host"),
        ([], 2, "error: Missing argument 'HOST'"),
    ],
)
def test_bad_words(words: list[str], status: int, message: str) -> None:
    done = call("ping", *words)
    assert (done.status, done.out) == (status, b"")
    assert done.err.decode().startswith(message)


def test_a_name_that_does_not_resolve() -> None:
    with start("ping", "no_such..name") as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (1, b"")
    assert err.startswith(b"error: cannot connect to no_such..name: the name no_such..name is not known")


def test_ctrl_c_tells_what_is_known() -> None:
    with start("ping", "127.0.0.1", "--port", "1", "--count", "0", "-i", "30", "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "target"
        assert json.loads(process.stdout.readline())["sequence"] == 1
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
    (summary,) = events(out)
    assert (process.returncode, summary["sent"], summary["received"], summary["whole"]) == (130, 1, 1, False)


def test_on_a_terminal_the_bars_are_shown_as_they_grow() -> None:
    with Terminal("ping", "127.0.0.1", "--port", "1", "-c", "2", "-i", "0.01") as it:
        it.wait_for("   1  ")
        it.wait_for("▁\r\x1b[K   2  ")
        it.wait_for("2 sent, 2 answered")
        assert it.end() == 0


def test_the_bars_are_of_the_last_requests_alone() -> None:
    done = call("ping", "127.0.0.1", "--port", "1", "-c", "70", "-i", "0.002")
    assert len(done.out.decode().splitlines()[-1]) == 60


def test_a_closed_pipe_ends_it() -> None:
    near, far = os.pipe()
    os.close(near)
    with start("ping", "127.0.0.1", "--port", "1", "--count", "0", "-i", "0.01", stdout=far) as process:
        os.close(far)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 141


def test_what_this_machine_cannot_send_is_not_lost() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.socket() as one, socket.socket() as two:
            for filler in (one, two):
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            command = f'ulimit -n 48; exec "{sys.executable}" -m anyplug ping 127.0.0.1 --json -c 60 -i 0.002 "$@"'
            words = ("sh", "-c", command, "sh", "--port", str(listener.getsockname()[1]), "--timeout", "1")
            done = subprocess.run(words, capture_output=True, check=False, timeout=PATIENCE)
    *answers, last = events(done.stdout)[1:]
    assert {each["detail"] for each in answers if each["outcome"] == "unsent"} == {"too many open files"}
    assert last["sent"] + last["unsent"] == 60
    assert (last["unsent"] > 0, last["loss"]) == (True, 1.0)


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (PingAnswer(sequence=1, outcome="reply", seconds=0.001, ttl=64), "   1  1.00 ms  ttl 64"),
        (PingAnswer(sequence=2, outcome="late", seconds=2.5, ttl=1), "   2  2500 ms  ttl 1  late"),
        (
            PingAnswer(sequence=3, outcome="reply", seconds=0.1, reordered=True, detail="changed"),
            "   3  100 ms  reordered  changed",
        ),
        (PingAnswer(sequence=4, outcome="duplicate", seconds=0.1), "   4  100 ms  duplicate"),
        (
            PingAnswer(sequence=5, outcome="unreachable", detail="too many hops", source="10.0.0.1"),
            "   5  unreachable: too many hops, says 10.0.0.1",
        ),
        (
            PingAnswer(sequence=6, outcome="unreachable", detail="no route to host"),
            "   6  unreachable: no route to host",
        ),
        (PingAnswer(sequence=7, outcome="unsent", detail="message too long"), "   7  unsent: message too long"),
    ],
)
def test_lines(answer: PingAnswer, line: str) -> None:
    assert _line(answer) == line


def summary(**changes: object) -> PingSummary:
    counts = dict.fromkeys(
        ("sent", "received", "late", "duplicates", "reordered", "unreachable", "unsent", "pending"), 0
    )
    times = dict.fromkeys(("loss", "minimum", "median", "p99", "maximum", "mean", "port"))
    facts = {"host": "h", "address": "::1", "family": 6, "means": "raw", "seconds": 1.0, "whole": True}
    return PingSummary(**{**counts, **times, **facts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (summary(), "0 sent, 0 answered"),
        (summary(sent=2, pending=2), "2 sent, 0 answered, 2 still open"),
        (summary(sent=1000, received=999, loss=0.001), "1,000 sent, 999 answered, 0.1 % lost"),
        (
            summary(
                sent=9, received=4, loss=0.5, late=1, duplicates=2, reordered=3, unreachable=4, unsent=5, pending=1
            ),
            "9 sent, 4 answered, 50 % lost, 1 late, 2 duplicate, 3 reordered, 4 unreachable, 5 not sent, 1 still open",
        ),
    ],
)
def test_the_sentence_of_counts(told: PingSummary, sentence: str) -> None:
    assert _counts(told) == sentence
