"""Inbox, outbox and shelf against lists and a dictionary, with kills, restarts and new connections among the moves."""

from __future__ import annotations

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from anyplug.backoff import Backoff
from anyplug.blocking import Inbox, Outbox, Shelf
from anyplug.errors import Changed
from tests.crash.process import Victim

SOON = Backoff(first=0.01, most=0.05)
KEYS = st.sampled_from(["a", "b", "colours/red"])
VALUES = st.sampled_from([1, (1, 2), [1, 2], {"x": {1, 2}}, "text", None, b"bytes", {1: 2}])
TOPICS = ("log", "notes")


class Keeping(RuleBasedStateMachine):
    """A server, a client with an outbox, and what both have to hold."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="anyplug-"))
        self.victim = Victim(self.folder)
        self.posted: dict[str, list[str]] = {topic: [] for topic in TOPICS}
        self.values: dict[str, object] = {}
        self.version = 0
        self.count = 0

    @initialize()
    def begin(self) -> None:
        self.victim.start()
        self.outbox = Outbox(self.folder / "outbox.db", backoff=SOON).open()
        self.shelf = Shelf(self.address("shelf"))

    def address(self, service: str) -> str:
        return f"{self.victim.address}?service={service}"

    # What clients do.

    @rule(topic=st.sampled_from(TOPICS), many=st.integers(1, 30))
    def post(self, topic: str, many: int) -> None:
        texts = [f"{topic}-{self.count + at}" for at in range(many)]
        self.count += many
        self.outbox.post_many(self.address(f"inbox/{topic}"), texts, codec="text")
        self.posted[topic] += texts

    @rule(key=KEYS, value=VALUES)
    def put(self, key: str, value: object) -> None:
        version = self.shelf.put(key, value)
        assert version > self.version
        self.version = version
        self.values[key] = value

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert bool(self.shelf.delete(key)) is (key in self.values)
        self.values.pop(key, None)

    @rule(key=KEYS, value=VALUES, right=st.booleans())
    def put_expected(self, key: str, value: object, right: bool) -> None:
        entry = self.shelf.entry(key)
        version = entry.version if entry is not None else 0
        if right:
            self.version = self.shelf.put(key, value, expected=version)
            self.values[key] = value
        else:
            with pytest.raises(Changed):
                self.shelf.put(key, value, expected=version + 1)

    # What happens to them.

    @rule()
    def kill_the_server(self) -> None:
        self.victim.kill()
        self.victim.start()

    @rule(value=VALUES)
    def kill_it_while_it_is_spoken_to(self, value: object) -> None:
        self.outbox.post_many(self.address("inbox/log"), texts := [f"log-{self.count + at}" for at in range(100)])
        self.count += 100
        self.posted["log"] += texts
        self.victim.kill()
        with ThreadPoolExecutor(1) as thread:
            putting = thread.submit(self.shelf.put, "a", value)  # it tries again until somebody is there
            self.victim.start()
            self.version = putting.result(30)
        self.values["a"] = value

    @rule()
    def restart_the_server(self) -> None:
        assert self.victim.stop() == 0
        self.victim.start()

    @rule()
    def restart_the_outbox(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(self.folder / "outbox.db", backoff=SOON).open()

    @rule()
    def connect_anew(self) -> None:
        self.shelf.close()
        self.shelf = Shelf(self.address("shelf"))

    # What has to be true.

    @precondition(lambda self: self.victim.running)
    @invariant()
    def the_shelf_holds_what_was_put(self) -> None:
        found = {entry.key: entry.value for entry in self.shelf.listed()}
        assert found == self.values
        assert {key: type(value) for key, value in found.items()} == {k: type(v) for k, v in self.values.items()}

    @rule()
    def the_inbox_holds_what_was_posted(self) -> None:
        self.outbox.drained(30)
        for topic, texts in self.posted.items():
            with Inbox(self.address(f"inbox/{topic}")) as inbox:
                found = list(inbox.read(1, limit=1000)) if texts else []
                while len(found) < len(texts) and (more := list(inbox.read(len(found) + 1))):
                    found += more
            assert [message.value for message in found] == texts
            assert [message.position for message in found] == list(range(1, len(texts) + 1))

    def teardown(self) -> None:
        if self.victim.running:
            try:
                self.the_inbox_holds_what_was_posted()
            finally:
                self.outbox.close()
                self.shelf.close()
                self.victim.kill()
        shutil.rmtree(self.folder)


@pytest.mark.timeout(200)
def test_inbox_outbox_and_shelf_are_lists_and_a_dictionary_that_survive_anything() -> None:
    run_state_machine_as_test(
        Keeping,
        settings=settings(
            max_examples=5,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
