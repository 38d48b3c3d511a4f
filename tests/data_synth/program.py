"""The command line, as a function that returns its status."""

from __future__ import annotations

import pytest

from data_synth.cli.app import main


def status_of(arguments: list[str]) -> int:
    """Run `python -m data_synth ARGUMENTS` in this process."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)
