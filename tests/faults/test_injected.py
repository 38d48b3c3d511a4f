"""Random kills, torn files and full disks in every verb: a restart ends with the bytes of an undisturbed run.

By hand, more of them, and the long verbs in every third round at least: FAULT_KILLS=100 FAULT_TORN=20 FAULT_FULL=20
FAULT_MOUNTED=20 FAULT_SELDOM=3 pytest -n 0 -m slow -s tests/faults/test_injected.py
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_corpus
from tests.faults.conftest import Inputs

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="forks, and limits files")]

KILLS = int(os.environ.get("FAULT_KILLS", "12"))
TORN = int(os.environ.get("FAULT_TORN", "6"))
FULL = int(os.environ.get("FAULT_FULL", "6"))
MOUNTED = int(os.environ.get("FAULT_MOUNTED", "6"))
SEED = int(os.environ.get("FAULT_SEED", "0"))
WITHOUT = os.environ.get("FAULT_WITHOUT", "").split(",")  # verbs, where time is short
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
INTERRUPTED = 130
ROOM_BYTES = 2**30
METADATA = "Metadata-Version: 2.1\nName: faulty-tts\nVersion: 1.0\n"
ENTRY_POINTS = "[data_synth.engines]\nfaulty = faulty_tts:FakeEngine\n"
SAME, CLEAR, WRONG = "same result", "clear error", "wrong"


@dataclass
class Verbs:
    """Command lines by name, where each writes, and what an undisturbed run of each has written."""

    inputs: Inputs
    recipe: Path
    work: Path
    undisturbed: dict[str, tuple[dict[str, Any], float]] = field(default_factory=dict)

    def names(self) -> list[str]:
        every = [*self.inputs.writing(Path("out")), "synthesize shar", "adapt"]
        return [name for name in every if name not in WITHOUT]

    def arguments(self, name: str, folder: Path) -> list[object]:
        out = folder / "out"
        if name == "adapt":
            return ["adapt", self.recipe, "--out", out, "--quiet"]
        written = self.inputs.writing(out)
        if name == "synthesize shar":
            return [*written["synthesize"], "--storage", "shar", "--clips-per-tar", "4"]
        return written[name]

    def expected(self, name: str) -> tuple[dict[str, Any], float]:
        """What an undisturbed run writes, and the seconds it takes."""
        from tests.faults.forked import contents, run

        if name not in self.undisturbed:
            place = self.work / "undisturbed"
            place.mkdir()
            ended = run(self.arguments(name, place))
            assert ended.status == 0, (name, ended.said)
            self.undisturbed[name] = _located(contents(place), place), ended.seconds
            shutil.rmtree(place)
        return self.undisturbed[name]

    def restarted(self, name: str, place: Path) -> tuple[str, str]:
        """Start again what a fault has ended: how it came out, and what it said."""
        from tests.faults.forked import contents, leftovers, run

        ended = run(self.arguments(name, place))
        whole, _ = self.expected(name)
        found = _located(contents(place), place)
        if found == whole and (ended.status == 0 or ended.in_one_line) and not leftovers(place):
            return SAME, ended.said
        if ended.in_one_line and all(whole.get(file) == content for file, content in found.items()):
            return CLEAR, ended.said
        different = [file for file in {*found, *whole} if found.get(file) != whole.get(file)]
        return WRONG, f"{different} {leftovers(place)} {ended.said}"


def _located(found: dict[str, Any], place: Path) -> dict[str, Any]:
    """The folder's own path, in whatever says it, is `HERE`."""
    return {name: _placeless(content, str(place)) for name, content in found.items()}


def _placeless(value: Any, place: str) -> Any:
    if isinstance(value, str):
        return value.replace(place, "HERE")
    if isinstance(value, dict):
        return {key: _placeless(one, place) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_placeless(one, place) for one in value]
    return value


