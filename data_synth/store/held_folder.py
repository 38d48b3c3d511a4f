"""One folder of clips: held by one run at a time, refused where it is another's, its settings written down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_synth.store.clip_files import sweep_partials
from data_synth.store.damaged_settings import objection
from speech_analogy.errors import ConfigError, DataError
from speech_analogy.foundation.files import PARTIAL_SUFFIX, write_whole
from speech_analogy.foundation.locks import LOCK_NAME, held
from speech_analogy.foundation.progress import say
from speech_analogy.foundation.user_files.json_text import read_object

SETTINGS_NAME = "settings.json"


@contextmanager
def hold_folder(out: Path, settings: Mapping[str, Any]) -> Iterator[None]:
    """Hold `out` for this run: made if need be, locked, and with the same settings as it was begun with.

    Args:
        out: a new or empty folder, or one that an earlier run with these settings made.
        settings: what decides about clips that are there already; JSON values.

    Raises:
        ConfigError: the folder was made with other settings.
        DataError: it holds something else, cannot be written, or another run is at work in it.
    """
    _refuse_strangers(out)  # before a lock is put there
    with held(out):
        _check_settings(out, json.loads(json.dumps(settings)))
        sweep_partials(out)
        yield


def _refuse_strangers(out: Path) -> None:
    """Refuse a folder that is neither empty nor of clips."""
    if not out.is_dir() or (out / SETTINGS_NAME).is_file():
        return
    names = sorted(entry.name for entry in out.iterdir())
    strangers = [name for name in names if name != LOCK_NAME and not name.endswith(PARTIAL_SUFFIX)]
    if strangers:
        raise DataError("the folder holds something else", file=out, value=strangers[0], do="name a new folder")


def _write_anew(out: Path, path: Path, settings: dict[str, Any]) -> None:
    """Settings that a power loss or a full disk has torn: those that are given, unless the clips say otherwise."""
    against = objection(out, settings)
    if against is not None:
        do = "give the options that the folder was begun with, or name a new folder"
        raise DataError(f"is damaged, and {against}", file=path, do=do)
    say(f"{path} was damaged; the clips agree with the options that are given now, so it is written anew")
    write_whole(path, json.dumps(settings, indent=2) + "\n")


def _check_settings(out: Path, settings: dict[str, Any]) -> None:
    path = out / SETTINGS_NAME
    if not path.exists():
        _refuse_strangers(out)
        write_whole(path, json.dumps(settings, indent=2) + "\n")
        return
    try:
        found = read_object(path)
    except DataError:
        _write_anew(out, path, settings)
        return
    for name in dict.fromkeys((*settings, *found)):
        if found.get(name) != settings.get(name):
            was = found.get(name)
            raise ConfigError(
                "the folder was begun with another value", file=path, field=name, value=was, do="name a new folder"
            )
