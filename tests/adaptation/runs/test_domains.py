"""Every domain once the target: what is shared, and what is done again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from speech_analogy.adaptation.execution.local import LocalExecutor
from speech_analogy.adaptation.execution.schedule import execute
from speech_analogy.adaptation.plan.stage import Plan
from speech_analogy.adaptation.runs.domains import Domains, describe_domains, do_domains, plan_domains
from speech_analogy.adaptation.split import read_texts
from speech_analogy.corpora.cuts import domain_of, text_of
from speech_analogy.corpora.read import read_cuts
from speech_analogy.errors import ConfigError
from speech_analogy.evaluation.domain_table import DomainTable
from speech_analogy.evaluation.results import Results
from speech_analogy.merging.io.checkpoints import open_checkpoint
from speech_analogy.report.domains import table_markdown
from tests.conftest import make_corpus

pytest.importorskip("hibari", reason="hibari-tts is not installed")

pytestmark = pytest.mark.slow  # whole runs, or many models

DOMAINS = ("a", "b", "c")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, small_whisper: Path) -> Path:
    """A recipe on 24 noises of three domains, of which a and b are targets."""
    folder = tmp_path_factory.mktemp("recipe")
    _corpus(folder / "data")
    content = {
        "title": "noises",
        "note": "A test.",
        "base": str(small_whisper),
        "corpus": {"kind": "folder", "path": "data"},
        "split": {"target_domains": ["a", "b"], "field": "split", "source_dev": {"prompts": 2}},
        "synthesis": {side: {"engines": ["hibari"], "gates": None} for side in ("source", "target")},
        "training": {"epochs": 1, "precision": "fp32"},
        "scales": [1],
        "systems": ["target_synthetic", "analogy"],
        "evaluation": {"cluster": "prompt"},
    }
    (folder / "recipe.yaml").write_text(json.dumps(content))
    return folder


def _corpus(folder: Path) -> None:
    """24 noises of three domains, a third of each the test."""
    make_corpus(folder, 24, domains=DOMAINS)
    lines = (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines]
    for number, row in enumerate(rows[1:]):
        row[4] = "test" if number // len(DOMAINS) % 3 == 2 else "train"
    (folder / "metadata.csv").write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")


def _do(recipe: Path, run: Path) -> DomainTable:
    return do_domains(plan_domains(recipe, run), progress=False, workers=1)


@pytest.fixture(scope="module")
def whole(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "whole"
    _do(recipe, run)
    return run


def _cuts(run: Path, domain: str, stage: str) -> list[tuple[str, str]]:
    [file] = (run / "targets" / domain / "stages").glob(f"{stage}-*/cuts.jsonl.gz")
    return sorted((domain_of(cut), text_of(cut)) for cut in read_cuts(file))


def _stages(run: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in run.rglob("stage.json")}


def test_a_domain_is_spoken_once(whole: Path) -> None:
    """C of the one is A of the others: one folder of speech a domain, of the target's own domain none in A."""
    assert sorted(path.name.rpartition("-")[0] for path in (whole / "speech" / "stages").iterdir()) == [
        f"speech-{domain}" for domain in DOMAINS
    ]
    spoken = {domain: _cuts(whole, domain, "synthesise-target") for domain in "ab"}
    for domain in "ab":
        source = _cuts(whole, domain, "synthesise-source")
        assert {of for of, _ in source} == set(DOMAINS) - {domain}
        assert {text for text in source if text[0] in spoken} <= {text for own in spoken.values() for text in own}


def test_a_speaks_the_texts_that_b_hears(whole: Path) -> None:
    for domain in "ab":
        [file] = (whole / "targets" / domain / "stages").glob("split-*/source_train.jsonl.gz")
        heard = {(domain_of(cut), text_of(cut)) for cut in read_cuts(file)}
        assert set(_cuts(whole, domain, "synthesise-source")) == heard


def test_c_speaks_the_subset_of_texts_that_is_asked_for(recipe: Path, whole: Path, tmp_path: Path) -> None:
    asked = ["split.target_texts=2", "systems=[target_synthetic]"]
    job = plan_domains(recipe, tmp_path / "run", overrides=asked, domains=["a"], speech=whole / "speech")
    [target] = job.targets
    wanted = [stage for stage in target.plan if stage.name in ("split", "texts", "synthesise-target")]
    for plan in (job.corpus, target.speech, Plan(target.plan.run, wanted)):
        execute(plan, LocalExecutor(1), show=False)
    told = sorted((t.domain, t.text) for t in read_texts(target.plan.path(target.plan.stages["texts"]["texts"])))
    assert len(told) == 2
    assert _cuts(tmp_path / "run", "a", "synthesise-target") == told


