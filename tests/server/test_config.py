"""A configuration file is read whole, or its mistake is named with its line and what would be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anyplug.address import Address
from anyplug.errors import AddressError, BindError, ConfigError
from anyplug.limits import DEFAULTS
from anyplug.server.config import Config, load, read_token
from anyplug.server.config_listeners import read_address
from anyplug.server.reload import apply, build
from anyplug.services import KINDS, EchoOptions, GreetOptions, ReplyOptions
from anyplug.transport.options import DEFAULT_OPTIONS
from tests.server.config_mistakes import MISTAKES
from tests.server.serving import LogRecords, RawClient

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
listen = ["plug://127.0.0.1:7584", "tcp://127.0.0.1:9999/answer?framing=raw"]

[server]
token_file = "token"
insecure = true
log = "json"

[limits]
message = "1 MiB"
drain = 2
idle = "5 m"
connections = 7

[socket]
backlog = 10
mode = 0o660
user_timeout = "30 s"

[services.clock]
kind = "echo"
timestamp = true

[services.answer]
kind = "reply"
answers = { ping = "pong" }

[services.hello]
kind = "greet"
text = "Hi"
patience = "1 m"

[[listeners]]
address = "tcp://127.0.0.1:8080"
service = "clock"
framing = "raw"
codec = "text"
connections = 6

[[listeners]]
address = "unix:///run/clock.sock?codec=bytes"
service = "clock"
"""


