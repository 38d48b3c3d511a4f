"""What the fuzz tests share: how valid files are spoilt, and what reading one may end in."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from speech_analogy.errors import SpeechAnalogyError

LONGEST_S = 2.0
MOST_ALIASES = 8  # of YAML, in what is spoilt in its structure
MOST_MEMORY_BYTES = 1 << 30  # beyond what the process has
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.0, -0.0, 1e308, -1e308, 10**30, 10**400, 2**63, float("nan"), float("inf"),
    float("-inf"), "", " ", "\t", "\n", "\r", "\u2028", "\x85", "\x0c", "\0", "\x1b[31mred", "\ud800", "é" * 300,
    "a" * 300, "a" * 70_000, "../../etc/passwd", "/", "/dev/zero", ".", "..", "CON", "a.", "a/b\\c", "NaN", "1e999",
    "null", "True", "-", "{", "{}", "{a:b:c}", "[]", "%s%n", "=1+1", "http://user:word@host/", "rm -rf x", [], {}, [[]],
    [None], [[[[[1]]]]], {"": None}, {"a": {"a": {"a": 1}}}, ["text"] * 50,
)  # fmt: skip
BYTES = (
    b"\0", b"\xff", b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"\r", b"\n", b"\r\n", b"\n\n",
    b"\xe2\x80\xa8", b"\xc2\x85", b"\x0c", b"\x1a", b"\x1b[2J", b'"', b"'", b",", b";", b"|", b"\t", b"{", b"}", b"[",
    b"]", b":", b"&a *a", b"!!python/object/apply:os.system [id]", b"&a [*a]", b"<<: ", b"- ", b"? ", b"%", b"\\ud800",
    b"NaN", b"Infinity", b"1e999", b"9" * 5000, b"-", b"[" * 2000, b'{"a":' * 2000, b"- " * 500, b"x" * 70_000,
    b"=1+1", b"..", b"/", b"\\", b"null", b"{{", b"}}", b"#", b"---\n", b"0x" + b"f" * 500, b"2020-99-99", b"1:2:3",
    b"a: &x [1,1,1,1,1,1,1,1]\nb: &y [*x,*x,*x,*x,*x,*x,*x,*x]\nc: &z [*y,*y,*y,*y,*y,*y,*y,*y]\n"
    b"d: &v [*z,*z,*z,*z,*z,*z,*z,*z]\ne: [*v,*v,*v,*v,*v,*v,*v,*v]\n",
)  # fmt: skip


@dataclass(frozen=True)
class FuzzedReader:
    """One reader, and what it reads.

    Args:
        name: of the reader.
        files: name within a folder -> what a valid one holds; one of them is spoilt at a time.
        read: given the folder; its value is not looked at.
        beside: made once in the folder, such as audio.
        names_file: whether an error must name the spoilt file; else it must name any path, or a field.
    """

    name: str
    files: Mapping[str, bytes]
    read: Callable[[Path], object]
    beside: Callable[[Path], object] = field(default=lambda folder: None)
    names_file: bool = True

    def lay_out(self, folder: Path) -> Path:
        """All files as they should be."""
        folder.mkdir(parents=True, exist_ok=True)
        self.beside(folder)
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def case(self, folder: Path, seed: int) -> None:
        """Spoil one file as `seed` says, read, and put it back."""
        dice = random.Random(seed)
        name = dice.choice(sorted(self.files))
        (folder / name).write_bytes(spoilt(self.files[name], name, dice))
        try:
            value_or_one_line(lambda: self.read(folder), folder / name if self.names_file else None)
        finally:
            remove(folder / name)
            (folder / name).write_bytes(self.files[name])


def value_or_one_line(read: Callable[[], object], file: Path | None = None) -> None:
    """Read, and take a value or one line that names the file; nothing else, and in less than two seconds.

    Raises:
        AssertionError: it took longer, or said more than a line, or did not say which file.
        Exception: what else went wrong.
    """
    start = time.thread_time()
    try:
        read()
    except SpeechAnalogyError as error:
        said = str(error)
        assert said == " ".join(said.split()), f"more than a line: {said!r}"
        assert len(said) < 4000, f"{len(said)} characters: {said[:200]!r}"
        assert file is None or file.name in said or file.parent.name in said, f"names no file: {said!r}"
    spent = time.thread_time() - start
    assert spent < LONGEST_S, f"took {spent:.1f} s"


@contextmanager
def little_memory() -> Iterator[None]:
    """At most 1 GB more than the process has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (own + MOST_MEMORY_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def spoilt(content: bytes, name: str, dice: random.Random) -> bytes:
    """A valid file, spoilt: in its structure, its lines, its bytes or its encoding; once, or several times."""
    ways = [_lines, _bytes, _encoding]
    if name.endswith((".json", ".jsonl", ".yaml", ".gz")):
        ways += [_structure] * 4
    if name.endswith((".csv", ".tsv", ".txt")):
        ways += [_cells] * 3
    packed = name.endswith(".gz") and dice.random() < 0.9
    if packed:
        import gzip

        content = gzip.decompress(content)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        content = dice.choice(ways)(content, name, dice)
    if packed:
        content = gzip.compress(content, 1)
    return content


def _structure(content: bytes, name: str, dice: random.Random) -> bytes:
    """One line of JSON, or the whole of it, parsed, changed at a random place and written again."""
    if content.count(b"*") > MOST_ALIASES or b"[*a]" in content:  # to walk through what they stand for takes for ever
        return _bytes(content, name, dice)
    with suppress(ValueError, yaml.YAMLError, RecursionError):
        if name.endswith(".yaml"):
            changed = changed_tree(yaml.safe_load(content), dice)
            with suppress(yaml.YAMLError, UnicodeEncodeError):
                return yaml.safe_dump(changed, allow_unicode=dice.random() < 0.5).encode("utf-8", "surrogatepass")
        lines = content.split(b"\n") if ".jsonl" in name or name.endswith(".jsonl.gz") else [content]
        place = dice.randrange(len(lines))
        changed = changed_tree(json.loads(lines[place] or b"{}"), dice)
        text = json.dumps(changed, ensure_ascii=dice.random() < 0.7)
        if dice.random() < 0.1 and text.startswith("{") and len(text) > 2:
            text = "{" + text[1:-1] + "," + text[1:]  # every key twice
        lines[place] = text.encode("utf-8", "surrogatepass")
        return b"\n".join(lines)
    return _bytes(content, name, dice)


def changed_tree(tree: Any, dice: random.Random) -> Any:
    """A tree of JSON with one node dropped, copied, renamed, wrapped, or made something odd."""
    places: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        parent = waiting.pop()
        keys = list(parent) if isinstance(parent, dict) else range(len(parent)) if isinstance(parent, list) else ()
        places += [(parent, key) for key in keys]
        waiting += [parent[key] for key in keys]
    if not places:
        return dice.choice(ODD)
    parent, key = dice.choice(places)
    match dice.randrange(8):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, list):
            parent.insert(key, parent[key])
        case 1:
            parent[dice.choice(("", "x" * 300, "\ud800", key.upper() if isinstance(key, str) else "k"))] = parent[key]
        case 2:
            other, other_key = dice.choice(places)
            with suppress(KeyError, IndexError):
                parent[key] = json.loads(json.dumps(other[other_key]))
        case 3:
            value = parent[key]
            for _ in range(dice.choice((1, 2, 70, 500))):
                value = [value] if dice.random() < 0.5 else {"a": value}
            parent[key] = value
        case 4 if isinstance(parent[key], int | float) and not isinstance(parent[key], bool):
            value = parent[key]
            half = value + 0.5 if abs(value) < 1e300 else value  # of 10 ** 400 there is no float
            parent[key] = dice.choice((-value, value * 10**9, str(value), half))
        case 4:
            parent[key] = f"{parent[key]}{dice.choice([o for o in ODD if isinstance(o, str)])}"
        case _:
            parent[key] = dice.choice(ODD)
    return tree


