"""Only this machine can connect, unless somebody said otherwise."""

from __future__ import annotations

import pytest

from anyplug import Address, BindError
from anyplug.server.exposure import check_exposure, is_foreign, is_local

LOCAL = [
    "plug://127.0.0.1",
    "plug://127.0.0.2:1",
    "tcp://[::1]:1/echo",
    "plug://localhost",
    "unix:///tmp/x?service=echo",
    "fd://3?service=echo",
]
EXPOSED = ["plug://0.0.0.0", "plug://*", "plug://example.org", "plug://[::]:7584"]


@pytest.mark.parametrize("address", LOCAL)
def test_a_local_address_needs_nothing(address: str) -> None:
    assert is_local(Address.parse(address))
    check_exposure(Address.parse(address), token="", insecure=False)


@pytest.mark.parametrize("address", EXPOSED)
def test_an_address_that_others_reach_needs_a_token_or_insecure(address: str) -> None:
    where = Address.parse(address)
    with pytest.raises(BindError, match=r"other machines could connect.*set a token, or say insecure"):
        check_exposure(where, token="", insecure=False)
    check_exposure(where, token="x", insecure=False)
    check_exposure(where, token="", insecure=True)


@pytest.mark.may_bind("192.0.2.1")
def test_the_address_of_another_machine_is_left_to_what_bind_says_of_it() -> None:
    where = Address.parse("plug://192.0.2.1")
    assert is_foreign(where)
    check_exposure(where, token="", insecure=False)
    assert not is_foreign(Address.parse("plug://127.0.0.1"))


def test_a_token_does_not_protect_a_plain_listener() -> None:
    with pytest.raises(BindError, match="a plain listener cannot ask for a token"):
        check_exposure(Address.parse("tcp://0.0.0.0:1/echo"), token="x", insecure=False)
