"""Every example of CONTRIBUTING.md is taken from the page, installed, and used through the public doors."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from data_synth.engines import ENGINES, load_engine
from data_synth.plan.options import SynthesisOptions
from data_synth.synthesize import synthesize
from data_synth.text.texts import Text
from speech_analogy.adaptation.execution.protocol import make_executor
from speech_analogy.adaptation.execution.schedule import execute
from speech_analogy.cli.main import main
from speech_analogy.corpora.read import read_cuts
from speech_analogy.errors import ConfigError
from speech_analogy.evaluation.transcribe import transcribe
from speech_analogy.recognisers.families import family_of
from tests.adaptation.execution.processes import plan_of_processes
from tests.conftest import REPOSITORY
from tests.small_conformer import SIGNS, make_conformer

PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
PYPROJECT = "pyproject.toml"
MOST_FILES = 2
EXAMPLE = re.compile(r"^`([\w./-]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| \[(.+?)\]\(#(.+?)\) \| (.+?) \| (.+?) \|$", re.MULTILINE)
RATE_HZ = 16_000

SECTIONS = {
    title.lower(): text
    for title, _, text in (part.partition("\n") for part in re.split("^### ", PAGE, flags=re.MULTILINE)[1:])
}
EXAMPLES = {title: EXAMPLE.findall(text) for title, text in SECTIONS.items()}
ROWS = {title: (anchor, re.findall("`(.+?)`", files)) for title, anchor, files, _ in ROW.findall(PAGE)}
EXTENSIBLE = (
    "a tts engine",
    "a merge method",
    "a recogniser family",
    "a system",
    "an executor",
    "an export format",
    "a corpus reader",
)
"""What can be added."""


def _files(title: str) -> dict[str, str]:
    """File -> what is added to it, in one example."""
    return dict(EXAMPLES[title])


def _entry_points(title: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = tomllib.loads(_files(title)[PYPROJECT])["project"]["entry-points"]
    return found


@pytest.mark.parametrize("title", EXTENSIBLE)
def test_an_extension_is_at_most_one_new_file_and_one_line(title: str) -> None:
    rows = {row.lower(): value for row, value in ROWS.items()}
    assert set(rows) == set(EXAMPLES) == set(EXTENSIBLE)
    anchor, named = rows[title]
    assert anchor == title.replace(" ", "-")
    assert len(named) <= MOST_FILES
    files = _files(title)
    assert files, "there is no example"
    assert len(files) == len(EXAMPLES[title]) == len(named), "a file of the table has no block, or two"
    new = [file for file in files if not (REPOSITORY / file).exists()]
    assert len(new) <= 1
    for file, pattern in zip(files, named, strict=True):
        assert re.fullmatch(pattern.replace("NAME", r"\w+"), file)
    if PYPROJECT in files:
        ((group, lines),) = _entry_points(title).items()
        known = tomllib.loads((REPOSITORY / PYPROJECT).read_text(encoding="utf-8"))["project"]["entry-points"][group]
        ((name, place),) = lines.items()
        assert name not in known
        assert place.partition(":")[0] == new[0].removesuffix(".py").replace("/", ".")


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The examples' new files in their rooms, and their lines where pip would leave those of a package."""
    root, packages = tmp_path_factory.mktemp("house"), tmp_path_factory.mktemp("site-packages")
    record = packages / "examples-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: examples\nVersion: 1.0\n")
    lines: list[str] = []
    rooms: list[tuple[list[str], str]] = []
    modules: list[str] = []
    for title in EXTENSIBLE:
        for file, content in _files(title).items() if PYPROJECT in _files(title) else ():
            if file == PYPROJECT:
                ((group, points),) = _entry_points(title).items()
                lines += [f"[{group}]", *(f"{name} = {place}" for name, place in points.items())]
                continue
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            modules.append(file.removesuffix(".py").replace("/", "."))
            rooms.append((importlib.import_module(modules[-1].rpartition(".")[0]).__path__, str(path.parent)))
    (record / "entry_points.txt").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(packages))
        for places, folder in rooms:
            places.append(folder)
        ENGINES.refresh()
        yield
        for places, folder in rooms:
            places.remove(folder)
        for module in modules:
            sys.modules.pop(module, None)
    ENGINES.refresh()
    load_engine.cache_clear()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`run(*arguments)`: what `speech-analogy ARGUMENTS` prints; it ends well."""

    def here(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["speech-analogy", *map(str, arguments)])
        monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capfd.readouterr()
        assert not ended.value.code, printed.err
        return printed.out

    return here


def test_the_engine_speaks(tmp_path: Path) -> None:
    options = SynthesisOptions.parse({"engines": ["tones"], "voices_per_text": 2, "isolated": False})
    report = synthesize([Text("t", "red green blue", "colours")], tmp_path / "clips", options, progress=False)
    assert report.kept == 2
    cuts = read_cuts(tmp_path / "clips" / "cuts.jsonl.gz")
    assert {cut.supervisions[0].speaker for cut in cuts} == {"tones:low", "tones:high"}
    assert {cut.supervisions[0].text for cut in cuts} == {"red green blue"}
    assert all(cut.duration > 0.9 for cut in cuts)


def test_the_merge_method_merges(tmp_path: Path, run: Callable[..., str]) -> None:
    values = {"base": [1.0, 1.0, 1.0, 1.0], "a": [2.0, 0.0, 3.0, 1.0], "b": [4.0, -2.0, -3.0, 5.0]}
    for name, tensor in values.items():
        save_file({"layer.weight": torch.tensor(tensor)}, tmp_path / f"{name}.safetensors")
    models = [{"model": str(tmp_path / f"{name}.safetensors")} for name in "ab"]
    content = {"merge_method": "unanimous", "base_model": str(tmp_path / "base.safetensors"), "models": models}
    (tmp_path / "merge.yaml").write_text(yaml.safe_dump({**content, "parameters": {"lambda": 0.5}}))
    run("merge", tmp_path / "merge.yaml", "--out", tmp_path / "merged", "--quiet")
    merged = load_file(tmp_path / "merged" / "model.safetensors")["layer.weight"]
    assert merged.tolist() == [2.0, 0.0, 1.0, 1.0]  # 1 + 0.5 (1 + 3) / 2; 1 - 0.5 (1 + 3) / 2; 2 and -4; 0 and 4


def test_the_family_transcribes(tmp_path: Path) -> None:
    model = make_conformer(tmp_path / "model")  # for its vocabulary
    config = Wav2Vec2Config(
        vocab_size=len(SIGNS),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm="layer",
        pad_token_id=0,
    )
    Wav2Vec2ForCTC(config).save_pretrained(model)
    sound = np.random.default_rng(0).uniform(-0.3, 0.3, 2 * RATE_HZ)
    soundfile.write(tmp_path / "noise.wav", sound, RATE_HZ)
    assert family_of(model).name == "wav2vec 2.0"
    assert not family_of(model).can_be_shortened
    first, again = (transcribe(tmp_path / "noise.wav", model, progress=False).transcripts for _ in range(2))
    assert first == again
    assert set(first[0].text) <= set(" ".join(SIGNS))


SYSTEM_PROGRAM = """
import sys
import speech_analogy.systems
speech_analogy.systems.__path__.insert(0, sys.argv.pop(1))
from speech_analogy.cli.main import main
main()
"""


def test_the_system_is_planned(tmp_path: Path) -> None:
    """In a process of its own: what a recipe may name is settled when it is imported."""
    file = "speech_analogy/systems/entries.py"
    catalogue = (REPOSITORY / file).read_text(encoding="utf-8")
    assert catalogue.endswith("    ),\n)\n")
    entry = textwrap.indent(_files("a system")[file].rstrip(), "    ")
    longer = catalogue.removesuffix(")\n") + entry + ",\n)\n"
    (tmp_path / "entries.py").write_text(longer, encoding="utf-8")
    name = "mean_of_target_synthetic_and_source_real"
    recipe, out = REPOSITORY / "recipes" / "phone_line", tmp_path / "run"
    arguments = [tmp_path, "adapt", recipe, "--dry-run", "--out", out, "--set", f"systems=[{name}]"]
    done = subprocess.run(
        [sys.executable, "-c", SYSTEM_PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "120"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (stage,) = [line for line in done.stdout.splitlines() if line.startswith(f"evaluate-{name} ")]
    assert {"finetune-target_synthetic", "finetune-source_real"} <= {
        word.rstrip(",")
        for line in done.stdout.splitlines()
        if line.startswith((name, f"mean-{name}", f"evaluate-{name}"))
        for word in line.split()
    }, stage


def test_the_executor_does_a_plan(tmp_path: Path) -> None:
    plan = plan_of_processes(tmp_path / "run")
    execute(plan, make_executor("inline"), show=False)
    assert not plan.undone()
    assert {(plan.folder(stage.name) / "mark.json").read_text().strip() for stage in plan} == {str(os.getpid())}
    with pytest.raises(ConfigError, match="one worker"):
        make_executor("inline", 2)


def test_the_format_is_exported(tmp_path: Path, small_whisper: Path, run: Callable[..., str]) -> None:
    run("export", small_whisper, "--to", "npz", "--out", tmp_path / "small.npz")
    weights = load_file(small_whisper / "model.safetensors")
    with np.load(tmp_path / "small.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {*weights, "config"}
        assert arrays["config"].tobytes() == (small_whisper / "config.json").read_bytes()
        for name, tensor in weights.items():
            np.testing.assert_array_equal(arrays[name], tensor.float().numpy())


def test_the_corpus_is_imported(tmp_path: Path, run: Callable[..., str]) -> None:
    audio = tmp_path / "wav"
    audio.mkdir()
    soundfile.write(audio / "a.wav", np.zeros(RATE_HZ), RATE_HZ)
    (tmp_path / "list.tsv").write_text("a.wav\tann\tmenu\tred, please\nno columns\nb.wav\tann\tmenu\tblue\n")
    out = tmp_path / "cuts.jsonl.gz"
    printed = run(
        "corpus", "import", "tab-list", tmp_path / "list.tsv", "--out", out, "--option", f"audio={audio}", "-q"
    )
    (cut,) = read_cuts(out)
    assert (cut.supervisions[0].text, cut.supervisions[0].speaker, cut.custom["domain"]) == (
        "red, please",
        "ann",
        "menu",
    )
    assert "must be audio file, speaker, domain, text, with tabs between: 1" in printed
    assert "the audio file is missing: 1" in printed
