"""``anyplug serve``: a server, in the foreground."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click
import msgspec

from anyplug.address import Address
from anyplug.cli.faults import INTERRUPTED, OK, USAGE, explain
from anyplug.cli.options import json_option
from anyplug.cli.output import Output
from anyplug.cli.serve_talk import Standing, Talk
from anyplug.errors import ConfigError
from anyplug.server.config import Config, ListenerConfig, StoreConfig, read_config, read_token
from anyplug.server.config_listeners import DEFAULT_ADDRESS, read_address
from anyplug.server.config_reader import ConfigText, read_text
from anyplug.server.lifecycle import live, new_loop
from anyplug.server.listeners import spot_of
from anyplug.server.logs import JsonFormatter, LineFormatter
from anyplug.server.reload import Outcome, Reloader, apply, build
from anyplug.server.workers_config import check_workers
from anyplug.server.workers_count import read_workers
from anyplug.services.files import open_depots
from anyplug.transport.inherited import inherited_sockets

if TYPE_CHECKING:
    from anyplug.netinfo.announce import Announcer

__all__ = ["command"]

DEFAULT_FILE: Final = "anyplug.toml"
"""The configuration that is used where it is there and no other is named."""


class _Given(NamedTuple):
    """What the command line says beside the file."""

    listen: tuple[str, ...]
    token_file: str
    insecure: bool
    log: str
    store: str = ""
    announce: bool = False
    announce_name: str = ""
    workers: int = 0

    def changed(self, config: Config) -> Config:
        """The file's configuration with what the command line says.

        Raises:
            AddressError, ConfigError: a mistake in it.
        """
        server = msgspec.structs.replace(
            config.server,
            insecure=config.server.insecure or self.insecure,
            log=self.log or config.server.log,
            announce=config.server.announce or self.announce or bool(self.announce_name),
            announce_name=self.announce_name or config.server.announce_name,
        )
        config = msgspec.structs.replace(
            config, server=server, listeners=self._listeners(config), workers=self.workers or config.workers
        )
        if self.store:
            store = (
                StoreConfig(kind="memory")
                if self.store == "memory"
                else StoreConfig(folder=str(Path(self.store).absolute()))
            )
            config = msgspec.structs.replace(config, store=store)
        if not self.token_file:
            return config
        token, warning = read_token(self.token_file)
        warnings = (*config.warnings, *([warning] if warning else []))
        return msgspec.structs.replace(config, token=token, warnings=warnings)

    def _listeners(self, config: Config) -> tuple[ListenerConfig, ...]:
        """Those of the file and those of the command line; one that both name is as the command line says."""
        services = {name: each.make(name) for name, each in config.services.items()}
        given = [read_address(each, services, config.limits) for each in self.listen]
        spots = {spot_of(each.address) for each in given}
        kept = [each for each in config.listeners if spot_of(each.address) not in spots and (each.place or not given)]
        return (*kept, *given)


def _workers(context: click.Context, option: click.Parameter, value: str | None) -> int:
    """The number of workers that was given; 0 where none was."""
    try:
        return 0 if value is None else read_workers(int(value) if value.isdecimal() else value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, option) from None


@click.command(
    "serve",
    short_help="Serve named services to any client.",
    epilog="""\b
    Examples:
    anyplug serve
    anyplug serve anyplug.toml
    anyplug serve --listen 127.0.0.1:7584 --listen 'tcp://127.0.0.1:9999/echo?framing=raw'""",
)
@click.argument("file", required=False)
@click.option("--listen", multiple=True, metavar="ADDRESS", help="Listen here too; HOST[:PORT] means plug. Repeatable.")
@click.option("--token-file", default="", metavar="FILE", help="A file with the token that clients must show.")
@click.option("--store", default="", metavar="FOLDER", help="Keep messages and values here; or: memory.")
@click.option("--workers", default=None, metavar="N", callback=_workers, help="Processes that serve; or: auto.")
@click.option("--insecure", is_flag=True, help="Listen beyond this machine though nothing protects it.")
@click.option("--announce", is_flag=True, help="Announce the server in the local network, for `anyplug find`.")
@click.option("--announce-name", default="", metavar="NAME", help="Announce it under this name; that of this machine.")
@click.option("--log", type=click.Choice(["line", "json"]), default=None, help="The form of the log on standard error.")
@click.option("--verbose", "-v", is_flag=True, help="Log what goes well, too.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
@json_option
def command(
    file: str | None,
    listen: tuple[str, ...],
    token_file: str,
    store: str,
    workers: int,
    insecure: bool,
    announce: bool,
    announce_name: str,
    log: str | None,
    verbose: bool,
    quiet: bool,
    json: bool,
) -> int:
    """Serve until Ctrl-C, by the configuration in FILE.

    Without FILE it is ./anyplug.toml, where there is one; else one service of each kind on plug://127.0.0.1:7584.

    SIGTERM and Ctrl-C let conversations end (10 s, limits.drain), a second one ends at once. SIGHUP reads FILE again.

    --workers N serves with N processes on the same ports, for services that keep nothing: greet, reply, echo. Each has
    its part of limits.connections. A worker that ends is replaced.
    """
    output = Output(json=json)
    given = _Given(listen, token_file, insecure, log or "", store, announce, announce_name, workers)
    path = file or (DEFAULT_FILE if Path(DEFAULT_FILE).is_file() else "")
    try:
        config, text = _read(path, given)
        check_workers(config, text, count=config.workers)
    except ConfigError as error:
        output.error(explain(error))
        return USAGE
    structured = config.server.log == "json"
    _set_up_log(structured=structured, verbose=verbose or (structured and not quiet), quiet=quiet)
    for warning in config.warnings:
        logging.getLogger("anyplug").warning("config_warning", extra={"fields": {"problem": warning}})
    talk = Talk(output, quiet=quiet or structured)
    announcer = _announcer(config, talk)
    if config.workers > 1:
        from anyplug.cli.serve_workers import serve_workers

        return serve_workers(
            config, talk, announcer, output, path=path, read=lambda text: given.changed(read_config(text))
        )
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_serve(config, talk, announcer, path=path, given=given))


def _announcer(config: Config, talk: Talk) -> Announcer | None:
    """What announces the server, where that is wanted; then alone it is imported.

    Raises:
        LocalError: the server cannot have this name.
    """
    if not config.server.announce:
        return None
    from anyplug.netinfo.announce import Announcer

    return Announcer(name=config.server.announce_name, told=talk.announced)


async def _serve(config: Config, talk: Talk, announcer: Announcer | None, *, path: str, given: _Given) -> int:
    """Listen, live, drain; the exit status."""
    server = build(config)
    server.facilities.show = talk.show
    await server.open_store()
    await open_depots(server.facilities, [each.options for each in config.services.values()])
    kinds = {name: service.kind for name, service in config.services.items()}

    def begin() -> None:
        server.adopt(inherited_sockets(os.environ, os.getpid()))
        apply(server, config)
        server.disown()
        talk.ready(Standing(server.addresses, server.services, server.store), kinds, token=bool(config.token))
        if announcer is not None:
            announcer.announce(server)

    def reloaded(outcome: Outcome) -> None:
        talk.reloaded(outcome, path)
        if announcer is not None and outcome.error is None:
            announcer.announce(server)

    farewell: list[asyncio.Task[None]] = []

    def stopping() -> None:
        talk.stopping(server.connections, config.limits.drain)
        if announcer is not None:
            farewell.append(asyncio.ensure_future(announcer.close()))

    read = partial(_read, path, given)
    reloader = Reloader(partial(apply, server), path, config, read=lambda: read()[0], told=reloaded)
    end = await live(server, start=begin, reload=reloader if path else None, stopping=stopping)
    await asyncio.gather(*farewell)
    talk.stopped(end)
    return INTERRUPTED if end.forced else OK


def _read(path: str, given: _Given) -> tuple[Config, ConfigText | None]:
    """The configuration as it is to be, and the text of its file, where there is one.

    Raises:
        AddressError, ConfigError: a mistake in it.
    """
    text = ConfigText(path, read_text(path)) if path else None
    return given.changed(_default() if text is None else read_config(text)), text


def _default() -> Config:
    return Config(listeners=(ListenerConfig(address=Address.parse(DEFAULT_ADDRESS)),))


def _set_up_log(*, structured: bool, verbose: bool, quiet: bool) -> None:
    """Send events to standard error: warnings, or everything, or failures alone."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if structured else LineFormatter())
    level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
    for name in ("anyplug", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
