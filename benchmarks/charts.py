"""Charts of what was measured: plain SVG files in docs/charts, drawn from benchmarks/results.

Bars for what was asked once, curves for what was asked of several sizes or numbers of connections. The same results
give the same file, byte for byte, so that a chart changes only when a figure does.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import RESULTS
from benchmarks.servers import missing

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BARS", "CHARTS", "CURVES", "draw_all", "series"]

CHARTS = Path(__file__).parent.parent / "docs" / "charts"
LIBRARY = "matplotlib"

BARS: Mapping[str, str] = {
    "request_answer": "Questions answered a second: plain sockets, 50 peers, 100 bytes",
    "framed": "Questions answered a second: whole messages, 50 peers, 100 bytes",
    "oneway": "Messages a second, one way, 100 bytes",
    "objects": "Typed objects a second, one way",
    "openings": "Connections a second: open, ask once, end",
    "latency": "99th percentile of an answer at half load, microseconds (less is better)",
    "fairness": "99th percentile of 99 polite peers, microseconds (less is better)",
    "idle_memory": "Memory of an idle connection, bytes (less is better)",
}
CURVES: Mapping[str, tuple[str, str, str]] = {
    "growth": ("Answers a second, by connections", "connections", r"(.*), x(\d+)"),
    "sizes": ("Megabytes a second, one way, by size of a message", "bytes a message", r"(.*), ([\d,]+) B"),
}
"""By question: the title, what is on the x axis, and how a contestant is named: its line, and its place on the axis."""

LOGARITHMIC = ("sizes", "latency", "fairness")
"""Questions whose figures differ by more than a bar can show."""

OURS, THEIRS, LIMIT = "#1a6fb4", "#a8b3bd", "#5d6670"


def draw_all(results: Path = RESULTS, charts: Path = CHARTS) -> str:
    """Draw what there are results of; returns what was drawn, in words."""
    if lack := missing((LIBRARY,)):
        return f"no charts: {lack}"
    found = {name: results / f"{name}.json" for name in (*BARS, *CURVES)}
    charts.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, path in found.items():
        if path.exists():
            _draw(json.loads(path.read_text(encoding="utf-8")), charts / f"{name}.svg")
            drawn.append(name)
    return f"charts drawn: {', '.join(drawn) or 'none'}"


def series(outcome: Mapping[str, Any], pattern: str) -> dict[str, list[tuple[int, float]]]:
    """The lines of a curve: for each name its points, by place."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for title, measured in outcome["measured"].items():
        match = re.fullmatch(pattern, title)
        assert match, f"{title!r} is no point of a curve"
        lines.setdefault(match[1], []).append((int(match[2].replace(",", "")), measured["median"]))
    return {name: sorted(points) for name, points in lines.items()}


def _draw(outcome: Mapping[str, Any], path: Path) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "anyplug", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        (_draw_curve if outcome["question"] in CURVES else _draw_bars)(figure, outcome)
        conditions = outcome["conditions"]
        about = f"{conditions['cpu']}, {conditions['cores']} cores, {conditions['python']}; median of the rounds"
        figure.text(0.995, 0.005, about, ha="right", va="bottom", fontsize=7, color=LIMIT)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text("\n".join(map(str.rstrip, path.read_text(encoding="utf-8").splitlines())) + "\n", encoding="utf-8")


def _colour(name: str) -> str:
    if name.startswith("anyplug"):
        return OURS
    return LIMIT if name.startswith(("epoll in C", "raw sockets")) else THEIRS


def _draw_bars(figure: Any, outcome: Mapping[str, Any]) -> None:
    """A bar for each contestant, and a thin line from the least to the greatest of its rounds."""
    measured = outcome["measured"]
    names = sorted(measured, key=lambda name: measured[name]["median"])
    medians = [measured[name]["median"] for name in names]
    lows = [middle - min(measured[name]["values"]) for name, middle in zip(names, medians, strict=True)]
    highs = [max(measured[name]["values"]) - middle for name, middle in zip(names, medians, strict=True)]
    figure.set_size_inches(8, 1.2 + 0.28 * len(names))
    axes = figure.subplots()
    bars = axes.barh(names, medians, color=[_colour(name) for name in names])
    axes.errorbar(medians, names, xerr=[lows, highs], fmt="none", ecolor="#333333", elinewidth=0.7)
    axes.bar_label(bars, [f" {middle:,.0f}" for middle in medians], label_type="edge", fontsize=8, padding=2)
    figure.suptitle(BARS[outcome["question"]], x=0.01, ha="left", fontsize=11)
    if outcome["question"] in LOGARITHMIC:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_curve(figure: Any, outcome: Mapping[str, Any]) -> None:
    title, along, pattern = CURVES[outcome["question"]]
    axes = figure.subplots()
    for (name, points), marker in zip(series(outcome, pattern).items(), "oosD^vPX", strict=False):
        places, values = zip(*points, strict=True)
        ours = name.startswith("anyplug")
        axes.plot(places, values, marker=marker, markersize=4, linewidth=2.2 if ours else 1.2, label=name)
    axes.set_xscale("log")
    if outcome["question"] in LOGARITHMIC:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    axes.set_xlabel(along)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
