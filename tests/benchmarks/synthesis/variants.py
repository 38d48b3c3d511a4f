"""Whether variants of a voice are understood as well as the voice: WER of an untouched Whisper.

OMP_NUM_THREADS=1 python tests/benchmarks/synthesis/variants.py --texts shared/data/slurp_text/test.jsonl --count 20
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jiwer
import numpy as np

from data_synth.engines import load_engine
from data_synth.engines.base import Failure, Utterance
from data_synth.plan.variants import VARIANTS, as_variant
from data_synth.plan.voices import find_voices
from speech_analogy.evaluation.normalise import normaliser
from speech_analogy.recognisers.clip_transcriber import ClipTranscriber


def main() -> None:
    """A row of Markdown for each voice and variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, required=True, help=".jsonl with a key `sentence` or `text`")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--model", default="pip:whisper-tiny.en")
    parser.add_argument("--engines", default="hibari,piper,flite")
    given = parser.parse_args()
    rows = [json.loads(line) for line in given.texts.read_text(encoding="utf-8").splitlines()]
    texts = [row.get("sentence") or row["text"] for row in rows]
    chosen = np.random.default_rng(0).choice(len(texts), given.count, replace=False)
    listen, clean = ClipTranscriber(given.model), normaliser("en")
    print("| voice | as it is | " + " | ".join(f"~{name}" for name in VARIANTS) + " |")
    print("|---|" + "--:|" * (1 + len(VARIANTS)))
    for voice in find_voices([given.engines], "en"):
        engine = load_engine(voice.engine)
        spoken = engine.synthesize([Utterance(texts[index], voice.name, seed=int(index)) for index in chosen])
        cells = []
        for variant in ("", *VARIANTS):
            wanted, found = [], []
            for index, clip in zip(chosen, spoken, strict=True):
                if not isinstance(clip, Failure):
                    wanted.append(clean(texts[index]))
                    found.append(clean(listen(as_variant(clip.samples, clip.rate, variant), clip.rate)))
            cells.append(f"{100 * jiwer.wer(wanted, found):.1f}")
        print(f"| {voice} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
