"""phone_line in other languages and the SLURP rehearsal, run whole on a slice: small random models, few utterances."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from speech_analogy.adaptation.recipe import load_recipe
from speech_analogy.adaptation.runs.adapt import adapt, plan_of
from speech_analogy.adaptation.runs.domains import describe_domains, do_domains, plan_domains
from speech_analogy.corpora.read import read_corpus, read_cuts
from speech_analogy.evaluation.normalise import normaliser_name
from speech_analogy.recognisers.model_record import provenance
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from tests.adaptation.building import stages_in_this_process
from tests.conftest import RATE_HZ, REPOSITORY, SHARED, recipe_script
from tests.small_conformer import make_conformer

RECIPES = REPOSITORY / "recipes"
SLICE = ["scales=[1]", "training.epochs=1", "training.precision=fp32", "training_of={}"]
TWO = "systems=[target_synthetic, analogy]"
ESPEAK = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
SPANISH = {"letters": ["a", "be", "ce"], "digits": ["uno", "dos", "tres"], "vm": ["mensaje nuevo", "adiós", "gracias"]}


def _phone_line(folder: Path) -> Path:
    """Noises with Spanish texts in the form of phone_line's data."""
    generator = np.random.default_rng(0)
    (folder / "audio").mkdir(parents=True)
    rows = []
    for domain, texts in SPANISH.items():
        for number, text in enumerate(texts * 2):
            name = f"audio/{domain}-{number}.wav"
            soundfile.write(folder / name, generator.uniform(-0.3, 0.3, RATE_HZ).astype(np.float32), RATE_HZ)
            rows.append({"file_name": name, "id": f"{domain}-{number}", "text": text, "domain": domain, "speaker": "s"})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def _phone_slice(base: Path) -> list[str]:
    return [
        *SLICE, TWO, f"base={base}", "channel=null", "split.target_domains=[letters, digits]", "split.target_dev=null",
        "split.source_dev={prompts: 1}", "scale_chosen_on=[source_dev]", "synthesis.source.gates=null",
        "synthesis.target.gates=null", "synthesis.target.voices_per_text=1",
    ]  # fmt: skip


@ESPEAK
def test_phone_line_in_spanish(small_multilingual: Path, tmp_path: Path) -> None:
    """The language reaches voices, prompt, normaliser and the record of the model."""
    data = _phone_line(tmp_path / "data")
    run = tmp_path / "run"
    overrides = _phone_slice(small_multilingual)
    with stages_in_this_process():
        done = adapt(RECIPES / "phone_line_es", run, overrides=overrides, data=data, progress=False)
    assert done.results.test.normaliser == normaliser_name("es")
    [file] = (run / "stages").glob("synthesise-target-*/cuts.jsonl.gz")
    cuts = list(read_cuts(file))
    assert {cut.supervisions[0].language for cut in cuts} == {"es"}
    assert all(cut.custom["voice"].startswith("es") for cut in cuts)
    [model] = (run / "stages").glob("finetune-target_synthetic-*/model")
    assert provenance(model)["language"] == "es"
    prompt = WhisperRecogniser(model, language="es").prompt
    tokens = WhisperRecogniser(model, language="es").tokenizer.convert_ids_to_tokens(prompt)
    assert tokens[1:3] == ["<|es|>", "<|transcribe|>"]


@ESPEAK
def test_the_same_recipe_with_a_conformer(tmp_path: Path) -> None:
    """A, B, C, the analogy and the evaluation with a CTC model in Whisper's place."""
    data = _phone_line(tmp_path / "data")
    base = make_conformer(tmp_path / "conformer")
    overrides = [*_phone_slice(base), "systems=[zero_shot, target_synthetic, mixed, analogy]"]
    with stages_in_this_process():
        done = adapt(RECIPES / "phone_line_es", tmp_path / "run", overrides=overrides, data=data, progress=False)
    assert [system.name for system in done.results.systems] == ["zero_shot", "target_synthetic", "mixed", "analogy"]
    assert {system.window for system in done.results.systems} == {"trimmed"}
    assert done.model is not None
    for name in ("vocab.json", "preprocessor_config.json", "config.json"):
        assert (done.model / name).is_file()


