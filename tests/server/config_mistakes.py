"""Mistakes in configuration files, and what is said of each: from the line on, the folder written as FOLDER."""

from __future__ import annotations

from typing import Final

from anyplug.server.config_reader import CONFIG_MAX
from anyplug.services import KINDS

__all__ = ["MISTAKES"]

_KINDS: Final = ", ".join(KINDS)

_SECTIONS: Final = "listen, workers, server, limits, socket, store, services, listeners"

LISTENER: Final = """[services.clock]
kind = "echo"
[[listeners]]
address = "tcp://127.0.0.1:8080"
service = "clock"
"""

MISTAKES: Final[dict[str, tuple[str | bytes, str]]] = {
    "a misspelt section": ("[limit]\n", "1: limit: there is no such key; did you mean `limits`?"),
    "an unknown section": (
        "[colours]\n",
        f"1: colours: there is no such key; keys here are {_SECTIONS}",
    ),
    "a misspelt limit": (
        "[limits]\n\nmassage = 1\n",
        "3: limits.massage: there is no such key; did you mean `message`?",
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
    "no workers": ("workers = 0\n", '1: workers: expected a whole number from 1 to 256, or "auto", found 0'),
    "too many workers": ("workers = 257\n", '1: workers: expected a whole number from 1 to 256, or "auto", found 257'),
    "workers of another word": (
        '\nworkers = "all"\n',
        '2: workers: expected a whole number from 1 to 256, or "auto", found "all"',
    ),
    "workers that are no number": (
        "workers = true\n",
        '1: workers: expected a whole number from 1 to 256, or "auto", found true',
    ),
    "a wrong type": (
        '[limits]\nparts = "many"\n',
        "2: limits.parts: expected a whole number, found a text",
    ),
    "a fraction": ("[limits]\nparts = 1.5\n", "2: limits.parts: expected a whole number, found a number"),
    "a name that no server can have": (
        '[server]\nannounce = true\nannounce_name = "a.b"\n',
        (
            "3: server.announce_name: 'a.b' cannot be a server's name in the network: expected printable text without "
            "a dot, such as kitchen"
        ),
    ),
    "a truth for a number": ("[limits]\nparts = true\n", "2: limits.parts: expected a whole number, found true"),
    "a size without a unit": (
        '[limits]\nmessage = "16"\n',
        (
            "2: limits.message: '16' has no unit; write it without quotation marks, or with one of B, kB, KB, MB, GB, "
            "TB, KiB, MiB, GiB, TiB"
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
        f"2: services.clock.kind: there is no kind 'x'; kinds are {_KINDS}",
    ),
    "a kind that is no text": (
        "[services.clock]\nkind = 1\n",
        "2: services.clock.kind: expected a text, found a whole number",
    ),
    "a service without a kind": (
        "[services.reply]\n",
        f'1: services.reply: it does not say its kind, one of {_KINDS}; add kind = "reply"',
    ),
    "a nameless kind": (
        "[services.clock]\ntimestamp = true\n",
        f'1: services.clock: it does not say its kind, one of {_KINDS}; add kind = "echo"',
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
        "6: listeners[0].codec: there is no codec 'xml'; codecs are bytes, text, json, msgpack, pickled, objects",
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
