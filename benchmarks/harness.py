"""The harness: a question, who answers it, and how the answers compare.

Machines are noisy, so nothing is measured alone. In each round every contestant is measured once, in an order that
turns from round to round, and the figure that counts is the *ratio* of two of them in the same round: whatever else
the machine did then, it did to both. The median of the ratios is what is told first. Where a server has a core for
itself its rate and what one unit costs it are the same thing; where others use the core too, the cost is the steadier
of the two, so its ratio is told beside.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.conditions import conditions, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["RESULTS", "Comparison", "Contestant", "Outcome", "Question", "Sample", "answer", "report", "write"]

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement."""

    value: float
    """In the question's unit."""
    cost: float | None = None
    """What one unit (a message, an answer) cost the server, microseconds of CPU time."""
    facts: Mapping[str, float] = field(default_factory=dict)
    """What else was seen, with the unit in the name."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One answer to the question, measured once a round."""

    name: str
    measure: Callable[[float], Sample]
    """Gets the seconds that a measurement should take."""
    most: float | None = None
    """The target of the value itself, in the question's unit."""
    missing: str = ""
    """Why it cannot be measured on this machine; it is left out then, and that is said."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two contestants of a question, and what their ratio should be."""

    ours: str
    theirs: str
    least: float | None = None
    most: float | None = None

    def target(self) -> str:
        bounds = ((">=", self.least), ("<=", self.most))
        return " ".join(f"{sign} {bound:.2f}" for sign, bound in bounds if bound is not None)

    def met(self, ratio: float) -> bool:
        return (self.least is None or ratio >= self.least) and (self.most is None or ratio <= self.most)


@dataclass(frozen=True, slots=True)
class Question:
    """What is measured, and what is compared."""

    name: str
    asks: str
    """One sentence: what, how much of it, under which conditions."""
    unit: str
    contestants: Sequence[Contestant]
    comparisons: Sequence[Comparison]
    rounds: int = 15
    seconds: float = 0.5
    """How long one measurement of one contestant takes, about."""

    @property
    def present(self) -> Sequence[Contestant]:
        """Who can be measured here."""
        return [contestant for contestant in self.contestants if not contestant.missing]

    @property
    def comparable(self) -> Sequence[Comparison]:
        """The comparisons of those."""
        names = {contestant.name for contestant in self.present}
        return [comparison for comparison in self.comparisons if {comparison.ours, comparison.theirs} <= names]

    @property
    def left_out(self) -> Mapping[str, str]:
        """Who cannot be measured here, and why."""
        return {contestant.name: contestant.missing for contestant in self.contestants if contestant.missing}


@dataclass(slots=True)
class Outcome:
    """All samples of a question, a list for each contestant, by round."""

    question: Question
    samples: dict[str, list[Sample]]
    conditions: dict[str, object]

    def values(self, name: str) -> list[float]:
        return [sample.value for sample in self.samples[name]]

    def ratios(self, comparison: Comparison) -> list[float]:
        pairs = zip(self.values(comparison.ours), self.values(comparison.theirs), strict=True)
        return [ours / theirs for ours, theirs in pairs]

    def cost_ratios(self, comparison: Comparison) -> list[float]:
        """As `ratios`, by the CPU time of the servers: above 1 where ours is cheaper."""
        pairs = zip(self.samples[comparison.ours], self.samples[comparison.theirs], strict=True)
        return [theirs.cost / ours.cost for ours, theirs in pairs if ours.cost and theirs.cost]

    def facts(self, name: str) -> dict[str, float]:
        """The median of each fact."""
        samples = self.samples[name]
        return {key: median(sample.facts[key] for sample in samples) for key in samples[0].facts}


def answer(
    question: Question, *, rounds: int | None = None, seconds: float | None = None, say: Callable[[str], None] = print
) -> Outcome:
    """Measure every contestant that can be, in turns."""
    found = conditions()
    present = question.present
    samples: dict[str, list[Sample]] = {contestant.name: [] for contestant in present}
    count = question.rounds if rounds is None else rounds
    for name, why in question.left_out.items():
        say(f"  left out: {name}: {why}")
    for number in range(count if present else 0):
        shift = number // 2 % len(present)
        order = [*present[shift:], *present[:shift]]
        for contestant in order if number % 2 == 0 else reversed(order):
            sample = contestant.measure(question.seconds if seconds is None else seconds)
            samples[contestant.name].append(sample)
            say(f"  round {number + 1} of {count}: {contestant.name}: {sample.value:,.1f} {question.unit}")
    return Outcome(question, samples, found)


def report(outcome: Outcome) -> str:
    """The tables: comparisons first, each with its ratio first; then what was measured."""
    question = outcome.question
    return "\n".join(
        [
            f"{question.name}: {question.asks}",
            sentence(outcome.conditions),
            "",
            f"{'ratio':>7}  {'spread':<14}  {'by CPU':>6}  {'target':<14}  comparison",
            *(_compared(outcome, comparison) for comparison in question.comparable),
            "",
            f"{'median':>13}  {'spread':<27}  {question.unit}",
            *(_measured(outcome, contestant) for contestant in question.present),
            *(f"{'-':>13}  {'left out':<27}  {name}: {why}" for name, why in question.left_out.items()),
        ]
    )


def _compared(outcome: Outcome, comparison: Comparison) -> str:
    ratios = outcome.ratios(comparison)
    costs = outcome.cost_ratios(comparison)
    target = comparison.target()
    verdict = f"{target} {'met' if comparison.met(median(ratios)) else 'MISSED'}" if target else "-"
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    by_cpu = f"{median(costs):5.2f}x" if costs else "-"
    return f"{median(ratios):6.2f}x  {spread:<14}  {by_cpu:>6}  {verdict:<14}  {comparison.ours} / {comparison.theirs}"


def _measured(outcome: Outcome, contestant: Contestant) -> str:
    values = outcome.values(contestant.name)
    costs = [sample.cost for sample in outcome.samples[contestant.name] if sample.cost]
    facts = [f"{key} {value:,.2f}" for key, value in outcome.facts(contestant.name).items()]
    if costs:
        facts.insert(0, f"server us each {median(costs):.2f}")
    if contestant.most is not None:
        facts.insert(0, f"target <= {contestant.most:,.0f} {'met' if median(values) <= contestant.most else 'MISSED'}")
    spread = f"{min(values):,.1f} to {max(values):,.1f}"
    return f"{median(values):13,.1f}  {spread:<27}  {contestant.name}{': ' if facts else ''}{', '.join(facts)}"


def write(outcome: Outcome, folder: Path = RESULTS) -> Path:
    """Keep the outcome as JSON; returns the file."""
    question = outcome.question
    rows = [
        {
            "ratio": round(median(outcome.ratios(comparison)), 3),
            "ours": comparison.ours,
            "theirs": comparison.theirs,
            "target": comparison.target(),
            "by_cpu": [round(ratio, 3) for ratio in outcome.cost_ratios(comparison)],
            "ratios": [round(ratio, 3) for ratio in outcome.ratios(comparison)],
        }
        for comparison in question.comparable
    ]
    measured = {
        name: {
            "median": median(outcome.values(name)),
            "values": outcome.values(name),
            "server_us_each": [sample.cost for sample in outcome.samples[name]],
            "facts": outcome.facts(name),
        }
        for name in outcome.samples
    }
    content = {
        "question": question.name,
        "asks": question.asks,
        "unit": question.unit,
        "conditions": outcome.conditions,
        "comparisons": rows,
        "measured": measured,
        "left_out": dict(question.left_out),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{question.name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path
