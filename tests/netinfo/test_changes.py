from __future__ import annotations

from itertools import pairwise

from anyplug.netinfo.changes import Change, changes, look
from anyplug.netinfo.socket_types import Socket


def tcp(state: str, *, port: int = 80, remote: int | None = 999, inode: int = 1) -> Socket:
    host = None if remote is None else "127.0.0.1"
    return Socket("tcp", 4, state, "127.0.0.1", port, host, remote, 0, 0, 0, inode)


def between(before: list[Socket], after: list[Socket]) -> list[Change]:
    return changes(look(before), look(after))


def test_nothing_new_is_no_change() -> None:
    assert between([tcp("established")], [tcp("established")]) == []


def test_a_socket_that_is_new_has_no_state_before() -> None:
    assert between([], [tcp("syn-sent")]) == [Change(tcp("syn-sent"), None, "syn-sent")]


def test_a_socket_that_is_gone_has_no_state_after() -> None:
    assert between([tcp("last-ack")], []) == [Change(tcp("last-ack"), "last-ack", None)]


def test_the_closing_is_followed_though_the_number_is_lost_in_time_wait() -> None:
    steps = [tcp("established"), tcp("fin-wait-1"), tcp("fin-wait-2"), tcp("time-wait", inode=0)]
    seen = [between([old], [new]) for old, new in pairwise(steps)]
    assert [(each.old, each.new) for (each,) in seen] == [
        ("established", "fin-wait-1"),
        ("fin-wait-1", "fin-wait-2"),
        ("fin-wait-2", "time-wait"),
    ]


def test_listeners_that_share_a_port_are_told_apart() -> None:
    both = [tcp("listen", remote=None, inode=1), tcp("listen", remote=None, inode=2)]
    assert between(both[:1], both) == [Change(both[1], None, "listen")]


def test_many_changes_come_in_order() -> None:
    before = [tcp("established", port=1), tcp("established", port=2)]
    after = [tcp("close-wait", port=2), tcp("listen", port=3)]
    assert [(each.old, each.new) for each in between(before, after)] == [
        ("established", None),
        ("established", "close-wait"),
        (None, "listen"),
    ]
