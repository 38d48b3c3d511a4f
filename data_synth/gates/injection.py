"""What options name for a gate to call (`module:attribute` or a plug-in), made once per process."""

from __future__ import annotations

import importlib
import inspect
import json
from functools import cache, partial
from typing import Any

from speech_analogy.errors import ConfigError, SpeechAnalogyError, SynthesisError, one_line
from speech_analogy.foundation.plugins import Plugins
from speech_analogy.foundation.suggest import nearest


@cache
def load_named(spec: str, plugins: Plugins[Any], parameters: str) -> Any:
    """What `spec` names, made once per process: a class is instantiated, a function given its keyword arguments.

    Args:
        spec: `module:attribute`, or the name of a plug-in.
        plugins: those that `spec` may name.
        parameters: keyword arguments as a JSON object.

    Raises:
        ConfigError: there is no such thing, it cannot be called, or takes no such parameter.
        SynthesisError: it cannot be imported or made.
    """
    target = _find(spec, plugins)
    field = plugins.field
    arguments: dict[str, Any] = json.loads(parameters)
    if not callable(target):
        raise ConfigError("names something that cannot be called", field=field, value=spec)
    _check_arguments(target, arguments, spec, field)
    if not inspect.isclass(target):
        return partial(target, **arguments) if arguments else target
    try:
        return target(**arguments)
    except SpeechAnalogyError:
        raise
    except Exception as error:  # a plug-in's own; it becomes one line
        raise SynthesisError(f"cannot be made: {one_line(error)}", field=field, value=spec) from None


def _find(spec: str, plugins: Plugins[Any]) -> Any:
    """The object behind a name."""
    module, separator, attribute = spec.partition(":")
    if not separator and spec not in plugins:
        rule = f"must be module:attribute or an entry point of {plugins.group}"
        raise ConfigError(rule, field=plugins.field, value=spec, do=nearest(spec, plugins.names()))
    if not separator:
        return plugins.load(spec)
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.strip().split("."):
            found = getattr(found, part)
    except ImportError as error:
        raise SynthesisError(
            f"cannot be imported ({error})", field=plugins.field, value=spec, do="install its package"
        ) from None
    except (AttributeError, ValueError) as error:
        raise ConfigError(f"names nothing ({error})", field=plugins.field, value=spec) from None
    return found


def _check_arguments(target: Any, arguments: dict[str, Any], spec: str, field: str) -> None:
    """Refuse keyword arguments that a class or function does not take, where its signature can be had."""
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return
    try:
        if inspect.isclass(target):
            signature.bind(**arguments)
        else:
            signature.bind_partial(None, 0, **arguments)
    except TypeError as error:
        raise ConfigError(f"takes other parameters: {error}", field=field, value=spec) from None
