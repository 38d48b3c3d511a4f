"""Systems made of finished models: closed forms of their weights, controls, and what a plan asks for each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from lhotse import CutSet
from safetensors.torch import load_file, save_file

from speech_analogy.adaptation.stages.controls import change_of, random_like, shuffled
from speech_analogy.adaptation.stages.sweeps import combined_stage, pick_stage, scopes_stage, sweep_stage, written_stage
from speech_analogy.adaptation.stages.training import _keep_base, _training_cuts
from speech_analogy.adaptation.stages.weights import mean_stage
from speech_analogy.adaptation.stages.work import CHOICE_FILE, CURVE_FILE, MODEL_FOLDER, SCORE_FILE, Work
from speech_analogy.corpora.read import write_cuts
from speech_analogy.errors import CheckpointError
from speech_analogy.evaluation.evaluate import evaluate
from speech_analogy.evaluation.results import read_hypotheses
from speech_analogy.evaluation.sweep import ScaleSweep
from speech_analogy.merging.analogy import analogy
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.merging.io.fingerprint import fingerprint
from speech_analogy.merging.io.lineage import require_same_base
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.whisper.model import WhisperRecogniser
from speech_analogy.systems.catalogue import (
    BASE,
    BY_ADAPTER,
    COMBINATIONS,
    ENTRIES,
    MEANS,
    TRAININGS,
    VECTORS_OF,
    SystemName,
    needs_analogy,
    searched_as,
    trained_systems,
)

EVALUATION = {"beams": 1, "window": "trimmed", "cluster": "speaker"}


def _moved(source: Path, folder: Path, seed: int) -> Path:
    """The same model with every tensor but one moved a little."""
    shutil.copytree(source, folder)
    generator = torch.Generator().manual_seed(seed)
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if not name.endswith("embed_positions.weight"):
            tensors[name] = tensor + 0.02 * torch.randn(tensor.shape, generator=generator)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def models(small_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The base, and a model for every training and the analogy."""
    folder = tmp_path_factory.mktemp("models")
    names = (*TRAININGS, "analogy")
    made = {name: _moved(small_whisper, folder / name, seed) for seed, name in enumerate(names)}
    return {BASE: small_whisper, **made}


def _weights(models: dict[str, Path], system: str, scale: float, seed: int = 0) -> dict[str, torch.Tensor]:
    """The weights that a combined system has at λ = `scale`."""
    how = COMBINATIONS[system]
    corners = [open_checkpoint(models[name]) for name in (how.c, how.plus, how.minus)]
    sweep = ScaleSweep(WhisperRecogniser(models[how.c]), *corners, change=change_of(how.direction, seed))
    state: dict[str, torch.Tensor] = sweep.move(scale + how.offset).model.state_dict()
    return {name: state[name].clone() for name in corners[0]}


def _loaded(models: dict[str, Path], name: str) -> dict[str, torch.Tensor]:
    checkpoint = open_checkpoint(models[name])
    return {key: checkpoint[key].clone() for key in checkpoint}


@pytest.mark.parametrize(
    ("system", "whole"),
    [
        ("interpolated", "analogy"),
        ("scaled_source_real", "source_real"),
        ("scaled_target_synthetic", "target_synthetic"),
        ("scaled_mixed", "mixed"),
    ],
)
def test_a_step_of_one_is_the_model_and_of_zero_the_base(models: dict[str, Path], system: str, whole: str) -> None:
    one, zero, half = (_weights(models, system, scale) for scale in (1.0, 0.0, 0.5))
    tuned, base = _loaded(models, whole), _loaded(models, BASE)
    for name in base:
        assert torch.equal(one[name], tuned[name])
        torch.testing.assert_close(zero[name], base[name], atol=1e-7, rtol=0)
        torch.testing.assert_close(half[name], (tuned[name] + base[name]) / 2, atol=1e-7, rtol=0)