def test_second_run_does_nothing(recipe: Path, whole: Path) -> None:
    before = _stages(whole)
    first = (whole / "domains.md").read_bytes()
    assert _do(recipe, whole).systems == ["target_synthetic", "analogy"]
    assert _stages(whole) == before
    assert (whole / "domains.md").read_bytes() == first
    assert "done" in describe_domains(plan_domains(recipe, whole))


def test_what_was_lost_is_done_again_and_the_same(recipe: Path, whole: Path, tmp_path: Path) -> None:
    """As a kill leaves it: the first target done, the second half done."""
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    again: Domains = plan_domains(recipe, run)
    shutil.rmtree(again.targets[1].plan.folder("finetune-target_synthetic"))
    for name in ("results.json", "plan.sha256"):
        (run / "targets" / "b" / name).unlink()
    kept = {path: stamp for path, stamp in _stages(run).items() if "/targets/a/" in path or "speech" in path}
    table = do_domains(again, progress=False, workers=1)
    assert kept.items() <= _stages(run).items()
    expected = json.loads((whole / "domains.json").read_text())["rows"]
    assert [(row.domain, row.wer) for row in table.rows] == [(row["domain"], row["wer"]) for row in expected]


def test_shared_source_trains_a_and_b_once(recipe: Path, whole: Path, tmp_path: Path) -> None:
    """On the domains that are never a target; the other target gets the very files. Then the models may go."""
    run = tmp_path / "run"
    job = plan_domains(recipe, run, source="rest", speech=whole / "speech")
    do_domains(job, progress=False, workers=1)
    for stage in ("finetune-source_real", "finetune-source_synthetic"):
        files = [next((run / "targets" / d / "stages").glob(f"{stage}-*/model/model.safetensors")) for d in "ab"]
        assert len({file.stat().st_ino for file in files}) == 1
    own = [next((run / "targets" / d / "stages").glob("finetune-target_synthetic-*/model")) for d in "ab"]
    one, two = (open_checkpoint(folder) for folder in own)
    assert any(not torch.equal(one[name], two[name]) for name in one)
    for domain in "ab":
        assert {of for of, _ in _cuts(run, domain, "synthesise-source")} == {"c"}
    before = (run / "domains.md").read_bytes()
    for _ in range(2):  # the second call makes none of them again
        do_domains(job, progress=False, workers=1, keep_models=False)
        assert not list(run.rglob("*.safetensors"))
        assert (run / "domains.md").read_bytes() == before


def test_what_hangs_on_the_source_alone_is_heard_once(recipe: Path, whole: Path, tmp_path: Path) -> None:
    """Held-out source speech is the same for all targets of one source; another way of hearing it is done again."""
    run, systems = tmp_path / "run", "[zero_shot, source_real, scaled_source_real, target_synthetic, analogy]"
    asked = [f"systems={systems}", "report_forgetting=true"]
    job = plan_domains(recipe, run, source="rest", speech=whole / "speech", overrides=asked)
    do_domains(job, progress=False, workers=1, keep_models=False)
    for label, count in {
        "evaluate-zero_shot-on-source_dev": 1,
        "evaluate-source_real-on-source_dev": 1,
        "sweep-scaled_source_real-on-source_dev": 1,
        "evaluate-target_synthetic-on-source_dev": 2,
        "evaluate-source_real": 2,
    }.items():
        pattern = f"{label}-{'[0-9a-f]' * 12}/{'curve' if 'sweep' in label else 'score'}.json"
        files = [next((run / "targets" / domain / "stages").glob(pattern)) for domain in "ab"]
        assert len({file.stat().st_ino for file in files}) == count, label
    first, second = (
        target.plan
        for target in plan_domains(recipe, tmp_path / "other", source="rest", overrides=asked, speech=run).targets
    )
    same = {stage.name for stage in first if first.folder(stage.name).name == second.folder(stage.name).name}
    assert {"synthesise-source", "finetune-source_real", "evaluate-zero_shot-on-source_dev"} <= same
    other = {stage.name for stage in first} - same
    assert {"split", "texts", "finetune-target_synthetic", "evaluate-target_synthetic-on-source_dev"} <= other
    longer = [*asked, "evaluation.beams=2"]
    [third, _] = plan_domains(recipe, tmp_path / "other", source="rest", overrides=longer, speech=run).targets
    anew = {stage.name for stage in first if first.folder(stage.name).name != third.plan.folder(stage.name).name}
    assert "evaluate-zero_shot-on-source_dev" in anew
    assert "finetune-source_real" not in anew


