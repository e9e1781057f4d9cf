"""What a refusal means for an outbox: is it this message, is it the whole target, or does it pass by itself?

The table is data: one row for each code that concerns posts, with its reason. It is about posts that are refused. When
the conversation is refused, or ended by the server, it knows no message to blame yet: then the target stops for the
codes that `anyplug.backoff.FINAL` lists, and all others pass.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from anyplug.backoff import FINAL
from anyplug.errors import Code

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OTHER", "RULES", "Rule", "Verdict", "opening_verdict", "posting_rule"]


class Verdict(Enum):
    """What follows from a refusal."""

    RETRY = "retry"
    """It passes: try again after a while, for ever."""
    PERHAPS = "perhaps"
    """It may pass: try again a few times, then the message is refused."""
    REFUSE = "refuse"
    """This message will never be taken; the next one may. It is recorded as refused."""
    STOP = "stop"
    """No message will be taken until somebody changes something. All of them are kept."""
    RENUMBER = "renumber"
    """The server expects another sequence: it has forgotten some. Count on from there."""


class Rule(NamedTuple):
    """One row."""

    verdict: Verdict
    why: str


RULES: Final[Mapping[Code, Rule]] = {
    Code.BUSY: Rule(Verdict.RETRY, "a limit is reached for now"),
    Code.GOING_AWAY: Rule(Verdict.RETRY, "the server restarts"),
    Code.IDLE: Rule(Verdict.RETRY, "it waited too long for this side, which says something now"),
    Code.SLOW: Rule(Verdict.RETRY, "the network was slow for a while"),
    Code.PROTOCOL: Rule(Verdict.RETRY, "bytes were garbled on their way; they are sent anew"),
    Code.TOO_LARGE: Rule(Verdict.REFUSE, "the message stays as large as it is"),
    Code.BAD_MESSAGE: Rule(Verdict.REFUSE, "the message stays what it is"),
    Code.FAILED: Rule(Verdict.PERHAPS, "the service failed: on this message alone, where it does so again and again"),
    Code.STORE_FULL: Rule(Verdict.RETRY, "somebody will make room"),
    Code.STORE_FAILED: Rule(Verdict.RETRY, "the server starts again once its disk is well"),
    Code.GAP: Rule(Verdict.RENUMBER, "the server has forgotten sequences: its store was replaced, or restored"),
    **{code: Rule(Verdict.STOP, why) for code, why in FINAL.items()},
}
"""What each code means of a post."""

OTHER: Final = Rule(Verdict.PERHAPS, "it is said of something else than posts: of values, positions, transfers")
"""What all other codes mean."""


def posting_rule(code: Code) -> Rule:
    """The row of a code with which a post was refused."""
    return RULES.get(code, OTHER)


def opening_verdict(code: Code) -> Verdict:
    """What follows from a code with which a conversation was refused, or ended by the server."""
    return Verdict.STOP if code in FINAL else Verdict.RETRY