def test_mean_is_halfway(models: dict[str, Path]) -> None:
    how = COMBINATIONS["mean_of_mixed_and_analogy"]
    assert how.fixed is not None
    made = _weights(models, "mean_of_mixed_and_analogy", how.fixed)
    mixed, moved = _loaded(models, "mixed"), _loaded(models, "analogy")
    for name, tensor in made.items():
        torch.testing.assert_close(tensor, (mixed[name] + moved[name]) / 2, atol=1e-7, rtol=0)


def test_a_soup_is_the_mean_and_stays_of_one_base(models: dict[str, Path], tmp_path: Path) -> None:
    names = ("mixed", "source_real", "target_synthetic")
    inputs = {name: tmp_path / name for name in names}
    for name, folder in inputs.items():
        folder.mkdir()
        (folder / MODEL_FOLDER).symlink_to(models[name])
    work = _work(tmp_path / "soup", {"models": list(names)}, inputs)
    mean_stage(work)
    made = load_file(work.folder / MODEL_FOLDER / "model.safetensors")
    parts = [_loaded(models, name) for name in names]
    for name, tensor in made.items():
        torch.testing.assert_close(tensor, sum(part[name] for part in parts) / 3, atol=1e-6, rtol=0)
    WhisperRecogniser(work.folder / MODEL_FOLDER)
    other = tmp_path / "other"
    shutil.copytree(models["mixed"], other / MODEL_FOLDER)
    for folder, base in ((inputs["mixed"], "sha256:1"), (other, "sha256:2")):
        told = folder / MODEL_FOLDER / "provenance.json"
        if folder is not other:
            (folder / MODEL_FOLDER).unlink()
            shutil.copytree(models["mixed"], folder / MODEL_FOLDER)
        told.write_text(json.dumps({"base": "x", "base_fingerprint": base}))
    with pytest.raises(CheckpointError, match="one base"):
        mean_stage(_work(tmp_path / "no", {"models": ["mixed", "other"]}, {**inputs, "other": other}))
    assert not (tmp_path / "no" / MODEL_FOLDER).exists()


@pytest.mark.parametrize("start", ["mixed", "mixed_continued"])
def test_the_vector_is_added_to_another_model(models: dict[str, Path], start: str) -> None:
    made = _weights(models, f"analogy_on_{start}", 0.5)
    begun, b, a = (_loaded(models, name) for name in (start, "source_real", "source_synthetic"))
    for name, tensor in made.items():
        torch.testing.assert_close(tensor, begun[name] + 0.5 * (b[name] - a[name]), atol=1e-6, rtol=0)
    same = _weights({**models, "source_synthetic": models["source_real"]}, f"analogy_on_{start}", 0.5)
    assert all(torch.equal(same[name], begun[name]) for name in same)


def _difference(models: dict[str, Path]) -> dict[str, torch.Tensor]:
    b, a = _loaded(models, "source_real"), _loaded(models, "source_synthetic")
    return {name: (b[name] - a[name]).flatten() for name in b}


def test_random_vector_has_the_length_of_the_difference(models: dict[str, Path]) -> None:
    for name, tau in _difference(models).items():
        drawn, again, other = random_like(0)(name, tau), random_like(0)(name, tau), random_like(1)(name, tau)
        assert drawn.dtype == tau.dtype
        torch.testing.assert_close(drawn.double().norm(), tau.double().norm(), rtol=1e-6, atol=0)
        assert torch.equal(drawn, again)
        if tau.any():
            assert not torch.equal(drawn, other)
            cosine = torch.nn.functional.cosine_similarity(drawn.double(), tau.double(), dim=0)
            assert abs(float(cosine)) < 6 / tau.numel() ** 0.5
        else:
            assert not drawn.any()
    assert not torch.equal(random_like(0)("one", torch.ones(9)), random_like(0)("other", torch.ones(9)))


def test_shuffled_vector_keeps_the_values_of_a_tensor(models: dict[str, Path]) -> None:
    for name, tau in _difference(models).items():
        made = shuffled(0)(name, tau)
        assert torch.equal(made.sort().values, tau.sort().values)
        if tau.any():
            assert not torch.equal(made, tau)
            assert not torch.equal(made, shuffled(1)(name, tau))


