"""The rules of the house: what a folder, a file and an import may look like, in the packages and in their tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.house.count_imports import PACKAGES, arrows, between_rooms, circles, imports_of, sources, table

MOST_LINES = 400
MOST_FILES = 14
LONGER: tuple[str, ...] = ()
"""Files that may have more than `MOST_LINES` lines."""
FULLER: tuple[str, ...] = ()
"""Folders that may have more than `MOST_FILES` files."""
POSIX = {"fcntl", "grp", "pty", "pwd", "resource", "termios"}
POSIX_AT_ONCE = {("speech_analogy/benching/machine.py", "resource")}
"""Imports of POSIX-only modules outside functions: what a benchmark's memory is read with."""
PICKLING = {f"{module}.{verb}" for module in ("pickle", "torch") for verb in ("load", "loads", "dump", "dumps", "save")}
PICKLES = {
    ("speech_analogy/export/openai_file.py", "torch.save"),  # openai-whisper reads no other form
}
WITHOUT_A_PACKAGE = {"benchmarks", "docs", "faults", "house", "recipes"}
"""Folders of tests that mirror no folder of the packages."""

FILES = sources(REPOSITORY)
GRAPH = arrows(FILES)
FOLDERS = sorted({path.parent for path in FILES.values()})
TESTS = sorted(
    path for path in (REPOSITORY / "tests").rglob("*.py") if "benchmarks" not in path.relative_to(REPOSITORY).parts
)


def _name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


by_folder = pytest.mark.parametrize("folder", FOLDERS, ids=_name)


@by_folder
def test_a_folder_says_in_one_sentence_what_it_is_for(folder: Path) -> None:
    file = folder / "__init__.py"
    assert file.is_file(), f"{_name(file)} is missing"
    said = ast.get_docstring(_tree(file)) or ""
    sentence = " ".join(said.partition("\n\n")[0].split())
    assert sentence.endswith("."), f"{_name(file)}: {sentence!r}"
    assert not re.search(r"[.!?]\s+[A-Z]", sentence), f"{_name(file)} has more than one sentence: {sentence!r}"


def test_a_file_says_what_it_is_for() -> None:
    without = [_name(path) for path in FILES.values() if not ast.get_docstring(_tree(path))]
    assert not without


def test_files_import_each_other_in_no_circle() -> None:
    assert circles(GRAPH) == []


def test_floors_of_a_room_import_each_other_in_no_circle() -> None:
    """A floor is a folder or a file of a package; what lies deeper counts as its own."""
    rooms = [name for name, path in FILES.items() if path.name == "__init__.py"]
    assert [circle for room in rooms for circle in circles(between_rooms(GRAPH, room))] == []


def test_circles_are_found(tmp_path: Path) -> None:
    """By hand: a -> b -> c -> a, with one arrow inside a function, and d beside them; e is for type checkers alone."""
    package = tmp_path / PACKAGES[0]
    for name, text in {
        "a.py": "from data_synth.b import x",
        "b.py": "from . import c",
        "c.py": "def f():\n    import data_synth.a",
        "d.py": "from data_synth import a, b",
        "e.py": "if TYPE_CHECKING:\n    import data_synth.d\nelse:\n    import data_synth.a",
        "deep/__init__.py": "from data_synth.d import y",
        "deep/f.py": "from ..deep import g\nfrom ..e import z",
        "deep/g.py": "",
        "__init__.py": "",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    graph = {name.removeprefix("data_synth."): others for name, others in arrows(sources(tmp_path)).items()}
    short = {name: {other.removeprefix("data_synth.") for other in others} for name, others in graph.items()}
    assert short == {
        "data_synth": set(), "a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "b"}, "e": {"a"},
        "deep": {"d"}, "deep.f": {"deep.g", "e"}, "deep.g": set(),
    }  # fmt: skip
    assert circles(short) == [["a", "b", "c"]]
    assert between_rooms(arrows(sources(tmp_path)), "data_synth")["data_synth.deep"] == {"data_synth.d", "data_synth.e"}
    assert "| data_synth/deep | 2 | 1 | 2 | 0 |" in table(tmp_path).splitlines()
    assert table(tmp_path).splitlines()[-1].startswith("circle: data_synth.a <-> data_synth.b <-> data_synth.c")


def test_files_are_short_and_folders_are_small() -> None:
    long = {_name(path) for path in (*FILES.values(), *TESTS) if len(path.read_text("utf-8").splitlines()) > MOST_LINES}
    assert long == set(LONGER)
    full = {_name(folder) for folder in FOLDERS if len(list(folder.glob("*.py"))) - 1 > MOST_FILES}
    assert full == set(FULLER)


def test_folders_of_tests_mirror_those_of_the_packages() -> None:
    for folder in sorted({path.parent for path in TESTS} - {REPOSITORY / "tests"}):
        parts = folder.relative_to(REPOSITORY / "tests").parts
        assert (folder / "__init__.py").is_file(), f"{_name(folder)}/__init__.py is missing"
        if parts[0] in WITHOUT_A_PACKAGE:
            continue
        place = Path(*parts) if parts[0] in PACKAGES else Path("speech_analogy", *parts)
        assert (REPOSITORY / place).is_dir(), f"{_name(folder)} mirrors no folder: {place} is not there"


def test_what_only_posix_has_is_imported_inside_functions() -> None:
    found = {
        (_name(path), module)
        for path in FILES.values()
        for module in _modules(imports_of(_tree(path), only_at_once=True))
        if module in POSIX
    }
    assert found == POSIX_AT_ONCE


def test_no_file_is_a_pickle() -> None:
    """Nothing is kept in pickle; what others wrote in it is read by torch's restricted reader alone."""
    found = {
        (_name(path), called)
        for path in FILES.values()
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and (called := ast.unparse(node.func)) in PICKLING
        if not any(keyword.arg == "weights_only" and ast.unparse(keyword.value) == "True" for keyword in node.keywords)
    }
    assert found == PICKLES


@pytest.mark.parametrize("path", TESTS, ids=_name)
def test_tests_use_public_doors(path: Path) -> None:
    """No private name of the packages, and nothing out of another test module: helpers have files of their own."""
    wrong: list[str] = []
    modules = _modules_in(path)
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom):
            source = node.module or ""
            names = [alias.name for alias in node.names]
            private = [name for name in (*source.split("."), *names) if _is_private(name)]
            others = [name for name in (source.rpartition(".")[2], *names) if name.startswith("test_")]
            if source.split(".")[0] in PACKAGES and private:
                wrong.append(f"line {node.lineno}: {', '.join(private)} of {source} is private")
            if source.split(".")[0] == "tests" and (private or others):
                wrong.append(f"line {node.lineno}: {', '.join(private + others)} of {source}")
        elif isinstance(node, ast.Attribute) and _is_private(node.attr) and ast.unparse(node.value) in modules:
            wrong.append(f"line {node.lineno}: {ast.unparse(node)} is private")
    assert not wrong


def _modules_in(path: Path) -> set[str]:
    """The names that a file has for modules of the packages."""
    found: set[str] = set()
    for node in imports_of(_tree(path)):
        for alias in node.names:
            whole = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            if whole in FILES:
                found.add(alias.asname or alias.name)
    return found


def _modules(imports: Iterator[ast.Import | ast.ImportFrom]) -> Iterator[str]:
    for node in imports:
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        yield from (name.split(".")[0] for name in names)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))
