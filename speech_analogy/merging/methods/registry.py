"""Merge methods by name: entry points of the group `speech_analogy.merge_methods`, or SPARSIFIER+CONSENSUS."""

from __future__ import annotations

from speech_analogy.errors import ConfigError
from speech_analogy.foundation.plugins import Plugins
from speech_analogy.foundation.suggest import closest
from speech_analogy.merging.methods.combined import CONSENSUS, SPARSIFIERS, composed
from speech_analogy.merging.methods.declaration import MergeMethod
from speech_analogy.merging.methods.parameters import Role

MERGE_METHODS: Plugins[MergeMethod] = Plugins("speech_analogy.merge_methods", "merge method", "merge_method")
"""`MERGE_METHODS.add(name, method)` makes a method available in this process; a package declares an entry point."""

NAME_WIDTH = 18  # columns of the list of methods
FACTS = {
    Role.SEED: "draws at random",
    Role.DENSITY: "trims",
    Role.SCALE: "scales",
    Role.GROWTH: "by depth",
}
STATISTICS = {"": "", "entries": "needs a value for each entry", "inputs": "needs the Gram matrix of a layer's inputs"}


def get_method(name: str) -> MergeMethod:
    """A method by name, or `SPARSIFIER+CONSENSUS`, e.g. `breadcrumbs+count`.

    Raises:
        ConfigError: no such method (with the nearest one), or its entry point gives something else.
    """
    if name in MERGE_METHODS:
        found: object = MERGE_METHODS.load(name)
        if not isinstance(found, MergeMethod):
            raise ConfigError("the entry point must name a MergeMethod", field=name, value=type(found).__name__)
        return found
    if (method := composed(name)) is not None:
        return method
    names = MERGE_METHODS.names()
    near = closest(name, names)
    raise ConfigError(
        "no such merge method",
        field="merge_method",
        value=name,
        do=f"did you mean {near!r}?" if near else f"use one of {', '.join(names)}, or {_combinations()}",
    )


def describe_methods() -> str:
    """Every method: its source, what it takes and does, and each parameter with range, default and meaning."""
    lines: list[str] = []
    for name in MERGE_METHODS.names():
        method = get_method(name)
        facts = [fact for role, fact in FACTS.items() if method.plays(role)]
        takes = "differences from the base" if method.on == "deltas" else "weights"
        lines.append(f"{name:{NAME_WIDTH}}{method.reference}".rstrip())
        lines.append(
            f"  {'; '.join(filter(None, (f'takes {takes}', ', '.join(facts), STATISTICS[method.statistics])))}"
        )
        for item in method.parameters:
            mark = "*" if item.per_model else ""
            lines.append(f"  {item.name + mark:{NAME_WIDTH - 2}}{item.range()}; {item.defaults()}: {item.meaning}")
    lines += ["", f"or {_combinations()}, e.g. dare+elect"]
    lines += ["*: may differ from model to model. A value may be a list (a gradient over the layers), or a list of"]
    lines += ["   `{scope: encoder, value: 0.2}`."]
    return "\n".join(lines)


def _combinations() -> str:
    return f"one of {', '.join(SPARSIFIERS)} + one of {', '.join(CONSENSUS)}"
