"""Several vectors: who gets one, and how they are merged."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from lhotse import CutSet
from safetensors.torch import load_file

from speech_analogy.adaptation.stages.finetuning import training_cuts
from speech_analogy.adaptation.stages.made_models import by_adapter_stage
from speech_analogy.adaptation.stages.params.base import (
    CHOICE_FILE,
    CLUSTERS_FILE,
    MODEL_FOLDER,
    TEXTS_FILE,
    WEIGHTS_FILE,
    Output,
)
from speech_analogy.adaptation.stages.params.model_params import ByAdapterParams, ClustersParams, Group, VectorsParams
from speech_analogy.adaptation.stages.params.training_params import FinetuneParams
from speech_analogy.adaptation.stages.vectors import clusters_stage, in_cluster, similarities, vectors_stage
from speech_analogy.adaptation.stages.work import Work
from speech_analogy.corpora.cuts import speaker_of, text_of
from speech_analogy.corpora.read import read_corpus, write_cuts
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.lineage import require_same_base
from speech_analogy.training.finetune import finetune
from speech_analogy.training.options import FinetuneOptions, LoraOptions
from tests.adaptation.building import model_of, moved, work_of
from tests.conftest import RATE_HZ, make_corpus
from tests.small_conformer import make_conformer

SOURCE = Output("split", "source_train.jsonl.gz")
LORA = LoraOptions(rank=4, alpha=8, modules=("q_proj", "v_proj"))


def test_similarity_by_hand() -> None:
    """Four documents; `a` is in three of them, the other words in one or two."""
    weights = similarities([["a b"], ["a c"], ["d"]], ["a b"])
    a, b, c = math.log(1 + 4 / 3), math.log(1 + 4 / 2), math.log(1 + 4 / 1)
    cosine = a * a / (math.hypot(a, c) * math.hypot(a, b))
    assert weights == pytest.approx([1 / (1 + cosine), cosine / (1 + cosine), 0.0])
    assert similarities([["x"], ["y z"]], ["a"]) == [0.5, 0.5]


@pytest.fixture(scope="module")
def groups(small_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A and B of two domains as a run has them."""
    folder, found = tmp_path_factory.mktemp("groups"), {}
    for seed, name in enumerate(f"finetune-source_{kind}-of-{d}" for kind in ("real", "synthetic") for d in "ab"):
        found[name] = folder / name
        found[name].mkdir()
        moved(small_whisper, found[name] / MODEL_FOLDER, seed)
    split = folder / "split"
    corpus = read_corpus("folder", make_corpus(folder / "corpus", 12), progress=False).cuts
    split.mkdir()
    write_cuts(corpus, split / "source_train.jsonl.gz")
    words = " ".join(text_of(cut) for cut in corpus if cut.custom["domain"] == "a")
    (split / TEXTS_FILE).write_text(json.dumps({"id": "0", "text": words, "domain": "t"}) + "\n")
    return {**found, "split": split, "texts": split}


def _merged(
    groups: dict[str, Path], base: Path, folder: Path, way: str, **more: Any
) -> tuple[Work[VectorsParams], dict[str, Any]]:
    pairs = tuple(
        (model_of(f"finetune-source_real-of-{label}"), model_of(f"finetune-source_synthetic-of-{label}"))
        for label in "ab"
    )
    given = {"density": 1.0, **more}
    params = VectorsParams(base=str(base), base_key="", way=way, groups=("a", "b"), models=pairs, seed=0, **given)
    work = work_of(folder, params, groups)
    vectors_stage(work)
    merged = open_checkpoint(work.folder / MODEL_FOLDER)
    return work, {name: merged[name].clone() for name in merged}


def _differences(groups: dict[str, Path], name: str) -> list[torch.Tensor]:
    def tensor(kind: str, domain: str) -> torch.Tensor:
        return open_checkpoint(groups[f"finetune-source_{kind}-of-{domain}"] / MODEL_FOLDER)[name]

    return [tensor("real", domain) - tensor("synthetic", domain) for domain in "ab"]