def _corpus(folder: Path) -> None:
    """60 noises in four domains; no text and no speaker of the test is in training."""
    make_corpus(folder, 60, domains=("menu", "clock", "road", "rest", "rest"))
    lines = (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines]
    for number, row in enumerate(rows[1:]):
        row[1], row[3] = f"{row[1]} {number}", f"s{number % 9}"
    (folder / "metadata.csv").write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def verbs(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory, small_whisper: Path) -> Iterator[Verbs]:
    """Everything is imported before the first fork."""
    import lhotse.cut
    import torch
    import transformers.models.whisper

    from data_synth.engines import ENGINES, load_engine
    from tests.data_synth import fake_tts

    del lhotse, transformers
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("injected")
    shutil.copy(Path(fake_tts.__file__), folder / "faulty_tts.py")  # for worker processes, which are new
    (folder / "faulty_tts-1.0.dist-info").mkdir()
    (folder / "faulty_tts-1.0.dist-info" / "METADATA").write_text(METADATA)
    (folder / "faulty_tts-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    ENGINES.refresh()
    load_engine.cache_clear()
    _corpus(folder / "recipe" / "data")
    content = {
        "title": "noises",
        "base": str(small_whisper),
        "corpus": {"kind": "folder", "path": "data"},
        "split": {"target_domains": ["menu"], "field": "split", "source_dev": {"speakers": 1}},
        "synthesis": {side: {"engines": ["faulty:low"], "gates": None} for side in ("source", "target")},
        "training": {"epochs": 1, "precision": "fp32"},
        "systems": ["zero_shot", "target_synthetic", "analogy"],
        "scale_selection": {"strategy": "fixed"},
    }
    (folder / "recipe" / "recipe.yaml").write_text(json.dumps(content))
    yield Verbs(inputs, folder / "recipe", folder)
    sys.path.remove(str(folder))
    ENGINES.refresh()
    torch.set_num_threads(threads)


MOST_SELDOM = int(os.environ.get("FAULT_SELDOM", "10"))  # rounds
SELDOM = {
    name: min(rounds, MOST_SELDOM) for name, rounds in {"adapt": 10, "finetune": 2, "shorten": 2, "widen": 2}.items()
}
"""Verbs that take long: one round in so many."""


def _in_turn(names: list[str], count: int) -> list[str]:
    """So many names: every verb in every round, those that take long in some."""
    rounds = itertools.count()
    every = (name for at in rounds for name in names if at % SELDOM.get(name, 1) == 0)
    return list(itertools.islice(every, count))


def _why(how: str, said: str) -> str:
    return "" if how == SAME else f": {said.strip()[-600:]}"


def _report(what: str, counts: Counter[str], wrong: list[str]) -> None:
    print(f"\n{what}: " + ", ".join(f"{counts[how]} {how}" for how in (SAME, CLEAR, WRONG)))
    print("\n".join(wrong))
    assert not wrong


def test_random_kills(verbs: Verbs) -> None:
    from tests.faults.forked import run

    dice, counts, wrong = random.Random(SEED), Counter[str](), []
    for number, name in enumerate(_in_turn(verbs.names(), KILLS)):
        sent = SIGNALS[dice.randrange(len(SIGNALS))]
        _, seconds = verbs.expected(name)
        after_s = dice.uniform(0, seconds)
        place = verbs.work / f"kill-{number}"
        place.mkdir()
        ended = run(verbs.arguments(name, place), signal_number=sent, after_s=after_s)
        how, said = verbs.restarted(name, place)
        if sent == signal.SIGINT and ended.status not in (0, INTERRUPTED):
            how, said = WRONG, f"Ctrl-C: {ended.status} {ended.said}"
        counts[how] += 1
        print(f"{number} {name} {sent.name} after {after_s:.2f} of {seconds:.2f} s: {how}{_why(how, said)}", flush=True)
        if how == WRONG:
            wrong.append(f"{number} {name} {sent.name} after {after_s:.2f} of {seconds:.2f} s: {said}")
        shutil.rmtree(place)
    _report("kills", counts, wrong)


def test_full_disks(verbs: Verbs) -> None:
    """A write fails midway, at any size; the run says so in one line, leaves nothing half, and ends well with room."""
    from tests.faults.forked import leftovers, run

    dice, counts, wrong = random.Random(SEED + 1), Counter[str](), []
    for number, name in enumerate(_in_turn(verbs.names(), FULL)):
        place = verbs.work / f"full-{number}"
        place.mkdir()
        verbs.expected(name)
        limit = int(10 ** dice.uniform(0, 6.5))
        ended = run(verbs.arguments(name, place), file_bytes=limit)
        if ended.status != 0 and not ended.in_one_line:
            how, said = WRONG, f"{ended.status} {ended.said}"
        elif ended.status == 2 and name not in ("adapt",) and leftovers(place):
            how, said = WRONG, f"left: {leftovers(place)}"
        else:
            how, said = verbs.restarted(name, place)
            how = CLEAR if how == SAME and ended.status == 2 else how
        counts[how] += 1
        print(f"{number} {name} files up to {limit} bytes: {how}{_why(how, said)}", flush=True)
        if how == WRONG:
            wrong.append(f"{number} {name} files up to {limit} bytes: {said}")
        shutil.rmtree(place)
    _report("full disks: the run in one line, the restart the same", counts, wrong)


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Callable[[int], None]]:
    """A disk of so many bytes at a place, in memory; what is given takes another size. Skips where nobody may mount."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    found = subprocess.run(mount, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"a disk cannot be mounted here: {found.stderr.strip()}")

    def resize(wanted: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={wanted}", str(place)], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
        place.rmdir()


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no `mount`")
def test_small_disks(verbs: Verbs) -> None:
    """A disk of any size that is too small: one line, nothing half; with room the same command ends well."""
    from tests.faults.forked import leftovers, run

    dice, counts, wrong = random.Random(SEED + 3), Counter[str](), []
    for number, name in enumerate(_in_turn(verbs.names(), MOUNTED)):
        verbs.expected(name)
        size = int(10 ** dice.uniform(4.1, 7.3))
        place = verbs.work / f"disk-{number}"
        with small_disk(place, size) as resize:
            ended = run(verbs.arguments(name, place))
            if ended.status != 0 and not ended.in_one_line:
                how, said = WRONG, f"{ended.status} {ended.said}"
            elif ended.status == 2 and name not in ("adapt",) and leftovers(place):
                how, said = WRONG, f"left: {leftovers(place)}"
            else:
                resize(ROOM_BYTES)
                how, said = verbs.restarted(name, place)
                how = CLEAR if how == SAME and ended.status == 2 else how
        counts[how] += 1
        print(f"{number} {name} on a disk of {size} bytes: {how}{_why(how, said)}", flush=True)
        if how == WRONG:
            wrong.append(f"{number} {name} on a disk of {size} bytes: {said}")
    _report("small disks: the run in one line, the restart the same", counts, wrong)


TEARABLE = {
    "synthesize": ("settings.json", "ledger.jsonl", "cuts.jsonl.gz", ".lock"),
    "synthesize shar": ("settings.json", "ledger.jsonl", "shar/*"),
    "adapt": ("stages/*/*", "stages/*/*/*", "*.json", "*.sha256", "*.md", "hypotheses/*", "model/*"),
}
"""What is torn: records, shards, and all that a run of stages has made."""


def test_torn_files(verbs: Verbs) -> None:
    """A file of a finished folder is cut to a part or to nothing: the next run makes it anew, or says what is wrong."""
    from tests.faults.forked import run

    dice, counts, wrong = random.Random(SEED + 2), Counter[str](), []
    whole: dict[str, Path] = {}
    for number in range(TORN):
        name = dice.choice([name for name in TEARABLE if name not in WITHOUT])
        verbs.expected(name)
        place = verbs.work / "torn"
        if name in whole:
            shutil.copytree(whole[name], place, symlinks=True)
        else:
            place.mkdir()
            assert run(verbs.arguments(name, place)).status == 0
            whole[name] = verbs.work / f"whole-{name.replace(' ', '-')}"
            shutil.copytree(place, whole[name], symlinks=True)
        files = [file for pattern in TEARABLE[name] for file in sorted((place / "out").glob(pattern)) if file.is_file()]
        file = dice.choice(files)
        size = dice.choice((0, dice.randrange(max(1, file.stat().st_size))))
        content = file.read_bytes()[:size]
        file.unlink()  # another name may share it
        file.write_bytes(content)
        how, said = verbs.restarted(name, place)
        counts[how] += 1
        print(f"{number} {name} {file.relative_to(place)} cut to {size}: {how}{_why(how, said)}", flush=True)
        if how == WRONG:
            wrong.append(f"{number} {name} {file.relative_to(place)} cut to {size}: {said}")
        shutil.rmtree(place)
    _report("torn files", counts, wrong)
