"""Writes the generated parts of the documents anew, from the code they speak of.

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->`` in a Markdown file. What the names
mean is the table `PARTS`.

    python docs/generate.py             write them
    python docs/generate.py --check     write nothing; exit 1 and name the parts that are stale
    python docs/generate.py FILE ...    these files, instead of all documents
"""

from __future__ import annotations

import ast
import json
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from anyplug.codec.objects_tags import Tag
from anyplug.errors import Code
from anyplug.limits import CHUNK_MAX, DEFAULTS, FRAME_MAX, HELLO_MAX
from anyplug.messages import Hello, Welcome
from anyplug.wire.frames import PING_MAX, SEQUENCE_MAX, Kind
from anyplug.wire.sender import ID_MAX, TEXT_MAX
from anyplug.wire.states import BESIDE, ROWS, Role, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "anyplug"

MARKED = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
BEGINNING = re.compile(r"<!-- generated: ([\w-]+) -->")


def docs_of(file: str, class_name: str = "") -> dict[str, str]:
    """The docstring under each name that a class of a module (or the module) gives a value, on one line each."""
    tree: ast.AST = ast.parse((SOURCE / file).read_text(encoding="utf-8"))
    if class_name:
        tree = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == class_name)
    body = tree.body if isinstance(tree, ast.Module | ast.ClassDef) else []
    found = {}
    for node, after in pairwise(body):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
        if isinstance(target, ast.Name) and isinstance(text, str):
            found[target.id] = _one_line(text)
    return found


def _one_line(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def _table(heads: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def kinds() -> str:
    """Every kind of frame: its number, who says it, what it is."""
    meaning = docs_of("wire/frames.py", "Kind")
    rows = ((int(kind), kind.name, _speaker(kind), meaning[kind.name]) for kind in Kind)
    return _table(("kind", "name", "said by", "payload"), rows)


def _speaker(kind: Kind) -> str:
    hearers = [role for role in Role if any(kind is each for _, each in ROWS[role])]
    return "both" if len(hearers) == 2 else "client" if hearers == [Role.SERVER] else "server"


def codes() -> str:
    """Every code that crosses the wire."""
    meaning = docs_of("codes.py", "Code")
    return _table(("code", "word", "meaning"), ((int(code), f"`{code.word}`", meaning[code.name]) for code in Code))


def limits() -> str:
    """Every limit with its default."""
    meaning = docs_of("limits.py", "Limits")
    values = msgspec.structs.asdict(DEFAULTS)
    return _table(("limit", "default", "meaning"), ((f"`{n}`", f"{v:,}", meaning[n]) for n, v in values.items()))


def constants() -> str:
    """The sizes that are part of version 1."""
    meaning = docs_of("limits.py") | docs_of("wire/frames.py") | docs_of("wire/sender.py")
    values = {
        "FRAME_MAX": FRAME_MAX,
        "CHUNK_MAX": CHUNK_MAX,
        "HELLO_MAX": HELLO_MAX,
        "PING_MAX": PING_MAX,
        "ID_MAX": ID_MAX,
        "SEQUENCE_MAX": SEQUENCE_MAX,
        "TEXT_MAX": TEXT_MAX,
    }
    return _table(("name", "value", "meaning"), ((f"`{n}`", f"{v:,}", meaning[n]) for n, v in values.items()))


def _fields(kind: type[Hello | Welcome]) -> str:
    meaning = docs_of("messages.py", kind.__name__)
    names = {str: "string", int: "integer", bool: "boolean", bytes: "binary"}
    rows = (
        (
            f"`{field.name}`",
            names[field.type],
            f"`{json.dumps(field.default) if field.type is not bytes else 'empty'}`",
            meaning[field.name],
        )
        for field in msgspec.structs.fields(kind)
    )
    return _table(("field", "type", "default", "meaning"), rows)


def states() -> str:
    """Every state and what it means."""
    meaning = docs_of("wire/states.py", "State")
    return _table(("state", "meaning"), ((f"`{state.value}`", meaning[state.name]) for state in State))


def diagram(role: Role) -> str:
    """The table of one role as a state diagram: what comes from the peer leads from state to state."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (state, what), after in BESIDE[role].items():
        arrows.setdefault((state, after), []).append(what)
    for (state, kind), row in ROWS[role].items():
        arrows.setdefault((state, row.next), []).append(kind.name)
    order = list(State)
    lines = [f"    [*] --> {State.PREFACE.value}"]
    for (state, after), labels in sorted(arrows.items(), key=lambda arrow: [order.index(each) for each in arrow[0]]):
        lines.append(f"    {state.value} --> {after.value}: {', '.join(labels)}")
    begun = sorted({state for state, _ in arrows}, key=order.index)
    lines += [f"    {state.value} --> {State.FAULTY.value}: anything else" for state in begun]
    lines += [f"    {state.value} --> [*]" for state in (State.ENDED, State.FAULTY)]
    return "\n".join(("```mermaid", "stateDiagram-v2", *lines, "```", ""))


def tags() -> str:
    """Every mark of the codec `objects`."""
    meaning = docs_of("codec/objects_tags.py", "Tag")
    return _table(("type", "a value of, and what stands behind the mark"), ((int(t), meaning[t.name]) for t in Tag))


PARTS: dict[str, Callable[[], str]] = {
    "codes": codes,
    "constants": constants,
    "hello-fields": lambda: _fields(Hello),
    "kinds": kinds,
    "limits": limits,
    "objects-tags": tags,
    "state-diagram-client": lambda: diagram(Role.CLIENT),
    "state-diagram-server": lambda: diagram(Role.SERVER),
    "states": states,
    "welcome-fields": lambda: _fields(Welcome),
}
"""What a document can have generated."""


def mistakes(text: str) -> Iterator[str]:
    """Markers that do not come in pairs, and names that are not known."""
    whole = [match["name"] for match in MARKED.finditer(text)]
    for name in BEGINNING.findall(text):
        if name not in PARTS:
            yield f"no generated part is called {name!r}; there are {', '.join(sorted(PARTS))}"
    if len(BEGINNING.findall(text)) != len(whole) or text.count("<!-- end -->") != len(whole):
        yield "a generated part begins with <!-- generated: NAME --> and ends with <!-- end -->, each on its own line"


def renewed(text: str) -> tuple[str, list[str]]:
    """The document with its parts as they should be, and the names of those that were stale."""
    stale = []

    def renew(match: re.Match[str]) -> str:
        whole = f"{match[1]}{PARTS[match['name']]()}{match['end']}"
        if whole != match[0]:
            stale.append(match["name"])
        return whole

    return MARKED.sub(renew, text), stale


def main(arguments: list[str]) -> int:
    """Do what the arguments say; 0 when all is well, 1 when a part is stale or a marker is wrong."""
    check = "--check" in arguments
    files = [Path(each) for each in arguments if each != "--check"]
    status = 0
    for path in files or [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        wrong = list(mistakes(text))
        new, stale = (text, []) if wrong else renewed(text)
        found = [*wrong, *(f"{name} is stale; run make docs" for name in stale if check)]
        for sentence in found:
            print(f"{path}: {sentence}", file=sys.stderr)
        status = 1 if found else status
        if stale and not check:
            path.write_text(new, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