def _lines(content: bytes, name: str, dice: random.Random) -> bytes:
    lines = content.split(b"\n")
    place = dice.randrange(len(lines))
    match dice.randrange(6):
        case 0:
            del lines[place]
        case 1:
            lines.insert(place, lines[place])
        case 2:
            lines.insert(place, dice.choice(BYTES))
        case 3:
            lines[place] = lines[place][: dice.randrange(len(lines[place]) + 1)]
        case 4:
            return dice.choice((b"\r\n", b"\r", b"\n\n", b"\xe2\x80\xa8", b"\xc2\x85", b"\x0c")).join(lines)
        case _:
            dice.shuffle(lines)
    return b"\n".join(lines)


def _cells(content: bytes, name: str, dice: random.Random) -> bytes:
    odd = str(dice.choice([value for value in ODD if not isinstance(value, list | dict)])).encode(
        "utf-8", "surrogatepass"
    )
    sign = b"\t" if name.endswith(".tsv") else b"," if name.endswith(".csv") else b" "
    lines = content.split(b"\n")
    place = dice.randrange(len(lines))
    cells = lines[place].split(sign)
    cell = dice.randrange(len(cells))
    match dice.randrange(4):
        case 0:
            cells[cell] = odd
        case 1:
            cells.insert(cell, odd)
        case 2:
            del cells[cell]
        case _:
            cells[cell] = dice.choice((b'"', b"'", b'""', b";", b"|")) + cells[cell]
    lines[place] = sign.join(cells)
    return b"\n".join(lines)