@ESPEAK
@pytest.mark.parametrize("language", ["es", "fr", "it"])
def test_language_recipes_are_whole(language: str, tmp_path: Path) -> None:
    """Each is the English one but for language, base, voices, words and one system more, and its voices exist."""
    from data_synth.plan.voices import find_voices

    own, _ = load_recipe(RECIPES / f"phone_line_{language}")
    english, _ = load_recipe(RECIPES / "phone_line")
    assert own.language == language
    changed = {"title", "note", "base", "language", "synthesis"}
    assert own.model_dump(exclude=changed) == english.model_dump(exclude=changed)
    voices = find_voices(own.synthesis.target.engines)
    assert len(voices) == own.synthesis.target.voices_per_text
    assert all(voice.name.startswith(language) for voice in voices)
    _, plan = plan_of(
        RECIPES / f"phone_line_{language}",
        tmp_path,
        data=_phone_line(tmp_path / "data"),
        overrides=["split.target_domains=[letters]", "split.source_dev={prompts: 2}", "split.target_dev={prompts: 1}"],
    )
    assert {"finetune-source_real", "choose-scale", "analogy"} <= set(plan.stages)


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    return recipe_script("slurp")


@pytest.fixture(scope="module")
def slurp(prepare: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three training texts and one test text of each scenario, spoken by flite."""
    if not (SHARED / "slurp_text").is_dir():
        pytest.skip("SLURP's texts are not beside the checkout (../shared/data/slurp_text)")
    if shutil.which("flite") is None:
        pytest.skip("needs flite")
    pytest.importorskip("pyroomacoustics", reason="pyroomacoustics is not installed")
    out = tmp_path_factory.mktemp("slurp") / "data"
    made: int = prepare.prepare(SHARED / "slurp_text", out, {"train": 3, "test": 1})
    assert 60 <= made <= 72  # some clips may be rejected by the gates
    return out


def test_rehearsal_data_have_slurps_layout(slurp: Path) -> None:
    """Both microphones, the readers' domains and speakers, and a label that says what they are."""
    cuts = read_corpus("slurp", slurp, progress=False).cuts
    assert {cut.custom["microphone"] for cut in cuts} == {"headset", "far"}
    assert {cut.custom["split"] for cut in cuts} == {"train", "test"}
    assert len({cut.custom["domain"] for cut in cuts}) == 18
    assert {cut.supervisions[0].speaker for cut in cuts} <= {"FE-901", "ME-902", "MO-903", "ME-904"}
    texts = {cut.supervisions[0].text for cut in cuts if cut.custom["split"] == "test"}
    real = {json.loads(line)["sentence"] for line in (SHARED / "slurp_text/test.jsonl").read_text().splitlines()}
    assert texts <= real
    assert (slurp / "REHEARSAL.txt").read_text().startswith("REHEARSAL")
    assert not (slurp / ".making").exists()


@pytest.mark.slow
def test_rehearsal_of_one_target(slurp: Path, small_whisper: Path, tmp_path: Path) -> None:
    pytest.importorskip("hibari", reason="hibari-tts is not installed")
    overrides = [*SLICE, TWO, f"base={small_whisper}", "split.source_utterances=12", "split.source_dev={prompts: 2}"]
    overrides += ["synthesis.source.gates=null", "synthesis.target.gates=null", "synthesis.target.voices_per_text=1"]
    recipe = RECIPES / "slurp" / "rehearsal.yaml"
    job = plan_domains(recipe, tmp_path / "run", overrides=overrides, data=slurp)
    assert len(job.targets) == 18
    assert "18 targets" in describe_domains(job, 2)
    one = plan_domains(recipe, tmp_path / "run", overrides=overrides, data=slurp, domains=["alarm"])
    with stages_in_this_process():
        do_domains(one, workers=1, progress=False)
    text = (tmp_path / "run" / "domains.md").read_text(encoding="utf-8")
    assert text.startswith("# Rehearsal of SLURP")
    assert "REHEARSAL, no result about SLURP" in text
    assert "| alarm |" in text
    assert "REHEARSAL" in (tmp_path / "run" / "targets" / "alarm" / "results.json").read_text()


def test_the_papers_recipe_speaks_a_domain_once() -> None:
    """Equal synthesis on both sides: C of the one is A of the other seventeen."""
    recipe, _ = load_recipe(RECIPES / "slurp")
    assert recipe.synthesis.source == recipe.synthesis.target
    assert len(recipe.split.target_domains) == 18
    assert recipe.scale_chosen_on == ("source_dev",)
