"""The house keeps its own rules: this repository has no finding, and each rule finds what it is there for."""

from __future__ import annotations

import subprocess
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests import house_rules
from tests.house_modules import read_modules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.house_modules import Module

    Rule = Callable[[Sequence[Module]], list[str]]

ROOT = Path(__file__).parent.parent
MODULES = read_modules(ROOT / "src" / "anyplug")
FILES = house_rules.project_files(ROOT)

MODULE_RULES = (
    house_rules.impure_imports,
    house_rules.upward_imports,
    house_rules.cycles,
    house_rules.banned_calls,
    house_rules.exports,
)


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[dict[str, str]], list[Module]]:
    """Writes a small package `anyplug` from {path: text} and reads it."""

    def make(files: dict[str, str]) -> list[Module]:
        for name, text in files.items():
            path = tmp_path / "anyplug" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), encoding="utf-8")
        return read_modules(tmp_path / "anyplug")

    return make


@pytest.mark.parametrize("rule", MODULE_RULES)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    assert rule(MODULES) == []


def test_no_file_function_or_class_of_the_project_is_too_large() -> None:
    assert house_rules.sizes(path for path in FILES if path.suffix == ".py") == []


def test_the_project_names_no_machine_and_no_registry() -> None:
    assert house_rules.foreign_words(FILES) == []


@pytest.mark.parametrize("name", [module.name for module in MODULES if not module.name.endswith("__main__")])
def test_every_exported_name_can_be_imported(name: str) -> None:
    module = import_module(name)
    assert [each for each in module.__all__ if not hasattr(module, each)] == []


def test_every_part_below_the_line_has_a_layer_below_every_other() -> None:
    rows = [set(row) for row in house_rules.LAYERS]
    first = next(index for index, row in enumerate(rows) if row & house_rules.BELOW)
    assert set().union(*rows[first:]) == house_rules.BELOW


# Each rule on a small bad tree: what it must find, and what it must leave alone.


@pytest.mark.parametrize(
    "text",
    [
        "import socket",
        "import os.path",
        "import asyncio as a",
        "from time import monotonic",
        "from concurrent.futures import Future",
        "def f():\n    import ssl",
        "class C:\n    def f(self):\n        from pathlib import Path",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import uvloop",
        "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    import uvloop",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING or True:\n    import uvloop",
        "import importlib\nimportlib.import_module('random')",
    ],
)
@pytest.mark.parametrize("file", ["framing/lines.py", "wire/__init__.py", "_address.py"])
def test_an_impure_import_below_the_line_is_found(
    tree: Callable[[dict[str, str]], list[Module]], file: str, text: str
) -> None:
    found = house_rules.impure_imports(tree({file: text}))
    assert len(found) == 1
    assert f"{file}:{len(text.splitlines())}: " in found[0]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("framing/lines.py", "import struct\nfrom collections.abc import Iterable"),
        ("framing/lines.py", "import typing\nif typing.TYPE_CHECKING:\n    import socket"),
        ("framing/lines.py", "from anyplug.framing import time"),
        ("transport/tcp.py", "import socket"),
    ],
)
def test_a_pure_import_and_one_above_the_line_are_left_alone(
    tree: Callable[[dict[str, str]], list[Module]], file: str, text: str
) -> None:
    assert house_rules.impure_imports(tree({file: text})) == []


HOUSE = {
    **dict.fromkeys(("__init__.py", "blocking/__init__.py", "cli/ask.py", "server/run.py", "client.py"), ""),
    **dict.fromkeys(("connection.py", "transport/tcp.py", "wire/frames.py", "framing/__init__.py"), ""),
    **dict.fromkeys(("framing/lines.py", "_address.py", "errors.py", "limits.py"), ""),
}


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("errors.py", "from anyplug.wire import frames", "imports anyplug.wire.frames, which is above it"),
        ("errors.py", "from . import client", "imports anyplug.client, which is above it"),
        ("framing/lines.py", "from ..wire.frames import x", "imports anyplug.wire.frames, which is above it"),
        ("framing/__init__.py", "from .. import cli", "imports anyplug, which is above it"),
        ("server/run.py", "def f():\n    from anyplug import connect", "imports anyplug, which is above it"),
        ("transport/tcp.py", "import anyplug.server.run", "imports anyplug.server.run, which is above it"),
        ("client.py", "import importlib\nimportlib.import_module('anyplug.cli.ask')", "imports anyplug.cli.ask, which"),
        ("blocking/__init__.py", "from anyplug import connect", "imports anyplug, which it is kept apart from"),
        ("__init__.py", "from anyplug import blocking", "imports anyplug.blocking, which it is kept apart from"),
        ("_address.py", "from anyplug import connection", "imports anyplug.connection, which is above it"),
        ("attic.py", "", "anyplug.attic has no layer"),
    ],
)
def test_an_import_that_goes_up_is_found(
    tree: Callable[[dict[str, str]], list[Module]], file: str, text: str, says: str
) -> None:
    found = house_rules.upward_imports(tree({**HOUSE, file: text}))
    assert len(found) == 1
    assert says in found[0]