@pytest.mark.parametrize("system", ["random_vector", "shuffled_vector"])
def test_a_control_moves_c_as_far_as_the_analogy_does(models: dict[str, Path], system: str) -> None:
    made, c = _weights(models, system, 0.5), _loaded(models, "target_synthetic")
    for name, tau in _difference(models).items():
        moved = (made[name] - c[name]).double().norm()
        torch.testing.assert_close(moved, 0.5 * tau.double().norm(), rtol=1e-4, atol=1e-9)
    assert all(torch.equal(w, c[name]) for name, w in _weights(models, system, 0.0).items())


def test_every_system_is_declared_once_and_told_to_readers() -> None:
    declared = {"zero_shot", "analogy", *TRAININGS, *COMBINATIONS, *MEANS} - {"source_both"}
    assert declared == set(get_args(SystemName))
    assert not set(TRAININGS) & set(COMBINATIONS) | set(MEANS) & {*TRAININGS, *COMBINATIONS}
    for parts in MEANS.values():  # `scopes` and controls cannot be written as one analogy
        assert all(
            part in ("analogy", *TRAININGS)
            or (COMBINATIONS[part].chosen, COMBINATIONS[part].direction, COMBINATIONS[part].offset)
            == ("own", "difference", 0.0)
            for part in parts
        )
    assert declared <= set(ENTRIES)
    for how in COMBINATIONS.values():
        assert set(how.parts) <= {
            *TRAININGS,
            "analogy",
            BASE,
            BY_ADAPTER,
            *(f"vectors-{way}" for way in VECTORS_OF.values()),
        }
    earlier: list[str] = []
    for name, training in TRAININGS.items():
        assert training.start is None or training.start in earlier
        assert training.like is None or training.like in TRAININGS
        earlier.append(name)


def test_a_system_asks_for_the_trainings_it_is_made_of() -> None:
    abc = ["source_synthetic", "source_real", "target_synthetic"]
    assert trained_systems(("mixed_continued",)) == ["source_both", "mixed_continued"]
    assert trained_systems(("scaled_mixed",)) == ["mixed"]
    assert trained_systems(("mean_of_mixed_and_analogy",)) == [*abc, "mixed"]
    assert trained_systems(("interpolated",)) == abc == trained_systems(("random_vector",))
    assert trained_systems(("analogy_on_mixed_continued",)) == [
        "source_synthetic", "source_real", "source_both", "mixed_continued",
    ]  # fmt: skip
    frozen = "target_synthetic_frozen_encoder"
    assert trained_systems(("analogy_on_frozen_encoder",)) == [*abc[:2], frozen]
    assert trained_systems(("mean_of_mixed_and_analogy_on_frozen_encoder",)) == [*abc[:2], "mixed", frozen]
    assert trained_systems(("soup",)) == [*abc, "mixed", "source_real_then_target_synthetic", frozen]
    assert not needs_analogy(("analogy_on_mixed", "scaled_mixed", "mixed"))
    assert not needs_analogy(("mean_of_mixed_and_analogy_on_frozen_encoder",))
    assert needs_analogy(("soup",))
    assert needs_analogy(("analogy_per_scope",))
    assert [searched_as(name) for name in ("mixed", "target_synthetic_replay", "mixed_continued")] == [
        "mixed", "mixed", "source_real",
    ]  # fmt: skip


def _work(folder: Path, params: dict[str, Any], inputs: dict[str, Path]) -> Work:
    folder.mkdir(parents=True)
    return Work("stage", folder, folder, params, inputs, False)


@pytest.fixture
def inputs(models: dict[str, Path], noises: CutSet, tmp_path: Path) -> dict[str, Path]:
    """Stage folders as a run has them."""
    split = tmp_path / "split"
    split.mkdir()
    write_cuts(noises, split / "dev.jsonl.gz")
    found = {"split": split}
    for name in ("source_synthetic", "source_real", "target_synthetic"):
        found[f"finetune-{name}"] = tmp_path / f"finetune-{name}"
        found[f"finetune-{name}"].mkdir()
        (found[f"finetune-{name}"] / MODEL_FOLDER).symlink_to(models[name])
    return found


