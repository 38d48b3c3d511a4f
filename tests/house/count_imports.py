"""Who imports whom: a table of folders with their files, arrows and circles.

    python tests/house/count_imports.py [CHECKOUT]

An arrow is a file that imports another, inside functions too; what is imported for type checkers alone is not counted.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGES = ("data_synth", "speech_analogy")
Graph = dict[str, set[str]]


def sources(root: Path) -> dict[str, Path]:
    """Module -> file, of both packages."""
    found: dict[str, Path] = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def arrows(files: Mapping[str, Path]) -> Graph:
    """Module -> the modules that it imports."""
    return {name: set(_imported(name, path, files)) - {name} for name, path in files.items()}


def imports_of(tree: ast.AST, *, only_at_once: bool = False) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports in a file but those for type checkers; `only_at_once`: without those inside functions."""
    if isinstance(tree, ast.Import | ast.ImportFrom):
        yield tree
        return
    if only_at_once and isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    checked = isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.unparse(tree.test)
    for node in tree.orelse if checked else ast.iter_child_nodes(tree):
        yield from imports_of(node, only_at_once=only_at_once)


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The sets of nodes that reach each other (strongly connected components of more than one; Tarjan, 1972)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = lowest[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], index[other])
        if lowest[node] == index[node]:
            circle = [stack.pop()]
            while circle[-1] != node:
                circle.append(stack.pop())
            if len(circle) > 1:
                found.append(sorted(circle))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def between_rooms(graph: Mapping[str, set[str]], inside: str) -> Graph:
    """The arrows between the children of a package, be they folders or files: child -> children that it imports."""
    found: Graph = {}
    for name, others in graph.items():
        own = _child(name, inside)
        if own is None:
            continue
        reached = {_child(other, inside) for other in others}
        found.setdefault(own, set()).update(child for child in reached if child not in (None, own))
    return found


def table(root: Path) -> str:
    """The table in Markdown, and below it every circle by name."""
    files = sources(root)
    graph = arrows(files)
    of_files = circles(graph)
    lines = ["| folder | files | arrows inside | arrows out | circles |", "|---|--:|--:|--:|--:|"]
    for folder in sorted({path.parent for path in files.values()}):
        own = {name for name, path in files.items() if path.parent == folder}
        inside = sum(len(graph[name] & own) for name in own)
        out = sum(len(graph[name] - own) for name in own)
        count = len([path for path in folder.glob("*.py") if path.name != "__init__.py"])
        here = sum(bool(own & set(circle)) for circle in of_files)
        lines.append(f"| {folder.relative_to(root)} | {count} | {inside} | {out} | {here} |")
    total = sum(path.name != "__init__.py" for path in files.values())
    lines.append(f"| all | {total} | {sum(map(len, graph.values()))} | | {len(of_files)} |")
    folders = {name for name, path in files.items() if path.name == "__init__.py"}
    named = [*of_files, *(circle for folder in sorted(folders) for circle in circles(between_rooms(graph, folder)))]
    return "\n".join([*lines, "", *(f"circle: {' <-> '.join(circle)}" for circle in named)]).rstrip()


def _imported(name: str, path: Path, files: Mapping[str, Path]) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in imports_of(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
            continue
        source = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            source = ".".join([*above, source] if source else above)
        for alias in node.names:
            if f"{source}.{alias.name}" in files:
                yield f"{source}.{alias.name}"
            elif source in files:
                yield source


def _child(name: str, inside: str) -> str | None:
    """`a.b` of `a.b.c` inside `a`; None for what lies elsewhere, and for the package itself."""
    if not name.startswith(f"{inside}."):
        return None
    return ".".join(name.split(".")[: inside.count(".") + 2])


if __name__ == "__main__":
    print(table(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
