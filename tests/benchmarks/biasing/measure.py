"""Rivals at decoding time: systems of a finished run with the target's text as n-gram, word bonuses or prompt.

    python tests/benchmarks/biasing/measure.py RUN --dev leisure,people,time --test food,animals,clothing,places \\
        --systems mixed --out found.json

RUN is the folder of `adapt ... --targets ... --shared-source` with `publish: auto`. Weights are chosen for each system
on the dev topics, which play the target with their own models and texts: geometric mean over topics of the WER. The
test topics are heard once, with what was chosen. `--join A.json B.json` prints the table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_synth.text.texts import read_texts
from speech_analogy.corpora.audio import load_audio
from speech_analogy.corpora.cuts import speaker_of, text_of
from speech_analogy.corpora.read import read_cuts
from speech_analogy.evaluation.normalise import normaliser
from speech_analogy.evaluation.score import word_errors
from speech_analogy.evaluation.significance import compare, wer_interval
from speech_analogy.evaluation.transcribe import batches
from speech_analogy.recognisers.biasing.options import TextBias, TextBiasOptions
from speech_analogy.recognisers.checking.decode import SpeechBatch, decode_batches, speech_batch
from speech_analogy.recognisers.families import native_window
from speech_analogy.recognisers.loading import load_recogniser
from speech_analogy.recognisers.weights import resolve_weights
from speech_analogy.recognisers.windows import padding_of

BASE = "pip:whisper-tiny.en"
FOLDERS = {"source_real": "finetune-source_real-*", "mixed": "finetune-mixed-*", "published": "published-????????????"}
# Published Whisper writes capitals and full stops; what was tuned here writes as the texts are written.
SPELLING = {"zero_shot": "both"}
NONE: dict[str, Any] = {}
LM_STEPS: list[tuple[str, list[float]]] = [
    ("text_weight", [0.1, 0.2, 0.3]),
    ("background_weight", [0.1, 0.2, 0.3]),
    ("text_weight", [0.2, 0.3, 0.4]),  # again, now that something is subtracted
    ("token_bonus", [0.3]),
]
TRIE = [{"method": "trie", "word_bonus": bonus} for bonus in (0.5, 1.0, 2.0)]
PROMPT = [{"method": "prompt", "prompt_tokens": tokens} for tokens in (20, 60)]


@dataclass
class Topic:
    """A topic as the target: its model, texts and recordings, encoded once."""

    recogniser: Any
    texts: tuple[str, ...]
    background: tuple[str, ...]
    batches: list[SpeechBatch]
    order: list[int]
    references: list[str]
    speakers: list[str]

    def errors(self, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, float]:
        """(errors, words) an utterance, and the seconds that decoding took; options none: without text."""
        transcriber = self.recogniser
        if options:
            given = {"options": options, "texts": self.texts, "background": self.background}
            transcriber = transcriber.biased(TextBias.parse(given))
        start = time.process_time()
        decoded = [one.text for found in decode_batches(transcriber, self.batches) for one in found]
        seconds = time.process_time() - start
        normalise = normaliser("en")
        texts = [""] * len(decoded)
        for place, text in zip(self.order, decoded, strict=True):
            texts[place] = normalise(text).strip()
        found = word_errors(self.references, texts)
        return np.asarray(found.total), np.asarray(found.words), seconds


def open_topic(run: Path, topic: str, system: str, most: int | None) -> Topic:
    """Models, texts and the test recordings of one topic."""
    stages = run / "targets" / topic / "seed-0" / "stages"
    folder = resolve_weights(BASE) if system == "zero_shot" else next(stages.glob(FOLDERS[system])) / "model"
    recogniser: Any = load_recogniser(folder)
    _remember_encoded(recogniser)
    split = next(stages.glob("split-*"))
    normalise = normaliser("en")
    cuts = [cut for cut in read_cuts(split / "test.jsonl.gz") if normalise(text_of(cut)).strip()][:most]
    window = native_window(folder)
    plan = batches([cut.duration for cut in cuts], window, [cut.id for cut in cuts])
    made = [
        speech_batch(
            recogniser,
            [load_audio(cuts[row], 16_000) for row in batch.rows],
            [cuts[row].duration for row in batch.rows],
            batch.window_s,
            padding_of(window),
        )
        for batch in plan
    ]
    return Topic(
        recogniser,
        tuple(text.text for text in read_texts(next(stages.glob("texts-*")) / "target_texts.jsonl")),
        tuple(text_of(cut) for cut in read_cuts(split / "source_train.jsonl.gz")),
        made,
        [row for batch in plan for row in batch.rows],
        [normalise(text_of(cut)).strip() for cut in cuts],
        [speaker_of(cut) for cut in cuts],
    )


def _remember_encoded(recogniser: Any) -> None:
    """Encode equal features once: all that is compared here has the same encoder."""
    encode, kept = recogniser.encode, {}

    def remembered(features: torch.Tensor) -> torch.Tensor:
        key = hashlib.sha256(features.contiguous().numpy().tobytes()).digest()
        if key not in kept:
            kept[key] = encode(features)
        found: torch.Tensor = kept[key]
        return found

    recogniser.encode = remembered


def choose(topics: list[Topic], system: str) -> Iterator[tuple[str, dict[str, Any], float]]:
    """(method, options, geometric mean of the topics' WERs) of everything that is tried, the chosen ones last."""
    spelling = {"spelling": SPELLING.get(system, "written")}

    def wer(options: dict[str, Any]) -> float:
        found = [topic.errors(options)[:2] for topic in topics]
        return math.exp(sum(math.log(max(100 * e.sum() / w.sum(), 1e-3)) for e, w in found) / len(found))

    yield "none", NONE, wer(NONE)
    chosen: dict[str, Any] = {"method": "lm", **spelling}
    least = math.inf
    for key, values in LM_STEPS:
        tried = [(wer({**chosen, key: value}), value) for value in values]
        for result, value in tried:
            yield "lm tried", {**chosen, key: value}, result
        if min(tried)[0] < least:
            least = min(tried)[0]
            chosen = {**chosen, key: min(tried)[1]}
    yield "lm", chosen, least
    for method, grid in (("trie", TRIE), ("prompt", PROMPT)):
        results = [(wer({**options, **spelling}), number) for number, options in enumerate(grid)]
        for result, number in results:
            yield f"{method} tried", {**grid[number], **spelling}, result
        result, number = min(results)
        yield method, {**grid[number], **spelling}, result


def measure(run: Path, dev: list[str], test: list[str], system: str, most: int | None) -> dict[str, Any]:
    """Choose on the dev topics, then hear the test topics once."""
    tried = list(choose([open_topic(run, topic, system, most) for topic in dev], system))
    chosen = {method: options for method, options, _ in tried if " " not in method}
    opened = [open_topic(run, topic, system, None) for topic in test]
    for topic in opened:
        topic.errors(NONE)  # the encoder, which all share, is counted for none of them
    rows = {}
    for method, options in chosen.items():
        found = [topic.errors(options) for topic in opened]
        rows[method] = {
            "options": options,
            "errors": [one[0].tolist() for one in found],
            "seconds": sum(one[2] for one in found),
        }
    words = [topic.errors(NONE)[1].tolist() for topic in opened]
    record = [{"method": method, "options": options, "dev": wer} for method, options, wer in tried]
    return {
        "system": system,
        "dev_topics": dev,
        "test_topics": test,
        "tried": record,
        "rows": rows,
        "words": words,
        "speakers": [topic.speakers for topic in opened],
    }


def table(found: list[dict[str, Any]]) -> str:
    """Markdown: WER on all test topics with 95 % intervals, paired differences to none."""
    lines = [
        "| system | text | WER | difference to none | p | chosen on other topics | decoding, CPU to none |",
        "|---|---|--:|--:|--:|---|--:|",
    ]
    for one in found:
        words = np.concatenate([np.array(w) for w in one["words"]])
        speakers = [speaker for topic in one["speakers"] for speaker in topic]
        errors = {method: np.concatenate([np.array(e) for e in row["errors"]]) for method, row in one["rows"].items()}
        for method, row in one["rows"].items():
            low, high = wer_interval(errors[method], words, speakers)
            wer = 100 * errors[method].sum() / words.sum()
            cells = [one["system"], method, f"{wer:.1f} ({low:.1f} to {high:.1f})"]
            if method == "none":
                cells += ["", "", "", ""]
            else:
                difference = compare(errors[method], errors["none"], words, speakers)
                settings = TextBiasOptions.parse(row["options"]).model_dump(exclude_defaults=True)
                p = "" if difference.p_value is None else f"{difference.p_value:.3g}"
                said = ", ".join(f"{k} {v}" for k, v in settings.items() if k != "method") or "defaults"
                ratio = row["seconds"] / one["rows"]["none"]["seconds"]
                lo, hi = difference.ci95
                cells += [f"{difference.points:+.1f} ({lo:+.1f} to {hi:+.1f})", p, said, f"{ratio:.2f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--dev", default="leisure,people,time")
    parser.add_argument("--test", default="food,animals,clothing,places")
    parser.add_argument("--systems", default="zero_shot,source_real,mixed,published")
    parser.add_argument("--most", type=int, help="dev utterances a topic")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--join", type=Path, nargs="*")
    given = parser.parse_args()
    if given.join:
        print(table([one for file in given.join for one in json.loads(file.read_text())]))
        return
    torch.set_num_threads(1)
    found = []
    for system in given.systems.split(","):
        found.append(measure(given.run, given.dev.split(","), given.test.split(","), system, given.most))
        given.out.write_text(json.dumps(found, indent=1))
        print(table(found[-1:]), flush=True)


if __name__ == "__main__":
    main()