def _params(system: str, models: dict[str, Path], **more: Any) -> dict[str, Any]:
    how = COMBINATIONS[system]
    corners = [BASE if name == BASE else f"finetune-{name}" for name in (how.c, how.plus, how.minus)]
    params = {"system": system, "evaluation": EVALUATION, "language": "en", "cuts": ["split", "dev.jsonl.gz"]}
    params |= {"corners": corners, "offset": how.offset, "base": str(models[BASE])}
    return {**params, **more}


def test_a_scaled_system_hears_what_the_model_itself_hears(
    models: dict[str, Path], inputs: dict[str, Path], noises: CutSet, tmp_path: Path
) -> None:
    work = _work(tmp_path / "out", _params("scaled_source_real", models, scale=1.0), inputs)
    combined_stage(work)
    alone = evaluate(noises, models["source_real"], decoding=DecodingOptions(window="trimmed"), progress=False)
    assert read_hypotheses(work.folder / "hypotheses.jsonl") == alone.hypotheses
    system = json.loads((work.folder / SCORE_FILE).read_text())["system"]
    assert (system["name"], system["scale"], system["wer"]) == ("scaled_source_real", 1.0, alone.system.wer)


@pytest.mark.parametrize("system", [name for name, how in COMBINATIONS.items() if how.direction == "difference"])
def test_a_system_is_written_with_the_weights_that_are_heard(
    models: dict[str, Path], system: str, tmp_path: Path
) -> None:
    how = COMBINATIONS[system]
    made = {name: models.get(name, models["mixed_continued"]) for name in how.parts}  # vectors, adapters: any model
    inputs = {}
    for name in set(made) - {BASE}:
        inputs[name] = tmp_path / "in" / name
        inputs[name].mkdir(parents=True)
        (inputs[name] / MODEL_FOLDER).symlink_to(made[name])
    params = {"corners": [how.c, how.plus, how.minus], "offset": how.offset, "base": str(models[BASE]), "scale": 0.75}
    work = _work(tmp_path / "out", params, inputs)
    written_stage(work)
    written = open_checkpoint(work.folder / MODEL_FOLDER)
    heard = _weights({**models, **made}, system, 0.75)
    assert set(written) == set(heard)
    for name, tensor in heard.items():
        torch.testing.assert_close(written[name], tensor, atol=1e-7, rtol=0)
    WhisperRecogniser(work.folder / MODEL_FOLDER)