def file_with(folder: Path, text: str | bytes) -> str:
    """A configuration file with this text."""
    path = folder / "anyplug.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def mistake_in(folder: Path, text: str | bytes) -> str:
    """What is said of the first mistake, from the line on."""
    file = file_with(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.file == file
    return str(caught.value).removeprefix(file).removeprefix(":")


def test_every_section_is_read(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(" secret\n")
    file = file_with(tmp_path, WHOLE)
    config = load(file)
    assert config.file == file
    assert (config.server.insecure, config.server.log, config.token) == (True, "json", "secret")
    assert (config.limits.message, config.limits.drain, config.limits.idle) == (1024 * 1024, 2.0, 300.0)
    assert (config.limits.connections, config.limits.queue) == (7, DEFAULTS.queue)
    assert (config.socket.backlog, config.socket.mode, config.socket.user_timeout) == (10, 0o660, 30.0)
    assert {name: service.kind for name, service in config.services.items()} == {
        "clock": "echo",
        "answer": "reply",
        "hello": "greet",
    }
    assert config.services["clock"].options == EchoOptions(timestamp=True)
    assert config.services["answer"].options == ReplyOptions(answers={"ping": "pong"})
    assert config.services["hello"].options == GreetOptions(text="Hi", patience=60.0)
    assert [(str(each.address), each.connections) for each in config.listeners] == [
        ("plug://127.0.0.1:7584", None),
        ("tcp://127.0.0.1:9999/answer?framing=raw", None),
        ("tcp://127.0.0.1:8080/clock?codec=text&framing=raw", 6),
        ("unix:///run/clock.sock?service=clock&codec=bytes", None),
    ]
    assert [each.place for each in config.listeners] == [f"{file}:2", f"{file}:2", f"{file}:34", f"{file}:41"]
    assert config.warnings == ()


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    config = load(file_with(tmp_path, ""))
    assert (config.limits, config.socket) == (DEFAULTS, DEFAULT_OPTIONS)
    assert list(config.services) == list(KINDS)
    assert [str(each.address) for each in config.listeners] == ["plug://127.0.0.1:7584"]
    assert config.token == ""


def test_a_file_may_ask_for_no_services_and_no_listeners(tmp_path: Path) -> None:
    config = load(file_with(tmp_path, "listen = []\n[services]\n"))
    assert (dict(config.services), config.listeners) == ({}, ())


def test_one_address_needs_no_array(tmp_path: Path) -> None:
    config = load(file_with(tmp_path, 'listen = "127.0.0.1:9"'))
    assert [str(each.address) for each in config.listeners] == ["plug://127.0.0.1:9"]


def test_ports_that_are_free_to_choose_may_be_asked_for_twice(tmp_path: Path) -> None:
    config = load(file_with(tmp_path, 'listen = ["plug://127.0.0.1:0", "plug://127.0.0.1:0"]'))
    assert len(config.listeners) == 2


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    config = load(file_with(tmp_path, b"\xef\xbb\xbf[limits]\r\nconnections = 3\r\n"))
    assert config.limits.connections == 3
    assert mistake_in(tmp_path, b"[limits]\r\n\r\nconnektions = 3\r\n").startswith("3: ")


@pytest.mark.parametrize(("text", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_line_and_what_would_be_right(
    tmp_path: Path, text: str | bytes, sentence: str
) -> None:
    assert mistake_in(tmp_path, text).replace(str(tmp_path), "FOLDER") == sentence


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    file = str(tmp_path / "anyplug.toml")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value) == f"{file}: there is no such file"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(str(tmp_path))
    assert str(caught.value) == f"{tmp_path}: it is a folder; name the file in it"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    file = f"{file_with(tmp_path, '')}/more"
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value) == f"{file}: it cannot be read: Not a directory"


def test_a_token_file_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o640)
    config = load(file_with(tmp_path, f'[server]\ntoken_file = "{token}"\n'))
    assert config.token == "secret"
    assert config.warnings == (f"others can read the token file {token} (mode 0640); run: chmod 600 {token}",)


def test_a_token_does_not_show_itself(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    config = load(file_with(tmp_path, '[server]\ntoken_file = "token"\n'))
    assert "secret" not in repr(config)
    assert "token='***'" in repr(config)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b" \n", "the token file is empty; put a long random text into it"),
        (b"a\nb", "the token file holds no token; expected one line of text, 1024 bytes at most"),
        (b"\xff", "the token file holds no token; expected one line of text, 1024 bytes at most"),
        (b"x" * 1025, "the token file holds no token; expected one line of text, 1024 bytes at most"),
    ],
)
def test_a_token_file_without_a_token_is_refused(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "token"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read_token(str(path))
    assert str(caught.value) == f"{path}: {problem}"


def test_an_address_beside_a_file_is_checked_against_the_services() -> None:
    config = Config()
    services = {name: each.make(name) for name, each in config.services.items()}
    listener = read_address("tcp://127.0.0.1:0/echo", services, config.limits)
    assert (str(listener.address), listener.place) == ("tcp://127.0.0.1:0/echo", "--listen")
    with pytest.raises(ConfigError) as caught:
        read_address("tcp://127.0.0.1:0/ecco", services, config.limits)
    assert str(caught.value) == (
        "--listen tcp://127.0.0.1:0/ecco: no service 'ecco' is defined; did you mean \"echo\"?"
    )
    with pytest.raises(AddressError):
        read_address("tcp://127.0.0.1", services, config.limits)
    with pytest.raises(AddressError, match="does not speak them yet"):
        read_address("plugs://127.0.0.1", services, config.limits)


async def test_a_server_is_as_its_file_says(tmp_path: Path) -> None:
    text = """
[limits]
drain = 0
[services.pong]
kind = "reply"
answer = "pong"
[[listeners]]
address = "tcp://127.0.0.1:0"
service = "pong"
connections = 1
"""
    config = load(file_with(tmp_path, text))
    async with build(config, log=LogRecords().log()) as server:
        (address,) = apply(server, config).opened
        assert server.addresses == [address]
        first = await RawClient.to(address)
        await first.say(b"ping\n")
        assert await first.hear_line() == b"pong\n"
        second = await RawClient.to(address)
        assert await second.hear_all() == b"busy: all 1 places are taken; try again later\n"
        await second.close()
        await first.close()


async def test_a_listener_that_cannot_be_opened_is_named_with_its_place(tmp_path: Path) -> None:
    async with build(Config(), log=LogRecords().log()) as other:
        taken = Address.parse(apply(other, load(file_with(tmp_path, 'listen = "plug://127.0.0.1:0"'))).opened[0])
        file = file_with(tmp_path, f'listen = [\n"plug://127.0.0.1:0", "tcp://127.0.0.1:{taken.port}/echo"]\n')
        config = load(file)
        server = build(config, log=LogRecords().log())
        with pytest.raises(BindError) as caught:
            apply(server, config)
        assert caught.value.address == f"tcp://127.0.0.1:{taken.port}/echo"
        assert str(caught.value).endswith(f"({file}:2)")
        assert server.addresses == []
