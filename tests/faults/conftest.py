"""What fault tests share: an engine of tones that some seeds and voices fail in, in this process alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lhotse import CutSet

from data_synth.engines import ENGINES, load_engine
from speech_analogy.cli import main as cli
from tests.cli.running import ENVIRONMENT
from tests.data_synth.fake_tts import FakeEngine

Verb = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Inputs:
    """What the verbs are given: models, a vector, cuts, an audio file, and the folder of texts and a merge file."""

    model: Path
    tuned: Path
    vector: Path
    cuts: Path
    audio: Path
    folder: Path

    def writing(self, out: Path) -> dict[str, list[object]]:
        """By name, a command line that writes `out`, for every verb that writes."""
        corpus = self.audio.parent
        return {
            "corpus import": ["corpus", "import", "folder", corpus, "--out", out.with_suffix(".jsonl.gz")],
            "finetune": ["finetune", self.cuts, "--base", self.model, "--out", out, "--epochs", "1"],
            "shorten": ["shorten", self.model, "--audio", self.cuts, "--out", out, "--epochs", "1"],
            "widen": ["widen", self.tuned, "--audio", self.cuts, "--out", out, "--epochs", "1"],
            "transcribe": ["transcribe", self.audio, "--model", self.model, "--out", out],
            "evaluate": ["evaluate", self.cuts, "--model", self.model, "--out", out],
            "export": ["export", self.model, "--to", "transformers", "--out", out],
            "merge": ["merge", self.folder / "merge.yaml", "--out", out],
            "analogy": ["analogy", "--c", self.model, "--plus", self.tuned, "--minus", self.model, "--out", out],
            "vector extract": ["vector", "extract", "--base", self.model, "--tuned", self.tuned, "--out", out],
            "vector apply": ["vector", "apply", self.vector, "--base", self.model, "--out", out],
            "vector add": ["vector", "add", self.vector, self.vector, "--out", out],
            "vector negate": ["vector", "negate", self.vector, "--out", out],
            "vector average": ["vector", "average", self.vector, self.vector, "--out", out],
            "vector compress": ["vector", "compress", self.vector, "--out", out, "--keep", "0.5"],
            "vector compare": ["vector", "compare", self.vector, self.vector, "--out", out.with_suffix(".json")],
            "vector card": ["vector", "card", self.vector, "--out", out],
            "vector gap": ["vector", "gap", "--real", self.tuned, "--synthetic", self.folder / "twin", "--out", out],
            "synthesize": ["synthesize", self.folder / "texts.txt", "--engines", "faulty:low", "--out", out],
        }


@pytest.fixture
def faulty_engine() -> Iterator[str]:
    """The name of the engine; its voices are the fake engine's."""
    ENGINES.add("faulty", FakeEngine)
    load_engine.cache_clear()
    yield "faulty"
    ENGINES.remove("faulty")
    load_engine.cache_clear()


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Verb:
    """`verb(*arguments)`: what `speech-analogy ARGUMENTS` prints in this process, and the status it ends with."""

    def called(*arguments: object) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            for name, value in {**ENVIRONMENT, "OMP_WAIT_POLICY": "PASSIVE"}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["speech-analogy", *map(str, arguments)])
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                cli.main()
        status = ended.value.code
        return subprocess.CompletedProcess(arguments, status if isinstance(status, int) else 0, *capfd.readouterr())

    return called


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory, small_whisper: Path, noises: CutSet) -> Inputs:
    """Something for every verb to work on, as small as it can be."""
    from speech_analogy.corpora.read import write_cuts
    from speech_analogy.merging.io.checkpoints import open_checkpoint
    from speech_analogy.merging.io.fingerprint import fingerprint
    from speech_analogy.merging.verbs import extract
    from speech_analogy.recognisers.whisper.folder import write_folder
    from speech_analogy.recognisers.windows import window_record
    from tests.conftest import small_whisper_tensors

    folder = tmp_path_factory.mktemp("inputs")
    few = CutSet.from_cuts(list(noises)[:4])
    write_cuts(few, folder / "cuts.jsonl.gz")
    record = {
        "base": "small.en",
        "window": window_record("trimmed"),
        "base_fingerprint": fingerprint(open_checkpoint(small_whisper)),
    }
    for number, name in enumerate(("tuned", "twin"), start=1):
        write_folder(small_whisper_tensors(seed=number), folder / name, record, folder / name)
    tuned = folder / "tuned"
    extract(small_whisper, tuned, folder / "vector.safetensors")
    (folder / "merge.yaml").write_text(
        f"merge_method: linear\nmodels:\n- model: {small_whisper}\n  parameters: {{weight: 0.5}}\n"
        f"- model: {tuned}\n  parameters: {{weight: 0.5}}\n"
    )
    (folder / "texts.txt").write_text("one two\nthree four\n")
    audio = Path(next(iter(few)).recording.sources[0].source)
    return Inputs(small_whisper, tuned, folder / "vector.safetensors", folder / "cuts.jsonl.gz", audio, folder)
