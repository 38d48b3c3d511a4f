"""The gap of finished runs, τ_B − τ_A or the mean of several, as one small file with its card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speech_analogy.adaptation.plan import names
from speech_analogy.adaptation.plan.stage import HASH_DIGITS, STAGES_FOLDER
from speech_analogy.adaptation.records.mark import DONE_FILE, require_whole
from speech_analogy.adaptation.stages.params.base import MODEL_FOLDER
from speech_analogy.cards.records import vector_facts, vector_record_card
from speech_analogy.errors import DataError
from speech_analogy.foundation.files import require_free, write_whole
from speech_analogy.merging.io.stream import DEFAULT, StreamOptions
from speech_analogy.merging.vectors.compress import Compression, CompressionReport, compress
from speech_analogy.merging.vectors.gap import gap_between, mean_gap
from speech_analogy.systems.catalogue import CORNERS

SMALL = Compression("low-rank", keep=0.2, values="int4")
"""4 MiB for whisper-tiny.en, and no WER that could be told apart from the whole vector's on speechocean762
(tests/benchmarks/merging/RESULTS.md)."""

Pair = tuple[Path, Path]
"""B and A: the model of the real, and that of the synthetic source speech."""


@dataclass(frozen=True)
class Gap:
    """A gap that was written: the vector, the card beside it, and what compressing it cost."""

    file: Path
    card: Path
    compression: CompressionReport


def write_gap(
    pairs: Sequence[Pair],
    out: str | Path,
    *,
    how: Compression = SMALL,
    overwrite: bool = False,
    options: StreamOptions = DEFAULT,
    **words: str,
) -> Gap:
    """Write the gap of a pair, or the mean of several pairs' gaps, and a card of the same name that ends in `.md`.

    Args:
        pairs: see `pair_of` for those of runs.
        how: it is compressed.
        words: `channel`, `speakers`, `voices`, `licence` and `creator`, for the card.

    Raises:
        CheckpointError: other bases, a broken model, or `out` exists.
        DataError: there is a card already.
    """
    out = Path(out)
    card = out.with_suffix(".md")
    require_free(card, overwrite)
    gaps = [gap_between(real, synthetic, **words) for real, synthetic in pairs]
    own = {key: words[key] for key in ("licence", "creator") if key in words}
    vector = mean_gap(gaps, **own)
    report = compress(vector, out, how, overwrite=overwrite, options=options)
    provenance = vector.provenance.model_copy(
        update={"compression": {"method": how.method, "keep": how.keep, "values": how.values}}
    )
    write_whole(card, vector_record_card(vector_facts(vector.base.name, vector.base.fingerprint, provenance)))
    return Gap(out, card, report)


def pair_of(run: str | Path) -> Pair:
    """B and A of a finished run.

    Raises:
        DataError: the run has not finished them, they were removed or damaged, or it holds several.
    """
    real, synthetic = (_model_of(Path(run), CORNERS[side]) for side in ("plus", "minus"))
    return real, synthetic


def _model_of(run: Path, system: str) -> Path:
    stage = names.finetune(system)
    own = re.compile(rf"{re.escape(stage)}-[0-9a-f]{{{HASH_DIGITS}}}")
    folders = (run / STAGES_FOLDER).glob(f"{stage}-*")
    found = sorted(folder for folder in folders if own.fullmatch(folder.name) and (folder / DONE_FILE).is_file())
    if not found:
        raise DataError(
            "the run has no finished model of this system",
            file=run,
            field=system,
            do="name the folder of a finished `adapt` run that compares the analogy, or give --real and --synthetic",
        )
    if len(found) > 1:
        raise DataError(
            "the run holds several models of this system",
            file=run / STAGES_FOLDER,
            field=system,
            value=", ".join(folder.name for folder in found),
            do="give the ones that belong together as --real and --synthetic",
        )
    require_whole(found[0])
    return found[0] / MODEL_FOLDER
