from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from zeroconf import InterfaceChoice, IPVersion, NotRunningException

from anyplug.netinfo.multicast import open_multicast

pytestmark = pytest.mark.may_bind("")


class End:
    """As zeroconf, but it starts or does not as it is told."""

    made: list[tuple[Any, Any]]

    def __init__(self, *, start: Exception | None = None, senders: tuple[str, ...] = ("one",)) -> None:
        self.made = []
        self.closed = False
        self._start = start
        self.refused: dict[Any, Exception] = {}
        self.zeroconf = SimpleNamespace(engine=SimpleNamespace(senders=senders), async_wait_for_start=self.wait)

    def make(self, *, interfaces: Any, ip_version: Any) -> End:
        self.made.append((interfaces, ip_version))
        if ip_version in self.refused:
            raise self.refused[ip_version]
        return self

    async def wait(self) -> None:
        if self._start is not None:
            raise self._start

    async def async_close(self) -> None:
        self.closed = True


async def test_every_interface_of_both_families_takes_part() -> None:
    end = End()
    opened: object = await open_multicast(make=end.make)
    assert opened is end
    assert end.made == [(InterfaceChoice.All, IPVersion.All)]
    assert not end.closed


async def test_without_ipv6_it_is_ipv4() -> None:
    end = End()
    end.refused[IPVersion.All] = OSError(97, "Address family not supported by protocol")
    opened: object = await open_multicast(make=end.make)
    assert opened is end
    assert [version for _, version in end.made] == [IPVersion.All, IPVersion.V4Only]


@pytest.mark.parametrize(
    ("interfaces", "version"),
    [
        (["127.0.0.1"], IPVersion.V4Only),
        (["fe80::1%2"], IPVersion.V6Only),
        (["127.0.0.1", "fe80::1%2"], IPVersion.All),
    ],
)
async def test_the_families_are_those_of_the_interfaces(interfaces: list[str], version: IPVersion) -> None:
    end = End()
    await open_multicast(interfaces, make=end.make)
    assert end.made == [(interfaces, version)]


@pytest.mark.parametrize(
    ("start", "senders", "problem"),
    [
        (None, (), "no interface takes part in multicast"),
        (NotRunningException(), ("one",), "multicast did not start (NotRunningException)"),
        (OSError(1, "Operation not permitted"), ("one",), "Operation not permitted"),
    ],
)
async def test_one_that_does_not_start_is_closed(
    start: Exception | None, senders: tuple[str, ...], problem: str
) -> None:
    end = End(start=start, senders=senders)
    with pytest.raises(OSError) as caught:
        await open_multicast(["::1"], make=end.make)
    assert caught.value.strerror == problem
    assert end.closed


async def test_no_interface_at_all() -> None:
    end = End()
    end.refused = dict.fromkeys((IPVersion.All, IPVersion.V4Only), RuntimeError("No interfaces to listen on"))
    with pytest.raises(OSError, match="no interface that is up has an address"):
        await open_multicast(make=end.make)
