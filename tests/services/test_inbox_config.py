"""An inbox in a configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anyplug.errors import ConfigError
from anyplug.server.config import load
from anyplug.services import InboxOptions
from anyplug.store import Retention

if TYPE_CHECKING:
    from pathlib import Path


def options(tmp_path: Path, lines: str) -> InboxOptions:
    """The options of the service ``log`` that has these lines."""
    path = tmp_path / "anyplug.toml"
    path.write_text(f'[services.log]\nkind = "inbox"\n{lines}\n')
    found = load(str(path)).services["log"].options
    assert isinstance(found, InboxOptions)
    return found


def test_what_is_kept_can_be_said_with_units(tmp_path: Path) -> None:
    found = options(tmp_path, 'keep_age = "30 d"\nkeep_count = 1000\nkeep_bytes = "100 GiB"\nmessage = "64 KiB"')
    assert found.retention == Retention(age=30 * 86400.0, count=1000, bytes=100 * 2**30)
    assert found.message == 65536


def test_without_a_word_everything_is_kept(tmp_path: Path) -> None:
    assert options(tmp_path, "").retention == Retention()
    assert options(tmp_path, "keep_age = 0\nkeep_count = 0\nkeep_bytes = 0").retention == Retention()


def test_the_other_options_are_read(tmp_path: Path) -> None:
    found = options(tmp_path, 'topic = "a/b"\nspace = "all"\nfarewell = "886"\nshow = true')
    assert (found.topic, found.space, found.farewell, found.show) == ("a/b", "all", "886", True)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('topic = "a//b"', "services.log: topic: the parts of a topic are not empty"),
        ('space = "a/b"', "services.log: space is 'a/b'; expected a name as services have"),
        ('keep_age = "30 days"', "3: services.log.keep_age: there is no unit 'days'; units are"),
        ("keep_count = -1", "3: services.log.keep_count: -1 is too small; expected at least 0"),
        ('keep_bytes = "9000000 GiB"', "3: services.log.keep_bytes: 9,663,676,416,000,000 is too large"),
        ('message = "5 GiB"', "3: services.log.message: 5,368,709,120 is too large; expected at most 4,294,967,295"),
        ("keep_size = 1", "3: services.log.keep_size: there is no such key; did you mean `keep_"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        options(tmp_path, line)
    assert problem in str(caught.value)