@pytest.mark.parametrize("way", ["mean", "dare", "ties", "nearest"])
def test_merged_vectors_in_closed_form(groups: dict[str, Path], small_whisper: Path, tmp_path: Path, way: str) -> None:
    """With nothing left out: means, a weighted mean, and for TIES the mean of those that agree with the sign's sum."""
    texts = {"texts": SOURCE, "target_texts": Output("texts", TEXTS_FILE)}
    told = tuple(Group(label=label, domains=(label,)) for label in "ab")
    work, merged = _merged(groups, small_whisper, tmp_path / way, way, told=told, **texts)
    weights = json.loads((work.folder / WEIGHTS_FILE).read_text())
    if way == "nearest":
        assert sum(weights.values()) == pytest.approx(1)
        assert weights["a"] > weights["b"]
    base = open_checkpoint(small_whisper)
    for name in base:
        one, other = _differences(groups, name)
        if way == "ties":
            sign = torch.sign(one + other)
            agree = torch.stack([torch.sign(values) == sign for values in (one, other)])
            expected = (torch.stack([one, other]) * agree).sum(0) / agree.sum(0).clamp(min=1)
        elif way == "nearest":
            expected = weights["a"] * one + weights["b"] * other
        else:
            expected = (one + other) / 2
        torch.testing.assert_close(merged[name], base[name] + expected, atol=2e-6, rtol=0)


def test_dare_leaves_out_by_its_density(groups: dict[str, Path], small_whisper: Path, tmp_path: Path) -> None:
    _, merged = _merged(groups, small_whisper, tmp_path / "dare", "dare", density=0.25)
    base = open_checkpoint(small_whisper)
    name = max(base, key=lambda key: base[key].numel())
    untouched = (merged[name] == base[name]).double().mean()
    assert float(untouched) == pytest.approx(0.75**2, abs=0.02)


def test_the_merged_model_is_of_the_base(groups: dict[str, Path], small_whisper: Path, tmp_path: Path) -> None:
    work, _ = _merged(groups, small_whisper, tmp_path / "mean", "mean")
    c = groups["finetune-source_real-of-a"] / MODEL_FOLDER
    require_same_base([open_checkpoint(path) for path in (c, work.folder / MODEL_FOLDER, small_whisper)])


@pytest.fixture(scope="module")
def two_sounds(tmp_path_factory: pytest.TempPathFactory) -> CutSet:
    """Six speakers: three of hissing, three of rumbling noise."""
    folder = make_corpus(tmp_path_factory.mktemp("sounds") / "corpus", 18)
    for index, path in enumerate(sorted(folder.glob("*.wav"))):
        noise, _ = soundfile.read(path, dtype="float32")
        changed = np.diff(noise, n=3) / 4 if index % 6 < 3 else np.convolve(noise, np.ones(20) / 20, "same")
        soundfile.write(path, changed.astype(np.float32), RATE_HZ)
    return read_corpus("folder", folder, progress=False).cuts


