"""What every test has: uvloop under `async def`, a guard that keeps traffic on loopback, and `program`."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import HealthCheck, settings

from tests.loops import GuardedLoop
from tests.programs import find_program
from tests.socket_guard import SocketGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class TimerSettings(Protocol):
    """What the timer of the test run is set to, as far as we look."""

    @property
    def timeout(self) -> float | None: ...


GUARD = SocketGuard()
GuardedLoop.guard = GUARD

# A property test tries the same examples each time, and how long it takes decides nothing. To look further:
# HYPOTHESIS_PROFILE=explore make test
settings.register_profile(
    "house",
    deadline=None,
    derandomize=True,
    max_examples=50,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", settings.get_profile("house"), derandomize=False, max_examples=2000)


def pytest_configure() -> None:
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))
    GUARD.install()


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop, unless the test names its loops: `@pytest.mark.asyncio(loop_factories=["uvloop", "asyncio"])`."""
    marker = item.get_closest_marker("asyncio")
    if marker is not None and "loop_factories" in marker.kwargs:
        return {"uvloop": GuardedLoop, "asyncio": asyncio.new_event_loop}
    return {"uvloop": GuardedLoop}


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(settings: TimerSettings) -> None:
    """Let the loop end a test that hangs just before the timer would; then the timer is set as ever."""
    GuardedLoop.patience = settings.timeout * 0.9 if settings.timeout else None


@pytest.fixture(autouse=True)
def loopback_only(request: pytest.FixtureRequest) -> Iterator[SocketGuard]:
    """Fail the test if it reached beyond loopback, even where it swallowed the error."""
    marker = request.node.get_closest_marker("may_bind")
    GUARD.may_bind = frozenset(marker.args if marker is not None else ())
    GUARD.take()
    yield GUARD
    GUARD.may_bind = frozenset()
    if caught := GUARD.take():
        pytest.fail("; ".join(caught))


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """`program("nc")` is the path of nc. Without nc the test is skipped by name; under CI=true it fails."""

    def find(name: str) -> str:
        return find_program(name, search=None, must=os.environ.get("CI") == "true")

    return find
