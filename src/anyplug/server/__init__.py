"""The server: listeners, admission, lifecycle, configuration."""

from anyplug.server.lifecycle import new_loop
from anyplug.server.logs import JsonFormatter, LineFormatter, Log
from anyplug.server.server import Server
from anyplug.services.base import Mode, Service, conversation, reply

__all__ = ["JsonFormatter", "LineFormatter", "Log", "Mode", "Server", "Service", "conversation", "new_loop", "reply"]