def test_imports_that_go_down_or_stay_in_their_row_are_left_alone(
    tree: Callable[[dict[str, str]], list[Module]],
) -> None:
    good = {
        "__init__.py": "from anyplug.client import connect\nfrom anyplug.errors import Broken",
        "client.py": "import struct\nfrom anyplug.connection import Connection\nfrom anyplug.transport import tcp",
        "framing/lines.py": "from anyplug.framing import base\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from anyplug import Server",
        "errors.py": "import anyplug.limits",
        "_address.py": "from anyplug.errors import AddressError",
    }
    assert house_rules.upward_imports(tree({**HOUSE, **good})) == []


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.py": "import anyplug.b", "b.py": "from anyplug import a"}, "anyplug.a -> anyplug.b -> anyplug.a"),
        ({"a.py": "from . import b", "b.py": "def f():\n    from . import a"}, "anyplug.a -> anyplug.b -> anyplug.a"),
        (
            {
                "a.py": "import anyplug.b",
                "b.py": "import anyplug.c",
                "c.py": "import anyplug.d",
                "d.py": "from .b import x",
            },
            "anyplug.b -> anyplug.c -> anyplug.d -> anyplug.b",
        ),
        (
            {"c/__init__.py": "from anyplug.c.x import X", "c/x.py": "from anyplug.c import X"},
            "anyplug.c -> anyplug.c.x -> anyplug.c",
        ),
    ],
)
def test_an_import_cycle_is_found(
    tree: Callable[[dict[str, str]], list[Module]], files: dict[str, str], says: str
) -> None:
    found = house_rules.cycles(tree(files))
    assert len(found) == 1
    assert found[0].endswith("import cycle: " + says)


def test_a_diamond_and_a_cycle_of_types_are_no_cycle(tree: Callable[[dict[str, str]], list[Module]]) -> None:
    files = {
        "a.py": "from anyplug import b, c",
        "b.py": "from anyplug import d",
        "c.py": "from anyplug import d",
        "d.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from anyplug import a",
    }
    assert house_rules.cycles(tree(files)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\npickle.loads(b'')",
        "import pickle as p\nf = p.load",
        "from pickle import loads as read",
        "import pickle\nclass Own(pickle.Unpickler): pass",
        "import pickle\ngetattr(pickle, 'lo' + 'ads')(b'')",
        "from pickle import *",
        "import marshal",
        "from shelve import open",
        "import yaml\nyaml.load('')",
        "eval('1')",
        "run = exec",
        "import builtins\nbuiltins.eval('1')",
        "__import__('os')",
        "import importlib\nimportlib.import_module(name)",
        "import importlib\nload = importlib.import_module",
        "from importlib import import_module\nimport_module(f'anyplug.{name}')",
        "def f():\n    import importlib as i\n    i.import_module(name)",
    ],
)
def test_what_could_run_a_peers_bytes_is_found(tree: Callable[[dict[str, str]], list[Module]], text: str) -> None:
    assert len(house_rules.banned_calls(tree({"codec/objects.py": text}))) == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("codec/pickled.py", "import pickle\nimport pickletools\npickle.dumps(1, protocol=4)\npickletools.genops(b'')"),
        ("codec/json.py", "import json\njson.loads('1')\nmodel.eval()\nre.compile('x')"),
        ("cli/ask.py", "import importlib\nimportlib.import_module('anyplug.cli.send')"),
        ("cli/__init__.py", "from importlib import import_module\nimport_module(TABLE[name])"),
        ("codec/base.py", "import yaml\nyaml.safe_load('')"),
    ],
)
def test_what_only_writes_or_names_a_literal_is_left_alone(
    tree: Callable[[dict[str, str]], list[Module]], file: str, text: str
) -> None:
    assert house_rules.banned_calls(tree({file: text})) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "has no __all__"),
        ("__all__ = make()", "has no __all__"),
        ("__all__ = ['x', y]", "has no __all__"),
        ("__all__ = ['x']", "names 'x', which is not there"),
        ("__all__ = ['x']\nif TYPE_CHECKING:\n    from a import x", "names 'x', which is not there"),
        ("__all__ = ['x', 'x']\nx = 1", "names 'x' twice"),
    ],
)
def test_a_missing_or_false_all_is_found(tree: Callable[[dict[str, str]], list[Module]], text: str, says: str) -> None:
    found = house_rules.exports(tree({"codec/base.py": text}))
    assert len(found) == 1
    assert says in found[0]


