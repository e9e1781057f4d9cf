"""The rules of the house as functions over files: what may import what, what is never called, how large a thing may be.

Each checker takes parsed modules (or paths) and returns findings, one sentence each, that start with `file:line:`.
Nothing is imported or run. `tests/test_house.py` runs them on this repository, and each of them on a small bad tree.
"""

from __future__ import annotations

import ast
import re
import subprocess
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.house_modules import aliases, dotted, for_types_only, literal_argument, part_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.house_modules import Module

__all__ = [
    "APART",
    "BELOW",
    "DYNAMIC",
    "LAYERS",
    "banned_calls",
    "cycles",
    "exports",
    "foreign_words",
    "impure_imports",
    "project_files",
    "sizes",
    "upward_imports",
]

LAYERS: tuple[tuple[str, ...], ...] = (
    ("__main__", "testing"),
    ("cli",),
    ("__init__", "blocking"),
    ("web",),
    ("netinfo",),
    ("server",),
    ("outbox",),
    ("client", "connection", "files", "inbox", "intake", "posting", "reconnecting", "shelf"),
    ("services", "transfers"),
    ("store",),
    ("transport",),
    # ---- the line: from here down bytes become events and back, and nothing knows of sockets, clocks or files
    ("plan", "schemas"),
    ("wire",),
    ("framing",),
    ("codec",),
    ("backoff", "reopening"),
    ("messages", "address", "limits", "errors", "codes", "escape", "version", "announcement", "names", "file_errors"),
)
"""The parts of the package from the top down. A part imports from lower rows, and from its own row unless kept APART.

`_name.py` belongs to the part `name`.
"""

BELOW = frozenset(
    {
        "wire",
        "framing",
        "codec",
        "messages",
        "address",
        "limits",
        "errors",
        "codes",
        "escape",
        "version",
        "plan",
        "schemas",
        "announcement",
        "names",
        "file_errors",
        "backoff",
        "reopening",
    }
)
"""The parts below the line."""

APART: Mapping[frozenset[str], frozenset[tuple[str, str]]] = {frozenset({"__init__", "blocking"}): frozenset()}
"""Parts of one row that leave each other alone, but for the (importer, imported) modules listed."""

IMPURE = frozenset(
    {
        *("asyncio", "concurrent", "multiprocessing", "subprocess", "threading", "signal", "uvloop"),
        *("_socket", "socket", "socketserver", "select", "selectors", "ssl"),
        *("io", "os", "pathlib", "posix", "posixpath", "shutil", "sqlite3", "tempfile"),
        *("random", "secrets", "time"),
    }
)
"""What no file below the line imports: whatever waits, looks at a clock, rolls dice, or touches a file or a socket."""

DYNAMIC: Mapping[str, str] = {
    "anyplug": "loads public names when they are first used; the modules come from a fixed table in the same file",
    "anyplug.blocking": "loads the outbox when it is first used; the modules come from a fixed table in the same file",
    "anyplug.cli": "imports the file of a command when it runs; the names come from a fixed table in the same file",
}
"""Modules that may import a module whose name is no literal, and why."""

_UNPICKLERS = ("load", "loads", "Unpickler", "_load", "_loads", "_Unpickler")
_RUNNERS: Mapping[str, tuple[str, ...]] = {
    "pickle": _UNPICKLERS,
    "_pickle": _UNPICKLERS,
    "yaml": ("load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all"),
    "builtins": ("eval", "exec", "__import__"),
    "importlib": ("__import__",),
    "pkgutil": ("resolve_name",),
    "runpy": ("run_module", "run_path"),
}
BANNED = frozenset(f"{module}.{name}" for module, names in _RUNNERS.items() for name in names)
"""Names that turn bytes into running code; even naming one is a finding."""

