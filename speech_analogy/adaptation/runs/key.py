"""`plan.sha256`: with which plan a run was measured, and the digests of the results and transcripts that it wrote."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.foundation.contents import digest_of
from speech_analogy.foundation.files import write_whole

RESULTS_FILE, KEY_FILE = "results.json", "plan.sha256"


def write_key(plan: Plan, files: Iterable[str]) -> None:
    """Say that a run is measured.

    Args:
        files: what was written, relative to the run's folder.
    """
    listed = [f"{digest_of(plan.run / file)}  {file}" for file in files]
    write_whole(plan.run / KEY_FILE, "\n".join([plan.digest(), *listed]))


def is_measured(plan: Plan) -> bool:
    """Was the run done with this very plan, and are its results as they were written?

    Its models may have been removed since.
    """
    key = plan.run / KEY_FILE
    whole = key.is_file() and (plan.run / RESULTS_FILE).is_file()
    return whole and key.read_text(encoding="utf-8").partition("\n")[0] == plan.digest() and not changed(plan.run)


def changed(run: Path) -> list[str]:
    """Results and transcripts of a measured run that are not what was written."""
    key = run / KEY_FILE
    if not key.is_file():
        return []
    found = []
    for line in key.read_text(encoding="utf-8", errors="replace").split("\n")[1:]:
        digest, _, file = line.partition("  ")
        if file and (not (run / file).is_file() or digest_of(run / file) != digest):
            found.append(file)
    return found
