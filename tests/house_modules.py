"""Reads the files of a package without running them: what each imports, and what full name an expression has."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = [
    "Import",
    "Module",
    "aliases",
    "dotted",
    "for_types_only",
    "literal_argument",
    "part_of",
    "read_modules",
    "running",
]


@dataclass(frozen=True, slots=True)
class Import:
    """One module that one line imports; within the package it is the module meant, not the package it is found in."""

    target: str
    line: int


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed file of the package."""

    name: str
    path: Path
    tree: ast.Module
    imports: list[Import] = field(default_factory=list)

    @property
    def part(self) -> str:
        """The part of the house: `framing` of `anyplug.framing.lines`, `__init__` of `anyplug` itself."""
        return part_of(self.name)

    def at(self, line: int, sentence: str) -> str:
        """A finding."""
        return f"{self.path}:{line}: {sentence}"


def part_of(name: str) -> str:
    """The part of the house that module `name` belongs to; `_address.py` belongs to `address`."""
    part = name.split(".")[1] if "." in name else "__init__"
    return part if part.startswith("__") else part.removeprefix("_")


def read_modules(package: Path) -> list[Module]:
    """Parse every file of the package in this folder, and find out what each imports."""
    paths = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found = []
    for name, path in paths.items():
        module = Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path)))
        module.imports.extend(_imports(module, paths))
        found.append(module)
    return found


def _imports(module: Module, known: Mapping[str, Path]) -> Iterator[Import]:
    names = aliases(module.tree)
    for node in running(module.tree):
        if isinstance(node, ast.Import):
            yield from (Import(each.name, node.lineno) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            inner = [f"{base}.{each.name}" for each in node.names]
            yield from (Import(name, node.lineno) for name in inner if name in known)
            if not all(name in known for name in inner):
                yield Import(base, node.lineno)
        elif isinstance(node, ast.Call) and dotted(node.func, names) == "importlib.import_module":
            target = literal_argument(node)
            yield from [Import(target, node.lineno)] if target is not None else []


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parents = module.name.split(".")
    keep = len(parents) - node.level + (module.path.name == "__init__.py")
    return ".".join([*parents[:keep], *([node.module] if node.module else [])])


def literal_argument(call: ast.Call) -> str | None:
    """The first argument of a call, if it is a string written there."""
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node below `tree` but those that only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and for_types_only(node):
            for other in node.orelse:
                yield other
                yield from running(other)
            continue
        yield node
        yield from running(node)


def for_types_only(node: ast.If) -> bool:
    """Whether this is `if TYPE_CHECKING:` and nothing else."""
    test = node.test
    return (test.id if isinstance(test, ast.Name) else getattr(test, "attr", "")) == "TYPE_CHECKING"


def aliases(tree: ast.Module) -> dict[str, str]:
    """Local name to the full name of what some import of the file bound to it."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                names[each.asname or each.name.split(".")[0]] = each.name if each.asname else each.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for each in node.names:
                names[each.asname or each.name] = f"{node.module}.{each.name}"
    return names


def dotted(node: ast.AST, names: Mapping[str, str]) -> str | None:
    """The full name that an expression like `p.loads` stands for, where `p` came from an import."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute) and (base := dotted(node.value, names)) is not None:
        return f"{base}.{node.attr}"
    return None