BANNED_MODULES = frozenset({"marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "joblib", "imp"})
"""Modules that serve no other purpose."""

BANNED_BUILTINS = frozenset({"eval", "exec", "__import__"})

FOREIGN = tuple(
    re.compile("".join(parts), re.IGNORECASE)
    for parts in (
        (r"(?<![\w.~*>)-])/", "work/"),
        (r"(?<![\w.~*>)-])/", "root/"),
        (r"(?<![\w.~*>)-])/", r"home/\w"),
        (r"(?<![\w.~*>)-])/", r"Users/\w"),
        (r"\bC:\\", r"Users\b"),
        (r"\bpy", r"pi\b"),
        (r"\bpython", r"hosted\b"),
        (r"--index", r"-url\b"),
        (r"\bartifact", r"ory\b"),
        (r"\bdev", r"pi\b"),
        (r"\bregistry\.", r"npmjs\b"),
        (r"\bproxy\.", r"golang\b"),
        (r"\bcrates\.", r"io\b"),
        (r"\bdeb\.", r"debian\b"),
    )
)
"""Absolute paths of somebody's machine, and hosts of package registries. In parts, so that this file has none."""

MAX_FILE = 500
MAX_FUNCTION = 60
MAX_METHODS = 25


def impure_imports(modules: Iterable[Module]) -> list[str]:
    """Files below the line that import what is not bytes and values alone."""
    return [
        module.at(
            each.line, f"{module.name} is below the line and imports {each.target}; pass what it needs as arguments"
        )
        for module in modules
        if module.part in BELOW
        for each in module.imports
        if each.target.split(".")[0] in IMPURE
    ]


def upward_imports(modules: Sequence[Module]) -> list[str]:
    """Imports that go up, or between parts that are kept apart; and modules that have no layer."""
    root = modules[0].name.split(".")[0]
    rows = {part: row for row, parts in enumerate(LAYERS) for part in parts}
    found = []
    for module in modules:
        if module.part not in rows:
            found.append(
                module.at(1, f"{module.name} has no layer: give {module.part!r} a row in LAYERS and in the design")
            )
            continue
        for each in module.imports:
            part = part_of(each.target)
            if each.target.split(".")[0] != root or part == module.part or part not in rows:
                continue
            if rows[part] < rows[module.part]:
                found.append(module.at(each.line, f"{module.name} imports {each.target}, which is above it"))
            elif (pair := frozenset({part, module.part})) in APART and (module.name, each.target) not in APART[pair]:
                found.append(module.at(each.line, f"{module.name} imports {each.target}, which it is kept apart from"))
    return found


def cycles(modules: Sequence[Module]) -> list[str]:
    """Import cycles, each named once by the way round it."""
    graph = {module.name: sorted({each.target for each in module.imports} - {module.name}) for module in modules}
    where = {(module.name, each.target): module.at(each.line, "") for module in modules for each in module.imports}
    found: list[str] = []
    done: set[str] = set()
    for start, first in graph.items():
        trail = [start]
        waiting = [iter(first if start not in done else ())]
        while waiting:
            target = next((each for each in waiting[-1] if each in graph and each not in done), None)
            if target is None:
                waiting.pop()
                done.add(trail.pop())
            elif target in trail:
                way = [*trail[trail.index(target) :], target]
                found.append(where[way[-2], way[-1]] + "import cycle: " + " -> ".join(way))
            else:
                trail.append(target)
                waiting.append(iter(graph[target]))
    return found


def banned_calls(modules: Iterable[Module]) -> list[str]:
    """Whatever could run what a peer sent: unpickling, eval, imports by a name that is no literal."""
    return [finding for module in modules for finding in _banned_in(module)]


def _banned_in(module: Module) -> Iterator[str]:
    names = aliases(module.tree)
    literal_imports = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _banned_import(module, node)
        elif isinstance(node, ast.Name) and node.id in BANNED_BUILTINS:
            yield module.at(node.lineno, f"{node.id} runs code")
        elif isinstance(node, ast.Name | ast.Attribute) and (name := dotted(node, names)) is not None:
            if name in BANNED:
                yield module.at(node.lineno, f"{name} runs what it reads")
            elif name == "importlib.import_module" and node not in literal_imports and module.name not in DYNAMIC:
                yield module.at(node.lineno, "imports by a name that is no literal; if it must, list it in DYNAMIC")
        elif isinstance(node, ast.Call):
            if literal_argument(node) is not None:
                literal_imports.add(node.func)
            if isinstance(node.func, ast.Name) and node.func.id == "getattr" and node.args:
                subject = dotted(node.args[0], names)
                if subject is not None and any(name.startswith(f"{subject}.") for name in BANNED):
                    yield module.at(node.lineno, f"getattr on {subject} hides what is called")


def _banned_import(module: Module, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    base = node.module if isinstance(node, ast.ImportFrom) else None
    for each in node.names:
        name = f"{base}.{each.name}" if base else each.name
        if name in BANNED or name.split(".")[0] in BANNED_MODULES:
            yield module.at(node.lineno, f"{name} runs what it reads")
        elif each.name == "*":
            yield module.at(node.lineno, f"import * from {base} hides what is called")


def exports(modules: Iterable[Module]) -> list[str]:
    """Modules without `__all__`, and names in one that the module does not have."""
    found = []
    for module in modules:
        names = _exported(module.tree)
        if names is None:
            found.append(module.at(1, f"{module.name} has no __all__ (a list or tuple of strings)"))
            continue
        has = set(_bound(module.tree, lazily="__getattr__" in _bound(module.tree, lazily=False)))
        found += [
            module.at(line, f"__all__ names {name!r}, which is not there") for name, line in names if name not in has
        ]
        found += [module.at(b[1], f"__all__ names {b[0]!r} twice") for a, b in pairwise(sorted(names)) if a[0] == b[0]]
    return found


def _exported(tree: ast.Module) -> list[tuple[str, int]] | None:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if not isinstance(value, ast.List | ast.Tuple):
                return None
            strings = [each for each in value.elts if isinstance(each, ast.Constant)]
            return [(str(each.value), each.lineno) for each in strings] if len(strings) == len(value.elts) else None
    return None


def _bound(tree: ast.Module, *, lazily: bool) -> list[str]:
    names: list[str] = []
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names += [each.asname or each.name.split(".")[0] for each in node.names]
        elif isinstance(node, ast.If) and for_types_only(node):
            waiting += [*(node.body if lazily else ()), *node.orelse]
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.For):
            waiting += [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)]
            waiting += [each for handler in getattr(node, "handlers", ()) for each in handler.body]
        else:
            names += [
                each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
            ]
    return names


def sizes(paths: Iterable[Path]) -> list[str]:
    """Files, functions and classes that hold more than a reader does."""
    found = []
    for path in paths:
        text = path.read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) > MAX_FILE:
            found.append(f"{path}:{MAX_FILE + 1}: {lines} lines; at most {MAX_FILE}")
        for node in ast.walk(ast.parse(text, str(path))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION:
                    found.append(f"{path}:{node.lineno}: {node.name} has {lines} lines; at most {MAX_FUNCTION}")
            elif isinstance(node, ast.ClassDef):
                methods = {each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
                if len(methods) > MAX_METHODS:
                    found.append(f"{path}:{node.lineno}: {node.name} has {len(methods)} methods; at most {MAX_METHODS}")
    return found


def foreign_words(paths: Iterable[Path]) -> list[str]:
    """Lines that speak of a machine's own paths or of a package registry."""
    found = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        patterns = [pattern for pattern in FOREIGN if pattern.search(text)]  # of most files none: no line is looked at
        for number, line in enumerate(text.splitlines() if patterns else (), 1):
            if any(pattern.search(line) for pattern in patterns):
                found.append(f"{path}:{number}: a path of one machine, or a package registry: {line.strip()[:80]}")
    return found


def project_files(root: Path) -> list[Path]:
    """The files of the project: what git tracks or would add; without git, all but hidden folders and caches."""
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        names = [root / name for name in listed.split("\0") if name]
    else:
        names = [path for path in root.rglob("*") if not _hidden(path.relative_to(root).parts)]
    return sorted(path for path in names if path.is_file() and not path.is_symlink())


def _hidden(parts: Sequence[str]) -> bool:
    made = any(part == "__pycache__" or part.endswith(".egg-info") for part in parts)
    return made or parts[0] in {".git", ".venv", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
