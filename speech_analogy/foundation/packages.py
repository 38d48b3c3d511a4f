"""Packages that only some options need: imported when they are, and named with how to install them where missing."""

from __future__ import annotations

import importlib
from importlib import import_module
from types import ModuleType

from speech_analogy.errors import ConfigError, SynthesisError


def optional_package(module: str, package: str, what: str, field: str) -> ModuleType:
    """Import what an option needs.

    Args:
        module: to import.
        package: that holds it, for pip.
        what: what needs it, e.g. "a simulated room".
        field: the option, for the error.

    Raises:
        ConfigError: it is not installed, or cannot be imported.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{what} needs {package} ({error})", field=field, do=f"install it: pip install {package}"
        ) from None


def require(module: str, engine: str, install: str) -> ModuleType:
    """Import an engine's package, or report how to install it.

    Raises:
        SynthesisError: the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = f"the package {module!r} cannot be imported ({error})"
        raise SynthesisError(missing, field=engine, do=f"install it: {install}") from None
