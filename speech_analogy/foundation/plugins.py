"""What is found by registration: entry points of installed packages, and what a program adds itself."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, distributions, entry_points
from typing import Any, Generic, TypeVar

from speech_analogy.errors import ConfigError, SpeechAnalogyError
from speech_analogy.foundation.progress import say
from speech_analogy.foundation.suggest import nearest

T = TypeVar("T")


class Plugins(Generic[T]):
    """Named objects of one kind: engines, merge methods, readers, families, executors, exporters.

    Args:
        group: of entry points, e.g. `data_synth.engines`; a package adds one by a line in its pyproject.toml.
        kind: what one is called in messages, e.g. "text-to-speech engine".
        field: the option that names one, for messages.
        error: what is raised for an unknown name, or for one that cannot be loaded.
    """

    def __init__(
        self, group: str, kind: str, field: str = "name", error: type[SpeechAnalogyError] = ConfigError
    ) -> None:
        self.group, self.kind, self.field, self.error = group, kind, field, error
        self._added: dict[str, T] = {}

    def names(self) -> tuple[str, ...]:
        """Every registered name, sorted; what one needs may still be missing."""
        return tuple(sorted({*_points(self.group), *self._added}))

    def add(self, name: str, plugin: T) -> None:
        """Register an object for this process, without an entry point; it goes before an entry point of its name."""
        self._added[name] = plugin

    def remove(self, name: str) -> None:
        """Take back what `add` registered, if anything."""
        self._added.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._added or name in _points(self.group)

    def refresh(self) -> None:
        """Look at the installed packages again: one was installed while this process ran."""
        _points.cache_clear()
        _readable.cache_clear()

    def load(self, name: str) -> T:
        """The object called `name`.

        Raises:
            SpeechAnalogyError: of the type `error`: no such name (with the nearest one), or it cannot be imported.
        """
        if name in self._added:
            return self._added[name]
        points = _points(self.group)
        if name not in points:
            known = self.names()
            raise self.error(f"no such {self.kind}", field=self.field, value=name, do=nearest(name, known))
        try:
            found: Any = points[name].load()
        except Exception as problem:  # a package of somebody else's runs here
            said = f"{type(problem).__name__}: {problem}"
            raise self.error(f"the {self.kind} cannot be loaded: {said}", field=name) from problem
        plugin: T = found
        return plugin


def registered(group: str) -> str:
    """The names in a group of entry points, for help texts: `bark, flite or piper`. Imports none of them."""
    *others, last = sorted(_points(group)) or ["none"]
    return f"{', '.join(others)} or {last}" if others else last


@cache
def _points(group: str) -> dict[str, EntryPoint]:
    try:
        found = entry_points(group=group)
    except Exception:  # a damaged package in the environment
        found = EntryPoints(point for points in _readable() for point in points.select(group=group))
    return {point.name: point for point in found}


@cache
def _readable() -> tuple[EntryPoints, ...]:
    """The entry points of every package whose file of them can be read; the others are named."""
    found = []
    for package in distributions():
        try:
            found.append(package.entry_points)
        except Exception as problem:
            said = f"{type(problem).__name__}: {problem}"
            say(f"{getattr(package, '_path', 'a package')}: its entry points cannot be read and are left out: {said}")
    return tuple(found)
