"""Fuzzes every reader in turn for as long as it is given, or to a count, and says how many cases each has met.

    python -m tests.faults.fuzz_by_turns --minutes 30 --cases 20000 --counts fuzzed.json

Another start with the same file of counts goes on where it ended.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
from pathlib import Path

from tests.faults.fuzz_corpora import CORPORA
from tests.faults.fuzz_kept import KEPT
from tests.faults.fuzz_records import RECORDS
from tests.faults.fuzzing import FuzzedReader, little_memory, quick_place

READERS = {reader.name: reader for reader in (*CORPORA, *RECORDS, *KEPT)}
A_TURN = 250  # cases
MOST_SAID = 300  # characters of what a failure said


def fuzz(reader: FuzzedReader, first: int, count: int) -> list[str]:
    """Cases `first` to `first + count` of a reader; the failures, with their seeds."""
    failures = []
    place = Path(tempfile.mkdtemp(dir=quick_place()))
    try:
        folder = reader.lay_out(place / "data")
        reader.read(folder)  # as it should be; what it imports is not the case's
        with little_memory():
            for number in range(first, first + count):
                seed = random.Random(f"{reader.name} {number}").getrandbits(64)
                try:
                    reader.case(folder, seed)
                except Exception as error:
                    failures.append(f"{reader.name}: seed {seed}: {type(error).__name__}: {error}"[:MOST_SAID])
    finally:
        shutil.rmtree(place)
    return failures


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--cases", type=int, default=20_000, help="of each reader")
    options.add_argument("--counts", type=Path, help="JSON of counts by reader, read and written")
    options.add_argument("--only", help="a part of the readers' names", default="")
    given = options.parse_args()
    counts: dict[str, int] = {}
    if given.counts is not None and given.counts.is_file():
        counts = json.loads(given.counts.read_text(encoding="utf-8"))
    end = time.monotonic() + 60 * given.minutes
    names = [name for name in READERS if given.only in name]
    while left := [name for name in names if counts.get(name, 0) < given.cases]:
        for name in sorted(left, key=lambda name: counts.get(name, 0)):
            if time.monotonic() > end:
                return
            count = min(A_TURN, given.cases - counts.get(name, 0))
            for failure in fuzz(READERS[name], counts.get(name, 0), count):
                print(failure, flush=True)
            counts[name] = counts.get(name, 0) + count
            if given.counts is not None:
                given.counts.write_text(json.dumps(counts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
