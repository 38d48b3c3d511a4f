"""`python -m data_synth`: see `data_synth.cli`."""

from __future__ import annotations

from data_synth.cli.app import main

if __name__ == "__main__":
    main()
