"""YAML of users and strangers: no key twice, nothing that grows when its aliases are followed, bounded in depth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from speech_analogy.errors import DataError, SpeechAnalogyError
from speech_analogy.foundation.user_files.json_text import DEEPEST, LONGEST_NUMBER, TOO_DEEP
from speech_analogy.foundation.user_files.plain import NO_FILE, read_text

MOST_YAML_BYTES = 8 << 20
MOST_ALIASED = 10_000  # nodes that aliases repeat
NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
MERGE_TAG = "tag:yaml.org,2002:merge"
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(text: str) -> Any:
    """What a YAML text says, by the rules of `yaml.safe_load`.

    Raises:
        ValueError: in a few words: it is not YAML, a mapping has a key twice, it is nested too deeply, its aliases
            repeat too much or themselves, or a number is too long.
    """
    try:
        loader = LOADER(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            _Inspection().size(root)
            return loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise ValueError(f"{error.problem or error.context}{where}") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error).partition("\n")[0]) from None
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    except (UnicodeEncodeError, AttributeError, TypeError, KeyError, OverflowError) as error:  # tags that do not fit
        raise ValueError(f"a value is not what its tag says: {type(error).__name__}") from None


def read_yaml(
    path: Path,
    error: type[SpeechAnalogyError] = DataError,
    *,
    missing: str = NO_FILE,
    do: str | None = None,
    broken: str = "is not YAML",
) -> Any:
    """What a YAML file says.

    Args:
        missing, broken, do: what is said where nothing is there, or something else.

    Raises:
        SpeechAnalogyError: of the type `error`: it is missing, larger than 8 MiB, not UTF-8, or see `parse_yaml`.
    """
    text = read_text(path, error, missing=missing, do=do, most_bytes=MOST_YAML_BYTES)
    try:
        return parse_yaml(text)
    except ValueError as problem:
        raise error(f"{broken}: {problem}", file=path) from None


class _Inspection:
    """How large nodes are when aliases are followed; each node is looked at once."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()
        self._aliased = 0

    def size(self, node: yaml.Node, depth: int = 0) -> int:
        """Nodes, with those that aliases repeat.

        Raises:
            ValueError: see `parse_yaml`.
        """
        known = self._sizes.get(id(node))
        if known is not None:
            self._aliased += known
            if self._aliased > MOST_ALIASED:
                raise ValueError(f"its aliases repeat more than {MOST_ALIASED} values")
            return known
        if isinstance(node, yaml.ScalarNode):
            if node.tag in NUMBER_TAGS and len(node.value) > LONGEST_NUMBER:
                raise ValueError(f"a number has more than {LONGEST_NUMBER} digits{_place(node)}")
            self._sizes[id(node)] = 1
            return 1
        if id(node) in self._open:
            raise ValueError(f"an alias stands for what it is in{_place(node)}")
        if depth > DEEPEST:
            raise ValueError(TOO_DEEP)
        self._open.add(id(node))
        total = 1 + sum(self.size(child, depth + 1) for child in _children(node))
        self._open.discard(id(node))
        self._sizes[id(node)] = total
        return total


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        seen: set[tuple[str, str]] = set()
        for key, value in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) and key.tag != MERGE_TAG else None
            if name is not None and name in seen:
                raise ValueError(f"the key {key.value[:LONGEST_NUMBER]!r} is there twice{_place(key)}")
            if name is not None:
                seen.add(name)
            yield key
            yield value
    else:
        yield from node.value


def _place(node: yaml.Node) -> str:
    return f", line {node.start_mark.line + 1}" if node.start_mark else ""
