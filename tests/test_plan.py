"""What an address and the arguments of connect mean together."""

from __future__ import annotations

from typing import Any

import pytest

from anyplug.address import Address
from anyplug.errors import AddressError, LocalError
from anyplug.framing import Header, Lines, Prefix, Raw
from anyplug.limits import Limits
from anyplug.messages import Hello
from anyplug.plan import AGENT, Plan, make_plan, plain_framing
from anyplug.wire import PacketSession, PlainSession, PlugSession, Role

SMALL = Limits(message=1000)


def plan_of(address: str, **options: Any) -> Plan[Any]:
    return make_plan(Address.parse(address), **options)


@pytest.mark.parametrize(
    ("address", "options", "framing", "codec"),
    [
        ("tcp://h:1", {}, Lines, "text"),
        ("tcp://h:1", {"type": bytes}, Lines, "bytes"),
        ("tcp://h:1", {"type": dict}, Lines, "json"),
        ("tcp://h:1", {"framing": "header", "codec": "pickled"}, Header, "pickled"),
        ("tcp://h:1?framing=prefix&codec=msgpack", {}, Prefix, "msgpack"),
        ("tcp://h:1?framing=prefix&codec=msgpack", {"framing": "raw", "codec": "bytes"}, Raw, "bytes"),
        ("tcp://h:1?width=6", {}, Header, "text"),
        ("tcp://h:1?until=eof", {}, Raw, "text"),
        ("unix:///s", {}, Lines, "text"),
        ("udp://h:1", {}, Raw, "text"),
        ("udp://h:1", {"framing": "raw"}, Raw, "text"),
        ("unix+dgram:///s", {"type": bytes}, Raw, "bytes"),
        ("unix+seqpacket:///s", {}, Raw, "text"),
    ],
)
def test_a_plain_address_has_a_framing_and_a_codec(
    address: str, options: dict[str, Any], framing: type, codec: str
) -> None:
    plan = plan_of(address, limits=SMALL, **options)
    assert isinstance(plan.framing, framing)
    assert isinstance(plan.framing, Lines | Raw | Header | Prefix)
    assert plan.framing.limit == 1000
    assert plan.codec.name == codec
    assert plan.hello is None
    session = plan.session()
    assert isinstance(session, PlainSession)
    assert isinstance(session, PacketSession) == plan.packets
    assert plan.packets == (address.split(":", maxsplit=1)[0] in {"udp", "unix+dgram", "unix+seqpacket"})


def test_options_of_the_address_reach_the_framing() -> None:
    header = plan_of("tcp://h:1?framing=header&width=6").framing
    raw = plan_of("tcp://h:1?until=eof").framing
    assert isinstance(header, Header)
    assert header.width == 6
    assert isinstance(raw, Raw)
    assert raw.until == "eof"


@pytest.mark.parametrize(("codec", "utf8"), [("text", True), ("bytes", False)])
def test_raw_text_is_never_cut_inside_a_character(codec: str, utf8: bool) -> None:
    framing = plan_of("tcp://h:1?framing=raw", codec=codec).framing
    assert isinstance(framing, Raw)
    assert framing.utf8 is utf8


def test_a_plug_address_says_hello() -> None:
    plan = plan_of("plug://h/talk/lobby", limits=SMALL, token="t")
    assert plan.framing is None
    assert plan.codec.name == "msgpack"
    assert plan.hello == Hello(service="talk", rest="lobby", codec="msgpack", message=1000, token="t", agent=AGENT)
    session = plan.session()
    assert isinstance(session, PlugSession)
    assert session.role is Role.CLIENT
    server = PlugSession(Role.SERVER, SMALL)
    server.receive_data(session.data_to_send())
    assert server.events() == [plan.hello]


def test_the_codec_of_a_plug_address_can_be_chosen() -> None:
    assert plan_of("plug://h/x?codec=json").codec.name == "json"
    assert plan_of("plug://h/x?codec=json", codec="text").codec.name == "text"
    assert plan_of("plug+unix:///s?service=x", type=bytes).codec.name == "msgpack"


@pytest.mark.parametrize(
    ("address", "options", "says"),
    [
        ("plug://h/x", {"framing": "lines"}, "its own frames"),
        ("plug://h/x", {"codec": "msgpak"}, "msgpack"),
        ("tcp://h:1", {"token": "t"}, "carries no token"),
        ("tcp://h:1", {"framing": "lnes"}, "lines"),
        ("tcp://h:1", {"codec": "jsn"}, "json"),
        ("tcp://h:1?framing=lines&width=6", {}, "width"),
        ("tcp://h:1?width=six", {}, "expected a number"),
        ("tcp://h:1?until=noon", {}, "eof"),
        ("udp://h:1", {"framing": "lines"}, "each packet"),
    ],
)
def test_what_does_not_fit_the_address_is_refused(address: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(LocalError, match=says):
        plan_of(address, **options)


def test_packets_take_no_option_that_could_join_or_cut_them() -> None:
    with pytest.raises(LocalError, match="each packet"):
        plain_framing(Address(scheme="udp", host="h", port=1, options={"until": "eof"}))


@pytest.mark.parametrize("address", ["plugs://h/x", "tls://h:1", "wss://h/x", "ws://h/x"])
def test_what_is_not_spoken_yet_is_refused_before_anything_goes_out_in_the_clear(address: str) -> None:
    with pytest.raises(AddressError, match="does not speak them yet"):
        plan_of(address)


def test_an_inherited_socket_is_cut_by_what_it_turns_out_to_be() -> None:
    where = Address.parse("fd://3")
    assert isinstance(plain_framing(where, packets=True), Raw)
    assert isinstance(plain_framing(where, packets=False), Lines)
