"""A configuration file is read whole, or its mistake is named with its line and what would be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anyplug.address import Address
from anyplug.errors import AddressError, BindError, ConfigError
from anyplug.limits import DEFAULTS
from anyplug.server.config import Config, load, read_token
from anyplug.server.config_listeners import read_address
from anyplug.server.config_reader import CONFIG_MAX
from anyplug.server.reload import apply, build
from anyplug.services import EchoOptions, GreetOptions, ReplyOptions
from anyplug.transport.options import DEFAULT_OPTIONS
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
    assert list(config.services) == ["greet", "reply", "echo"]
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


LISTENER = """[services.clock]
kind = "echo"
[[listeners]]
address = "tcp://127.0.0.1:8080"
service = "clock"
"""

MISTAKES = {
    "a misspelt section": ("[limit]\n", "1: limit: there is no such key; did you mean `limits`?"),
    "an unknown section": (
        "[colours]\n",
        "1: colours: there is no such key; keys here are listen, server, limits, socket, services, listeners",
    ),
    "a misspelt limit": (
        "[limits]\n\nmesage = 1\n",
        "3: limits.mesage: there is no such key; did you mean `message`?",
    ),
    "a key of another section": (
        "[server]\ndrain = 3\n",
        "2: server.drain: there is no such key; did you mean `limits.drain`?",
    ),
    "a key that belongs into a section": (
        'token_file = "x"\n',
        "1: token_file: there is no such key; did you mean `server.token_file`?",
    ),
    "a section that is no table": ("limits = 3\n", "1: limits: expected a table, [limits], found a whole number"),
    "a wrong type": (
        '[limits]\nparts = "many"\n',
        "2: limits.parts: expected a whole number, found a text",
    ),
    "a fraction": ("[limits]\nparts = 1.5\n", "2: limits.parts: expected a whole number, found a number"),
    "a truth for a number": ("[limits]\nparts = true\n", "2: limits.parts: expected a whole number, found true"),
    "a size without a unit": (
        '[limits]\nmessage = "16"\n',
        (
            "2: limits.message: '16' has no unit; write it without quotation marks, or with one of B, kB, KB, MB, GB, "
            "KiB, MiB, GiB"
        ),
    ),
    "a misspelt unit": (
        '[limits]\nmessage = "16 mib"\n',
        "2: limits.message: there is no unit 'mib'; did you mean \"16 MiB\"?",
    ),
    "a time that is none": (
        '[limits]\ndrain = "soon"\n',
        "2: limits.drain: expected seconds, such as 2.5 or \"5 m\", found 'soon'",
    ),
    "a negative limit": ("[limits]\nidle = -1\n", "2: limits.idle: -1 is too small; expected at least 0"),
    "a limit of nothing": ("[limits]\nmessage = 0\n", "2: limits.message: 0 is too small; expected at least 1"),
    "a time of nothing": ("[limits]\nping = 0\n", "2: limits.ping: 0 is too small; expected at least 0.001"),
    "a size above all": (
        '[limits]\nmessage = "5 GiB"\n',
        "2: limits.message: 5,368,709,120 is too large; expected at most 4,294,967,295",
    ),
    "a number above all": (
        "[limits]\nparts = 3_000_000_000\n",
        "2: limits.parts: 3,000,000,000 is too large; expected at most 2,147,483,647",
    ),
    "death before the first question": (
        "[limits]\nping = 60\n",
        "2: limits.ping: limits.dead, 40 s, is not more than limits.ping, 60 s: no peer could answer",
    ),
    "death set before the first question": (
        "[limits]\ndead = 5\n",
        "2: limits.dead: limits.dead, 5 s, is not more than limits.ping, 15 s: no peer could answer",
    ),
    "a mode written in decimal": (
        "[socket]\nmode = 660\n",
        "2: socket.mode: 660 is no mode of a file, 0o000 to 0o777; did you mean 0o660?",
    ),
    "a mode beyond all": ("[socket]\nmode = 4096\n", "2: socket.mode: 4096 is no mode of a file, 0o000 to 0o777"),
    "no backlog": ("[socket]\nbacklog = 0\n", "2: socket.backlog: 0 is too small; expected at least 1"),
    "an unknown form of the log": (
        '[server]\nlog = "jason"\n',
        "2: server.log: there is no log 'jason'; did you mean \"json\"?",
    ),
    "a form of the log that is no text": (
        "[server]\nlog = 1\n",
        "2: server.log: expected a text, found a whole number",
    ),
    "a service of an unknown kind": (
        '[services.clock]\nkind = "ecco"\n',
        "2: services.clock.kind: there is no kind 'ecco'; did you mean \"echo\"?",
    ),
    "a kind like no other": (
        '[services.clock]\nkind = "x"\n',
        "2: services.clock.kind: there is no kind 'x'; kinds are greet, reply, echo",
    ),
    "a kind that is no text": (
        "[services.clock]\nkind = 1\n",
        "2: services.clock.kind: expected a text, found a whole number",
    ),
    "a service without a kind": (
        "[services.reply]\n",
        '1: services.reply: it does not say its kind, one of greet, reply, echo; add kind = "reply"',
    ),
    "a nameless kind": (
        "[services.clock]\ntimestamp = true\n",
        '1: services.clock: it does not say its kind, one of greet, reply, echo; add kind = "echo"',
    ),
    "a misspelt kind": (
        '[services.clock]\nkin = "echo"\n',
        "2: services.clock.kin: there is no such key; did you mean `kind`?",
    ),
    "an option of another kind": (
        '[services.clock]\nkind = "echo"\ntimestamps = true\n',
        "3: services.clock.timestamps: there is no such key; did you mean `timestamp`?",
    ),
    "an option of a wrong type": (
        '[services.clock]\nkind = "echo"\ntimestamp = "yes"\n',
        "3: services.clock.timestamp: expected true or false, found a text",
    ),
    "an answer of a wrong type": (
        '[services.a]\nkind = "reply"\n[services.a.answers]\nping = "pong"\n"two words" = 3\n',
        '5: services.a.answers."two words": expected a text, found a whole number',
    ),
    "answers that are no table": (
        '[services.a]\nkind = "reply"\nanswers = ["x"]\n',
        "3: services.a.answers: expected a table, [services.a.answers], found an array",
    ),
    "a name that no service can have": (
        '[services."two words"]\nkind = "echo"\n',
        (
            "1: services.\"two words\": 'two words' is no name of a service: expected 1 to 64 letters, digits, '-', "
            "'_' or '.', beginning with a letter, a digit or '_'; did you mean two-words?"
        ),
    ),
    "a service that is no table": (
        "[services]\nclock = 1\n",
        "2: services.clock: expected a table, [services.clock], found a whole number",
    ),
    "listen that is no address": (
        "listen = 7584\n",
        '1: listen: expected an array of addresses, such as ["plug://127.0.0.1:7584"]',
    ),
    "an address that is no text": (
        'listen = [\n"plug://127.0.0.1:1",\n7584]\n',
        "3: listen[1]: expected a text, found a whole number",
    ),
    "a bad address": (
        'listen = [\n"plug://127.0.0.1:1",\n"tpc://127.0.0.1:2/echo"]\n',
        (
            "3: listen[1]: 'tpc://127.0.0.1:2/echo' is not an address: the scheme is 'tpc', expected one of plug, "
            "plugs, tcp, tls, unix, unix+seqpacket, unix+dgram, plug+unix, udp, ws, wss, fd; did you mean tcp://127.0.0.1:2/echo?"
        ),
    ),
    "a scheme that is not spoken yet": (
        'listen = ["tls://127.0.0.1:1/echo"]\n',
        (
            "1: listen[0]: 'tls://127.0.0.1:1/echo' is not an address: the scheme is 'tls', expected a scheme without "
            "TLS or WebSocket (tcp://): this version does not speak them yet"
        ),
    ),
    "a plain address without a service": (
        'listen = ["tcp://127.0.0.1:1"]\n',
        "1: listen[0]: a plain listener carries one service: name it, as in tcp://127.0.0.1:1/greet",
    ),
    "an address with an unknown service": (
        'listen = ["tcp://127.0.0.1:1/ecco"]\n',
        "1: listen[0]: no service 'ecco' is defined; did you mean \"echo\"?",
    ),
    "one table of listeners": (
        '[listeners]\naddress = "plug://127.0.0.1:1"\n',
        "1: listeners: expected an array of tables: write [[listeners]], with two brackets, before each",
    ),
    "a listener that is no table": (
        "listeners = [1]\n",
        "1: listeners[0]: expected a table, [listeners[0]], found a whole number",
    ),
    "a listener without an address": (
        '[[listeners]]\nservice = "echo"\n',
        '1: listeners[0]: it has no address; add address = "tcp://127.0.0.1:8080"',
    ),
    "a misspelt key of a listener": (
        LISTENER.replace("address", "adress"),
        "4: listeners[0].adress: there is no such key; did you mean `address`?",
    ),
    "a listener without a service": (
        LISTENER.replace('service = "clock"', ""),
        '4: listeners[0].address: a plain listener carries one service: name it, add service = "clock"',
    ),
    "a listener with an unknown service": (
        LISTENER.replace('service = "clock"', 'service = "clok"'),
        "5: listeners[0].service: no service 'clok' is defined; did you mean \"clock\"?",
    ),
    "a service said twice": (
        LISTENER.replace("8080", "8080/clock"),
        "5: listeners[0].service: the address names the service 'clock' already; say it once",
    ),
    "a framing said twice": (
        LISTENER.replace("8080", "8080?framing=raw") + 'framing = "lines"\n',
        "6: listeners[0].framing: the address says framing=raw already; say it once",
    ),
    "an unknown framing": (
        LISTENER + 'framing = "line"\n',
        "6: listeners[0].framing: there is no framing 'line'; did you mean \"lines\"?",
    ),
    "an unknown codec": (
        LISTENER + 'codec = "xml"\n',
        "6: listeners[0].codec: there is no codec 'xml'; codecs are bytes, text, json, msgpack, pickled",
    ),
    "an unknown framing in an address": (
        LISTENER.replace("8080", "8080?framing=headers"),
        "4: listeners[0].address: there is no framing 'headers'; did you mean \"header\"?",
    ),
    "a framing without sense": (
        LISTENER.replace("8080", "8080?until=noon"),
        "4: listeners[0].address: the option until of framing raw is 'noon', expected 'eof' or nothing",
    ),
    "a plug listener with a service": (
        LISTENER.replace("tcp:", "plug:"),
        "5: listeners[0].service: a plug listener offers every service, in frames of its own; leave the service out",
    ),
    "a plug listener with a framing": (
        LISTENER.replace("tcp:", "plug:").replace("service =", "framing ="),
        "5: listeners[0].framing: a plug listener offers every service, in frames of its own; leave the framing out",
    ),
    "no connections": (
        LISTENER + "connections = 0\n",
        "6: listeners[0].connections: 0 is too small; expected at least 1",
    ),
    "connections without connections": (
        LISTENER.replace("tcp:", "udp:") + "connections = 6\n",
        "6: listeners[0].connections: datagrams come without a connection; leave it out",
    ),
    "a conversation in datagrams": (
        LISTENER.replace("tcp:", "udp:").replace('"echo"', '"greet"'),
        (
            "5: listeners[0].service: datagrams are single messages, and 'clock' holds conversations; "
            "use a kind that answers"
        ),
    ),
    "a framing of packets": (
        LISTENER.replace("tcp:", "udp:") + 'framing = "lines"\n',
        (
            "6: listeners[0].framing: each packet of udp://127.0.0.1:8080/clock?framing=lines is one message; leave "
            "out the framing, or use framing='raw'"
        ),
    ),
    "an address that is there already": (
        'listen = [\n"plug://127.0.0.1:8080"]\n' + LISTENER,
        "6: listeners[0].address: line 2 listens there already",
    ),
    "a socket that is there already": (
        (
            'listen = ["unix:///a?service=clock",\n"unix:///a?service=clock&framing=raw"]\n'
            '[services.clock]\nkind = "echo"\n'
        ),
        "2: listen[1]: line 1 listens there already",
    ),
    "a word without a value": (
        "\nlisten\n",
        "2: it is not valid TOML, at column 7: expected '=' after a key in a key/value pair",
    ),
    "an end too early": ('\nlisten = """\n\n', "4: it is not valid TOML: unterminated string"),
    "a key twice": (
        "[limits]\nparts = 1\nparts = 2\n",
        "3: it is not valid TOML, at column 10: cannot overwrite a value",
    ),
    "too deep": ("a = " + "[" * 5000, " its arrays or tables are nested too deeply"),
    "not UTF-8": (b"# a\n# b\xff\n", "2: byte 0xff is not UTF-8; save the file as UTF-8"),
    "too large": (b"#" * (CONFIG_MAX + 1), f" it has more than {CONFIG_MAX:,} bytes; is it the right file?"),
    "a token file that is not there": (
        '[server]\ntoken_file = "token"\n',
        "2: server.token_file: FOLDER/token: the token file cannot be read: no such file or directory",
    ),
}


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
