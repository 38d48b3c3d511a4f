"""What leaves this machine - models, vectors, gaps, exports - holds no path of it, whichever verb wrote it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import yaml

from speech_analogy.cli import main as cli
from tests.conftest import make_corpus
from tests.export.models import small_model

PLACE = "ann-s-private-folder"
EXPORTS = {"transformers": "t", "ctranslate2": "c", "onnx": "o", "openai": "o.pt", "ggml": "g.bin"}


@pytest.mark.slow  # three trainings, two distillations and every export
def test_every_verb_that_writes_what_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are given absolute paths, and the base's own files name one, too."""
    folder = tmp_path / PLACE
    make_corpus(folder / "recordings", 6)
    base = small_model(folder / "base")
    (base / "provenance.json").unlink()
    for file, key in (("config.json", "_name_or_path"), ("tokenizer_config.json", "name_or_path")):
        content = json.loads((base / file).read_text(encoding="utf-8"))
        (base / file).write_text(json.dumps({**content, key: str(base)}), encoding="utf-8")
    out = folder / "out"
    out.mkdir()
    monkeypatch.setenv("SPEECH_ANALOGY_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(folder)

    def run(*arguments: object) -> None:
        monkeypatch.setattr("sys.argv", ["speech-analogy", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code, arguments

    cuts = folder / "cuts.jsonl.gz"
    run("corpus", "import", "folder", folder / "recordings", "--out", cuts)
    once = ("--epochs", 1, "-q")
    for name, more in (("A", ("--seed", 1)), ("B", ("--lora-rank", 2)), ("C", ())):
        run("finetune", cuts, "--base", base, "--out", out / name, *more, *once)
    run("shorten", base, "--audio", cuts, "--out", out / "short", *once)
    run("widen", out / "C", "--audio", cuts, "--out", out / "wide", *once)
    run(
        "analogy", "--c", out / "C", "--plus", out / "B", "--minus", out / "A", "--base", base, "--out", out / "D", "-q"
    )
    models = [{"model": str(out / name), "parameters": {"weight": 0.5}} for name in ("D", "wide")]
    merge = {"merge_method": "task_arithmetic", "base_model": str(base), "models": models}
    (folder / "merge.yaml").write_text(yaml.safe_dump(merge), encoding="utf-8")
    run("merge", folder / "merge.yaml", "--out", out / "merged", "-q")
    for name in ("A", "B"):
        vector = out / f"{name}.safetensors"
        run("vector", "extract", "--base", base, "--tuned", out / name, "--out", vector, "-q")
    run("vector", "add", out / "A.safetensors", out / "B.safetensors", "--out", out / "sum.safetensors", "-q")
    run("vector", "average", out / "A.safetensors", out / "sum.safetensors", "--out", out / "mean.safetensors", "-q")
    run("vector", "negate", out / "mean.safetensors", "--out", out / "less.safetensors", "-q")
    run("vector", "compress", out / "sum.safetensors", "--out", out / "small.safetensors", "-q")
    run("vector", "apply", out / "small.safetensors", "--base", base, "--out", out / "applied", "-q")
    run("vector", "gap", "--real", out / "C", "--synthetic", out / "A", "--out", out / "gap.safetensors", "-q")
    (folder / "texts.txt").write_text("one two\nthree four\n", encoding="utf-8")
    run("bias", folder / "texts.txt", "--model", base, "--out", out / "bias")
    for to, name in EXPORTS.items():
        run("export", out / "applied", "--to", to, "--out", out / f"export-{name}")
    run("export", out / "C", "--to", "safetensors-vector", "--out", out / "export-vector")

    files = [file for file in out.rglob("*") if file.is_file()]
    assert len(files) > 60
    told = [file.relative_to(out) for file in files if PLACE.encode() in _content(file)]
    assert told == []


def _content(file: Path) -> bytes:
    content = file.read_bytes()
    return gzip.decompress(content) if file.suffix == ".gz" else content
