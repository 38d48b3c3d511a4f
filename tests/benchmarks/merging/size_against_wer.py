"""How small a vector may get: WER of θ_C + λτ for every way to compress τ = θ_B − θ_A, against the size of
its file.

    S=runs/speechocean762/stages
    python tests/benchmarks/merging/size_against_wer.py --a $S/finetune-source_synthetic-*/model \
        --b $S/finetune-source_real-*/model --c $S/finetune-target_synthetic-*/model --scale 0.5 \
        --cuts $S/split-*/test.jsonl.gz --out SIZE.md

Every row is compared with the uncompressed vector by the paired, clustered bootstrap; the last line names the
smallest file whose WER does not differ (p ≥ 0.05, and the 95 % interval holds zero). The compressed vector is
written, loaded and applied like any other.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.evaluation.evaluate import Evaluation, compare_hypotheses, evaluate
from speech_analogy.evaluation.results import Comparison
from speech_analogy.foundation.page import wording
from speech_analogy.merging.vectors.compress import Compression, CompressionReport, compress
from speech_analogy.merging.vectors.task_vector import TaskVector
from speech_analogy.recognisers.decoding import DecodingOptions
from speech_analogy.recognisers.weights import resolve_weights

LEVEL = 0.05  # p below which two systems are said to differ
MIB = 1 << 20
WAYS = [
    Compression("fp32"),
    Compression("fp16"),
    Compression("int8"),
    Compression("int4"),
    Compression("sign"),
    *(Compression("topk", keep, values) for keep in (0.3, 0.1, 0.03, 0.01) for values in ("int8", "sign")),
    *(Compression("dare", keep, "int8") for keep in (0.3, 0.1, 0.03)),
    *(Compression("low-rank", keep, "int8") for keep in (0.3, 0.1, 0.03)),
    *(Compression("low-rank", keep, "int4") for keep in (0.3, 0.2, 0.1)),
]


@dataclass(frozen=True)
class Row:
    """One way to compress, and what came of it."""

    how: Compression
    report: CompressionReport
    evaluation: Evaluation
    against_full: Comparison | None
    changed: int
    """Hypotheses that are not those of the full vector."""


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Compress, apply, transcribe and score, one way after the other."""
    base = resolve_weights(arguments.base)
    tau = TaskVector.between(base, arguments.b) - TaskVector.between(base, arguments.a)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for number, how in enumerate(WAYS):
        file, model = arguments.folder / f"{number}.safetensors", arguments.folder / f"{number}"
        report = compress(tau, file, how, overwrite=True)
        TaskVector.load(file).apply(arguments.c, model, arguments.scale, allow_other_base=True, overwrite=True)
        found = evaluate(
            arguments.cuts,
            model,
            decoding=DecodingOptions(window=arguments.window),
            name=title(how),
            cluster=arguments.cluster,
        )
        shutil.rmtree(model)
        full = rows[0].evaluation if rows else None
        compared = (
            None if full is None else compare_hypotheses(found.hypotheses, full.hypotheses, (title(how), "full vector"))
        )
        texts = [row.hypothesis for row in found.hypotheses]
        before = texts if full is None else [row.hypothesis for row in full.hypotheses]
        changed = sum(one != other for one, other in zip(texts, before, strict=True))
        rows.append(Row(how, report, found, compared, changed))
        print(line(rows[-1]), flush=True)
    return rows


def title(how: Compression) -> str:
    """E.g. `topk 0.1 int8`."""
    kept = f" {how.keep:g} {how.values}" if how.keep < 1 else ""
    return f"{how.method}{kept}"


def line(row: Row) -> str:
    """A row of the table."""
    low, high = row.evaluation.system.ci95
    compared = row.against_full
    difference = ""
    if compared is not None:
        least, most = compared.ci95
        difference = f"{compared.difference:+.2f} ({least:+.1f} to {most:+.1f}), {wording.p_clause(compared.p_value)}"
    return (
        f"| {title(row.how)} | {row.report.file_bytes / MIB:.2f} | {row.report.ratio:.1f}x | "
        f"{row.report.relative_error:.3f} | {row.report.cosine:.4f} | "
        f"{row.evaluation.system.wer:.2f} ({low:.1f}-{high:.1f}) | {difference} | {row.changed} |"
    )


def differs(compared: Comparison) -> bool:
    """Whether two systems can be told apart, by the p-value or by the interval."""
    least, most = compared.ci95
    return (compared.p_value is not None and compared.p_value < LEVEL) or not least <= 0 <= most


def table(rows: list[Row]) -> str:
    """Markdown, and the smallest file that does not differ from the full vector."""
    same = [row for row in rows if row.against_full is None or not differs(row.against_full)]
    smallest = min(same, key=lambda row: row.report.file_bytes)
    head = [
        "| vector | MiB | smaller by | relative L2 error | cosine | WER (95 %) | against full | hypotheses changed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    end = (
        f"\nSmallest file that does not differ (p ≥ {LEVEL}): {title(smallest.how)}, "
        f"{smallest.report.file_bytes / MIB:.2f} MiB, {smallest.report.ratio:.1f}x smaller.\n"
    )
    return "\n".join([*head, *map(line, rows), end])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="pip:whisper-tiny.en", help="θ_0, which A, B and C were tuned from")
    parser.add_argument("--a", type=Path, required=True, help="source, synthetic speech")
    parser.add_argument("--b", type=Path, required=True, help="source, real speech")
    parser.add_argument("--c", type=Path, required=True, help="target, synthetic speech")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--cuts", type=Path, required=True, help="real recordings of the target")
    parser.add_argument("--window", choices=["trimmed", "full"])
    parser.add_argument("--cluster", choices=["prompt", "speaker"], default="speaker")
    parser.add_argument("--folder", type=Path, default=Path("size-against-wer"), help="for vectors and models")
    parser.add_argument("--out", type=Path, help="write the table here too")
    arguments = parser.parse_args()
    text = table(measure(arguments))
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
