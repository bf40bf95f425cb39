"""Rules of this codebase that the linter does not have: lengths, import cycles, unique class names."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

pytestmark = pytest.mark.source

ROOT = Path(__file__).parent.parent
LONGEST_MODULE = 600
LONGEST_FUNCTION = 80

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def our_files(root: Path = ROOT) -> Iterator[Path]:
    for folder in ("aioconnections", "tests", "benchmarks"):
        yield from sorted((root / folder).rglob("*.py"))
    yield root / "noxfile.py"


def code_lines(source: str) -> set[int]:
    """Numbers of the lines of code: without blank lines, comments and docstrings, including those of attributes."""
    strings = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = {line for token in tokens if token.type not in _NO_CODE for line in range(token.start[0], token.end[0] + 1)}
    return code - strings


def too_long(source: str) -> list[str]:
    """Descriptions of the module and functions in `source` that exceed their limit."""
    code = code_lines(source)
    found = [f"the module: {len(code)} lines of code"] if len(code) > LONGEST_MODULE else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = len(code & set(range(node.lineno, (node.end_lineno or node.lineno) + 1)))
            if length > LONGEST_FUNCTION:
                found.append(f"{node.name}: {length} lines of code")
    return found


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in our_files()])
def test_no_module_and_no_function_is_too_long(path: Path) -> None:
    assert too_long(path.read_text(encoding="utf-8")) == []


def cycles(graph: grimp.ImportGraph) -> list[list[str]]:
    """The groups of modules that import each other in a cycle."""
    upstream = {module: graph.find_upstream_modules(module) for module in graph.modules}  # without the module itself
    groups = {
        frozenset({module, *(other for other in upstream[module] if module in upstream[other])})
        for module in graph.modules
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)


def test_no_module_takes_part_in_an_import_cycle() -> None:
    """Includes imports for type checking only."""
    graph = grimp.build_graph("aioconnections", exclude_type_checking_imports=False, cache_dir=None)
    assert cycles(graph) == []


def test_cycles_are_found() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "f"), ("f", "e")]:
        graph.add_import(importer=importer, imported=imported)
    assert cycles(graph) == [["a", "b", "c"], ["e", "f"]]


def class_names(root: Path = ROOT / "aioconnections") -> dict[str, list[str]]:
    """The modules that define each class name."""
    modules = defaultdict(list)
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                modules[node.name].append(path.relative_to(root).as_posix())
    return modules


def test_no_class_name_is_defined_twice() -> None:
    assert {name: modules for name, modules in class_names().items() if len(modules) > 1} == {}


def test_class_names_are_found_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("class A:\n    class B: ...\n", encoding="utf-8")
    (tmp_path / "b.py").write_text("def f():\n    class B: ...\n", encoding="utf-8")
    assert class_names(tmp_path) == {"A": ["a.py"], "B": ["a.py", "b.py"]}


def test_what_counts_as_code() -> None:
    source = '''"""A module's docstring,
of two lines."""

# a comment
X = """a string
that is code"""  # and a comment
"""X, described."""


class C:
    """A docstring."""

    def f(self):
        """Another one."""
        return (
            1
        )
'''
    assert code_lines(source) == {5, 6, 10, 13, 15, 16, 17}


@pytest.mark.parametrize(("lines", "verdict"), [(600, []), (601, ["the module: 601 lines of code"])])
def test_length_of_a_module(lines: int, verdict: list[str]) -> None:
    assert too_long("x = 1  # code\n\n# no code\n" * lines) == verdict


@pytest.mark.parametrize(("statements", "verdict"), [(79, []), (80, ["f: 81 lines of code"])])
@pytest.mark.parametrize("keyword", ["def", "async def"])
def test_length_of_a_function(keyword: str, statements: int, verdict: list[str]) -> None:
    assert too_long(f"{keyword} f():\n" + "    x = 1\n\n" * statements) == verdict