def test_choice_by_curves_agreement_and_scopes(
    models: dict[str, Path], inputs: dict[str, Path], tmp_path: Path
) -> None:
    """A sweep is heard, a λ is picked of it by WER and by agreement, and a search by scope starts there."""
    sweep = _work(tmp_path / "sweep", _params("analogy_per_scope", models, scales=[0.0, 1.0], domains=["a"]), inputs)
    sweep_stage(sweep)
    rows = json.loads((sweep.folder / CURVE_FILE).read_text())
    assert [row["scale"] for row in rows] == [0.0, 1.0]
    assert all(len(row["heard"]) == 12 for row in rows)  # half of the noises are of domain a
    chosen = {}
    for strategy in ("leave_one_domain_out", "agreement", "fixed"):
        params = {"strategy": strategy, "sweeps": {"sweep": "a"}, "scale": 0.3}
        pick = _work(tmp_path / strategy, params, {"sweep": sweep.folder})
        pick_stage(pick)
        chosen[strategy] = json.loads((pick.folder / CHOICE_FILE).read_text())
    best = min(rows, key=lambda row: (row["wer"], row["scale"]))
    assert chosen["leave_one_domain_out"]["scale"] == best["scale"]
    assert chosen["agreement"]["scale"] == 0.0  # of two, each is as far from the other
    assert chosen["fixed"]["scale"] == 0.3
    assert "12 utterances" in chosen["leave_one_domain_out"]["chosen_on"]
    more = {"parts": [["split", "dev.jsonl.gz"]], "scopes": ["encoder", "decoder"], "scales": [0.0, 1.0], "rounds": 1}
    params = _params("analogy_per_scope", models, start="leave_one_domain_out", **more)
    scopes = _work(tmp_path / "scopes", params, {**inputs, "leave_one_domain_out": tmp_path / "leave_one_domain_out"})
    scopes_stage(scopes)
    found = json.loads((scopes.folder / CHOICE_FILE).read_text())
    assert min(row["wer"] for row in found["trace"]) == next(
        row["wer"] for row in found["trace"] if {key: row[key] for key in found["scopes"]} == found["scopes"]
    )
    last = _params("analogy_per_scope", models, choice="scopes")
    heard = _work(tmp_path / "heard", last, {**inputs, "scopes": scopes.folder})
    combined_stage(heard)
    written = _work(tmp_path / "written", last, {**inputs, "scopes": scopes.folder})
    written_stage(written)
    parts = {part: _weights(models, "analogy_per_scope", scale) for part, scale in found["scopes"].items()}
    for name in (made := open_checkpoint(written.folder / MODEL_FOLDER)):
        part = "encoder" if ".encoder." in name else "decoder"
        torch.testing.assert_close(made[name], parts[part][name], atol=1e-7, rtol=0)
    system = json.loads((heard.folder / SCORE_FILE).read_text())["system"]
    assert system["scale"] is None
    assert system["scopes"] == found["scopes"]
    assert system["wer"] == pytest.approx(min(row["wer"] for row in found["trace"]))


def test_training_sets_by_domain_and_replay(inputs: dict[str, Path], noises: CutSet, tmp_path: Path) -> None:
    sets = {name: ["split", "dev.jsonl.gz"] for name in ("target_synthetic", "source_real")}
    count = len(noises)
    for number, (more, expected) in enumerate(
        [
            ({}, 2 * count),
            ({"domains": ["a"]}, count),
            ({"without": ["a"]}, count),
            ({"replay": 0.25}, count + count // 4),
        ]
    ):
        work = _work(tmp_path / f"cuts{number}", {"sets": sets, **more}, inputs)
        assert len(_training_cuts(work)) == expected


def test_a_model_that_goes_on_from_another_is_still_of_the_base(tmp_path: Path) -> None:
    for name, content in (("start", {"base_fingerprint": "0"}), ("model", {"base_fingerprint": "1", "window": "full"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "provenance.json").write_text(json.dumps(content))
    for _ in range(2):  # killed behind the rewriting, it is done again
        _keep_base(tmp_path / "model", tmp_path / "start")
        record = json.loads((tmp_path / "model" / "provenance.json").read_text())
        assert record == {"base_fingerprint": "0", "window": "full", "continued_from": "1"}


def test_one_lineage_takes_the_base_itself_and_refuses_a_stranger(
    models: dict[str, Path], small_whisper: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(small_whisper, base)
    (base / "provenance.json").write_text(json.dumps({"base_fingerprint": "of an older base"}))
    tuned = _moved(base, tmp_path / "tuned", 1)
    record = {"base_fingerprint": fingerprint(open_checkpoint(base))}
    (tuned / "provenance.json").write_text(json.dumps(record))
    require_same_base([open_checkpoint(path) for path in (tuned, tuned, base)])
    analogy(tuned, tuned, base, -0.5, tmp_path / "half", base=base)
    told = json.loads((tmp_path / "half" / "provenance.json").read_text())
    assert told["base_fingerprint"] == record["base_fingerprint"]
    (base / "provenance.json").write_text(json.dumps({}))
    require_same_base([open_checkpoint(path) for path in (tuned, tuned, base)])
    stranger = _moved(base, tmp_path / "stranger", 2)
    (stranger / "provenance.json").write_text(json.dumps({"base_fingerprint": "another"}))
    with pytest.raises(CheckpointError, match="one base"):
        require_same_base([open_checkpoint(path) for path in (tuned, stranger, base)])