def test_every_way_to_bind_a_name_counts_for_all(tree: Callable[[dict[str, str]], list[Module]]) -> None:
    text = """
        __all__: list[str] = ["A", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
        import b, x as c
        from x import d
        class A: pass
        async def e(): pass
        f: int = 1
        g, (h, _) = 1, (2, 3)
        try:
            import i
        except ImportError:
            j = None
    """
    assert house_rules.exports(tree({"a.py": text})) == []


def test_a_lazy_module_may_export_what_only_types_see(tree: Callable[[dict[str, str]], list[Module]]) -> None:
    text = "__all__ = ['x']\nif TYPE_CHECKING:\n    from a import x\ndef __getattr__(name): pass"
    assert house_rules.exports(tree({"a.py": text})) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n" * 501, "501 lines; at most 500"),
        ("def f():\n" + "    x = 1\n" * 60, "f has 61 lines; at most 60"),
        ("class C:\n    async def f(self):\n" + "        x = 1\n" * 60, "f has 61 lines; at most 60"),
        ("class C:\n" + "".join(f"    def f{n}(self): pass\n" for n in range(26)), "C has 26 methods; at most 25"),
    ],
)
def test_what_is_too_large_is_found(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "large.py"
    path.write_text(text, encoding="utf-8")
    found = house_rules.sizes([path])
    assert len(found) == 1
    assert says in found[0]


def test_what_is_just_small_enough_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "small.py"
    function = "def f():\n" + "    x = 1\n" * 59
    overloads = "    @overload\n    def f0(self): pass\n" * 9
    shape = "class C:\n" + "".join(f"    def f{n}(self): pass\n" for n in range(25)) + overloads
    path.write_text((function + shape).ljust(499, "\n"), encoding="utf-8")
    assert house_rules.sizes([path]) == []


@pytest.mark.parametrize(
    "parts",
    [
        ("/", "work/main/x"),
        ("see `/", "root/.cache`"),
        ("cd /", "home/somebody"),
        ("open /", "Users/somebody"),
        ("C:", "\\Users\\somebody"),
        ("https://py", "pi.org/x"),
        ("pip --index", "-url x"),
        ("files.python", "hosted.org"),
    ],
)
def test_a_machine_path_or_a_registry_is_found(tmp_path: Path, parts: tuple[str, str]) -> None:
    path = tmp_path / "README.md"
    path.write_text("fine\n" + "".join(parts) + "\n", encoding="utf-8")
    found = house_rules.foreign_words([path])
    assert len(found) == 1
    assert f"{path}:2: " in found[0]


def test_other_paths_and_bytes_that_are_no_text_are_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "README.md"
    inside = "work" + "/x"
    paths = f"./{inside} docs/{inside} ~/{inside} http://host/home/"
    text.write_text(f"/run/anyplug.sock {paths} copy pip install anyplug\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    assert house_rules.foreign_words([text, tmp_path / "picture.png"]) == []


@pytest.mark.parametrize("with_git", [True, False])
def test_the_files_of_the_project_leave_out_what_tools_made(tmp_path: Path, with_git: bool) -> None:
    for name in ("a.py", "src/b.py", ".ci/run", ".venv/c.py", "src/__pycache__/d.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / ".gitignore").write_text(".venv/\n__pycache__/\n", encoding="utf-8")
    if with_git:
        subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    found = {path.relative_to(tmp_path).as_posix() for path in house_rules.project_files(tmp_path)}
    assert found == {".gitignore", ".ci/run", "a.py", "src/b.py"}