def _bytes(content: bytes, name: str, dice: random.Random) -> bytes:
    at, length = dice.randrange(len(content) + 1), dice.choice((0, 1, 1, 2, 8, 100))
    match dice.randrange(5):
        case 0:
            return content[:at] + dice.choice(BYTES) + content[at + length :]
        case 1:
            return content[:at] + content[at + length :]
        case 2:
            return content[:at] + dice.randbytes(length) + content[at + length :]
        case 3:
            return content[:at]
        case _:
            return content[: at + length] + content[at:]


def _encoding(content: bytes, name: str, dice: random.Random) -> bytes:
    match dice.randrange(5):
        case 0:
            return b"\xef\xbb\xbf" * dice.choice((1, 2)) + content
        case 1:
            text = content.decode("utf-8", "replace")
            return text.encode(dice.choice(("utf-16", "utf-16-le", "utf-32", "utf-16-be")), "surrogatepass")
        case 2:
            return content.decode("utf-8", "replace").encode("latin-1", "replace") + "é".encode("latin-1")
        case 3:
            return b""
        case _:
            return dice.choice(BYTES) * dice.choice((1, 3, 1000))


def quick_place() -> Path | None:
    """A folder in memory, where syncing costs nothing; None, the usual one, where there is none."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and os.access(memory, os.W_OK) else None


PLACES = ("nothing", "a folder", "a pipe", "a socket", "a loop", "a link to nothing", "a device", "no bytes")


def put(place: str, file: Path) -> None:
    """Something else in the place of a file: one of `PLACES`."""
    remove(file)
    match place:
        case "a folder":
            file.mkdir()
        case "a pipe":
            os.mkfifo(file)
        case "a socket":
            here = Path.cwd()
            os.chdir(file.parent)  # the name of a socket may have 100 characters
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(file.name)
            os.chdir(here)
        case "a loop":
            file.symlink_to(file.name)
        case "a link to nothing":
            file.symlink_to("nothing")
        case "a device":
            file.symlink_to("/dev/zero")
        case "no bytes":
            file.write_bytes(b"")


def remove(file: Path) -> None:
    """Whatever is there, gone."""
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    else:
        file.unlink(missing_ok=True)
