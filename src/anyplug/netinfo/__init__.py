"""A look at the network: what listens here, which addresses there are, what answers elsewhere.

Each command of this kind is a function first, which returns typed results: `check.check`, `scan.scan`, `ping.ping`,
`sockets.list_sockets`, `addresses.list_interfaces`. What reads tables of the kernel and answers of hosts is pure, and
stands apart from what asks for them.
"""

from __future__ import annotations

__all__: list[str] = []