def test_speech_is_found_by_another_base(recipe: Path, whole: Path, tmp_path: Path) -> None:
    job = plan_domains(recipe, tmp_path / "run", speech=whole / "speech", overrides=["training.epochs=2"])
    assert not any(target.speech.undone() for target in job.targets)
    assert "0.0 h of synthetic speech" in describe_domains(job)


def test_unknown_targets_are_named(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not a target of the recipe.*x"):
        plan_domains(recipe, tmp_path, domains=["x"])


def test_every_domain_with_every_seed(recipe: Path, whole: Path, tmp_path: Path) -> None:
    """The speech is the same, A and B are trained once a seed, and the table has a row a domain."""
    run = tmp_path / "run"
    systems = "systems=[target_synthetic, mixed_continued, analogy]"
    job = plan_domains(recipe, run, source="rest", speech=whole / "speech", seeds=[3, 4], overrides=[systems])
    table = do_domains(job, progress=False, workers=1)
    assert [(row.domain, row.seed) for row in table.rows] == [("a", 3), ("b", 3), ("a", 4), ("b", 4)]
    for stage in ("source_real", "source_synthetic", "source_both"):
        files = {
            (seed, domain): next(
                (run / "targets" / domain / f"seed-{seed}").glob(f"stages/finetune-{stage}-*/model/model.safetensors")
            )
            for seed in (3, 4)
            for domain in "ab"
        }
        assert len({file.stat().st_ino for file in files.values()}) == 2
        assert files[3, "a"].stat().st_ino == files[3, "b"].stat().st_ino
    text = (run / "domains.md").read_text()
    assert "over 2 seeds" in text
    [line] = [line for line in text.splitlines() if line.startswith("| analogy ")]
    assert line.count(" ± ") == 3  # two domains and their average


def test_the_table_has_a_column_a_domain(whole: Path) -> None:
    text = (whole / "domains.md").read_text(encoding="utf-8")
    assert text.startswith("# noises\n\nA test.\n")
    assert "| system | a | b | average |" in text
    table = DomainTable.read(whole / "domains.json")
    assert table_markdown(table) == text
    found = [Results.read(whole / "targets" / d / "results.json") for d in "ab"]
    mean = sum(next(s.wer for s in r.systems if s.chosen) for r in found) / 2
    assert table.average("analogy") == pytest.approx(mean)
    pooled = table.compare("analogy", "target_synthetic")
    chosen = [next(s for s in r.systems if s.chosen) for r in found]
    others = [next(s for s in r.systems if s.name == "target_synthetic") for r in found]
    errors = [
        sum(s.substitutions + s.deletions + s.insertions for s in own) / sum(s.words for s in own)
        for own in (chosen, others)
    ]
    assert pooled.difference == pytest.approx(100 * (errors[0] - errors[1]))


def test_what_an_earlier_run_has_is_not_done_again(recipe: Path, whole: Path, tmp_path: Path) -> None:
    """One domain here, the other there; together they are the whole run's table, but for where their runs lie."""
    run = tmp_path / "run"
    one = plan_domains(recipe, run, domains=["a"], speech=whole / "speech")
    do_domains(one, progress=False, workers=1)
    job = plan_domains(recipe, tmp_path / "other", speech=whole / "speech", earlier=[run / "domains.json"])
    assert [target.domain for target in job.targets] == ["b"]
    table = do_domains(job, progress=False, workers=1)
    assert table == DomainTable.read(whole / "domains.json")
    assert (tmp_path / "other" / "domains.md").read_bytes() == (whole / "domains.md").read_bytes()
    done = plan_domains(recipe, tmp_path / "third", earlier=[tmp_path / "other" / "domains.json"])
    assert not done.targets
    assert do_domains(done, progress=False) == table
    with pytest.raises(ConfigError, match="one recipe"):
        plan_domains(recipe, run, earlier=[run / "domains.json"], overrides=["training.epochs=2"])
