"""Named settings of a synthesis, as values for `SynthesisOptions`; what the user gives overrides them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from speech_analogy.errors import ConfigError
from speech_analogy.foundation.suggest import nearest

_OWN_PACE = (1.0, 1.0001)
"""Speeds that round to 1.000 in every clip; at exactly (1, 1) a voice's second clip of a text gets another speed."""

_PAPER: Mapping[str, Any] = {"voices_per_text": 5, "gates": None, "speed": _OWN_PACE, "sampling_rate": 16_000}

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # arXiv 2406.02925: 5 clips a text, BARK without a voice preset, resampled to 16 kHz, none filtered out.
        "paper-bark": {**_PAPER, "engines": ("bark:large",), "parameters": {"bark": {"keep_unfinished": 1}}},
        # arXiv 2406.02925: 5 clips a text, a random x-vector (of CMU Arctic's) for each, none filtered out.
        "paper-speecht5": {**_PAPER, "engines": ("speecht5:random",)},
    }
)
"""Name -> option -> value. `paper-bark` keeps clips cut off at BARK's limit, for nothing was filtered there."""


def with_preset(name: str, given: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The preset's values, `given` before them: what `SynthesisOptions.parse` takes.

    Parameters of a preset's engine are left out where `given` names other engines and no parameters.

    Raises:
        ConfigError: there is no such preset (the nearest is named).
    """
    if name not in PRESETS:
        raise ConfigError("no such preset", field="preset", value=name, do=nearest(name, sorted(PRESETS)))
    values = {**PRESETS[name], **given}
    if "engines" in given and "parameters" not in given:
        values.pop("parameters", None)
    return values