def test_speakers_are_divided_by_their_sound(two_sounds: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    split = tmp_path / "split"
    split.mkdir()
    write_cuts(two_sounds, split / "source_train.jsonl.gz")
    params = ClustersParams(cuts=SOURCE, base=str(small_whisper), base_key="", clusters=2)
    work = work_of(tmp_path / "clusters", params, {"split": split})
    clusters_stage(work)
    table = json.loads((work.folder / CLUSTERS_FILE).read_text())
    own = table["speakers"]
    hissing = {own[f"s{number}"] for number in range(3)}
    assert len(hissing) == 1
    assert {own[f"s{number}"] for number in range(3, 6)} == {0, 1} - hissing
    (number,) = hissing
    belongs = in_cluster(table, number)
    inside = [cut for cut in two_sounds if belongs(cut, True)]
    assert {speaker_of(cut) for cut in inside} == {"s0", "s1", "s2"}
    said = {text_of(cut) for cut in inside}
    assert all(belongs(cut, False) == (text_of(cut) in said) for cut in two_sounds)
    sets = {"source_real": SOURCE, "source_synthetic": SOURCE}
    tuned = FinetuneParams(
        system="x",
        sets=sets,
        base="x",
        base_key="",
        training=FinetuneOptions(),
        cluster=(Output("clusters", CLUSTERS_FILE), number),
    )
    told = work_of(tmp_path / "tuned", tuned, {"split": split, "clusters": work.folder})
    twins = [cut for cut in two_sounds if text_of(cut) in said]
    assert len(training_cuts(told)) == len(inside) + len(twins)


def test_speakers_of_a_model_that_takes_waveforms_are_told_apart_by_their_voices(tmp_path: Path) -> None:
    """Two low and two high voices; what the first milliseconds are like cuts across them and decides nothing."""
    base, split, corpus = make_conformer(tmp_path / "base"), tmp_path / "split", tmp_path / "corpus"
    voices = {"low-a": (120, 0.0), "low-b": (140, 0.3), "high-a": (2600, 0.0), "high-b": (2900, 0.3)}  # Hz, a click
    corpus.mkdir()
    lines = ["file_name,text,domain,speaker,split"]
    for number, (speaker, (hz, click)) in enumerate([*voices.items()] * 2):
        samples = 0.2 * np.sin(2 * np.pi * hz * np.arange(RATE_HZ) / RATE_HZ)
        samples[: RATE_HZ // 20] = click * np.where(np.arange(RATE_HZ // 20) % 2, 1, -1)
        soundfile.write(corpus / f"{number}.wav", samples.astype(np.float32), RATE_HZ)
        lines.append(f"{number}.wav,one two {number},a,{speaker},train")
    (corpus / "metadata.csv").write_text("\n".join(lines) + "\n")
    split.mkdir()
    write_cuts(read_corpus("folder", corpus, progress=False).cuts, split / "source_train.jsonl.gz")
    params = ClustersParams(cuts=SOURCE, base=str(base), base_key="", clusters=2)
    work = work_of(tmp_path / "clusters", params, {"split": split})
    clusters_stage(work)
    found = json.loads((work.folder / CLUSTERS_FILE).read_text())["speakers"]
    assert found["low-a"] == found["low-b"] != found["high-a"] == found["high-b"]


def test_analogy_by_adapter_in_closed_form(noises: CutSet, small_whisper: Path, tmp_path: Path) -> None:
    """θ_0 + 2 U D, where U = U_C + λ(U_B − U_A) and D likewise; α / r is 2."""
    inputs, factors = {"scale": tmp_path / "scale"}, []
    inputs["scale"].mkdir()
    (inputs["scale"] / CHOICE_FILE).write_text('{"scale": 0.5}')
    for seed, corner in enumerate("cba"):
        inputs[corner] = tmp_path / corner
        options = FinetuneOptions(epochs=1, batch_size=12, lora=LORA, precision="fp32", learning_rate=1e-2 * (seed + 1))
        finetune(noises, small_whisper, inputs[corner] / MODEL_FOLDER, options, progress=False)
        factors.append(load_file(inputs[corner] / MODEL_FOLDER / "adapter" / "adapter_model.safetensors"))
    c, b, a = map(model_of, "cba")
    choice = Output("scale", CHOICE_FILE)
    params = ByAdapterParams(corners=(c, b, a), choice=choice, base=str(small_whisper), base_key="")
    work = work_of(tmp_path / "out", params, inputs)
    by_adapter_stage(work)
    made, base = open_checkpoint(work.folder / MODEL_FOLDER), open_checkpoint(small_whisper)
    of_c, of_b, of_a = factors
    moved = {name: of_c[name] + 0.5 * (of_b[name] - of_a[name]) for name in of_c}
    adapted = 0
    for name in base:
        stem = f"base_model.model.{name.removesuffix('.weight')}"
        expected = base[name].clone()
        if f"{stem}.lora_A.weight" in moved:
            expected += 2 * moved[f"{stem}.lora_B.weight"] @ moved[f"{stem}.lora_A.weight"]
            adapted += 1
        torch.testing.assert_close(made[name], expected, atol=2e-6, rtol=1e-5)
    assert adapted == len(moved) / 2 > 0
