"""Spoils what a reader is given under the eyes of atheris, which keeps what reaches code that no earlier case did.

    python -m tests.faults.atheris_harness texts --runs 5000
    python -m tests.faults.atheris_harness --list

The valid files are the first inputs; each run replaces one of them. A case may end in a value or in one line, as in
`fuzzing.py`; anything else ends the run with status 77, and what was given is kept in the folder --keep.
"""

from __future__ import annotations

import argparse
import atexit
import hashlib
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.fuzzing import little_memory, quick_place, remove, value_or_one_line

if TYPE_CHECKING:
    from tests.faults.fuzzing import FuzzedReader

INSTRUMENTED = ["speech_analogy", "data_synth"]
LONGEST_INPUT = 4096  # bytes: longer ones take more time than they find
RSS_LIMIT = "-rss_limit_mb=0"  # a case may take 1 GB beyond what the process has: `little_memory` sees to it


@dataclass
class Case:
    """Reads one input in the place of one of the reader's files; the first byte says of which."""

    reader: FuzzedReader
    folder: Path
    keep: Path
    runs: int = 0

    def __call__(self, data: bytes) -> None:
        self.runs += 1
        names = sorted(self.reader.files)
        name = names[data[0] % len(names)] if data else names[0]
        file = self.folder / name
        file.write_bytes(data[1:])
        try:
            value_or_one_line(lambda: self.reader.read(self.folder))
        except BaseException:
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
            raise
        finally:
            remove(file)
            file.write_bytes(self.reader.files[name])


def first_inputs(reader: FuzzedReader, folder: Path) -> None:
    """The valid files, each behind the byte that names it."""
    folder.mkdir(parents=True)
    for number, name in enumerate(sorted(reader.files)):
        (folder / str(number)).write_bytes(bytes([number]) + reader.files[name])


def main() -> None:
    """Fuzz one reader; ends with the first thing that is neither a value nor one line."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("reader", nargs="?")
    asked.add_argument("--runs", type=int, default=1000)
    asked.add_argument("--keep", type=Path, default=Path("atheris-found"))
    asked.add_argument("--list", action="store_true")
    given = asked.parse_args()
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.faults.atheris_readers import READERS
    if given.list or given.reader not in READERS:
        print("\n".join(READERS))
        sys.exit(0 if given.list else 2)
    reader = READERS[given.reader]
    place = Path(tempfile.mkdtemp(dir=quick_place()))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    case = Case(reader, reader.lay_out(place / "data"), given.keep.absolute())
    first_inputs(reader, place / "corpus")
    reader.read(case.folder)  # as it should be; what it imports is not the case's
    with little_memory():
        atheris.Setup(
            [sys.argv[0], f"-atheris_runs={given.runs}", f"-max_len={LONGEST_INPUT}", RSS_LIMIT, str(place / "corpus")],
            case,
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
